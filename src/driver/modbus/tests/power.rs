//! Values whose power of ten stands in another register.

use super::*;

/// What stands in registers 0..20 of a small SunSpec block: currents 2 to 5 with their power in 6, voltages 10 to 12 with theirs in
/// 13; every other register holds rubbish.
const BLOCK: [u16; 20] =
    [0xDEAD, 0xDEAD, 1234, 411, 412, 0xFFFF, 0xFFFE, 0xDEAD, 0xDEAD, 0xDEAD, 2298, 2301, 2305, 0xFFFF, 7, 0, 9, 0x8000, 9, 44];

fn powered(address: u16, register: u16) -> Point {
    let scaling = Scaling { power_register: Some(register), ..Scaling::default() };
    Point { scaling, invalid: vec![0xFFFF], ..point(Table::Holding, address, Encoding::U16) }
}

fn block(ask: Ask) -> Heard {
    let (start, end) = (usize::from(ask.address), usize::from(ask.address + ask.count));
    Heard::Words(BLOCK[start..end].to_vec())
}

fn values(sweep: &Sweep) -> Vec<String> {
    let text = |value: &Value, quality: &Quality| match quality {
        Quality::Good => value.to_string(),
        Quality::Bad(reason) => reason.to_string(),
    };
    sweep.values.iter().map(|(_, value, quality)| text(value, quality)).collect()
}

#[test]
fn values_are_scaled_by_the_register_of_the_same_answer() {
    let meter = meter(vec![powered(2, 6), powered(3, 6), powered(10, 13), powered(5, 6)]);
    let (sweep, asked) = poll_once(&mut poller(&meter), block);
    assert_eq!(values(&sweep), ["12.34", "4.11", "229.8", "invalid"]);
    assert_eq!(asked.len(), 1);
}

#[test]
fn a_power_that_is_not_there_or_none_leaves_no_value() {
    let (sweep, _) = poll_once(&mut poller(&meter(vec![powered(2, 17), powered(2, 19), powered(2, 15)])), block);
    assert_eq!(values(&sweep), ["invalid", "malformed", "1234"]);
}

/// A meter that takes so few registers that value and power come in two answers.
fn narrow(points: Vec<Point>) -> Arc<Meter> {
    let model = Meter { max_registers: 4, ..Meter::clone(&meter(points)) };
    Arc::new(model)
}

#[test]
fn value_and_power_from_two_answers_of_one_poll_give_the_value() {
    let mut poller = poller(&narrow(vec![powered(10, 6), powered(2, 13), powered(3, 6)]));
    for _ in 0..2 {
        let (sweep, asked) = poll_once(&mut poller, block);
        assert_eq!(values(&sweep), ["22.98", "123.4", "4.11"]);
        assert_eq!(asked.len(), 3, "{asked:?}");
    }
}

#[test]
fn a_power_that_was_not_heard_in_this_poll_is_never_taken_from_another() {
    let mut poller = poller(&narrow(vec![powered(2, 13)]));
    assert_eq!(values(&poll_once(&mut poller, block).0), ["123.4"]);
    for (silent, reason) in [(2, "timeout"), (13, "timeout")] {
        let world = |ask: Ask| if ask.address == silent { Heard::Fault(Fault::Silent) } else { block(ask) };
        assert_eq!(values(&poll_once(&mut poller, world).0), [reason], "register {silent} is silent");
    }
    let garbled = |ask: Ask| if ask.address == 13 { Heard::Fault(Fault::Garbled) } else { block(ask) };
    assert_eq!(values(&poll_once(&mut poller, garbled).0), ["garbled"]);
}

#[test]
fn a_hole_between_value_and_power_is_found_and_both_are_still_read() {
    let meter = meter(vec![powered(2, 6), powered(10, 13)]);
    let lacks = Simulated::lacking([4]);
    let world = |ask: Ask| match lacks.answer(ask) {
        Heard::Words(_) => block(ask),
        refused => refused,
    };
    let mut poller = poller(&meter);
    poll_once(&mut poller, world);
    let (sweep, asked) = poll_once(&mut poller, world);
    assert_eq!((values(&sweep), asked.len()), (vec!["12.34".to_owned(), "229.8".to_owned()], 2), "{asked:?}");
    assert_eq!(poller.refusals().map(|refusal| refusal.of).collect::<Vec<_>>(), [Of::Passage]);
}

