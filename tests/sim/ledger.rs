//! What was handed out: an answer after which the daemon's next request on the same wire was seen.
//!
//! Why it counts: a sweep is appended before the next dialogue of its wire starts, so from then on it must never be lost. The last
//! answer before a kill proves nothing, because the daemon may have died while it read it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::watched::Watched;

/// One simulated meter: the name of its line, and its unit.
pub type Source = (String, u8);

#[derive(Debug, Default)]
struct Pages {
    /// By wire: the last answer, not yet followed by a request.
    open: BTreeMap<u64, (Source, u64)>,
    handed_out: BTreeMap<Source, BTreeSet<u64>>,
    wires: u64,
    answers: u64,
}

/// The book of all simulated meters of one test.
#[derive(Debug, Default)]
pub struct Ledger(Watched<Pages>);

impl Ledger {
    /// A new wire (a connection, or a serial port that was opened): nothing on it is followed by anything on another.
    pub fn wire(&self) -> u64 {
        self.0.change(|pages| {
            pages.wires += 1;
            pages.wires
        })
    }

    /// A request came: the answer before it was handed out.
    pub fn asked(&self, wire: u64) {
        self.0.change(|pages| {
            if let Some((source, count)) = pages.open.remove(&wire) {
                pages.handed_out.entry(source).or_default().insert(count);
            }
        });
    }

    /// An answer that holds this count went out.
    pub fn answered(&self, wire: u64, source: Source, count: u64) {
        self.0.change(|pages| {
            pages.open.insert(wire, (source, count));
            pages.answers += 1;
        });
    }

    /// The wire was closed from the other side, or its daemon killed: its last answer stays in doubt.
    pub fn closed(&self, wire: u64) {
        self.0.change(|pages| pages.open.remove(&wire));
    }

    /// All counts handed out until now.
    pub fn handed_out(&self) -> BTreeMap<Source, BTreeSet<u64>> {
        self.0.look(|pages| pages.handed_out.clone())
    }

    /// How many counts were handed out until now.
    pub fn total(&self) -> usize {
        self.0.look(Pages::total)
    }

    /// How many answers with a count went out, handed out or in doubt.
    pub fn answers(&self) -> u64 {
        self.0.look(|pages| pages.answers)
    }

    /// Waits until so many counts were handed out.
    pub fn wait_total(&self, limit: Duration, total: usize) -> bool {
        self.0.wait(limit, |pages| (pages.total() >= total).then_some(())).is_some()
    }
}

impl Pages {
    fn total(&self) -> usize {
        self.handed_out.values().map(BTreeSet::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_was_followed_by_a_request_of_its_wire_was_handed_out() {
        let ledger = Ledger::default();
        let (a, b) = (ledger.wire(), ledger.wire());
        let meter = ("line".to_owned(), 1);
        ledger.asked(a);
        ledger.answered(a, meter.clone(), 1);
        ledger.asked(b);
        assert_eq!(ledger.total(), 0);
        ledger.asked(a);
        assert_eq!(ledger.total(), 1);
        ledger.answered(a, meter.clone(), 2);
        ledger.closed(a);
        ledger.asked(a);
        assert_eq!(ledger.handed_out()[&meter], BTreeSet::from([1]));
    }
}
