//! What comes in: sweeps, events, what an earlier run left; and what goes again because a bound forces it out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::reading::{Event, Keep, Key, Stamp, Sweep};

use super::super::face::{Batch, Content};
use super::super::journal::Receipt;
use super::super::record;
use super::super::replay::{self, Debt, Found, Loose, Replayed};
use super::super::retention::{Tally, Turn};
use super::{Core, Entry, Open, Place, weight};

/// A batch that was closed just now; its boundary is to be journalled before anything else happens.
#[derive(Debug, PartialEq)]
pub(in crate::spool) struct Closed {
    /// Its new key.
    pub(in crate::spool) key: Key,
    /// Its class.
    pub(in crate::spool) keep: Keep,
    /// Its sweeps' numbers in the journal, in its order.
    pub(in crate::spool) numbers: Vec<u64>,
}

impl Core {
    /// The class whose open batch cannot take this sweep because it holds sweeps of another gateway.
    pub(in crate::spool) fn must_close_before(&self, sweep: &Sweep) -> Option<Keep> {
        let open = self.open.get(&sweep.schema.keep)?;
        let first = &open.parts.first()?.sweep.schema;
        (first.gateway != sweep.schema.gateway || first.district != sweep.schema.district).then_some(sweep.schema.keep)
    }

    /// The number of the next sweep in the journal.
    pub(in crate::spool) fn next_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Sweeps are numbered from here on, because the journal holds lower numbers.
    pub(in crate::spool) fn skip_numbers(&mut self, next: u64) {
        self.next_number = self.next_number.max(next);
    }

    /// Takes a sweep. `None` for a receipt: the journal refused it. Says whether its batch is to be closed at once.
    pub(in crate::spool) fn take(&mut self, sweep: Sweep, number: u64, receipt: Option<Receipt>, now: Instant) -> bool {
        let readings = sweep.values.len() as u64;
        let bytes = receipt.map_or(0, |receipt| receipt.bytes);
        let keep = sweep.schema.keep;
        self.totals.taken += readings;
        let open = self.open.entry(keep).or_insert_with(|| Open::new(now));
        open.readings += readings;
        open.bytes += bytes;
        open.weight += 96 + 40 * readings;
        open.parts.push(Loose { number, sweep, bytes, file: receipt.map(|receipt| receipt.file) });
        receipt.is_none() || open.readings >= self.limits.readings || open.bytes >= self.limits.bytes
    }

    /// Closes the open batch of a class: from here on it has its key and never changes.
    pub(in crate::spool) fn close(&mut self, keep: Keep, now: Instant) -> Option<Closed> {
        let Open { mut parts, since, .. } = self.open.remove(&keep)?;
        parts.sort_by(|one, other| one.sweep.schema.meter.cmp(&other.sweep.schema.meter));
        let key = self.next_key();
        let numbers = parts.iter().map(|part| part.number).collect();
        let at_risk = parts.iter().any(|part| part.file.is_none());
        let found = replay::joined(key, keep, parts);
        let due = if at_risk { now } else { since + self.limits.write_after() };
        self.admit_found(found, Some(now), due);
        if at_risk {
            self.at_risk_now(key, now);
        }
        Some(Closed { key, keep, numbers })
    }

    fn admit_found(&mut self, found: Found, closed: Option<Instant>, due: Instant) {
        let Found { key, keep, content, bytes, numbers, debts } = found;
        let size = match &content {
            Content::Sweeps(_) => record::size_of_batch(bytes),
            Content::Event(event) => record::size_of_event(event),
        };
        let batch = Batch { key, content, closed, size };
        self.admit(Entry {
            readings: batch.content.readings(),
            weight: weight(&batch.content),
            batch: Arc::new(batch),
            keep,
            numbers,
            debts,
            due,
            place: Place::Memory,
            offered: false,
            aside: false,
            at_risk: false,
            maybe_stored: false,
            unbound: false,
        });
    }

