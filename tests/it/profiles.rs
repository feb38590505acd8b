//! Every file in `configs/profiles/` is taken into use as its README says, and says what the register maps say.
//!
//! The maps are read in place, in `meters/` of the shared folder; where that is absent, a line says so.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use districtd::config::environment::Environment;
use districtd::config::finding::Code;
use districtd::config::load::{self, Loaded};
use districtd::config::model::{ByteOrder, Config, Encoding, Meter, Point, Table};
use districtd::driver::modbus::LineCost;
use districtd::driver::planner::{Plan, Rules, plan};
use districtd::driver::scaling;
use districtd::reading::{Kind, Quality, Reason, SchemaPoint, Value, ValueType};

const PROFILES: &str = "configs/profiles";

/// Warnings that are meant: the profile, what kind of finding, and why.
const EXPLAINED: &[(&str, Code, &str)] = &[("sunspec_103", Code::Doubtful, "SunSpec addresses lie above 40000, as its head says")];

/// Maps that count from a place that the device chooses, and where the profile has it.
const PLACED: &[(&str, u16)] = &[("sunspec_103", 40_069)];

/// Limits that are stricter than the map's, and why.
const STRICTER: &[(&str, &str)] = &[("carlo_gavazzi_em24_rs485", "the maker's protocol document says 11, the map says about 12")];

/// 9600 baud 8E1 and a meter that takes 20 ms to answer.
const SERIAL: LineCost = LineCost { per_register: Duration::from_micros(2292), per_request: Duration::from_micros(42_900) };
/// A TCP endpoint: only the number of requests counts, so gaps are read through as far as the limits allow.
const TCP: LineCost = LineCost { per_register: Duration::ZERO, per_request: Duration::from_millis(5) };

/// The names of the profiles, which are those of their files.
fn names() -> Vec<String> {
    let entries = std::fs::read_dir(PROFILES).expect("the directory is part of the repository");
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "toml"));
    let mut names: Vec<String> = paths.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The least a gateway needs beside meters.
const GATEWAY: &str = r#"
[gateway]
name = "g-1"
district = "d"
[uplink]
brokers = ["mqtt://127.0.0.1"]
[spool]
path = "/var/lib/districtd/spool"
[bus.cabinet-a]
serial = "/dev/ttyS0"
"#;

/// A minimal gateway with one meter of this profile, the file copied into `conf.d` beside it.
fn taken_into_use(profile: &str) -> Loaded {
    let meter = format!("[meter.m]\nbus = \"cabinet-a\"\nunit = 1\nevery = \"1m\"\nprofile = \"{profile}\"\n");
    beside_a_copy(profile, &meter)
}

/// A minimal gateway with these meters, and a profile copied into `conf.d`.
fn beside_a_copy(profile: &str, meters: &str) -> Loaded {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("districtd.toml");
    std::fs::write(&main, GATEWAY.to_owned() + meters).unwrap();
    let parts = directory.path().join("conf.d");
    std::fs::create_dir(&parts).unwrap();
    std::fs::copy(file(profile), parts.join(format!("{profile}.toml"))).unwrap();
    let fixed = [("STATE_DIRECTORY", "/var/lib/districtd"), ("RUNTIME_DIRECTORY", "/run/districtd")];
    load::load(&main, &Environment::new(fixed.map(|(name, value)| (OsString::from(name), OsString::from(value)))))
}

fn file(profile: &str) -> PathBuf {
    Path::new(PROFILES).join(profile).with_extension("toml")
}

/// The meter that such a profile makes.
fn meter(profile: &str) -> Meter {
    let loaded = taken_into_use(profile);
    let report = load::render(&loaded, false);
    let Config { mut buses, .. } = loaded.config.expect(&report);
    buses.remove(0).meters.remove(0)
}

fn points(meter: &Meter) -> impl Iterator<Item = (&SchemaPoint, &Point)> {
    meter.schema.points.iter().zip(&meter.points)
}

fn point<'a>(meter: &'a Meter, name: &str) -> &'a Point {
    points(meter).find(|(schema, _)| &*schema.name == name).map(|(_, point)| point).expect(name)
}

