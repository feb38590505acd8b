//! What is held and owed, as plain state. Pure: functions of what happened and of `now`; the room's shells carry out what it says.
//!
//! Always true here: taken = acked + held + given up, in readings, after every call. A key is offered at most once per session. A
//! batch leaves only by [`Core::confirm`] or by being given up. Deliberately absent: files, threads, clocks, logs.

mod flash;
mod intake;
mod journalled;
mod offer;

pub(super) use flash::{Opened, Plan, Reading, Removal, WRITE_AT_ONCE, Written};
pub(super) use journalled::{Pinned, PinnedBatch};
pub(super) use offer::Acked;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::reading::{Event, Gap, Keep, Key, Stamp, Told};

use super::face::{Batch, Content, Depth};
use super::replay::{Debt, Loose};
use super::retention::{self, Names};
use super::store::{Counts, Row, Weight};

/// Bounds and times that the core goes by.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// A taken sweep is acked or synced at most this much later.
    pub(super) window: Duration,
    /// An open batch closes at this age while the uplink is up.
    pub(super) batch_age: Duration,
    /// Bytes that journal and memory together may hold.
    pub(super) memory: u64,
    /// Readings at which a batch closes.
    pub(super) readings: u64,
    /// Bytes of record at which a batch closes.
    pub(super) bytes: usize,
}

impl Limits {
    /// The limits of the design for these settings.
    pub(super) fn new(window: Duration, batch_age: Duration) -> Self {
        Self { window, batch_age, memory: 8 << 20, readings: 1000, bytes: 4096 }
    }

    /// When writing begins, from the first sweep on: before the end of the window, because an fsync takes its time.
    fn write_after(&self) -> Duration {
        let lead = (self.window / 4).min(Duration::from_millis(500));
        self.window.saturating_sub(lead)
    }
}

/// Where a batch in memory stands otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nowhere but in the journal.
    Memory,
    /// It is being written at this moment.
    Writing,
    /// On flash, and kept in memory because it is to go out live.
    Stored(u64),
}

/// A batch that memory holds.
#[derive(Debug)]
struct Entry {
    batch: Arc<Batch>,
    keep: Keep,
    readings: u64,
    weight: u64,
    numbers: Vec<u64>,
    debts: Vec<Debt>,
    due: Instant,
    place: Place,
    offered: bool,
    aside: bool,
    at_risk: bool,
    /// A run or an attempt before this one may have left it on flash.
    maybe_stored: bool,
    /// The journal holds its sweeps and has refused its boundary: after a crash they would get another key, so it must not be seen.
    unbound: bool,
}

/// A batch on flash that was offered in this session.
#[derive(Debug, Clone, Copy)]
struct Flight {
    row: Row,
    position: u64,
    weight: Weight,
}

/// An ack that the journal remembers until its deletion is synced.
#[derive(Debug)]
struct Unsynced {
    key: Key,
    position: u64,
    debt: Debt,
}

/// A batch read ahead from flash.
#[derive(Debug)]
struct Ahead {
    row: Row,
    position: u64,
    batch: Arc<Batch>,
}

/// An open batch.
#[derive(Debug)]
struct Open {
    parts: Vec<Loose>,
    readings: u64,
    bytes: usize,
    weight: u64,
    since: Instant,
}

/// One connection of the forwarder.
#[derive(Debug)]
struct Lanes {
    id: u64,
    /// What was closed under a greater number is live.
    since_seq: u64,
    /// The same, by order in memory.
    since_order: u64,
    live_from: u64,
    backlog_from: u64,
}

/// What is known of the store while it is open.
#[derive(Debug, Clone, Copy)]
struct View {
    counts: Counts,
    /// Read up to here, for the session there is.
    cursor: u64,
}

/// A gap that nobody has seen yet, so that it may still grow.
#[derive(Debug)]
struct Growing {
    key: Key,
    names: Names,
    gap: Gap,
    /// `None`: in memory.
    position: Option<(u64, Weight)>,
}

