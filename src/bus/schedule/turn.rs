//! The due moments of one group of points: a grid, one period apart. Pure.
//!
//! Always true here: a group is due at most once a period, and what it missed is counted and not made up for. Deliberately absent:
//! whether its meter answers.

use std::time::{Duration, Instant};

/// A wall clock that differs by less from what the grid was laid by leaves it where it is.
const WALL_SLACK: Duration = Duration::from_millis(20);

/// One group of points of one meter.
#[derive(Debug)]
pub(super) struct Turn {
    /// Its period.
    pub(super) every: Duration,
    /// What a dialogue about it alone costs, as learnt.
    pub(super) cost: Duration,
    /// One moment of its grid.
    grid: Instant,
    /// When it fell or falls due.
    release: Instant,
    was_taken: bool,
}

impl Turn {
    /// A group whose grid goes through `grid`, due for the first time at `first`.
    pub(super) fn new(every: Duration, cost: Duration, grid: Instant, first: Instant) -> Self {
        Self { every, cost, grid, release: first, was_taken: false }
    }

    /// When it fell or falls due.
    pub(super) fn release(&self) -> Instant {
        self.release
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.release <= now
    }

    /// Until when it should be polled, once it is due.
    pub(super) fn deadline(&self) -> Instant {
        self.release + self.every
    }

    /// It is polled now, if it is due: the next moment of its grid is set. Answers the periods that ended without a poll.
    pub(super) fn take(&mut self, now: Instant) -> u64 {
        if !self.is_due(now) {
            return 0;
        }
        self.was_taken = true;
        let skipped = periods(now.saturating_duration_since(self.release), self.every);
        let current = self.release + self.every * skipped;
        self.release = self.on_grid_after(current + self.every / 2);
        u64::from(skipped)
    }

    /// The next moment of its grid.
    pub(super) fn skip(&mut self, now: Instant) {
        self.release = self.on_grid_after(now);
    }

    /// Due at this moment, whatever the grid says.
    pub(super) fn restart(&mut self, at: Instant) {
        self.release = at;
    }

    /// Lays the grid on whole periods of the wall clock, which shows `wall_ms` (Unix time) now.
    pub(super) fn align(&mut self, wall_ms: i64, now: Instant) {
        let every = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX).max(1);
        let left = Duration::from_millis(u64::try_from(every - wall_ms.rem_euclid(every)).unwrap_or(0));
        let wanted = now + left;
        let off = apart(self.on_grid_after(now), wanted);
        if off.min(self.every.saturating_sub(off)) < WALL_SLACK {
            return;
        }
        self.grid = wanted;
        if self.was_taken && !self.is_due(now) {
            self.skip(now);
        }
    }

    /// The first moment of the grid after `moment`.
    fn on_grid_after(&self, moment: Instant) -> Instant {
        if moment < self.grid {
            let back = periods(self.grid.saturating_duration_since(moment), self.every);
            return self.grid.checked_sub(self.every * back).filter(|at| *at > moment).unwrap_or(self.grid);
        }
        let passed = periods(moment.saturating_duration_since(self.grid), self.every);
        self.grid + self.every * (passed.saturating_add(1))
    }
}

/// Whole periods in a span.
fn periods(span: Duration, every: Duration) -> u32 {
    u32::try_from(span.as_nanos() / every.as_nanos().max(1)).unwrap_or(u32::MAX)
}

/// How far two moments are apart.
fn apart(one: Instant, other: Instant) -> Duration {
    one.max(other).saturating_duration_since(one.min(other))
}
