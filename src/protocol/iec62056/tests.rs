use std::time::Duration;

use super::handshake::{BadAddress, Mode, WakeUp, baud_of, line_time, plan, sign_on};
use super::*;
use crate::protocol::obis::{Medium, Obis};
use crate::protocol::stream::{Bit7, Stream};
use crate::reading::{Quality, Reason, Value};

// Block checks were calculated apart from this program: xor of everything after STX up to and including ETX.
pub(in crate::protocol) const MODE_C: &[u8] =
    b"/TST5\\2METER 1.0\r\n\x02F.F(00000000)\r\n0.0.0(00471100)\r\n1.8.0(000123.456*kWh)\r\n\
    1.8.0*62(000100.000)\r\n1.6.0(00.641*kW)(2608091845)\r\n32.7(241*V)\r\n!\r\n\x03\x0D";
pub(in crate::protocol) const HEAT: &[u8] = b"/TSTCHEAT50\r\n\x026.8(0029.055*MWh)6.26(01589.28*m3)9.21(00010213)\r\n\
    6.26*01(01563.92*m3)9.4(108.5*C&088.1*C)9.36(2026-01-18&01:36:47)\r\n6.8.1()0.0(00010213)!\r\n\x03\x56";
pub(in crate::protocol) const MODE_D: &[u8] =
    b"/TST5PUSH V3.04\r\n\r\n1-0:1.8.0*255(00000504.9023619*kWh)\r\n1-0:21.7.0*255(-000115.94*W)\r\n!\r\n";
pub(in crate::protocol) const BCC_IS_STX: &[u8] = b"/TST5M\r\n\x021.8.0(00069*GJ)\r\n!\r\n\x03\x02";

fn read(options: Options, bytes: &[u8]) -> Vec<Result<Telegram, Error>> {
    Stream::read_all(Framing::new(options), bytes).telegrams
}

fn one(bytes: &[u8]) -> Telegram {
    let mut found = read(Options::default(), bytes);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0).unwrap()
}

fn decimal(mantissa: i64, exponent: i8) -> Value {
    Value::Decimal { mantissa, exponent }
}

fn value(telegram: &Telegram, code: &str) -> (Value, Quality) {
    let quantity = telegram.find(&code.parse().unwrap()).and_then(DataSet::first).unwrap();
    (quantity.value.clone(), quantity.quality)
}

#[test]
fn a_mode_c_read_out_gives_its_values_with_their_digits() {
    let telegram = one(MODE_C);
    assert_eq!(telegram.check, Check::Good);
    assert_eq!(value(&telegram, "1.8.0"), (decimal(123_456, -3), Quality::Good));
    assert_eq!(value(&telegram, "1.8.0*62"), (decimal(100_000, -3), Quality::Good));
    assert_eq!(value(&telegram, "32.7"), (decimal(241, 0), Quality::Good));
    assert_eq!(value(&telegram, "0.0.0"), (Value::Text("00471100".into()), Quality::Good));
    let maximum = telegram.find(&"1.6.0".parse().unwrap()).unwrap();
    assert_eq!(maximum.first().unwrap().unit.as_deref(), Some("kW"));
    assert_eq!(&*maximum.items[1].raw, "2608091845");
}

#[test]
fn the_identification_names_maker_speed_and_model() {
    let ident = one(MODE_C).ident.unwrap();
    assert_eq!((&*ident.manufacturer, ident.baud, ident.escape, &*ident.model), ("TST", '5', Some('2'), "METER 1.0"));
}

#[test]
fn several_data_sets_on_a_line_and_lists_are_told_apart() {
    let telegram = one(HEAT);
    assert_eq!((telegram.medium, telegram.sets.len()), (Medium::Heat, 8));
    let both = &telegram.find(&"9.4".parse().unwrap()).unwrap().items[0].list;
    let values: Vec<_> = both.iter().map(|one| (one.value.clone(), one.unit.as_deref().unwrap())).collect();
    assert_eq!(values, [(decimal(1085, -1), "C"), (decimal(881, -1), "C")]);
    assert_eq!(value(&telegram, "9.36").0, Value::Text("2026-01-18&01:36:47".into()));
    assert_eq!(value(&telegram, "6.8.1"), (Value::Missing, Quality::Bad(Reason::Invalid)));
}

