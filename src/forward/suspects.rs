//! Batches that seem to end connections. Pure.
//!
//! Always true here: only a batch that was alone in flight, on a connection that had acknowledged something else, is blamed for its
//! end; the third time it is set aside. An acknowledged batch is cleared. Deliberately absent: what "set aside" means.

use std::collections::BTreeMap;

use crate::reading::Key;

/// So many connections may end over one batch before it is set aside.
const PATIENCE: u8 = 3;

/// Keys kept in mind at once; the oldest is forgotten, and is blamed from one again.
const MEMORY: usize = 64;

/// How many connections ended while which batch was alone in flight.
#[derive(Debug, Default)]
pub(super) struct Suspects(BTreeMap<Key, u8>);

impl Suspects {
    /// A connection ended while this batch was alone in flight: whether it is to be set aside now.
    pub(super) fn blame(&mut self, key: Key) -> bool {
        let ends = self.0.entry(key).or_default();
        *ends += 1;
        let enough = *ends >= PATIENCE;
        if enough {
            self.0.remove(&key);
        } else if self.0.len() > MEMORY {
            self.0.pop_first();
        }
        enough
    }

    /// This batch was acknowledged.
    pub(super) fn clear(&mut self, key: Key) {
        self.0.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Key = Key { run: 1, seq: 1 };
    const TWO: Key = Key { run: 1, seq: 2 };

    #[test]
    fn the_third_end_over_one_batch_sets_it_aside() {
        let mut suspects = Suspects::default();
        assert!(!suspects.blame(ONE));
        assert!(!suspects.blame(TWO));
        assert!(!suspects.blame(ONE));
        assert!(suspects.blame(ONE));
        assert!(!suspects.blame(ONE), "a batch that is tried again later has three attempts again");
    }

    #[test]
    fn an_acknowledged_batch_is_not_suspect_any_more() {
        let mut suspects = Suspects::default();
        suspects.blame(ONE);
        suspects.blame(ONE);
        suspects.clear(ONE);
        assert!(!suspects.blame(ONE));
    }

    #[test]
    fn memory_is_bounded() {
        let mut suspects = Suspects::default();
        (0..10_000).for_each(|seq| {
            suspects.blame(Key { run: 1, seq });
        });
        assert!(suspects.0.len() <= MEMORY + 1);
    }
}