#[test]
fn every_profile_passes_check_with_a_meter_that_uses_it() {
    assert!(names().len() >= 17, "only {:?}", names());
    for name in names() {
        let loaded = taken_into_use(&name);
        assert!(!loaded.has_errors(), "{}", load::render(&loaded, false));
        for finding in &loaded.findings {
            let is_meant = EXPLAINED.iter().any(|(profile, code, _)| *profile == name && *code == finding.code);
            assert!(is_meant, "{}", load::render(&loaded, false));
        }
    }
}

#[test]
fn what_the_readmes_tell_to_type_is_right() {
    let text = |path: &str| std::fs::read_to_string(path).unwrap();
    let top = text("README.md");
    let section = top.split("### Profiles").nth(1).unwrap().split("\n## ").next().unwrap();
    let snippets =
        |text: &str| -> String { text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect() };
    for meters in [snippets(section), snippets(&text("configs/profiles/README.md"))] {
        assert!(meters.contains("[meter.feeder-1]"), "{meters}");
        let loaded = beside_a_copy("eastron_sdm630", &meters);
        let report = load::render(&loaded, false);
        assert!(loaded.findings.is_empty(), "{report}");
        for meter in &loaded.config.expect(&report).buses[0].meters {
            assert_eq!(meter.points.len(), 39, "a point beside the profile replaces one");
            let is_scaled = point(meter, "active_power_total").scaling.scale.is_some();
            assert_eq!(is_scaled, &*meter.name == "feeder-2");
        }
    }
}

#[test]
fn a_file_holds_the_profile_of_its_name_and_nothing_else() {
    for name in names() {
        let text = std::fs::read_to_string(file(&name)).unwrap();
        let tree: toml::Table = text.parse().unwrap();
        assert_eq!(tree.keys().collect::<Vec<_>>(), ["profile"], "{name}");
        assert_eq!(tree["profile"].as_table().unwrap().keys().collect::<Vec<_>>(), [&name]);
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
        for word in ["# Line ", "# Checked ", "# Traps "] {
            assert!(head.iter().any(|line| line.starts_with(word)), "the head of {name} has no `{word}`");
        }
    }
}

/// The vocabulary of the README: units and kind by name.
fn vocabulary() -> BTreeMap<String, (Vec<String>, String)> {
    let text = std::fs::read_to_string(Path::new(PROFILES).join("README.md")).unwrap();
    let mut words = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let units: Vec<String> = cells[2].split(" or ").map(|unit| unit.replace("left open", "")).collect();
        for name in written_out(cells[1].trim_matches('`')) {
            assert!(words.insert(name, (units.clone(), cells[3].to_owned())).is_none(), "twice: {line}");
        }
    }
    words
}

/// `voltage_{l1,l2}` is `voltage_l1` and `voltage_l2`.
fn written_out(pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
    let (choices, after) = rest.split_once('}').unwrap();
    choices.split(',').map(|choice| format!("{before}{choice}{after}")).collect()
}

#[test]
fn names_units_and_kinds_are_those_of_the_vocabulary() {
    let vocabulary = vocabulary();
    let mut used = BTreeSet::new();
    for name in names() {
        for (schema, _) in points(&meter(&name)) {
            let (units, kind) = vocabulary.get(&*schema.name).unwrap_or_else(|| panic!("{name}: {} is no word", schema.name));
            assert!(units.iter().any(|unit| **unit == *schema.unit), "{name}.{}: {:?} of {units:?}", schema.name, schema.unit);
            assert_eq!(format!("{:?}", schema.kind).to_lowercase(), *kind, "{name}.{}", schema.name);
            used.insert(schema.name.clone());
        }
    }
    // Whole groups are listed for the sake of those that follow; a group nobody uses is a leftover.
    let text = std::fs::read_to_string(Path::new(PROFILES).join("README.md")).unwrap();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let pattern = line.split('`').nth(1).unwrap();
        assert!(written_out(pattern).iter().any(|name| used.contains(name.as_str())), "no profile uses {pattern}");
    }
}

#[test]
fn energies_that_only_grow_are_counters() {
    for name in names() {
        for (schema, _) in points(&meter(&name)).filter(|(schema, _)| schema.unit.ends_with('h')) {
            let runs_backwards = schema.name.contains("_net_");
            assert_eq!(schema.kind == Kind::Counter, !runs_backwards, "{name}.{}", schema.name);
        }
    }
}

