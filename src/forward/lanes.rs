//! Live first, and how much may be on its way. Pure; a new one per connection.
//!
//! Always true here: a message may always go out when nothing else is on its way, however slow the link. Beyond that, backlog has at
//! most so many bytes in flight as the broker acknowledges within a second, and never takes the last place for a batch unless only
//! one exists. Live readings are bounded too, at [`LIVE`] seconds: what waits in the send buffer of a slow link delays pings as well,
//! and a connection must not end for a ping that stands behind our own readings. Deliberately absent: what a batch holds.

use std::time::Duration;

/// Which way a batch takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Closed since this connection was made.
    Live,
    /// Closed before.
    Backlog,
}

/// So many seconds of the measured rate may be in flight while live readings are sent, and at most a third of a keep-alive.
const LIVE: f64 = 2.0;

/// So many seconds of the measured rate may be in flight as backlog.
const BACKLOG: f64 = 1.0;

/// How far a slower measurement pulls the rate down; a faster one is believed at once, because a link with little to carry
/// measures too low.
const FORGETTING: f64 = 1.0 / 8.0;

/// The pace of one connection.
#[derive(Debug)]
pub(super) struct Pace {
    live_seconds: f64,
    rate: f64,
    live: usize,
    backlog: usize,
    batches: usize,
}

impl Pace {
    /// Nothing is in flight, and nothing is known of the link.
    pub(super) fn new(keep_alive: Duration) -> Self {
        let live_seconds = LIVE.min(keep_alive.as_secs_f64() / 3.0);
        Self { live_seconds, rate: 0.0, live: 0, backlog: 0, batches: 0 }
    }

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

    /// Whether a message of so many bytes may go out.
    #[expect(clippy::cast_precision_loss, reason = "as above")]
    pub(super) fn admits(&self, lane: Lane, bytes: usize) -> bool {
        let (in_flight, seconds) = match lane {
            Lane::Live => (self.live + self.backlog, self.live_seconds),
            Lane::Backlog => (self.backlog, BACKLOG),
        };
        in_flight == 0 || (in_flight + bytes) as f64 <= self.rate * seconds
    }

    /// A batch begins.
    pub(super) fn begun(&mut self, lane: Lane) {
        self.batches += usize::from(lane == Lane::Backlog);
    }

    /// A message goes out.
    pub(super) fn sent(&mut self, lane: Lane, bytes: usize) {
        *self.in_flight(lane) += bytes;
    }

    /// A message was acknowledged, and with it, perhaps, its batch.
    pub(super) fn acked(&mut self, lane: Lane, bytes: usize, confirmed: bool) {
        let in_flight = self.in_flight(lane);
        *in_flight = in_flight.saturating_sub(bytes);
        self.batches = self.batches.saturating_sub(usize::from(confirmed && lane == Lane::Backlog));
    }

    fn in_flight(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Live => &mut self.live,
            Lane::Backlog => &mut self.backlog,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Sends messages of this size until no more may go out; how many bytes are then in flight.
    fn fill(pace: &mut Pace, lane: Lane, bytes: usize) -> usize {
        let mut in_flight = 0;
        while pace.admits(lane, bytes) {
            pace.sent(lane, bytes);
            in_flight += bytes;
        }
        in_flight
    }

    #[test]
    fn one_message_may_always_go_out_whatever_the_link() {
        for lane in [Lane::Live, Lane::Backlog] {
            let mut pace = Pace::new(30 * SECOND);
            assert!(pace.admits(lane, 1_000_000));
            pace.sent(lane, 1_000_000);
            assert!(!pace.admits(lane, 1));
            pace.acked(lane, 1_000_000, true);
            assert!(pace.admits(lane, 1_000_000));
        }
    }

    #[test]
    fn backlog_in_flight_is_at_most_what_a_second_acknowledges() {
        let mut pace = Pace::new(30 * SECOND);
        pace.measured(32_000, SECOND);
        assert_eq!(fill(&mut pace, Lane::Backlog, 4_000), 32_000);
    }

    #[test]
    fn live_readings_pass_a_backlog_that_fills_its_second() {
        let mut pace = Pace::new(30 * SECOND);
        pace.measured(32_000, SECOND);
        fill(&mut pace, Lane::Backlog, 4_000);
        assert!(pace.admits(Lane::Live, 4_000));
    }

    #[test]
    fn all_that_is_in_flight_is_acknowledged_long_before_a_ping_is_missed() {
        let mut pace = Pace::new(30 * SECOND);
        pace.measured(4_000, SECOND);
        let backlog = fill(&mut pace, Lane::Backlog, 1_000);
        assert_eq!(backlog + fill(&mut pace, Lane::Live, 1_000), 8_000);
    }

    #[test]
    fn a_faster_link_is_believed_at_once_and_a_slower_one_by_and_by() {
        let mut pace = Pace::new(30 * SECOND);
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
        let mut pace = Pace::new(30 * SECOND);
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
        let mut pace = Pace::new(30 * SECOND);
        pace.measured(1_000, Duration::ZERO);
        assert!(pace.rate.is_finite());
    }
}
