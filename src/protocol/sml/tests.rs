use super::*;
use crate::protocol::obis::Obis;
use crate::protocol::stream::Stream;
use crate::reading::{Quality, Reason, Value};

// Frames of a meter that does not exist, written from the standard; their check sums were calculated apart from this program.

/// Open, list with values of every kind, close.
pub(in crate::protocol) const FULL: &str =
    "1b1b1b1b01010101 7605000000016200620072630101760101050000002a0b0a014d4554000000002a010163050400
    760500000002620062007263070177010b0a014d4554000000002a070100620affff726201650000100a78
    77070100603201010101010 1044d455401 77070100600100ff010101010b0a014d4554000000002a01
    77070100010800ff640001827262016500001000621e52ff56001234567801 77070100020800ff016500001000621e52ff620101
    77070100100700ff0101621b52fe54ffff0001 77070100603201060101010101 01 77070100600500ff01010101420101
    77078181c78205ff0101010183 02808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf01
    010163315e00 7605000000036200620072630201710163a8e600 1b1b1b1b1a000691";
/// Octets with five 1B within and two at their end.
pub(in crate::protocol) const ESCAPED: &str = "1b1b1b1b01010101760201620062007263070177010b0a014d4554000000002a070100620affff
    726201650000100a72 77070100600100ff010101010d011b1b1b1b1b1b1b1b1b1a0001021b1b01 77070100010800ff0101621e52ff6301f401
    010163d229000000 1b1b1b1b1a02382f";
/// Octets that are a start sequence.
pub(in crate::protocol) const START_AS_DATA: &str = "1b1b1b1b01010101760201620062007263070177010b0a014d4554000000002a070100620affff
    726201650000100a72 77070100600100ff01010101091b1b1b1b1b1b1b1b0101010101 77070100010800ff0101621e52ff6301f401
    0101637680000000 1b1b1b1b1a020a44";
/// Four fill bytes.
pub(in crate::protocol) const FILL_4: &str = "1b1b1b1b01010101760209620062007263070177010b0a014d4554000000002a070100620affff
    726201650000100a71 77070100010800ff0101621e52ff6301f401 01016396f200 00000000 1b1b1b1b1a04b3d9";
const KERMIT: &str = "1b1b1b1b01010101760201620062007263070177010b0a014d4554000000002a070100620affff726201650000100a71
    77070100010800ff640001827262016500001000621e52ff56001234567801 010163448e00000000 1b1b1b1b1a036d99";
/// Twenty entries: the length of the list in two bytes.
const MANY: &str = "1b1b1b1b01010101760201620062007263070177010b0a014d4554000000002a070100620affff726201650000100af104
    77070100010700ff0101621b5200620101 77070100020700ff0101621b5200620201 77070100030700ff0101621b5200620301
    77070100040700ff0101621b5200620401 77070100050700ff0101621b5200620501 77070100060700ff0101621b5200620601
    77070100070700ff0101621b5200620701 77070100080700ff0101621b5200620801 77070100090700ff0101621b5200620901
    770701000a0700ff0101621b5200620a01 770701000b0700ff0101621b5200620b01 770701000c0700ff0101621b5200620c01
    770701000d0700ff0101621b5200620d01 770701000e0700ff0101621b5200620e01 770701000f0700ff0101621b5200620f01
    77070100100700ff0101621b5200621001 77070100110700ff0101621b5200621101 77070100120700ff0101621b5200621201
    77070100130700ff0101621b5200621301 77070100140700ff0101621b5200621401 01016337a30000 1b1b1b1b1a01edee";
/// The second entry is no entry; the third one says that its value has 14 bytes, and so swallows the fourth.
const ODD: &str = "1b1b1b1b01010101760201620062007263070177010b0a014d4554000000002a070100620affff726201650000100a74
    77070100010800ff0101621e52ff6301f401 7262016202 77070100020800ff0101621e52ff5f0101 77070100100700ff0101621b5200520501
    01016356090000 1b1b1b1b1a01857c";
/// Status 1B0: feeding in.
const FEEDING: &str = "1b1b1b1b01010101760201620062007263070177010b0a014d4554000000002a070100620affff726201650000100a72
    77070100010800ff6301b001621e52ff6301f401 770701000f0700ff0101621b52ff6304d201 010163dd4b00 1b1b1b1b1a003b14";