    /// Neither the journal nor flash has this batch whole: it is to be written at once.
    pub(in crate::spool) fn at_risk_now(&mut self, key: Key, now: Instant) {
        let Some(entry) = self.entry(key) else { return };
        entry.due = now;
        if !std::mem::replace(&mut entry.at_risk, true) {
            let readings = entry.readings;
            self.sums.at_risk += readings;
        }
    }

    /// The journal refused the boundary of this batch. Without a sweep in the journal it can go to flash all the same.
    pub(in crate::spool) fn refused(&mut self, key: Key, now: Instant) {
        match self.entry(key) {
            Some(entry) if !entry.debts.is_empty() => entry.unbound = true,
            _ => self.at_risk_now(key, now),
        }
    }

    /// The batches that still want their boundary.
    pub(in crate::spool) fn unbound(&self) -> Vec<Closed> {
        let unbound = self.held.values().filter(|entry| entry.unbound);
        unbound.map(|entry| Closed { key: entry.batch.key, keep: entry.keep, numbers: entry.numbers.clone() }).collect()
    }

    /// The journal has its boundary now.
    pub(in crate::spool) fn bound(&mut self, key: Key) {
        if let Some(entry) = self.entry(key) {
            entry.unbound = false;
        }
        // The lanes may have passed it.
        if let (Some(order), Some(lanes)) = (self.orders.get(&key), &mut self.lanes) {
            lanes.live_from = lanes.live_from.min((*order).max(lanes.since_order));
            lanes.backlog_from = lanes.backlog_from.min(*order);
        }
    }

    /// Takes something to be told, and says under which key.
    pub(in crate::spool) fn tell(&mut self, event: Event, now: Instant) -> Key {
        let key = self.next_key();
        let found = Found::event(key, Content::Event(event));
        let due = now + self.limits.write_after();
        self.admit_found(found, Some(now), due);
        key
    }

    /// The journal holds the event of this key.
    pub(in crate::spool) fn journalled(&mut self, key: Key, debt: Debt) {
        if let Some(entry) = self.entry(key) {
            entry.debts.push(debt);
        }
    }

    /// When the next open batch comes of age.
    pub(in crate::spool) fn close_deadline(&self) -> Option<Instant> {
        self.open.values().map(|open| open.since + self.age_to_close()).min()
    }

    /// The classes whose open batch has come of age.
    pub(in crate::spool) fn aged(&self, now: Instant) -> Vec<Keep> {
        let aged = |open: &Open| open.since + self.age_to_close() <= now;
        self.open.iter().filter(|(_, open)| aged(open)).map(|(keep, _)| *keep).collect()
    }

    /// The classes that have an open batch.
    pub(in crate::spool) fn open_classes(&self) -> Vec<Keep> {
        self.open.keys().copied().collect()
    }

    /// With the uplink down a batch waits for the end of the window, and so do fewer, larger records.
    fn age_to_close(&self) -> std::time::Duration {
        if self.has_session() { self.limits.batch_age } else { self.limits.write_after() }
    }

    /// Takes what an earlier run left in the journal. Sweeps without a boundary become batches of this run.
    pub(in crate::spool) fn restore(&mut self, replayed: Replayed, now: Instant) -> Vec<Closed> {
        let before = self.sums.readings;
        for found in replayed.found {
            let key = found.key;
            self.admit_found(found, None, now);
            if let Some(entry) = self.entry(key) {
                entry.maybe_stored = true;
            }
        }
        self.ghosts.extend(replayed.gone.iter().map(|gone| (gone.key, Some((gone.file, 1)))));
        let closed = self.close_loose(replayed.loose, now);
        self.totals.taken += self.sums.readings - before;
        closed
    }

    fn close_loose(&mut self, loose: Vec<Loose>, now: Instant) -> Vec<Closed> {
        let mut groups: BTreeMap<_, Vec<Loose>> = BTreeMap::new();
        for part in loose {
            let schema = &part.sweep.schema;
            groups.entry((schema.keep, schema.gateway.clone(), schema.district.clone())).or_default().push(part);
        }
        let mut all = Vec::new();
        for ((keep, ..), parts) in groups {
            for parts in self.portions(parts) {
                let since = now.checked_sub(self.limits.window).unwrap_or(now);
                self.open.insert(keep, Open { parts, ..Open::new(since) });
                all.extend(self.close(keep, now));
            }
        }
        all
    }

