//! What flash asks and reports.

use std::sync::PoisonError;
use std::time::Instant;

use tracing::{info, warn};

use crate::clock;
use crate::reading::{Key, Stamp};

use super::super::core::{Core, Opened, Plan, Reading, Removal, Telling, Written};
use super::super::face::Batch;
use super::super::retention::{Names, Tally};
use super::super::store::{Counts, Row, Weight};
use super::{Desk, State};

impl Desk {
    /// Sleeps until `own`, or until the core has work, or until woken. Says whether flash is to end.
    pub(in crate::spool) fn sleep(&self, own: Option<Instant>) -> bool {
        let mut state = self.lock();
        if state.closing || state.reopen {
            return state.closing;
        }
        let now = clock::monotonic();
        let until = [own, state.core.deadline(now, state.accepts)].into_iter().flatten().min();
        state.asleep_until = until;
        #[cfg(test)]
        {
            state.idle = true;
            self.idle.notify_all();
        }
        let mut state = match until {
            Some(until) => {
                let pause = until.saturating_duration_since(now);
                self.flash.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.flash.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
        #[cfg(test)]
        {
            state.idle = false;
        }
        // Awake: nobody needs to wake it.
        state.asleep_until = Some(clock::monotonic());
        state.closing
    }

    /// What is to be done.
    pub(in crate::spool) fn plan(&self, now: Instant, accepts: bool) -> Plan {
        let mut state = self.lock();
        state.accepts = accepts;
        state.core.plan(now, accepts)
    }

    /// These stand on flash and are synced.
    pub(in crate::spool) fn written(&self, written: &[(Written, Weight)], counts: Counts, now: Instant) {
        let mut state = self.lock();
        let plain: Vec<Written> = written.iter().map(|(written, _)| *written).collect();
        let synced: Vec<(Key, u64)> = plain.iter().map(|written| (written.key, written.position)).collect();
        let noted = state.journal.synced(&synced);
        state.judge(noted);
        state.core.bury(written, now);
        let debts = state.core.written(&plain, counts);
        state.journal.settle(&debts);
        self.after_flash(&state);
    }

    /// These are deleted, though not synced.
    pub(in crate::spool) fn removed(&self, removed: &[((Row, u64), Removal)], counts: Counts, now: Instant) {
        let mut state = self.lock();
        state.core.removed(removed, counts, now);
        self.after_flash(&state);
    }

    /// The oldest `count` deletions are synced.
    pub(in crate::spool) fn deletions_synced(&self, count: usize) {
        let mut state = self.lock();
        let debts = state.core.deletions_synced(count);
        state.journal.settle(&debts);
    }

    /// Records were read.
    pub(in crate::spool) fn read(&self, asked: Reading, records: Vec<(u64, Batch)>, cursor: Option<u64>) {
        let mut state = self.lock();
        state.core.read(asked, records, cursor);
        self.offers.notify_one();
    }

    /// The store is open.
    pub(in crate::spool) fn opened(&self, opened: &Opened, now: Instant) {
        let mut state = self.lock();
        let debts = state.core.opened(opened, now);
        state.journal.settle(&debts);
        self.after_flash(&state);
    }

    /// The gap to be told for what goes from flash.
    pub(in crate::spool) fn telling(&self, tally: Tally, why: &str) -> Vec<Telling> {
        let mut state = self.lock();
        let stamp = self.clock.now();
        tally.gaps(why).into_iter().map(|(names, gap)| state.core.gap(&names, gap, stamp, true)).collect()
    }

    /// Tells, through the journal, of what flash has lost.
    pub(in crate::spool) fn tell_lost(&self, from_ms: i64, readings: Option<u64>) {
        let now = clock::monotonic();
        let mut state = self.lock();
        let mut tally = Tally::default();
        tally.lost(&self.names, (from_ms, self.clock.now().wall_ms), readings);
        self.tell_gaps(&mut state, tally, "damaged", now);
    }

    /// The present moment.
    pub(in crate::spool) fn now(&self) -> Stamp {
        self.clock.now()
    }

    /// Names for what cannot be read.
    pub(in crate::spool) fn names(&self) -> &Names {
        &self.names
    }

    /// Changes the core's view of flash.
    pub(in crate::spool) fn report<T>(&self, change: impl FnOnce(&mut Core) -> T) -> T {
        let mut state = self.lock();
        let answer = change(&mut state.core);
        self.after_flash(&state);
        answer
    }

    fn after_flash(&self, state: &State) {
        self.publish(state);
        self.offers.notify_one();
        self.settled.notify_one();
    }

    /// What is wrong with flash; empty: nothing. Logged when it changes, not at every retry.
    pub(in crate::spool) fn trouble(&self, text: &str) {
        let mut state = self.lock();
        if state.flash_trouble == text {
            return;
        }
        if text.is_empty() {
            info!("the spool on flash works again");
        } else {
            warn!(trouble = text, "the spool on flash cannot be used; readings stay in the journal and in memory until it can");
        }
        text.clone_into(&mut state.flash_trouble);
        self.publish(&state);
    }

    /// Bytes of all files, and bytes written by us since the last call.
    pub(in crate::spool) fn figures(&self, on_flash: u64, written: u64) {
        let mut state = self.lock();
        state.bytes_on_flash = on_flash;
        state.bytes_written += written;
        self.publish(&state);
    }

    /// Bytes of the journal.
    pub(in crate::spool) fn journal_size(&self) -> u64 {
        self.lock().journal.size()
    }

    /// Positions that must not be given up.
    pub(in crate::spool) fn spoken_for(&self) -> Vec<u64> {
        self.lock().core.spoken_for()
    }
}
