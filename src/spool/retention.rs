//! What is given up when a bound forces readings out, and what is told of it. Pure.
//!
//! Always true here: only whole batches go, so keys and contents never change; the oldest go first, billing after the rest, and
//! events and gaps last of all; whatever goes stands in a gap. Deliberately absent: where batches stand.

use std::collections::{BTreeMap, BTreeSet};

use crate::reading::{Gap, Keep};

use super::face::{Batch, Content};
use super::record::Label;

/// Bytes of live records that fit under a bound of all files, of which there are `files` bytes now: the database settles at 2.0 to
/// 2.3 times its live data, but grows beyond that where it is opened often, and never shrinks.
pub(super) fn live_limit(max_size: u64, files: u64) -> u64 {
    if files > max_size / 20 * 19 { max_size / 4 } else { max_size / 5 * 2 }
}

/// How much is given up at once, so that a full spool is not trimmed record by record.
pub(super) fn step(live_limit: u64) -> u64 {
    live_limit / 64
}

/// In which order the rows of the past are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    /// Ordinary readings, and frames of other releases.
    First,
    /// `keep = "always"`.
    Second,
    /// Events and gaps.
    Last,
}

/// When a batch is given up.
pub(super) fn turn(label: Option<&Label>) -> Turn {
    match label {
        Some(label) if label.is_event => Turn::Last,
        Some(label) if label.keep == Keep::Always => Turn::Second,
        _ => Turn::First,
    }
}

#[derive(Debug)]
struct Sum {
    from_ms: i64,
    to_ms: i64,
    meters: BTreeSet<Box<str>>,
    readings: Option<u64>,
}

impl Default for Sum {
    fn default() -> Self {
        Self { from_ms: i64::MAX, to_ms: i64::MIN, meters: BTreeSet::new(), readings: Some(0) }
    }
}

/// Gateway and district a gap is told for.
pub(super) type Names = (Box<str>, Box<str>);

/// Adds up what goes, per gateway.
#[derive(Debug, Default)]
pub(super) struct Tally {
    sums: BTreeMap<Names, Sum>,
}

impl Tally {
    /// A batch goes.
    pub(super) fn batch(&mut self, batch: &Batch) {
        let Content::Sweeps(sweeps) = &batch.content else { return };
        let Some(first) = sweeps.first() else { return };
        let sum = self.sums.entry((first.schema.gateway.clone(), first.schema.district.clone())).or_default();
        for sweep in sweeps {
            sum.from_ms = sum.from_ms.min(sweep.stamp.wall_ms);
            sum.to_ms = sum.to_ms.max(sweep.stamp.wall_ms);
            sum.readings = sum.readings.map(|readings| readings + sweep.values.len() as u64);
            if !sum.meters.contains(&sweep.schema.meter) {
                sum.meters.insert(sweep.schema.meter.clone());
            }
        }
    }

    /// Something goes, or is gone, that cannot be read: somewhere in this time, so many readings as far as is known.
    pub(super) fn lost(&mut self, names: &Names, (from_ms, to_ms): (i64, i64), readings: Option<u64>) {
        let sum = self.sums.entry(names.clone()).or_default();
        sum.from_ms = sum.from_ms.min(from_ms);
        sum.to_ms = sum.to_ms.max(to_ms);
        sum.readings = sum.readings.zip(readings).map(|(sum, more)| sum + more);
    }

    /// One gap for each gateway concerned.
    pub(super) fn gaps(self, why: &str) -> Vec<(Names, Gap)> {
        let gap = |sum: Sum| Gap {
            from_ms: sum.from_ms,
            to_ms: sum.to_ms,
            meters: sum.meters.into_iter().collect(),
            readings: sum.readings,
            why: why.into(),
        };
        self.sums.into_iter().map(|(names, sum)| (names, gap(sum))).collect()
    }
}

/// One gap for two with the same reason.
pub(super) fn merged(one: &Gap, other: &Gap) -> Gap {
    let meters: BTreeSet<Box<str>> = one.meters.iter().chain(&other.meters).cloned().collect();
    Gap {
        from_ms: one.from_ms.min(other.from_ms),
        to_ms: one.to_ms.max(other.to_ms),
        meters: meters.into_iter().collect(),
        readings: one.readings.zip(other.readings).map(|(one, other)| one.saturating_add(other)),
        why: one.why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_its_bound_the_database_gets_room_to_breathe() {
        assert_eq!((live_limit(100, 90), live_limit(100, 96)), (40, 25));
    }

    fn gap(from_ms: i64, to_ms: i64, meter: &str, readings: Option<u64>) -> Gap {
        Gap { from_ms, to_ms, meters: vec![meter.into()], readings, why: "max-size".into() }
    }

    #[test]
    fn merged_gaps_span_both_and_count_both() {
        let merged = merged(&gap(5, 9, "b", Some(2)), &gap(1, 6, "a", Some(3)));
        assert_eq!(
            merged,
            Gap { from_ms: 1, to_ms: 9, meters: vec!["a".into(), "b".into()], readings: Some(5), why: "max-size".into() }
        );
    }

    #[test]
    fn what_cannot_be_counted_makes_the_sum_unknown() {
        assert_eq!(merged(&gap(5, 9, "b", Some(2)), &gap(1, 6, "a", None)).readings, None);
    }
}
