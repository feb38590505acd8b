//! The journal's side of the lock: what is written to it when, and what becomes of what it refuses.

use std::sync::Arc;
use std::time::Instant;

use tracing::{info, warn};

use crate::reading::{Event, Keep, Key};

use super::super::core::{Acked, Pinned, PinnedBatch};
use super::super::face::Batch;
use super::super::replay::Replayed;
use super::{ACKS_KEPT, State};

impl State {
    pub(super) fn bind(&mut self, key: Key, keep: Keep, numbers: &[u64], now: Instant) {
        let written = self.journal.boundary(key, keep, numbers);
        if self.judge(written).is_some() {
            self.core.bound(key);
        } else {
            self.core.refused(key, now);
            self.behind = true;
        }
    }

    /// Every sweep under a new number, every key as it was.
    pub(super) fn written_anew(&mut self, mut replayed: Replayed) -> std::io::Result<Replayed> {
        for gone in &mut replayed.gone {
            gone.file = self.journal.acked(gone.key, gone.position, true)?.0;
        }
        for found in &mut replayed.found {
            found.numbers.iter_mut().for_each(|number| *number = self.core.next_number());
            let batch = Batch { key: found.key, content: found.content.clone(), closed: None, size: 0 };
            let (numbers, batch) = (found.numbers.clone(), Arc::new(batch));
            found.debts = self.journal.again(&PinnedBatch { key: found.key, keep: found.keep, numbers, batch })?;
        }
        for loose in &mut replayed.loose {
            loose.number = self.core.next_number();
            loose.file = Some(self.journal.sweep(loose.number, &loose.sweep)?.file);
        }
        Ok(replayed)
    }

    /// Only with its ack in the journal is a batch forgotten there: a boundary without sweeps would look like damage.
    pub(super) fn note_ack(&mut self, key: Key, acked: Acked) {
        let written = self.journal.acked(key, acked.position, acked.owed);
        let Some(debt) = self.judge(written) else {
            // An ack of what stands on flash alone only spares a duplicate after a crash: not worth any amount of memory.
            if !acked.debts.is_empty() || self.acks.len() < ACKS_KEPT {
                self.acks.push((key, acked));
                self.behind = true;
            }
            return;
        };
        if acked.owed && !self.core.remember_ack(key, acked.position, debt) {
            self.journal.settle(&[debt]);
        }
        self.journal.settle(&acked.debts);
    }

    pub(super) fn journal_event(&mut self, key: Key, event: &Event, now: Instant) {
        let written = self.journal.event(key, event);
        match self.judge(written) {
            Some(debt) => self.core.journalled(key, debt),
            None => self.core.at_risk_now(key, now),
        }
    }

    /// A few long-lived batches and acks must not keep a chain of journal files: they are written again, and the files go.
    pub(super) fn carry_over(&mut self) {
        while let Some((file, size)) = self.journal.burden(self.core.memory() / 2) {
            let pinned = self.core.pinned(file);
            if pinned.bytes() > size / 2 || self.carry(&pinned, file).is_err() {
                return;
            }
        }
    }

    pub(super) fn carry(&mut self, pinned: &Pinned, file: u64) -> std::io::Result<()> {
        for batch in &pinned.batches {
            let debts = self.journal.again(batch)?;
            let old = self.core.repin(batch.key, debts);
            self.journal.settle(&old);
        }
        for (key, position) in &pinned.acks {
            let debt = self.journal.acked(*key, *position, true)?;
            let old = self.core.repin_ack(*key, file, debt);
            self.journal.settle(&old);
        }
        Ok(())
    }

    /// Says it once when the journal begins to refuse, and once when it takes frames again.
    pub(super) fn judge<T>(&mut self, written: std::io::Result<T>) -> Option<T> {
        match written {
            Ok(answer) => {
                if !self.journal_trouble.is_empty() {
                    info!("the journal takes readings again");
                    self.journal_trouble.clear();
                }
                Some(answer)
            }
            Err(error) => {
                if self.journal_trouble.is_empty() {
                    warn!(%error, "the journal refuses readings; they go straight to flash and are at risk until they are there");
                    self.journal_trouble = format!("the journal refuses readings: {error}");
                }
                None
            }
        }
    }
}
