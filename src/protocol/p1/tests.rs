use super::submeter::Kind;
use super::*;
use crate::protocol::iec62056::DataSet;
use crate::protocol::stream::Stream;
use crate::reading::{Quality, Reason, Value};

// Check sums were calculated apart from this program: CRC-16/ARC over "/" to "!".
pub(in crate::protocol) const V5: &[u8] = b"/TST5\\253833635_A\r\n\r\n1-3:0.2.8(50)\r\n0-0:1.0.0(260102192002W)\r\n0-0:96.1.1(54455354303031)\r\n\
    1-0:1.8.1(000004.426*kWh)\r\n1-0:1.7.0(00.244*kW)\r\n1-0:99.97.0(1)(0-0:96.7.19)(260102152415W)(0000000240*s)\r\n0-0:96.13.0()\r\n\
    0-1:24.1.0(003)\r\n0-1:96.1.0(474153303031)\r\n0-1:24.2.1(260102161005W)(00000.107*m3)\r\n0-2:24.1.0(007)\r\n\
    0-2:96.1.0(574154303031)\r\n0-2:24.2.1(632525252525S)(00000.000)\r\n0-3:24.1.0(000)\r\n0-3:96.1.0()\r\n!161B\r\n";
pub(in crate::protocol) const V3: &[u8] = b"/TST5\\2METER-1000\r\n\r\n0-0:96.1.1(54455354303032)\r\n1-0:1.8.1(12345.678*kWh)\r\n\
    0-1:24.1.0(03)\r\n0-1:96.1.0(474153303032)\r\n0-1:24.3.0(260212160000)(00)(60)(1)(0-1:24.2.1)(m3)\r\n(00001.001)\r\n0-1:24.4.0(1)\r\n!\r\n";
pub(in crate::protocol) const SHORT_CRC: &[u8] = b"/TST5SHORT\r\n\r\n1-0:1.8.0(000009*Wh)\r\n!506\r\n";

fn read(crc: CrcRule, bytes: &[u8]) -> Vec<Result<Telegram, Error>> {
    Stream::read_all(Framing::new(Options { crc, ..Options::default() }), bytes).telegrams
}

fn one(bytes: &[u8]) -> Telegram {
    let mut found = read(CrcRule::WhenSent, bytes);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0).unwrap()
}

fn decimal(mantissa: i64, exponent: i8) -> Value {
    Value::Decimal { mantissa, exponent }
}

#[test]
fn a_v5_telegram_gives_its_values_with_their_digits_and_units() {
    let telegram = one(V5);
    assert_eq!((telegram.check, telegram.version(), telegram.meter_id().as_deref()), (Check::Good, Some("50"), Some("TEST001")));
    let energy = telegram.find(&"1-0:1.8.1".parse().unwrap()).and_then(DataSet::first).unwrap();
    assert_eq!((&energy.value, energy.unit.as_deref()), (&decimal(4426, -3), Some("kWh")));
    let time = telegram.time().unwrap().unwrap();
    assert_eq!((time.year, time.month, time.second, time.season), (2026, 1, 2, Some(Season::Winter)));
}

#[test]
fn gas_of_v3_stands_on_the_line_after_its_head() {
    let telegram = one(V3);
    assert_eq!((telegram.check, telegram.time()), (Check::NotSent, None));
    let meters = telegram.sub_meters();
    let [gas] = meters.as_slice() else { panic!("{meters:?}") };
    assert_eq!((gas.id.as_deref(), gas.kind, gas.valve.as_deref()), (Some("GAS002"), Some(Kind::Gas), Some("1")));
    assert_eq!((&gas.readings[0].value, &*gas.readings[0].unit), (&decimal(1001, -3), "m3"));
    assert_eq!(gas.readings[0].time.unwrap().season, None);
}

#[test]
fn sub_meters_are_known_by_their_ids_and_empty_channels_are_none() {
    let telegram = one(V5);
    let meters = telegram.sub_meters();
    let ids: Vec<_> = meters.iter().map(|meter| (meter.id.as_deref(), meter.kind)).collect();
    assert_eq!(ids, [(Some("GAS001"), Some(Kind::Gas)), (Some("WAT001"), Some(Kind::Water))]);
    let moved = String::from_utf8(V5.to_vec()).unwrap().replace("0-1:", "0-4:").into_bytes();
    let telegram = read(CrcRule::Ignore, &moved).remove(0).unwrap();
    let gas = telegram.sub_meters().into_iter().find(|meter| meter.id.as_deref() == Some("GAS001")).unwrap();
    assert_eq!((gas.channel, gas.readings.len()), (4, 1));
}

