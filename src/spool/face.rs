//! The face of the spool: what buses and the forwarder see of it.
//!
//! Always true here: only [`Session::confirm`] with a key deletes; reading never removes; the same key has the same content for
//! ever. Deliberately absent: how anything is stored.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::clock::{self, Clock};
use crate::config::model;
use crate::reading::{Append, Event, Key, Sweep};
use crate::status::SpoolReporter;

use super::core::{Core, Limits};
use super::desk::Desk;
use super::flash;
use super::journal::Journal;
use super::lock::Lock;
use super::places::Places;
use super::replay::Replayed;

/// How long [`Spool::settle`] waits for flash.
const SETTLE: Duration = Duration::from_secs(10);

/// How often [`Spool::keep_time`] says that it is alive.
const TURN: Duration = Duration::from_secs(10);

/// What is stored and acked as one. Never changes once it has its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Names it for ever.
    pub key: Key,
    /// What it holds.
    pub content: Content,
    /// When it was closed by the monotonic clock; `None` when an earlier run closed it, or when it comes from flash.
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

impl Content {
    /// How many readings it holds.
    #[must_use]
    pub fn readings(&self) -> u64 {
        match self {
            Self::Sweeps(sweeps) => sweeps.iter().map(|sweep| sweep.values.len() as u64).sum(),
            Self::Event(_) => 0,
        }
    }

    /// The event or gap, if it is one.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match self {
            Self::Sweeps(_) => None,
            Self::Event(event) => Some(event),
        }
    }
}

/// How much waits for the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Batches, those still open included, and events not acked yet.
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

/// The spool of this process. [`Spool::close`] ends it; clones share it.
#[derive(Clone)]
pub struct Spool(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) desk: Arc<Desk>,
    sessions: AtomicU64,
    places: Places,
    journal_lock: Mutex<Option<Lock>>,
    flash: Mutex<Option<JoinHandle<()>>>,
}

/// What the spool needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[spool]`.
    pub spool: model::Spool,
    /// An open batch closes at this age while the uplink is up.
    pub batch_age: Duration,
    /// Names for events and gaps.
    pub gateway: model::Gateway,
}

impl Spool {
    /// Locks and replays the journal, and opens the store in the background.
    ///
    /// # Errors
    /// Only when another process holds the spool. A directory that cannot be used is trouble that status shows, and is tried again.
    pub fn open(settings: &Settings, clock: Clock, status: SpoolReporter) -> Result<Self, OpenError> {
        Self::open_with(settings, Limits::new(settings.spool.window, settings.batch_age), clock, status)
    }

    pub(super) fn open_with(settings: &Settings, limits: Limits, clock: Clock, status: SpoolReporter) -> Result<Self, OpenError> {
        let Settings { spool, gateway, .. } = settings;
        let places = Places { journal: spool.journal.clone(), spool: spool.path.clone() };
        let mut troubles = Vec::new();
        let spool_lock = places.spool(&mut troubles)?;
        let found = places.journal(&mut troubles)?;
        let (mut journal, replayed, journal_lock) = match found {
            Some((journal, replayed, lock)) => (journal, replayed, Some(lock)),
            None => (Journal::absent(), Replayed::default(), None),
        };
        for trouble in troubles {
            warn!("{trouble}");
        }
        journal.end_files_at(limits.memory / 8);
        let run = super::random_bits() >> 11;
        let core = Core::new(limits, run.max(1), replayed.next_number);
        let names = (gateway.name.clone(), gateway.district.clone());
        let mut gone = replayed.gone.clone();
        let desk = Arc::new(Desk::new(core, journal, replayed, names, clock, status));
        if let Some((other, replayed, _lock)) = places.leftovers() {
            gone.extend(&replayed.gone);
            if desk.absorb(replayed) {
                other.discard();
            }
        }
        let start = flash::Start {
            desk: Arc::clone(&desk),
            directory: spool.path.clone(),
            max_size: spool.max_size,
            lock: spool_lock,
            gone,
        };
        let thread =
            flash::spawn(start).inspect_err(|error| warn!(%error, "no thread for flash; readings stay in the journal")).ok();
        let (journal_lock, flash) = (Mutex::new(journal_lock), Mutex::new(thread));
        Ok(Self(Arc::new(Shared { desk, sessions: AtomicU64::new(1), places, journal_lock, flash })))
    }

