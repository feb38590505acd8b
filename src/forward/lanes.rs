//! Live first: which lane may send the next message. Pure; a new one per connection.
//!
//! Always true here: nothing here ever holds live readings back; backlog never takes the last place for a batch unless only one
//! exists, and has at most so many bytes in flight as the broker acknowledged within a second, or one message where that is more.
//! Deliberately absent: what a batch holds.

use std::time::Duration;

/// Which way a batch takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Closed since this connection was made.
    Live,
    /// Closed before.
    Backlog,
}

/// How far a slower measurement pulls the rate down; a faster one is believed at once, because a link with little to carry
/// measures too low.
const FORGETTING: f64 = 1.0 / 8.0;

/// The pace of the backlog.
#[derive(Debug, Default)]
pub(super) struct Pace {
    rate: f64,
    in_flight: usize,
    batches: usize,
}

impl Pace {
    /// An acknowledgement: so many bytes were acknowledged in so much time.
    #[expect(clippy::cast_precision_loss, reason = "a rate in bytes per second needs no 53 bits")]
    pub(super) fn measured(&mut self, delivered: u64, took: Duration) {
        let measured = delivered as f64 / took.as_secs_f64().max(1e-6);
        self.rate = if measured > self.rate { measured } else { self.rate + (measured - self.rate) * FORGETTING };
    }

    /// Whether backlog may begin a batch, where `places` batches may be in flight in all.
    pub(super) fn admits_batch(&self, places: usize) -> bool {
        self.batches + 1 < places.max(2)
    }

    /// Whether backlog may send a message of so many bytes.
    #[expect(clippy::cast_precision_loss, reason = "as above")]
    pub(super) fn admits(&self, bytes: usize) -> bool {
        self.in_flight == 0 || (self.in_flight + bytes) as f64 <= self.rate
    }

    /// A batch begins.
    pub(super) fn begun(&mut self, lane: Lane) {
        self.batches += usize::from(lane == Lane::Backlog);
    }

    /// A message goes out.
    pub(super) fn sent(&mut self, lane: Lane, bytes: usize) {
        self.in_flight += if lane == Lane::Backlog { bytes } else { 0 };
    }

    /// A message was acknowledged, and with it, perhaps, its batch.
    pub(super) fn acked(&mut self, lane: Lane, bytes: usize, confirmed: bool) {
        if lane == Lane::Backlog {
            self.in_flight = self.in_flight.saturating_sub(bytes);
            self.batches = self.batches.saturating_sub(usize::from(confirmed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn backlog_may_always_send_one_message_whatever_the_link() {
        let mut pace = Pace::default();
        assert!(pace.admits(1_000_000));
        pace.sent(Lane::Backlog, 1_000_000);
        assert!(!pace.admits(1));
        pace.acked(Lane::Backlog, 1_000_000, true);
        assert!(pace.admits(1_000_000));
    }

    #[test]
    fn backlog_in_flight_is_at_most_what_a_second_acknowledges() {
        let mut pace = Pace::default();
        pace.measured(32_000, SECOND);
        let mut in_flight = 0;
        while pace.admits(4_000) {
            pace.sent(Lane::Backlog, 4_000);
            in_flight += 4_000;
        }
        assert_eq!(in_flight, 32_000);
    }

    #[test]
    fn a_faster_link_is_believed_at_once_and_a_slower_one_by_and_by() {
        let mut pace = Pace::default();
        pace.measured(1_000, SECOND);
        pace.measured(64_000, SECOND);
        assert!((pace.rate - 64_000.0).abs() < 1.0);
        pace.measured(1_000, SECOND);
        assert!(pace.rate > 50_000.0);
        (0..100).for_each(|_| pace.measured(1_000, SECOND));
        assert!(pace.rate < 1_100.0);
    }

    #[test]
    fn backlog_leaves_a_place_for_live_as_soon_as_there_are_two() {
        let mut pace = Pace::default();
        assert!(pace.admits_batch(1));
        pace.begun(Lane::Backlog);
        assert!(!pace.admits_batch(1));
        assert!(!pace.admits_batch(2));
        assert!(pace.admits_batch(3));
        pace.acked(Lane::Backlog, 0, true);
        assert!(pace.admits_batch(2));
    }

    #[test]
    fn an_acknowledgement_that_took_no_time_is_no_division_by_zero() {
        let mut pace = Pace::default();
        pace.measured(1_000, Duration::ZERO);
        assert!(pace.rate.is_finite());
    }
}
