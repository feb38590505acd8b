//! A meter is a map of registers here, with addresses it refuses; a script says what becomes of each request.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::config::model::{ByteOrder, Encoding, Layout, Point, Scaling, Table};
use crate::driver::refusal::Of;
use crate::driver::{Fault, Heard, Step};
use crate::reading::{
    BootId, Keep, Kind, MeterSchema, Quality, Reason, SchemaContent, SchemaPoint, Stamp, Sweep, Value, ValueType,
};

const COST: LineCost = LineCost { per_register: Duration::from_millis(2), per_request: Duration::from_millis(40) };

fn at(ms: u64) -> Stamp {
    Stamp { wall_ms: 1_700_000_000_000 + i64::try_from(ms).unwrap(), boot: BootId(1), boot_ms: ms, synchronised: true }
}

fn point(table: Table, address: u16, encoding: Encoding) -> Point {
    let layout = Layout { encoding, order: ByteOrder::Abcd, bits: None };
    Point { table, address, layout, scaling: Scaling::default(), invalid: Vec::new(), names: Vec::new(), every: None }
}

fn meter(points: Vec<Point>) -> Arc<Meter> {
    let named = |n| SchemaPoint { name: format!("p{n}").into(), unit: "".into(), value_type: ValueType::U16, kind: Kind::Gauge };
    let schema = MeterSchema::new(SchemaContent {
        gateway: "g".into(),
        district: "d".into(),
        meter: "m".into(),
        keep: Keep::Normal,
        points: (0..points.len()).map(named).collect(),
    });
    Arc::new(Meter {
        name: "m".into(),
        unit: 1,
        every: Duration::from_secs(1),
        is_urgent: false,
        is_aligned: false,
        pause: Duration::ZERO,
        max_registers: 125,
        max_gap: None,
        even_registers: false,
        points,
        schema: Arc::new(schema),
    })
}

/// A meter of single holding registers at these addresses.
fn words(addresses: impl IntoIterator<Item = u16>) -> Arc<Meter> {
    meter(addresses.into_iter().map(|address| point(Table::Holding, address, Encoding::U16)).collect())
}

/// What stands in a register of the simulated meter: no two neighbours alike, no two tables alike.
fn register(table: Table, address: u16) -> u16 {
    (address ^ 0x5A5A).wrapping_mul(40_503).wrapping_add(table as u16)
}

fn coil(table: Table, address: u16) -> bool {
    register(table, address) & 0x10 != 0
}

/// What a point must say when it says anything.
fn truth(point: &Point) -> Value {
    let word = |offset: u16| u64::from(register(point.table, point.address + offset));
    match point.layout.encoding {
        Encoding::Bool => Value::Bool(coil(point.table, point.address)),
        Encoding::U16 => Value::UInt(word(0)),
        Encoding::U32 => Value::UInt(word(0) * 65_536 + word(1)),
        Encoding::U64 => Value::UInt(((word(0) * 65_536 + word(1)) * 65_536 + word(2)) * 65_536 + word(3)),
        other => panic!("no truth about {other:?}"),
    }
}

fn answer(ask: Ask) -> Heard {
    let items = ask.address..=ask.address + (ask.count - 1);
    if ask.table.is_bits() {
        Heard::Bits(items.map(|address| coil(ask.table, address)).collect())
    } else {
        Heard::Words(items.map(|address| register(ask.table, address)).collect())
    }
}

/// A meter that lacks these holding registers and takes at most so many in one request.
struct Simulated {
    lacks: BTreeSet<u16>,
    longest: u16,
}

impl Simulated {
    fn lacking(lacks: impl IntoIterator<Item = u16>) -> Self {
        Self { lacks: lacks.into_iter().collect(), longest: 125 }
    }

