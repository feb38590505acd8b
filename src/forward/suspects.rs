//! Batches that seem to end connections. Pure.
//!
//! Always true here: a batch is suspect when a connection that had acknowledged the birth ended while it was alone in flight. It is
//! set aside after several such ends, but only at one before which the broker had acknowledged another batch on the same
//! connection: a broker or a link that takes nothing sets nothing aside. An acknowledged batch is cleared. Deliberately absent: what
//! "set aside" means.

use std::collections::{BTreeMap, BTreeSet};

use crate::reading::Key;

/// Keys kept in mind at once; the oldest is forgotten, and is blamed from one again.
const MEMORY: usize = 64;

/// How many connections ended while which batch was alone in flight.
#[derive(Debug)]
pub(super) struct Suspects {
    patience: u8,
    ends: BTreeMap<Key, u8>,
}

impl Suspects {
    /// Nothing is suspect; `patience` connections may end over one batch before it is set aside.
    pub(super) fn new(patience: u8) -> Self {
        Self { patience, ends: BTreeMap::new() }
    }

    /// A connection ended while this batch was alone in flight; `proven` says that another one had been acknowledged on it.
    /// Whether the batch is to be set aside now.
    pub(super) fn blame(&mut self, key: Key, proven: bool) -> bool {
        let ends = self.ends.entry(key).or_default();
        *ends = ends.saturating_add(1);
        let enough = *ends >= self.patience && proven;
        if enough {
            self.ends.remove(&key);
        } else if self.ends.len() > MEMORY {
            self.ends.pop_first();
        }
        enough
    }

    /// All that are suspect.
    pub(super) fn keys(&self) -> BTreeSet<Key> {
        self.ends.keys().copied().collect()
    }

    /// This batch was acknowledged.
    pub(super) fn clear(&mut self, key: Key) {
        self.ends.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Key = Key { run: 1, seq: 1 };
    const TWO: Key = Key { run: 1, seq: 2 };

    #[test]
    fn the_third_end_over_one_batch_sets_it_aside() {
        let mut suspects = Suspects::new(3);
        assert!(!suspects.blame(ONE, false));
        assert!(!suspects.blame(TWO, true));
        assert!(!suspects.blame(ONE, true));
        assert!(suspects.blame(ONE, true));
        assert!(!suspects.blame(ONE, true), "a batch that is tried again later has three attempts again");
    }

    #[test]
    fn a_broker_that_takes_nothing_sets_nothing_aside() {
        let mut suspects = Suspects::new(3);
        (0..1000).for_each(|_| assert!(!suspects.blame(ONE, false)));
        assert!(suspects.blame(ONE, true), "until it takes something else");
    }

    #[test]
    fn an_acknowledged_batch_is_not_suspect_any_more() {
        let mut suspects = Suspects::new(3);
        suspects.blame(ONE, true);
        suspects.blame(ONE, true);
        suspects.clear(ONE);
        assert!(!suspects.blame(ONE, true));
        assert_eq!(suspects.keys(), BTreeSet::from([ONE]));
    }

    #[test]
    fn memory_is_bounded() {
        let mut suspects = Suspects::new(3);
        (0..10_000).for_each(|seq| {
            suspects.blame(Key { run: 1, seq }, true);
        });
        assert!(suspects.ends.len() <= MEMORY + 1);
    }
}