    /// Cuts sweeps into batches that obey the limits.
    fn portions(&self, parts: Vec<Loose>) -> Vec<Vec<Loose>> {
        let mut portions = Vec::new();
        let (mut portion, mut readings, mut bytes) = (Vec::new(), 0, 0);
        for part in parts {
            readings += part.sweep.values.len() as u64;
            bytes += part.bytes;
            portion.push(part);
            if readings >= self.limits.readings || bytes >= self.limits.bytes {
                portions.push(std::mem::take(&mut portion));
                (readings, bytes) = (0, 0);
            }
        }
        if !portion.is_empty() {
            portions.push(portion);
        }
        portions
    }

    /// How much memory and journal are above their bound.
    pub(in crate::spool) fn excess(&self, journal: u64) -> u64 {
        let open: u64 = self.open.values().map(|open| open.weight).sum();
        (self.sums.weight + open + journal).saturating_sub(self.limits.memory)
    }

    /// Gives up whole batches of memory, oldest first and billing later, until `weight` is freed. What was offered is spared: its
    /// ack may be on the way.
    pub(in crate::spool) fn give_up(&mut self, weight: u64) -> GivenUp {
        let mut given = GivenUp::default();
        let mut freed = 0;
        for turn in [Turn::First, Turn::Second] {
            let victims: Vec<Key> = self.held.values().filter(|entry| entry.can_go(turn)).map(|entry| entry.batch.key).collect();
            for key in victims {
                if freed >= weight {
                    return given;
                }
                freed += self.give_up_one(key, &mut given);
            }
        }
        given
    }

    fn give_up_one(&mut self, key: Key, given: &mut GivenUp) -> u64 {
        let Some(entry) = self.discharge(key) else { return 0 };
        if entry.maybe_stored {
            self.ghosts.insert(key, None);
        }
        self.totals.given_up += entry.readings;
        given.tally.batch(&entry.batch);
        given.keys.push(key);
        let journalled: u64 = entry.debts.iter().map(|debt| u64::from(debt.1)).sum();
        given.debts.extend(entry.debts);
        // What the journal frees with it is not known before its file goes; the encoding is about as long as the record.
        entry.weight + if journalled > 0 { entry.batch.size as u64 } else { 0 }
    }

    /// Takes a gap that tells of what memory gave up; returns nothing new when it only made an earlier one grow.
    pub(in crate::spool) fn tell_gap(&mut self, batch: Batch, now: Instant) {
        let key = batch.key;
        if let Some(entry) = self.entry(key) {
            entry.batch = Arc::new(batch);
            return;
        }
        let due = now + self.limits.window;
        let Batch { content, .. } = batch;
        self.admit_found(Found::event(key, content), Some(now), due);
    }

    /// The stamp of a gap is the moment it is told; this only helps to keep signatures short.
    pub(in crate::spool) fn gaps(&mut self, tally: Tally, why: &str, stamp: Stamp) -> Vec<Batch> {
        tally.gaps(why).into_iter().map(|(names, gap)| self.gap(&names, gap, stamp, false).batch).collect()
    }
}

/// What a bound forced out of memory.
#[derive(Debug, Default)]
pub(in crate::spool) struct GivenUp {
    /// Of the batches.
    pub(in crate::spool) keys: Vec<Key>,
    /// What the journal need not keep for them any more.
    pub(in crate::spool) debts: Vec<Debt>,
    /// What is to be told.
    pub(in crate::spool) tally: Tally,
}

impl Entry {
    fn can_go(&self, turn: Turn) -> bool {
        let mine = if self.keep == Keep::Always { Turn::Second } else { Turn::First };
        let is_event = matches!(self.batch.content, Content::Event(_));
        self.place == Place::Memory && !self.offered && !is_event && mine == turn
    }
}

impl Open {
    fn new(since: Instant) -> Self {
        Self { parts: Vec::new(), readings: 0, bytes: 0, weight: 0, since }
    }
}
