//! When a task that panicked may start again. Pure.
//!
//! Always true here: it is always allowed again, each time later, up to ten minutes; a run that went well for an hour is a new
//! beginning. Deliberately absent: tasks.

use std::time::{Duration, Instant};

/// First pause after a panic.
const FIRST: Duration = Duration::from_secs(1);
/// Longest pause.
const CAP: Duration = Duration::from_secs(600);
/// A run of this length wipes the slate.
const WELL: Duration = Duration::from_secs(3600);

/// The panics of one task.
#[derive(Debug, Clone, Default)]
pub struct Restarts {
    in_a_row: u32,
}

impl Restarts {
    /// How long to wait after a run from `started` to a panic at `now`.
    pub fn pause(&mut self, started: Instant, now: Instant) -> Duration {
        if now.saturating_duration_since(started) >= WELL {
            self.in_a_row = 0;
        }
        let pause = FIRST.saturating_mul(1u32.checked_shl(self.in_a_row).unwrap_or(u32::MAX)).min(CAP);
        self.in_a_row = self.in_a_row.saturating_add(1);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_keeps_panicking_is_started_slower_each_time_and_never_given_up() {
        let mut restarts = Restarts::default();
        let start = crate::clock::monotonic();
        let pauses: Vec<u64> = (0..40).map(|_| restarts.pause(start, start).as_secs()).collect();
        assert_eq!(pauses[..4], [1, 2, 4, 8]);
        assert!(pauses.is_sorted() && pauses.last() == Some(&600));
    }

    #[test]
    fn an_hour_without_a_panic_is_a_new_beginning() {
        let mut restarts = Restarts::default();
        let start = crate::clock::monotonic();
        for _ in 0..5 {
            restarts.pause(start, start);
        }
        assert_eq!(restarts.pause(start, start + WELL), FIRST);
    }
}
