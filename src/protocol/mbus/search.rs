//! The search for meters by secondary address: a walk through the digits of their identifications (EN 13757-3, 11.4).
//!
//! A mask that nobody answers is left; one that somebody answers is read; one on which several collide is split by its lowest open
//! digit. The lowest digit goes first because meters of one delivery differ there. Always true here: the walk ends, after `limit`
//! probes at the latest; what could not be told apart is named. Deliberately absent: the wire, and how long a probe takes.

use super::header::Identity;
use super::select::Secondary;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Select with this mask and report [`Heard`].
    Select(Secondary),
    /// Ask the selected slave (address 253) for its values and report who answered.
    Identify(Secondary),
    /// The walk is over.
    Done,
}

/// What came of the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Silence.
    Nothing,
    /// A clean single character: one meter, or several in chorus.
    Ack,
    /// Bytes that make no sense: several at once.
    Collision,
    /// A whole telegram of this meter.
    Meter(Identity),
}

/// Digits that identifications have; A to E only where nobody answers to 0 to 9.
const DECIMAL: u32 = 10;
const HEXADECIMAL: u32 = 15;

/// A mask on which several answered, and how far its digits are tried.
#[derive(Debug, Clone)]
struct Level {
    mask: Secondary,
    shift: u32,
    next: u32,
    answered: bool,
}

/// One search.
#[derive(Debug, Clone)]
pub struct Search {
    levels: Vec<Level>,
    step: Step,
    found: Vec<Secondary>,
    unresolved: Vec<Secondary>,
    probes: u32,
    limit: u32,
}

impl Search {
    /// A search among the meters that match `mask`, which ends after `limit` selections. Thirty meters take about 150.
    pub fn new(mask: Secondary, limit: u32) -> Self {
        let step = if limit == 0 { Step::Done } else { Step::Select(mask) };
        Self { levels: Vec::new(), step, found: Vec::new(), unresolved: Vec::new(), probes: 0, limit }
    }

    /// What to do now.
    pub fn step(&self) -> Step {
        self.step
    }

    /// Reports what came of the step and says what to do next.
    pub fn heard(&mut self, heard: Heard) -> Step {
        self.step = match self.step {
            Step::Select(mask) => self.selected(mask, heard),
            Step::Identify(mask) => self.identified(mask, heard),
            Step::Done => Step::Done,
        };
        self.step
    }

    /// Meters found, each once.
    pub fn found(&self) -> &[Secondary] {
        &self.found
    }

    /// Masks on which somebody answers who could not be told apart: two meters with one identification, or a disturbed line.
    pub fn unresolved(&self) -> &[Secondary] {
        &self.unresolved
    }

    /// Selections so far.
    pub fn probes(&self) -> u32 {
        self.probes
    }

    /// Whether the walk was cut off by its limit.
    pub fn is_cut_off(&self) -> bool {
        self.step == Step::Done && !self.levels.is_empty()
    }

    fn selected(&mut self, mask: Secondary, heard: Heard) -> Step {
        self.probes += 1;
        match heard {
            Heard::Nothing => self.next_digit(),
            Heard::Ack => Step::Identify(mask),
            Heard::Collision | Heard::Meter(_) => self.split(mask),
        }
    }

    /// A meter that does not match was not the one selected: it is not believed.
    fn identified(&mut self, mask: Secondary, heard: Heard) -> Step {
        match heard {
            Heard::Meter(identity) if mask.matches(&identity) => {
                let meter = Secondary::of(&identity);
                if !self.found.contains(&meter) {
                    self.found.push(meter);
                }
                self.answered();
                self.next_digit()
            }
            _ => self.split(mask),
        }
    }

    fn answered(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.answered = true;
        }
    }

    fn split(&mut self, mask: Secondary) -> Step {
        self.answered();
        match mask.lowest_wildcard() {
            Some(shift) => self.levels.push(Level { mask, shift, next: 0, answered: false }),
            None => self.unresolved.push(mask),
        }
        self.next_digit()
    }

    /// The next digit of the deepest level that has one left.
    fn next_digit(&mut self) -> Step {
        while let Some(level) = self.levels.last_mut() {
            let digits = if level.answered && level.next <= DECIMAL { DECIMAL } else { HEXADECIMAL };
            if level.next < digits {
                if self.probes >= self.limit {
                    return Step::Done;
                }
                level.next += 1;
                return Step::Select(level.mask.with_digit(level.shift, level.next - 1));
            }
            if !level.answered {
                self.unresolved.push(level.mask);
            }
            self.levels.pop();
        }
        Step::Done
    }
}
