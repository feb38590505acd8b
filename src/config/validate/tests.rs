use std::time::Duration;

use crate::config::environment::Environment;
use crate::config::finding::{Code, Severity};
use crate::config::load::{Loaded, load_texts, render};
use crate::config::model::{Bus, ByteOrder, Config, Decimal, Encoding, Framing, Line, Parity, Point, Table};
use crate::reading::{Kind, SchemaPoint, ValueType};

const TOP: &str = r#"
[gateway]
name = "g"
district = "d"
[uplink]
brokers = ["mqtt://127.0.0.1"]
[spool]
path = "/var/lib/districtd/spool"
"#;

const METER: &str = r#"
[meter.m]
bus = "b"
unit = 1
every = "10s"
"#;

fn load(text: &str) -> Loaded {
    let environment = Environment::new([("RUNTIME_DIRECTORY".into(), "/run/districtd".into())]);
    load_texts(&[("a.toml", &format!("{TOP}{text}"))], &environment)
}

fn config(text: &str) -> Config {
    let loaded = load(text);
    let report = render(&loaded, false);
    loaded.config.expect(&report)
}

const POINT: &str = "[meter.m.point.p]\nregister = \"input\"\naddress = 0\ntype = \"u16\"\n";

/// A configuration with one meter that has this point.
fn with_point(keys: &str) -> Loaded {
    load(&format!("[bus.b]\ntcp = \"h:502\"\n{METER}[meter.m.point.p]\n{keys}"))
}

fn point(keys: &str) -> (SchemaPoint, Point) {
    let loaded = with_point(keys);
    let report = render(&loaded, false);
    let config = loaded.config.expect(&report);
    let meter = &config.buses[0].meters[0];
    (meter.schema.points[0].clone(), meter.points[0].clone())
}

fn codes(loaded: &Loaded) -> Vec<Code> {
    loaded.findings.iter().map(|finding| finding.code).collect()
}

fn bus(keys: &str) -> Bus {
    let point = "[meter.m.point.p]\nregister = \"input\"\naddress = 0\ntype = \"u16\"\n";
    config(&format!("[bus.b]\n{keys}\n{METER}{point}")).buses.remove(0)
}

#[test]
fn the_share_of_silent_meters_is_five_percent_unless_said_otherwise() {
    assert_eq!(bus("tcp = \"h:502\"").probe_share, 5);
    assert_eq!(bus("tcp = \"h:502\"\nprobe-share = \"12%\"").probe_share, 12);
    let codes_of = |share: &str| codes(&load(&format!("[bus.b]\ntcp = \"h:502\"\nprobe-share = {share}\n{METER}{POINT}")));
    assert_eq!(codes_of("\"0%\""), [Code::OutOfRange], "a full line would never try a silent meter again");
    assert_eq!(
        (codes_of("\"51%\""), codes_of("\"5\""), codes_of("5")),
        (vec![Code::OutOfRange], vec![Code::BadValue], vec![Code::WrongType])
    );
}

#[test]
fn echo_and_rs485_are_settings_of_serial_lines() {
    let serial = |keys: &str| match bus(&format!("serial = \"/dev/ttyS1\"\n{keys}")).line {
        Line::Serial(serial) => (serial.echo_is_dropped, serial.rs485),
        Line::Tcp(tcp) => panic!("{tcp:?}"),
    };
    assert_eq!(serial(""), (false, false));
    assert_eq!(serial("echo = \"drop\"\nrs485 = true"), (true, true));
    assert_eq!(codes(&load(&format!("[bus.b]\ntcp = \"h:502\"\nrs485 = true\n{METER}{POINT}"))), [Code::Conflict]);
}

