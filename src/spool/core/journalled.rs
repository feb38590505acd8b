//! What the journal keeps, and for whom.

use std::sync::Arc;

use crate::reading::{Keep, Key};

use super::super::face::Batch;
use super::super::replay::Debt;
use super::{Core, Entry};

/// A batch that keeps a journal file.
#[derive(Debug)]
pub(in crate::spool) struct PinnedBatch {
    /// Its key.
    pub(in crate::spool) key: Key,
    /// Its class.
    pub(in crate::spool) keep: Keep,
    /// The numbers of its sweeps, in its order.
    pub(in crate::spool) numbers: Vec<u64>,
    /// Itself.
    pub(in crate::spool) batch: Arc<Batch>,
}

/// All that keeps a journal file.
#[derive(Debug, Default)]
pub(in crate::spool) struct Pinned {
    /// Batches and events.
    pub(in crate::spool) batches: Vec<PinnedBatch>,
    /// Acks, with their position on flash.
    pub(in crate::spool) acks: Vec<(Key, u64)>,
    /// Sweeps of batches that are open; they cannot be written again.
    open: bool,
}

impl Pinned {
    /// About what writing them again takes.
    pub(in crate::spool) fn bytes(&self) -> u64 {
        const ACK: u64 = 40;
        if self.open {
            return u64::MAX;
        }
        let batches: u64 = self.batches.iter().map(|batch| batch.batch.size as u64 + ACK).sum();
        batches + self.acks.len() as u64 * ACK
    }
}

impl Core {
    /// What keeps this journal file.
    pub(in crate::spool) fn pinned(&self, file: u64) -> Pinned {
        let here = |debt: &Debt| debt.0 == file;
        let batches = self.held.values().filter(|entry| entry.debts.iter().any(here)).map(Entry::pinned).collect();
        let leaving = self.removals.iter().filter_map(|((_, position), removal)| Some((removal.key, *position, removal.debt?)));
        let ghosts = self.ghosts.iter().filter_map(|(key, debt)| Some((*key, 0, (*debt)?)));
        let unsynced = self.unsynced.iter().map(|unsynced| (unsynced.key, unsynced.position, unsynced.debt));
        let acks = leaving.chain(ghosts).chain(unsynced).filter(|(_, _, debt)| here(debt));
        let open = self.open.values().flat_map(|open| &open.parts).any(|part| part.file == Some(file));
        Pinned { batches, acks: acks.map(|(key, position, _)| (key, position)).collect(), open }
    }

    /// A batch was written again: this is what the journal keeps for it now. Returns what it kept before.
    pub(in crate::spool) fn repin(&mut self, key: Key, debts: Vec<Debt>) -> Vec<Debt> {
        match self.entry(key) {
            Some(entry) => std::mem::replace(&mut entry.debts, debts),
            None => debts,
        }
    }

    /// An ack was written again. Returns what the journal kept for it in `file`.
    pub(in crate::spool) fn repin_ack(&mut self, key: Key, file: u64, debt: Debt) -> Vec<Debt> {
        let leaving = self.removals.values_mut().filter(|removal| removal.key == key).filter_map(|removal| removal.debt.as_mut());
        let ghosts = self.ghosts.get_mut(&key).into_iter().filter_map(Option::as_mut);
        let unsynced = self.unsynced.iter_mut().filter(|unsynced| unsynced.key == key).map(|unsynced| &mut unsynced.debt);
        let old = leaving.chain(ghosts).chain(unsynced).find(|old| old.0 == file);
        vec![old.map_or(debt, |old| std::mem::replace(old, debt))]
    }

    /// Bytes that journal and memory together may hold.
    pub(in crate::spool) fn memory(&self) -> u64 {
        self.limits.memory
    }
}

impl Entry {
    fn pinned(&self) -> PinnedBatch {
        PinnedBatch { key: self.batch.key, keep: self.keep, numbers: self.numbers.clone(), batch: Arc::clone(&self.batch) }
    }
}
