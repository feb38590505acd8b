//! Which requests to send for a set of due points: the cheapest in bus time. Pure.
//!
//! Always true here:
//! - Every due point is in exactly one request, whole, or known to be refused. Only where no request may hold both a value and the
//!   register with its power of ten, each of them is in a request of its own.
//! - Every request is legal (1..=125 registers, 1..=2000 bits, within 65536) and within the meter's limits, unless a single value is
//!   already wider than the meter's limit: that is asked for alone.
//! - No request holds all items of a known [`Refusal`], unless a single value does.
//! - No other set of requests under these rules takes less bus time.
//!
//! Deliberately absent: answers, and the order of meters.
//!
//! The way: once values that lie within another one are left to it, starts and ends both ascend, and an optimal set of requests
//! takes runs of neighbours (if two requests were interleaved, swapping values between them would not make either longer). What is
//! left is a shortest path over the values in address order. The cost of a request is linear in where it starts and where it ends,
//! and the first start that is allowed never moves back, so a sliding minimum finds the path in linear time.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::Ask;
use super::modbus::LineCost;
use super::refusal::{Of, Refusal};
use crate::config::model::{Meter, Point, Table};

/// Most registers in one answer (Modbus Application Protocol V1.1b3, 6.3 and 6.4).
const MOST_REGISTERS: u32 = 125;
/// Most bits in one answer (the same, 6.1 and 6.2).
const MOST_BITS: u32 = 2000;

/// What a meter wants of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Largest number of registers in one request, 1..=125.
    pub max_registers: u16,
    /// Largest number of items read that nobody wants, between two values; `None`: as many as are worth it.
    pub max_gap: Option<u16>,
    /// Whether requests begin at even addresses and ask for even numbers of registers.
    pub even: bool,
}

impl Rules {
    /// The rules of a configured meter.
    #[must_use]
    pub fn of(meter: &Meter) -> Self {
        Self { max_registers: meter.max_registers, max_gap: meter.max_gap, even: meter.even_registers }
    }
}

/// What of a point stands in one stretch of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The value.
    Value,
    /// Its power of ten.
    Power,
}

/// A part of a due point that a request brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Place of the point in [`Plan::due`].
    pub slot: u16,
    /// Which part of it.
    pub holds: Holds,
}

impl Piece {
    /// The items of this piece: the first, and the one after the last. Nothing for the power of a point that has none.
    #[must_use]
    pub fn items(self, point: &Point) -> Range<u32> {
        let (first, count) = match (self.holds, point.scaling.power_register) {
            (Holds::Value, _) => (point.address, point.layout.width()),
            (Holds::Power, Some(register)) => (register, 1),
            (Holds::Power, None) => (0, 0),
        };
        u32::from(first)..u32::from(first) + u32::from(count)
    }
}

/// One request and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What to send.
    pub ask: Ask,
    /// What it brings, as places in [`Plan::order`]: at least one.
    pub serves: Range<usize>,
}

/// The requests for one set of due points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The due points, as places in the meter's points, ascending.
    pub due: Vec<u16>,
    /// What is asked for, by table and address; a power stands behind its value where one request brings both.
    pub order: Vec<Piece>,
    /// The requests, by table and address.
    pub requests: Vec<Request>,
    /// Places in `due` of what is known to be refused, with the exception code.
    pub refused: Vec<(u16, u8)>,
    /// The rules that were kept to.
    pub rules: Rules,
}

impl Plan {
    /// The point of a piece; the plan was made for this meter.
    #[must_use]
    pub fn point<'a>(&self, piece: Piece, meter: &'a Meter) -> Option<&'a Point> {
        meter.points.get(usize::from(*self.due.get(usize::from(piece.slot))?))
    }

    /// Bus time of all requests on such a line.
    #[must_use]
    pub fn bus_time(&self, cost: &LineCost) -> Duration {
        self.requests.iter().map(|request| cost.of(request.ask)).sum()
    }
}

/// Plans the requests for the points `due` (places in `points`, ascending, each once; others are left out).
#[must_use]
pub fn plan(points: &[Point], due: &[u16], rules: Rules, cost: &LineCost, refusals: &[Refusal]) -> Plan {
    let mut plan =
        Plan { due: due.to_vec(), order: Vec::with_capacity(due.len()), requests: Vec::new(), refused: Vec::new(), rules };
    let mut pieces = Vec::with_capacity(due.len());
    for (slot, place) in (0_u16..).zip(due) {
        let Some(point) = points.get(usize::from(*place)) else { continue };
        let known = pieces.len();
        pieces.extend(Span::pieces(point, slot));
        let refused = pieces.get(known..).unwrap_or_default().iter().find_map(|span| span.refused(refusals));
        if let Some(code) = refused {
            plan.refused.push((slot, code));
            pieces.truncate(known);
        }
    }
    let mut spans = joined(&pieces, rules, refusals);
    spans.sort_unstable_by_key(|span| (span.table, span.start, std::cmp::Reverse(span.end), span.slot));
    for table in spans.chunk_by(|left, right| left.table == right.table) {
        let base = plan.order.len();
        plan.order.extend(table.iter().flat_map(|span| span.holds.iter().map(|holds| Piece { slot: span.slot, holds: *holds })));
        plan_table(&mut plan.requests, base, table, rules, cost, refusals);
    }
    plan
}

