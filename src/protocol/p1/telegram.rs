//! A P1 telegram: its data sets in the order sent, and what they say about the meter itself.

use super::submeter::{SubMeter, sub_meters};
use super::time::{LocalTime, TimeError};
use crate::protocol::iec62056::Identification;
use crate::protocol::iec62056::dataset::{DataSet, read_line};
use crate::protocol::iec62056::ident::{self, Alphabet, Line};
use crate::protocol::obis::{Medium, Obis};
use crate::reading::Value;

/// How a telegram was protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// A check sum that fits.
    Good,
    /// None (V2, V3).
    NotSent,
    /// One that does not fit, and the options accept that.
    Wrong {
        /// As received.
        received: u16,
        /// As calculated.
        calculated: u16,
    },
}

/// One telegram.
#[derive(Debug, Clone, PartialEq)]
pub struct Telegram {
    /// `None` only where the line is no identification in spite of its form.
    pub ident: Option<Identification>,
    /// Check sum.
    pub check: Check,
    /// In the order sent. A value on a line of its own (gas of V2 and V3) belongs to the set before it.
    pub sets: Vec<DataSet>,
    /// Lines that hold something, but no data set.
    pub odd_lines: usize,
}

const CLOCK: Obis = Obis::short(1, 0, 0);
const VERSION: Obis = Obis::short(0, 2, 8);
const BELGIAN_VERSION: Obis = Obis::short(96, 1, 4);
const EQUIPMENT: Obis = Obis::short(96, 1, 1);
const DEVICE: Obis = Obis::short(96, 1, 0);

impl Telegram {
    /// Reads from "/" to "!".
    pub(super) fn read(bytes: &[u8], check: Check) -> Self {
        let Line::Whole { text, len } = ident::line(bytes, Alphabet::Lenient) else {
            return Self { ident: None, check, sets: Vec::new(), odd_lines: 0 };
        };
        let name = bytes.get(1..=text).map(String::from_utf8_lossy);
        let body = String::from_utf8_lossy(bytes.get(len..).unwrap_or_default());
        let mut telegram =
            Self { ident: name.and_then(|name| Identification::parse(&name)), check, sets: Vec::new(), odd_lines: 0 };
        for line in body.split(['\r', '\n']).filter(|line| !matches!(line.trim(), "" | "!")) {
            let count = read_line(line, Medium::Electricity, &mut telegram.sets, |_| true);
            telegram.odd_lines += usize::from(count.brackets == 0);
        }
        telegram
    }

    /// The first data set that is meant by a code.
    #[must_use]
    pub fn find(&self, code: &Obis) -> Option<&DataSet> {
        self.sets.iter().find(|set| set.code.is_some_and(|found| code.matches(&found)))
    }

    fn of_the_meter(&self, code: &Obis) -> Option<&DataSet> {
        self.find(&Obis { a: Some(0), b: Some(0), ..*code })
    }

    /// The text of the first bracket of one of the meter's own data sets.
    fn text(&self, code: &Obis) -> Option<&str> {
        self.of_the_meter(code)?.first().map(|quantity| &*quantity.text)
    }

    /// When the meter made the telegram; `None` where it does not say (V2, V3).
    #[must_use]
    pub fn time(&self) -> Option<Result<LocalTime, TimeError>> {
        self.text(&CLOCK).map(LocalTime::parse)
    }

    /// The meter's own id: the text that its hex digits spell, or the digits where they spell none.
    #[must_use]
    pub fn meter_id(&self) -> Option<Box<str>> {
        self.text(&EQUIPMENT).or_else(|| self.text(&DEVICE)).and_then(hex_text)
    }

    /// Version of the P1 standard as the meter states it: "42", "50", or five digits in Belgium ("50217").
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        let stated = self.find(&VERSION).and_then(DataSet::first).map(|quantity| &*quantity.text);
        stated.or_else(|| self.text(&BELGIAN_VERSION))
    }

    /// The meters behind this one, each with its id; channels that no meter stands behind are left out.
    #[must_use]
    pub fn sub_meters(&self) -> Vec<SubMeter> {
        sub_meters(&self.sets)
    }

    /// Whether the meter states a version that sends a check sum (V4 and later).
    pub(super) fn promises_crc(&self) -> bool {
        let version = self.find(&VERSION).and_then(DataSet::first).map(|quantity| &quantity.value);
        let modern = match version {
            Some(Value::Decimal { mantissa, exponent: 0 }) => *mantissa >= 40,
            Some(Value::Text(text)) => text.trim().parse::<u32>().is_ok_and(|version| version >= 40),
            _ => false,
        };
        modern || self.text(&BELGIAN_VERSION).is_some_and(|version| version.len() == 5)
    }
}

/// The text that pairs of hex digits spell in ASCII (ids of meters). The digits themselves where they spell nothing printable; `None`
/// where there is nothing, or zeros alone: an id that was never set.
#[must_use]
pub fn hex_text(digits: &str) -> Option<Box<str>> {
    let digits = digits.trim_matches(' ');
    if digits.bytes().all(|byte| byte == b'0') {
        return None;
    }
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(hex_digit(*high)? << 4 | hex_digit(*low)?),
        _ => None,
    };
    let spelt: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
    let text =
        spelt.filter(|bytes| bytes.iter().all(|byte| (0x20..0x7F).contains(byte))).and_then(|bytes| String::from_utf8(bytes).ok());
    Some(text.as_deref().map_or(digits, str::trim).into())
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
