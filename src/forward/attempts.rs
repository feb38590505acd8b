//! Which broker is tried next, and after how long. Pure.
//!
//! Always true here: brokers are tried in their order, each once in a round; a round that brought no acknowledgement is followed by
//! a pause that grows and is jittered; a connection that was of use starts again with the first broker. Deliberately absent:
//! sleeping.

use std::time::Duration;

use crate::backoff::Backoff;

/// Where the next attempt goes.
#[derive(Debug)]
pub(super) struct Attempts {
    brokers: usize,
    next: usize,
    useful: bool,
    backoff: Backoff,
}

impl Attempts {
    /// Begins with the first of so many brokers.
    pub(super) fn new(brokers: usize, backoff: Backoff) -> Self {
        Self { brokers, next: 0, useful: false, backoff }
    }

    /// Place of the broker to try.
    pub(super) fn broker(&self) -> usize {
        self.next
    }

    /// The broker acknowledged a message: only this shows that the way up works. A CONNACK does not.
    pub(super) fn acked(&mut self) {
        if !self.useful {
            self.useful = true;
            self.backoff.reset();
        }
    }

    /// The attempt or the connection ended; how long to wait before the next.
    pub(super) fn ended(&mut self) -> Duration {
        if std::mem::take(&mut self.useful) {
            self.next = 0;
            return self.backoff.next_delay();
        }
        self.next += 1;
        if self.next < self.brokers {
            return Duration::ZERO;
        }
        self.next = 0;
        self.backoff.next_delay()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(brokers: usize) -> Attempts {
        let seconds = Duration::from_secs;
        Attempts::new(brokers, Backoff::new(seconds(64), seconds(1), seconds(64), 1))
    }

    #[test]
    fn every_broker_is_tried_once_before_a_pause() {
        let mut attempts = attempts(3);
        assert_eq!((attempts.broker(), attempts.ended()), (0, Duration::ZERO));
        assert_eq!((attempts.broker(), attempts.ended()), (1, Duration::ZERO));
        assert_eq!(attempts.broker(), 2);
        assert!(attempts.ended() >= Duration::from_secs(1));
        assert_eq!(attempts.broker(), 0);
    }

    #[test]
    fn a_connection_that_brought_an_acknowledgement_starts_with_the_first_broker_again() {
        let mut attempts = attempts(3);
        attempts.ended();
        attempts.acked();
        assert!(attempts.ended() >= Duration::from_secs(1), "a broker that drops us at once is not asked in a hot loop");
        assert_eq!(attempts.broker(), 0);
    }

    #[test]
    fn a_broker_that_accepts_and_never_acknowledges_is_backed_off_from() {
        let mut attempts = Attempts::new(1, Backoff::new(Duration::from_secs(1), Duration::ZERO, Duration::from_secs(60), 1));
        (0..10).for_each(|_| {
            attempts.ended();
        });
        assert_eq!(attempts.backoff.failures(), 10);
        attempts.acked();
        assert_eq!(attempts.backoff.failures(), 0);
    }
}
