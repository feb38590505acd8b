//! One record after the other (EN 13757-3, 6): block by block, value by value.
//!
//! Always true here: every byte behind the header belongs to a record or is filler; an odd record is given with a named problem and
//! reading goes on behind it, unless its length cannot be known, which the last record then says. Each step takes at least one byte.
//! Deliberately absent: which of the records anybody wants.

use std::borrow::Cow;
use std::fmt;

use super::dif::{self, Dib, Function, MAX_EXTENSIONS};
use super::header::Order;
use super::text;
use super::time::Moment;
use super::value::{self, Decoded, Scale};
use super::vif::qualifier::Qualifier;
use super::vif::{self, PLAIN_TEXT, RESERVED, Vib};
use crate::reading::{Quality, Reason, Value};

/// DIF: the maker's own data, to the end.
const MAKER_DATA: u8 = 0x0F;
/// DIF: as [`MAKER_DATA`], and the next telegram has more records.
const MORE_FOLLOW: u8 = 0x1F;
/// DIF: nothing; fills up.
const FILLER: u8 = 0x2F;

/// What is odd about a record. The value is missing where it cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Problem {
    /// The telegram ends within the record: `premature end`.
    PrematureEnd,
    /// More than ten DIFEs; storage, tariff and subunit are not all known.
    TooManyDifes(usize),
    /// More than ten VIFEs; what is measured is not fully known.
    TooManyVifes(usize),
    /// A special function that the standard does not define for answers; what follows cannot be read.
    SpecialDif(u8),
    /// A length byte that the standard reserves; what follows cannot be read.
    ReservedLength(u8),
    /// A VIF that the standard reserves: a number without a name or unit.
    ReservedVif,
    /// The record has no data.
    NoData,
    /// The meter's mark for "no value".
    MarkedInvalid,
    /// BCD with digits above 9: how meters spell an error.
    Digits,
    /// Marked invalid, or no date and time.
    NoMoment,
    /// The float is not a number, or infinite.
    NotANumber,
    /// More digits than a value holds.
    Overflow,
    /// The meter says in the record why there is no value (record error code).
    Refused(u8),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrematureEnd => f.write_str("the telegram ends within the record"),
            Self::TooManyDifes(received) => write!(f, "{received} DIFEs, expected at most {MAX_EXTENSIONS}"),
            Self::TooManyVifes(received) => write!(f, "{received} VIFEs, expected at most {MAX_EXTENSIONS}"),
            Self::SpecialDif(dif) => write!(f, "DIF {dif:02X} has no meaning in an answer; the rest cannot be read"),
            Self::ReservedLength(lvar) => write!(f, "length byte {lvar:02X} is reserved; the rest cannot be read"),
            Self::ReservedVif => f.write_str("the VIF is reserved"),
            Self::NoData => f.write_str("the record has no data"),
            Self::MarkedInvalid => f.write_str("the meter marks the value as invalid"),
            Self::Digits => f.write_str("digits above 9 where 0 to 9 were expected"),
            Self::NoMoment => f.write_str("marked invalid, or no date and time"),
            Self::NotANumber => f.write_str("the float is not a number"),
            Self::Overflow => f.write_str("more digits than a value holds"),
            Self::Refused(code) => f.write_str(record_error(*code)),
        }
    }
}

/// Record error codes, in the words of the standard.
fn record_error(code: u8) -> &'static str {
    match code {
        0x01 => "the meter reports too many DIFEs",
        0x02 => "the meter has no such storage number",
        0x03 => "the meter has no such subunit",
        0x04 => "the meter has no such tariff",
        0x05 => "the meter has no such function",
        0x06 => "the meter has no such data class",
        0x07 => "the meter has no such data size",
        0x0B => "the meter reports too many VIFEs",
        0x0C => "the meter reports an illegal VIF group",
        0x0D => "the meter reports an illegal VIF exponent",
        0x0E => "the meter reports that VIF and DIF do not match",
        0x0F => "the meter has no such action",
        0x15 => "the meter has no data available",
        0x16 => "the meter reports an overflow",
        0x17 => "the meter reports an underflow",
        0x18 => "the meter reports a data error",
        0x1C => "the meter reports a premature end of the record",
        _ => "the meter reports a reserved error code",
    }
}

