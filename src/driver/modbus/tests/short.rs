//! Answers that hold less than was asked for.

use super::*;
use crate::driver::refusal::SHORT;

/// A meter that answers a request which reaches a register it lacks, but with less.
fn curt(lacks: &[u16]) -> impl Fn(Ask) -> Heard {
    let world = Simulated::lacking(lacks.iter().copied());
    move |ask| match world.answer(ask) {
        Heard::Fault(Fault::Refused(_)) => Heard::Fault(Fault::Short),
        answered => answered,
    }
}

#[test]
fn a_value_that_makes_a_block_short_is_isolated_and_costs_only_itself() {
    let meter = words(0..20);
    let mut poller = poller(&meter);
    let (sweep, first) = poll_once(&mut poller, curt(&[13]));
    check(&sweep, &meter, &(0..20).collect::<Vec<_>>());
    assert_eq!(reasons(&sweep).iter().filter(|reason| reason.is_some()).count(), 1);
    assert_eq!(reasons(&sweep)[13], GARBLED);
    assert!(first.len() <= 1 + 2 * 5, "{} requests to find one of twenty", first.len());
    let refusal = Refusal { ask: Ask { table: Table::Holding, address: 13, count: 1 }, code: SHORT, of: Of::Value };
    assert_eq!(poller.refusals().collect::<Vec<_>>(), [refusal]);
    let (again, second) = poll_once(&mut poller, curt(&[13]));
    assert_eq!((reasons(&again), second.len()), (reasons(&sweep), 2), "around the register");
}

#[test]
fn one_short_answer_to_a_single_value_is_a_disturbance_and_teaches_nothing() {
    let mut poller = poller(&words([5]));
    let (sweep, asked) = poll_once(&mut poller, curt(&[5]));
    assert_eq!((reasons(&sweep), asked.len(), poller.refusals().count()), (vec![GARBLED], 1, 0));
    assert_eq!(reasons(&poll_once(&mut poller, answer).0), [GOOD]);
}

#[test]
fn a_block_that_was_short_once_gives_all_its_values_and_is_whole_again_after_a_test() {
    let meter = words(0..20);
    let mut poller = poller(&meter);
    let mut asked = 0;
    let (sweep, _) = poll_once(&mut poller, |ask| {
        asked += 1;
        if asked == 1 { Heard::Fault(Fault::Short) } else { answer(ask) }
    });
    assert_eq!(reasons(&sweep), [GOOD; 20]);
    let (sweep, asked) = poll_at(&mut poller, 60_000, answer);
    assert_eq!((reasons(&sweep), asked.len()), (vec![GOOD; 20], 3), "two halves, and the test of the whole");
    let (sweep, asked) = poll_at(&mut poller, 61_000, answer);
    assert_eq!((reasons(&sweep), asked.len()), (vec![GOOD; 20], 1));
}

#[test]
fn a_meter_that_is_always_short_ends_its_poll_in_bounded_steps() {
    let (sweep, asked) = poll_once(&mut poller(&words(0..100)), |_| Heard::Fault(Fault::Short));
    assert_eq!(reasons(&sweep), [GARBLED; 100]);
    assert!(asked.len() <= 1 + poll::MOST_EXTRA);
}
