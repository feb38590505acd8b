//! Messages: open, list of values, close (SML 1.04 clauses 5 and 6).
//!
//! Always true here: what one entry of a list looks like does not matter to the next one; where even the lengths are wrong, reading goes
//! on at the next thing that looks like an entry or a message, and that is counted.

use super::framing::CrcKind;
use super::tlv::{Broken, Cursor, Element};
use super::unit;
use crate::protocol::obis::Obis;
use crate::reading::{Quality, Reason, Value};

const OPEN_RESPONSE: u64 = 0x0101;
const GET_LIST_RESPONSE: u64 = 0x0701;

/// A moment as a meter gives it: seconds since some zero of its own, or Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// Seconds of operation.
    SecIndex(u64),
    /// Unix time.
    Timestamp(u64),
    /// Unix time with offsets from UTC, in minutes: of the zone and of its season.
    Local {
        /// Unix time.
        timestamp: u64,
        /// Of the zone.
        offset: i64,
        /// Of the season.
        season: i64,
    },
    /// A number without a word what it counts (Holley).
    Bare(u64),
}

/// A value as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// Left out.
    Absent,
    /// Octets.
    Octets(Box<[u8]>),
    /// A boolean.
    Bool(bool),
    /// A signed integer, and in how many bytes.
    Int(i64, u8),
    /// An unsigned integer, and in how many bytes.
    UInt(u64, u8),
    /// Something else.
    Odd,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Which quantity.
    pub code: Obis,
    /// Status word of the meter as sent.
    pub status: Option<u64>,
    /// When it was measured.
    pub time: Option<Time>,
    /// DLMS unit code.
    pub unit: Option<u8>,
    /// Power of ten.
    pub scaler: Option<i8>,
    /// As sent.
    pub raw: Raw,
    /// Number with its scaler, text (hex where it is not printable), or [`Value::Missing`].
    pub value: Value,
    /// Why the value is missing.
    pub quality: Quality,
}

/// The values of one message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GetList {
    /// Id of the meter.
    pub server_id: Box<[u8]>,
    /// When the meter made the list.
    pub time: Option<Time>,
    /// In the order sent.
    pub entries: Vec<Entry>,
    /// Entries that were none.
    pub odd_entries: usize,
}

/// One transport frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Telegram {
    /// Id of the meter from the open message.
    pub server_id: Box<[u8]>,
    /// Its lists; push meters send one.
    pub lists: Vec<GetList>,
    /// Messages of any kind.
    pub messages: usize,
    /// Place of the first message, counted from 0, whose check sum does not fit.
    crc_wrong: Option<usize>,
    /// Bytes between messages that belong to none.
    pub stray: usize,
}

impl Telegram {
    /// Reads the data of a frame, escapes and fill bytes removed.
    pub(super) fn read(data: &[u8], crc: CrcKind) -> Self {
        let mut telegram = Self::default();
        let mut cursor = Cursor::new(data);
        while let Some(byte) = cursor.rest().first() {
            let start = cursor.at();
            if let Some((body, tag)) = head(cursor) {
                cursor = telegram.message(body, tag);
                telegram.check(cursor, start, crc);
                telegram.messages += 1;
                cursor = after_end(cursor);
            } else {
                telegram.stray += usize::from(*byte != 0);
                cursor = cursor.moved(start + 1);
            }
        }
        telegram
    }

    /// The first message, counted from 0, whose own check sum does not fit.
    #[must_use]
    pub fn wrong_message_crc(&self) -> Option<usize> {
        self.crc_wrong
    }

    /// Reads the body that the cursor stands at and gives the place behind it.
    fn message<'a>(&mut self, mut body: Cursor<'a>, tag: u64) -> Cursor<'a> {
        let start = body;
        if tag == GET_LIST_RESPONSE {
            let (list, after) = get_list(body);
            self.lists.push(list);
            return after;
        }
        if tag == OPEN_RESPONSE
            && let Some(id) = open_server_id(body)
        {
            self.server_id = id;
        }
        if body.skip().is_ok() { body } else { start }
    }

    /// `end` stands at the check sum of the message that begins at `start`.
    fn check(&mut self, end: Cursor<'_>, start: usize, crc: CrcKind) {
        let mut cursor = end;
        let sum = match cursor.element() {
            Ok(Element::UInt(sum, _)) => u16::try_from(sum).ok(),
            _ => None,
        };
        let fits = sum.is_some_and(|sum| crc.fits(end.since(start), sum.to_be_bytes()));
        if !fits {
            self.crc_wrong = self.crc_wrong.or(Some(self.messages));
        }
    }
}