/// Readings, since start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Totals {
    /// Taken, and found at start.
    pub(super) taken: u64,
    /// Acked.
    pub(super) acked: u64,
    /// Given up.
    pub(super) given_up: u64,
}

/// Running sums over the collections, so that no call has to walk through them.
#[derive(Debug, Default)]
struct Sums {
    /// Batches that only memory and journal hold.
    batches: u64,
    /// Readings in them.
    readings: u64,
    /// Of these, readings that the journal refused.
    at_risk: u64,
    /// Batches in memory that stand on flash as well.
    stored: usize,
    /// Batches in memory that are set aside.
    aside: u64,
    /// What all batches in memory weigh.
    weight: u64,
    /// Readings that are still counted on flash and are to be deleted there.
    leaving: u64,
}

impl Sums {
    fn add(&mut self, entry: &Entry) {
        self.batches += 1;
        self.readings += entry.readings;
        self.weight += entry.weight;
    }

    /// Flash has it now.
    fn stored(&mut self, entry: &Entry) {
        self.leave_memory(entry);
        self.stored += 1;
    }

    fn remove(&mut self, entry: &Entry) {
        match entry.place {
            Place::Stored(_) => self.stored -= 1,
            Place::Memory | Place::Writing => self.leave_memory(entry),
        }
        self.aside -= u64::from(entry.aside);
        self.weight -= entry.weight;
    }

    fn leave_memory(&mut self, entry: &Entry) {
        self.batches -= 1;
        self.readings -= entry.readings;
        if entry.at_risk {
            self.at_risk -= entry.readings;
        }
    }
}

/// See the module head.
#[derive(Debug)]
pub(super) struct Core {
    limits: Limits,
    run: u64,
    seq: u64,
    next_number: u64,
    next_order: u64,
    open: BTreeMap<Keep, Open>,
    held: BTreeMap<u64, Entry>,
    orders: HashMap<Key, u64>,
    lanes: Option<Lanes>,
    ahead: VecDeque<Ahead>,
    flight: HashMap<Key, Flight>,
    removals: BTreeMap<(Row, u64), Removal>,
    first_removal: Option<Instant>,
    /// Acked or given up, but maybe on flash at a place that is not known.
    ghosts: HashMap<Key, Option<Debt>>,
    /// Deletions that are done and not synced, oldest first.
    unsynced: VecDeque<Unsynced>,
    to_set_aside: Vec<(Key, u64)>,
    view: Option<View>,
    last_counts: Option<Counts>,
    /// Position up to which those set aside were read in this round; `None` between rounds.
    aside_cursor: Option<u64>,
    aside_next: Option<Instant>,
    growing: Vec<Growing>,
    totals: Totals,
    sums: Sums,
    settling: bool,
}

impl Core {
    /// Nothing taken yet. `next_number` continues the journal's sweeps.
    pub(super) fn new(limits: Limits, run: u64, next_number: u64) -> Self {
        Self {
            limits,
            run,
            seq: 0,
            next_number,
            next_order: 0,
            open: BTreeMap::new(),
            held: BTreeMap::new(),
            orders: HashMap::new(),
            lanes: None,
            ahead: VecDeque::new(),
            flight: HashMap::new(),
            removals: BTreeMap::new(),
            first_removal: None,
            ghosts: HashMap::new(),
            unsynced: VecDeque::new(),
            to_set_aside: Vec::new(),
            view: None,
            last_counts: None,
            aside_cursor: None,
            aside_next: None,
            growing: Vec::new(),
            totals: Totals::default(),
            sums: Sums::default(),
            settling: false,
        }
    }

    /// The random number of this run.
    pub(super) fn run(&self) -> u64 {
        self.run
    }

    /// Readings since start.
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// What waits, in memory and on flash.
    pub(super) fn depth(&self) -> Depth {
        let counts = self.counts();
        let open: u64 = self.open.values().map(|open| open.readings).sum();
        let batches = counts.batches + self.sums.batches + self.open.len() as u64;
        Depth {
            batches: batches.saturating_sub(self.removals.len() as u64),
            readings: (counts.readings + self.sums.readings + open).saturating_sub(self.sums.leaving),
        }
    }

