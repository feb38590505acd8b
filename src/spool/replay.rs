//! What the frames of a crash journal amount to. Pure.
//!
//! Always true here: a batch that has its boundary keeps key and content exactly, or is not restored under that key at all; what
//! was acked, synced or given up is not restored; a sweep without a boundary is never lost. Deliberately absent: files.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::reading::{Keep, Key, Sweep};

use super::face::Content;
use super::frames::{self, Frame, Known, Wanted};

/// A journal file and how many frames in it are owed to a batch.
pub(super) type Debt = (u64, u32);

/// A sweep that stands in the journal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Loose {
    /// Its number in the journal.
    pub(super) number: u64,
    /// The sweep.
    pub(super) sweep: Sweep,
    /// Bytes of its encoding.
    pub(super) bytes: usize,
    /// The file it stands in; `None` where the journal refused it.
    pub(super) file: Option<u64>,
}

/// A batch, event or gap that stands in the journal and was neither acked nor synced nor given up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// Names it for ever.
    pub(super) key: Key,
    /// Retention class.
    pub(super) keep: Keep,
    /// What it holds.
    pub(super) content: Content,
    /// Bytes of its sweeps' encoding.
    pub(super) bytes: usize,
    /// The numbers of its sweeps in the journal, in its order.
    pub(super) numbers: Vec<u64>,
    /// What the journal keeps for it.
    pub(super) debts: Vec<Debt>,
}

impl Found {
    /// An event or gap that the journal does not hold yet. It is given up last.
    pub(super) fn event(key: Key, content: Content) -> Self {
        Self { key, keep: Keep::Always, content, bytes: 0, numbers: Vec::new(), debts: Vec::new() }
    }
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// With its position and the file that says so.
    Acked(u64, u64),
    Synced,
    GivenUp(u64),
}

/// A batch that must not come back from flash: acked or given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Gone {
    /// Its key.
    pub(super) key: Key,
    /// Where it stands on flash; 0 where that is not known.
    pub(super) position: u64,
    /// The journal file that says so.
    pub(super) file: u64,
}

/// Everything a journal tells.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Replayed {
    /// Batches and events in the order they were closed.
    pub(super) found: Vec<Found>,
    /// Sweeps that no batch was closed over, in the order they were taken.
    pub(super) loose: Vec<Loose>,
    /// What must not come back from flash.
    pub(super) gone: Vec<Gone>,
    /// The next sweep's number.
    pub(super) next_number: u64,
    /// Bytes that belonged to no whole frame.
    pub(super) torn: usize,
    /// Whole frames that could not be used (another release, a missing schema).
    pub(super) unusable: usize,
    /// Batches whose sweeps were not all there.
    pub(super) incomplete: usize,
}

enum Item {
    Batch(Keep, Vec<u64>),
    Event(Content, u64),
}

/// Takes files in order, oldest first: all of them for what is said of batches, then all of them again for the sweeps that are
/// still owed. Most sweeps of a journal are done with, and need not be held to learn that.
#[derive(Default)]
pub(super) struct Replay {
    known: Known,
    done: HashSet<u64>,
    sweeps: BTreeMap<u64, Loose>,
    order: Vec<Key>,
    items: HashMap<Key, Item>,
    fates: HashMap<Key, Fate>,
    sum: Replayed,
}

impl Replay {
    /// Reads what one file says of batches.
    pub(super) fn batches(&mut self, number: u64, bytes: &[u8]) {
        self.sum.torn += self.read(number, bytes, &Wanted::Batches);
    }

    /// What was read of batches is complete: their fates decide which sweeps are wanted.
    pub(super) fn sort(&mut self) {
        for (key, item) in &self.items {
            let Item::Batch(_, numbers) = item else { continue };
            let above = numbers.iter().max().map_or(0, |number| number.saturating_add(1));
            self.sum.next_number = self.sum.next_number.max(above);
            if self.fates.contains_key(key) {
                self.done.extend(numbers);
            }
        }
    }

