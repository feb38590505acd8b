//! What the master says, byte by byte.

use super::request::{self, FrameCount};
use super::select::Secondary;
use super::*;

#[test]
fn requests_are_the_bytes_of_the_standard() {
    let first = FrameCount::after_reset();
    let mut second = first;
    second.confirm();
    assert_eq!(request::reset(1), bytes(">> 10 40 01 41 16"));
    assert_eq!(request::reset(request::SELECTED), bytes(">> 10 40 FD 3D 16"));
    assert_eq!(request::values(5, first), bytes(">> 10 7B 05 80 16"));
    assert_eq!(request::values(5, second), bytes(">> 10 5B 05 60 16"));
    assert_eq!(request::alarms(5, second), bytes(">> 10 5A 05 5F 16"));
    assert_eq!(request::application_reset(254, second, None), bytes(">> 68 03 03 68 53 FE 50 A1 16"));
    assert_eq!(request::application_reset(254, first, Some(0x10)), bytes(">> 68 04 04 68 73 FE 50 10 D1 16"));
}

#[test]
fn a_selection_carries_the_address_low_byte_first_and_ones_for_any() {
    let any = request::select(&Secondary::ANY);
    assert_eq!(any, bytes(">> 68 0B 0B 68 53 FD 52 FFFFFFFF FFFF FF FF 9A 16"));
    let one: Secondary = "1234567*-KAM-52-4".parse().unwrap();
    assert_eq!(request::select(&one), bytes(">> 68 0B 0B 68 53 FD 52 7F563412 2D2C 34 04 4E 16"));
}

#[test]
fn enhanced_selection_adds_the_fabrication_number_as_a_record() {
    let mask: Secondary = "*-*-*-*-00004711".parse().unwrap();
    assert_eq!(mask.encode(), bytes("FFFFFFFF FFFF FF FF 0C 78 11470000"));
}

#[test]
fn the_frame_count_bit_changes_with_a_good_answer_only() {
    let mut count = FrameCount::after_reset();
    let repeated = (request::values(1, count), request::values(1, count));
    assert_eq!(repeated.0, repeated.1);
    count.confirm();
    assert_ne!(request::values(1, count), repeated.0);
    count.confirm();
    assert_eq!(request::values(1, count), repeated.0);
    assert!(count.is_set());
}
