//! Halving a refused request until the refused value stands alone.
//!
//! Always true here: the two halves of a request serve exactly what the whole served, and a value is never halved; it is parted from
//! its power of ten only when nothing else is left to part. Deliberately absent: asking, and how often.

use std::ops::Range;

use crate::config::model::{Meter, Point};
use crate::driver::planner::{Piece, Plan, cover};
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
    let pieces: Vec<(u16, Range<u32>)> = pieces(part, plan, meter).map(|(piece, point)| (piece.slot, piece.items(point))).collect();
    let border = border(&pieces)?;
    let (lower, upper) = pieces.split_at_checked(border)?;
    let at = part.serves.start + border;
    let left = Part { ask: around(part, lower, plan), serves: part.serves.start..at, half: Half::Left };
    let right = Half::Right { whole: part.ask, code, left: None };
    let right = Part { ask: around(part, upper, plan), serves: at..part.serves.end, half: right };
    Some((left, right))
}

/// Where to halve: near the middle, between two points that do not hold the very same items, else between a value and its power.
fn border(pieces: &[(u16, Range<u32>)]) -> Option<usize> {
    let middle = pieces.len() / 2;
    let borders = (1_usize..).zip(pieces.windows(2)).filter_map(|(border, pair)| match pair {
        [(_, lower), (_, upper)] if lower == upper => None,
        [(lower, _), (upper, _)] => Some((lower == upper, border)),
        _ => None,
    });
    borders.min_by_key(|(is_within_a_point, border)| (*is_within_a_point, border.abs_diff(middle))).map(|(_, border)| border)
}

/// The request for the one piece that a part serves.
pub(super) fn value(part: &Part, plan: &Plan, meter: &Meter) -> Option<Ask> {
    let (piece, point) = pieces(part, plan, meter).next()?;
    let items = piece.items(point);
    Some(Ask { table: point.table, address: u16::try_from(items.start).ok()?, count: u16::try_from(items.len()).ok()? })
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

fn pieces<'a>(part: &Part, plan: &'a Plan, meter: &'a Meter) -> impl Iterator<Item = (Piece, &'a Point)> {
    let pieces = plan.order.get(part.serves.clone()).unwrap_or_default().iter();
    pieces.filter_map(|piece| Some((*piece, plan.point(*piece, meter)?)))
}

/// The request around some pieces.
fn around(part: &Part, pieces: &[(u16, Range<u32>)], plan: &Plan) -> Ask {
    let start = pieces.iter().map(|(_, items)| items.start).min();
    let end = pieces.iter().map(|(_, items)| items.end).max();
    start.zip(end).map_or(part.ask, |(start, end)| cover(part.ask.table, start, end, plan.rules))
}
