//! Mode 5. The example is that of the OMS specification (volume 2, annex N): a gas meter, its key, and what it says.

use super::*;

/// Key of the example.
const KEY: Key = Key([1, 2, 3, 4, 5, 6, 7, 8, 9, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x11]);
/// Two enciphered blocks of the example.
const BLOCKS: &str = "59 23 C9 5A AA 26 D1 B2 E7 49 3B 01 3E C4 A6 F6 D3 52 9B 52 0E DF F0 EA 6D EF C9 9D 6D 69 EB F3";
/// ELS 12345678, version 51, gas; access 42, no error, mode 5 with two blocks.
const LONG: &str = "72 78563412 9315 33 03 2A 00 2025";
/// The same without the identity.
const SHORT: &str = "7A 2A 00 2025";

fn gas() -> Identity {
    Identity {
        id: Id(0x1234_5678),
        manufacturer: Manufacturer::from_letters("ELS"),
        version: Some(51),
        medium: Medium::Variable(3),
    }
}

fn opened(hex: &str, key: Option<&Key>, identity: Option<&Identity>) -> Result<Vec<String>, AnswerError> {
    let frame = answer(hex);
    match decode(&Frame::decode(&frame).unwrap(), Secrets { key, identity })? {
        Answer::Telegram(telegram) => Ok(telegram.records.iter().map(line).collect()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_example_of_the_specification_is_opened() {
    let expected = ["volume = 2850427e-2 m3", "datetime = \"2008-05-31T23:50:00\"", "error_flags = 0u"];
    assert_eq!(opened(&format!("{LONG} {BLOCKS}"), Some(&KEY), None).unwrap(), expected);
    assert_eq!(opened(&format!("{SHORT} {BLOCKS}"), Some(&KEY), Some(&gas())).unwrap(), expected);
}

#[test]
fn records_behind_the_enciphered_blocks_are_read_as_they_are() {
    let lines = opened(&format!("{LONG} {BLOCKS} {}", "01 FD 08 2A ".repeat(5)), Some(&KEY), None).unwrap();
    assert_eq!(lines[3..], ["access_number = 42u"; 5]);
}

#[test]
fn a_wrong_key_gives_no_value() {
    let wrong = Key([0x55; 16]);
    assert_eq!(opened(&format!("{LONG} {BLOCKS}"), Some(&wrong), None), Err(AnswerError::WrongKey));
}

#[test]
fn another_makers_identity_does_not_open_a_telegram() {
    let other = Identity { manufacturer: Manufacturer::from_letters("KAM"), ..gas() };
    assert_eq!(opened(&format!("{SHORT} {BLOCKS}"), Some(&KEY), Some(&other)), Err(AnswerError::WrongKey));
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(opened(&format!("{LONG} {BLOCKS}"), None, None), Err(AnswerError::NoKey));
    assert_eq!(opened(&format!("{SHORT} {BLOCKS}"), Some(&KEY), None), Err(AnswerError::NoIdentity));
    // Mode 7 in bits 8 to 12 of the configuration word.
    assert_eq!(opened(&format!("72 78563412 9315 33 03 2A 00 2027 {BLOCKS}"), Some(&KEY), None), Err(AnswerError::Mode(7)));
}

#[test]
fn a_telegram_that_is_plain_needs_no_key() {
    // Mode 5 in the header, but a converter has deciphered it: it begins with the check.
    assert_eq!(opened(&format!("{LONG} 2F2F 0C14 27048502"), None, None).unwrap(), ["volume = 2850427e-2 m3"]);
    // A signature of an old meter in place of the configuration word.
    assert_eq!(opened("72 78563412 9315 33 03 2A 00 27B6 0C14 27048502", None, None).unwrap(), ["volume = 2850427e-2 m3"]);
}

#[test]
fn a_key_does_not_print() {
    assert_eq!(format!("{KEY:?}"), "Key(..)");
}