/// One record of a telegram.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// All its bytes as sent: DIF to last data byte.
    pub raw: Box<[u8]>,
    /// How many of `raw` are DIF and DIFEs.
    dib: u8,
    /// How many of `raw` behind them are VIF, VIFEs and the text of a plain unit.
    vib: u8,
    /// What kind of value it is.
    pub function: Function,
    /// 0 is now; others are values kept at some time.
    pub storage: u64,
    /// 0 is the total.
    pub tariff: u32,
    /// 0 is the meter itself; others are its inputs or parts.
    pub subunit: u16,
    /// What is measured: a stable name, one for each kind of the VIF tables.
    pub name: &'static str,
    /// Unit of the value; empty where there is none.
    pub unit: Cow<'static, str>,
    /// What tells it from others of its name, in the order sent.
    pub qualifiers: Vec<Qualifier>,
    /// The value with the digits sent, scaled to `unit`.
    pub value: Value,
    /// How far to trust it.
    pub quality: Quality,
    /// What is odd about it.
    pub problem: Option<Problem>,
    /// Where the value is a point in time: its parts.
    pub moment: Option<Moment>,
}

impl Record {
    /// DIF and DIFEs.
    pub fn dib(&self) -> &[u8] {
        self.raw.get(..usize::from(self.dib)).unwrap_or_default()
    }

    /// VIF and VIFEs, and the text of a plain unit.
    pub fn vib(&self) -> &[u8] {
        let from = usize::from(self.dib);
        self.raw.get(from..from + usize::from(self.vib)).unwrap_or_default()
    }

    /// The data; for variable length from the length byte on.
    pub fn data(&self) -> &[u8] {
        self.raw.get(usize::from(self.dib) + usize::from(self.vib)..).unwrap_or_default()
    }

    /// The record as a name for a point: `energy`, `energy_tariff_1`, `power_max_storage_2`, `voltage_l1`. Stable between releases;
    /// unique within a telegram as far as the meter's own coding is. A plain unit is part of it: `plain_cust_id`.
    pub fn point_name(&self) -> String {
        let mut name = self.name.to_owned();
        if self.name == PLAIN_TEXT {
            name = "plain_".to_owned() + &text::word(&self.unit);
        }
        for qualifier in &self.qualifiers {
            name = name + "_" + &qualifier.word();
        }
        name += match self.function {
            Function::Instantaneous => "",
            Function::Maximum => "_max",
            Function::Minimum => "_min",
            Function::Error => "_error",
        };
        let places = [("subunit", u64::from(self.subunit)), ("tariff", u64::from(self.tariff)), ("storage", self.storage)];
        for (word, number) in places.into_iter().filter(|(_, number)| *number != 0) {
            name = name + "_" + word + "_" + &number.to_string();
        }
        name
    }
}

/// Records, and whether the next telegram has more of them.
pub(super) struct Records {
    pub(super) records: Vec<Record>,
    pub(super) more_follow: bool,
}

/// Reads all records of a telegram.
pub(super) fn read_all(bytes: &[u8], order: Order) -> Records {
    let mut all = Records { records: Vec::new(), more_follow: false };
    let mut rest = bytes;
    while let Some(&dif) = rest.first() {
        let used = match dif {
            FILLER => 1,
            MAKER_DATA | MORE_FOLLOW => {
                all.more_follow |= dif == MORE_FOLLOW;
                all.records.push(maker_data(rest));
                rest.len()
            }
            special if special & 0x0F == 0x0F => {
                all.records.push(unreadable(rest, Problem::SpecialDif(special)));
                rest.len()
            }
            _ => {
                let record = read(rest, order);
                let used = record.raw.len();
                all.records.push(record);
                used
            }
        };
        rest = rest.get(used.max(1)..).unwrap_or_default();
    }
    all
}

/// Reads the record at the beginning of `bytes`; if its length cannot be known, it is all of them.
fn read(bytes: &[u8], order: Order) -> Record {
    let Some(dib) = dif::read(bytes) else { return unreadable(bytes, Problem::PrematureEnd) };
    let head = 1 + dib.extensions;
    let Some(vib) = bytes.get(head..).and_then(|bytes| vif::read(bytes, order)) else {
        return located(bytes, &dib, Problem::PrematureEnd);
    };
    let data = bytes.get(head + vib.length..).unwrap_or_default();
    match data_length(dib.field, data) {
        Ok(length) if length <= data.len() => {
            let raw = bytes.get(..head + vib.length + length).unwrap_or(bytes);
            complete(raw, &dib, vib, data.get(..length).unwrap_or(data), order)
        }
        Ok(_) => Record { name: vib.name, ..located(bytes, &dib, Problem::PrematureEnd) },
        Err(problem) => Record { name: vib.name, ..located(bytes, &dib, problem) },
    }
}

