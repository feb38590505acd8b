use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::config::model::{ByteOrder, Encoding, Layout, Scaling};

/// A 9600 8E1 line and a meter that takes 20 ms to answer.
const SERIAL: LineCost = LineCost { per_register: Duration::from_micros(2292), per_request: Duration::from_micros(42_900) };
/// A TCP endpoint: only the number of requests counts.
const TCP: LineCost = LineCost { per_register: Duration::ZERO, per_request: Duration::from_millis(5) };

const NEUTRAL: Rules = Rules { max_registers: 125, max_gap: None, even: false };

fn value(table: Table, address: u16, width: u16) -> Point {
    let encoding = match (table.is_bits(), width) {
        (true, _) => Encoding::Bool,
        (_, 1) => Encoding::U16,
        (_, 2) => Encoding::F32,
        (_, 4) => Encoding::U64,
        _ => Encoding::Text { bytes: 2 * width },
    };
    let layout = Layout { encoding, order: ByteOrder::Abcd, bits: None };
    Point { table, address, layout, scaling: Scaling::default(), invalid: Vec::new(), names: Vec::new(), every: None }
}

fn holding(spans: &[(u16, u16)]) -> Vec<Point> {
    spans.iter().map(|(address, width)| value(Table::Holding, *address, *width)).collect()
}

fn all(points: &[Point]) -> Vec<u16> {
    (0..).take(points.len()).collect()
}

/// The requests as (address, count).
fn asked(points: &[Point], rules: Rules, cost: &LineCost, refusals: &[Refusal]) -> Vec<(u16, u16)> {
    let plan = plan(points, &all(points), rules, cost, refusals);
    plan.requests.iter().map(|request| (request.ask.address, request.ask.count)).collect()
}

fn alone(table: Table, address: u16, count: u16) -> Ask {
    Ask { table, address, count }
}

/// What the requests bring, in their order.
fn pieces(plan: &Plan) -> Vec<(u16, Holds)> {
    plan.order.iter().map(|piece| (piece.slot, piece.holds)).collect()
}

/// Values with the registers of their powers of ten.
fn powered(spans: &[(u16, u16, u16)]) -> Vec<Point> {
    let point = |(address, width, register): &(u16, u16, u16)| {
        let scaling = Scaling { power_register: Some(*register), ..Scaling::default() };
        Point { scaling, ..value(Table::Holding, *address, *width) }
    };
    spans.iter().map(point).collect()
}

fn refused(of: Of, address: u16, count: u16) -> Refusal {
    Refusal { ask: Ask { table: Table::Holding, address, count }, code: 2, of }
}

#[test]
fn neighbours_share_a_request() {
    assert_eq!(asked(&holding(&[(0, 2), (2, 2), (4, 1)]), NEUTRAL, &SERIAL, &[]), [(0, 5)]);
}

#[test]
fn a_gap_is_read_through_while_that_is_cheaper_than_another_request() {
    // 42.9 ms / 2.292 ms = 18.7 registers (protocols: "up to about 19").
    assert_eq!(asked(&holding(&[(0, 2), (20, 2)]), NEUTRAL, &SERIAL, &[]), [(0, 22)]);
    assert_eq!(asked(&holding(&[(0, 2), (21, 2)]), NEUTRAL, &SERIAL, &[]), [(0, 2), (21, 2)]);
    assert_eq!(asked(&holding(&[(0, 2), (123, 2)]), NEUTRAL, &TCP, &[]), [(0, 125)]);
}

#[test]
fn the_limit_of_the_protocol_is_kept() {
    assert_eq!(asked(&holding(&[(0, 2), (124, 2)]), NEUTRAL, &TCP, &[]), [(0, 2), (124, 2)]);
    let coils: Vec<Point> = (0..2001).map(|address| value(Table::Coil, address, 1)).collect();
    let plan = plan(&coils, &all(&coils), NEUTRAL, &TCP, &[]);
    assert_eq!(plan.requests.iter().map(|request| u32::from(request.ask.count)).sum::<u32>(), 2001);
    assert!(plan.requests.len() == 2 && plan.requests.iter().all(|request| request.ask.count <= 2000));
}

