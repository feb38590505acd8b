//! Captured SML streams.

use serde_json::Value as Json;

use super::{Tally, all, digits};
use crate::protocol::obis::Obis;
use crate::protocol::sml::{CrcKind, Entry, Framing, GetList, Options, Quirks, Raw, Telegram, Time};
use crate::protocol::stream::Stream;
use crate::reading::{Quality, Value};

const KIND: &str = "sml";

fn read(crc: CrcKind, capture: &[u8]) -> Vec<Telegram> {
    let framing = Framing::new(Options { crc, ..Options::default() });
    Stream::read_all(framing, capture).telegrams.into_iter().filter_map(Result::ok).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).map(char::from).collect()
}

fn seconds(time: Option<Time>) -> Option<String> {
    time.map(|time| match time {
        Time::SecIndex(seconds) | Time::Timestamp(seconds) | Time::Bare(seconds) | Time::Local { timestamp: seconds, .. } => {
            seconds.to_string()
        }
    })
}

fn entry_differs(entry: &Entry, expected: &Json) -> Option<String> {
    let octets = match &entry.raw {
        Raw::Octets(bytes) => Some(hex(bytes)),
        Raw::Absent => Some(String::new()),
        _ => None,
    };
    let value_fits = match (&octets, expected["raw"].as_str()) {
        // One of the two references gives octets in hex, the other one printable ones as text.
        (Some(octets), Some(raw)) => octets == raw || entry.value == Value::Text(raw.into()),
        (None, None) => digits(&entry.value).as_deref() == expected["value"].as_str(),
        _ => false,
    };
    let text_fits = expected["ascii"].as_str().is_none_or(|text| entry.value == Value::Text(text.into()));
    let code = expected["obis"].as_str().and_then(|text| text.parse::<Obis>().ok());
    let number = |key: &str| expected[key].as_i64();
    let same = value_fits
        && text_fits
        && Some(entry.code) == code
        && entry.unit.map(i64::from) == number("unit")
        && entry.unit_name() == expected["unit_name"].as_str().unwrap_or_default()
        && entry.scaler.map(i64::from) == number("scaler")
        && entry.status == expected["status"].as_u64()
        && (expected["val_time"].is_null() || seconds(entry.time).as_deref() == expected["val_time"].as_str());
    if same { None } else { Some(format!("{entry:?}, expected {expected}")) }
}

fn list_differs(list: &GetList, expected: &Json) -> Vec<String> {
    let entries = expected["entries"].as_array().unwrap();
    let mut found: Vec<String> =
        list.entries.iter().zip(entries).filter_map(|(entry, expected)| entry_differs(entry, expected)).collect();
    if list.entries.len() != entries.len() || list.odd_entries != 0 {
        found.push(format!("{} entries, expected {}", list.entries.len(), entries.len()));
    }
    if Some(&*hex(&list.server_id)) != expected["server_id"].as_str() {
        found.push(format!("server id {:?}", list.server_id));
    }
    let time = &expected["act_sensor_time"];
    if !time.is_null() && seconds(list.time).as_deref() != time.as_str() {
        found.push(format!("time {:?}, expected {time}", list.time));
    }
    found
}

fn differences(capture: &[u8], expected: &Json) -> Vec<String> {
    let frames = expected["frames"].as_array().unwrap();
    let mut found = Vec::new();
    for (crc, word) in [(CrcKind::X25, "x25"), (CrcKind::Kermit, "kermit")] {
        let wanted: Vec<&Json> = frames.iter().filter(|frame| frame["crc"] == word).collect();
        let telegrams = read(crc, capture);
        if telegrams.len() != wanted.len() {
            found.push(format!("{} telegrams with {word}, expected {}", telegrams.len(), wanted.len()));
        }
        for (telegram, expected) in telegrams.iter().zip(wanted) {
            let lists = expected["lists"].as_array().unwrap();
            found.extend((telegram.lists.len() != lists.len()).then(|| format!("{} lists", telegram.lists.len())));
            found.extend(telegram.lists.iter().zip(lists).flat_map(|(list, expected)| list_differs(list, expected)));
        }
    }
    found
}

#[test]
fn every_captured_stream_gives_the_telegrams_that_came_whole() {
    let mut tally = Tally::new(KIND);
    let mut telegrams = 0;
    for (name, capture, expected) in all(KIND, "bin") {
        telegrams += expected["frames"].as_array().unwrap().iter().filter(|frame| frame["crc"] == "x25").count();
        tally.count(&name, &differences(&capture, &expected));
    }
    println!("{telegrams} telegrams with a check sum that fits");
    tally.judge();
}

fn capture(name: &str) -> Option<Vec<u8>> {
    all(KIND, "bin").into_iter().find(|(found, ..)| found == name).map(|(_, bytes, _)| bytes)
}

fn power(telegram: &Telegram, code: Obis) -> (String, Quality) {
    let entry = telegram.lists[0].entries.iter().find(|entry| entry.code.matches(&code)).unwrap();
    (digits(&entry.value).unwrap(), entry.quality)
}

#[test]
fn an_old_dzg_meter_is_recognised_by_its_number_and_its_power_read_without_a_sign() {
    let Some(bytes) = capture("DZG_DVS-7412.2_jmberg") else { return };
    let mut telegram = read(CrcKind::X25, &bytes).remove(0);
    assert_eq!(power(&telegram, Obis::short(16, 7, 0)).0, "-299.12");
    let quirks = Quirks::suggested(&telegram);
    assert_eq!(quirks, Quirks { short_unsigned: true, sign_from_status: false });
    quirks.apply(&mut telegram);
    assert_eq!(power(&telegram, Obis::short(16, 7, 0)), ("356.24".to_owned(), Quality::Good));
}

#[test]
fn a_dzg_meter_with_repaired_firmware_keeps_its_negative_power() {
    let Some(bytes) = capture("DZG_DVS-7420.2V.G2_mtr2_neg") else { return };
    let telegram = read(CrcKind::X25, &bytes).remove(0);
    assert_eq!(Quirks::suggested(&telegram), Quirks::default());
}

#[test]
fn an_emh_meter_that_draws_keeps_its_power_positive() {
    let Some(bytes) = capture("EMH-ED300L_consumption") else { return };
    let mut telegram = read(CrcKind::X25, &bytes).remove(0);
    let before = power(&telegram, Obis::short(15, 7, 0));
    Quirks { sign_from_status: true, short_unsigned: false }.apply(&mut telegram);
    assert_eq!(power(&telegram, Obis::short(15, 7, 0)), before);
}

#[test]
fn message_check_sums_fit_wherever_nobody_blotted_out_a_number() {
    for (name, bytes, _) in all(KIND, "bin") {
        let wrong = read(CrcKind::X25, &bytes).iter().filter(|telegram| telegram.wrong_message_crc().is_some()).count();
        assert!(wrong == 0 || name.starts_with("smllib_Frame-Issue"), "{name}: {wrong}");
    }
}
