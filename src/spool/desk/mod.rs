//! The one lock: what the core decides is journalled here before anybody sees it.
//!
//! Always true here: a boundary stands in the journal before its batch is offered or written; an ack stands in the journal before
//! its batch is forgotten; whoever waits is woken after the change, never before. The lock is held for memory and tmpfs only.
//! Deliberately absent: flash.

mod flash;
mod journalling;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tracing::{info, warn};

use crate::clock::{self, Clock};
use crate::reading::{Event, Keep, Key, Sweep, Told};
use crate::status::SpoolReporter;

use super::core::{Acked, Core};
use super::face::{Batch, Depth};
use super::journal::Journal;
use super::replay::Replayed;
use super::retention::{Names, Tally};

/// Acks of batches on flash that wait for a journal that refuses them.
const ACKS_KEPT: usize = 4096;
/// How often a missing journal is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// State and who waits for it.
pub(super) struct Desk {
    state: Mutex<State>,
    clock: Clock,
    names: Names,
    status: SpoolReporter,
    /// Wakes the forwarder.
    pub(super) offers: Notify,
    /// Wakes whoever closes batches in time.
    pub(super) timer: Notify,
    /// Wakes whoever waits for everything to stand on flash, or for the end.
    pub(super) settled: Notify,
    flash: Condvar,
    #[cfg(test)]
    idle: Condvar,
}

/// Behind the lock.
pub(super) struct State {
    pub(super) core: Core,
    journal: Journal,
    /// What is wrong with the journal; empty: nothing.
    journal_trouble: String,
    flash_trouble: String,
    bytes_on_flash: u64,
    bytes_written: u64,
    /// Until when flash sleeps; `None`: until woken.
    asleep_until: Option<Instant>,
    /// Whether flash takes new batches.
    accepts: bool,
    /// The journal has refused a boundary or an ack, which is to be written yet.
    behind: bool,
    /// Acks that it refused.
    acks: Vec<(Key, Acked)>,
    /// Flash is to compare its store with the journal anew.
    reopen: bool,
    /// When a journal was last looked for.
    looked: Instant,
    closing: bool,
    ended: bool,
    /// Whether flash sleeps, so that its files are between two steps.
    #[cfg(test)]
    idle: bool,
}

impl Desk {
    /// Takes what the journal held.
    pub(super) fn new(core: Core, journal: Journal, replayed: Replayed, names: Names, clock: Clock, status: SpoolReporter) -> Self {
        let state = State {
            core,
            journal,
            journal_trouble: String::new(),
            flash_trouble: String::new(),
            bytes_on_flash: 0,
            bytes_written: 0,
            asleep_until: None,
            accepts: true,
            behind: false,
            acks: Vec::new(),
            reopen: false,
            looked: clock::monotonic(),
            closing: false,
            ended: false,
            #[cfg(test)]
            idle: false,
        };
        let (offers, timer, settled) = (Notify::new(), Notify::new(), Notify::new());
        let desk = Self {
            state: Mutex::new(state),
            clock,
            names,
            status,
            offers,
            timer,
            settled,
            flash: Condvar::new(),
            #[cfg(test)]
            idle: Condvar::new(),
        };
        desk.restore(&mut desk.lock(), replayed);
        desk
    }

    /// Writes what another journal held into this one, and takes it. `false`: this one refused a part, so the other must stay.
    pub(super) fn absorb(&self, replayed: Replayed) -> bool {
        let mut state = self.lock();
        let Ok(replayed) = state.written_anew(replayed) else { return false };
        self.restore(&mut state, replayed);
        true
    }

    /// Whether it is time to look for a journal, because there is none.
    pub(super) fn lacks_journal(&self) -> bool {
        let now = clock::monotonic();
        let mut state = self.lock();
        let due = state.journal.is_absent() && now >= state.looked + LOOK_EVERY;
        if due {
            state.looked = now;
        }
        due
    }

    /// There is a journal now.
    pub(super) fn adopt(&self, mut journal: Journal, replayed: Replayed) {
        let mut state = self.lock();
        journal.end_files_at(state.core.memory() / 8);
        state.journal = journal;
        state.core.skip_numbers(replayed.next_number);
        self.restore(&mut state, replayed);
        state.reopen = true;
        self.flash.notify_one();
    }

