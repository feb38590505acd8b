//! What flash is to do, and what it reports back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::reading::{Keep, Key};

use super::super::face::Batch;
use super::super::replay::Debt;
use super::super::store::{Counts, Row, Weight};
use super::offer::weight_of;
use super::{Ahead, Core, Entry, Place, Unsynced, View};

/// Deletions wait for each other this long.
const REMOVE_EVERY: Duration = Duration::from_secs(1);
/// And not longer than until there are so many.
const REMOVE_AT: usize = 256;
/// Batches that are written between two syncs at most; opening looks back as far for what a crash left unsaid.
pub(in crate::spool) const WRITE_AT_ONCE: usize = 128;
/// Batches that are read ahead of the forwarder.
const READ_AHEAD: usize = 16;
/// Live batches that stay in memory although they stand on flash, while the forwarder is behind.
const LIVE_KEPT: usize = 64;
/// A batch that was set aside is tried again once in this time.
const ASIDE_EVERY: Duration = Duration::from_secs(24 * 3600);
/// The first time after a start: a box that restarts daily tries as well.
const ASIDE_FIRST: Duration = Duration::from_secs(3600);

/// A record that is to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::spool) struct Removal {
    /// Of the batch.
    pub(in crate::spool) key: Key,
    /// What it takes from the counts.
    pub(in crate::spool) weight: Weight,
    /// What the journal keeps until the deletion is synced.
    pub(in crate::spool) debt: Option<Debt>,
}

/// What flash is to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::spool) struct Reading {
    /// For this connection; void when it is gone.
    pub(in crate::spool) session: u64,
    /// Which row.
    pub(in crate::spool) row: Row,
    /// From behind this position.
    pub(in crate::spool) after: u64,
    /// So many records.
    pub(in crate::spool) count: usize,
}

/// What flash is to do now, in this order.
#[derive(Debug, Default)]
pub(in crate::spool) struct Plan {
    /// Records to be deleted.
    pub(in crate::spool) remove: Vec<((Row, u64), Removal)>,
    /// Records to be moved to those set aside.
    pub(in crate::spool) set_aside: Vec<(Key, u64)>,
    /// Batches to be written and synced.
    pub(in crate::spool) write: Vec<(Arc<Batch>, Keep)>,
    /// Records to be read ahead.
    pub(in crate::spool) read: Option<Reading>,
}

/// A batch that stands on flash now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::spool) struct Written {
    /// Its key.
    pub(in crate::spool) key: Key,
    /// Its place.
    pub(in crate::spool) position: u64,
}

/// What opening the store found.
#[derive(Debug, Default)]
pub(in crate::spool) struct Opened {
    /// Records in it.
    pub(in crate::spool) counts: Counts,
    /// Records near its end and those the journal named: key, position, weight.
    pub(in crate::spool) seen: Vec<(Key, u64, Weight)>,
    /// Of the records that were to be deleted, those that are no longer there.
    pub(in crate::spool) absent: Vec<(Row, u64)>,
}

impl Core {
    /// When flash has something to do at the latest; `accepts`: whether it takes new batches.
    pub(in crate::spool) fn deadline(&self, now: Instant, accepts: bool) -> Option<Instant> {
        self.view?;
        let mut waiting = self.held.values().filter(|entry| accepts && entry.is_waiting());
        let due = if self.is_pressed() { waiting.next().map(|_| now) } else { waiting.map(|entry| entry.due).min() };
        let remove = self.first_removal.map(|first| if self.removals.len() >= REMOVE_AT { now } else { first + REMOVE_EVERY });
        let at_once = self.wants_read().is_some() || !self.to_set_aside.is_empty() || (self.settling && due.is_some());
        [due, remove, at_once.then_some(now), self.aside_next.filter(|_| self.has_session())].into_iter().flatten().min()
    }

    /// What is to be done now. What is to be written counts as being written until [`Core::written`] or [`Core::not_written`].
    pub(in crate::spool) fn plan(&mut self, now: Instant, accepts: bool) -> Plan {
        if self.view.is_none() {
            return Plan::default();
        }
        self.begin_aside_round(now);
        let removes = self.first_removal.is_some_and(|first| first + REMOVE_EVERY <= now) || self.removals.len() >= REMOVE_AT;
        let remove =
            if removes || self.settling { self.removals.iter().map(|(at, removal)| (*at, *removal)).collect() } else { vec![] };
        let write = if accepts { self.due(now) } else { Vec::new() };
        Plan { remove, set_aside: std::mem::take(&mut self.to_set_aside), write, read: self.wants_read() }
    }

