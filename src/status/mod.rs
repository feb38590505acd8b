//! What the daemon knows about itself: one snapshot, and the reporters that the tasks hold.
//!
//! Always true here: a reporter never waits for anything but a short lock, and a task that turns its loop says so, which is what
//! the watchdog is fed with. Deliberately absent: logs, sockets, and any decision taken from a figure.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Everything at one moment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// By name of the bus.
    pub buses: BTreeMap<Box<str>, BusStatus>,
    /// The way up.
    pub uplink: UplinkStatus,
    /// What waits.
    pub spool: SpoolStatus,
}

/// One wire.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BusStatus {
    /// Whether the port or connection is open.
    pub up: bool,
    /// Why it is not, or what failed last; empty when nothing did.
    pub trouble: String,
    /// Requests sent.
    pub requests: u64,
    /// Answers that became values.
    pub answers: u64,
    /// Requests without an answer in time.
    pub timeouts: u64,
    /// Bytes or frames that were no valid answer.
    pub garbled: u64,
    /// Modbus exceptions.
    pub refused: u64,
    /// Bytes dropped while the line was drained.
    pub drained: u64,
    /// How often the port or connection was opened.
    pub opened: u64,
    /// Deadlines that were missed.
    pub missed: u64,
    /// How often the task of this bus had to be started again.
    pub restarts: u64,
    /// By name of the meter.
    pub meters: BTreeMap<Box<str>, MeterStatus>,
}

/// One meter.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MeterStatus {
    /// Whether it answered last time.
    pub alive: bool,
    /// Why not, in a word; empty when it did.
    pub trouble: String,
    /// Sweeps in which at least one value was good.
    pub good: u64,
    /// Sweeps without a good value.
    pub failed: u64,
    /// Unix milliseconds of the last good sweep, 0: none yet.
    pub last_good_ms: i64,
}

/// The connection to the broker.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct UplinkStatus {
    /// Whether a broker accepted the connection.
    pub up: bool,
    /// Which broker.
    pub broker: String,
    /// Why it is not up; empty when it is.
    pub trouble: String,
    /// Connections made.
    pub connections: u64,
    /// Messages sent.
    pub published: u64,
    /// Messages acknowledged.
    pub acked: u64,
    /// Bytes of payload and topic sent.
    pub bytes: u64,
}

/// What waits between bus and broker, in readings unless said otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoolStatus {
    /// Readings taken since start, and those found in journal and on flash at start: taken = acked + held + given up.
    pub taken: u64,
    /// Readings acked since start.
    pub acked: u64,
    /// Readings held, in journal, memory and on flash.
    pub held: u64,
    /// Readings given up since start, all told as gaps.
    pub given_up: u64,
    /// Readings that neither the journal nor flash holds yet: a crash would lose them.
    #[serde(default)]
    pub at_risk: u64,
    /// Batches on flash.
    pub batches_on_flash: u64,
    /// Bytes of all files under the spool's path.
    pub bytes_on_flash: u64,
    /// Bytes written to flash by us since start.
    pub bytes_written: u64,
    /// Batches set aside.
    pub set_aside: u64,
    /// What is wrong with the store; empty when nothing is.
    pub trouble: String,
}

/// Where all reporters report to.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    snapshot: Snapshot,
    turns: BTreeMap<Box<str>, Instant>,
}