    fn restore(&self, state: &mut State, replayed: Replayed) {
        let now = clock::monotonic();
        let damaged = replayed.incomplete + replayed.unusable;
        let (batches, loose) = (replayed.found.len(), replayed.loose.len());
        for closed in state.core.restore(replayed, now) {
            state.bind(closed.key, closed.keep, &closed.numbers, now);
        }
        if batches + loose > 0 {
            info!(batches, sweeps = loose, "the journal of an earlier run holds readings that were not sent; they go out now");
        }
        if damaged > 0 {
            warn!(damaged, "frames of the journal cannot be used; the readings in them are told as a gap");
            let stamp = self.clock.now();
            let mut tally = Tally::default();
            tally.lost(&self.names, (stamp.wall_ms, stamp.wall_ms), None);
            self.tell_gaps(state, tally, "damaged", now);
        }
        self.publish(state);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // The core is whole after every call into it; a panic elsewhere leaves nothing half done that matters more than readings.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a sweep; when this returns it stands in the journal, or flash has been woken for it.
    pub(super) fn append(&self, sweep: Sweep) {
        let now = clock::monotonic();
        let mut state = self.lock();
        self.catch_up(&mut state, now);
        let deadline = state.core.close_deadline();
        if let Some(keep) = state.core.must_close_before(&sweep) {
            self.close(&mut state, keep, now);
        }
        let number = state.core.next_number();
        let keep = sweep.schema.keep;
        let written = state.journal.sweep(number, &sweep);
        let receipt = state.judge(written);
        if receipt.is_none() {
            // What the journal holds and what it refuses never share a batch: only one of them survives a crash.
            self.close(&mut state, keep, now);
        }
        if state.core.take(sweep, number, receipt, now) {
            self.close(&mut state, keep, now);
        }
        self.keep_bound(&mut state, now);
        if state.core.close_deadline() != deadline {
            self.timer.notify_one();
        }
        self.publish(&state);
    }

    /// Takes something to be told.
    pub(super) fn tell(&self, event: &Event) {
        let now = clock::monotonic();
        let mut state = self.lock();
        self.tell_event(&mut state, event, now);
        self.publish(&state);
    }

    fn tell_event(&self, state: &mut State, event: &Event, now: Instant) {
        let key = state.core.tell(event.clone(), now);
        state.journal_event(key, event, now);
        self.wake(state, now);
    }

    fn notice(&self, state: &mut State, code: &str, text: String, now: Instant) {
        let told = Told::Notice { code: code.into(), text: text.into() };
        let (gateway, district) = self.names.clone();
        self.tell_event(state, &Event { gateway, district, stamp: self.clock.now(), told }, now);
    }

    fn close(&self, state: &mut State, keep: Keep, now: Instant) {
        let Some(closed) = state.core.close(keep, now) else { return };
        state.bind(closed.key, closed.keep, &closed.numbers, now);
        self.wake(state, now);
    }

    /// Writes what the journal has refused before: boundaries, and acks whose batches it must not forget without them.
    fn catch_up(&self, state: &mut State, now: Instant) {
        if !state.behind {
            return;
        }
        state.behind = false;
        for closed in state.core.unbound() {
            state.bind(closed.key, closed.keep, &closed.numbers, now);
        }
        for (key, acked) in std::mem::take(&mut state.acks) {
            state.note_ack(key, acked);
        }
        self.wake(state, now);
    }

    /// Wakes the forwarder, and flash where it would sleep too long.
    fn wake(&self, state: &State, now: Instant) {
        if state.core.has_session() {
            self.offers.notify_one();
        }
        let Some(deadline) = state.core.deadline(now, state.accepts) else { return };
        if state.asleep_until.is_none_or(|until| deadline < until) {
            self.flash.notify_one();
        }
    }

    /// Closes what has come of age; says when to come again.
    pub(super) fn close_aged(&self) -> Option<Instant> {
        let now = clock::monotonic();
        let mut state = self.lock();
        self.catch_up(&mut state, now);
        for keep in state.core.aged(now) {
            self.close(&mut state, keep, now);
        }
        state.core.close_deadline()
    }

    /// Journal and memory have one bound.
    fn keep_bound(&self, state: &mut State, now: Instant) {
        state.carry_over();
        let excess = state.core.excess(state.journal.size());
        if excess == 0 {
            return;
        }
        // A little more at once, so that a full memory is not trimmed sweep by sweep.
        let given = state.core.give_up(excess + (256 << 10));
        if given.keys.is_empty() {
            return;
        }
        // The gap first: a crash between the two tells too much rather than too little.
        self.tell_gaps(state, given.tally, "journal-full", now);
        for key in given.keys {
            let written = state.journal.given_up(key);
            state.judge(written);
        }
        state.journal.settle(&given.debts);
    }

    fn tell_gaps(&self, state: &mut State, tally: Tally, why: &str, now: Instant) {
        for batch in state.core.gaps(tally, why, self.clock.now()) {
            let key = batch.key;
            let event = batch.content.event().cloned();
            state.core.tell_gap(batch, now);
            if let Some(event) = event {
                state.journal_event(key, &event, now);
            }
        }
        self.wake(state, now);
    }

    /// Begins to offer.
    pub(super) fn begin(&self, id: u64) {
        let now = clock::monotonic();
        let mut state = self.lock();
        state.core.begin(id);
        self.wake(&state, now);
        self.timer.notify_one();
    }

    /// The uplink is down.
    pub(super) fn end(&self, id: u64) {
        let now = clock::monotonic();
        let mut state = self.lock();
        state.core.end(id);
        self.wake(&state, now);
        self.timer.notify_one();
    }

    /// The next live batch.
    pub(super) fn live(&self, id: u64) -> Option<Arc<Batch>> {
        let now = clock::monotonic();
        let mut state = self.lock();
        let batch = state.core.live(id);
        self.wake_flash(&state, now);
        batch
    }

    /// The next batch of the backlog.
    pub(super) fn backlog(&self, id: u64) -> Option<Arc<Batch>> {
        let now = clock::monotonic();
        let mut state = self.lock();
        let batch = state.core.backlog(id);
        self.wake_flash(&state, now);
        batch
    }

    fn wake_flash(&self, state: &State, now: Instant) {
        let Some(deadline) = state.core.deadline(now, state.accepts) else { return };
        if state.asleep_until.is_none_or(|until| deadline < until) {
            self.flash.notify_one();
        }
    }

    /// The broker has it.
    pub(super) fn confirm(&self, key: Key) {
        let now = clock::monotonic();
        let mut state = self.lock();
        let Some(acked) = state.core.confirm(key, now) else { return };
        state.note_ack(key, acked);
        self.wake_flash(&state, now);
        self.publish(&state);
        self.settled.notify_one();
    }

    /// Keeps a batch apart, and tells.
    pub(super) fn set_aside(&self, key: Key, why: &str) {
        let now = clock::monotonic();
        let mut state = self.lock();
        if !state.core.set_aside(key) {
            return;
        }
        warn!(%key, why, "a batch cannot be sent; it is kept apart and tried again once a day");
        self.notice(&mut state, "batch-set-aside", format!("batch {key} is kept apart: {why}"), now);
        self.publish(&state);
    }

    /// How much waits.
    pub(super) fn depth(&self) -> Depth {
        self.lock().core.depth()
    }

    /// The random number of this run.
    pub(super) fn run(&self) -> u64 {
        self.lock().core.run()
    }

    /// Closes all open batches and wants everything on flash.
    pub(super) fn settle(&self) {
        let now = clock::monotonic();
        let mut state = self.lock();
        for keep in state.core.open_classes() {
            self.close(&mut state, keep, now);
        }
        state.core.settle();
        self.flash.notify_one();
    }

    /// Whether everything stands on flash.
    pub(super) fn is_settled(&self) -> bool {
        let state = self.lock();
        state.ended || state.core.is_settled()
    }

    /// Whether flash is known not to work.
    pub(super) fn has_flash_trouble(&self) -> bool {
        !self.lock().flash_trouble.is_empty()
    }

    /// Whether the store is to be compared with the journal anew.
    pub(super) fn wants_reopening(&self) -> bool {
        std::mem::take(&mut self.lock().reopen)
    }

    /// Flash is to end.
    pub(super) fn shut(&self) {
        self.lock().closing = true;
        self.flash.notify_one();
    }

    /// Whether flash has ended, however.
    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Says that flash has ended.
    pub(super) fn ended(&self) {
        let mut state = self.lock();
        state.ended = true;
        if state.closing {
            state.journal.end();
        }
        drop(state);
        self.timer.notify_one();
        self.settled.notify_one();
    }

    fn publish(&self, state: &State) {
        let (totals, depth, counts) = (state.core.totals(), state.core.depth(), state.core.counts());
        self.status.update(|status| {
            status.taken = totals.taken;
            status.acked = totals.acked;
            status.held = depth.readings;
            status.given_up = totals.given_up;
            status.at_risk = state.core.at_risk();
            status.batches_on_flash = counts.batches;
            status.bytes_on_flash = state.bytes_on_flash;
            status.bytes_written = state.bytes_written;
            status.set_aside = state.core.aside();
            let trouble = if state.flash_trouble.is_empty() { &state.journal_trouble } else { &state.flash_trouble };
            if status.trouble != *trouble {
                status.trouble.clone_from(trouble);
            }
        });
    }
}

/// What only tests do.
#[cfg(test)]
impl Desk {
    /// Looks at the files while flash is between two steps and nobody can append: what a kill at this moment leaves.
    pub(super) fn while_idle(&self, look: impl FnOnce()) {
        let state = self.lock();
        let _idle = self.idle.wait_while(state, |state| !state.idle).unwrap();
        look();
    }

    /// The journal refuses everything, as a full tmpfs does, or no more.
    pub(super) fn refuse(&self, refuses: bool) {
        self.lock().journal.refuse(refuses);
    }

    /// Waits until flash has read all that the session there is may have.
    pub(super) fn until_read(&self) {
        let state = self.lock();
        let reading = |state: &mut State| {
            let now = clock::monotonic();
            !state.idle || state.core.deadline(now, true).is_some_and(|due| due <= now)
        };
        let _read = self.idle.wait_while(state, reading).unwrap();
    }

    /// Closes the open batches now.
    pub(super) fn close_now(&self) {
        let now = clock::monotonic();
        let mut state = self.lock();
        for keep in state.core.open_classes() {
            self.close(&mut state, keep, now);
        }
        self.publish(&state);
    }
}
