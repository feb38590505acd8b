//! When to speak of the uplink. Pure.
//!
//! Always true here: an outage is told once when it begins and once when it is over, and each further reason once; an uplink that
//! comes and goes within [`Outage::settle`] is still down, so that a broker that drops us at once fills no log. Deliberately
//! absent: the log.

use std::time::{Duration, Instant};

/// Different reasons told within one outage.
const REASONS: usize = 8;

/// Something to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tell {
    /// The first connection of this run works.
    Up,
    /// The uplink went down, or cannot be had.
    Down,
    /// It is still down, for another reason.
    Still,
    /// It is back after so long.
    Back(Duration),
}

/// Whether the uplink works, as people are told.
#[derive(Debug)]
pub(super) struct Outage {
    settle: Duration,
    down_since: Option<Instant>,
    reasons: Vec<String>,
    useful_since: Option<Instant>,
    told_up: bool,
}

impl Outage {
    /// Nothing is known yet. An uplink that was down must work for `settle` before it is called back.
    pub(super) fn new(settle: Duration) -> Self {
        Self { settle, down_since: None, reasons: Vec::new(), useful_since: None, told_up: false }
    }

    /// A message was acknowledged, or time passed on a connection on which one was.
    pub(super) fn works(&mut self, now: Instant) -> Option<Tell> {
        let since = *self.useful_since.get_or_insert(now);
        let Some(down_since) = self.down_since else {
            return (!std::mem::replace(&mut self.told_up, true)).then_some(Tell::Up);
        };
        if now.saturating_duration_since(since) < self.settle {
            return None;
        }
        self.down_since = None;
        self.told_up = true;
        self.reasons.clear();
        Some(Tell::Back(since.saturating_duration_since(down_since)))
    }

    /// Time passed on a connection.
    pub(super) fn stands(&mut self, now: Instant) -> Option<Tell> {
        self.useful_since.and_then(|_| self.works(now))
    }

    /// An attempt or a connection ended for this reason.
    pub(super) fn ended(&mut self, reason: &str, now: Instant) -> Option<Tell> {
        self.useful_since = None;
        let tell = if self.down_since.is_some() { Tell::Still } else { Tell::Down };
        self.down_since.get_or_insert(now);
        if self.reasons.len() >= REASONS || self.reasons.iter().any(|told| told == reason) {
            return None;
        }
        self.reasons.push(reason.to_owned());
        Some(tell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(10);

    fn clock() -> impl Fn(u64) -> Instant {
        let start = crate::clock::monotonic();
        move |seconds| start + Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_connection_is_told_at_once_and_only_once() {
        let (at, mut outage) = (clock(), Outage::new(SETTLE));
        assert_eq!(outage.works(at(0)), Some(Tell::Up));
        assert_eq!(outage.works(at(1)), None);
    }

    #[test]
    fn an_outage_is_told_once_when_it_begins_and_once_when_it_is_over() {
        let (at, mut outage) = (clock(), Outage::new(SETTLE));
        outage.works(at(0));
        assert_eq!(outage.ended("closed", at(100)), Some(Tell::Down));
        assert_eq!(outage.ended("refused", at(101)), Some(Tell::Still));
        (102..200).for_each(|second| assert_eq!(outage.ended("refused", at(second)), None));
        assert_eq!(outage.works(at(200)), None);
        assert_eq!(outage.stands(at(209)), None);
        assert_eq!(outage.stands(at(210)), Some(Tell::Back(Duration::from_secs(100))));
        assert_eq!(outage.stands(at(211)), None);
        assert_eq!(outage.ended("refused", at(300)), Some(Tell::Down));
    }

    #[test]
    fn a_broker_that_drops_us_again_and_again_is_told_once() {
        let (at, mut outage) = (clock(), Outage::new(SETTLE));
        outage.works(at(0));
        outage.ended("closed", at(1));
        for second in 2..100 {
            assert_eq!(outage.works(at(second)), None);
            assert_eq!(outage.ended("closed", at(second)), None);
        }
    }

    #[test]
    fn time_alone_does_not_make_an_uplink_work() {
        let (at, mut outage) = (clock(), Outage::new(SETTLE));
        outage.ended("refused", at(0));
        assert_eq!(outage.stands(at(1000)), None);
    }
}
