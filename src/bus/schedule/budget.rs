//! The time that silent meters may take from the living: a token bucket. Pure.

use std::time::{Duration, Instant};

/// The same while a meter has just come back and the others are tried at once.
const SHARE_IN_A_ROUND: f64 = 0.5;
/// What is saved up at most: a burst of probes must not add up to a gap in the readings of the living.
const SAVED_MOST: f64 = 2.0;
/// Where nobody wants anything, the question is asked again after this.
const LATER: Duration = Duration::from_secs(1);

/// Seconds of bus time in hand.
#[derive(Debug)]
pub(super) struct Budget {
    /// Of the time that living meters want, what silent meters may have together.
    share: f64,
    seconds: f64,
    rate: f64,
    since: Instant,
}

impl Budget {
    /// Nothing in hand.
    pub(super) fn new(share: f64, now: Instant) -> Self {
        Self { share, seconds: 0.0, rate: 0.0, since: now }
    }

    /// Adds what the time since the last call gave, while the living wanted this share of it.
    pub(super) fn accrue(&mut self, wanted: f64, in_a_round: bool, now: Instant) {
        let passed = now.saturating_duration_since(self.since).as_secs_f64();
        self.rate = if in_a_round { SHARE_IN_A_ROUND } else { self.share * wanted };
        self.seconds = (self.seconds + passed * self.rate).min(SAVED_MOST);
        self.since = now;
    }

    /// Time passed in which nobody could have anything.
    pub(super) fn rest(&mut self, now: Instant) {
        self.since = now;
    }

    /// Whether so much is in hand. What costs more than can be saved may be had for all that can be saved.
    pub(super) fn affords(&self, cost: Duration) -> bool {
        self.seconds >= cost.as_secs_f64().min(SAVED_MOST)
    }

    /// When so much will be in hand.
    pub(super) fn affords_at(&self, cost: Duration, now: Instant) -> Instant {
        let lacking = cost.as_secs_f64().min(SAVED_MOST) - self.seconds;
        if self.rate <= 0.0 {
            return now + LATER;
        }
        // A little more, so that rounding does not wake the caller too early again and again.
        now + Duration::from_secs_f64((lacking / self.rate).clamp(0.0, 3600.0)) + Duration::from_millis(1)
    }

    /// Takes what a probe really cost; may leave a debt.
    pub(super) fn pay(&mut self, cost: Duration) {
        self.seconds -= cost.as_secs_f64();
    }
}