    fn answer(&self, ask: Ask) -> Heard {
        if ask.count > self.longest {
            return Heard::Fault(Fault::Refused(3));
        }
        let lacks_one = self.lacks.range(ask.address..=ask.address + (ask.count - 1)).next().is_some();
        if lacks_one { Heard::Fault(Fault::Refused(2)) } else { answer(ask) }
    }
}

/// Carries a dialogue through from the moment `begin` on; the sweep and what was asked.
fn carry(dialogue: &mut dyn Dialogue, begin: u64, mut world: impl FnMut(Ask) -> Heard) -> (Sweep, Vec<Ask>) {
    let mut asked = Vec::new();
    let mut heard = Heard::Nothing;
    for step in 1..1000 {
        match dialogue.step(heard, &at(begin + step)) {
            Step::Ask(ask) => {
                heard = world(ask);
                asked.push(ask);
            }
            Step::Wait(_) => heard = Heard::Nothing,
            Step::Done(mut sweeps) => {
                assert_eq!(sweeps.len(), 1, "one sweep");
                return (sweeps.remove(0), asked);
            }
        }
    }
    panic!("no end after 1000 steps");
}

fn poller(meter: &Arc<Meter>) -> Poller {
    Poller::new(Arc::clone(meter), COST, Vec::new())
}

fn any_rules() -> impl Strategy<Value = Rules> {
    (4..=125_u16, prop::option::of(0..20_u16), any::<bool>()).prop_map(|(max_registers, max_gap, even)| Rules {
        max_registers,
        max_gap,
        even,
    })
}

/// Polls all points with what is known, and learns.
fn poll_at(poller: &mut Poller, begin: u64, world: impl FnMut(Ask) -> Heard) -> (Sweep, Vec<Ask>) {
    let mut poll = poller.poll_all(&at(begin));
    let result = carry(&mut poll, begin, world);
    poller.learn(poll.learnt(), &at(begin));
    result
}

fn poll_once(poller: &mut Poller, world: impl FnMut(Ask) -> Heard) -> (Sweep, Vec<Ask>) {
    poll_at(poller, 0, world)
}

fn reasons(sweep: &Sweep) -> Vec<Option<Reason>> {
    let reason = |quality: Quality| if let Quality::Bad(reason) = quality { Some(reason) } else { None };
    sweep.values.iter().map(|(_, _, quality)| reason(*quality)).collect()
}

/// Every due point once, in order; what is good is true, what is not good is missing.
fn check(sweep: &Sweep, meter: &Meter, due: &[u16]) {
    assert_eq!(sweep.values.iter().map(|(place, ..)| *place).collect::<Vec<_>>(), due);
    for (place, value, quality) in &sweep.values {
        match quality {
            Quality::Good => assert_eq!(*value, truth(&meter.points[usize::from(*place)]), "point {place}"),
            Quality::Bad(reason) => {
                assert_eq!(*value, Value::Missing, "point {place}");
                assert_ne!(*reason, Reason::Silent, "point {place} was accounted for");
            }
        }
    }
}

/// Three blocks far apart, two registers each.
fn three_blocks() -> Arc<Meter> {
    words([0, 1, 1000, 1001, 2000, 2001])
}

const GOOD: Option<Reason> = None;
const TIMEOUT: Option<Reason> = Some(Reason::Timeout);
const GARBLED: Option<Reason> = Some(Reason::Garbled);

#[test]
fn a_healthy_meter_gives_one_sweep_with_every_value() {
    let meter = meter(vec![
        point(Table::Input, 40, Encoding::U64),
        point(Table::Coil, 7, Encoding::Bool),
        point(Table::Holding, 2, Encoding::U32),
        point(Table::Holding, 0, Encoding::U16),
    ]);
    let (sweep, asked) = poll_once(&mut poller(&meter), answer);
    check(&sweep, &meter, &[0, 1, 2, 3]);
    assert_eq!((reasons(&sweep), asked.len()), (vec![GOOD; 4], 3));
    assert_eq!(sweep.stamp, at(4), "the moment of the last answer");
}

