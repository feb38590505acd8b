//! Captured telegrams of real meters with the values they hold, read in place where the folder is there, and hostile bytes.

mod iec62056;
mod modbus;
mod p1;
mod sml;
mod torture;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::reading::Value;

/// The folder of one kind of captures, or `None`, said in a line, where it is absent.
pub(crate) fn captures(kind: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("DISTRICTD_SHARED").map_or_else(beside, PathBuf::from).join("vectors").join(kind);
    if !folder.is_dir() {
        println!("no captures of {kind} beside the checkout, and DISTRICTD_SHARED does not name a folder that has them: skipped");
        return None;
    }
    Some(folder)
}

/// Name, bytes and expected values of every capture of a kind.
pub(crate) fn all(kind: &str, extension: &str) -> Vec<(String, Vec<u8>, Json)> {
    let Some(folder) = captures(kind) else { return Vec::new() };
    let mut names: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names.retain(|path| path.extension().is_some_and(|found| found == extension));
    let read = |path: PathBuf| {
        let expected = fs::read(path.with_extension("json")).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, fs::read(&path).unwrap(), serde_json::from_slice(&expected).unwrap())
    };
    names.into_iter().map(read).collect()
}

/// Differences found, and how many of how many captures they are in.
pub(crate) struct Tally {
    kind: &'static str,
    captures: usize,
    exceptions: Vec<String>,
}

impl Tally {
    pub(crate) fn new(kind: &'static str) -> Self {
        Self { kind, captures: 0, exceptions: Vec::new() }
    }

    /// Counts one capture, with what is different about it.
    pub(crate) fn count(&mut self, name: &str, differences: &[String]) {
        self.captures += 1;
        if !differences.is_empty() {
            self.exceptions.push(format!("{name}: {}", differences.join("; ")));
        }
    }

    /// Prints the exceptions and fails when they are more than 2 in 100.
    pub(crate) fn judge(&self) {
        let Self { kind, captures, exceptions } = self;
        println!("{kind}: {captures} captures, {} exceptions", exceptions.len());
        for exception in exceptions {
            println!("  {exception}");
        }
        assert!(exceptions.len() * 50 <= *captures, "{kind}: {exceptions:#?}");
    }
}

/// A number with exactly the digits that it holds.
pub(crate) fn digits(value: &Value) -> Option<String> {
    let (mantissa, exponent) = match value {
        Value::Int(number) => (i128::from(*number), 0),
        Value::UInt(number) => (i128::from(*number), 0),
        Value::Decimal { mantissa, exponent } => (i128::from(*mantissa), i32::from(*exponent)),
        _ => return None,
    };
    let sign = if mantissa < 0 { "-" } else { "" };
    let whole = mantissa.unsigned_abs().to_string();
    if exponent >= 0 {
        let zeros = if mantissa == 0 { 0 } else { exponent.unsigned_abs() as usize };
        return Some(format!("{sign}{whole}{}", "0".repeat(zeros)));
    }
    let places = exponent.unsigned_abs() as usize;
    let padded = format!("{whole:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    Some(format!("{sign}{whole}.{fraction}"))
}

#[test]
fn digits_are_written_as_they_were_sent() {
    let decimal = |mantissa, exponent| digits(&Value::Decimal { mantissa, exponent }).unwrap();
    assert_eq!(decimal(0, -3), "0.000");
    assert_eq!(decimal(-5, -2), "-0.05");
    assert_eq!(decimal(13391, 3), "13391000");
    assert_eq!(decimal(44_998_962, -1), "4499896.2");
}
