//! Single records, written from the standard: bytes in, name, digits and unit out.

use super::*;
use crate::reading::{Quality, Reason};

/// Each record's bytes and its line.
fn check(cases: &[(&str, &str)]) {
    for (hex, expected) in cases {
        assert_eq!(line(&record(hex)), *expected, "{hex}");
    }
}

/// Records without a value: bytes, reason and problem.
fn check_missing(cases: &[(&str, Reason, Problem)]) {
    for (hex, reason, problem) in cases {
        let record = record(hex);
        let found = (record.value, record.quality, record.problem);
        assert_eq!(found, (Value::Missing, Quality::Bad(*reason), Some(*problem)), "{hex}");
    }
}

#[test]
fn integers_of_every_length_keep_their_sign_and_digits() {
    check(&[
        ("01 2B FF", "power = -1 W"),
        ("02 2B 00 FF", "power = -256 W"),
        ("03 2B FF FF 7F", "power = 8388607 W"),
        ("03 2B FF FF FF", "power = -1 W"),
        ("04 2B FE FF FF FF", "power = -2 W"),
        ("06 2B 00 00 00 00 00 40", "power = 70368744177664 W"),
        ("07 2B FF FF FF FF FF FF FF 7F", "power = 9223372036854775807 W"),
        ("01 FD 17 FF", "error_flags = 255u"),
        ("07 78 FF FF FF FF FF FF FF FF", "fabrication_no = 18446744073709551615u"),
    ]);
}

#[test]
fn the_least_integer_is_the_mark_for_no_value() {
    let invalid = |hex| (hex, Reason::Invalid, Problem::MarkedInvalid);
    check_missing(&[
        invalid("01 2B 80"),
        invalid("02 2B 00 80"),
        invalid("03 2B 00 00 80"),
        invalid("04 2B 00 00 00 80"),
        invalid("06 2B 00 00 00 00 00 80"),
        invalid("07 2B 00 00 00 00 00 00 00 80"),
    ]);
    check(&[("01 7F 80", "manufacturer = -128"), ("01 FD 1B 80", "digital_input = 128u")]);
}

#[test]
fn bcd_has_a_minus_in_its_highest_digit_and_no_other_letters() {
    check(&[
        ("09 5B 21", "flow_temperature = 21 °C"),
        ("0A 5A 45 F3", "flow_temperature = -345e-1 °C"),
        ("0B 3B 08 08 00", "volume_flow = 808e-3 m3/h"),
        ("0C 13 27 04 85 02", "volume = 2850427e-3 m3"),
        ("0E 03 12 90 78 56 34 12", "energy = 123456789012 Wh"),
        ("0E 03 01 00 00 00 00 F0", "energy = -1 Wh"),
    ]);
    let digits = |hex| (hex, Reason::Malformed, Problem::Digits);
    check_missing(&[digits("3B 3B BD EB DD"), digits("0C 13 FF FF FF FF"), digits("0A 5A 4F 03"), digits("09 5B A1")]);
}

#[test]
fn floats_keep_the_digits_they_stand_for_when_their_point_moves() {
    check(&[
        ("05 5B 1E D8 24 42", "flow_temperature = 41.211052 °C"),
        ("05 2E A0 ED C1 40", "power = 6060257e-3 W"),
        ("05 3B 00 00 80 BE", "volume_flow = -25e-5 m3/h"),
        ("05 2E 00 00 00 00", "power = 0e3 W"),
        ("05 2E F9 02 15 50", "power = 1e13 W"),
    ]);
    let none = |hex| (hex, Reason::NotANumber, Problem::NotANumber);
    check_missing(&[none("05 5B 00 00 C0 7F"), none("05 5B 00 00 80 7F"), none("05 5B 00 00 80 FF")]);
}