#[test]
fn the_simple_face_polls_all_points() {
    let (sweep, _) = carry(&mut *poll(&three_blocks(), &COST), 0, answer);
    assert_eq!(reasons(&sweep), [GOOD; 6]);
}

#[test]
fn a_dead_meter_costs_one_time_out() {
    let (sweep, asked) = poll_once(&mut poller(&three_blocks()), |_| Heard::Fault(Fault::Silent));
    assert_eq!((reasons(&sweep), asked.len()), (vec![TIMEOUT; 6], 1));
}

#[test]
fn what_a_meter_said_before_it_died_is_kept_with_the_time_it_was_said() {
    let world = |ask: Ask| if ask.address == 0 { answer(ask) } else { Heard::Fault(Fault::Silent) };
    let (sweep, asked) = poll_once(&mut poller(&three_blocks()), world);
    assert_eq!(reasons(&sweep), [GOOD, GOOD, TIMEOUT, TIMEOUT, TIMEOUT, TIMEOUT]);
    assert_eq!((asked.len(), sweep.stamp), (2, at(2)));
}

#[test]
fn a_gateway_that_finds_no_meter_behind_it_tells_of_a_dead_meter() {
    for code in [0x0A, 0x0B] {
        let (sweep, asked) = poll_once(&mut poller(&three_blocks()), |_| Heard::Fault(Fault::Refused(code)));
        assert_eq!((reasons(&sweep), asked.len()), (vec![TIMEOUT; 6], 1));
    }
}

#[test]
fn a_line_that_is_down_ends_the_dialogue() {
    let (sweep, asked) = poll_once(&mut poller(&three_blocks()), |_| Heard::Fault(Fault::LineDown));
    assert_eq!((reasons(&sweep), asked.len()), (vec![Some(Reason::LineDown); 6], 1));
}

#[test]
fn one_garbled_answer_costs_its_points_and_two_in_a_row_end_the_dialogue() {
    let garbled = |address: &[u16]| {
        let address = address.to_vec();
        move |ask: Ask| if address.contains(&ask.address) { Heard::Fault(Fault::Garbled) } else { answer(ask) }
    };
    let (sweep, asked) = poll_once(&mut poller(&three_blocks()), garbled(&[1000]));
    assert_eq!((reasons(&sweep), asked.len()), (vec![GOOD, GOOD, GARBLED, GARBLED, GOOD, GOOD], 3));
    let (sweep, asked) = poll_once(&mut poller(&three_blocks()), garbled(&[0, 2000]));
    assert_eq!((reasons(&sweep), asked.len()), (vec![GARBLED, GARBLED, GOOD, GOOD, GARBLED, GARBLED], 3));
    let (sweep, asked) = poll_once(&mut poller(&three_blocks()), garbled(&[0, 1000]));
    assert_eq!((reasons(&sweep), asked.len()), (vec![GARBLED; 6], 2));
}

#[test]
fn an_answer_of_another_length_or_kind_never_becomes_a_value() {
    for wrong in
        [Heard::Words(vec![1]), Heard::Words(vec![1, 2, 3]), Heard::Words(vec![]), Heard::Bits(vec![true; 2]), Heard::Nothing]
    {
        let (sweep, _) = poll_once(&mut poller(&three_blocks()), |_| wrong.clone());
        assert_eq!(reasons(&sweep), [GARBLED; 6], "{wrong:?}");
    }
}

#[test]
fn a_busy_meter_is_left_alone_for_a_while_and_asked_once_more() {
    let meter = words([5]);
    let mut poll = poller(&meter).poll_all(&at(0));
    let ask = Ask { table: Table::Holding, address: 5, count: 1 };
    assert_eq!(poll.step(Heard::Nothing, &at(0)), Step::Ask(ask));
    assert!(matches!(poll.step(Heard::Fault(Fault::Refused(6)), &at(1)), Step::Wait(pause) if pause > Duration::ZERO));
    assert_eq!(poll.step(Heard::Nothing, &at(101)), Step::Ask(ask));
    let Step::Done(sweeps) = poll.step(Heard::Fault(Fault::Refused(6)), &at(102)) else { panic!("a third try") };
    assert_eq!(reasons(&sweeps[0]), [Some(Reason::Exception(6))]);
}