#[test]
fn a_wrong_block_check_is_an_error_with_both_numbers() {
    let mut bytes = MODE_C.to_vec();
    bytes[60] ^= 1;
    let wrong = Error::Bcc { received: 0x0D, calculated: 0x0C };
    assert_eq!(read(Options::default(), &bytes), [Err(wrong)]);
    let lenient = read(Options { bcc: BccRule::Ignore, ..Options::default() }, &bytes);
    assert_eq!(lenient[0].as_ref().unwrap().check, Check::Wrong { received: 0x0D, calculated: 0x0C });
}

#[test]
fn the_block_check_may_be_any_byte() {
    for block in [
        &b"\x021.8.0(00007*GJ)\r\n!\r\n\x03\x0A"[..],
        b"\x022.8(00000*kW)\r\n!\r\n\x03!",
        b"\x021.8.0(00069*GJ)\r\n!\r\n\x03\x02",
        b"\x022.8(00068*kW)\r\n!\r\n\x03/",
        b"\x021.8.0(00068*GJ)\r\n!\r\n\x03\x03",
    ] {
        let found = read(Options { bcc: BccRule::Strict, ..Options::default() }, &[block, MODE_C].concat());
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|telegram| telegram.as_ref().is_ok_and(|telegram| telegram.check == Check::Good)), "{found:?}");
    }
}

#[test]
fn a_lost_block_check_does_not_cost_the_next_telegram() {
    let found = read(Options::default(), &[&MODE_C[..MODE_C.len() - 1], MODE_C].concat());
    assert_eq!(found, [Err(Error::Bcc { received: b'/', calculated: 0x0D }), Ok(one(MODE_C))]);
}

#[test]
fn strict_reading_takes_nothing_without_a_block_check() {
    let strict = Options { bcc: BccRule::Strict, ..Options::default() };
    let without_stx: Vec<u8> = MODE_C.iter().copied().filter(|byte| *byte != 0x02).collect();
    assert!(read(strict, &without_stx).iter().all(Result::is_err));
    assert_eq!(read(strict, &MODE_C[..MODE_C.len() - 2]), [Err(Error::BccMissing)]);
    assert_eq!(one(&MODE_C[..MODE_C.len() - 2]).check, Check::Missing);
}

#[test]
fn strict_reading_wants_the_end_mark_of_a_read_out_even_where_the_block_check_fits() {
    let block = b"\x021.8.0(000123*kWh)\r\n\x03\x42";
    let strict = Options { bcc: BccRule::Strict, ..Options::default() };
    assert_eq!(read(strict, block), [Err(Error::Truncated)]);
    assert_eq!(one(block).check, Check::Good, "a single register read in programming mode has no end mark");
}

#[test]
fn our_own_request_echoed_and_zeros_before_the_answer_are_noise() {
    let bytes = [b"\0\0\x7F/?!\r\n\0", &MODE_C[..18], b"\x06050\r\n", &MODE_C[18..]].concat();
    assert_eq!(one(&bytes), one(MODE_C));
}

#[test]
fn a_start_in_mid_stream_waits_for_the_next_beginning() {
    for cut in 1..MODE_D.len() {
        let found = read(Options::default(), &[&MODE_D[cut..], MODE_C].concat());
        assert_eq!(found, [Ok(one(MODE_C))], "cut at {cut}");
    }
}

#[test]
fn data_never_get_the_identification_of_a_telegram_that_was_cut_off() {
    let block = &MODE_C[18..];
    let found = read(Options::default(), &[&MODE_D[..60], block].concat());
    assert_eq!(found.len(), 1, "{found:?}");
    let telegram = found[0].as_ref().unwrap();
    assert_eq!((&telegram.ident, &telegram.sets), (&None, &one(MODE_C).sets));
    let found = read(Options::default(), &[&MODE_C[..60], block].concat());
    assert_eq!(found[0].as_ref().unwrap().ident, None);
}