#[test]
fn variable_length_is_text_bcd_binary_or_float_by_its_first_byte() {
    check(&[
        ("0D FD 11 04 74 E7 52 41", "customer = \"ARçt\""),
        ("0D FD 11 00", "customer = \"\""),
        ("0D FD 11 03 41 00 42", "customer = \"BA\""),
        ("0D 13 C3 56 34 12", "volume = 123456e-3 m3"),
        ("0D 13 D2 34 12", "volume = -1234e-3 m3"),
        ("0D 13 C9 99 99 99 99 99 99 99 99 99", "volume = 999999999999999999e-3 m3"),
        ("0D 13 E2 FE FF", "volume = -2e-3 m3"),
        ("0D 7F E9 09 08 07 06 05 04 03 02 01", "manufacturer = \"01 02 03 04 05 06 07 08 09\""),
        ("0D 13 F4 00 00 00 3F", "volume = 5e-4 m3"),
        ("0D 5B F8 9A 99 99 99 99 99 B9 3F", "flow_temperature = 0.1 °C"),
        ("0D 13 F8 9A 99 99 99 99 99 B9 3F", "volume = 1e-4 m3"),
        (
            "0D FD 19 F0 0F 0E 0D 0C 0B 0A 09 08 07 06 05 04 03 02 01 00",
            "security_key = \"00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F\"",
        ),
    ]);
    check_missing(&[
        ("0D 13 C0", Reason::Invalid, Problem::NoData),
        ("0D 13 CF 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99", Reason::Overflow, Problem::Overflow),
        ("0D 13 FB 01 02", Reason::Malformed, Problem::ReservedLength(0xFB)),
    ]);
}

#[test]
fn points_in_time_are_read_by_their_length() {
    check(&[
        ("02 6C BF 15", "date = \"2013-05-31\""),
        ("02 6C 21 B1", "date = \"1989-01-01\""),
        ("04 6D 32 37 1F 15", "datetime = \"2008-05-31T23:50:00\""),
        ("04 6D 32 57 1F 15", "datetime = \"2108-05-31T23:50:00\""),
        ("06 6D 1E 32 37 1F 15 00", "datetime = \"2008-05-31T23:50:30\""),
        ("03 6D 1E 32 17", "datetime = \"23:50:30\""),
        ("04 FD 70 00 0C 41 11", "battery_change = \"2010-01-01T12:00:00\""),
        ("02 FD 30 41 11", "tariff_start = \"2010-01-01\""),
        ("02 6C FF FC", "date = \"*-12-31\""),
        ("02 6C 40 1F", "date = \"2010-*-*\""),
        ("04 6D 3F 1F 41 11", "datetime = \"2010-01-01T*:*:00\""),
    ]);
    let summer = record("04 6D 32 B7 1F 15");
    assert!(summer.moment.unwrap().summer);
    assert!(!record("04 6D 32 37 1F 15").moment.unwrap().summer);
    assert!(record("06 6D 5E 32 37 1F 15 00").moment.unwrap().summer);
}

#[test]
fn an_invalid_point_in_time_is_no_good_value_and_keeps_its_digits() {
    for (hex, digits) in [
        ("02 6C 00 00", "2000-00-00"),
        ("02 6C 5E 12", "2010-02-30"),
        ("02 6C 41 1D", "2010-13-01"),
        ("02 6C E1 D1", "111-01-01"),
        ("04 6D B8 2E 4D 08", "2002-08-13T14:56:00"),
        ("04 6D 3C 18 41 11", "2010-01-01T24:60:00"),
        ("06 6D 00 80 00 41 11 00", "2010-01-01T00:00:00"),
        ("03 6D 00 80 00", "00:00:00"),
    ] {
        let record = record(hex);
        assert_eq!(record.value, Value::Text(digits.into()), "{hex}");
        assert_eq!((record.quality, record.problem), (Quality::Bad(Reason::Invalid), Some(Problem::NoMoment)), "{hex}");
    }
    let ones = |hex| (hex, Reason::Invalid, Problem::NoMoment);
    check_missing(&[ones("02 6C FF FF"), ones("03 6D FF FF FF"), ones("04 6D FF FF FF FF"), ones("06 6D FF FF FF FF FF FF")]);
}

#[test]
fn leap_days_exist_in_leap_years() {
    // 29 February of 2012, 2013, 2000, 2100 (hundreds 2) and every year.
    for (hex, exists) in [
        ("04 6D 00 00 9D 12", true),
        ("04 6D 00 00 BD 12", false),
        ("04 6D 00 00 1D 02", true),
        ("04 6D 00 40 1D 02", false),
        ("02 6C FD F2", true),
    ] {
        assert_eq!(record(hex).moment.unwrap().valid, exists, "{hex}");
    }
}

#[test]
fn storage_tariff_and_subunit_grow_by_their_extensions() {
    let check = |hex, function, storage, tariff, subunit| {
        let record = record(hex);
        assert_eq!((record.function, record.storage, record.tariff, record.subunit), (function, storage, tariff, subunit), "{hex}");
    };
    check("01 2B 05", Function::Instantaneous, 0, 0, 0);
    check("41 2B 05", Function::Instantaneous, 1, 0, 0);
    check("D1 01 2B 05", Function::Maximum, 3, 0, 0);
    check("A1 40 2B 05", Function::Minimum, 0, 0, 1);
    check("B1 30 2B 05", Function::Error, 0, 3, 0);
    check("F1 FF 7F 2B 05", Function::Error, 0x1FF, 15, 3);
    let most = format!("C1 {} 7F 2B 05", "FF ".repeat(9));
    check(&most, Function::Instantaneous, (1 << 41) - 1, (1 << 20) - 1, (1 << 10) - 1);
}

