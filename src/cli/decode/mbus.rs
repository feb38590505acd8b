//! M-Bus captures.

use super::told::{Datum, Found, Record, Told, hex};
use crate::protocol::mbus::frame::{Frame, Next, Wire, next};
use crate::protocol::mbus::{self, Answer, Header, Key, Secrets, decode};

/// What every long frame begins with and has again behind its lengths.
const START: u8 = 0x68;

/// Every frame with data, in order. Requests, calls and acknowledgements without data are counted in a remark.
pub(super) fn read(bytes: &[u8], key: Option<&Key>) -> Found {
    let mut found = Found::default();
    let (mut rest, mut without_data) = (bytes, 0_usize);
    loop {
        let drop = match next(rest, Wire::Silent) {
            Next::Frame { frame: Frame::Ack | Frame::Short { .. }, noise, drop } => {
                without_data += 1;
                count_noise(&mut found, noise);
                drop
            }
            Next::Frame { frame, noise, drop } => {
                found.telegrams.push(told(&frame, key));
                count_noise(&mut found, noise);
                drop
            }
            Next::Damaged { error, drop } if is_long(rest) => {
                found.telegrams.push(Told { meter: Vec::new(), said: Err(error.to_string()) });
                drop
            }
            Next::Damaged { drop, .. } => {
                count_noise(&mut found, drop);
                drop
            }
            Next::NeedMore { drop, .. } => {
                count_noise(&mut found, drop);
                break;
            }
        };
        rest = rest.get(drop.max(1)..).unwrap_or_default();
    }
    if without_data > 0 {
        found.remarks.push(format!("{without_data} frames without data (requests, acknowledgements)"));
    }
    found
}

fn count_noise(found: &mut Found, bytes: usize) {
    found.noise += bytes as u64;
}

fn is_long(bytes: &[u8]) -> bool {
    bytes.first() == Some(&START) && bytes.get(3) == Some(&START)
}

fn told(frame: &Frame, key: Option<&Key>) -> Told {
    let mut meter = match frame {
        Frame::Long { address, .. } => vec![("address", Datum::number(*address))],
        _ => Vec::new(),
    };
    let said = match decode(frame, Secrets { key, identity: None }) {
        Ok(Answer::Telegram(telegram)) => {
            meter.extend(header(&telegram.header));
            meter.extend(telegram.more_follow.then_some(("more_follow", Datum::Flag(true))));
            Ok(telegram.records.iter().map(record).collect())
        }
        Ok(Answer::Refused(why)) => Err(format!("the meter refuses: {why}")),
        Ok(Answer::Alarm(bits)) => {
            Ok(vec![Record { name: "alarm".to_owned(), value: Datum::number(bits), raw: hex(&[bits]), ..Record::default() }])
        }
        Err(error) => Err(error.to_string()),
    };
    Told { meter, said }
}

fn header(header: &Header) -> Vec<(&'static str, Datum)> {
    let identity = header.identity;
    let pairs = [
        ("id", identity.map(|identity| Datum::text(identity.id))),
        ("manufacturer", identity.and_then(|identity| identity.manufacturer).map(Datum::text)),
        ("version", identity.and_then(|identity| identity.version).map(Datum::number)),
        ("medium", identity.map(|identity| Datum::text(identity.medium.name()))),
        ("access", header.access.map(Datum::number)),
        ("status", header.status.map(|status| Datum::number(status.0))),
    ];
    pairs.into_iter().filter_map(|(key, datum)| Some((key, datum?))).collect()
}

fn record(record: &mbus::Record) -> Record {
    // The fixed structure has counters without DIF and VIF.
    let block = |bytes: &[u8]| (!bytes.is_empty()).then(|| hex(bytes));
    Record {
        name: record.point_name(),
        dif: block(record.dib()),
        vif: block(record.vib()),
        storage: Some(record.storage),
        tariff: Some(record.tariff),
        subunit: Some(record.subunit),
        function: Some(record.function.name()),
        value: Datum::from(&record.value),
        unit: Some(record.unit.to_string()),
        raw: hex(&record.raw),
        problem: record.problem.map(|problem| problem.to_string()),
        ..Record::default()
    }
}