#[test]
fn parity_of_an_8n1_adapter_is_stripped_or_checked() {
    let odd = |byte: u8| if byte.count_ones() % 2 == 1 { byte | 0x80 } else { byte };
    let mut bytes: Vec<u8> = MODE_C.iter().map(|byte| odd(*byte)).collect();
    assert_eq!(one(&bytes), one(MODE_C));
    let checked = Options { bit7: Bit7::CheckEven, bcc: BccRule::Ignore, ..Options::default() };
    assert_eq!(read(checked, &bytes)[0].as_ref().unwrap().sets, one(MODE_C).sets);
    let digit = MODE_C.windows(5).position(|window| window == b"1.8.0").unwrap() + 10;
    bytes[digit] ^= 0x01;
    let telegram = read(checked, &bytes).remove(0).unwrap();
    assert_eq!(value(&telegram, "1.8.0"), (Value::Missing, Quality::Bad(Reason::Malformed)));
}

#[test]
fn an_exclamation_mark_within_a_line_ends_its_data_set_and_not_the_telegram() {
    let telegram = one(b"/TST5M\r\n0.2.2(:G11)!(:G12)(!)\r\n1.8.0(1*kWh)\r\n!\r\n");
    let addresses: Vec<&str> = telegram.sets.iter().map(|set| &*set.address).collect();
    assert_eq!(addresses, ["0.2.2", "", "1.8.0"]);
}

#[test]
fn rows_of_a_load_profile_are_counted_and_left_out() {
    let body = b"/TST5M\r\n\x021.8.0(1*kWh)\r\nP.01(1260823161500)(00000000)(15)(2)(1.5)(kW)(2.5)(kW)\r\n(0.18374)(0.00078)\r\n(0.16832)(0.00000)\r\n!\r\n\x03";
    let telegram = read(Options { bcc: BccRule::Ignore, ..Options::default() }, &[&body[..], b"x"].concat()).remove(0).unwrap();
    assert_eq!((telegram.profile_rows, telegram.sets.len(), telegram.sets[1].items.len()), (2, 2, 8));
    let keeping = Options { bcc: BccRule::Ignore, keep_rows: true, ..Options::default() };
    let telegram = read(keeping, &[&body[..], b"x"].concat()).remove(0).unwrap();
    assert_eq!((telegram.profile_rows, telegram.sets[1].items.len()), (2, 12));
}

#[test]
fn numbers_are_read_whole_or_not_at_all() {
    for (text, expected) in [
        ("000123.450", Some(decimal(123_450, -3))),
        ("-000115.94", Some(decimal(-11594, -2))),
        ("+00026", Some(decimal(26, 0))),
        (" 001.67", Some(decimal(167, -2))),
        ("- 12", Some(decimal(-12, 0))),
        ("9223372036854775807", Some(decimal(i64::MAX, 0))),
        ("9223372036854775808", None),
        ("1.2.3", None),
        ("032A.062", None),
        ("1,5", None),
        ("1e5", None),
        ("", None),
        ("-", None),
        (".", None),
        ("1 2", None),
    ] {
        assert_eq!(dataset::decimal(text), expected, "{text:?}");
    }
}

#[test]
fn a_value_with_a_unit_that_is_no_number_is_missing_and_its_text_is_kept() {
    let telegram = one(b"/TST5M\r\n6.8(032A.062*MWh)\r\n1.8.0(        )\r\n!\r\n");
    let energy = telegram.sets[0].first().unwrap();
    assert_eq!((&*energy.text, &energy.value, energy.quality), ("032A.062", &Value::Missing, Quality::Bad(Reason::Malformed)));
    assert_eq!(value(&telegram, "1.8.0"), (Value::Missing, Quality::Bad(Reason::Invalid)));
}

