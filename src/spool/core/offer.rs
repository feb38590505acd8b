//! What goes out: sessions, the two lanes, acks.

use std::sync::Arc;
use std::time::Instant;

use crate::reading::Key;

use super::super::face::Batch;
use super::super::replay::Debt;
use super::super::store::{Row, Weight};
use super::{Ahead, Core, Entry, Flight, Lanes, Place, Removal};

/// What an ack asks of the journal.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::spool) struct Acked {
    /// Where the batch stands on flash; 0: not there as far as is known.
    pub(in crate::spool) position: u64,
    /// Whether the ack must be remembered until the deletion on flash is.
    pub(in crate::spool) owed: bool,
    /// What the journal need not keep any more once the ack is written.
    pub(in crate::spool) debts: Vec<Debt>,
}

impl Core {
    /// The broker has accepted a connection: all that is closed by now is backlog.
    pub(in crate::spool) fn begin(&mut self, id: u64) {
        self.end_lanes();
        let since_order = self.next_order + 1;
        self.lanes = Some(Lanes { id, since_seq: self.seq, since_order, live_from: since_order, backlog_from: 0 });
    }

    /// This connection is gone: what was offered and not acked is offered again to the next one.
    pub(in crate::spool) fn end(&mut self, id: u64) {
        if self.lanes.as_ref().is_some_and(|lanes| lanes.id == id) {
            self.end_lanes();
        }
    }

    fn end_lanes(&mut self) {
        self.lanes = None;
        self.flight.clear();
        self.ahead.clear();
        if let Some(view) = &mut self.view {
            view.cursor = 0;
        }
        if self.aside_cursor.is_some() {
            self.aside_cursor = Some(0);
        }
        let stored: Vec<Key> =
            self.held.values().filter(|entry| matches!(entry.place, Place::Stored(_))).map(|entry| entry.batch.key).collect();
        for key in stored {
            self.discharge(key);
        }
        self.held.values_mut().for_each(|entry| entry.offered = false);
    }

    /// The next batch closed since the connection was made, oldest first.
    pub(in crate::spool) fn live(&mut self, id: u64) -> Option<Arc<Batch>> {
        let lanes = self.lanes.as_mut().filter(|lanes| lanes.id == id)?;
        let fresh = |entry: &Entry| !entry.offered && !entry.aside && !entry.unbound;
        if let Some((order, entry)) = self.held.range_mut(lanes.live_from..).find(|(_, entry)| fresh(entry)) {
            lanes.live_from = order + 1;
            let batch = Arc::clone(&entry.batch);
            self.offer(batch.key);
            return Some(batch);
        }
        let is_live = self.ahead.front().is_some_and(|ahead| self.is_live(ahead));
        if is_live { self.offer_ahead() } else { None }
    }

    /// The next batch closed before the connection was made, oldest first: flash before memory.
    pub(in crate::spool) fn backlog(&mut self, id: u64) -> Option<Arc<Batch>> {
        self.lanes.as_ref().filter(|lanes| lanes.id == id)?;
        if let Some(front) = self.ahead.front() {
            return if self.is_live(front) { self.backlog_in_memory() } else { self.offer_ahead() };
        }
        if self.has_unread() { None } else { self.backlog_in_memory() }
    }

    fn backlog_in_memory(&mut self) -> Option<Arc<Batch>> {
        let lanes = self.lanes.as_mut()?;
        let fresh = |entry: &Entry| !entry.offered && !entry.aside && !entry.unbound;
        let mut range = self.held.range(lanes.backlog_from..lanes.since_order);
        let (order, entry) = range.find(|(_, entry)| fresh(entry))?;
        lanes.backlog_from = order + 1;
        let batch = Arc::clone(&entry.batch);
        self.offer(batch.key);
        Some(batch)
    }

    fn is_live(&self, ahead: &Ahead) -> bool {
        let key = ahead.batch.key;
        ahead.row == Row::Backlog && key.run == self.run && self.lanes.as_ref().is_some_and(|lanes| key.seq > lanes.since_seq)
    }

    fn offer_ahead(&mut self) -> Option<Arc<Batch>> {
        let Ahead { row, position, batch } = self.ahead.pop_front()?;
        self.flight.insert(batch.key, Flight { row, position, weight: weight_of(&batch) });
        Some(batch)
    }

    /// Somebody has seen it: a gap grows no more, and what stands on flash need not stay in memory as well.
    fn offer(&mut self, key: Key) {
        self.freeze(key);
        let Some(entry) = self.entry(key) else { return };
        entry.offered = true;
        if let Place::Stored(position) = entry.place {
            let weight = weight_of(&entry.batch);
            self.discharge(key);
            self.flight.insert(key, Flight { row: Row::Backlog, position, weight });
        }
    }

    /// The broker has all of it: it goes. `None` for a key that is not out.
    pub(in crate::spool) fn confirm(&mut self, key: Key, now: Instant) -> Option<Acked> {
        if let Some(flight) = self.flight.remove(&key) {
            self.totals.acked += flight.weight.readings;
            self.to_set_aside.retain(|(aside, _)| *aside != key);
            self.leave(key, flight.row, flight.position, flight.weight, now);
            return Some(Acked { position: flight.position, owed: true, debts: Vec::new() });
        }
        let Entry { place, batch, readings, debts, maybe_stored, .. } = self.discharge(key)?;
        self.totals.acked += readings;
        if let Place::Stored(position) = place {
            self.leave(key, Row::Backlog, position, weight_of(&batch), now);
            return Some(Acked { position, owed: true, debts });
        }
        let owed = place == Place::Writing || maybe_stored;
        if owed {
            self.ghosts.insert(key, None);
        }
        Some(Acked { position: 0, owed, debts })
    }

    /// The journal owes the memory of this ack until its deletion on flash is synced. `false`: that has happened already.
    pub(in crate::spool) fn remember_ack(&mut self, key: Key, position: u64, debt: Debt) -> bool {
        if let Some(ghost) = self.ghosts.get_mut(&key) {
            *ghost = Some(debt);
            return true;
        }
        let at = [(Row::Backlog, position), (Row::Aside, position)].into_iter().find(|at| self.removals.contains_key(at));
        let Some(removal) = at.and_then(|at| self.removals.get_mut(&at)) else { return false };
        removal.debt = Some(debt);
        true
    }

    pub(super) fn leave(&mut self, key: Key, row: Row, position: u64, weight: Weight, now: Instant) {
        self.first_removal.get_or_insert(now);
        self.sums.leaving += weight.readings;
        self.removals.insert((row, position), Removal { key, weight, debt: None });
    }

    /// Keeps a batch apart until tomorrow.
    pub(in crate::spool) fn set_aside(&mut self, key: Key) -> bool {
        if let Some(flight) = self.flight.remove(&key) {
            if flight.row == Row::Backlog {
                self.to_set_aside.push((key, flight.position));
            }
            return true;
        }
        let Some(entry) = self.entry(key) else { return false };
        if !std::mem::replace(&mut entry.aside, true) {
            self.sums.aside += 1;
        }
        true
    }
}

pub(super) fn weight_of(batch: &Batch) -> Weight {
    Weight { readings: batch.content.readings(), bytes: batch.size as u64 }
}
