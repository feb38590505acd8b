//! The captured frames beside the checkout, read in place: every record against what libmbus made of it, every field against what
//! wmbusmeters made of it.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::*;
use crate::protocol::mbus::frame::FrameError;

/// Where the captures are: `DISTRICTD_SHARED`, else `../shared` beside the checkout.
fn captures(folder: &str) -> Vec<(String, Vec<u8>, Json)> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("DISTRICTD_SHARED").map_or_else(beside, PathBuf::from);
    let folder = shared.join("vectors/mbus").join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("no captures in {}: skipped", folder.display());
        return Vec::new();
    };
    let mut names: Vec<_> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "hex")).collect();
    names.sort();
    names.iter().map(|path| capture(path)).collect()
}

fn capture(path: &Path) -> (String, Vec<u8>, Json) {
    let hex = std::fs::read_to_string(path).unwrap();
    let json = std::fs::read_to_string(path.with_extension("json")).unwrap();
    (path.file_stem().unwrap().to_string_lossy().into_owned(), bytes(&hex), serde_json::from_str(&json).unwrap())
}

/// Value and unit of a record as libmbus normalises them: durations in seconds.
fn normalised(record: &Record) -> (Option<f64>, &str) {
    let seconds = match &*record.unit {
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return (float(&record.value), &record.unit),
    };
    (float(&record.value).map(|number| number * seconds), "s")
}

/// Our word for a quantity and a unit of libmbus.
fn translated(quantity: &str, unit: &str) -> (String, String) {
    let name = match quantity {
        "Fabrication No" => "fabrication_no".to_owned(),
        "H.C.A." => "hca".to_owned(),
        "Time point (date)" => "date".to_owned(),
        "Time point (date & time)" => "datetime".to_owned(),
        "(Enhanced) Identification" => "identification".to_owned(),
        "Medium" => "device_type".to_owned(),
        "Model / Version" => "model_version".to_owned(),
        "Manufacturer specific" => "manufacturer".to_owned(),
        "Parameter set identification" => "parameter_set".to_owned(),
        "Special supplier information" => "supplier_information".to_owned(),
        "%RH" | "cust. ID" | "bat. time" => "plain_text".to_owned(),
        other => other.to_lowercase().replace(' ', "_"),
    };
    let unit = match (quantity, unit.replace("m^3", "m3").as_str()) {
        ("%RH" | "cust. ID" | "bat. time", _) => quantity.to_owned(),
        (_, "-" | "Reserved" | "Units for H.C.A.") => String::new(),
        (_, unit) => unit.replace("Â°", "°"),
    };
    (name, unit)
}

/// What differs between a record and libmbus's, in words; empty if nothing does.
fn differences(record: &Record, json: &Json) -> Vec<String> {
    let text = |key: &str| json[key].as_str().unwrap_or_default();
    if matches!(text("function"), "Manufacturer specific" | "More records follow") {
        let name = if text("function").starts_with("More") { "more_records_follow" } else { "manufacturer_data" };
        let ours = (record.name, record.value.clone());
        return if ours == (name, Value::Text(text("value_raw").into())) { Vec::new() } else { vec![format!("{ours:?}")] };
    }
    let mut pairs = vec![
        ("function", record.function.name().to_owned(), function(text("function")).to_owned()),
        ("tariff", record.tariff.to_string(), json["tariff"].as_u64().unwrap_or_default().to_string()),
        ("subunit", record.subunit.to_string(), json["device"].as_u64().unwrap_or_default().to_string()),
        ("value", shown(record), expected(record, text("value_raw"), text("value_norm"))),
    ];
    if let Some(storage) = json["storage"].as_u64() {
        pairs.push(("storage", record.storage.to_string(), storage.to_string()));
    }
    if let Some(quantity) = json["quantity"].as_str() {
        let (name, unit) = translated(quantity, text("unit_norm"));
        pairs.push(("name", record.name.to_owned(), name));
        pairs.push(("unit", normalised(record).1.to_owned(), unit));
    }
    let differs = pairs.into_iter().filter(|(_, ours, theirs)| ours != theirs);
    differs.map(|(what, ours, theirs)| format!("{what} {ours:?}, expected {theirs:?}")).collect()
}

fn function(theirs: &str) -> &str {
    match theirs {
        "Instantaneous value" | "Actual value" => "instantaneous",
        "Maximum value" => "maximum",
        "Minimum value" => "minimum",
        "Value during error state" => "error",
        other => other,
    }
}

