//! SML captures.

use super::told::{Datum, Found, Record, Told, hex};
use crate::protocol::obis::Medium;
use crate::protocol::sml::{CrcKind, Entry, Error, Framing, Options, Raw, Telegram};
use crate::protocol::stream::{Capture, Stream};

/// Every frame, in order.
pub(super) fn read(bytes: &[u8], kermit: bool) -> Found {
    let crc = |kermit| if kermit { CrcKind::Kermit } else { CrcKind::X25 };
    let capture = capture(bytes, crc(kermit));
    let mut found = Found { noise: capture.noise, ..Found::default() };
    if capture.telegrams.iter().all(Result::is_err) && self::capture(bytes, crc(!kermit)).telegrams.iter().any(Result::is_ok) {
        found.remarks.push(format!("the check sums fit {} --kermit", if kermit { "without" } else { "with" }));
    }
    found.telegrams = capture.telegrams.iter().map(told).collect();
    found
}

fn capture(bytes: &[u8], crc: CrcKind) -> Capture<Telegram, Error> {
    Stream::read_all(Framing::new(Options { crc, ..Options::default() }), bytes)
}

fn told(telegram: &Result<Telegram, Error>) -> Told {
    match telegram {
        Ok(telegram) => {
            Told { meter: meter(telegram), said: Ok(telegram.lists.iter().flat_map(|list| &list.entries).map(record).collect()) }
        }
        Err(error) => Told { meter: Vec::new(), said: Err(error.to_string()) },
    }
}

fn meter(telegram: &Telegram) -> Vec<(&'static str, Datum)> {
    let listed = telegram.lists.iter().map(|list| &list.server_id).find(|id| !id.is_empty());
    let mut meter: Vec<_> = listed.or(Some(&telegram.server_id)).map(|id| ("id", Datum::Text(digits(id)))).into_iter().collect();
    let odd: usize = telegram.lists.iter().map(|list| list.odd_entries).sum();
    meter.extend((odd > 0).then(|| ("odd_entries", Datum::number(odd as u64))));
    meter
}

fn digits(bytes: &[u8]) -> String {
    hex(bytes).replace(' ', "").to_ascii_lowercase()
}

fn record(entry: &Entry) -> Record {
    Record {
        name: entry.code.point_name(Medium::Electricity),
        obis: Some(entry.code.to_string()),
        value: Datum::from(&entry.value),
        unit: Some(entry.unit_name().to_owned()),
        raw: match &entry.raw {
            Raw::Octets(bytes) => digits(bytes),
            Raw::Bool(flag) => flag.to_string(),
            Raw::Int(number, _) => number.to_string(),
            Raw::UInt(number, _) => number.to_string(),
            Raw::Absent | Raw::Odd => String::new(),
        },
        problem: match &entry.raw {
            Raw::Absent => Some("the meter sent no value".to_owned()),
            Raw::Odd => Some("the value is of a kind that has no meaning here".to_owned()),
            _ => None,
        },
        ..Record::default()
    }
}