impl Board {
    /// An empty board.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of everything.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.lock().snapshot.clone()
    }

    /// The reporter of one bus.
    #[must_use]
    pub fn bus(&self, name: &str) -> BusReporter {
        BusReporter { board: self.clone(), name: name.into() }
    }

    /// The reporter of the uplink.
    #[must_use]
    pub fn uplink(&self) -> UplinkReporter {
        UplinkReporter(self.clone())
    }

    /// The reporter of the spool.
    #[must_use]
    pub fn spool(&self) -> SpoolReporter {
        SpoolReporter(self.clone())
    }

    /// Forgets a bus that is no longer configured.
    pub fn forget_bus(&self, name: &str) {
        let mut inner = self.lock();
        inner.snapshot.buses.remove(name);
        inner.turns.remove(name);
    }

    /// A bus that is at rest on purpose (it panicked and waits to start again) is not expected to turn.
    pub fn rests(&self, name: &str) {
        self.lock().turns.remove(name);
    }

    /// The tasks that have not turned their loop for longer than `limit`.
    #[must_use]
    pub fn stuck(&self, now: Instant, limit: Duration) -> Vec<Box<str>> {
        let inner = self.lock();
        let late = |turn: &Instant| now.saturating_duration_since(*turn) > limit;
        inner.turns.iter().filter(|(_, turn)| late(turn)).map(|(name, _)| name.clone()).collect()
    }

    fn turned(&self, name: &str, now: Instant) {
        let mut inner = self.lock();
        match inner.turns.get_mut(name) {
            Some(turn) => *turn = now,
            None => {
                inner.turns.insert(name.into(), now);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A reporter that panicked left plain figures behind; they are still worth showing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by the task of one bus.
#[derive(Debug, Clone)]
pub struct BusReporter {
    board: Board,
    name: Box<str>,
}

impl BusReporter {
    /// Changes the figures of this bus.
    pub fn update(&self, change: impl FnOnce(&mut BusStatus)) {
        let mut inner = self.board.lock();
        if let Some(status) = inner.snapshot.buses.get_mut(&self.name) {
            return change(status);
        }
        change(inner.snapshot.buses.entry(self.name.clone()).or_default());
    }

    /// Changes the figures of one meter of this bus.
    pub fn meter(&self, meter: &str, change: impl FnOnce(&mut MeterStatus)) {
        self.update(|bus| match bus.meters.get_mut(meter) {
            Some(status) => change(status),
            None => change(bus.meters.entry(meter.into()).or_default()),
        });
    }

    /// Says that the task's loop turned; to be called at least every ten seconds.
    pub fn turned(&self, now: Instant) {
        self.board.turned(&self.name, now);
    }
}

/// Held by the forwarder.
#[derive(Debug, Clone)]
pub struct UplinkReporter(Board);

impl UplinkReporter {
    /// Changes the figures of the uplink.
    pub fn update(&self, change: impl FnOnce(&mut UplinkStatus)) {
        change(&mut self.0.lock().snapshot.uplink);
    }

    /// Says that the task's loop turned; to be called at least every ten seconds.
    pub fn turned(&self, now: Instant) {
        self.0.turned("(uplink)", now);
    }
}

/// Held by the spool. Its thread may rest for hours, or wait long for a slow card: no reason for the watchdog.
#[derive(Debug, Clone)]
pub struct SpoolReporter(Board);

impl SpoolReporter {
    /// Changes the figures of the spool.
    pub fn update(&self, change: impl FnOnce(&mut SpoolStatus)) {
        change(&mut self.0.lock().snapshot.spool);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_stopped_turning_is_named() {
        let board = Board::new();
        let start = crate::clock::monotonic();
        board.bus("a").turned(start);
        board.uplink().turned(start + Duration::from_secs(20));
        let now = start + Duration::from_secs(31);
        assert_eq!(board.stuck(now, Duration::from_secs(30)), vec![Box::from("a")]);
    }

    #[test]
    fn a_task_that_rests_on_purpose_is_not_stuck() {
        let board = Board::new();
        let start = crate::clock::monotonic();
        board.bus("a").turned(start);
        board.rests("a");
        assert!(board.stuck(start + Duration::from_secs(3600), Duration::from_secs(30)).is_empty());
    }

    #[test]
    fn reports_of_one_bus_do_not_touch_another() {
        let board = Board::new();
        board.bus("a").update(|bus| bus.requests += 1);
        board.bus("b").meter("m", |meter| meter.alive = true);
        let snapshot = board.snapshot();
        assert_eq!(snapshot.buses.get("a").map(|bus| bus.requests), Some(1));
        assert_eq!(snapshot.buses.get("b").map(|bus| bus.requests), Some(0));
    }
}