#[test]
fn a_reading_that_was_never_taken_is_missing() {
    let water = one(V5).sub_meters().remove(1);
    let reading = &water.readings[0];
    assert_eq!((reading.time, &reading.value), (Err(TimeError::NeverRead), &Value::Missing));
    assert_eq!(reading.quality, Quality::Bad(Reason::Invalid));
}

#[test]
fn a_check_sum_that_does_not_fit_is_an_error_with_both_numbers() {
    let wrong = String::from_utf8(V5.to_vec()).unwrap().replace("!161B", "!161C").into_bytes();
    assert_eq!(read(CrcRule::WhenSent, &wrong), [Err(Error::Crc { received: 0x161C, calculated: 0x161B })]);
    assert!(read(CrcRule::Ignore, &wrong)[0].is_ok());
}

#[test]
fn a_check_sum_without_its_leading_zero_is_accepted_when_equal() {
    assert_eq!(one(SHORT_CRC).check, Check::Good);
    let other = [&SHORT_CRC[..SHORT_CRC.len() - 3], b"5\r\n"].concat();
    assert!(matches!(read(CrcRule::WhenSent, &other)[0], Err(Error::Crc { received: 0x505, .. })));
}

#[test]
fn a_version_with_check_sums_is_not_read_without_one() {
    let without = String::from_utf8(V5.to_vec()).unwrap().replace("!161B", "!").into_bytes();
    assert_eq!(read(CrcRule::WhenSent, &without), [Err(Error::CrcMissing)]);
    assert_eq!(read(CrcRule::Strict, V3), [Err(Error::CrcMissing)]);
}

#[test]
fn a_telegram_cut_off_by_the_next_one_is_left_and_the_next_one_read() {
    for telegram in [V5, V3] {
        for cut in 1..telegram.len() - 1 {
            let found = read(CrcRule::WhenSent, &[&telegram[..cut], telegram].concat());
            assert_eq!(found.last().unwrap().as_ref().unwrap(), &one(telegram), "cut at {cut}");
        }
    }
}

#[test]
fn a_start_in_mid_stream_waits_for_the_next_beginning() {
    for cut in 1..V5.len() {
        assert_eq!(read(CrcRule::WhenSent, &[&V5[cut..], V3].concat()), [Ok(one(V3))], "cut at {cut}");
    }
}

#[test]
fn an_encrypted_telegram_is_told_and_what_follows_is_read() {
    // DB, system title, length 01F2, security byte, frame counter, ciphertext.
    let encrypted = b"\xDB\x08SAGgp\x00\x12\x34\x82\x01\xF2\x30\x00\x00\x12\xD7/a\xDB\x97\x03!";
    assert_eq!(read(CrcRule::WhenSent, &[&encrypted[..], V5].concat()), [Err(Error::Encrypted), Ok(one(V5))]);
    assert_eq!(read(CrcRule::WhenSent, &[b"\xDB\x08/", V5].concat()), [Ok(one(V5))]);
}

#[test]
fn time_stamps_are_moments_or_errors_with_a_name() {
    let valid = LocalTime::parse("230702153045S").unwrap();
    assert_eq!((valid.year, valid.month, valid.day, valid.hour, valid.minute, valid.second), (2023, 7, 2, 15, 30, 45));
    for (text, error) in [
        ("", TimeError::Empty),
        ("632525252525S", TimeError::NeverRead),
        ("632525252525W", TimeError::NeverRead),
        ("2525252525", TimeError::NeverRead),
        ("3F", TimeError::Form),
        ("230702153045X", TimeError::Form),
        ("230702153045SS", TimeError::Form),
        ("23070215304", TimeError::Form),
        ("230229120000W", TimeError::Range),
        ("231301120000W", TimeError::Range),
        ("230702240000S", TimeError::Range),
        ("230702156000S", TimeError::Range),
    ] {
        assert_eq!(LocalTime::parse(text), Err(error), "{text:?}");
    }
    assert!(LocalTime::parse("240229120000W").is_ok());
}

#[test]
fn ids_are_spelt_out_where_they_spell_something() {
    assert_eq!(hex_text("4B384547303034").as_deref(), Some("K8EG004"));
    assert_eq!(hex_text("1234567890").as_deref(), Some("1234567890"));
    assert_eq!(hex_text("09610").as_deref(), Some("09610"));
    assert_eq!(hex_text("0000000000000000"), None);
    assert_eq!(hex_text(""), None);
}
