//! What becomes of raw values, and how a meter likes to be asked.

use super::*;
use crate::config::model::{Group, Meter};
use crate::reading::Keep;

fn register(keys: &str) -> (SchemaPoint, Point) {
    point(&format!("register = \"holding\"\naddress = 10\n{keys}"))
}

fn meters(text: &str) -> Vec<Meter> {
    config(&format!("[bus.b]\ntcp = \"h:502\"\n{text}")).buses.remove(0).meters
}

const POINT: &str = "register = \"holding\"\naddress = 0\ntype = \"u16\"\n";

#[test]
fn a_meter_may_go_first_and_keep_to_the_wall_clock() {
    let text = |keys: &str| format!("[meter.m]\nbus = \"b\"\nunit = 1\nevery = \"15m\"\n{keys}[meter.m.point.p]\n{POINT}");
    let meter = |keys: &str| meters(&text(keys)).remove(0);
    assert!(!meter("").is_urgent && !meter("").is_aligned);
    let set = meter("priority = \"high\"\nalign = true\n");
    assert!(set.is_urgent && set.is_aligned);
    let mistyped = load(&format!("[bus.b]\ntcp = \"h:502\"\n{}", text("priority = \"hi\"\n")));
    assert_eq!(codes(&mistyped), [Code::BadValue]);
}

#[test]
fn half_a_register_is_eight_bits_of_it() {
    let half = |keys: &str| {
        let (schema, point) = register(keys);
        assert_eq!((schema.value_type, point.layout.encoding, point.layout.width()), (ValueType::U16, Encoding::U16, 1));
        point.layout.bits
    };
    assert_eq!(half("type = \"u8-high\""), Some((8, 15)));
    assert_eq!(half("type = \"u8-low\""), Some((0, 7)));
    assert_eq!(half("type = \"u8-high\"\nbits = \"0..3\""), Some((8, 11)), "bits count within the half");
    assert_eq!(half("type = \"u8-low\"\nbits = \"7\""), Some((7, 7)));
}

#[test]
fn names_are_sorted_and_make_a_state_of_texts() {
    let (schema, point) = register("type = \"i16\"\nvalues = { 0x10 = \"on\", -1 = \"fault\", 0 = \"off\" }");
    assert_eq!((schema.value_type, schema.kind), (ValueType::String, Kind::State));
    assert_eq!(point.names, [(-1, "fault".into()), (0, "off".into()), (16, "on".into())]);
}

#[test]
fn a_table_of_its_own_holds_names_too() {
    let (_, point) = register("type = \"u8-high\"\n[meter.m.point.p.values]\n1 = \"on\"\n255 = \"fault\"");
    assert_eq!(point.names, [(1, "on".into()), (255, "fault".into())]);
    assert!(with_point("register = \"holding\"\naddress = 0\ntype = \"u8-high\"\nvalues = { 256 = \"x\" }").has_errors());
}

#[test]
fn a_coil_has_the_numbers_0_and_1() {
    let coil = |values: &str| with_point(&format!("register = \"coil\"\naddress = 0\ntype = \"bool\"\nvalues = {values}"));
    assert!(!coil("{ 0 = \"closed\", 1 = \"open\" }").has_errors());
    assert!(coil("{ 2 = \"ajar\" }").has_errors());
}

#[test]
fn the_power_register_stands_before_or_behind_the_value() {
    let at = |number: u32| with_point(&format!("register = \"holding\"\naddress = 10\ntype = \"u32\"\nscale-register = {number}"));
    for number in [0, 9, 12, 65_535] {
        assert_eq!(at(number).config.unwrap().buses[0].meters[0].points[0].scaling.power_register.map(u32::from), Some(number));
    }
    assert_eq!((codes(&at(9)), codes(&at(134)), codes(&at(135))), (vec![], vec![], vec![Code::Doubtful]), "125 registers at most");
    assert!(at(10).has_errors() && at(11).has_errors() && at(65_536).has_errors());
    assert!(!register("type = \"u32\"\nscale-register = 9").1.scaling.is_identity());
}

#[test]
fn addresses_beyond_40000_are_meant_so_where_there_are_scale_registers() {
    let keys = |more: &str| with_point(&format!("register = \"holding\"\naddress = 40072\ntype = \"u16\"\n{more}"));
    assert_eq!((codes(&keys("scale-register = 40076")), codes(&keys(""))), (vec![], vec![Code::Doubtful]));
}

#[test]
fn a_meter_says_for_itself_what_its_profile_says_for_all() {
    let profile = "[profile.x]\nmax-gap = 4\neven-registers = true\nmax-registers = 80\npause = \"5ms\"\n";
    let point = format!("[profile.x.point.p]\n{POINT}");
    let own = "max-gap = 0\neven-registers = false\nkeep = \"always\"\n";
    let of = |name: &str, keys: &str| format!("[meter.{name}]\nbus = \"b\"\nunit = 1\nevery = \"1s\"\nprofile = \"x\"\n{keys}");
    let meters = meters(&format!("{profile}{point}{}{}", of("m", ""), of("n", own)));
    let habits = |meter: &Meter| (meter.max_registers, meter.max_gap, meter.even_registers, meter.schema.keep);
    assert_eq!(habits(&meters[0]), (80, Some(4), true, Keep::Normal));
    assert_eq!(habits(&meters[1]), (80, Some(0), false, Keep::Always));
}

#[test]
fn a_meter_without_rules_has_none() {
    let meter = meters(&format!("{METER}[meter.m.point.p]\n{POINT}")).remove(0);
    assert_eq!((meter.max_registers, meter.max_gap, meter.even_registers, meter.schema.keep), (125, None, false, Keep::Normal));
}

#[test]
fn points_fall_into_groups_by_their_periods() {
    let point = |name: &str, every: &str| format!("[meter.m.point.{name}]\n{POINT}{every}\n");
    let points = [
        point("a", ""),
        point("b", "every = \"15m\""),
        point("c", "every = \"1s\""),
        point("d", "every = \"10s\""),
        point("e", ""),
    ];
    let meter = meters(&format!("{METER}{}", points.concat())).remove(0);
    let group = |seconds, points: &[u16]| Group { every: Duration::from_secs(seconds), points: points.to_vec() };
    assert_eq!(meter.groups(), [group(1, &[2]), group(10, &[0, 3, 4]), group(900, &[1])]);
}

#[test]
fn even_requests_around_a_value_must_fit_the_meter() {
    let with = |address: u32, most: u32| {
        load(&format!(
            "[bus.b]\ntcp = \"h:502\"\n{METER}max-registers = {most}\neven-registers = true\n[meter.m.point.p]\nregister = \"holding\"\naddress = {address}\ntype = \"u32\"\n"
        ))
    };
    assert!(!with(0, 2).has_errors() && with(0, 1).has_errors());
    assert!(with(1, 3).has_errors() && !with(1, 4).has_errors());
}

#[test]
fn a_text_of_250_bytes_at_an_odd_address_is_too_long_for_even_requests() {
    let at = |address: u32| {
        load(&format!(
            "[bus.b]\ntcp = \"h:502\"\n{METER}even-registers = true\n[meter.m.point.p]\nregister = \"holding\"\naddress = {address}\ntype = \"string:248\"\n"
        ))
    };
    assert!(!at(0).has_errors() && at(1).has_errors());
}