    /// All deletions at once, for the end.
    pub(in crate::spool) fn all_removals(&self) -> Vec<((Row, u64), Removal)> {
        self.removals.iter().map(|(at, removal)| (*at, *removal)).collect()
    }

    fn due(&mut self, now: Instant) -> Vec<(Arc<Batch>, Keep)> {
        let at_once = self.settling || self.is_pressed();
        let someone = self.held.values().any(|entry| entry.is_waiting() && entry.due <= now);
        let all = at_once || !self.has_session();
        if !someone && !at_once {
            return Vec::new();
        }
        let mut write: Vec<(Arc<Batch>, Keep)> = Vec::new();
        for entry in self.held.values_mut().filter(|entry| entry.is_waiting() && (all || entry.due <= now)).take(WRITE_AT_ONCE) {
            entry.place = Place::Writing;
            write.push((Arc::clone(&entry.batch), entry.keep));
        }
        // What is being written must not grow any more.
        for (batch, _) in &write {
            self.freeze(batch.key);
        }
        write
    }

    /// Memory is filling faster than the window empties it: nothing waits for the end of the window.
    fn is_pressed(&self) -> bool {
        self.sums.weight > self.limits.memory / 4
    }

    /// These batches are synced. Returns what the journal need not keep for them any more.
    pub(in crate::spool) fn written(&mut self, written: &[Written], counts: Counts) -> Vec<Debt> {
        self.set_counts(counts);
        let mut debts = Vec::new();
        for Written { key, position } in written {
            self.place(*key, *position, &mut debts);
        }
        debts
    }

    fn place(&mut self, key: Key, position: u64, debts: &mut Vec<Debt>) {
        let stays = self.lanes.is_some() && self.sums.stored < LIVE_KEPT;
        let since = self.lanes.as_ref().map(|lanes| lanes.since_order);
        let order = self.orders.get(&key).copied();
        let Some(entry) = self.entry(key) else { return };
        let weight = weight_of(&entry.batch);
        debts.append(&mut entry.debts);
        let (offered, aside) = (entry.offered, entry.aside);
        if stays && !offered && !aside && order >= since {
            self.stay(key, position);
            return;
        }
        self.discharge(key);
        if aside {
            self.to_set_aside.push((key, position));
        } else if offered && self.lanes.is_some() {
            self.flight.insert(key, super::Flight { row: Row::Backlog, position, weight });
        }
    }

    /// Memory keeps it although flash has it.
    fn stay(&mut self, key: Key, position: u64) {
        let Some(entry) = self.orders.get(&key).and_then(|order| self.held.get_mut(order)) else { return };
        self.sums.stored(entry);
        entry.place = Place::Stored(position);
        entry.at_risk = false;
    }

    /// Moving these to those set aside failed: to be tried again.
    pub(in crate::spool) fn not_set_aside(&mut self, still: Vec<(Key, u64)>) {
        self.to_set_aside.extend(still);
    }

    /// Of those written, the ones that were acked or given up meanwhile: they are to be deleted at once.
    pub(in crate::spool) fn bury(&mut self, written: &[(Written, Weight)], now: Instant) {
        for (Written { key, position }, weight) in written {
            if let Some(debt) = self.ghosts.remove(key) {
                self.leave(*key, Row::Backlog, *position, *weight, now);
                if let Some(removal) = self.removals.get_mut(&(Row::Backlog, *position)) {
                    removal.debt = debt;
                }
            }
        }
    }

    /// Writing failed: the batches stay in memory, and some may stand on flash all the same.
    pub(in crate::spool) fn not_written(&mut self) {
        for entry in self.held.values_mut().filter(|entry| entry.place == Place::Writing) {
            entry.place = Place::Memory;
            entry.maybe_stored = true;
        }
    }

    /// These records are deleted, though not synced.
    pub(in crate::spool) fn removed(&mut self, removed: &[((Row, u64), Removal)], counts: Counts, now: Instant) {
        self.set_counts(counts);
        for (at, removal) in removed {
            if let Some(debt) = self.forget_removal(*at) {
                self.unsynced.push_back(Unsynced { key: removal.key, position: at.1, debt });
            }
        }
        self.first_removal = if self.removals.is_empty() { None } else { Some(now) };
    }