#[test]
fn a_refused_value_among_good_ones_is_isolated_and_costs_only_itself() {
    let meter = words(0..20);
    let lacks = Simulated::lacking([13]);
    let mut poller = poller(&meter);
    let (sweep, first) = poll_once(&mut poller, |ask| lacks.answer(ask));
    check(&sweep, &meter, &(0..20).collect::<Vec<_>>());
    assert_eq!(reasons(&sweep).iter().filter(|reason| reason.is_some()).count(), 1);
    assert_eq!(reasons(&sweep)[13], Some(Reason::Exception(2)));
    assert!(first.len() <= 1 + 2 * 5, "{} requests to find one of twenty", first.len());
    let refusal = Refusal { ask: Ask { table: Table::Holding, address: 13, count: 1 }, code: 2, of: Of::Value };
    assert_eq!(poller.refusals().collect::<Vec<_>>(), [refusal]);
    let (again, second) = poll_once(&mut poller, |ask| lacks.answer(ask));
    assert_eq!((reasons(&again), second.len()), (reasons(&sweep), 2), "around the refused register");
}

#[test]
fn a_hole_between_values_is_no_longer_read_through() {
    let meter = words([0, 1, 10, 11]);
    let lacks = Simulated::lacking([5]);
    let mut poller = poller(&meter);
    let (sweep, _) = poll_once(&mut poller, |ask| lacks.answer(ask));
    assert_eq!(reasons(&sweep), [GOOD; 4]);
    assert_eq!(poller.refusals().map(|refusal| refusal.of).collect::<Vec<_>>(), [Of::Passage]);
    let (sweep, asked) = poll_once(&mut poller, |ask| lacks.answer(ask));
    assert_eq!((reasons(&sweep), asked.len()), (vec![GOOD; 4], 2));
    let known: Vec<Refusal> = poller.refusals().collect();
    let (sweep, asked) = poll_at(&mut poller, 60_000, |ask| lacks.answer(ask));
    assert_eq!((reasons(&sweep), asked.len()), (vec![GOOD; 4], 3), "it is tested");
    assert_eq!(poller.refusals().collect::<Vec<_>>(), known, "and confirmed for what it is");
}

#[test]
fn a_meter_with_an_undeclared_limit_is_read_in_smaller_blocks_from_then_on() {
    let meter = words(0..100);
    let short = Simulated { lacks: BTreeSet::new(), longest: 30 };
    let mut poller = poller(&meter);
    for _ in 0..2 {
        let (sweep, _) = poll_once(&mut poller, |ask| short.answer(ask));
        assert_eq!(reasons(&sweep), [GOOD; 100]);
    }
    let (sweep, asked) = poll_once(&mut poller, |ask| short.answer(ask));
    assert_eq!(reasons(&sweep), [GOOD; 100]);
    assert!(asked.len() <= 4, "{asked:?}");
}

#[test]
fn values_within_a_refused_one_are_still_read() {
    let meter = meter(vec![
        point(Table::Holding, 0, Encoding::U64),
        point(Table::Holding, 0, Encoding::U32),
        point(Table::Holding, 1, Encoding::U16),
    ]);
    let lacks = Simulated::lacking([3]);
    let mut poller = poller(&meter);
    for requests in [2, 1] {
        let (sweep, asked) = poll_once(&mut poller, |ask| lacks.answer(ask));
        assert_eq!((reasons(&sweep), asked.len()), (vec![Some(Reason::Exception(2)), GOOD, GOOD], requests));
    }
}