#[test]
fn a_serial_bus_is_9600_8e1_unless_said_otherwise() {
    let bus = bus("serial = \"/dev/ttyS0\"");
    let Line::Serial(serial) = &bus.line else { panic!("not serial") };
    assert_eq!((serial.baud, serial.parity, serial.data_bits, serial.stop_bits), (9600, Parity::Even, 8, 1));
    assert_eq!((bus.timeout, bus.quarantine), (Duration::from_millis(500), Duration::from_millis(300)));
    assert!(!bus.overload_is_allowed);
}

#[test]
fn a_tcp_bus_needs_no_quarantine_and_rtu_over_tcp_does() {
    let tcp = bus("tcp = \"[2001:db8::1]:502\"");
    let Line::Tcp(line) = &tcp.line else { panic!("not TCP") };
    assert_eq!((line.host.as_str(), line.port, line.framing), ("2001:db8::1", 502, Framing::Tcp));
    assert_eq!((tcp.timeout, tcp.quarantine), (Duration::from_secs(1), Duration::ZERO));
    assert_eq!(bus("tcp = \"h:4001\"\nframing = \"rtu\"").quarantine, Duration::from_millis(300));
}

#[test]
fn what_is_typed_for_a_bus_stands_in_the_model() {
    let keys = "serial = \"/dev/ttyS0\"\nbaud = 19200\nparity = \"none\"\nstop-bits = 2\ntimeout = \"5ms\"\nquarantine = \"15ms\"\noverload = \"allow\"";
    let bus = bus(keys);
    let Line::Serial(serial) = &bus.line else { panic!("not serial") };
    assert_eq!((serial.baud, serial.parity, serial.stop_bits), (19_200, Parity::None, 2));
    assert_eq!((bus.timeout, bus.quarantine), (Duration::from_millis(5), Duration::from_millis(15)));
    assert!(bus.overload_is_allowed);
}

#[test]
fn a_bus_without_meters_is_not_opened() {
    let loaded = load("[bus.b]\ntcp = \"h:502\"\n");
    assert_eq!(codes(&loaded), [Code::Unused, Code::Unused]);
    assert_eq!(loaded.config.map(|config| config.buses.len()), Some(0));
}

#[test]
fn uplink_and_spool_have_defaults() {
    let config = config("");
    assert_eq!(config.uplink.client_id, "districtd-g");
    assert_eq!((config.uplink.keep_alive, config.uplink.batch_age), (Duration::from_secs(30), Duration::from_millis(500)));
    assert_eq!((config.spool.window, config.spool.max_size), (Duration::from_secs(2), 256 << 20));
    assert_eq!(config.gateway.state, std::path::Path::new("/var/lib/districtd"));
}

#[test]
fn the_default_batch_age_follows_a_short_window() {
    assert_eq!(config("window = \"200ms\"\n").uplink.batch_age, Duration::from_millis(100));
}

#[test]
fn a_point_holds_what_was_typed() {
    let (schema, point) = point(
        "register = \"holding\"\naddress = 65534\ntype = \"i32\"\norder = \"CDAB\"\nunit = \"kWh\"\nscale = 0.1\noffset = -2.50\nkind = \"counter\"\ninvalid = [0x80000000, -1]",
    );
    assert_eq!((&*schema.name, &*schema.unit, schema.value_type, schema.kind), ("p", "kWh", ValueType::I32, Kind::Counter));
    assert_eq!((point.table, point.address), (Table::Holding, 65_534));
    assert_eq!((point.layout.encoding, point.layout.order, point.layout.bits), (Encoding::I32, ByteOrder::Cdab, None));
    assert_eq!(point.scaling.scale, Some(Decimal { mantissa: 1, exponent: -1 }));
    assert_eq!(point.scaling.offset, Some(Decimal { mantissa: -25, exponent: -1 }));
    assert_eq!(point.invalid, [0x8000_0000, -1]);
}

#[test]
fn a_factor_of_one_and_an_offset_of_nothing_change_nothing() {
    let (_, point) = point("register = \"input\"\naddress = 0\ntype = \"u16\"\nscale = 1.0\noffset = 0");
    assert!(point.scaling.is_identity());
}