    /// How many deletions wait for their sync.
    pub(in crate::spool) fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// The oldest `count` deletions are synced. Returns what the journal need not keep any more.
    pub(in crate::spool) fn deletions_synced(&mut self, count: usize) -> Vec<Debt> {
        self.unsynced.drain(..count.min(self.unsynced.len())).map(|unsynced| unsynced.debt).collect()
    }

    fn forget_removal(&mut self, at: (Row, u64)) -> Option<Debt> {
        let removal = self.removals.remove(&at)?;
        self.sums.leaving -= removal.weight.readings;
        removal.debt
    }

    /// These records stand among those set aside now.
    pub(in crate::spool) fn were_set_aside(&mut self, counts: Counts) {
        self.set_counts(counts);
    }

    /// A bound forced records out of the store, told of in it.
    pub(in crate::spool) fn given_up_on_flash(&mut self, readings: u64, counts: Counts) {
        self.totals.given_up += readings;
        self.set_counts(counts);
    }

    /// How many of the positions behind `position` were deleted, going by the counts; `passed` records up to there are not known
    /// here yet.
    pub(in crate::spool) fn deleted_behind(&self, position: u64, passed: usize) -> u64 {
        let counts = self.counts();
        let in_flight = self.flight.values().filter(|flight| flight.row == Row::Backlog).map(|flight| flight.position);
        let leaving = self.removals.keys().filter(|(row, _)| *row == Row::Backlog).map(|(_, position)| *position);
        let ahead = self.ahead.iter().filter(|ahead| ahead.row == Row::Backlog).map(|ahead| ahead.position);
        let stored = self.held.values().filter_map(Entry::position);
        let apart = self.to_set_aside.iter().map(|(_, position)| *position);
        let before = in_flight.chain(leaving).chain(ahead).chain(stored).chain(apart).filter(|at| *at <= position).count() + passed;
        let before = before as u64;
        let left = counts.batches.saturating_sub(counts.aside).saturating_sub(before);
        counts.next.saturating_sub(1).saturating_sub(position).saturating_sub(left)
    }

    /// The store's counts have changed by mending.
    pub(in crate::spool) fn recounted(&mut self, counts: Counts) {
        let before = self.depth().readings;
        self.set_counts(counts);
        self.account(before, true);
    }

    /// Something is left although all was read: reading begins again.
    pub(in crate::spool) fn look_again(&mut self) {
        if let Some(view) = &mut self.view {
            view.cursor = 0;
        }
    }

    /// Whether all that stands on flash should have gone: nothing unread, nothing out, nothing on its way.
    pub(in crate::spool) fn seems_drained(&self) -> bool {
        let out = self.flight.len() + self.ahead.len() + self.removals.len() + self.sums.stored;
        self.has_session() && out == 0 && !self.has_unread()
    }

    /// The store turned out to hold less than it counted; a gap tells of it.
    pub(in crate::spool) fn lost(&mut self, counts: Counts) {
        let before = self.depth().readings;
        self.set_counts(counts);
        self.totals.given_up += before.saturating_sub(self.depth().readings);
    }

    /// Positions that are out or about to be, and must not be given up.
    pub(in crate::spool) fn spoken_for(&self) -> Vec<u64> {
        let removals = self.removals.keys().map(|(_, position)| *position);
        let ahead = self.ahead.iter().map(|ahead| ahead.position);
        let stored = self.held.values().filter_map(Entry::position);
        self.flight.values().map(|flight| flight.position).chain(removals).chain(ahead).chain(stored).collect()
    }

    fn set_counts(&mut self, counts: Counts) {
        self.last_counts = Some(counts);
        if let Some(view) = &mut self.view {
            view.counts = counts;
        }
    }

    /// Whether records on flash wait that this session has not been offered.
    pub(super) fn has_unread(&self) -> bool {
        self.view.is_some_and(|view| view.counts.batches > view.counts.aside && view.cursor + 1 < view.counts.next)
    }

