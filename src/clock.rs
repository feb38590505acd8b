//! The only place that asks what time it is.
//!
//! Always true here: waiting uses the monotonic clock ([`monotonic`]); the wall clock is only ever a stamp on a reading, and a
//! [`Stamp`] knows whether the kernel called it synchronised. Deliberately absent: setting clocks, and timers.

use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::host::ioctl;
use crate::reading::{BootId, Stamp};

/// The monotonic clock, for waiting. Under tokio's paused clock it is the paused one.
#[must_use]
pub fn monotonic() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The first tick at or after `at`. Ticks are `apart`, and the same for the whole process: tasks that need not be exact wake
/// together, so that the processor sleeps longer and works on a warm cache.
#[must_use]
pub fn tick(at: Instant, apart: Duration) -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let Some(since) = at.checked_duration_since(*ORIGIN.get_or_init(monotonic)) else { return at };
    let Some(past) = since.as_nanos().checked_rem(apart.as_nanos()).filter(|past| *past > 0) else { return at };
    at + apart.saturating_sub(Duration::from_nanos(u64::try_from(past).unwrap_or(0)))
}

/// Gives stamps, and corrects those that were given before the wall clock was right.
#[derive(Debug, Clone)]
pub struct Clock {
    boot: BootId,
}

impl Clock {
    /// The clocks of this machine.
    #[must_use]
    pub fn system() -> Self {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self { boot: parse_boot_id(&text) }
    }

    /// The boot this process runs in.
    #[must_use]
    pub fn boot(&self) -> BootId {
        self.boot
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Stamp {
        Stamp {
            wall_ms: milliseconds(ClockId::Realtime),
            boot: self.boot,
            boot_ms: u64::try_from(milliseconds(ClockId::Boottime)).unwrap_or(0),
            synchronised: ioctl::clock_is_synchronised(),
        }
    }
}

/// The best known Unix time in milliseconds of an earlier `stamp`, seen from `now`, and whether it can be trusted.
///
/// A stamp of this boot that was taken before the clock was synchronised is moved by what the clock was found to be off; a stamp
/// of another boot stays as it is.
#[must_use]
pub fn corrected(stamp: &Stamp, now: &Stamp) -> (i64, bool) {
    let same_boot = stamp.boot == now.boot && stamp.boot != BootId::default();
    if stamp.synchronised || !now.synchronised || !same_boot {
        return (stamp.wall_ms, stamp.synchronised);
    }
    let age = i64::try_from(now.boot_ms.saturating_sub(stamp.boot_ms)).unwrap_or(i64::MAX);
    (now.wall_ms.saturating_sub(age), true)
}

fn milliseconds(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}

fn parse_boot_id(text: &str) -> BootId {
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
    BootId(u128::from_str_radix(&digits, 16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(boot: u128, boot_ms: u64, wall_ms: i64, synchronised: bool) -> Stamp {
        Stamp { wall_ms, boot: BootId(boot), boot_ms, synchronised }
    }

    #[test]
    fn moments_between_two_ticks_share_the_later_one() {
        let apart = Duration::from_millis(100);
        let first = tick(tick(monotonic(), apart) + apart, apart);
        assert_eq!(tick(first, apart), first);
        assert_eq!(tick(first + Duration::from_millis(1), apart), first + apart);
        assert_eq!(tick(first + Duration::from_millis(99), apart), first + apart);
        assert_eq!(tick(first, Duration::ZERO), first);
    }

    #[test]
    fn a_stamp_from_before_the_sync_is_moved_once_the_clock_is_right() {
        let early = stamp(1, 10_000, 0, false);
        let now = stamp(1, 70_000, 1_800_000_000_000, true);
        assert_eq!(corrected(&early, &now), (1_799_999_940_000, true));
    }

    #[test]
    fn a_stamp_stays_doubtful_while_the_clock_is_not_right() {
        let early = stamp(1, 10_000, 5, false);
        assert_eq!(corrected(&early, &stamp(1, 70_000, 60_005, false)), (5, false));
    }

    #[test]
    fn a_stamp_of_another_boot_is_not_moved() {
        let early = stamp(1, 10_000, 5, false);
        assert_eq!(corrected(&early, &stamp(2, 70_000, 1_800_000_000_000, true)), (5, false));
    }

    #[test]
    fn a_stamp_of_an_unknown_boot_is_not_moved() {
        let early = stamp(0, 10_000, 5, false);
        assert_eq!(corrected(&early, &stamp(0, 70_000, 1_800_000_000_000, true)), (5, false));
    }

    #[test]
    fn this_machine_has_a_boot_id_and_its_boot_clock_runs() {
        let clock = Clock::system();
        assert_ne!(clock.boot(), BootId::default());
        assert!(clock.now().boot_ms > 0);
    }
}