#[test]
fn a_factor_keeps_more_digits_than_a_float_has() {
    let (_, point) = point("register = \"input\"\naddress = 0\ntype = \"u64\"\nscale = 0.12345678901234567");
    assert_eq!(point.scaling.scale, Some(Decimal { mantissa: 12_345_678_901_234_567, exponent: -17 }));
}

#[test]
fn the_schema_tells_what_is_on_the_wire() {
    for (keys, told) in [
        ("type = \"bool\"", ValueType::Bool),
        ("type = \"bcd32\"", ValueType::Decimal),
        ("type = \"string:9\"", ValueType::String),
        ("type = \"u32\"\nscale = 0.1", ValueType::U32),
        ("type = \"u64\"\nbits = \"0..15\"", ValueType::U16),
        ("type = \"u64\"\nbits = \"16..32\"", ValueType::U32),
        ("type = \"u64\"\nbits = \"0..32\"", ValueType::U64),
        ("type = \"u16\"\nbits = \"5\"", ValueType::U16),
    ] {
        assert_eq!(point(&format!("register = \"input\"\naddress = 0\n{keys}")).0.value_type, told, "{keys}");
    }
}

#[test]
fn a_mark_of_64_bits_is_understood_in_quotes_and_without() {
    for mark in ["\"0xFFFFFFFFFFFFFFFF\"", "0xFFFFFFFFFFFFFFFF", "18446744073709551615", "[\"0xFFFFFFFFFFFFFFFF\"]"] {
        let (_, point) = point(&format!("register = \"input\"\naddress = 0\ntype = \"u64\"\ninvalid = {mark}"));
        assert_eq!(point.invalid, [i128::from(u64::MAX)], "{mark}");
    }
}

#[test]
fn a_value_ends_at_the_last_register() {
    for (kind, last) in [("u16", 65_535), ("f32", 65_534), ("u64", 65_532), ("string:250", 65_411), ("string:3", 65_534)] {
        let at = |address: u32| with_point(&format!("register = \"input\"\naddress = {address}\ntype = \"{kind}\""));
        assert!(!at(last).has_errors(), "{kind} at {last}");
        assert_eq!(codes(&at(last + 1)), [Code::OutOfRange], "{kind} at {}", last + 1);
    }
}