    fn wants_read(&self) -> Option<Reading> {
        let lanes = self.lanes.as_ref()?;
        let view = self.view?;
        if self.ahead.len() > READ_AHEAD / 2 {
            return None;
        }
        let count = READ_AHEAD - self.ahead.len();
        let session = lanes.id;
        if self.has_unread() {
            return Some(Reading { session, row: Row::Backlog, after: view.cursor, count });
        }
        let after = self.aside_cursor?;
        Some(Reading { session, row: Row::Aside, after, count })
    }

    fn begin_aside_round(&mut self, now: Instant) {
        if self.has_session() && self.aside_next.is_some_and(|next| next <= now) {
            self.aside_next = Some(now + ASIDE_EVERY);
            self.aside_cursor = Some(0);
            self.held.values_mut().for_each(|entry| entry.aside = false);
            self.sums.aside = 0;
            if let Some(lanes) = &mut self.lanes {
                lanes.backlog_from = 0;
            }
        }
    }

    /// What was read; `cursor`: up to where, `None`: up to the end.
    pub(in crate::spool) fn read(&mut self, asked: Reading, records: Vec<(u64, Batch)>, cursor: Option<u64>) {
        if self.lanes.as_ref().is_none_or(|lanes| lanes.id != asked.session) {
            return;
        }
        for (position, batch) in records {
            let known = self.orders.contains_key(&batch.key) || self.flight.contains_key(&batch.key);
            if !known && !self.removals.contains_key(&(asked.row, position)) {
                self.freeze(batch.key);
                self.ahead.push_back(Ahead { row: asked.row, position, batch: Arc::new(batch) });
            }
        }
        match asked.row {
            Row::Aside => self.aside_cursor = cursor,
            Row::Backlog => {
                if let Some(view) = &mut self.view {
                    view.cursor = cursor.unwrap_or(view.counts.next.saturating_sub(1));
                }
            }
        }
    }

    /// The store is open. What stands in it under a key that memory holds is that same batch; what was acked does not come back.
    /// Returns what the journal need not keep any more.
    pub(in crate::spool) fn opened(&mut self, opened: &Opened, now: Instant) -> Vec<Debt> {
        let held_before = self.depth().readings;
        let known_before = self.last_counts.is_some();
        self.view = Some(View { counts: opened.counts, cursor: 0 });
        self.last_counts = Some(opened.counts);
        self.aside_next.get_or_insert(now + ASIDE_FIRST);
        let mut debts: Vec<Debt> = opened.absent.iter().filter_map(|at| self.forget_removal(*at)).collect();
        let placed: Vec<(Written, Weight)> =
            opened.seen.iter().map(|(key, position, weight)| (Written { key: *key, position: *position }, *weight)).collect();
        self.bury(&placed, now);
        for (Written { key, position }, _) in placed {
            self.place(key, position, &mut debts);
        }
        debts.extend(self.ghosts.drain().filter_map(|(_, debt)| debt));
        self.held.values_mut().for_each(|entry| entry.maybe_stored = false);
        self.account(held_before, known_before);
        debts
    }

    /// Readings that opening brought to light, or that it could not find again.
    fn account(&mut self, before: u64, known_before: bool) {
        let after = self.depth().readings;
        if known_before && after < before {
            self.totals.given_up += before - after;
        } else {
            self.totals.taken += after.saturating_sub(before);
        }
    }

    /// Whether the store is open.
    #[cfg(test)]
    pub(in crate::spool) fn is_open(&self) -> bool {
        self.view.is_some()
    }

    /// The store is closed, for now.
    pub(in crate::spool) fn store_gone(&mut self) {
        self.not_written();
        self.view = None;
    }

    /// From here on everything is to go to flash at once.
    pub(in crate::spool) fn settle(&mut self) {
        self.settling = true;
    }

    /// Whether everything stands on flash, or is acked.
    pub(in crate::spool) fn is_settled(&self) -> bool {
        self.open.is_empty() && self.held.values().all(|entry| matches!(entry.place, Place::Stored(_)))
    }
}

impl Entry {
    /// What may stand on flash already waits until the store has been compared with the journal.
    fn is_waiting(&self) -> bool {
        self.place == Place::Memory && !self.maybe_stored && !self.unbound
    }

    fn position(&self) -> Option<u64> {
        match self.place {
            Place::Stored(position) => Some(position),
            Place::Memory | Place::Writing => None,
        }
    }
}