/// Our value: the raw digits and, scaled, six digits behind the point. A float has no more digits than it was sent with.
fn shown(record: &Record) -> String {
    let raw = match &record.value {
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Decimal { mantissa, .. } => mantissa.to_string(),
        Value::F32(number) => format!("{number:.6}"),
        Value::Text(text) => return text.trim().to_owned(),
        other => return format!("{other:?}"),
    };
    format!("{raw} = {:.6}", normalised(record).0.unwrap())
}

fn expected(record: &Record, raw: &str, norm: &str) -> String {
    // BCD with letters is how a meter spells "no value"; libmbus shows the letters and makes a number of them.
    if record.problem == Some(Problem::Digits) && raw.chars().any(|c| ('A'..='F').contains(&c)) {
        return format!("{:?}", Value::Missing);
    }
    let (Ok(_), Ok(number)) = (raw.parse::<f64>(), norm.parse::<f64>().or_else(|_| raw.parse::<f64>())) else {
        return raw.to_owned();
    };
    match normalised(record).0 {
        // A float whose point was moved: libmbus prints six digits of one and of the other, neither of which are the digits sent.
        Some(ours) if raw.contains('.') && close(ours, number) => shown(record),
        Some(_) => format!("{raw} = {number:.6}"),
        None => raw.to_owned(),
    }
}

/// Records on which libmbus is not followed, and why.
const EXCEPTIONS: [(&str, &[usize], &str); 2] = [
    ("SEN_Pollustat", &[12, 13], "the VIFE makes it a duration, libmbus does not look at it"),
    ("landis+gyr_ultraheat_t230", &[19, 20, 21, 22, 32], "the VIFE makes it a point in time; year 127 is every year"),
];

fn excepted(name: &str, place: usize) -> bool {
    EXCEPTIONS.iter().any(|(frame, places, _)| *frame == name && places.contains(&place))
}

#[test]
fn every_record_is_what_libmbus_makes_of_it() {
    let frames = captures("test-frames");
    for (name, bytes, json) in &frames {
        let telegram = telegram(bytes);
        assert_eq!(identity(&telegram), slave(&json["slave"]), "{name}");
        let expected = json["records"].as_array().unwrap();
        assert_eq!(telegram.records.len(), expected.len(), "{name}");
        for (place, (record, json)) in telegram.records.iter().zip(expected).enumerate() {
            let differences = differences(record, json);
            assert_eq!(!differences.is_empty(), excepted(name, place), "{name}, record {place}: {differences:?}");
        }
    }
    for (frame, places, reason) in EXCEPTIONS.into_iter().filter(|_| !frames.is_empty()) {
        println!("exception: {frame}, records {places:?}: {reason}");
    }
}

#[test]
fn all_captures_in_one_stream_are_found_one_by_one_and_the_exceptions_are_few() {
    let folders = ["test-frames", "wired-wmbusmeters", "error-frames", "unsupported-frames"];
    let all: Vec<_> = folders.into_iter().flat_map(captures).map(|(_, bytes, _)| bytes).collect();
    assert!(all.is_empty() || EXCEPTIONS.len() * 50 <= all.len(), "more than 2 % of {} frames are exceptions", all.len());
    let sound: Vec<_> = all.into_iter().filter(|bytes| Frame::decode(bytes).is_ok()).collect();
    assert_eq!(stream::drained(&sound.concat()), (sound, 0));
}

/// Identification, manufacturer, version, access number and status as libmbus prints them.
fn identity(telegram: &Telegram) -> [String; 5] {
    let header = &telegram.header;
    let identity = header.identity.unwrap();
    [
        format!("{:X}", identity.id.0),
        identity.manufacturer.map(|maker| maker.to_string()).unwrap_or_default(),
        identity.version.map(|version| version.to_string()).unwrap_or_default(),
        header.access.unwrap().to_string(),
        format!("{:02X}", header.status.unwrap().0),
    ]
}