#[test]
fn own_points_replace_those_of_the_profile_and_stand_in_the_order_of_their_names() {
    let config = config(&format!(
        r#"
[bus.b]
tcp = "h:502"
[profile.x]
pause = "20ms"
max-registers = 80
[profile.x.point.b]
register = "input"
address = 2
type = "f32"
[profile.x.point.a]
register = "input"
address = 0
type = "f32"
{METER}
profile = "x"
[meter.m.point.b]
register = "input"
address = 2
type = "f32"
scale = 40
[meter.m.point.c]
register = "coil"
address = 7
type = "bool"
[meter.n]
bus = "b"
unit = 2
every = "1s"
profile = "x"
max-registers = 10
"#
    ));
    let [m, n] = config.buses[0].meters.as_slice() else { panic!("two meters") };
    let names: Vec<&str> = m.schema.points.iter().map(|point| &*point.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let scales: Vec<bool> = m.points.iter().map(|point| point.scaling.scale.is_some()).collect();
    assert_eq!(scales, [false, true, false]);
    assert_eq!((m.pause, m.max_registers, n.max_registers), (Duration::from_millis(20), 80, 10));
    assert_eq!(n.points.len(), 2);
    assert_ne!(m.schema.id(), n.schema.id());
}

#[test]
fn a_mistake_in_a_profile_is_said_once_however_many_meters_use_it() {
    let meters: Vec<String> =
        (1..9).map(|n| format!("[meter.m{n}]\nbus = \"b\"\nunit = {n}\nevery = \"1s\"\nprofile = \"x\"\n")).collect();
    let meters = meters.concat();
    let loaded = load(&format!(
        "[bus.b]\ntcp = \"h:502\"\n{meters}[profile.x.point.p]\nregister = \"input\"\naddress = 70000\ntype = \"u16\"\n"
    ));
    assert_eq!(codes(&loaded), [Code::OutOfRange]);
}

#[test]
fn unit_ids_beyond_247_are_for_tcp_only() {
    let point = "[meter.m.point.p]\nregister = \"input\"\naddress = 0\ntype = \"u16\"\n";
    let at = |bus: &str, unit: u32| {
        load(&format!("[bus.b]\n{bus}\n{}{point}", METER.replace("unit = 1", &format!("unit = {unit}")))).has_errors()
    };
    for rtu in ["serial = \"/dev/ttyS0\"", "tcp = \"h:502\"\nframing = \"rtu\""] {
        assert!(at(rtu, 0) && !at(rtu, 1) && !at(rtu, 247) && at(rtu, 248), "{rtu}");
    }
    assert!(!at("tcp = \"h:502\"", 0) && !at("tcp = \"h:502\"", 255) && at("tcp = \"h:502\"", 256));
}

#[test]
fn two_points_of_one_register_are_nothing_to_speak_of() {
    let point =
        |name: &str| format!("[meter.m.point.{name}]\nregister = \"input\"\naddress = 0\ntype = \"u16\"\nbits = \"0..3\"\n");
    let loaded = load(&format!("[bus.b]\ntcp = \"h:502\"\n{METER}{}{}", point("p"), point("q")));
    assert_eq!(codes(&loaded), []);
}

#[test]
fn data_sheet_numbers_are_doubted_once_and_not_beside_small_addresses() {
    let point =
        |name: &str, address: u32| format!("[meter.m.point.{name}]\nregister = \"holding\"\naddress = {address}\ntype = \"u16\"\n");
    let meter = |points: &str| load(&format!("[bus.b]\ntcp = \"h:502\"\n{METER}{points}"));
    assert_eq!(codes(&meter(&format!("{}{}", point("p", 40_001), point("q", 40_003)))), [Code::Doubtful]);
    assert_eq!(codes(&meter(&format!("{}{}", point("p", 40_001), point("q", 12)))), []);
    assert_eq!(codes(&meter(&point("p", 30_001))), [], "a holding register is no 3xxxx");
}

#[test]
fn one_tcp_endpoint_on_two_buses_is_doubted_and_with_rtu_framing_refused() {
    let meter = |name: &str| {
        format!(
            "[meter.{name}]\nbus = \"{name}\"\nunit = 1\nevery = \"1s\"\n[meter.{name}.point.p]\nregister = \"input\"\naddress = 0\ntype = \"u16\"\n"
        )
    };
    let two = |framing: &str| {
        let bus = |name: &str| format!("[bus.{name}]\ntcp = \"h:502\"\n{framing}\n");
        load(&format!("{}{}{}{}", bus("a"), bus("b"), meter("a"), meter("b")))
    };
    let severities = |loaded: Loaded| loaded.findings.iter().map(|finding| (finding.severity, finding.code)).collect::<Vec<_>>();
    assert_eq!(severities(two("")), [(Severity::Warning, Code::Duplicate)]);
    assert_eq!(severities(two("framing = \"rtu\"")), [(Severity::Error, Code::Duplicate)]);
}

#[test]
fn a_bad_bus_does_not_make_its_meters_strangers() {
    let point = "[meter.m.point.p]\nregister = \"input\"\naddress = 0\ntype = \"u16\"\n";
    assert_eq!(codes(&load(&format!("[bus.b]\ntcp = 502\n{METER}{point}"))), [Code::WrongType]);
    assert_eq!(codes(&load(&format!("bus.b = 1\n{METER}{point}").replace("bus.b = 1\n", "[bus]\nb = 1\n"))), [Code::WrongType]);
}

mod values;