    /// The random number of this run, of 53 bits.
    #[must_use]
    pub fn run(&self) -> u64 {
        self.0.desk.run()
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

    /// Closes batches that have come of age, until the spool is closed or its thread has died. Runs on the main runtime.
    pub async fn keep_time(&self) {
        while !self.0.desk.has_ended() {
            self.find_journal();
            let changed = self.0.desk.timer.notified();
            let latest = clock::monotonic() + TURN;
            let next = self.0.desk.close_aged().map_or(latest, |next| next.min(latest));
            // Either way there may be something to close.
            let _either = tokio::time::timeout_at(next.into(), changed).await;
        }
    }

    /// Without a journal, one is looked for again and again; what an earlier run left there is taken up.
    fn find_journal(&self) {
        if self.0.desk.lacks_journal() {
            self.look_for_journal();
        }
    }

    pub(super) fn look_for_journal(&self) {
        if let Ok(Some((journal, replayed, lock))) = self.0.places.journal(&mut Vec::new()) {
            *self.0.journal_lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(lock);
            self.0.desk.adopt(journal, replayed);
        }
    }

    /// Closes the open batches, writes all that is not acked to flash and syncs it, as long as flash takes it within ten seconds.
    /// A flash that is known to be in trouble gets one second.
    /// The outlet goes on serving and confirming.
    pub async fn settle(&self) {
        let desk = &self.0.desk;
        let patience = if desk.has_flash_trouble() { TURN / 10 } else { SETTLE };
        desk.settle();
        let settled = async {
            while !desk.is_settled() {
                desk.settled.notified().await;
            }
        };
        if tokio::time::timeout(patience, settled).await.is_err() {
            warn!("flash did not take everything in time; the rest stands in the journal until the next start");
        }
    }

    /// Ends the flash thread after a last sync of deletions, and frees the locks. Nothing is to be appended after this.
    pub async fn close(self) {
        self.0.desk.shut();
        let thread = take(&self.0.flash);
        if let Some(thread) = thread {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                warn!("the flash thread did not end as it should");
            }
        }
        drop(take(&self.0.journal_lock));
    }
}

#[cfg(test)]
impl Shared {
    /// Waits for the flash thread outside any runtime.
    pub(super) fn join(&self) {
        if let Some(thread) = take(&self.flash) {
            thread.join().unwrap();
        }
    }
}

fn take<T>(place: &Mutex<Option<T>>) -> Option<T> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Append for Spool {
    fn append(&self, sweep: Sweep) {
        self.0.desk.append(sweep);
    }

    fn tell(&self, event: Event) {
        self.0.desk.tell(&event);
    }
}

/// The forwarder's side of the spool.
#[derive(Clone)]
pub struct Outlet(Spool);

impl Outlet {
    /// Begins to offer for a connection that the broker has just accepted: all that is closed by now is backlog, what closes later
    /// is live. At most one session at a time: a new one ends the one before.
    #[must_use]
    pub fn session(&self) -> Session {
        let shared = Arc::clone(&self.0.0);
        let id = shared.sessions.fetch_add(1, Ordering::Relaxed);
        shared.desk.begin(id);
        Session { shared, id }
    }

    /// How much waits.
    #[must_use]
    pub fn depth(&self) -> Depth {
        self.0.0.desk.depth()
    }
}

/// The offers of one connection. Dropping it says that the uplink is down: what was offered and not confirmed is offered again.
pub struct Session {
    shared: Arc<Shared>,
    id: u64,
}

impl Session {
    /// The next batch that was closed since this connection was made, oldest first, each once per session.
    #[must_use]
    pub fn live(&self) -> Option<Arc<Batch>> {
        self.shared.desk.live(self.id)
    }

    /// The next batch that was closed before this connection was made, oldest first, each once per session. `None` also while
    /// flash is being read; [`Session::changed`] wakes when there is more.
    #[must_use]
    pub fn backlog(&self) -> Option<Arc<Batch>> {
        self.shared.desk.backlog(self.id)
    }

    /// Waits until `live` or `backlog` may have something that they did not have before. Never misses a change between calls; one
    /// task waits at a time.
    pub async fn changed(&self) {
        self.shared.desk.offers.notified().await;
    }

    /// The broker has acknowledged every message of this batch: it may go.
    pub fn confirm(&self, key: Key) {
        self.shared.desk.confirm(key);
    }

    /// This batch cannot be sent (its encoding panicked, or three connections ended while it alone was in flight): it is kept
    /// apart, counted and told, and offered again once a day.
    pub fn set_aside(&self, key: Key, why: &str) {
        self.shared.desk.set_aside(key, why);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.desk.end(self.id);
    }
}
