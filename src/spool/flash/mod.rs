//! The thread that alone touches flash.
//!
//! Always true here, and the order of fsyncs that makes it so:
//! - schemas are synced before the records that need them; records before the journal says *synced*; the mark of a beginning backlog
//!   before that as well;
//! - deletions are flushed each second and synced within a minute, and when the backlog is empty; then the mark; and only then does
//!   the journal let go of the acks that they stand for;
//! - on a healthy gateway nothing is due, and the thread sleeps.
//!
//! Deliberately absent: decisions about batches (`core`), and anybody waiting for this thread, except at the end.

mod open;
mod reading;
mod room;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::{error, warn};

use crate::backoff::Backoff;
use crate::clock;
use crate::reading::{Keep, Key};

use super::ballast::Ballast;
use super::core::{Plan, Removal, Written};
use super::desk::Desk;
use super::face::{Batch, Content};
use super::lock::Lock;
use super::mark::Mark;
use super::record;
use super::replay::Gone;
use super::schemas::Shelf;
use super::store::{Counts, Row, Store, Trouble, Weight};

/// Deletions are synced within this time, and as often the mark names the end of a growing backlog.
const SYNC_EVERY: Duration = Duration::from_secs(60);
/// An empty database whose files are larger than this is replaced by a new one.
const LARGE: u64 = 8 << 20;
/// A database that fails twice within this time is given up as damaged.
const STRIKES_WITHIN: Duration = Duration::from_secs(3600);
/// How often the ballast is tried again.
const BALLAST_EVERY: Duration = Duration::from_secs(10);

/// What the thread begins with.
pub(super) struct Start {
    /// Shared with everybody.
    pub(super) desk: Arc<Desk>,
    /// The spool directory.
    pub(super) directory: PathBuf,
    /// Bound over all files in it.
    pub(super) max_size: u64,
    /// The lock of the directory, when it could be had.
    pub(super) lock: Option<Lock>,
    /// What the journal says is acked, with its place on flash.
    pub(super) gone: Vec<Gone>,
}

/// The state of the thread.
struct Flash {
    desk: Arc<Desk>,
    directory: PathBuf,
    max_size: u64,
    lock: Option<Lock>,
    gone: Vec<Gone>,
    store: Option<Store>,
    shelf: Shelf,
    ballast: Ballast,
    ballast_next: Instant,
    mark: Mark,
    /// When the mark is to name the end of a growing backlog again.
    mark_next: Instant,
    /// Since when deletions wait for their sync.
    dirty: Option<Instant>,
    /// The next position after the last sync of this run; 0 before the first.
    synced_to: u64,
    /// Positions deleted since the mark was written; salvage must not bring them back.
    deleted: Vec<u64>,
    /// When the open database last turned out to be damaged.
    struck: Option<Instant>,
    /// It did so again: it is not to be opened any more.
    condemned: bool,
    /// Up to here the file was searched for what the database lost.
    searched_to: u64,
    /// Records that cannot be read here, since the database was opened.
    skipped: BTreeSet<u64>,
    /// A record that was still there when all seemed to be read.
    looked_at: Option<u64>,
    /// Up to here only billing, events and gaps are left.
    thinned_to: u64,
    retry: Backoff,
    retry_at: Instant,
    bytes_written: u64,
}

/// Starts the thread.
///
/// # Errors
/// When the machine has no thread left.
pub(super) fn spawn(start: Start) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("flash".into()).spawn(move || {
        let desk = Arc::clone(&start.desk);
        let run = std::panic::AssertUnwindSafe(|| Flash::new(start).run());
        if std::panic::catch_unwind(run).is_err() {
            error!("the flash thread panicked; the daemon ends and is started again");
        }
        desk.ended();
    })
}

impl Flash {
    fn new(start: Start) -> Self {
        let Start { desk, directory, max_size, lock, gone } = start;
        let ballast = Ballast::new(&directory, (max_size / 16).min(4 << 20));
        let now = clock::monotonic();
        let seed = desk.run();
        Self {
            desk,
            directory,
            max_size,
            lock,
            gone,
            store: None,
            shelf: Shelf::default(),
            ballast,
            ballast_next: now,
            mark: Mark::default(),
            mark_next: now,
            dirty: None,
            synced_to: 0,
            deleted: Vec::new(),
            struck: None,
            condemned: false,
            searched_to: 0,
            skipped: BTreeSet::new(),
            looked_at: None,
            thinned_to: 0,
            retry: Backoff::new(Duration::from_secs(1), Duration::from_millis(500), Duration::from_secs(60), seed),
            retry_at: now,
            bytes_written: 0,
        }
    }

    fn run(mut self) {
        loop {
            let next = self.turn();
            if self.desk.sleep(next) {
                return self.finish();
            }
        }
    }

