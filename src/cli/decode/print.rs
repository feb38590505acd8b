//! Telegrams as JSON lines or as tables. Pure.
//!
//! Always true here: a number is printed with the digits it was sent with, also beyond what a double holds; a control character of a
//! meter never reaches the terminal.

use std::fmt::Write as _;

use super::told::{Datum, Record, Told};

/// One object per telegram and line.
pub(super) fn json(telegrams: &[Told]) -> String {
    telegrams.iter().fold(String::new(), |all, told| all + &telegram(told) + "\n")
}

fn telegram(told: &Told) -> String {
    let meter = format!(r#""meter":{}"#, object(told.meter.iter().map(|(key, datum)| (*key, written(datum)))));
    match &told.said {
        Ok(records) => {
            let records: Vec<String> = records.iter().map(record).collect();
            format!(r#"{{"ok":true,{meter},"records":[{}]}}"#, records.join(","))
        }
        Err(error) if told.meter.is_empty() => format!(r#"{{"ok":false,"error":{}}}"#, quoted(error)),
        Err(error) => format!(r#"{{"ok":false,{meter},"error":{}}}"#, quoted(error)),
    }
}

fn record(record: &Record) -> String {
    let text = |text: &Option<String>| text.as_deref().map(quoted);
    let pairs = [
        ("name", Some(quoted(&record.name))),
        ("obis", text(&record.obis)),
        ("dif", text(&record.dif)),
        ("vif", text(&record.vif)),
        ("address", record.address.map(|number| number.to_string())),
        ("storage", record.storage.map(|number| number.to_string())),
        ("tariff", record.tariff.map(|number| number.to_string())),
        ("subunit", record.subunit.map(|number| number.to_string())),
        ("function", record.function.map(quoted)),
        ("value", Some(written(&record.value))),
        ("unit", text(&record.unit)),
        ("raw", Some(quoted(&record.raw))),
        ("problem", text(&record.problem)),
    ];
    object(pairs.into_iter().filter_map(|(key, value)| Some((key, value?))))
}

fn object(pairs: impl Iterator<Item = (&'static str, String)>) -> String {
    let pairs: Vec<String> = pairs.map(|(key, value)| format!(r#""{key}":{value}"#)).collect();
    format!("{{{}}}", pairs.join(","))
}

fn written(datum: &Datum) -> String {
    match datum {
        Datum::Digits(digits) => digits.clone(),
        Datum::Text(text) => quoted(text),
        Datum::Flag(flag) => flag.to_string(),
        Datum::Missing => "null".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// For people: a heading for each telegram, below it a line for each value.
pub(super) fn table(telegrams: &[Told]) -> String {
    let mut printed = String::new();
    for (place, told) in telegrams.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(printed, "{}", heading(place + 1, told));
        if let Ok(records) = &told.said {
            print_rows(&mut printed, &records.iter().map(row).collect::<Vec<_>>());
        }
    }
    printed
}

fn heading(number: usize, told: &Told) -> String {
    let about: Vec<String> = told.meter.iter().map(|(key, datum)| format!("{key} {}", shown(datum))).collect();
    let about = if about.is_empty() { String::new() } else { format!(": {}", about.join(", ")) };
    match &told.said {
        Ok(_) => format!("telegram {number}{about}"),
        Err(error) => format!("telegram {number}{about}: NOT READ: {}", visible(error)),
    }
}

const COLUMNS: usize = 5;

/// Code, name, value, unit, problem.
fn row(record: &Record) -> [String; COLUMNS] {
    let places = [record.dif.as_deref(), record.vif.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("  ");
    let address = record.address.map(|address| address.to_string());
    let code = record.obis.clone().or(address).unwrap_or(places);
    let unit = record.unit.as_deref().unwrap_or_default();
    let problem = record.problem.as_deref().unwrap_or_default();
    [visible(&code), visible(&record.name), shown(&record.value), visible(unit), visible(problem)]
}

fn print_rows(printed: &mut String, rows: &[[String; COLUMNS]]) {
    let mut widths = [0; COLUMNS];
    for row in rows {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(printed, "  {}", cells.join("  ").trim_end());
    }
}

fn shown(datum: &Datum) -> String {
    match datum {
        Datum::Digits(digits) => digits.clone(),
        Datum::Text(text) => visible(text),
        Datum::Flag(flag) => flag.to_string(),
        Datum::Missing => "-".to_owned(),
    }
}

/// Text without the power to move a cursor.
fn visible(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
