//! Which answers of which meter may still be under way, and how to find out. Pure; the heart of "no wrong value, ever" on RTU.
//!
//! An RTU answer names its unit, its function and its length, and nothing else: no address, no number. So every request that went
//! out without a proper answer leaves a *doubt*: an answer of that shape may still come. Always true here:
//! - A request is sent for its values only while no answer of its shape is in doubt for that unit. Otherwise a *canary* of another
//!   shape goes first, and its values are thrown away.
//! - A slave answers in the order it was asked, so an answer whose shape was not in doubt proves that all earlier ones are past.
//! - An exception names its function only. It proves something if no request of that function was in doubt; otherwise its own
//!   request joins the doubts.
//!
//! A doubt ends after [`FORGOTTEN`] at the latest: a meter whose layout admits no canary is not lost for ever. Deliberately absent:
//! wires and waiting. Modbus TCP numbers its frames and needs only [`Numbers`].

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::cost::data_bytes;
use crate::config::model::Table;
use crate::driver::Ask;

/// No answer is believed to be later than this.
pub(super) const FORGOTTEN: Duration = Duration::from_secs(60);

/// So many doubtful numbers are kept: more failures within a minute than any time-out of a working line allows.
const MOST_NUMBERS: usize = 1024;

/// What can be told from an answer on RTU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    table: Table,
    bytes: u16,
}

impl Shape {
    fn of(ask: Ask) -> Self {
        Self { table: ask.table, bytes: data_bytes(ask) }
    }
}

#[derive(Debug, Clone, Copy)]
struct Doubt {
    shape: Shape,
    since: Instant,
}

/// The doubts of one line, by unit.
#[derive(Debug, Default)]
pub(super) struct Doubts(BTreeMap<u8, Vec<Doubt>>);

impl Doubts {
    /// What to send in order to learn `ask`: `ask` itself, a canary, or nothing at all until a doubt is forgotten.
    pub(super) fn next(&mut self, unit: u8, ask: Ask, now: Instant) -> Option<Ask> {
        let Some(doubts) = self.0.get_mut(&unit) else { return Some(ask) };
        doubts.retain(|doubt| now.saturating_duration_since(doubt.since) < FORGOTTEN);
        let doubtful = |candidate: Ask| doubts.iter().any(|doubt| doubt.shape == Shape::of(candidate));
        if doubtful(ask) { canaries(ask).find(|canary| !doubtful(*canary)) } else { Some(ask) }
    }

    /// A request went out and no proper answer came: one may still be under way.
    pub(super) fn doubt(&mut self, unit: u8, ask: Ask, now: Instant) {
        let doubts = self.0.entry(unit).or_default();
        doubts.retain(|doubt| doubt.shape != Shape::of(ask));
        doubts.push(Doubt { shape: Shape::of(ask), since: now });
    }

    /// A request that [`next`](Self::next) allowed was answered in its shape: whatever was asked before is past.
    pub(super) fn answered(&mut self, unit: u8) {
        self.0.remove(&unit);
    }

    /// Whether an answer of this function may still be under way, whatever its length.
    pub(super) fn is_doubtful(&self, unit: u8, table: Table) -> bool {
        self.0.get(&unit).is_some_and(|doubts| doubts.iter().any(|doubt| doubt.shape.table == table))
    }

    /// A request was refused. Whether the refusal can only belong to it.
    pub(super) fn refused(&mut self, unit: u8, ask: Ask, now: Instant) -> bool {
        let ambiguous = self.is_doubtful(unit, ask.table);
        if ambiguous {
            self.doubt(unit, ask, now);
        } else {
            self.answered(unit);
        }
        !ambiguous
    }
}

/// The same for Modbus TCP, whose answers carry the number of their request. The library counts each connection from zero, so that an
/// answer which a gateway delivers to the next connection could bear the number of another request: such numbers are passed over.
#[derive(Debug, Default)]
pub(super) struct Numbers(VecDeque<(u16, Instant)>);

impl Numbers {
    /// Whether an answer of this number may still be under way.
    pub(super) fn is_doubtful(&mut self, number: u16, now: Instant) -> bool {
        while self.0.front().is_some_and(|(_, since)| now.saturating_duration_since(*since) >= FORGOTTEN) {
            self.0.pop_front();
        }
        self.0.iter().any(|(doubtful, _)| *doubtful == number)
    }

    /// A request of this number was not answered.
    pub(super) fn doubt(&mut self, number: u16, now: Instant) {
        if self.0.len() >= MOST_NUMBERS {
            self.0.pop_front();
        }
        self.0.push_back((number, now));
    }
}

/// Requests of other shapes than `ask`, the least intrusive first: part of the same block, then the same place in the sister table
/// (whose refusal is as good as an answer), then a little more than the block.
fn canaries(ask: Ask) -> impl Iterator<Item = Ask> {
    let step = if ask.table.is_bits() { 8 } else { 1 };
    let most: u16 = if ask.table.is_bits() { 2000 } else { 125 };
    // An even count first: some meters refuse odd ones.
    let fewer = [2, 1, 4, 3].into_iter().map(move |n| if step == 8 { 1 + 8 * (n - 1) } else { n }).filter(move |n| *n < ask.count);
    let fewer = fewer.map(move |count| Ask { count, ..ask });
    let more = (1..=8).filter_map(move |n| {
        let count = ask.count.checked_add(n * step).filter(|count| *count <= most)?;
        let address = ask.address.min(u16::MAX - (count - 1));
        Some(Ask { address, count, ..ask })
    });
    let here = move || fewer.clone().chain(more.clone());
    let there = std::iter::once(ask).chain(here()).map(move |canary| Ask { table: sister(ask.table), ..canary });
    let (inside, beyond): (Vec<Ask>, Vec<Ask>) = here().partition(|canary| canary.count < ask.count);
    inside.into_iter().chain(there).chain(beyond).filter(move |canary| Shape::of(*canary) != Shape::of(ask))
}

