//! Captured telegrams of DSMR P1 and its relatives.

use serde_json::Value as Json;

use super::iec62056::compare_sets;
use super::{Tally, all};
use crate::protocol::iec62056::DataSet;
use crate::protocol::obis::Medium;
use crate::protocol::p1::{Check, CrcRule, Error, Framing, Options, Telegram};
use crate::protocol::stream::Stream;

const KIND: &str = "dsmr-p1";

fn read(options: Options, capture: &[u8]) -> Vec<Result<Telegram, Error>> {
    Stream::read_all(Framing::new(options), capture).telegrams
}

/// What must come of one telegram of the reference.
fn fits(telegram: &Result<Telegram, Error>, expected: &Json) -> bool {
    let hex = |key: &str| u16::from_str_radix(expected[key].as_str().unwrap(), 16).unwrap();
    match (telegram, expected["crc_ok"].as_bool()) {
        (Ok(telegram), Some(true)) => telegram.check == Check::Good,
        (Ok(telegram), None) => telegram.check == Check::NotSent,
        (Err(error), Some(false)) => *error == Error::Crc { received: hex("crc_received"), calculated: hex("crc_calculated") },
        _ => false,
    }
}

fn differences(capture: &[u8], expected: &Json) -> Vec<String> {
    let mut found = Vec::new();
    let whole: Vec<&Json> =
        expected["telegrams"].as_array().unwrap().iter().filter(|telegram| !telegram["start"].is_null()).collect();
    let strict = read(Options::default(), capture);
    if strict.len() != whole.len() || !strict.iter().zip(&whole).all(|(telegram, expected)| fits(telegram, expected)) {
        found.push(format!("{strict:?}, expected {whole:?}"));
    }
    let lenient = read(Options { crc: CrcRule::Ignore, ..Options::default() }, capture);
    let Some(Ok(first)) = lenient.first() else { return vec!["no telegram even with the check off".to_owned()] };
    let ident = first.ident.as_ref().map(|ident| (&*ident.manufacturer, &*ident.model));
    let wanted = (expected["ident"]["manufacturer"].as_str().unwrap(), expected["ident"]["model"].as_str().unwrap());
    if ident != Some(wanted) {
        found.push(format!("ident {ident:?}, expected {wanted:?}"));
    }
    let sets: Vec<&DataSet> = first.sets.iter().collect();
    found.extend(compare_sets(&sets, &expected["entries"], Medium::Electricity));
    found
}

#[test]
fn every_captured_telegram_gives_the_values_it_holds() {
    let mut tally = Tally::new(KIND);
    for (name, capture, expected) in all(KIND, "txt") {
        tally.count(&name, &differences(&capture, &expected));
    }
    tally.judge();
}

/// The reference of another decoder: id, reading and unit of the meters behind the meter.
#[test]
fn the_meters_behind_a_captured_meter_are_found_by_their_ids() {
    for (name, id, address, value, unit) in [
        ("dsmrparser_V3", "2222ABCD123456789", "0-1:24.3.0", "1.001", "m3"),
        ("dsmrparser_V5", "2222ABCD123456789", "0-1:24.2.1", "0.107", "m3"),
        ("dsmrparser_FLUVIUS_V171", "7FLO2119033733", "0-1:24.2.3", "112.384", "m3"),
        ("jonkerj_landis_gir_zcf100", "G0045001608107216", "0-1:24.2.1", "66.405", "m3"),
    ] {
        let Some((_, capture, _)) = all(KIND, "txt").into_iter().find(|(found, ..)| found == name) else { continue };
        let telegram = read(Options::default(), &capture).remove(0).unwrap();
        let meters = telegram.sub_meters();
        let meter = meters.iter().find(|meter| meter.id.as_deref() == Some(id)).unwrap_or_else(|| panic!("{name}: {meters:?}"));
        let reading = &meter.readings[0];
        assert_eq!(
            (&*reading.address, super::digits(&reading.value).as_deref(), &*reading.unit),
            (address, Some(value), unit),
            "{name}"
        );
        assert!(reading.time.is_ok());
    }
}