/// A message begins with a list of six: transaction id, group number, abort on error, body (tag and content). Gives tag and content.
fn head(mut cursor: Cursor<'_>) -> Option<(Cursor<'_>, u64)> {
    let mut next = || cursor.element().ok();
    let (Element::List(6), Element::Octets(_) | Element::Absent) = (next()?, next()?) else { return None };
    let (Element::UInt(..), Element::UInt(..), Element::List(2)) = (next()?, next()?, next()?) else { return None };
    let Element::UInt(tag, _) = next()? else { return None };
    Some((cursor, tag))
}

/// Passes over check sum and end of a message, where they are.
fn after_end(cursor: Cursor<'_>) -> Cursor<'_> {
    let mut after = cursor;
    match (after.element(), after.element()) {
        (Ok(Element::UInt(..)), Ok(Element::End)) => after,
        _ => cursor,
    }
}

/// Codepage, client, request file id, server id, time, version.
fn open_server_id(mut body: Cursor<'_>) -> Option<Box<[u8]>> {
    let Ok(Element::List(6)) = body.element() else { return None };
    for _ in 0..3 {
        body.skip().ok()?;
    }
    octets(body)
}

fn octets(mut cursor: Cursor<'_>) -> Option<Box<[u8]>> {
    match cursor.element() {
        Ok(Element::Octets(bytes)) => Some(bytes.into()),
        _ => None,
    }
}

/// Client, server id, list name, time, entries, signature, gateway time. Gives the place behind it as far as that can be told.
fn get_list(body: Cursor<'_>) -> (GetList, Cursor<'_>) {
    let mut list = GetList::default();
    let mut cursor = body;
    let count = list_head(&mut list, &mut cursor).unwrap_or(0);
    for _ in 0..count {
        if !next_entry(&mut list, &mut cursor) {
            return (list, cursor);
        }
    }
    let mut after = cursor;
    let whole = after.skip().is_ok() && after.skip().is_ok();
    (list, if whole { after } else { cursor })
}

/// Up to the head of the entries; gives their number.
fn list_head(list: &mut GetList, cursor: &mut Cursor<'_>) -> Result<usize, Broken> {
    let Element::List(5..=7) = cursor.element()? else { return Err(Broken::Length) };
    cursor.skip()?;
    list.server_id = octets(cursor.part()?).unwrap_or_default();
    cursor.skip()?;
    list.time = time(cursor.part()?);
    match cursor.element()? {
        Element::List(count) => Ok(count),
        _ => Ok(0),
    }
}

/// Reads one entry. Where its lengths do not add up, or what they span is no entry and swallowed the next one, goes on at the next list
/// of seven with a code of six bytes; `false` where there is none.
fn next_entry(list: &mut GetList, cursor: &mut Cursor<'_>) -> bool {
    let start = cursor.at();
    let whole = cursor.part().ok();
    match whole.and_then(entry) {
        Some(entry) if entry.raw != Raw::Odd => {
            list.entries.push(entry);
            return true;
        }
        // The value says nothing, but the entry is there: a reader of that code has to know.
        Some(entry) => list.entries.push(entry),
        None => list.odd_entries += 1,
    }
    let behind = cursor.moved(start + 1);
    let searched = if whole.is_some() { cursor.since(start + 1) } else { behind.rest() };
    let next = searched.windows(2).position(|pair| pair == [0x77, 0x07]);
    match next {
        Some(place) => *cursor = behind.moved(start + 1 + place),
        None if whole.is_some() => {}
        None => *cursor = behind.moved(start),
    }
    next.is_some() || whole.is_some()
}

/// Code, status, time, unit, scaler, value, signature.
fn entry(mut part: Cursor<'_>) -> Option<Entry> {
    let Ok(Element::List(7)) = part.element() else { return None };
    let code: [u8; 6] = octets(part.part().ok()?)?.as_ref().try_into().ok()?;
    let status = unsigned(part.part().ok()?);
    let time = time(part.part().ok()?);
    let unit = unsigned(part.part().ok()?).and_then(|unit| u8::try_from(unit).ok());
    let scaler = scaler(part.part().ok()?);
    let raw = raw(part.part().ok()?);
    let (value, quality) = value(&raw, scaler);
    Some(Entry { code: code.into(), status, time, unit, scaler, raw, value, quality })
}

/// A number, or the octets of a status word that was sent as an octet string.
fn unsigned(mut part: Cursor<'_>) -> Option<u64> {
    match part.element() {
        Ok(Element::UInt(number, _)) => Some(number),
        Ok(Element::Int(number, _)) => u64::try_from(number).ok(),
        Ok(Element::Octets(bytes)) if bytes.len() <= 8 => Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))),
        _ => None,
    }
}