/// The spans, each value in one with its power where a request may hold both.
fn joined(pieces: &[Span], rules: Rules, refusals: &[Refusal]) -> Vec<Span> {
    let mut spans = Vec::with_capacity(pieces.len());
    for point in pieces.chunk_by(|left, right| left.slot == right.slot) {
        match point {
            [value, power] if may_share(value.around(power), pieces, rules, refusals) => spans.push(value.around(power)),
            apart => spans.extend_from_slice(apart),
        }
    }
    spans
}

/// Whether a request may hold such a span, with other wanted items filling its gaps.
fn may_share(span: Span, wanted: &[Span], rules: Rules, refusals: &[Refusal]) -> bool {
    let (start, end) = widened(span.start, span.end, rules.even);
    let refused = |refusal: &Refusal| {
        let first = u32::from(refusal.ask.address);
        refusal.ask.table == span.table && start <= first && first + u32::from(refusal.ask.count) <= end
    };
    end - start <= u32::from(rules.max_registers).min(MOST_REGISTERS)
        && !refusals.iter().any(refused)
        && rules.max_gap.is_none_or(|most| widest_gap(span, wanted) <= u32::from(most))
}

/// The longest stretch within a span that nobody wants.
fn widest_gap(span: Span, wanted: &[Span]) -> u32 {
    let mut within: Vec<&Span> =
        wanted.iter().filter(|other| other.table == span.table && other.start < span.end && other.end > span.start).collect();
    within.sort_unstable_by_key(|other| other.start);
    let (mut covered, mut widest) = (span.start, 0);
    for other in within {
        widest = widest.max(other.start.saturating_sub(covered));
        covered = covered.max(other.end);
    }
    widest.max(span.end.saturating_sub(covered))
}

/// The request that covers a value, or several: from the lowest item to the highest, widened to even bounds where the meter wants
/// them and the protocol allows it.
#[must_use]
pub fn cover(table: Table, start: u32, end: u32, rules: Rules) -> Ask {
    let (even_start, even_end) = widened(start, end, rules.even && !table.is_bits());
    let (start, end) = if even_end - even_start > most(table) { (start, end) } else { (even_start, even_end) };
    let legal = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    Ask { table, address: legal(start), count: legal(end - start) }
}

fn widened(start: u32, end: u32, even: bool) -> (u32, u32) {
    if even { (start & !1, end.next_multiple_of(2)) } else { (start, end) }
}

fn most(table: Table) -> u32 {
    if table.is_bits() { MOST_BITS } else { MOST_REGISTERS }
}

/// What must come in one request: items `start..end` of a table.
#[derive(Debug, Clone, Copy)]
struct Span {
    table: Table,
    start: u32,
    end: u32,
    slot: u16,
    holds: &'static [Holds],
}

impl Span {
    /// The value of a point, and its power if it has one.
    fn pieces(point: &Point, slot: u16) -> impl Iterator<Item = Self> {
        let piece = |holds: &'static [Holds; 1]| {
            let Range { start, end } = Piece { slot, holds: holds[0] }.items(point);
            Self { table: point.table, start, end, slot, holds }
        };
        let power = point.scaling.power_register.map(|_| piece(&[Holds::Power]));
        std::iter::once(piece(&[Holds::Value])).chain(power)
    }

    fn around(&self, power: &Self) -> Self {
        let (start, end) = (self.start.min(power.start), self.end.max(power.end));
        Self { start, end, holds: &[Holds::Value, Holds::Power], ..*self }
    }

    /// The exception code, where it is known to be refused when asked for alone.
    fn refused(&self, refusals: &[Refusal]) -> Option<u8> {
        let alone = cover(self.table, self.start, self.end, Rules { max_registers: 125, max_gap: None, even: false });
        let known = refusals.iter().find(|refusal| refusal.of == Of::Value && refusal.ask == alone)?;
        Some(known.code)
    }
}

/// A value that no other one holds, and the places of those that lie within it.
#[derive(Debug, Clone)]
struct Outer {
    start: u32,
    end: u32,
    serves: Range<usize>,
}

/// What one table of this line and this meter allows and costs.
struct Line {
    rules: Rules,
    even: bool,
    longest: u32,
    per_item: u64,
    per_request: u64,
    /// Ends of refused stretches, ascending, each with the highest start of those that end there or before.
    walls: Vec<(u32, u32)>,
}