/// The same with a wrong check sum of its message.
const WRONG_MESSAGE: &str = "1b1b1b1b01010101760201620062007263070177010b0a014d4554000000002a070100620affff726201650000100a72
    77070100010800ff6301b001621e52ff6301f401 770701000f0700ff0101621b52ff6304d201 010163123400 1b1b1b1b1a006c99";

pub(in crate::protocol) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn read(options: Options, bytes: &[u8]) -> Vec<Result<Telegram, Error>> {
    Stream::read_all(Framing::new(options), bytes).telegrams
}

fn one(hex: &str) -> Telegram {
    let mut found = read(Options::default(), &bytes(hex));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0).unwrap()
}

fn values(telegram: &Telegram) -> Vec<(String, Value)> {
    telegram.lists[0].entries.iter().map(|entry| (entry.code.to_string(), entry.value.clone())).collect()
}

fn decimal(mantissa: i64, exponent: i8) -> Value {
    Value::Decimal { mantissa, exponent }
}

#[test]
fn a_telegram_gives_values_of_every_kind() {
    let telegram = one(FULL);
    let key: String = (0x80..0xB0).flat_map(|byte| format!("{byte:02x}").into_bytes()).map(char::from).collect();
    let expected = [
        ("1-0:96.50.1*1", Value::Text("MET".into())),
        ("1-0:96.1.0*255", Value::Text("0a014d4554000000002a".into())),
        ("1-0:1.8.0*255", decimal(0x1234_5678, -1)),
        ("1-0:2.8.0*255", decimal(1, -1)),
        ("1-0:16.7.0*255", decimal(-256, -2)),
        ("1-0:96.50.1*6", Value::Missing),
        ("1-0:96.5.0*255", Value::Bool(true)),
        ("129-129:199.130.5*255", Value::Text(key.into())),
    ];
    assert_eq!(values(&telegram), expected.map(|(code, value)| (code.to_owned(), value)));
    assert_eq!((telegram.messages, telegram.stray, telegram.wrong_message_crc()), (3, 0, None));
    assert_eq!(&*telegram.server_id, bytes("0a014d4554000000002a"));
}

#[test]
fn status_time_and_unit_are_kept_beside_the_value() {
    let telegram = one(FULL);
    let [_, _, import, export, ..] = telegram.lists[0].entries.as_slice() else { panic!("{telegram:?}") };
    assert_eq!((import.status, import.time, import.unit_name()), (Some(0x182), Some(Time::SecIndex(4096)), "Wh"));
    assert_eq!((export.status, export.time), (None, Some(Time::Bare(4096))));
    assert_eq!(telegram.lists[0].time, Some(Time::SecIndex(4106)));
}

#[test]
fn an_entry_without_a_value_is_there_and_says_so() {
    let telegram = one(FULL);
    assert_eq!(telegram.lists[0].entries[5].quality, Quality::Bad(Reason::Invalid));
}

#[test]
fn escapes_and_start_sequences_in_the_data_are_data() {
    assert_eq!(values(&one(ESCAPED))[0].1, Value::Text("011b1b1b1b1b1a0001021b1b".into()));
    assert_eq!(values(&one(START_AS_DATA))[0].1, Value::Text("1b1b1b1b01010101".into()));
}

#[test]
fn four_fill_bytes_are_dropped() {
    assert_eq!(values(&one(FILL_4)), [("1-0:1.8.0*255".to_owned(), decimal(500, -1))]);
}

#[test]
fn a_list_longer_than_fifteen_has_its_length_in_two_bytes() {
    let telegram = one(MANY);
    let expected: Vec<_> = (1..=20).map(|c| (format!("1-0:{c}.7.0*255"), decimal(c, 0))).collect();
    assert_eq!(values(&telegram), expected);
}

#[test]
fn one_odd_entry_never_ends_a_telegram() {
    let telegram = one(ODD);
    let codes: Vec<_> = values(&telegram);
    assert_eq!(codes[0], ("1-0:1.8.0*255".to_owned(), decimal(500, -1)));
    assert_eq!(codes[1], ("1-0:2.8.0*255".to_owned(), Value::Missing));
    assert_eq!(codes[2], ("1-0:16.7.0*255".to_owned(), decimal(5, 0)));
    assert_eq!((codes.len(), telegram.lists[0].odd_entries), (3, 1));
    assert_eq!(telegram.lists[0].entries[1].quality, Quality::Bad(Reason::Malformed));
}