fn scaler(mut part: Cursor<'_>) -> Option<i8> {
    match part.element() {
        Ok(Element::Int(scaler, _)) => i8::try_from(scaler).ok(),
        Ok(Element::UInt(scaler, _)) => i8::try_from(scaler).ok(),
        _ => None,
    }
}

/// A choice {1 seconds of operation, 2 Unix time, 3 Unix time with offsets}, or a bare number.
fn time(mut part: Cursor<'_>) -> Option<Time> {
    let choice = match part.element().ok()? {
        Element::UInt(number, _) => return Some(Time::Bare(number)),
        Element::List(2) => unsigned(part.part().ok()?)?,
        _ => return None,
    };
    match (choice, part.element().ok()?) {
        (1, Element::UInt(seconds, _)) => Some(Time::SecIndex(seconds)),
        (2, Element::UInt(seconds, _)) => Some(Time::Timestamp(seconds)),
        (_, Element::List(3)) => local_time(part),
        _ => None,
    }
}

fn local_time(mut part: Cursor<'_>) -> Option<Time> {
    let timestamp = unsigned(part.part().ok()?)?;
    let mut minutes = || match part.element() {
        Ok(Element::Int(minutes, _)) => Some(minutes),
        _ => None,
    };
    Some(Time::Local { timestamp, offset: minutes()?, season: minutes()? })
}

fn raw(mut part: Cursor<'_>) -> Raw {
    match part.element() {
        Ok(Element::Absent) => Raw::Absent,
        Ok(Element::Octets(bytes)) => Raw::Octets(bytes.into()),
        Ok(Element::Bool(value)) => Raw::Bool(value),
        Ok(Element::Int(number, width)) => Raw::Int(number, width),
        Ok(Element::UInt(number, width)) => Raw::UInt(number, width),
        _ => Raw::Odd,
    }
}

/// The value that is meant by what was sent.
pub(super) fn value(raw: &Raw, scaler: Option<i8>) -> (Value, Quality) {
    let scaled = |mantissa| match scaler {
        Some(exponent) => Value::Decimal { mantissa, exponent },
        None => Value::Int(mantissa),
    };
    let value = match (raw, scaler) {
        (Raw::Absent, _) => return (Value::Missing, Quality::Bad(Reason::Invalid)),
        (Raw::Odd, _) => return (Value::Missing, Quality::Bad(Reason::Malformed)),
        (Raw::Octets(bytes), _) => Value::Text(text(bytes)),
        (Raw::Bool(value), _) => Value::Bool(*value),
        (Raw::Int(number, _), _) => scaled(*number),
        (Raw::UInt(number, _), None | Some(0)) if i64::try_from(*number).is_err() => Value::UInt(*number),
        (Raw::UInt(number, _), None) => Value::UInt(*number),
        (Raw::UInt(number, _), Some(_)) => match i64::try_from(*number) {
            Ok(mantissa) => scaled(mantissa),
            Err(_) => return (Value::Missing, Quality::Bad(Reason::Overflow)),
        },
    };
    (value, Quality::Good)
}

/// Octets as text where all of them are printable ASCII, else as hex digits.
#[must_use]
pub(super) fn text(bytes: &[u8]) -> Box<str> {
    let printable = bytes.iter().all(|byte| (0x20..0x7F).contains(byte));
    match std::str::from_utf8(bytes) {
        Ok(text) if printable => text.into(),
        _ => {
            bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
        }
    }
}

impl Entry {
    /// The unit by its usual sign; empty where there is none.
    #[must_use]
    pub fn unit_name(&self) -> &'static str {
        self.unit.and_then(unit::name).unwrap_or_default()
    }
}