impl Line {
    fn new(table: Table, rules: Rules, cost: &LineCost, refusals: &[Refusal]) -> Self {
        let longest = if table.is_bits() { MOST_BITS } else { u32::from(rules.max_registers).min(MOST_REGISTERS) };
        // An item costs at least something, so that among equals the shortest requests are taken.
        let per_item = sixteenths(cost.per_register) / if table.is_bits() { 16 } else { 1 };
        let even = rules.even && !table.is_bits();
        let (per_item, per_request) = (per_item.max(1), sixteenths(cost.per_request));
        Self { rules, even, longest, per_item, per_request, walls: walls(table, refusals) }
    }

    fn widened(&self, value: &Outer) -> (u32, u32) {
        widened(value.start, value.end, self.even)
    }

    /// Whether a request may reach from the start of one value to the end of another.
    fn allows(&self, start: u32, end: u32) -> bool {
        let known = self.walls.partition_point(|(refused_end, _)| *refused_end <= end);
        let wall = known.checked_sub(1).and_then(|last| self.walls.get(last));
        end - start <= self.longest && wall.is_none_or(|(_, refused_start)| *refused_start < start)
    }

    fn is_too_far(&self, from: &Outer, to: &Outer) -> bool {
        self.rules.max_gap.is_some_and(|most| to.start.saturating_sub(from.end) > u32::from(most))
    }
}

/// Sixteenths of a nanosecond: a bit of an answer takes a sixteenth of a register's time.
fn sixteenths(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).saturating_mul(16)
}

fn walls(table: Table, refusals: &[Refusal]) -> Vec<(u32, u32)> {
    let of_table = refusals.iter().filter(|refusal| refusal.ask.table == table);
    let bounds =
        |refusal: &Refusal| (u32::from(refusal.ask.address) + u32::from(refusal.ask.count), u32::from(refusal.ask.address));
    let mut walls: Vec<(u32, u32)> = of_table.map(bounds).collect();
    walls.sort_unstable();
    let mut highest = 0;
    for (_, start) in &mut walls {
        highest = highest.max(*start);
        *start = highest;
    }
    walls
}

/// The values that no other one holds; both their starts and their ends ascend.
fn outers(spans: &[Span], base: usize) -> Vec<Outer> {
    let mut outers: Vec<Outer> = Vec::with_capacity(spans.len());
    let mut first = base;
    for span in spans {
        let behind = first + span.holds.len();
        match outers.last_mut() {
            Some(last) if span.end <= last.end => last.serves.end = behind,
            _ => outers.push(Outer { start: span.start, end: span.end, serves: first..behind }),
        }
        first = behind;
    }
    outers
}

fn plan_table(requests: &mut Vec<Request>, base: usize, spans: &[Span], rules: Rules, cost: &LineCost, refusals: &[Refusal]) {
    let Some(table) = spans.first().map(|span| span.table) else { return };
    let values = outers(spans, base);
    let path = cheapest(&values, &Line::new(table, rules, cost, refusals));
    let first = requests.len();
    let mut until = values.len();
    while let Some(from) = until.checked_sub(1).and_then(|last| path.get(last)) {
        if let Some([first, .., last] | [first @ last]) = values.get(*from..until) {
            let ask = cover(table, first.start, last.end, rules);
            requests.push(Request { ask, serves: first.serves.start..last.serves.end });
        }
        until = *from;
    }
    if let Some(new) = requests.get_mut(first..) {
        new.reverse();
    }
}

/// The shortest path: for each value, where the request that ends with it begins when all up to there are asked for at the least cost.
///
/// A request from value `j` to value `i` costs `per_request + per_item * (end of i - start of j)`, so of all starts that are allowed
/// the one with the least `cost before j - per_item * start of j` is best for every end. `starts` holds those that can still become
/// the least, ascending; signed, as the difference can be below zero.
fn cheapest(values: &[Outer], line: &Line) -> Vec<usize> {
    let mut path = Vec::with_capacity(values.len());
    let mut starts: VecDeque<(i128, usize, u32)> = VecDeque::new();
    let mut before = 0_u64;
    let mut previous: Option<&Outer> = None;
    for (place, value) in values.iter().enumerate() {
        let (start, end) = line.widened(value);
        if previous.is_some_and(|previous| line.is_too_far(previous, value)) {
            starts.clear();
        }
        let weight = i128::from(before) - i128::from(line.per_item) * i128::from(start);
        while starts.back().is_some_and(|(other, ..)| *other >= weight) {
            starts.pop_back();
        }
        starts.push_back((weight, place, start));
        // The last one stays: a value alone is always asked for.
        while starts.len() > 1 && starts.front().is_some_and(|(_, _, start)| !line.allows(*start, end)) {
            starts.pop_front();
        }
        let (weight, from) = starts.front().map_or((weight, place), |(weight, from, _)| (*weight, *from));
        let cost = weight + i128::from(line.per_item) * i128::from(end) + i128::from(line.per_request);
        before = u64::try_from(cost).unwrap_or(u64::MAX);
        path.push(from);
        previous = Some(value);
    }
    path
}

#[cfg(test)]
mod tests;