#[test]
fn kermit_is_read_only_where_it_is_configured() {
    let framing = |crc| Options { crc, ..Options::default() };
    assert!(read(framing(CrcKind::X25), &bytes(KERMIT)).iter().all(Result::is_err));
    assert!(read(framing(CrcKind::Kermit), &bytes(FULL)).iter().all(Result::is_err));
    let found = read(framing(CrcKind::Kermit), &bytes(KERMIT));
    assert_eq!(values(found[0].as_ref().unwrap())[0].1, decimal(0x1234_5678, -1));
    assert_eq!(found[0].as_ref().unwrap().wrong_message_crc(), None);
}

#[test]
fn a_wrong_message_check_sum_is_told_and_refused_only_on_demand() {
    assert_eq!(one(WRONG_MESSAGE).wrong_message_crc(), Some(0));
    let strict = Options { message_crc: true, ..Options::default() };
    assert_eq!(read(strict, &bytes(WRONG_MESSAGE)), [Err(Error::MessageCrc(0))]);
}

#[test]
fn a_flipped_bit_anywhere_gives_no_telegram() {
    let whole = bytes(FEEDING);
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x10;
        assert!(read(Options::default(), &damaged).iter().all(Result::is_err), "byte {place}");
    }
}

#[test]
fn a_stray_escape_byte_before_a_telegram_does_not_cost_it() {
    for strays in 1..12 {
        let found = read(Options::default(), &[vec![0x1B; strays], bytes(FULL)].concat());
        assert_eq!(found.last().unwrap().as_ref().unwrap(), &one(FULL), "{strays} strays");
    }
}

#[test]
fn a_telegram_cut_off_anywhere_does_not_cost_the_next_one() {
    let whole = bytes(FULL);
    for cut in 1..whole.len() {
        for first in [&whole[..cut], &whole[cut..]] {
            let found = read(Options::default(), &[first, &whole].concat());
            assert_eq!(found.last().unwrap().as_ref().unwrap(), &one(FULL), "cut at {cut}");
            assert_eq!(found.iter().filter(|telegram| telegram.is_ok()).count(), 1);
        }
    }
}

#[test]
fn the_status_word_gives_power_its_sign_where_that_is_configured() {
    let mut telegram = one(FEEDING);
    assert_eq!(values(&telegram)[1].1, decimal(1234, -1));
    Quirks::default().apply(&mut telegram);
    assert_eq!(values(&telegram)[1].1, decimal(1234, -1));
    Quirks { sign_from_status: true, short_unsigned: false }.apply(&mut telegram);
    assert_eq!(values(&telegram)[1].1, decimal(-1234, -1));
    assert_eq!(telegram.lists[0].entries[1].raw, Raw::UInt(1234, 2));
}

#[test]
fn power_without_a_status_word_has_no_sign_and_so_no_value() {
    let mut telegram = one(FEEDING);
    telegram.lists[0].entries[0].status = None;
    Quirks { sign_from_status: true, short_unsigned: false }.apply(&mut telegram);
    assert_eq!(values(&telegram)[1].1, Value::Missing);
}

#[test]
fn cut_integers_are_read_without_a_sign_where_that_is_configured() {
    let mut telegram = one(FULL);
    Quirks { sign_from_status: false, short_unsigned: true }.apply(&mut telegram);
    let entry = telegram.lists[0].entries.iter().find(|entry| entry.code.matches(&Obis::short(16, 7, 0))).unwrap();
    assert_eq!(entry.value, decimal(0x00FF_FF00, -2));
}

#[test]
fn a_number_too_big_for_its_scaler_is_missing_and_not_wrong() {
    let scaled = |raw, scaler| message::value(&raw, scaler);
    assert_eq!(scaled(Raw::UInt(u64::MAX, 8), Some(-1)), (Value::Missing, Quality::Bad(Reason::Overflow)));
    assert_eq!(scaled(Raw::UInt(u64::MAX, 8), Some(0)).0, Value::UInt(u64::MAX));
    assert_eq!(scaled(Raw::Int(i64::MIN, 8), Some(-1)).0, decimal(i64::MIN, -1));
}