#[test]
fn several_points_of_one_refused_register_are_refused_together() {
    let meter = words([4, 4, 4]);
    let mut poller = poller(&meter);
    let mut poll = poller.poll_all(&at(0));
    let (sweep, asked) = carry(&mut poll, 0, |ask| Simulated::lacking([4]).answer(ask));
    assert_eq!((reasons(&sweep), asked.len()), (vec![Some(Reason::Exception(2)); 3], 1));
    assert_eq!(poll.learnt().refusals.len(), 1);
}

#[test]
fn a_meter_that_refuses_everything_is_left_in_peace_and_never_written_down() {
    let mut poller = poller(&words(0..20));
    let refuse = |_| Heard::Fault(Fault::Refused(2));
    let (sweep, asked) = poll_at(&mut poller, 0, refuse);
    assert_eq!(reasons(&sweep), [Some(Reason::Exception(2)); 20]);
    assert!(asked.len() <= 1 + poll::MOST_EXTRA);
    for second in 1..60 {
        poll_at(&mut poller, second * 1000, refuse);
    }
    let (sweep, asked) = poll_at(&mut poller, 59_500, refuse);
    assert_eq!((reasons(&sweep), asked.len()), (vec![Some(Reason::Exception(2)); 20], 0));
    assert_eq!(poller.refusals().count(), 0, "it may only be starting");
}

#[test]
fn a_meter_that_refused_everything_while_it_started_is_read_in_full_a_minute_later() {
    let mut poller = poller(&words(0..20));
    for second in 0..10 {
        poll_at(&mut poller, second * 1000, |_| Heard::Fault(Fault::Refused(2)));
    }
    let (_, asked) = poll_at(&mut poller, 61_000, answer);
    assert_eq!(asked.len(), 1, "one of the refusals is tested");
    let (sweep, asked) = poll_at(&mut poller, 62_000, answer);
    assert_eq!((reasons(&sweep), asked.len()), (vec![GOOD; 20], 1));
}

#[test]
fn a_refusal_is_tested_at_growing_intervals_and_daily_in_the_end() {
    let mut poller = poller(&words([0, 1]));
    let lacks = Simulated::lacking([1]);
    let mut tests = Vec::new();
    for minute in 0..5 * 24 * 60 {
        let (sweep, asked) = poll_at(&mut poller, minute * 60_000, |ask| lacks.answer(ask));
        assert_eq!(reasons(&sweep), [GOOD, Some(Reason::Exception(2))]);
        tests.extend((minute > 0 && asked.len() > 1).then_some(minute));
    }
    assert_eq!(tests, [1, 5, 21, 85, 341, 1365, 2805, 4245, 5685, 7125], "minutes");
    assert_eq!(poller.refusals().count(), 1);
}

#[test]
fn a_register_that_is_answered_again_is_read_again_and_leaves_the_notebook() {
    let mut poller = poller(&words([0, 1]));
    poll_at(&mut poller, 0, |ask| Simulated::lacking([1]).answer(ask));
    assert_eq!(poller.refusals().count(), 1);
    let mut poll = poller.poll_all(&at(60_000));
    let (sweep, asked) = carry(&mut poll, 60_000, answer);
    assert_eq!((reasons(&sweep), asked.len()), (vec![GOOD, Some(Reason::Exception(2))], 2));
    assert_eq!(sweep.stamp, at(60_002), "the test serves no value and gives no time");
    assert!(poller.learn(poll.learnt(), &at(60_000)), "news for the notebook");
    assert_eq!(poller.refusals().count(), 0);
    let (sweep, asked) = poll_at(&mut poller, 61_000, answer);
    assert_eq!((reasons(&sweep), asked.len()), (vec![GOOD; 2], 1));
}