    /// What the store holds as far as is known.
    pub(super) fn counts(&self) -> Counts {
        self.view.map(|view| view.counts).or(self.last_counts).unwrap_or_default()
    }

    /// Batches set aside.
    pub(super) fn aside(&self) -> u64 {
        self.counts().aside + self.sums.aside + self.to_set_aside.len() as u64
    }

    /// Readings that neither the journal nor flash holds.
    pub(super) fn at_risk(&self) -> u64 {
        self.sums.at_risk
    }

    /// Whether the uplink is up.
    pub(super) fn has_session(&self) -> bool {
        self.lanes.is_some()
    }

    fn next_key(&mut self) -> Key {
        self.seq += 1;
        Key { run: self.run, seq: self.seq }
    }

    fn admit(&mut self, entry: Entry) {
        self.next_order += 1;
        self.sums.add(&entry);
        self.orders.insert(entry.batch.key, self.next_order);
        self.held.insert(self.next_order, entry);
    }

    /// Takes an entry out of memory, whatever becomes of it.
    fn discharge(&mut self, key: Key) -> Option<Entry> {
        let order = self.orders.remove(&key)?;
        let entry = self.held.remove(&order)?;
        self.sums.remove(&entry);
        self.growing.retain(|growing| growing.key != key || growing.position.is_some());
        Some(entry)
    }

    fn entry(&mut self, key: Key) -> Option<&mut Entry> {
        self.held.get_mut(self.orders.get(&key)?)
    }

    /// The gap to be told for `more`: one that nobody has seen grows, otherwise a new one begins. Says where the grown one stands.
    pub(super) fn gap(&mut self, names: &Names, more: Gap, stamp: Stamp, stored: bool) -> Telling {
        let fits =
            |growing: &&mut Growing| growing.names == *names && growing.gap.why == more.why && growing.position.is_some() == stored;
        let (key, gap, replaces) = match self.growing.iter_mut().find(fits) {
            Some(growing) => {
                growing.gap = retention::merged(&growing.gap, &more);
                (growing.key, growing.gap.clone(), Some(growing.position))
            }
            None => (self.next_key(), more, None),
        };
        if replaces.is_none() {
            let position = stored.then_some((0, Weight::default()));
            self.growing.push(Growing { key, names: names.clone(), gap: gap.clone(), position });
        }
        let event = Event { gateway: names.0.clone(), district: names.1.clone(), stamp, told: Told::Gap(gap) };
        let batch = Batch { key, size: super::record::size_of_event(&event), content: Content::Event(event), closed: None };
        Telling { batch, replaces: replaces.flatten() }
    }

    /// The gap of this key now stands on flash.
    pub(super) fn gap_stored(&mut self, key: Key, position: u64, weight: Weight) {
        if let Some(growing) = self.growing.iter_mut().find(|growing| growing.key == key) {
            growing.position = Some((position, weight));
        }
    }

    /// A gap that was seen, or could not be written, grows no more.
    pub(super) fn freeze(&mut self, key: Key) {
        self.growing.retain(|growing| growing.key != key);
    }
}

/// A gap to be written.
#[derive(Debug)]
pub(super) struct Telling {
    /// As an event under its key.
    pub(super) batch: Batch,
    /// The record on flash whose place it takes, with its weight.
    pub(super) replaces: Option<(u64, Weight)>,
}

/// Roughly what a batch takes in memory: encoded once in the journal, decoded once here.
fn weight(content: &Content) -> u64 {
    const BATCH: usize = 256;
    const SWEEP: usize = 96;
    const VALUE: usize = 40;
    let bytes = match content {
        Content::Sweeps(sweeps) => sweeps.iter().map(|sweep| SWEEP + VALUE * sweep.values.len()).sum(),
        Content::Event(_) => SWEEP,
    };
    (BATCH + bytes) as u64
}
