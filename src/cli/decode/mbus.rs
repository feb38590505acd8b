//! M-Bus captures.

use super::told::{Datum, Found, Record, Told, hex};
use crate::protocol::mbus::frame::{Frame, FrameError, Next, Wire, next};
use crate::protocol::mbus::{self, Answer, Header, Key, Secrets, decode};

/// Start, length, length, start, sum, stop: what a long frame has beside the bytes that its length counts.
const FRAMING: usize = 6;

/// Every frame with data, in order. Requests, calls and acknowledgements without data are counted in a remark.
///
/// A beginning with two equal lengths is a damaged telegram and told; any other is noise, and so is one within a damaged telegram.
/// Where nothing else is found, the first thing that was wrong is told all the same.
pub(super) fn read(bytes: &[u8], key: Option<&Key>) -> Found {
    let mut reading = Reading { found: Found::default(), key, at: 0, told_until: 0, wrong: None, without_data: 0 };
    while let Some(rest) = bytes.get(reading.at..)
        && let Some(used) = reading.step(rest)
    {
        reading.at += used.max(1);
    }
    reading.end()
}

struct Reading<'a> {
    found: Found,
    key: Option<&'a Key>,
    /// Place of the next byte.
    at: usize,
    /// Place behind the last damaged telegram, as it announced itself.
    told_until: usize,
    /// What was wrong with the first beginning that was taken for noise.
    wrong: Option<FrameError>,
    without_data: usize,
}

impl Reading<'_> {
    /// Takes what stands next and gives the bytes used; `None` at the end.
    fn step(&mut self, rest: &[u8]) -> Option<usize> {
        match next(rest, Wire::Silent) {
            Next::Frame { frame, noise, drop } => {
                self.count_noise(noise);
                match frame {
                    Frame::Ack | Frame::Short { .. } => self.without_data += 1,
                    Frame::Long { .. } => self.found.telegrams.push(told(&frame, self.key)),
                }
                Some(drop)
            }
            Next::Damaged { error, drop } => {
                self.damaged(rest, error, drop);
                Some(drop)
            }
            Next::NeedMore { drop, .. } => {
                self.count_noise(drop);
                None
            }
        }
    }

    fn damaged(&mut self, rest: &[u8], error: FrameError, drop: usize) {
        match rest {
            [first, length, second, third, ..] if first == third && length == second && self.at >= self.told_until => {
                self.found.telegrams.push(Told { meter: Vec::new(), said: Err(error.to_string()) });
                self.told_until = self.at + FRAMING + usize::from(*length);
            }
            _ => {
                self.wrong.get_or_insert(error);
                self.count_noise(drop);
            }
        }
    }

    fn count_noise(&mut self, bytes: usize) {
        self.found.noise += bytes as u64;
    }

    fn end(mut self) -> Found {
        if let (true, Some(error)) = (self.found.telegrams.is_empty(), self.wrong) {
            self.found.telegrams.push(Told { meter: Vec::new(), said: Err(error.to_string()) });
        }
        if self.without_data > 0 {
            self.found.remarks.push(format!("{} frames without data (requests, acknowledgements)", self.without_data));
        }
        self.found
    }
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
        ("id", identity.map(|identity| Datum::text(identity.id.to_string()))),
        ("manufacturer", identity.and_then(|identity| identity.manufacturer).map(|maker| Datum::text(maker.to_string()))),
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
