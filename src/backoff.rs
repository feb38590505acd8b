//! Growing, jittered delays as a plain sequence.
//!
//! Always true here: a delay is drawn from `floor ..= min(cap, first * 2^n)` ("full jitter"), so a fleet that lost one broker
//! does not come back in step. Deliberately absent: sleeping, clocks, and any idea of what is being retried.

use std::time::Duration;

/// A sequence of delays for one thing that is being retried.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    floor: Duration,
    cap: Duration,
    failures: u32,
    random: fastrand::Rng,
}

impl Backoff {
    /// Delays between `floor` and a ceiling that starts at `first` and doubles up to `cap`; `seed` makes the sequence repeatable.
    #[must_use]
    pub fn new(first: Duration, floor: Duration, cap: Duration, seed: u64) -> Self {
        Self { first, floor, cap, failures: 0, random: fastrand::Rng::with_seed(seed) }
    }

    /// The next delay, after one more failure.
    pub fn next_delay(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        let span = ceiling.saturating_sub(self.floor);
        self.floor.min(self.cap) + span.mul_f64(self.random.f64())
    }

    /// How many failures since the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Starts the sequence again: it worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    fn ceiling(&self) -> Duration {
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn delays_grow_to_the_cap_and_never_leave_their_range() {
        let mut backoff = Backoff::new(seconds(1), Duration::from_millis(100), seconds(60), 7);
        for failure in 0..200u32 {
            let ceiling = seconds(1u64 << failure.min(6)).min(seconds(60));
            let delay = backoff.next_delay();
            assert!(delay >= Duration::from_millis(100) && delay <= ceiling, "delay {failure} was {delay:?}, ceiling {ceiling:?}");
        }
    }

    #[test]
    fn a_success_starts_the_sequence_again() {
        let mut backoff = Backoff::new(seconds(1), Duration::ZERO, seconds(60), 7);
        (0..10).for_each(|_| {
            backoff.next_delay();
        });
        backoff.reset();
        assert!(backoff.next_delay() <= seconds(1));
    }

    #[test]
    fn two_gateways_do_not_wait_equally_long() {
        let mut one = Backoff::new(seconds(1), Duration::ZERO, seconds(60), 1);
        let mut other = Backoff::new(seconds(1), Duration::ZERO, seconds(60), 2);
        assert_ne!(one.next_delay(), other.next_delay());
    }
}