#[test]
fn the_limit_of_the_meter_is_kept_and_no_value_is_split() {
    let rules = Rules { max_registers: 5, ..NEUTRAL };
    assert_eq!(asked(&holding(&[(0, 2), (2, 2), (4, 2)]), rules, &SERIAL, &[]).len(), 2);
    assert_eq!(asked(&holding(&[(0, 2), (2, 10)]), rules, &SERIAL, &[]), [(0, 2), (2, 10)], "a wide value is asked for alone");
}

#[test]
fn tables_do_not_share_requests() {
    let points = [value(Table::Input, 0, 2), value(Table::Holding, 2, 2), value(Table::Coil, 0, 1), value(Table::Discrete, 1, 1)];
    assert_eq!(plan(&points, &all(&points), NEUTRAL, &TCP, &[]).requests.len(), 4);
}

#[test]
fn only_due_points_are_asked_for() {
    let points = holding(&[(0, 2), (2, 2), (4, 2)]);
    let plan = plan(&points, &[0, 2], NEUTRAL, &SERIAL, &[]);
    assert_eq!((plan.requests.len(), pieces(&plan)), (1, vec![(0, Holds::Value), (1, Holds::Value)]));
    assert!(super::plan(&points, &[], NEUTRAL, &SERIAL, &[]).requests.is_empty());
}

#[test]
fn several_points_of_one_register_cost_one() {
    let points = holding(&[(7, 1), (7, 1), (6, 4), (7, 1)]);
    assert_eq!(asked(&points, NEUTRAL, &SERIAL, &[]), [(6, 4)]);
}

#[test]
fn the_last_address_is_reached_and_not_passed() {
    let even = Rules { even: true, ..NEUTRAL };
    for rules in [NEUTRAL, even] {
        assert_eq!(asked(&holding(&[(65_534, 2)]), rules, &SERIAL, &[]), [(65_534, 2)]);
    }
    assert_eq!(asked(&holding(&[(65_535, 1)]), even, &SERIAL, &[]), [(65_534, 2)]);
}

#[test]
fn a_meter_that_wants_even_numbers_gets_them() {
    let even = Rules { max_registers: 80, even: true, ..NEUTRAL };
    assert_eq!(asked(&holding(&[(1, 2), (5, 1)]), even, &SERIAL, &[]), [(0, 6)]);
    let values: Vec<(u16, u16)> = (0..60).map(|n| (2 * n + 1, 2)).collect();
    let asked = asked(&holding(&values), even, &SERIAL, &[]);
    assert!(asked.iter().all(|(address, count)| address % 2 == 0 && count % 2 == 0 && *count <= 80), "{asked:?}");
}

#[test]
fn a_gap_wider_than_the_meter_allows_is_never_read() {
    let rules = Rules { max_gap: Some(3), ..NEUTRAL };
    assert_eq!(asked(&holding(&[(0, 1), (4, 1), (9, 1)]), rules, &TCP, &[]), [(0, 5), (9, 1)]);
}

#[test]
fn a_value_and_its_power_come_in_one_request_even_where_two_would_be_cheaper() {
    assert_eq!(asked(&powered(&[(0, 1, 100)]), NEUTRAL, &SERIAL, &[]), [(0, 101)]);
    assert_eq!(asked(&powered(&[(100, 2, 0)]), NEUTRAL, &SERIAL, &[]), [(0, 102)]);
    let even = Rules { even: true, ..NEUTRAL };
    assert_eq!(asked(&powered(&[(3, 1, 4)]), even, &SERIAL, &[]), [(2, 4)]);
}

#[test]
fn values_share_the_register_of_their_power() {
    let voltages = powered(&[(10, 1, 13), (11, 1, 13), (12, 1, 13)]);
    let plan = plan(&voltages, &all(&voltages), NEUTRAL, &SERIAL, &[]);
    assert_eq!(plan.requests.iter().map(|request| request.ask.count).collect::<Vec<_>>(), [4]);
    assert_eq!(plan.requests[0].serves.len(), 6, "three values, each with its power");
}