#[test]
fn combinable_codes_change_unit_value_and_name() {
    check(&[
        // Correction factors and constants.
        ("01 93 71 05", "volume = 5e-8 m3"),
        ("01 93 7D 05", "volume = 5 m3"),
        ("01 DB 78 05", "flow_temperature = 5001e-3 °C"),
        ("01 D9 7B 05", "flow_temperature = 105e-2 °C"),
        ("01 AE 7D 05", "power = 5e6 W"),
        // Units.
        ("01 AB 22 05", "power = 5 W/h"),
        ("01 93 2D 05", "volume = 5e-3 m3/m3"),
        ("01 AB 36 05", "power = 5 W*s"),
        // Direction, phase, maker, conditions.
        ("01 86 3B 05", "energy_forward = 5e3 Wh"),
        ("01 86 3C 05", "energy_backward = 5e3 Wh"),
        ("01 FD C9 FC 01 05", "voltage_l1 = 5 V"),
        ("01 FD C9 FC 05 05", "voltage_l1_l2 = 5 V"),
        ("01 FD C9 FF 01 05", "voltage_maker_01 = 5 V"),
        ("01 FF 0A 05", "manufacturer_maker_0a = 5"),
        ("01 93 BE 12 05", "volume_at_base_conditions_average = 5e-3 m3"),
        // Limits: value, count, point in time, duration.
        ("01 BB 48 05", "volume_flow_upper_limit = 5e-3 m3/h"),
        ("01 BB 41 05", "volume_flow_lower_limit_count = 5"),
        ("02 BB 4E BF 15", "volume_flow_upper_limit_last_begin = \"2013-05-31\""),
        ("01 BB 5E 05", "volume_flow_upper_limit_last_duration = 5 h"),
        ("04 AD 6F 32 37 1F 15", "power_last_end = \"2008-05-31T23:50:00\""),
        ("02 93 39 BF 15", "volume_start = \"2013-05-31\""),
    ]);
}

#[test]
fn a_record_error_code_means_no_value_whatever_the_data_says() {
    let refused = |hex, code| (hex, Reason::Invalid, Problem::Refused(code));
    check_missing(&[refused("01 93 15 05", 0x15), refused("02 DB 16 05 00", 0x16), refused("01 93 02 05", 0x02)]);
    assert_eq!(line(&record("01 93 00 05")), "volume = 5e-3 m3");
}

#[test]
fn a_plain_unit_is_found_before_and_behind_the_extensions() {
    check(&[
        // Three characters, last one first; then the extension: hundredths.
        ("02 FC 03 48 52 25 74 34 12", "plain_rh = 4660e-2 %RH"),
        // The extension first.
        ("02 FC 74 03 48 52 25 34 12", "plain_rh = 4660e-2 %RH"),
        ("02 7C 04 48 52 25 20 34 12", "plain_rh = 4660 %RH"),
        ("0D 7C 08 44 49 20 2E 74 73 75 63 02 42 41", "plain_cust_id = \"AB\" cust. ID"),
    ]);
}

#[test]
fn what_the_standard_reserves_is_a_number_without_a_name() {
    for hex in ["01 6F 05", "01 7B 05", "01 FD 7C 05", "01 FB 27 05", "01 EF 01 05", "01 FD FD 7F 05"] {
        let record = record(hex);
        assert_eq!((line(&record).as_str(), record.problem), ("reserved = 5", Some(Problem::ReservedVif)), "{hex}");
    }
}

#[test]
fn a_record_without_data_has_no_value() {
    check_missing(&[("00 13", Reason::Invalid, Problem::NoData), ("08 13", Reason::Invalid, Problem::NoData)]);
}

#[test]
fn a_value_that_scaling_carries_out_of_range_is_no_value() {
    let too_many = format!("01 93 {} 77 05", "F7 ".repeat(9));
    assert_eq!(line(&record(&too_many)), "volume = 5e7 m3");
    let constant = "07 8F 78 FF FF FF FF FF FF FF 7F";
    check_missing(&[(constant, Reason::Overflow, Problem::Overflow)]);
}