#[test]
fn the_search_parts_points_before_it_parts_a_value_from_its_power() {
    let meter = meter(vec![powered(2, 6), powered(10, 13)]);
    let lacks = Simulated::lacking([8]);
    let world = |ask: Ask| match lacks.answer(ask) {
        Heard::Words(_) => block(ask),
        refused => refused,
    };
    let (sweep, asked) = poll_once(&mut poller(&meter), world);
    assert_eq!((values(&sweep), asked.len()), (vec!["12.34".to_owned(), "229.8".to_owned()], 3), "{asked:?}");
}

#[test]
fn a_refused_power_costs_its_values_and_no_others() {
    let meter = meter(vec![powered(2, 6), powered(3, 6), powered(10, 13)]);
    let lacks = Simulated::lacking([6]);
    let world = |ask: Ask| match lacks.answer(ask) {
        Heard::Words(_) => block(ask),
        refused => refused,
    };
    let mut poller = poller(&meter);
    let (first, _) = poll_once(&mut poller, world);
    let (second, asked) = poll_once(&mut poller, world);
    assert_eq!(
        (values(&first), values(&second)),
        (vec!["exception-2".into(), "exception-2".into(), "229.8".to_owned()], values(&first))
    );
    assert_eq!(asked.len(), 1, "only what is answered");
}

fn any_powered() -> impl Strategy<Value = Arc<Meter>> {
    let point = (0..100_u16, 0..100_u16).prop_filter("beside the value", |(at, register)| at != register);
    let points = prop::collection::vec(point.prop_map(|(at, register)| powered(at, register)), 1..12);
    (points, 2..40_u16).prop_map(|(points, most)| Arc::new(Meter { max_registers: most, ..Meter::clone(&meter(points)) }))
}

/// Registers of the random meter: a value names its address, a power is a small number that depends on the address.
fn content(address: u16) -> u16 {
    if address.is_multiple_of(2) { address % 7 } else { 1000 + address }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn whatever_is_refused_or_lost_a_value_has_its_own_power_or_is_missing(
        meter in any_powered(),
        lacks in prop::collection::btree_set(0..100_u16, 0..4),
        fates in prop::collection::vec(any_fate(), 40),
    ) {
        let mut poller = poller(&meter);
        let world = Simulated { lacks, longest: 125 };
        let mut fates = fates.into_iter().cycle();
        let due: Vec<u16> = (0..).take(meter.points.len()).collect();
        for minute in 0..4 {
            let now = at(minute * 60_000);
            let mut poll = poller.poll(&due, &now);
            let (sweep, _) = carry(&mut poll, now.boot_ms, |ask| match (fates.next(), world.answer(ask)) {
                (Some(Fate::Failed(fault)), _) => Heard::Fault(fault),
                (_, Heard::Words(_)) => Heard::Words((ask.address..ask.address + ask.count).map(content).collect()),
                (_, refused) => refused,
            });
            poller.learn(poll.learnt(), &now);
            prop_assert_eq!(sweep.values.len(), due.len());
            for (place, value, quality) in &sweep.values {
                let point = &meter.points[usize::from(*place)];
                let (raw, power) = (content(point.address), content(point.scaling.power_register.unwrap()));
                let truth = Value::Decimal { mantissa: raw.into(), exponent: i8::try_from(power).unwrap_or(i8::MAX) };
                match quality {
                    Quality::Good => prop_assert!(power <= 10 && *value == truth, "{value:?} for {raw} and {power}"),
                    Quality::Bad(reason) => prop_assert!(*value == Value::Missing && *reason != Reason::Silent),
                }
            }
        }
    }
}
