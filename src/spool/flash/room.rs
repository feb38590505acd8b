//! Keeping `max-size`: the oldest records go, told of in the same change of the database.

use std::collections::HashSet;

use super::super::face::Batch;
use super::super::record::{self, Label};
use super::super::retention::{self, Tally, Turn};
use super::super::store::{Row, Store, Trouble, Weight};
use super::Flash;
use crate::reading::{Keep, Key};

/// Records given up in one change of the database.
const AT_ONCE: usize = 512;

/// Records looked at for one turn; the next time looking goes on from there.
const LOOKED_AT: usize = 1024;

/// What is chosen to go.
#[derive(Default)]
struct Victims {
    records: Vec<(u64, Weight)>,
    bytes: u64,
    tally: Tally,
}

impl Flash {
    /// Gives up the oldest records until `incoming` bytes fit.
    pub(super) fn make_room(&mut self, incoming: u64) -> Result<(), Trouble> {
        let limit = retention::live_limit(self.max_size, super::open::size_of(&self.directory));
        loop {
            let Some(store) = &self.store else { return Ok(()) };
            let above = (store.counts().bytes + incoming).saturating_sub(limit);
            if above == 0 {
                return Ok(());
            }
            let victims = self.choose(above + retention::step(limit))?;
            if victims.records.is_empty() {
                return Ok(());
            }
            self.give_up(victims)?;
        }
    }

    fn choose(&mut self, bytes: u64) -> Result<Victims, Trouble> {
        let spared: HashSet<u64> = self.desk.spoken_for().into_iter().collect();
        let mut victims = Victims::default();
        for turn in [Turn::First, Turn::Second, Turn::Last] {
            let mut position = if turn == Turn::First { self.thinned_to } else { 0 };
            // Where billing is all there is, looking for the rest would read the whole tree into memory.
            for _ in 0..LOOKED_AT {
                if victims.bytes >= bytes || victims.records.len() >= AT_ONCE {
                    break;
                }
                let Some(store) = &self.store else { return Ok(victims) };
                let Some((at, frame)) = store.after(Row::Backlog, position)? else { break };
                position = at;
                if !spared.contains(&at) {
                    self.consider(turn, at, &frame, &mut victims);
                }
            }
            if turn == Turn::First {
                self.thinned_to = position;
            }
            if !victims.records.is_empty() {
                break;
            }
        }
        Ok(victims)
    }

    fn consider(&self, turn: Turn, position: u64, frame: &[u8], victims: &mut Victims) {
        let parsed = record::parse(frame);
        let label: Option<Label> = parsed.and_then(|frame| frame.label()).ok();
        if retention::turn(label.as_ref()) != turn {
            return;
        }
        match parsed.and_then(|frame| frame.batch(&|id| self.shelf.get(id))) {
            Ok(batch) => victims.tally.batch(&batch),
            Err(_) => victims.tally.lost(self.desk.names(), (self.mark.since_ms, self.desk.now().wall_ms), None),
        }
        let weight = Weight { readings: label.map_or(0, |label| u64::from(label.readings)), bytes: frame.len() as u64 };
        victims.bytes += weight.bytes;
        victims.records.push((position, weight));
    }

    /// Deletes what was chosen and writes what is to be told of it, together.
    fn give_up(&mut self, victims: Victims) -> Result<(), Trouble> {
        let Some(store) = self.store.as_mut() else { return Ok(()) };
        let mut change = store.change();
        let mut readings = 0;
        for (position, weight) in &victims.records {
            change.remove(Row::Backlog, *position, *weight);
            self.deleted.push(*position);
            readings += weight.readings;
        }
        let mut told: Vec<(Key, u64, Weight)> = Vec::new();
        for telling in self.desk.telling(victims.tally, "max-size") {
            let position = telling.replaces.map_or(change.next(), |(position, _)| position);
            let (frame, weight) = framed(store, position, &telling.batch);
            match telling.replaces {
                Some((_, before)) => change.replace(position, &frame, before, weight),
                None => change.put(position, &frame, weight),
            }
            told.push((telling.batch.key, position, weight));
        }
        let applied = store.apply(change);
        let counts = store.counts();
        self.desk.report(|core| match &applied {
            Ok(()) => {
                for (key, position, weight) in &told {
                    core.gap_stored(*key, *position, *weight);
                }
                core.given_up_on_flash(readings, counts);
            }
            Err(_) => {
                for (key, ..) in &told {
                    core.freeze(*key);
                }
            }
        });
        applied
    }
}

fn framed(store: &Store, position: u64, batch: &Batch) -> (Vec<u8>, Weight) {
    let mut frame = Vec::new();
    record::put(&mut frame, store.counts().store, position, Keep::Always, batch);
    let weight = Weight { readings: 0, bytes: frame.len() as u64 };
    (frame, weight)
}
