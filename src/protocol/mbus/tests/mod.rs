//! Tests of the codec as a whole; telegrams are written as `>> hex` what the master sends and `<< hex` what the meter answers.

mod addresses;
mod enciphered;
mod names;
mod random;
mod records;
mod requests;
mod stream;
mod telegrams;
mod vectors;
mod walk;

use super::*;
use crate::reading::Value;

/// Hex digits in any grouping; what stands behind `--` on a line says what the bytes are.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .flat_map(str::bytes)
        .filter(u8::is_ascii_hexdigit)
        .collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// An answer of the meter at address 1 around CI field and data, with its length and sum.
fn answer(hex: &str) -> Vec<u8> {
    let body = bytes(hex);
    Frame::Long { control: 0x08, address: 1, ci: body[0], data: &body[1..] }.encode()
}

/// The telegram in a frame.
fn telegram(frame: &[u8]) -> Telegram {
    match decode(&Frame::decode(frame).unwrap(), Secrets::default()) {
        Ok(Answer::Telegram(telegram)) => telegram,
        other => panic!("{other:?}"),
    }
}

/// Records behind a long header of zeros.
fn records(hex: &str) -> Vec<Record> {
    telegram(&answer(&format!("72 00000000 0000 00 00 00 00 0000 {hex}"))).records
}

/// The one record of which these are the bytes.
fn record(hex: &str) -> Record {
    let [record] = <[Record; 1]>::try_from(records(hex)).unwrap();
    record
}

/// Point name, value as printed and unit of a record.
fn line(record: &Record) -> String {
    format!("{} = {} {}", record.point_name(), printed(&record.value), record.unit).trim_end().to_owned()
}

fn printed(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => format!("{number}u"),
        Value::Decimal { mantissa, exponent } => format!("{mantissa}e{exponent}"),
        Value::F32(number) => number.to_string(),
        Value::F64(number) => number.to_string(),
        Value::Text(text) => format!("{text:?}"),
        other => format!("{other:?}"),
    }
}

/// A number as a double, for comparisons with expectations that are doubles themselves.
fn float(value: &Value) -> Option<f64> {
    match value {
        Value::F32(number) => Some(f64::from(*number)),
        number => printed(number).trim_end_matches('u').parse().ok(),
    }
}