#[test]
fn a_meter_that_dies_during_a_test_has_still_said_what_it_said() {
    let mut poller = poller(&words([0, 1]));
    poll_at(&mut poller, 0, |ask| Simulated::lacking([1]).answer(ask));
    let world = |ask: Ask| if ask.address == 1 { Heard::Fault(Fault::Silent) } else { answer(ask) };
    let (sweep, asked) = poll_at(&mut poller, 60_000, world);
    assert_eq!((reasons(&sweep), asked.len()), (vec![GOOD, Some(Reason::Exception(2))], 2));
    assert_eq!(poller.refusals().count(), 1, "silence proves nothing");
}

#[test]
fn other_exceptions_cost_their_request_and_teach_nothing() {
    let mut poller = poller(&three_blocks());
    let world = |ask: Ask| if ask.address == 0 { Heard::Fault(Fault::Refused(4)) } else { answer(ask) };
    let (sweep, asked) = poll_once(&mut poller, world);
    assert_eq!(reasons(&sweep), [Some(Reason::Exception(4)), Some(Reason::Exception(4)), GOOD, GOOD, GOOD, GOOD]);
    assert_eq!((asked.len(), poller.refusals().count()), (3, 0));
}

#[test]
fn a_meter_that_dies_during_the_search_keeps_what_it_said() {
    let meter = words([0, 1, 1000, 1001]);
    let mut poll = poller(&meter).poll_all(&at(0));
    let mut asked = 0;
    let (sweep, _) = carry(&mut poll, 0, |ask| {
        asked += 1;
        match asked {
            1 => Heard::Fault(Fault::Refused(2)),
            2 | 3 => answer(ask),
            _ => Heard::Fault(Fault::Silent),
        }
    });
    assert_eq!(reasons(&sweep), [GOOD, TIMEOUT, GOOD, GOOD]);
}

#[test]
fn what_the_notebook_knew_is_not_searched_again() {
    let refusal = Refusal { ask: Ask { table: Table::Holding, address: 1, count: 1 }, code: 2, of: Of::Value };
    let mut poller = Poller::new(words([0, 1, 2, 3]), COST, vec![refusal]);
    let (sweep, asked) = poll_once(&mut poller, |ask| Simulated::lacking([1]).answer(ask));
    assert_eq!(reasons(&sweep), [GOOD, Some(Reason::Exception(2)), GOOD, GOOD]);
    assert_eq!(asked.len(), 3, "both sides of it, and one test after a start");
}

#[test]
fn a_steady_poll_uses_the_plan_of_the_one_before() {
    let mut poller = poller(&three_blocks());
    let first = poller.plan(&[0, 1, 2]);
    assert!(Arc::ptr_eq(&first, &poller.plan(&[0, 1, 2])));
    assert!(!Arc::ptr_eq(&first, &poller.plan(&[0, 1, 3])));
    assert!(Arc::ptr_eq(&first, &poller.plan(&[0, 1, 2])), "two periods do not drive each other out");
    poller.price(LineCost { per_request: COST.per_request * 11 / 10, ..COST });
    assert!(Arc::ptr_eq(&first, &poller.plan(&[0, 1, 2])), "a tenth is no reason");
    poller.price(LineCost { per_request: COST.per_request * 2, ..COST });
    assert!(!Arc::ptr_eq(&first, &poller.plan(&[0, 1, 2])));
}

#[test]
fn the_rules_of_the_meter_are_kept_in_every_poll() {
    let with = |max_gap, even_registers| {
        let meter = Meter { max_gap, even_registers, ..Meter::clone(&words([1, 4])) };
        let (_, asked) = poll_once(&mut poller(&Arc::new(meter)), answer);
        asked.iter().map(|ask| (ask.address, ask.count)).collect::<Vec<_>>()
    };
    assert_eq!(with(None, false), [(1, 4)]);
    assert_eq!(with(Some(1), false), [(1, 1), (4, 1)]);
    assert_eq!(with(None, true), [(0, 6)]);
}

