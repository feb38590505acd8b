//! The search among simulated meters: they answer a mask as the wire would carry it, two single characters at once as one of them,
//! or as garbage.

use super::search::{Heard, Search, Step};
use super::select::Secondary;
use super::*;

fn meter(id: u32) -> Identity {
    Identity { id: Id(id), manufacturer: Manufacturer::from_letters("KAM"), version: Some(1), medium: Medium::Variable(4) }
}

/// What is heard on a wire with these meters. Two single characters at the same moment look clean if `chorus` says so.
fn heard(meters: &[Identity], step: Step, chorus: bool) -> Heard {
    let (mask, reads) = match step {
        Step::Select(mask) => (mask, false),
        Step::Identify(mask) => (mask, true),
        Step::Done => panic!("nothing to hear"),
    };
    let matching: Vec<_> = meters.iter().filter(|meter| mask.matches(meter)).collect();
    match (matching.as_slice(), reads) {
        ([], _) => Heard::Nothing,
        ([_], false) => Heard::Ack,
        ([only], true) => Heard::Meter(**only),
        (_, false) if chorus => Heard::Ack,
        _ => Heard::Collision,
    }
}

fn walked(meters: &[Identity], mask: Secondary, chorus: bool, limit: u32) -> Search {
    let mut search = Search::new(mask, limit);
    while search.step() != Step::Done {
        let heard = heard(meters, search.step(), chorus);
        search.heard(heard);
    }
    search
}

fn ids(search: &Search) -> Vec<u32> {
    let mut ids: Vec<_> = search.found().iter().map(|meter| meter.id.0).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn thirty_meters_are_all_found_whether_their_chorus_is_clean_or_not() {
    // Decimal digits spread over all eight places.
    let mut numbers: Vec<u32> =
        (0..30_u64).map(|n| u32::from_str_radix(&format!("{:08}", n * 31_415_927 % 100_000_000), 16).unwrap()).collect();
    let meters: Vec<_> = numbers.iter().copied().map(meter).collect();
    numbers.sort_unstable();
    for chorus in [false, true] {
        let search = walked(&meters, Secondary::ANY, chorus, 10_000);
        assert_eq!(ids(&search), numbers);
        assert!(search.unresolved().is_empty() && !search.is_cut_off());
        assert!(search.probes() <= 200, "{} probes", search.probes());
    }
}

#[test]
fn meters_that_differ_in_one_digit_are_told_apart_wherever_it_stands() {
    for digit in 0..8 {
        let meters = [meter(0x1111_1111), meter(0x1111_1111 + (1 << (4 * digit)))];
        assert_eq!(walked(&meters, Secondary::ANY, true, 1000).found().len(), 2, "digit {digit}");
    }
}

#[test]
fn an_empty_wire_costs_one_probe() {
    let search = walked(&[], Secondary::ANY, false, 1000);
    assert_eq!((search.probes(), search.found().len()), (1, 0));
}

#[test]
fn two_meters_with_one_identification_are_named_as_such() {
    let search = walked(&[meter(0x4711_0815), meter(0x4711_0815), meter(0x1)], Secondary::ANY, true, 1000);
    assert_eq!(ids(&search), [0x1]);
    let [mask] = search.unresolved() else { panic!("{:?}", search.unresolved()) };
    assert_eq!(mask.id, Id(0x4711_0815));
}

#[test]
fn identifications_with_letters_are_found_where_digits_find_nobody() {
    let meters = [meter(0x1234_000A), meter(0x1234_000B)];
    assert_eq!(ids(&walked(&meters, Secondary::ANY, false, 1000)), [0x1234_000A, 0x1234_000B]);
}

#[test]
fn a_mask_bounds_the_search() {
    let meters = [meter(0x1000_0001), meter(0x1000_0002), meter(0x2000_0001)];
    let mask = "1*******".parse().unwrap();
    assert_eq!(ids(&walked(&meters, mask, false, 1000)), [0x1000_0001, 0x1000_0002]);
}

#[test]
fn a_line_that_only_ever_collides_ends_at_the_limit_and_says_so() {
    let mut search = Search::new(Secondary::ANY, 500);
    while search.heard(Heard::Collision) != Step::Done {}
    assert_eq!(search.probes(), 500);
    assert!(search.is_cut_off());
    assert!(search.found().is_empty());
}

#[test]
fn a_meter_that_was_not_selected_is_not_believed() {
    let mut search = Search::new("1234567*".parse().unwrap(), 100);
    search.heard(Heard::Ack);
    search.heard(Heard::Meter(meter(0x8765_4321)));
    assert!(search.found().is_empty());
    assert!(matches!(search.step(), Step::Select(_)));
}