#[test]
fn an_address_that_is_no_code_keeps_its_text() {
    let telegram = one(b"/TST5M\r\n1-1:0.5.1.2(80.000*kW)\r\n1.8.0(1*kWh)\r\n!\r\n");
    assert_eq!((&*telegram.sets[0].address, telegram.sets[0].code), ("1-1:0.5.1.2", None));
    assert_eq!(telegram.sets[1].code, Some(Obis::short(1, 8, 0)));
}

#[test]
fn bare_data_are_read_from_a_capture_and_never_from_a_line() {
    let bare = b"1.8.0(31550.191*kWh)\r\n2.8.0(1*kWh)\r\n!\r\n";
    assert_eq!(read(Options::default(), bare), []);
    let found = read_capture(Options::default(), bare).telegrams;
    assert_eq!(found[0].as_ref().unwrap().sets.len(), 2);
}

#[test]
fn a_telegram_without_an_end_is_given_up_and_the_next_one_found() {
    let options = Options { longest: 256, ..Options::default() };
    let endless = [b"/TST5M\r\n\x02", "1.8.0(1*kWh)\r\n".repeat(40).as_bytes()].concat();
    let found = read(options, &[&endless[..], MODE_C].concat());
    assert_eq!(found, [Err(Error::Oversize(256)), Ok(one(MODE_C))]);
}

fn identification(text: &str) -> Identification {
    Identification::parse(text).unwrap()
}

#[test]
fn the_baud_character_tells_the_mode() {
    for (text, mode, baud) in [
        ("TST5M", Mode::C, Some(9600)),
        ("TST0M", Mode::C, Some(300)),
        ("TSTCM", Mode::B, Some(2400)),
        ("TSTFM", Mode::B, Some(19200)),
        ("TST M", Mode::A, None),
        ("TST-M", Mode::A, None),
    ] {
        let ident = identification(text);
        assert_eq!((Mode::of(&ident), baud_of(ident.baud)), (mode, baud), "{text}");
    }
}

#[test]
fn mode_c_is_acknowledged_at_the_speed_of_the_meter_or_slower() {
    let ms = Duration::from_millis;
    let full = plan(&identification("TST5M"), 115_200);
    assert_eq!((full.acknowledge, full.baud, full.reaction), (Some(*b"\x06050\r\n"), 9600, ms(200)));
    let slow = plan(&identification("TSt5M"), 4800);
    assert_eq!((slow.acknowledge, slow.baud, slow.reaction), (Some(*b"\x06040\r\n"), 4800, ms(20)));
    let unable = plan(&identification("TST5M"), 200);
    assert_eq!((unable.acknowledge, unable.baud), (Some(*b"\x06000\r\n"), 300));
}

#[test]
fn modes_a_and_b_are_not_acknowledged() {
    let b = plan(&identification("TSTCM"), 9600);
    assert_eq!((b.acknowledge, b.baud), (None, 2400));
    let a = plan(&identification("TST M"), 9600);
    assert_eq!((a.acknowledge, a.baud), (None, 300));
}

#[test]
fn a_sign_on_carries_an_address_or_none() {
    assert_eq!(sign_on("").unwrap(), b"/?!\r\n");
    assert_eq!(sign_on("00471100").unwrap(), b"/?00471100!\r\n");
    assert_eq!(sign_on("a!b"), Err(BadAddress));
    assert_eq!(sign_on(&"1".repeat(33)), Err(BadAddress));
}

#[test]
fn a_wake_up_lasts_as_long_as_battery_meters_want() {
    let wake_up = WakeUp::default();
    let lasts = line_time(u32::try_from(wake_up.bytes().len()).unwrap(), handshake::SIGN_ON_BAUD);
    assert!((Duration::from_millis(2100)..=Duration::from_millis(2300)).contains(&lasts), "{lasts:?}");
    assert!(wake_up.bytes().iter().all(|byte| *byte == 0));
}