    /// Does all that is due; says when to come again of its own accord.
    fn turn(&mut self) -> Option<Instant> {
        let now = clock::monotonic();
        if self.desk.wants_reopening()
            && let Some(store) = self.store.take()
        {
            store.close();
            self.desk.report(super::core::Core::store_gone);
            self.retry_at = now;
        }
        if self.store.is_none() && now >= self.retry_at {
            let opened = self.open();
            self.judge(opened);
        }
        if self.store.is_none() {
            return Some(self.retry_at);
        }
        let accepts = self.has_ballast(now);
        let plan = self.desk.plan(now, accepts);
        let performed = self.perform(plan);
        self.judge(performed);
        self.show();
        let sync = self.dirty.map(|since| since + SYNC_EVERY);
        let ballast = (!accepts).then_some(self.ballast_next);
        let retry = self.store.is_none().then_some(self.retry_at);
        [sync, ballast, retry].into_iter().flatten().min()
    }

    /// New batches are taken only while the ballast stands.
    fn has_ballast(&mut self, now: Instant) -> bool {
        if self.ballast.stands() {
            return true;
        }
        if now < self.ballast_next {
            return false;
        }
        self.ballast_next = now + BALLAST_EVERY;
        match self.ballast.raise() {
            Ok(()) => {
                self.desk.trouble("");
                true
            }
            Err(error) => {
                self.desk.trouble(&format!("no room for the ballast, {}: {error}", self.directory.display()));
                false
            }
        }
    }

    fn judge(&mut self, outcome: Result<(), Trouble>) {
        match outcome {
            Ok(()) if self.store.is_some() => {
                self.retry.reset();
                if self.ballast.stands() {
                    self.desk.trouble("");
                }
            }
            Ok(()) => {}
            Err(trouble) => {
                let trouble = self.believed(trouble);
                self.close_for(&trouble);
            }
        }
    }

    /// The store is closed and opened again: at once where that helps, later where it does not.
    fn close_for(&mut self, trouble: &Trouble) {
        if let Some(store) = self.store.take() {
            store.close();
            self.strike(trouble);
        }
        self.desk.report(super::core::Core::store_gone);
        self.desk.trouble(&format!("{}: {trouble}", self.directory.display()));
        let again_at_once = matches!(trouble, Trouble::Full) && self.ballast.stands();
        if again_at_once {
            self.ballast.release();
            self.ballast_next = clock::monotonic() + BALLAST_EVERY;
        }
        let pause = self.retry.next_delay();
        self.retry_at = clock::monotonic() + if again_at_once { Duration::ZERO } else { pause };
    }

    /// sled answers a full file system with a panic as readily as damage: then nothing is damaged, and nothing is to be moved.
    fn believed(&self, trouble: Trouble) -> Trouble {
        match trouble {
            Trouble::Damaged(_) if self.ballast.is_starved() => Trouble::Full,
            other => other,
        }
    }

    /// Opening again may help once. A database that then fails again is salvaged.
    fn strike(&mut self, trouble: &Trouble) {
        if matches!(trouble, Trouble::Damaged(_)) {
            let now = clock::monotonic();
            self.condemned = self.struck.is_some_and(|struck| now < struck + STRIKES_WITHIN);
            self.struck = Some(now);
        }
    }

    fn perform(&mut self, plan: Plan) -> Result<(), Trouble> {
        self.remove(&plan.remove)?;
        self.set_aside(plan.set_aside)?;
        self.write(&plan.write)?;
        self.sync_deletions_if_due()?;
        plan.read.map_or(Ok(()), |asked| self.read(asked))
    }

    fn remove(&mut self, removals: &[((Row, u64), Removal)]) -> Result<(), Trouble> {
        let Some(store) = self.store.as_mut().filter(|_| !removals.is_empty()) else { return Ok(()) };
        let mut change = store.change();
        for ((row, position), removal) in removals {
            change.remove(*row, *position, removal.weight);
            self.deleted.push(*position);
        }
        store.apply(change)?;
        store.flush()?;
        let now = clock::monotonic();
        self.dirty.get_or_insert(now);
        self.desk.removed(removals, store.counts(), now);
        self.check_emptiness()
    }

    fn set_aside(&mut self, batches: Vec<(Key, u64)>) -> Result<(), Trouble> {
        if batches.is_empty() {
            return Ok(());
        }
        let moved = self.move_aside(&batches);
        if moved.is_err() {
            self.desk.report(|core| core.not_set_aside(batches));
        }
        moved
    }

    fn move_aside(&mut self, batches: &[(Key, u64)]) -> Result<(), Trouble> {
        let Some(store) = self.store.as_mut() else { return Ok(()) };
        let mut change = store.change();
        for (_, position) in batches {
            if let Some(frame) = store.at(Row::Backlog, *position)? {
                change.set_aside(*position, &frame);
            }
        }
        store.apply(change)?;
        store.sync()?;
        let counts = store.counts();
        self.desk.report(|core| core.were_set_aside(counts));
        Ok(())
    }

