//! Halving a refused request until the refused value stands alone.
//!
//! Always true here: the two halves of a request serve exactly what the whole served, and a value is never halved. Deliberately
//! absent: asking, and how often.

use std::ops::Range;

use crate::config::model::{Meter, Point};
use crate::driver::planner::{Plan, cover};
use crate::driver::{Ask, Refusal};

/// A request of a poll and the values it is for.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) ask: Ask,
    /// Places in the plan's order.
    pub(super) serves: Range<usize>,
    pub(super) half: Half,
}

/// Which half of a refused request a part is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Half {
    /// A planned request.
    None,
    /// The lower half; asked first.
    Left,
    /// The upper half of `whole`, which was refused with `code`; `left` is the lower one once it was answered.
    Right { whole: Ask, code: u8, left: Option<Ask> },
    /// None: a refusal put to the test; it serves no point.
    Trial(Refusal),
}

/// What a search has yet to do.
#[derive(Debug, Clone)]
pub(super) enum Task {
    /// Halve what was refused with this exception code.
    Halve(Part, u8),
    /// Ask for a half of what was refused with this exception code.
    Ask(Part, u8),
}

/// The halves of a part, lower first; `None` when it serves one value only (or several points of the very same registers).
pub(super) fn halves(part: &Part, code: u8, plan: &Plan, meter: &Meter) -> Option<(Part, Part)> {
    let spans: Vec<(u32, u32)> = points(part, plan, meter).map(span).collect();
    let middle = spans.len() / 2;
    let borders = spans.windows(2).enumerate().filter(|(_, pair)| pair.first() != pair.last()).map(|(place, _)| place + 1);
    let border = borders.min_by_key(|border| border.abs_diff(middle))?;
    let (lower, upper) = spans.split_at_checked(border)?;
    let at = part.serves.start + border;
    let left = Part { ask: around(part, lower, plan), serves: part.serves.start..at, half: Half::Left };
    let right = Half::Right { whole: part.ask, code, left: None };
    let right = Part { ask: around(part, upper, plan), serves: at..part.serves.end, half: right };
    Some((left, right))
}

/// The registers of the one value that a part serves.
pub(super) fn value(part: &Part, plan: &Plan, meter: &Meter) -> Option<Ask> {
    points(part, plan, meter).next().map(|point| Ask { table: point.table, address: point.address, count: point.layout.width() })
}

/// What lies between two halves that are answered although the whole is not: from the last item of the left one to the first of the
/// right one. Where they overlap, all that can be said is that the whole is refused.
pub(super) fn passage(left: Ask, right: Ask, whole: Ask) -> Ask {
    let end = left.address.saturating_add(left.count);
    if end > right.address {
        return whole;
    }
    let address = end.saturating_sub(1);
    Ask { table: whole.table, address, count: right.address - address + 1 }
}

fn points<'a>(part: &Part, plan: &'a Plan, meter: &'a Meter) -> impl Iterator<Item = &'a Point> {
    let slots = plan.order.get(part.serves.clone()).unwrap_or_default().iter();
    slots.filter_map(|slot| meter.points.get(usize::from(*plan.due.get(usize::from(*slot))?)))
}

fn span(point: &Point) -> (u32, u32) {
    let start = u32::from(point.address);
    (start, start + u32::from(point.layout.width()))
}

/// The request around some values; they stand in ascending order of their starts.
fn around(part: &Part, spans: &[(u32, u32)], plan: &Plan) -> Ask {
    let start = spans.iter().map(|span| span.0).min();
    let end = spans.iter().map(|span| span.1).max();
    start.zip(end).map_or(part.ask, |(start, end)| cover(part.ask.table, start, end, plan.rules))
}
