//! Whole telegrams, written from the standard.

use super::*;
use crate::reading::{Quality, Reason};

#[test]
fn a_heat_meter_tells_who_it_is_and_what_it_measured() {
    let telegram = telegram(&bytes(
        "<< 68 47 47 68   -- long frame, 71 bytes
            08 05         -- RSP_UD of address 5
            72            -- variable structure, low byte first
            78563412      -- identification 12345678
            2D2C 34 04    -- KAM, version 52, heat
            2A 14         -- access 42; power low, temporary error
            0000          -- not enciphered
            2F            -- filler
            04 06 E7910000               -- energy, kWh
            0C 13 27048502               -- volume, litres, BCD
            0B 2D F3 02 F0               -- power, 100 W, BCD below zero but with a letter
            0A 5A 45 06                  -- flow temperature, tenths
            02 61 DA FF                  -- temperature difference, hundredths, below zero
            8C 90 40 06 11220000         -- energy of tariff 1 of subunit 2
            44 06 E8030000               -- energy at the last due day
            42 6C BF 1C                  -- the due day
            1B 3B 15 03 00               -- greatest volume flow
            01 FD 17 04                  -- error flags
            0F 01 02                     -- maker's data
            D8 16",
    ));
    let identity = telegram.header.identity.unwrap();
    assert_eq!((telegram.address, identity.id.to_string().as_str(), identity.medium.name()), (5, "12345678", "heat"));
    assert_eq!((identity.manufacturer.unwrap().to_string().as_str(), identity.version), ("KAM", Some(52)));
    assert_eq!(telegram.header.access, Some(42));
    assert_eq!(telegram.header.status.unwrap().words(), ["power low", "temporary error"]);
    let lines: Vec<_> = telegram.records.iter().map(line).collect();
    let expected = [
        "energy = 37351e3 Wh",
        "volume = 2850427e-3 m3",
        "power = Missing W",
        "flow_temperature = 645e-1 °C",
        "temperature_difference = -38e-2 K",
        "energy_subunit_2_tariff_1 = 2211e3 Wh",
        "energy_storage_1 = 1000e3 Wh",
        "date_storage_1 = \"2013-12-31\"",
        "volume_flow_max = 315e-3 m3/h",
        "error_flags = 4u",
        "manufacturer_data = \"01 02\"",
    ];
    assert_eq!(lines, expected);
    assert!(!telegram.more_follow);
}

#[test]
fn high_byte_first_is_the_same_telegram_turned_round() {
    let low = telegram(&answer(
        "72 78563412 2D2C 34 04 2A 00 0000  0C13 27048502  02 6C BF15  05 5B 1ED82442  0D FD11 02 4241  02 7C 02 4152 1027",
    ));
    let high = telegram(&answer(
        "76 12345678 2C2D 34 04 2A 00 0000  0C13 02850427  02 6C 15BF  05 5B 4224D81E  0D FD11 02 4142  02 7C 02 5241 2710",
    ));
    assert_eq!(low.header, high.header);
    let lines = |telegram: &Telegram| telegram.records.iter().map(line).collect::<Vec<_>>();
    assert_eq!(lines(&low), lines(&high));
    assert_eq!(lines(&high).last().unwrap(), "plain_ra = 10000 RA");
}

#[test]
fn short_and_missing_headers_are_read_as_far_as_they_go() {
    let short = telegram(&answer("7A 2A 08 0000 01 5B 15"));
    assert_eq!((short.header.identity, short.header.access, short.header.status), (None, Some(42), Some(Status(8))));
    assert_eq!(line(&short.records[0]), "flow_temperature = 21 °C");
    let none = telegram(&answer("78 01 5B 15"));
    assert_eq!((none.header, line(&none.records[0]).as_str()), (Header::default(), "flow_temperature = 21 °C"));
}

#[test]
fn the_fixed_structure_has_two_counters() {
    let telegram = telegram(&bytes(
        "<< 68 13 13 68 08 05 73
            78563412      -- identification
            0A            -- access number
            00            -- BCD, actual values
            E9 7E         -- water: litres; the same, historic
            01000000 35010000
            3C 16",
    ));
    let identity = telegram.header.identity.unwrap();
    assert_eq!((identity.id.to_string().as_str(), identity.medium.name(), identity.manufacturer), ("12345678", "water", None));
    let lines: Vec<_> = telegram.records.iter().map(line).collect();
    assert_eq!(lines, ["volume = 1 l", "volume_storage_1 = 135 l"]);
}

#[test]
fn fixed_counters_may_be_binary_stored_or_high_byte_first() {
    let counters = |hex: &str| telegram(&answer(hex)).records.iter().map(line).collect::<Vec<_>>();
    // Status 01: binary. Units kWh and 10 W, heat: 04 in the upper bits.
    assert_eq!(counters("73 78563412 0A 01 05 55 E8030000 FEFFFFFF"), ["energy = 1000e3 Wh", "power = -2e1 W"]);
    assert_eq!(counters("77 12345678 0A 01 05 55 000003E8 FFFFFFFE"), ["energy = 1000e3 Wh", "power = -2e1 W"]);
    // Status 02: kept at a due day. Units 100 MWh and thousandths of a degree.
    assert_eq!(
        counters("73 78563412 0A 02 0A 38 01000000 45230100"),
        ["energy_storage_1 = 1e8 Wh", "temperature_storage_1 = 12345e-3 °C"]
    );
}

