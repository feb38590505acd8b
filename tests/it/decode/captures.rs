//! Captures of real meters, and what others make of them.

use std::path::PathBuf;

use serde_json::Value as Json;

use super::{Told, decode, unhex};

/// The folder of one kind of captures.
fn folder(kind: &str) -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("DISTRICTD_SHARED").map_or(beside, PathBuf::from).join("vectors").join(kind);
    if !folder.is_dir() {
        println!("skipped: no captures of {kind} in the shared folder");
        return None;
    }
    Some(folder)
}

/// Every capture of a kind: its name, what is told of it, and what is expected.
fn all(kind: &str, protocol: &str, extension: &str, flags: &[&str]) -> Vec<(String, Told, Json)> {
    let Some(folder) = folder(kind) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    assert!(!paths.is_empty(), "{kind}");
    let read = |path: PathBuf| {
        let told = decode(&[&["--protocol", protocol, "--json", path.to_str().unwrap()], flags].concat(), b"");
        let (read, _) = told.counts();
        assert_eq!(told.code, Some(i32::from(read == 0)), "{}", path.display());
        let expected = std::fs::read(path.with_extension("json")).unwrap();
        (path.file_stem().unwrap().to_string_lossy().into_owned(), told, serde_json::from_slice(&expected).unwrap())
    };
    paths.into_iter().map(read).collect()
}

/// Prints what differs, and fails beyond 2 captures in 100.
fn judge(kind: &str, differences: &[(String, Vec<String>)]) {
    let odd: Vec<_> = differences.iter().filter(|(_, differences)| !differences.is_empty()).collect();
    println!("{kind}: {} captures, {} exceptions", differences.len(), odd.len());
    for (name, differences) in &odd {
        println!("  {name}: {}", differences.join("; "));
    }
    assert!(odd.len() * 50 <= differences.len(), "{kind}: {odd:#?}");
}

/// Compares item by item, and the number of items.
fn each<'a>(ours: &'a [Json], theirs: &'a [Json], differs: impl Fn(&Json, &Json) -> Option<String>) -> Vec<String> {
    let count = (ours.len() != theirs.len()).then(|| format!("{} records, expected {}", ours.len(), theirs.len()));
    count.into_iter().chain(ours.iter().zip(theirs).filter_map(|(ours, theirs)| differs(ours, theirs))).collect()
}