#[test]
fn a_power_too_far_away_for_one_request_is_asked_for_by_itself() {
    let short = Rules { max_registers: 20, ..NEUTRAL };
    let points = powered(&[(0, 2, 40)]);
    let plan = plan(&points, &all(&points), short, &SERIAL, &[]);
    assert_eq!(plan.requests.iter().map(|request| (request.ask.address, request.ask.count)).collect::<Vec<_>>(), [(0, 2), (40, 1)]);
    assert_eq!(pieces(&plan), [(0, Holds::Value), (0, Holds::Power)]);
    assert_eq!(asked(&powered(&[(0, 2, 125)]), NEUTRAL, &TCP, &[]), [(0, 2), (125, 1)]);
    assert_eq!(asked(&powered(&[(0, 2, 124)]), NEUTRAL, &TCP, &[]), [(0, 125)]);
}

#[test]
fn a_gap_between_value_and_power_counts_only_as_far_as_nobody_wants_it() {
    let rules = Rules { max_gap: Some(2), ..NEUTRAL };
    assert_eq!(asked(&powered(&[(0, 1, 4)]), rules, &TCP, &[]), [(0, 1), (4, 1)]);
    let mut points = powered(&[(0, 1, 4)]);
    points.extend(holding(&[(2, 1)]));
    assert_eq!(asked(&points, rules, &TCP, &[]), [(0, 5)]);
}

#[test]
fn a_refusal_between_value_and_power_parts_them_and_one_of_the_power_is_one_of_the_value() {
    let points = powered(&[(0, 1, 10)]);
    assert_eq!(asked(&points, NEUTRAL, &TCP, &[refused(Of::Passage, 4, 3)]), [(0, 1), (10, 1)]);
    let known = [refused(Of::Value, 10, 1)];
    let plan = plan(&points, &all(&points), NEUTRAL, &TCP, &known);
    assert_eq!((plan.requests.len(), plan.refused), (0, vec![(0, 2)]));
}

#[test]
fn a_refused_value_is_not_asked_for_and_not_read_through() {
    let points = holding(&[(0, 2), (2, 2), (4, 2)]);
    let plan = plan(&points, &all(&points), NEUTRAL, &TCP, &[refused(Of::Value, 2, 2)]);
    assert_eq!(plan.refused, [(1, 2)]);
    assert_eq!(plan.requests.iter().map(|request| request.ask.address).collect::<Vec<_>>(), [0, 4]);
}

#[test]
fn a_refused_passage_separates_its_neighbours_and_withholds_no_value() {
    let points = holding(&[(0, 2), (2, 2), (10, 2)]);
    assert_eq!(asked(&points, NEUTRAL, &TCP, &[refused(Of::Passage, 3, 8)]), [(0, 4), (10, 2)]);
    assert_eq!(asked(&points, NEUTRAL, &TCP, &[refused(Of::Passage, 1, 2)]), [(0, 2), (2, 10)]);
    let between = holding(&[(0, 2), (5, 2), (10, 2)]);
    let asked = asked(&between, NEUTRAL, &TCP, &[refused(Of::Passage, 1, 10)]);
    assert_eq!(asked.len(), 2, "a value within the passage is read with one of its neighbours: {asked:?}");
}

#[test]
fn a_value_that_spans_a_refused_one_is_asked_for_alone() {
    let points = holding(&[(0, 2), (2, 8)]);
    let refusals = [refused(Of::Value, 4, 1)];
    assert_eq!(asked(&points, NEUTRAL, &TCP, &refusals), [(0, 2), (2, 8)]);
}

#[test]
fn every_address_of_every_table_can_be_planned_at_once() {
    let tables = [Table::Coil, Table::Discrete, Table::Holding, Table::Input];
    let points: Vec<Point> = tables.iter().flat_map(|table| (0..16_000).map(|n| value(*table, 4 * n, 1))).collect();
    let plan = plan(&points, &all(&points), NEUTRAL, &SERIAL, &[]);
    assert_eq!(plan.requests.iter().map(|request| request.serves.len()).sum::<usize>(), 64_000);
}