fn slave(json: &Json) -> [String; 5] {
    ["Id", "Manufacturer", "Version", "AccessNumber", "Status"].map(|key| json[key].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_frame_that_libmbus_refuses_gives_its_error_or_names_the_odd_record() {
    for (name, bytes, json) in captures("error-frames").into_iter().chain(captures("unsupported-frames")) {
        let answer = Frame::decode(&bytes).map(|frame| decode(&frame, Secrets::default()));
        let error = json["slave"]["Error"].as_str().map(|words| words.replace("´", "").replace("Â", ""));
        match (answer, error) {
            (Ok(Ok(Answer::Refused(ours))), Some(theirs)) => assert_eq!(refusal(&theirs), Some(ours.0), "{name}"),
            (Ok(Ok(Answer::Telegram(telegram))), None) if name != "svm_f22_telegram2" => {
                let odd = telegram.records.last().unwrap();
                assert_eq!((odd.value.clone(), odd.problem.is_some()), (Value::Missing, true), "{name}");
                assert!(telegram.records.iter().rev().skip(1).all(|record| record.problem.is_none()), "{name}");
            }
            (Ok(Ok(Answer::Telegram(telegram))), None) => assert!(telegram.more_follow, "{name}"),
            (Ok(Err(AnswerError::Control(0x53) | AnswerError::Header { .. })), None) => {}
            (Err(FrameError::LengthTooSmall { received: 0 }), None) => assert_eq!(name, "invalid_length"),
            (ours, theirs) => panic!("{name}: {ours:?}, expected {theirs:?}"),
        }
    }
}

/// The codes behind libmbus's words.
fn refusal(words: &str) -> Option<u8> {
    let known = [
        ("Unspecified error", 0),
        ("Unimplemented CI-Field", 1),
        ("Buffer too long, truncated", 2),
        ("Too many records", 3),
        ("Premature end of record", 4),
        ("More than 10 DIFEs", 5),
        ("More than 10 VIFEs", 6),
        ("Application busy", 8),
        ("Too many readouts", 9),
    ];
    known.iter().find(|(known, _)| *known == words).map(|(_, code)| *code)
}

/// The suffix of a field of wmbusmeters and what one of it is in the unit of ours.
const SUFFIXES: [(&str, f64); 18] = [
    ("_kwh", 1e3),
    ("_kvarh", 1e3),
    ("_kvar", 1e3),
    ("_kva", 1e3),
    ("_kw", 1e3),
    ("_m3h", 1.0),
    ("_m3", 1.0),
    ("_m3c", 1.0),
    ("_c", 1.0),
    ("_v", 1.0),
    ("_a", 1.0),
    ("_hz", 1.0),
    ("_rh", 1.0),
    ("_h", 3600.0),
    ("_s", 1.0),
    ("_hca", 1.0),
    ("_nr", 1.0),
    ("_counter", 1.0),
];

fn close(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= 1e-6 * theirs.abs().max(1.0)
}

/// Whether a record says what a field says. What the maker coded, wmbusmeters scales by its own knowledge of the meter; it prints six
/// digits behind the point.
fn says(record: &Record, field: &str, theirs: f64) -> bool {
    let factor = SUFFIXES.iter().find(|(suffix, _)| field.ends_with(suffix)).map_or(1.0, |(_, factor)| *factor);
    let Some(mut ours) = normalised(record).0 else { return false };
    if &*record.unit == "J" {
        ours /= 3600.0;
    }
    let maker = record.qualifiers.iter().any(|qualifier| matches!(qualifier, Qualifier::Maker(_)));
    let scaled = || (-6..=6).any(|power| close(ours * 10_f64.powi(power), theirs)) || close(ours, theirs * 60.0);
    (ours - theirs * factor).abs() <= 6e-7 * factor || close(ours, theirs * factor) || maker && scaled()
}

/// A date, or the date and time, by which a field is to be found.
fn says_when(record: &Record, theirs: &str) -> bool {
    // wmbusmeters makes the 30th of November 1999 of day 0 in month 0 of 2000.
    let theirs = theirs.replace("1999-11-30", "2000-00-00");
    matches!(&record.value, Value::Text(ours) if ours.replace('T', " ").starts_with(&theirs))
}

#[test]
fn every_field_is_what_wmbusmeters_makes_of_it() {
    for (name, bytes, json) in captures("wired-wmbusmeters") {
        let telegram = telegram(&bytes);
        assert!(telegram.more_follow || json["ends_with_1f"] == false, "{name}");
        assert!(telegram.records.iter().all(|record| !matches!(record.problem, Some(Problem::PrematureEnd))), "{name}");
        let any = |says: &dyn Fn(&Record) -> bool| telegram.records.iter().any(says);
        for (field, value) in json["fields"].as_object().unwrap() {
            let found = match value {
                Json::Number(number) => any(&|record| says(record, field, number.as_f64().unwrap())),
                Json::String(text) if field.contains("date") => any(&|record| says_when(record, text)),
                Json::String(text) if field == "id" => telegram.header.identity.unwrap().id.to_string() == *text,
                Json::String(text) if matches!(field.as_str(), "manufacturer" | "firmware_version") => {
                    any(&|record| record.value == Value::Text(text.as_str().into()))
                }
                _ => true,
            };
            assert!(found, "{name}: nothing says {field} {value}");
        }
    }
}