#[test]
fn more_follow_is_told_and_its_data_kept() {
    let telegram = telegram(&answer("72 00000000 0000 00 00 00 00 0000 01 5B 15 1F 0A 0B"));
    assert!(telegram.more_follow);
    assert_eq!(
        telegram.records.iter().map(line).collect::<Vec<_>>(),
        ["flow_temperature = 21 °C", "more_records_follow = \"0A 0B\""]
    );
}

#[test]
fn an_odd_record_costs_itself_alone() {
    let elevenfold = "8B ".repeat(11);
    for (odd, problem) in [
        ("01 FD 7C 05".to_owned(), Problem::ReservedVif),
        ("0C 13 DD DD EB BD".to_owned(), Problem::Digits),
        (format!("81 {elevenfold} 00 13 05"), Problem::TooManyDifes(12)),
        (format!("01 93 {elevenfold} 3B 05"), Problem::TooManyVifes(12)),
        ("08 13".to_owned(), Problem::NoData),
        ("01 93 18 05".to_owned(), Problem::Refused(0x18)),
    ] {
        let records = records(&format!("01 5B 15 {odd} 01 5F 14"));
        let problems: Vec<_> = records.iter().map(|record| record.problem).collect();
        assert_eq!(problems, [None, Some(problem), None], "{odd}");
        assert_eq!(line(&records[2]), "return_temperature = 20 °C", "{odd}");
    }
}

#[test]
fn where_the_length_is_lost_the_rest_is_one_record_with_its_bytes() {
    for (odd, problem) in [
        ("04 13 01 02 03", Problem::PrematureEnd),
        ("04", Problem::PrematureEnd),
        ("84", Problem::PrematureEnd),
        ("04 93", Problem::PrematureEnd),
        ("0D 13", Problem::PrematureEnd),
        ("0D 13 05 41", Problem::PrematureEnd),
        ("02 7C 09 41", Problem::PrematureEnd),
        ("0D 13 FF 01 02", Problem::ReservedLength(0xFF)),
        ("3F 01 02 03", Problem::SpecialDif(0x3F)),
        ("7F", Problem::SpecialDif(0x7F)),
        ("8F 01 02", Problem::SpecialDif(0x8F)),
    ] {
        let records = records(&format!("01 5B 15 {odd}"));
        let last = &records[1];
        assert_eq!((records.len(), last.problem, last.raw.to_vec()), (2, Some(problem), bytes(odd)), "{odd}");
        assert_eq!((&last.value, last.quality), (&Value::Missing, Quality::Bad(Reason::Malformed)));
    }
}

#[test]
fn a_record_keeps_its_bytes_block_by_block() {
    let record = record("8C 10 FD C9 FF 01 27 04 85 02");
    assert_eq!((record.dib(), record.vib(), record.data()), (&bytes("8C10")[..], &bytes("FDC9FF01")[..], &bytes("27048502")[..]));
}

#[test]
fn refusals_and_alarms_are_answers_without_values() {
    let decoded = |hex: &str| decode(&Frame::decode(&answer(hex)).unwrap(), Secrets::default());
    assert_eq!(decoded("70 08"), Ok(Answer::Refused(ApplicationError(8))));
    assert_eq!(ApplicationError(8).to_string(), "application too busy");
    assert_eq!(decoded("70"), Ok(Answer::Refused(ApplicationError(0))));
    assert_eq!(decoded("71 04"), Ok(Answer::Alarm(4)));
}

#[test]
fn what_is_no_answer_is_an_error_that_says_why() {
    let error = |frame: &[u8]| decode(&Frame::decode(frame).unwrap(), Secrets::default()).unwrap_err().to_string();
    assert_eq!(error(&[0xE5]), "a frame without data, expected an answer with values");
    assert_eq!(error(&bytes("68 04 04 68 53 FE 78 2F F8 16")), "C field 53, expected 08, 18, 28 or 38");
    assert_eq!(error(&answer("79 01")), "CI field 79, expected 70 to 73, 76 to 78 or 7A");
    assert_eq!(error(&answer("72 78563412 24")), "5 bytes behind CI field 72, expected 12");
    assert_eq!(error(&answer("73 78563412 24")), "5 bytes behind CI field 73, expected 16");
}

#[test]
fn flags_of_the_link_layer_do_not_hide_an_answer() {
    for control in [0x08, 0x18, 0x28, 0x38] {
        let frame = Frame::Long { control, address: 1, ci: 0x78, data: &[0x01, 0x5B, 0x15] };
        assert!(matches!(decode(&frame, Secrets::default()), Ok(Answer::Telegram(_))), "{control:02X}");
    }
}