/// The registers of a map in the shared folder, and the meter's limit. Lines `key = number` are all it takes.
fn map(text: &str) -> (Vec<Point>, u16) {
    let number = |part: &str, key: &str| {
        let line = part.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        line.map(|digits| digits.parse::<u16>().unwrap())
    };
    let mut parts = text.split("[[register]]");
    let most = number(parts.next().unwrap(), "max_registers_per_read").unwrap();
    let point = |part: &str| {
        let table = if number(part, "function") == Some(3) { Table::Holding } else { Table::Input };
        let point = value(table, number(part, "address").unwrap(), number(part, "width").unwrap());
        Point { scaling: Scaling { power_register: number(part, "scale_factor_offset"), ..point.scaling }, ..point }
    };
    (parts.map(point).collect(), most)
}

#[test]
fn the_register_maps_of_real_meters_plan_into_legal_requests() {
    let beside = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("DISTRICTD_SHARED").map_or(beside, Into::into).join("meters");
    let Ok(files) = std::fs::read_dir(&folder) else { return println!("skipped: no meters in the shared folder") };
    let maps = files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "toml"));
    for path in maps {
        let (points, most) = map(&std::fs::read_to_string(&path).unwrap());
        let rules = Rules { max_registers: most, even: path.ends_with("eastron_sdm630.toml"), ..NEUTRAL };
        let plan = plan(&points, &all(&points), rules, &SERIAL, &[]);
        let name = path.file_stem().unwrap().to_string_lossy();
        println!("{name}: {} points in {} requests, {:?}", points.len(), plan.requests.len(), plan.bus_time(&SERIAL));
        let powers = points.iter().filter(|point| point.scaling.power_register.is_some()).count();
        assert_eq!(plan.requests.iter().map(|request| request.serves.len()).sum::<usize>(), points.len() + powers, "{name}");
        let mut slots = plan.requests.iter().map(|request| plan.order[request.serves.clone()].iter().map(|piece| piece.slot));
        assert_eq!(
            slots.by_ref().map(|slots| slots.collect::<BTreeSet<_>>().len()).sum::<usize>(),
            points.len(),
            "{name}: together"
        );
        assert!(plan.requests.iter().all(|request| (1..=most).contains(&request.ask.count)), "{name}");
        assert!(!rules.even || plan.requests.iter().all(|request| request.ask.count % 2 == 0), "{name}");
        let singly: Duration = points.iter().map(|point| SERIAL.of(alone(point.table, point.address, point.layout.width()))).sum();
        assert!(plan.bus_time(&SERIAL) * 2 < singly, "{name}: {singly:?} one by one");
    }
}

/// The least cost of any way to group the values, each group one request. Written without a thought of order or neighbourhood.
fn least(spans: &[(u32, u32)], rules: Rules, cost: &LineCost, refusals: &[Refusal]) -> u64 {
    type Price<'a> = &'a dyn Fn(&[(u32, u32)]) -> Option<u64>;
    fn place(left: &[(u32, u32)], groups: &mut Vec<Vec<(u32, u32)>>, price: Price<'_>, best: &mut u64) {
        let Some((first, rest)) = left.split_first() else {
            if let Some(total) = groups.iter().map(|group| price(group)).sum::<Option<u64>>() {
                *best = total.min(*best);
            }
            return;
        };
        for at in 0..groups.len() {
            groups[at].push(*first);
            place(rest, groups, price, best);
            groups[at].pop();
        }
        groups.push(vec![*first]);
        place(rest, groups, price, best);
        groups.pop();
    }
    let price = |group: &[(u32, u32)]| price_of(group, spans, rules, cost, refusals);
    let mut best = u64::MAX;
    place(spans, &mut Vec::new(), &price, &mut best);
    best
}