/// A register of a map in the shared folder.
struct Register {
    table: Table,
    address: u16,
    encoding: Encoding,
    order: ByteOrder,
    scale: f64,
    power: Option<u16>,
    unit: String,
    invalid: Option<i128>,
}

impl Register {
    /// Its addresses count from `place`.
    fn read(entry: &toml::Table, place: u16) -> Self {
        let number = |key: &str| entry[key].as_integer().unwrap();
        let word = |key: &str| entry[key].as_str().unwrap();
        let encoding = encoding(word("type"));
        let is_wide = number("width") > 1;
        Self {
            table: if number("function") == 3 { Table::Holding } else { Table::Input },
            address: place + u16::try_from(number("address")).unwrap(),
            encoding,
            // One register has one order only, whatever the map says.
            order: if is_wide && word("word_order") == "little" { ByteOrder::Cdab } else { ByteOrder::Abcd },
            scale: entry["scale"].as_float().unwrap_or_else(|| f64::from(i32::try_from(number("scale")).unwrap())),
            power: entry.contains_key("scale_factor_offset").then(|| place + u16::try_from(number("scale_factor_offset")).unwrap()),
            unit: unit(word("unit")).to_owned(),
            invalid: entry.get("invalid").map(|mark| hexadecimal(mark.as_str().unwrap())),
        }
    }

    /// What a point says otherwise than this register.
    fn difference(&self, schema: &SchemaPoint, point: &Point) -> Option<String> {
        let layout = (point.layout.encoding, point.layout.order, point.layout.bits);
        if layout != (self.encoding, self.order, None) {
            return Some(format!("{layout:?}, the map has {:?} {:?}", self.encoding, self.order));
        }
        let scale: f64 = point.scaling.scale.map_or(1.0, |scale| format!("{}e{}", scale.mantissa, scale.exponent).parse().unwrap());
        if scale.to_bits() != self.scale.to_bits() || point.scaling.offset.is_some() {
            return Some(format!("scale {scale}, the map has {}", self.scale));
        }
        if point.scaling.power_register != self.power {
            return Some(format!("scale register {:?}, the map has {:?}", point.scaling.power_register, self.power));
        }
        if *schema.unit != *self.unit {
            return Some(format!("unit {:?}, the map has {:?}", schema.unit, self.unit));
        }
        let is_marked = self.invalid.is_none_or(|mark| point.invalid.contains(&mark));
        (!is_marked).then(|| format!("invalid {:x?}, the map has {:x?}", point.invalid, self.invalid))
    }
}

fn hexadecimal(text: &str) -> i128 {
    i128::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}

fn encoding(name: &str) -> Encoding {
    match name {
        "u16" => Encoding::U16,
        "i16" => Encoding::I16,
        "u32" => Encoding::U32,
        "i32" => Encoding::I32,
        "u64" => Encoding::U64,
        "i64" => Encoding::I64,
        "f32" => Encoding::F32,
        "f64" => Encoding::F64,
        other => panic!("no such type: {other}"),
    }
}

/// As we write a unit of the maps.
fn unit(name: &str) -> &str {
    match name {
        "degC" => "°C",
        "deg" => "°",
        "(unit register)" => "",
        other => other,
    }
}

/// The maps of the shared folder by name.
fn maps() -> BTreeMap<String, toml::Table> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("DISTRICTD_SHARED").map_or(beside, PathBuf::from).join("meters");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no register maps in the shared folder");
        return BTreeMap::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "toml"));
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(&path).unwrap().parse().unwrap())
    };
    paths.map(read).collect()
}