    fn write(&mut self, batches: &[(Arc<Batch>, Keep)]) -> Result<(), Trouble> {
        if batches.is_empty() {
            return Ok(());
        }
        let written = self.write_synced(batches);
        if written.is_err() {
            self.desk.report(super::core::Core::not_written);
        }
        written
    }

    fn write_synced(&mut self, batches: &[(Arc<Batch>, Keep)]) -> Result<(), Trouble> {
        let sweeps = batches.iter().flat_map(|(batch, _)| match &batch.content {
            Content::Sweeps(sweeps) => sweeps.as_slice(),
            Content::Event(_) => &[],
        });
        self.bytes_written += self.shelf.sync(sweeps.map(|sweep| &sweep.schema))?;
        self.make_room(batches.iter().map(|(batch, _)| batch.size as u64).sum())?;
        let Some(store) = self.store.as_mut() else { return Ok(()) };
        let mut change = store.change();
        let mut written = Vec::with_capacity(batches.len());
        let mut frame = Vec::new();
        for (batch, keep) in batches {
            let position = change.next();
            frame.clear();
            record::put(&mut frame, store.counts().store, position, *keep, batch);
            let weight = Weight { readings: batch.content.readings(), bytes: frame.len() as u64 };
            change.put(position, &frame, weight);
            self.bytes_written += weight.bytes;
            written.push((Written { key: batch.key, position }, weight));
        }
        store.apply(change)?;
        store.sync()?;
        let (counts, first) = (store.counts(), written.first().map_or(0, |(written, _)| written.position));
        self.synced_to = counts.next;
        if !self.mark.held {
            self.put_mark(counts, first)?;
        } else if clock::monotonic() >= self.mark_next {
            self.put_mark(counts, self.mark.lowest)?;
        }
        self.desk.written(&written, counts, clock::monotonic());
        Ok(())
    }

    fn put_mark(&mut self, counts: Counts, lowest: u64) -> Result<(), Trouble> {
        let held = counts.batches > 0;
        let since_ms = if held && self.mark.held { self.mark.since_ms } else { self.desk.now().wall_ms };
        let mark = Mark { store: counts.store, lowest, next: counts.next, held, since_ms };
        self.bytes_written += mark.write(&self.directory)?;
        self.mark = mark;
        self.mark_next = clock::monotonic() + SYNC_EVERY;
        Ok(())
    }

    fn sync_deletions_if_due(&mut self) -> Result<(), Trouble> {
        let (Some(store), Some(since)) = (&self.store, self.dirty) else { return Ok(()) };
        let is_empty = store.counts().batches == 0;
        let late = clock::monotonic() >= since + SYNC_EVERY;
        // Acks that wait for their sync fill the journal.
        let full = self.desk.journal_size() > 4 << 20;
        if is_empty || late || full { self.sync_deletions() } else { Ok(()) }
    }

    fn sync_deletions(&mut self) -> Result<(), Trouble> {
        let Some(store) = &self.store else { return Ok(()) };
        let waiting = self.desk.report(|core| core.unsynced());
        store.sync()?;
        let counts = store.counts();
        let lowest =
            [store.after(Row::Backlog, 0)?, store.after(Row::Aside, 0)?].into_iter().flatten().map(|(position, _)| position);
        let lowest = lowest.min().unwrap_or(counts.next);
        self.put_mark(counts, lowest)?;
        self.deleted.clear();
        self.dirty = None;
        self.desk.deletions_synced(waiting);
        if counts.batches == 0 { self.begin_anew() } else { Ok(()) }
    }

    /// Nothing is held: schemas go, and so does a large file, because sled's never shrinks.
    fn begin_anew(&mut self) -> Result<(), Trouble> {
        self.shelf.clear();
        self.thinned_to = 0;
        if self.database_size() <= LARGE {
            return Ok(());
        }
        if let Some(store) = self.store.take() {
            store.close();
        }
        self.desk.report(super::core::Core::store_gone);
        std::fs::remove_dir_all(self.database())?;
        self.open()
    }

    fn show(&mut self) {
        let written = std::mem::take(&mut self.bytes_written);
        if written > 0 || self.store.is_none() {
            self.desk.figures(open::size_of(&self.directory), written);
        }
    }

    /// The last sync.
    fn finish(&mut self) {
        let removals = self.desk.report(|core| core.all_removals());
        let grown = self.store.as_ref().is_some_and(|store| store.counts().next != self.mark.next);
        let outcome = self.remove(&removals);
        let outcome = outcome.and_then(|()| if grown || self.dirty.is_some() { self.sync_deletions() } else { Ok(()) });
        if let Err(trouble) = outcome {
            warn!(%trouble, "deletions could not be synced at the end; what was acked last may be sent once more");
        }
        if let Some(store) = self.store.take() {
            store.close();
        }
        self.lock = None;
    }
}