/// What a request for these values costs, if the rules allow it.
fn price_of(group: &[(u32, u32)], spans: &[(u32, u32)], rules: Rules, cost: &LineCost, refusals: &[Refusal]) -> Option<u64> {
    let (mut start, mut end) = (group.iter().map(|span| span.0).min()?, group.iter().map(|span| span.1).max()?);
    let is_one_value = spans.contains(&(start, end));
    let wanted = |at: u32| spans.iter().any(|span| span.0 <= at && at < span.1);
    let mut gap = 0;
    for at in start..end {
        gap = if wanted(at) { 0 } else { gap + 1 };
        if rules.max_gap.is_some_and(|most| gap > u32::from(most)) {
            return None;
        }
    }
    if rules.even {
        start -= start % 2;
        end += end % 2;
    }
    let holds = |refusal: &Refusal| {
        let first = u32::from(refusal.ask.address);
        start <= first && first + u32::from(refusal.ask.count) <= end
    };
    let is_legal = end - start <= u32::from(rules.max_registers) && !refusals.iter().any(holds);
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
    (is_legal || is_one_value).then(|| nanos(cost.per_request) + nanos(cost.per_register) * u64::from(end - start))
}

fn spans() -> impl Strategy<Value = Vec<(u16, u16)>> {
    prop::collection::vec((0..60_u16, prop::sample::select(vec![1_u16, 1, 2, 2, 4, 9])), 1..8)
}

fn rules() -> impl Strategy<Value = Rules> {
    (prop::sample::select(vec![6_u16, 10, 17, 125]), prop::option::of(0..12_u16), any::<bool>())
        .prop_map(|(max_registers, max_gap, even)| Rules { max_registers, max_gap, even })
}

fn cost() -> impl Strategy<Value = LineCost> {
    (0..40_u64)
        .prop_map(|gap| LineCost { per_register: Duration::from_micros(100), per_request: Duration::from_micros(50 + 100 * gap) })
}

fn refusals() -> impl Strategy<Value = Vec<Refusal>> {
    prop::collection::vec((0..64_u16, 2..10_u16), 0..3)
        .prop_map(|list| list.into_iter().map(|(address, count)| refused(Of::Passage, address, count)).collect())
}

/// What has to come in one request, decided item by item: a value with its power where that breaks no rule, else each of them.
fn inseparable(points: &[(u16, u16, Option<u16>)], rules: Rules, refusals: &[Refusal]) -> Vec<(u32, u32)> {
    let mut wanted = BTreeSet::new();
    for (at, width, register) in points {
        wanted.extend((*at..at + width).chain(*register));
    }
    let mut spans = BTreeSet::new();
    for (at, width, register) in points {
        let (value, Some(register)) = ((u32::from(*at), u32::from(at + width)), *register) else {
            spans.insert((u32::from(*at), u32::from(at + width)));
            continue;
        };
        let power = (u32::from(register), u32::from(register) + 1);
        let both = (value.0.min(power.0), value.1.max(power.1));
        let unwanted: String =
            (both.0..both.1).map(|item| if wanted.contains(&u16::try_from(item).unwrap()) { ' ' } else { '-' }).collect();
        let gap = unwanted.split(' ').map(str::len).max().unwrap_or(0);
        let alone = price_of(&[both], &[], Rules { max_gap: None, ..rules }, &TCP, refusals);
        if alone.is_some() && rules.max_gap.is_none_or(|most| gap <= usize::from(most)) {
            spans.insert(both);
        } else {
            spans.extend([value, power]);
        }
    }
    spans.into_iter().collect()
}

