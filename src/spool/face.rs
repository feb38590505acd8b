//! The face of the spool: what buses and the forwarder see of it.
//!
//! Always true here: only [`Session::confirm`] with a key deletes; reading never removes; the same key has the same content for
//! ever. Deliberately absent: how anything is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::clock::{self, Clock};
use crate::config::model;
use crate::reading::{Append, Event, Key, Sweep};
use crate::status::SpoolReporter;

/// What is stored and acked as one. Never changes once it has its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Names it for ever.
    pub key: Key,
    /// What it holds.
    pub content: Content,
    /// When it was closed by the monotonic clock; `None` when a run before this one closed it.
    pub closed: Option<Instant>,
    /// Bytes of its record frame, a measure for pacing.
    pub size: usize,
}

/// What a batch holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Sweeps of one retention class, in a fixed order by meter.
    Sweeps(Vec<Sweep>),
    /// One event or gap.
    Event(Event),
}

/// How much waits for the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Batches and events not acked yet.
    pub batches: u64,
    /// Readings in them.
    pub readings: u64,
}

/// Why the spool cannot be had at all. Everything else is repaired or worked around.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds it: exit 75.
    #[error("the spool {path} is held by another districtd{}", .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Held {
        /// Which directory.
        path: std::path::PathBuf,
        /// The holder as far as its lock file tells.
        pid: Option<u32>,
    },
}

/// The spool of this process. Dropping it after [`Spool::close`] frees the locks.
#[derive(Clone)]
pub struct Spool(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    run: u64,
    seq: u64,
    open: Vec<Sweep>,
    held: BTreeMap<Key, Arc<Batch>>,
    offered: BTreeSet<Key>,
}

impl Spool {
    /// Locks and replays the journal, and opens the store in the background.
    ///
    /// # Errors
    /// Only when another process holds the spool.
    pub fn open(
        _settings: &model::Spool,
        _batch_age: std::time::Duration,
        _gateway: &model::Gateway,
        _clock: Clock,
        _status: SpoolReporter,
    ) -> Result<Self, OpenError> {
        let state = State { run: fastrand::u64(1..1 << 53), ..State::default() };
        Ok(Self(Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() })))
    }

    /// The random number of this run.
    #[must_use]
    pub fn run(&self) -> u64 {
        self.lock().run
    }

    /// What buses and the supervisor append through.
    #[must_use]
    pub fn appender(&self) -> Arc<dyn Append> {
        Arc::new(self.clone())
    }

    /// What the forwarder takes batches from.
    #[must_use]
    pub fn outlet(&self) -> Outlet {
        Outlet(self.clone())
    }

    /// Closes batches that have come of age, until the spool is closed. Runs on the main runtime.
    pub async fn keep_time(&self) {
        std::future::pending::<()>().await;
    }

    /// Closes the open batches, writes all that is not acked to flash and syncs it. The outlet goes on serving and confirming.
    pub async fn settle(&self) {
        self.close_batch();
    }

    /// Ends the flash thread after a last sync of deletions. Nothing is taken after this.
    pub async fn close(self) {}

    fn close_batch(&self) {
        let mut state = self.lock();
        if state.open.is_empty() {
            return;
        }
        state.seq += 1;
        let key = Key { run: state.run, seq: state.seq };
        let sweeps = std::mem::take(&mut state.open);
        let batch = Batch { key, content: Content::Sweeps(sweeps), closed: Some(clock::monotonic()), size: 0 };
        state.held.insert(key, Arc::new(batch));
        self.0.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Append for Spool {
    fn append(&self, sweep: Sweep) {
        self.lock().open.push(sweep);
        self.close_batch();
    }

    fn tell(&self, event: Event) {
        let mut state = self.lock();
        state.seq += 1;
        let key = Key { run: state.run, seq: state.seq };
        let batch = Batch { key, content: Content::Event(event), closed: Some(clock::monotonic()), size: 0 };
        state.held.insert(key, Arc::new(batch));
        self.0.changed.notify_waiters();
    }
}

/// The forwarder's side of the spool.
#[derive(Clone)]
pub struct Outlet(Spool);

impl Outlet {
    /// Begins to offer for a connection that the broker has just accepted: all that is closed by now is backlog, what closes later
    /// is live. At most one session at a time.
    #[must_use]
    pub fn session(&self) -> Session {
        let since = clock::monotonic();
        self.0.lock().offered.clear();
        Session { spool: self.0.clone(), since }
    }

    /// How much waits.
    #[must_use]
    pub fn depth(&self) -> Depth {
        let state = self.0.lock();
        Depth { batches: state.held.len() as u64, readings: 0 }
    }
}

/// The offers of one connection. Dropping it says that the uplink is down: what was offered and not confirmed is offered again.
pub struct Session {
    spool: Spool,
    since: Instant,
}

impl Session {
    /// The next batch that was closed since this connection was made, oldest first, each once per session.
    #[must_use]
    pub fn live(&self) -> Option<Arc<Batch>> {
        self.next(|batch| batch.closed.is_some_and(|closed| closed >= self.since))
    }

    /// The next batch that was closed before this connection was made, oldest first, each once per session. `None` also while
    /// flash is being read; [`Session::changed`] wakes when there is more.
    #[must_use]
    pub fn backlog(&self) -> Option<Arc<Batch>> {
        self.next(|batch| batch.closed.is_none_or(|closed| closed < self.since))
    }

    /// Waits until `live` or `backlog` may have something that they did not have before. Never misses a change between calls.
    pub async fn changed(&self) {
        self.spool.0.changed.notified().await;
    }

    /// The broker has acknowledged every message of this batch: it may go.
    pub fn confirm(&self, key: Key) {
        self.spool.lock().held.remove(&key);
    }

    /// This batch cannot be sent (its encoding panicked, or three connections ended while it alone was in flight): it is kept
    /// apart, counted and told, and offered again once a day.
    pub fn set_aside(&self, key: Key, why: &str) {
        let _ = why;
        self.spool.lock().offered.insert(key);
    }

    fn next(&self, wanted: impl Fn(&Batch) -> bool) -> Option<Arc<Batch>> {
        let mut state = self.spool.lock();
        let found = state.held.values().find(|batch| !state.offered.contains(&batch.key) && wanted(batch)).cloned()?;
        state.offered.insert(found.key);
        Some(found)
    }
}
