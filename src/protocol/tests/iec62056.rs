//! Captured read-outs of IEC 62056-21.

use serde_json::Value as Json;

use super::{Tally, all, digits};
use crate::protocol::iec62056::dataset::decimal;
use crate::protocol::iec62056::{BccRule, Check, DataSet, Error, Item, Options, Telegram, read_capture};
use crate::protocol::obis::{Medium, Nature};
use crate::reading::Value;

const KIND: &str = "iec62056-21";

fn differences(capture: &[u8], expected: &Json) -> Vec<String> {
    let mut found = Vec::new();
    let options = Options { keep_rows: true, ..Options::default() };
    let mut telegrams = read_capture(options, capture).telegrams;
    if expected["bcc"]["ok"] == false {
        let byte = |key: &str| u8::try_from(expected["bcc"][key].as_u64().unwrap()).unwrap();
        let wrong = Error::Bcc { received: byte("received"), calculated: byte("calculated") };
        if telegrams.iter().all(|telegram| telegram.as_ref().err() != Some(&wrong)) {
            found.push(format!("expected {wrong}, got {telegrams:?}"));
        }
        telegrams = read_capture(Options { bcc: BccRule::Ignore, ..options }, capture).telegrams;
    }
    let telegrams: Vec<Telegram> =
        telegrams.into_iter().filter_map(|telegram| telegram.map_err(|error| found.push(error.to_string())).ok()).collect();
    if expected["bcc"]["ok"] == true && telegrams.iter().any(|telegram| telegram.check != Check::Good) {
        found.push("the block check was not seen to be good".to_owned());
    }
    found.extend(ident(telegrams.first(), &expected["ident"]));
    let sets: Vec<&DataSet> = telegrams.iter().flat_map(|telegram| &telegram.sets).collect();
    let medium = telegrams.first().map_or(Medium::Electricity, |telegram| telegram.medium);
    found.extend(compare_sets(&sets, &expected["entries"], medium));
    found
}

fn ident(telegram: Option<&Telegram>, expected: &Json) -> Option<String> {
    let ident = telegram.and_then(|telegram| telegram.ident.as_ref());
    let text = |key: &str| expected[key].as_str().map(str::to_owned);
    let got = ident.map(|ident| {
        (ident.manufacturer.to_string(), ident.baud.to_string(), ident.escape.map(String::from), ident.model.to_string())
    });
    let wanted = expected
        .is_object()
        .then(|| (text("manufacturer").unwrap(), text("baud_char").unwrap(), text("mode_escape"), text("model").unwrap()));
    (got != wanted).then(|| format!("ident {got:?}, expected {wanted:?}"))
}

/// Addresses, values and units, in order.
pub(super) fn compare_sets(sets: &[&DataSet], expected: &Json, medium: Medium) -> Vec<String> {
    let expected = expected.as_array().unwrap();
    let mut found = Vec::new();
    if sets.len() != expected.len() {
        found.push(format!("{} data sets, expected {}", sets.len(), expected.len()));
    }
    for (set, expected) in sets.iter().zip(expected) {
        let items = expected["values"].as_array().unwrap();
        if *set.address != *expected["address"].as_str().unwrap() || set.items.len() != items.len() {
            found.push(format!("{set:?}, expected {expected}"));
            continue;
        }
        let nature = set.code.map_or(Nature::Number, |code| code.nature(medium));
        found.extend(set.items.iter().zip(items).filter_map(|(item, expected)| item_differs(item, expected, nature)));
    }
    found
}

fn item_differs(item: &Item, expected: &Json, nature: Nature) -> Option<String> {
    let said = || Some(format!("{item:?}, expected {expected}"));
    let text = |key: &str| expected[key].as_str();
    let first = item.first()?;
    if text("raw") != Some(&item.raw) || text("value") != Some(&first.text) {
        return said();
    }
    if item.list.len() > 1 {
        // The reference does not split lists: what it calls the unit holds the rest of the list.
        let rest: Vec<String> = item
            .list
            .iter()
            .map(|one| one.unit.as_ref().map_or(one.text.to_string(), |unit| format!("{}*{unit}", one.text)))
            .collect();
        return if rest.join("&") == *item.raw { None } else { said() };
    }
    if text("unit") != first.unit.as_deref() {
        return said();
    }
    let same = match (&first.value, text("number")) {
        (Value::Text(_), Some(number)) => {
            let too_long = first.text.trim().len() > 18;
            too_long || nature == Nature::Text && decimal(&first.text).and_then(|value| digits(&value)).as_deref() == Some(number)
        }
        (value, number) => digits(value).as_deref() == number,
    };
    if same { None } else { said() }
}

#[test]
fn every_captured_read_out_gives_the_values_it_holds() {
    let mut tally = Tally::new(KIND);
    for (name, capture, expected) in all(KIND, "txt") {
        tally.count(&name, &differences(&capture, &expected));
    }
    tally.judge();
}