fn powers() -> impl Strategy<Value = Vec<(u16, u16, Option<u16>)>> {
    let point = (0..60_u16, prop::sample::select(vec![1_u16, 1, 2, 4]), prop::option::of(0..64_u16));
    let apart = |(at, width, register): (u16, u16, Option<u16>)| {
        (at, width, register.filter(|register| !(at..at + width).contains(register)))
    };
    prop::collection::vec(point.prop_map(apart), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn values_with_powers_take_no_more_bus_time_than_they_must(
        spans in powers(),
        rules in rules(),
        cost in cost(),
        refusals in refusals(),
    ) {
        let point = |(at, width, register): &(u16, u16, Option<u16>)| {
            let scaling = Scaling { power_register: *register, ..Scaling::default() };
            Point { scaling, ..value(Table::Holding, *at, *width) }
        };
        let points: Vec<Point> = spans.iter().map(point).collect();
        let plan = plan(&points, &all(&points), rules, &cost, &refusals);
        let nanos = u64::try_from(plan.bus_time(&cost).as_nanos()).unwrap();
        prop_assert_eq!(nanos, least(&inseparable(&spans, rules, &refusals), rules, &cost, &refusals), "{:?}", plan.requests);
        let mut brought: Vec<(u16, u32)> = Vec::new();
        for Request { ask, serves } in &plan.requests {
            for piece in &plan.order[serves.clone()] {
                let items = piece.items(&points[usize::from(piece.slot)]);
                prop_assert!(u32::from(ask.address) <= items.start && items.end <= u32::from(ask.address) + u32::from(ask.count));
                brought.push((piece.slot, items.start));
            }
        }
        let pieces = |(slot, (at, _, register)): (u16, &(u16, u16, Option<u16>))| {
            [Some(*at), *register].into_iter().flatten().map(move |first| (slot, u32::from(first))).collect::<Vec<_>>()
        };
        let mut wanted: Vec<(u16, u32)> = (0..).zip(&spans).flat_map(pieces).collect();
        wanted.sort_unstable();
        brought.sort_unstable();
        prop_assert_eq!(brought, wanted, "each value once, and each power once for each value");
    }

    #[test]
    fn no_other_set_of_requests_takes_less_bus_time(spans in spans(), rules in rules(), cost in cost(), refusals in refusals()) {
        let points = holding(&spans);
        let plan = plan(&points, &all(&points), rules, &cost, &refusals);
        let mut distinct: Vec<(u32, u32)> = spans.iter().map(|(at, width)| (u32::from(*at), u32::from(at + width))).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let nanos = u64::try_from(plan.bus_time(&cost).as_nanos()).unwrap();
        prop_assert_eq!(nanos, least(&distinct, rules, &cost, &refusals), "{:?}", plan.requests);
    }

    #[test]
    fn every_due_point_is_in_one_legal_request_as_a_whole(
        spans in prop::collection::vec((0..65_500_u16, 1..30_u16, 0..4_usize), 0..80),
        near in 1..400_u16,
        rules in rules(),
        due_every in 1..3_usize,
    ) {
        let tables = [Table::Coil, Table::Discrete, Table::Holding, Table::Input];
        let points: Vec<Point> =
            spans.iter().map(|(at, width, table)| value(tables[*table], at % near, if *table < 2 { 1 } else { *width })).collect();
        let due: Vec<u16> = all(&points).into_iter().step_by(due_every).collect();
        let plan = plan(&points, &due, rules, &SERIAL, &[]);
        let mut served = vec![0; due.len()];
        for Request { ask, serves } in &plan.requests {
            let most = if ask.table.is_bits() { 2000 } else { 125 };
            prop_assert!(ask.count >= 1 && ask.count <= most && u32::from(ask.address) + u32::from(ask.count) <= 65_536);
            let slots = &plan.order[serves.clone()];
            let width = |piece: &Piece| points[usize::from(due[usize::from(piece.slot)])].layout.width();
            let is_wide = slots.iter().any(|slot| width(slot) + 2 > rules.max_registers);
            prop_assert!(ask.table.is_bits() || ask.count <= rules.max_registers || is_wide);
            for Piece { slot, .. } in slots {
                served[usize::from(*slot)] += 1;
                let point = &points[usize::from(due[usize::from(*slot)])];
                prop_assert!(point.table == ask.table && point.address >= ask.address);
                prop_assert!(point.address + point.layout.width() <= ask.address + ask.count);
            }
        }
        prop_assert!(served.iter().all(|times| *times == 1));
    }
}
