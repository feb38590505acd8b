//! Names and units are what consumers see: they stay as `names.txt` lists them, which is also the list to read.

use std::fmt::Write;

use super::*;

/// Where the file stands, for whoever has added a code.
const LISTED: &str = include_str!("names.txt");

/// `VIF name 10^exponent unit` of every code that is not reserved.
fn listing() -> String {
    let mut text = String::new();
    for table in ["", "FB ", "FD ", "FD FD "] {
        for code in 0..0x80_u8 {
            let record = record(&format!("01 {} 01", leading(table, code)));
            let exponent = match record.value {
                Value::Decimal { exponent, .. } => exponent,
                _ => 0,
            };
            let known = record.problem != Some(Problem::ReservedVif) && (table, code) != ("", 0x7C);
            if known {
                writeln!(text, "{}", format!("{table}{code:02X} {} 10^{exponent} {}", record.name, record.unit).trim_end())
                    .unwrap();
            }
        }
    }
    text
}

/// The bytes that lead to a code of a table.
fn leading(table: &str, code: u8) -> String {
    if (table, code) == ("", 0x7C) { "7C 00".to_owned() } else { format!("{table}{code:02X}") }
}

#[test]
fn names_and_units_never_change_between_releases() {
    let listing = listing();
    for (listed, now) in LISTED.lines().zip(listing.lines()) {
        assert_eq!(now, listed);
    }
    assert!(listing == LISTED, "if codes were added, names.txt is to be:\n{listing}");
}