fn sister(table: Table) -> Table {
    match table {
        Table::Coil => Table::Discrete,
        Table::Discrete => Table::Coil,
        Table::Holding => Table::Input,
        Table::Input => Table::Holding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;
    use proptest::prelude::*;

    fn ask(table: Table, count: u16) -> Ask {
        Ask { table, address: 100, count }
    }

    #[test]
    fn a_line_without_doubts_sends_what_was_asked() {
        let block = ask(Table::Input, 20);
        assert_eq!(Doubts::default().next(1, block, monotonic()), Some(block));
    }

    #[test]
    fn an_equal_length_read_waits_behind_a_canary_of_another_length() {
        let (mut doubts, now) = (Doubts::default(), monotonic());
        let block = ask(Table::Input, 20);
        doubts.doubt(1, block, now);
        assert_eq!(doubts.next(1, block, now), Some(ask(Table::Input, 2)));
        assert_eq!(doubts.next(2, block, now), Some(block), "another unit is not in doubt");
        doubts.answered(1);
        assert_eq!(doubts.next(1, block, now), Some(block));
    }

    #[test]
    fn a_read_of_another_length_needs_no_canary() {
        let (mut doubts, now) = (Doubts::default(), monotonic());
        doubts.doubt(1, ask(Table::Input, 20), now);
        let other = ask(Table::Input, 7);
        assert_eq!(doubts.next(1, other, now), Some(other));
    }

    #[test]
    fn a_lost_canary_is_followed_by_one_of_yet_another_shape() {
        let (mut doubts, now) = (Doubts::default(), monotonic());
        let block = ask(Table::Holding, 1);
        doubts.doubt(1, block, now);
        let first = doubts.next(1, block, now).unwrap();
        doubts.doubt(1, first, now);
        let second = doubts.next(1, block, now).unwrap();
        assert!(Shape::of(second) != Shape::of(first) && Shape::of(second) != Shape::of(block));
    }

    #[test]
    fn a_refusal_that_may_belong_to_an_earlier_request_proves_nothing() {
        let (mut doubts, now) = (Doubts::default(), monotonic());
        doubts.doubt(1, ask(Table::Input, 2), now);
        assert!(!doubts.refused(1, ask(Table::Input, 1), now));
        assert!(doubts.next(1, ask(Table::Input, 2), now) != Some(ask(Table::Input, 2)));
        assert!(doubts.refused(1, ask(Table::Holding, 2), now), "nothing of that function was under way");
        assert_eq!(doubts.next(1, ask(Table::Input, 2), now), Some(ask(Table::Input, 2)));
    }

    #[test]
    fn a_doubt_is_forgotten_after_a_minute() {
        let (mut doubts, now) = (Doubts::default(), monotonic());
        let block = ask(Table::Input, 2);
        doubts.doubt(1, block, now);
        assert_ne!(doubts.next(1, block, now + FORGOTTEN.mul_f64(0.999)), Some(block));
        assert_eq!(doubts.next(1, block, now + FORGOTTEN), Some(block));
    }

    #[test]
    fn the_number_of_a_lost_request_is_passed_over_for_a_minute() {
        let (mut numbers, now) = (Numbers::default(), monotonic());
        numbers.doubt(0, now);
        assert!(numbers.is_doubtful(0, now) && !numbers.is_doubtful(1, now));
        assert!(!numbers.is_doubtful(0, now + FORGOTTEN));
    }

    fn asks() -> impl Strategy<Value = Ask> {
        let table = prop_oneof![Just(Table::Coil), Just(Table::Discrete), Just(Table::Holding), Just(Table::Input)];
        (table, 0u16.., 1u16..=2000).prop_map(|(table, address, count)| {
            let count = if table.is_bits() { count } else { 1 + count % 125 };
            Ask { table, address: address.min(u16::MAX - (count - 1)), count }
        })
    }

    proptest! {
        #[test]
        fn every_canary_is_a_legal_request_of_another_shape(ask in asks()) {
            let all: Vec<Ask> = canaries(ask).collect();
            prop_assert!(all.len() >= 9, "only {} canaries", all.len());
            for canary in all {
                let most = if canary.table.is_bits() { 2000 } else { 125 };
                prop_assert!((1..=most).contains(&canary.count), "{canary:?}");
                prop_assert!(u32::from(canary.address) + u32::from(canary.count) <= 65_536, "{canary:?}");
                prop_assert!(Shape::of(canary) != Shape::of(ask), "{canary:?}");
            }
        }

        #[test]
        fn what_is_sent_is_never_of_a_doubtful_shape(first in asks(), rest in prop::collection::vec(asks(), 0..6)) {
            let (mut doubts, now) = (Doubts::default(), monotonic());
            let mut shapes = Vec::new();
            for ask in std::iter::once(first).chain(rest) {
                if let Some(sent) = doubts.next(1, ask, now) {
                    prop_assert!(!shapes.contains(&Shape::of(sent)));
                    doubts.doubt(1, sent, now);
                    shapes.push(Shape::of(sent));
                }
            }
        }
    }
}