#[test]
fn every_register_map_has_a_profile_that_says_the_same() {
    let mut wrong = Vec::new();
    for (name, map) in maps() {
        if !file(&name).exists() {
            wrong.push(format!("{name}: no profile"));
            continue;
        }
        wrong.extend(differences(&name, &map, &meter(&name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn differences(name: &str, map: &toml::Table, meter: &Meter) -> Vec<String> {
    let entries = map["register"].as_array().unwrap().iter().map(|entry| entry.as_table().unwrap());
    let place = PLACED.iter().find(|(placed, _)| *placed == name).map_or(0, |(_, place)| *place);
    let registers: Vec<Register> = entries.map(|entry| Register::read(entry, place)).collect();
    let mut wrong = Vec::new();
    if registers.len() != meter.points.len() {
        wrong.push(format!("{name}: {} points, the map has {} registers", meter.points.len(), registers.len()));
    }
    for register in &registers {
        let place = format!("{:?} {}", register.table, register.address);
        let at = |point: &Point| (point.table, point.address) == (register.table, register.address);
        match points(meter).find(|(_, point)| at(point)) {
            None => wrong.push(format!("{name}: no point at {place}")),
            Some((schema, point)) => {
                wrong.extend(register.difference(schema, point).map(|what| format!("{name}.{} at {place}: {what}", schema.name)));
            }
        }
    }
    let most = map["meter"]["max_registers_per_read"].as_integer().unwrap();
    let is_stricter = STRICTER.iter().any(|(profile, _)| *profile == name) && i64::from(meter.max_registers) < most;
    if i64::from(meter.max_registers) != most && !is_stricter {
        wrong.push(format!("{name}: max-registers {}, the map has {most}", meter.max_registers));
    }
    wrong
}

#[test]
fn every_profile_plans_into_requests_that_its_meter_answers() {
    for name in names() {
        let meter = meter(&name);
        for (line, cost) in [("9600 baud", SERIAL), ("TCP", TCP)] {
            let due: Vec<u16> = (0..).take(meter.points.len()).collect();
            let plan = plan(&meter.points, &due, Rules::of(&meter), &cost, &[]);
            println!("{name}, {line}: {} points in {} requests, {:?}", due.len(), plan.requests.len(), plan.bus_time(&cost));
            assert_legal(&name, &meter, &plan);
        }
    }
}

fn assert_legal(name: &str, meter: &Meter, plan: &Plan) {
    let mut served = 0;
    for request in &plan.requests {
        let ask = request.ask;
        let end = u32::from(ask.address) + u32::from(ask.count);
        assert!((1..=meter.max_registers.min(125)).contains(&ask.count) && end <= 65_536, "{name}: {ask:?}");
        // Eastron refuses odd numbers of registers and odd addresses.
        assert_eq!(meter.even_registers, name.starts_with("eastron"), "{name}");
        assert!(!meter.even_registers || (ask.address % 2 == 0 && ask.count % 2 == 0), "{name}: {ask:?}");
        for piece in &plan.order[request.serves.clone()] {
            let point = plan.point(*piece, meter).unwrap();
            let items = piece.items(point);
            let is_whole = items.start >= u32::from(ask.address) && items.end <= end;
            assert!(point.table == ask.table && is_whole && !items.is_empty(), "{name}: {piece:?} of {point:?} in {ask:?}");
            served += 1;
        }
    }
    let powers = meter.points.iter().filter(|point| point.scaling.power_register.is_some()).count();
    assert_eq!(served, meter.points.len() + powers, "{name}: every value once, every power of ten with each value");
}

/// What the meter of a profile says at a point, from the bytes of an answer.
fn says(profile: &str, name: &str, bytes: &[u8]) -> (Value, Quality) {
    let words: Vec<u16> = bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    scaling::reading(point(&meter(profile), name), &words)
}

fn decimal(mantissa: i64, exponent: i8) -> (Value, Quality) {
    (Value::Decimal { mantissa, exponent }, Quality::Good)
}

#[test]
fn an_sdm630_answers_230_2_volts() {
    // The maker's worked example: >> 01 04 00 00 00 02 71 cb   << 01 04 04 43 66 33 34 1b 38
    assert_eq!(point(&meter("eastron_sdm630"), "voltage_l1").address, 0);
    // The example rounds: 230.2 itself would end in 33.
    assert_eq!(says("eastron_sdm630", "voltage_l1", &[0x43, 0x66, 0x33, 0x34]), (Value::F32(230.200_01), Quality::Good));
}

#[test]
fn an_abb_meter_answers_what_its_manual_prints() {
    // The maker's manual of the A43, 9.11: addresses, bytes and values.
    let meter = meter("abb_b23_b24");
    let addresses =
        ["energy_import_total", "energy_export_total", "energy_import_l1", "voltage_l1"].map(|name| point(&meter, name).address);
    assert_eq!(addresses, [0x5000, 0x5004, 0x5460, 0x5B00]);
    let says = |name, bytes: &[u8]| says("abb_b23_b24", name, bytes);
    assert_eq!(says("energy_import_total", &[0, 0, 0, 0, 0, 0x0D, 0x12, 0x90]), decimal(856_720, -2));
    assert_eq!(says("energy_export_total", &[0, 0, 0, 0, 0, 0x03, 0x12, 0x09]), decimal(201_225, -2));
    assert_eq!(says("energy_import_l1", &[0, 0, 0, 0, 0, 0x03, 0x12, 0x92]), decimal(201_362, -2));
    assert_eq!(says("current_l3", &[0, 0, 0x01, 0x2E]), decimal(302, -2));
    assert_eq!(says("active_power_total", &[0, 0x01, 0xE8, 0xE4]), decimal(125_156, -2));
    assert_eq!(says("frequency", &[0x13, 0x83]), decimal(4995, -2));
    assert_eq!(says("power_factor_total", &[0x03, 0xCC]), decimal(972, -3));
}

#[test]
fn what_an_abb_meter_does_not_have_is_no_number() {
    let none = (Value::Missing, Quality::Bad(Reason::Invalid));
    assert_eq!(says("abb_b23_b24", "energy_export_total", &[0xFF; 8]), none);
    assert_eq!(says("abb_b23_b24", "voltage_l3", &[0xFF; 4]), none);
    assert_eq!(says("abb_b23_b24", "active_power_l3", &[0x7F, 0xFF, 0xFF, 0xFF]), none);
    assert_eq!(says("abb_b23_b24", "power_factor_l3", &[0x7F, 0xFF]), none);
}

#[test]
fn counters_of_64_bits_are_told_as_such() {
    // Upstream prints them as texts.
    let wide = |profile: &str| points(&meter(profile)).filter(|(schema, _)| schema.value_type.is_wide()).count();
    assert_eq!((wide("abb_b23_b24"), wide("lovato_dmg610"), wide("schneider_pm3200")), (8, 2, 8));
    let of =
        |profile: &str, name: &str| points(&meter(profile)).find(|(schema, _)| &*schema.name == name).map(|(s, _)| s.value_type);
    assert_eq!(of("siemens_pac2200", "energy_import_total"), Some(ValueType::F64));
}

#[test]
fn a_carlo_gavazzi_meter_sends_the_low_word_first() {
    // 230.2 V as 2302 tenths.
    assert_eq!(says("carlo_gavazzi_em340", "voltage_l1", &[0x08, 0xFE, 0, 0]), decimal(2302, -1));
    assert_eq!(says("carlo_gavazzi_em24_rs485", "active_power_total", &[0xFF, 0xFF, 0xFF, 0xFF]), decimal(-1, -1));
}

#[test]
fn a_sunspec_inverter_has_its_decimal_point_in_another_register() {
    let meter = meter("sunspec_103");
    let voltage = point(&meter, "voltage_l1");
    let says = |word: u16, factor: u16| {
        let power = scaling::power(factor).expect("a power");
        scaling::raw(voltage, &[word]).map(|raw| scaling::value(voltage, raw, power))
    };
    assert_eq!((voltage.address, voltage.scaling.power_register), (40_079, Some(40_082)));
    assert_eq!(says(2302, 0xFFFF), Ok(decimal(2302, -1)));
    assert_eq!(says(0xFFFF, 0xFFFF), Err(Reason::Invalid));
    assert_eq!(scaling::power(0x8000), Err(Reason::Invalid), "what it lacks has no scale factor either");
    let state = point(&meter, "operating_state");
    assert_eq!(scaling::reading(state, &[4]), (Value::Text("mppt".into()), Quality::Good));
}

#[test]
fn a_number_that_never_changes_is_asked_for_once_in_an_hour() {
    for name in names() {
        for (schema, point) in points(&meter(&name)) {
            assert_eq!(point.every.is_some(), &*schema.name == "serial_number", "{name}.{}", schema.name);
        }
    }
}