/// Bytes of data, the length byte of LVAR included.
fn data_length(field: dif::Field, data: &[u8]) -> Result<usize, Problem> {
    match field {
        dif::Field::None | dif::Field::Selection => Ok(0),
        dif::Field::Binary(length) | dif::Field::Bcd(length) => Ok(length),
        dif::Field::Real => Ok(4),
        dif::Field::Variable => {
            let lvar = *data.first().ok_or(Problem::PrematureEnd)?;
            value::variable_length(lvar, data.len() - 1).map(|length| 1 + length).ok_or(Problem::ReservedLength(lvar))
        }
    }
}

fn complete(raw: &[u8], dib: &Dib, vib: Vib, data: &[u8], order: Order) -> Record {
    let scale = Scale { exponent: vib.exponent, offsets: &vib.offsets };
    let decoded = match odd_head(dib, &vib) {
        Some(problem @ Problem::Refused(_)) => Decoded::missing(Reason::Invalid, Some(problem)),
        Some(problem) => Decoded::missing(Reason::Malformed, Some(problem)),
        None => value::decode(dib.field, data, order, vib.coding, scale),
    };
    let reserved = (vib.name == RESERVED).then_some(Problem::ReservedVif);
    Record {
        name: vib.name,
        unit: vib.unit,
        qualifiers: vib.qualifiers,
        dib: short(1 + dib.extensions),
        vib: short(vib.length),
        value: decoded.value,
        quality: decoded.quality,
        problem: decoded.problem.or(reserved),
        moment: decoded.moment,
        ..bare(raw, dib)
    }
}

/// What forbids to trust the value whatever the data says.
fn odd_head(dib: &Dib, vib: &Vib) -> Option<Problem> {
    if dib.extensions > MAX_EXTENSIONS {
        return Some(Problem::TooManyDifes(dib.extensions));
    }
    if vib.extensions > MAX_EXTENSIONS {
        return Some(Problem::TooManyVifes(vib.extensions));
    }
    vib.fault.map(Problem::Refused)
}

/// A record of which no more is known than its place.
fn located(raw: &[u8], dib: &Dib, problem: Problem) -> Record {
    Record { dib: short(1 + dib.extensions), problem: Some(problem), ..bare(raw, dib) }
}

/// A record of which nothing is known.
fn unreadable(raw: &[u8], problem: Problem) -> Record {
    let dib = Dib { field: dif::Field::None, function: Function::Instantaneous, storage: 0, tariff: 0, subunit: 0, extensions: 0 };
    Record { dib: 1, problem: Some(problem), ..bare(raw, &dib) }
}

/// The maker's data as hex, in the order sent. Without data it is an empty text, because "more follow" often stands alone.
fn maker_data(raw: &[u8]) -> Record {
    let name = if raw.first() == Some(&MORE_FOLLOW) { "more_records_follow" } else { "manufacturer_data" };
    let hex = text::hex(raw.get(1..).unwrap_or_default().iter());
    let record = unreadable(raw, Problem::NoData);
    Record { name, value: Value::Text(hex.into()), quality: Quality::Good, problem: None, ..record }
}

fn bare(raw: &[u8], dib: &Dib) -> Record {
    Record {
        raw: raw.into(),
        dib: 0,
        vib: 0,
        function: dib.function,
        storage: dib.storage,
        tariff: dib.tariff,
        subunit: dib.subunit,
        name: RESERVED,
        unit: Cow::Borrowed(""),
        qualifiers: Vec::new(),
        value: Value::Missing,
        quality: Quality::Bad(Reason::Malformed),
        problem: None,
        moment: None,
    }
}

/// Blocks are parts of a telegram of at most 255 bytes.
fn short(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

/// A counter of the fixed structure: data without blocks before it.
pub(super) fn counter(raw: &[u8], dib: &Dib, name: &'static str, unit: &'static str, decoded: Decoded) -> Record {
    let reserved = (name == RESERVED).then_some(Problem::ReservedVif);
    Record {
        name,
        unit: Cow::Borrowed(unit),
        value: decoded.value,
        quality: decoded.quality,
        problem: decoded.problem.or(reserved),
        ..bare(raw, dib)
    }
}