fn array(json: &Json) -> &[Json] {
    json.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn read_ones(told: &Told) -> Vec<Json> {
    told.objects().into_iter().filter(|object| object["ok"] == true).collect()
}

#[test]
fn every_sml_telegram_that_came_whole_is_told_digit_by_digit() {
    for (flags, crc) in [(&[][..], "x25"), (&["--kermit"][..], "kermit")] {
        let mut found = Vec::new();
        for (name, told, expected) in all("sml", "sml", "bin", flags) {
            let whole: Vec<&Json> = array(&expected["frames"]).iter().filter(|frame| frame["crc"] == crc).collect();
            let read = read_ones(&told);
            let mut differences: Vec<String> = (read.len() != whole.len())
                .then(|| format!("{} telegrams, expected {}", read.len(), whole.len()))
                .into_iter()
                .collect();
            for (ours, theirs) in read.iter().zip(whole) {
                let entries: Vec<Json> = array(&theirs["lists"]).iter().flat_map(|list| array(&list["entries"])).cloned().collect();
                differences.extend(each(array(&ours["records"]), &entries, sml_differs));
            }
            found.push((name, differences));
        }
        judge(&format!("sml with {crc}"), &found);
    }
}

fn sml_differs(ours: &Json, theirs: &Json) -> Option<String> {
    let same_value = if theirs["raw"].is_string() || theirs["raw"].is_null() {
        // Of an entry without a value one reference makes empty octets; octets are given in hex or, where printable, as text.
        [&ours["raw"], &ours["value"]].contains(&&theirs["raw"]) || ours["value"].is_null() && theirs["raw"] == ""
    } else {
        ours["value"] == theirs["value"] && ours["raw"].as_str().map(str::to_owned) == Some(theirs["raw"].to_string())
    };
    let same = same_value
        && ours["obis"] == theirs["obis"]
        && ours["unit"].as_str() == Some(theirs["unit_name"].as_str().unwrap_or_default())
        && (theirs["ascii"].is_null() || ours["value"] == theirs["ascii"]);
    (!same).then(|| format!("{ours}, expected {theirs}"))
}

/// Every bracket of the reference with its address.
fn brackets(entries: &Json) -> Vec<Json> {
    let with_address = |entry: &Json, value: &Json| {
        let mut value = value.clone();
        value["address"] = entry["address"].clone();
        value
    };
    array(entries).iter().flat_map(|entry| array(&entry["values"]).iter().map(move |value| with_address(entry, value))).collect()
}

/// Quantities of one list become one again: the reference does not split them.
fn without_lists(records: &[Json]) -> Vec<Json> {
    let mut whole: Vec<Json> = Vec::new();
    for record in records {
        let listed = record["raw"].as_str().is_some_and(|raw| raw.contains('&') && raw.contains('*'));
        let again = whole.last().is_some_and(|last| (&last["raw"], &last["obis"]) == (&record["raw"], &record["obis"]));
        if !(listed && again) {
            whole.push(record.clone());
        }
    }
    whole
}

fn bracket_differs(ours: &Json, theirs: &Json) -> Option<String> {
    let text = theirs["value"].as_str().unwrap_or_default();
    let listed = theirs["unit"].as_str().is_some_and(|unit| unit.contains('&'));
    let value = match (ours["value"].as_str(), theirs["number"].as_str()) {
        _ if listed => true,
        (Some(ours), Some(number)) => ours == number || ours == text,
        (Some(ours), None) => ours == text,
        (None, number) => number.is_none(),
    };
    let unit = listed || ours["unit"].as_str() == Some(theirs["unit"].as_str().unwrap_or_default());
    let same = value && unit && ours["obis"] == theirs["address"] && ours["raw"] == theirs["raw"];
    (!same).then(|| format!("{ours}, expected {theirs}"))
}

#[test]
fn every_iec_62056_21_read_out_is_told_or_refused_as_its_block_check_says() {
    let mut found = Vec::new();
    for (name, told, expected) in all("iec62056-21", "iec62056", "txt", &[]) {
        let differences = if expected["bcc"]["ok"] == false {
            let told = told.out.contains(r#""error":"block check is"#);
            (!told).then(|| "a wrong block check was not told".to_owned()).into_iter().collect()
        } else {
            let records: Vec<Json> = read_ones(&told).iter().flat_map(|telegram| array(&telegram["records"])).cloned().collect();
            each(&without_lists(&records), &brackets(&expected["entries"]), bracket_differs)
        };
        found.push((name, differences));
    }
    judge("iec62056-21", &found);
}

#[test]
fn every_p1_telegram_is_told_or_refused_as_its_check_sum_says() {
    let mut found = Vec::new();
    for (name, told, expected) in all("dsmr-p1", "p1", "txt", &[]) {
        let whole: Vec<&Json> = array(&expected["telegrams"]).iter().filter(|telegram| !telegram["start"].is_null()).collect();
        let objects = told.objects();
        let fits = |(ours, theirs): (&Json, &&Json)| ours["ok"] == (theirs["crc_ok"] != false);
        let mut differences: Vec<String> = Vec::new();
        if objects.len() != whole.len() || !objects.iter().zip(&whole).all(fits) {
            differences.push(format!("{} telegrams {:?}, expected {whole:?}", objects.len(), told.counts()));
        }
        if let Some(first) = objects.first().filter(|first| first["ok"] == true) {
            let records = without_lists(array(&first["records"]));
            differences.extend(each(&records, &brackets(&expected["entries"]), bracket_differs));
        }
        found.push((name, differences));
    }
    judge("dsmr-p1", &found);
}

/// Where libmbus is not followed: it takes points in time and durations made so by a VIFE for something else.
const MBUS_EXCEPTIONS: [&str; 2] = ["SEN_Pollustat", "landis+gyr_ultraheat_t230"];

#[test]
fn every_mbus_record_is_told_as_libmbus_reads_it() {
    let mut found = Vec::new();
    for (name, told, expected) in all("mbus/test-frames", "mbus", "hex", &[]) {
        let read = read_ones(&told);
        let differences = match read.as_slice() {
            [one] => each(array(&one["records"]), array(&expected["records"]), mbus_differs),
            other => vec![format!("{} telegrams", other.len())],
        };
        assert!(differences.is_empty() || MBUS_EXCEPTIONS.contains(&&*name), "{name}: {differences:#?}");
        found.push((name, differences));
    }
    let exceptions = found.iter().filter(|(_, differences)| !differences.is_empty()).count();
    println!("mbus: {} captures, {exceptions} exceptions: {MBUS_EXCEPTIONS:?}", found.len());
}

fn mbus_differs(ours: &Json, theirs: &Json) -> Option<String> {
    let text = |key: &str| theirs[key].as_str().unwrap_or_default();
    let value = ours["value"].as_str();
    if matches!(text("function"), "Manufacturer specific" | "More records follow") {
        return (value != Some(text("value_raw"))).then(|| format!("{ours}, expected {theirs}"));
    }
    let function = match text("function") {
        "Instantaneous value" | "Actual value" => "instantaneous",
        "Maximum value" => "maximum",
        "Minimum value" => "minimum",
        _ => "error",
    };
    let places = [("tariff", "tariff"), ("subunit", "device"), ("storage", "storage")];
    let same = ours["function"] == function
        && places.iter().all(|(our, their)| theirs[their].is_null() || ours[our] == theirs[their])
        && mbus_value_fits(ours, value, text("value_raw"), text("value_norm"));
    (!same).then(|| format!("{ours}, expected {theirs}"))
}

fn mbus_value_fits(ours: &Json, value: Option<&str>, raw: &str, norm: &str) -> bool {
    // Digits above 9 are how a meter says that it has no value; libmbus shows them as they are.
    let Some(value) = value else { return raw.chars().any(|c| c.is_ascii_hexdigit()) && !ours["problem"].is_null() };
    let seconds = match ours["unit"].as_str() {
        Some("min") => 60.0,
        Some("h") => 3600.0,
        Some("d") => 86400.0,
        _ => 1.0,
    };
    match (value.parse::<f64>(), norm.parse::<f64>().or_else(|_| raw.parse::<f64>())) {
        (Ok(ours), Ok(theirs)) => (ours * seconds - theirs).abs() <= 1e-6 * theirs.abs().max(1.0),
        _ => value.trim() == raw.trim(),
    }
}

#[test]
fn every_mbus_field_that_is_an_id_and_every_refusal_is_told() {
    for (name, told, expected) in all("mbus/wired-wmbusmeters", "mbus", "hex", &[]) {
        let read = read_ones(&told);
        assert_eq!(read.len(), 1, "{name}: {}", told.out);
        assert_eq!(read[0]["meter"]["id"], expected["fields"]["id"], "{name}");
    }
    for (name, told, expected) in all("mbus/error-frames", "mbus", "hex", &[]) {
        let objects = told.objects();
        assert_eq!(objects.len(), 1, "{name}: {}", told.out);
        if expected["slave"]["Error"].is_string() {
            assert!(told.out.contains("the meter refuses: "), "{name}: {}", told.out);
        } else if objects[0]["ok"] == true {
            assert!(told.out.contains("\"problem\":"), "{name}: {}", told.out);
        }
    }
    for (name, told, _) in all("mbus/unsupported-frames", "mbus", "hex", &[]) {
        assert_eq!(told.objects().len(), 1, "{name}: {}", told.out);
    }
}

fn modbus_json(name: &str) -> Option<Json> {
    Some(serde_json::from_slice(&std::fs::read(folder("modbus-rtu")?.join(name)).unwrap()).unwrap())
}

#[test]
fn modbus_examples_of_the_standard_are_told_in_both_directions() {
    let Some(examples) = modbus_json("spec_worked_examples.json") else { return };
    for case in array(&examples["cases"]) {
        let hex = |key: &str| case[key].as_str().unwrap();
        let rtu = [hex("rtu_request_unit17"), hex("rtu_response_unit17")].join("\n");
        let tcp = [hex("tcp_request_unit17_tid1501"), hex("tcp_response_unit17_tid1501")].join("\n");
        for (protocol, input) in [("modbus-rtu", rtu), ("modbus-tcp", tcp)] {
            let told = decode(&["--protocol", protocol, "--json"], input.as_bytes());
            let directions: Vec<Json> = told.objects().iter().map(|object| object["meter"]["direction"].clone()).collect();
            assert_eq!(directions, ["request", "answer"], "{input}: {}", told.out);
            assert!(told.objects().iter().all(|object| object["meter"]["function"] == case["function"]), "{}", told.out);
        }
    }
}

#[test]
fn captured_modbus_connections_are_told_frame_by_frame() {
    let Some(folder) = folder("modbus-tcp") else { return };
    for name in ["bro_modbusSmall", "icsnpp_modbus_example", "iti_modbus_test", "quickdraw_part2"] {
        let Ok(text) = std::fs::read_to_string(folder.join(name).with_extension("jsonl")) else { continue };
        let segments: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let adus: Vec<&Json> = segments.iter().flat_map(|segment| array(&segment["adus"])).collect();
        let payload: Vec<u8> = adus.iter().flat_map(|adu| unhex(adu["adu"].as_str().unwrap())).collect();
        let objects = decode(&["--protocol", "modbus-tcp", "--json"], &payload).objects();
        assert_eq!(objects.len(), adus.len(), "{name}");
        for (ours, theirs) in objects.iter().zip(adus) {
            let meter = &ours["meter"];
            let same = (&meter["transaction"], &meter["unit"]) == (&theirs["tid"], &theirs["unit"])
                && meter["function"].as_u64() == theirs["fc"].as_u64().map(|function| function & 0x7F)
                && meter["exception"] == theirs["exception"];
            assert!(same, "{name}: {ours}, expected {theirs}");
        }
    }
}