    /// Reads the sweeps of one file.
    pub(super) fn sweeps(&mut self, number: u64, bytes: &[u8]) {
        let done = std::mem::take(&mut self.done);
        self.read(number, bytes, &Wanted::SweepsBut(&done));
        self.done = done;
    }

    fn read(&mut self, number: u64, bytes: &[u8], wanted: &Wanted<'_>) -> usize {
        let mut known = std::mem::take(&mut self.known);
        let torn = frames::read_all(bytes, wanted, &mut known, |frame| match frame {
            Ok(frame) => self.frame(number, frame),
            Err(_) => self.sum.unusable += 1,
        });
        self.known = known;
        torn
    }

    fn frame(&mut self, file: u64, frame: Frame) {
        match frame {
            Frame::Schema(_) => {}
            Frame::Sweep(number, sweep, bytes) => {
                self.sum.next_number = self.sum.next_number.max(number.saturating_add(1));
                self.sweeps.insert(number, Loose { number, sweep, bytes, file: Some(file) });
            }
            Frame::Boundary(key, keep, numbers) => self.item(key, Item::Batch(keep, numbers)),
            Frame::Event(key, event) => self.item(key, Item::Event(Content::Event(event), file)),
            Frame::Acked(key, position) => {
                self.fates.insert(key, Fate::Acked(position, file));
            }
            Frame::Synced(key, _) => {
                self.fates.entry(key).or_insert(Fate::Synced);
            }
            Frame::GivenUp(key) => {
                self.fates.insert(key, Fate::GivenUp(file));
            }
        }
    }

    fn item(&mut self, key: Key, item: Item) {
        if self.items.insert(key, item).is_none() {
            self.order.push(key);
        }
    }

    /// What is owed after the last file.
    pub(super) fn finish(mut self) -> Replayed {
        for key in std::mem::take(&mut self.order) {
            match self.items.remove(&key) {
                Some(Item::Batch(keep, numbers)) => self.batch(key, keep, &numbers),
                Some(Item::Event(content, file)) if !self.fates.contains_key(&key) => {
                    self.sum.found.push(Found { debts: vec![(file, 1)], ..Found::event(key, content) });
                }
                _ => {}
            }
        }
        self.sum.gone = gone(&self.fates);
        self.sum.loose = self.sweeps.into_values().collect();
        self.sum
    }

    fn batch(&mut self, key: Key, keep: Keep, numbers: &[u64]) {
        if self.fates.contains_key(&key) {
            return;
        }
        if !numbers.iter().all(|number| self.sweeps.contains_key(number)) {
            self.sum.incomplete += 1;
            return;
        }
        let parts: Vec<Loose> = numbers.iter().filter_map(|number| self.sweeps.remove(number)).collect();
        self.sum.found.push(joined(key, keep, parts));
    }
}

/// Makes one batch of sweeps in the order given.
pub(super) fn joined(key: Key, keep: Keep, parts: Vec<Loose>) -> Found {
    let bytes = parts.iter().map(|part| part.bytes).sum();
    let mut debts: Vec<Debt> = Vec::with_capacity(1);
    for file in parts.iter().filter_map(|part| part.file) {
        match debts.iter_mut().find(|debt| debt.0 == file) {
            Some(debt) => debt.1 += 1,
            None => debts.push((file, 1)),
        }
    }
    let numbers = parts.iter().map(|part| part.number).collect();
    let content = Content::Sweeps(parts.into_iter().map(|part| part.sweep).collect());
    Found { key, keep, content, bytes, numbers, debts }
}

fn gone(fates: &HashMap<Key, Fate>) -> Vec<Gone> {
    let mut gone: Vec<_> = fates
        .iter()
        .filter_map(|(key, fate)| match *fate {
            Fate::Acked(position, file) => Some(Gone { key: *key, position, file }),
            Fate::GivenUp(file) => Some(Gone { key: *key, position: 0, file }),
            Fate::Synced => None,
        })
        .collect();
    gone.sort_unstable();
    gone
}