#[test]
fn nothing_due_is_no_sweep() {
    let mut poll = poller(&three_blocks()).poll(&[], &at(0));
    assert_eq!(poll.step(Heard::Nothing, &at(0)), Step::Done(Vec::new()));
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        1 => Just(Fault::Silent),
        4 => Just(Fault::Garbled),
        2 => any::<u8>().prop_map(Fault::Refused),
        6 => prop::sample::select(vec![2_u8, 3, 6]).prop_map(Fault::Refused),
        1 => Just(Fault::LineDown),
        2 => Just(Fault::Short),
    ]
}

/// What becomes of a request: the true answer, a fault, or rubbish of any length.
#[derive(Debug, Clone)]
enum Fate {
    Answered,
    Failed(Fault),
    Rubbish(Vec<u16>),
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Answered),
        4 => any_fault().prop_map(Fate::Failed),
        1 => prop::collection::vec(any::<u16>(), 126..130).prop_map(Fate::Rubbish),
    ]
}

fn any_meter() -> impl Strategy<Value = Arc<Meter>> {
    let encodings = vec![Encoding::U16, Encoding::U16, Encoding::U32, Encoding::U64];
    let registers = (prop::sample::select(vec![Table::Holding, Table::Input]), 0..120_u16, prop::sample::select(encodings));
    let registers = registers.prop_map(|(table, address, encoding)| point(table, address, encoding));
    let coils = (0..60_u16).prop_map(|address| point(Table::Coil, address, Encoding::Bool));
    prop::collection::vec(prop_oneof![6 => registers, 1 => coils], 1..30).prop_map(meter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn whatever_is_heard_every_due_point_is_accounted_for_once_in_bounded_steps(
        meter in any_meter(),
        rules in any_rules(),
        fates in prop::collection::vec(any_fate(), 60),
        skip in 1..4_usize,
    ) {
        let mut poller = Poller { rules, ..poller(&meter) };
        let due: Vec<u16> = (0..).take(meter.points.len()).step_by(skip).collect();
        let mut fates = fates.into_iter().cycle();
        for minute in 0..3 {
            let now = at(minute * 60_000);
            let planned = poller.plan(&due).requests.len();
            let mut poll = poller.poll(&due, &now);
            let (sweep, asked) = carry(&mut poll, now.boot_ms, |ask| match fates.next() {
                Some(Fate::Failed(fault)) => Heard::Fault(fault),
                Some(Fate::Rubbish(words)) => Heard::Words(words),
                _ => answer(ask),
            });
            check(&sweep, &meter, &due);
            prop_assert!(asked.len() <= planned + poll::MOST_EXTRA + 2, "{} requests", asked.len());
            poller.learn(poll.learnt(), &now);
        }
    }

    #[test]
    fn a_meter_that_lacks_registers_is_known_after_a_few_polls(
        meter in any_meter(),
        lacks in prop::collection::btree_set(0..120_u16, 0..8),
    ) {
        let due: Vec<u16> = (0..).take(meter.points.len()).collect();
        let world = Simulated { lacks, longest: 125 };
        let mut poller = poller(&meter);
        for _ in 0..20 {
            let (sweep, _) = poll_once(&mut poller, |ask| if ask.table == Table::Holding { world.answer(ask) } else { answer(ask) });
            check(&sweep, &meter, &due);
        }
        let (sweep, asked) = poll_once(&mut poller, |ask| if ask.table == Table::Holding { world.answer(ask) } else { answer(ask) });
        prop_assert_eq!(asked.len(), poller.plan(&due).requests.len(), "nothing is left to search");
        for (place, _, quality) in &sweep.values {
            let point = &meter.points[usize::from(*place)];
            let items = point.address..point.address + point.layout.width();
            let is_lacking = point.table == Table::Holding && world.lacks.range(items).next().is_some();
            prop_assert_eq!(*quality == Quality::Good, !is_lacking, "point {} of {:?}", place, point);
        }
    }
}

mod power;
mod short;
