//! Value information block (EN 13757-3, 6.4): what is measured, in which unit, and with which power of ten.
//!
//! Names and units are part of what consumers see, so they never change between releases. The unit is that of the standard's table
//! with its prefix in the exponent: energy is in `Wh` or `J`, power in `W` or `J/h`, volume in `m3`, whatever VIF a meter uses, so a
//! meter that changes its range does not change its unit. Durations stay in the unit sent (`s`, `min`, `h`, `d`, `month`, `year`).
//!
//! Always true here: a reserved code has the name `reserved` and no unit, and its length is known; any number of extension bytes is
//! read, beyond ten of them nothing is taken from them. Deliberately absent: the data.

mod fb;
mod fd;
mod primary;
pub(super) mod qualifier;

use std::borrow::Cow;

use super::dif::MAX_EXTENSIONS;
use super::header::Order;
use super::text;
use qualifier::Qualifier;

/// How the bits of a binary value are meant (EN 13757-3, annex A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Type B: signed; the least value marks "no value".
    Number,
    /// Type C: unsigned.
    Unsigned,
    /// Type D: single bits.
    Bits,
    /// Types F, G, I, J by the length.
    Moment,
    /// As the maker likes; shown as a signed number.
    Maker,
}

/// What one code of a VIF table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) exponent: i32,
    pub(super) coding: Coding,
}

/// A number with a unit and a power of ten.
fn number(name: &'static str, unit: &'static str, exponent: i32) -> Meaning {
    Meaning { name, unit, exponent, coding: Coding::Number }
}

/// Something without unit and power of ten.
fn plain(name: &'static str, coding: Coding) -> Meaning {
    Meaning { name, unit: "", exponent: 0, coding }
}

/// A duration by the two lowest bits: seconds to days.
fn duration(name: &'static str, code: u8) -> Meaning {
    let unit = match code & 3 {
        0 => "s",
        1 => "min",
        2 => "h",
        _ => "d",
    };
    number(name, unit, 0)
}

/// A duration by the two lowest bits: hours to years.
fn long_duration(name: &'static str, code: u8) -> Meaning {
    let unit = match code & 3 {
        0 => "h",
        1 => "d",
        2 => "month",
        _ => "year",
    };
    number(name, unit, 0)
}

/// Name of values whose unit the meter spells out.
pub(super) const PLAIN_TEXT: &str = "plain_text";

/// Name of codes that the standard keeps for later.
pub(super) const RESERVED: &str = "reserved";

/// The lowest bits of a code as a number.
fn low(code: u8, mask: u8) -> i32 {
    i32::from(code & mask)
}

/// One value information block.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Vib {
    pub(super) name: &'static str,
    pub(super) unit: Cow<'static, str>,
    pub(super) exponent: i32,
    pub(super) coding: Coding,
    /// Powers of ten to be added to the scaled value.
    pub(super) offsets: Vec<i32>,
    pub(super) qualifiers: Vec<Qualifier>,
    /// The meter's word on why there is no value (EN 13757-3, "record error codes").
    pub(super) fault: Option<u8>,
    /// Number of extension bytes, which may be more than are allowed.
    pub(super) extensions: usize,
    /// Bytes of the block, the text of a plain unit included.
    pub(super) length: usize,
}

/// Where the text of a plain unit stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TextPlace {
    Nowhere,
    BehindVif,
    BehindVifes,
}

/// Reads the block at the beginning of `bytes`; the text of a plain unit stands in `order`.
///
/// `None`: the bytes end within it.
pub(super) fn read(bytes: &[u8], order: Order) -> Option<Vib> {
    let vif = *bytes.first()?;
    let place = text_place(bytes)?;
    let mut at = 1;
    let mut unit = None;
    if place == TextPlace::BehindVif {
        unit = Some(take_text(bytes, &mut at, order)?);
    }
    let codes = bytes.get(at..at + count_vifes(vif, bytes.get(at..)?)?)?;
    at += codes.len();
    if place == TextPlace::BehindVifes {
        unit = Some(take_text(bytes, &mut at, order)?);
    }
    let mut vib = interpret(vif, codes.get(..codes.len().min(MAX_EXTENSIONS))?);
    vib.extensions = codes.len();
    vib.length = at;
    if let Some(unit) = unit {
        vib.unit = Cow::Owned(unit);
    }
    Some(vib)
}

/// Number of extension bytes; `None` where the bytes end before the last one.
fn count_vifes(vif: u8, bytes: &[u8]) -> Option<usize> {
    if vif & 0x80 == 0 {
        return Some(0);
    }
    bytes.iter().position(|code| code & 0x80 == 0).map(|last| last + 1)
}

/// The text of FC stands behind the VIF in the older editions and behind the last VIFE in some meters; whichever place holds a
/// length with so many printable characters behind it is right, the older one first.
fn text_place(bytes: &[u8]) -> Option<TextPlace> {
    let vif = *bytes.first()?;
    if vif & 0x7F != 0x7C {
        return Some(TextPlace::Nowhere);
    }
    let rest = bytes.get(1..)?;
    if vif & 0x80 == 0 || holds_text(rest) {
        return Some(TextPlace::BehindVif);
    }
    let behind = count_vifes(vif, rest).and_then(|vifes| rest.get(vifes..));
    Some(if behind.is_some_and(holds_text) { TextPlace::BehindVifes } else { TextPlace::BehindVif })
}

fn holds_text(bytes: &[u8]) -> bool {
    let Some((&length, rest)) = bytes.split_first() else { return false };
    rest.get(..usize::from(length)).is_some_and(text::is_plain)
}

fn take_text(bytes: &[u8], at: &mut usize, order: Order) -> Option<String> {
    let length = usize::from(*bytes.get(*at)?);
    let raw = bytes.get(*at + 1..*at + 1 + length)?;
    *at += 1 + length;
    let text = match order {
        Order::LowFirst => text::latin1(raw.iter().rev().copied()),
        Order::HighFirst => text::latin1(raw.iter().copied()),
    };
    Some(text.trim().to_owned())
}

/// The meaning of the VIF, or of the code in the table it leads to, changed by what follows.
fn interpret(vif: u8, codes: &[u8]) -> Vib {
    let code = |at: usize| codes.get(at).map_or(0x7F, |code| code & 0x7F);
    let (meaning, used) = match (vif, codes.first()) {
        (0xFD, Some(0xFD)) => (fd::second(code(1)), 2),
        (0xFD, _) => (fd::first(code(0)), 1),
        (0xFB, _) => (fb::first(code(0)), 1),
        (0xEF, _) => (plain(RESERVED, Coding::Maker), 1),
        _ => (primary::code(vif & 0x7F), 0),
    };
    let mut vib = start(meaning);
    let combinable = codes.get(used..).unwrap_or_default();
    if vif & 0x7F == 0x7F {
        vib.qualifiers = combinable.iter().map(|code| Qualifier::Maker(code & 0x7F)).collect();
    } else {
        combine(&mut vib, combinable);
    }
    vib
}

fn start(meaning: Meaning) -> Vib {
    Vib {
        name: meaning.name,
        unit: Cow::Borrowed(meaning.unit),
        exponent: meaning.exponent,
        coding: meaning.coding,
        offsets: Vec::new(),
        qualifiers: Vec::new(),
        fault: None,
        extensions: 0,
        length: 0,
    }
}

/// Applies the combinable codes in turn: FC leads to their extension table, behind FF they are the maker's.
fn combine(vib: &mut Vib, codes: &[u8]) {
    let mut rest = codes.iter().map(|code| code & 0x7F);
    while let Some(code) = rest.next() {
        match code {
            0x7C => vib.qualifiers.extend(rest.next().map(Qualifier::Extended)),
            0x7F => vib.qualifiers.extend(rest.by_ref().map(Qualifier::Maker)),
            code => apply(vib, code),
        }
    }
}

/// One combinable code (EN 13757-3, "combinable (orthogonal) VIFE codes").
fn apply(vib: &mut Vib, code: u8) {
    match code {
        0x00 => {}
        0x01..=0x11 | 0x15..=0x1C => vib.fault = vib.fault.or(Some(code)),
        0x20..=0x26 | 0x2C..=0x38 => divide(vib, code),
        0x70..=0x77 => vib.exponent += low(code, 7) - 6,
        0x78..=0x7B => vib.offsets.push(low(code, 3) - 3),
        0x7D => vib.exponent += 3,
        _ => {
            qualify(vib, code);
            vib.qualifiers.push(Qualifier::Standard(code));
        }
    }
}

/// Codes that make the value something else than the VIF says: a point in time, a count, a duration.
fn qualify(vib: &mut Vib, code: u8) {
    let replaced = match code {
        0x39 | 0x42 | 0x43 | 0x46 | 0x47 | 0x4A | 0x4B | 0x4E | 0x4F | 0x6A | 0x6B | 0x6E | 0x6F => plain(vib.name, Coding::Moment),
        0x41 | 0x49 => plain(vib.name, Coding::Number),
        0x50..=0x67 => duration(vib.name, code),
        _ => return,
    };
    vib.unit = Cow::Borrowed(replaced.unit);
    vib.exponent = replaced.exponent;
    vib.coding = replaced.coding;
}

/// Codes that add something to the unit.
fn divide(vib: &mut Vib, code: u8) {
    let suffix = match code {
        0x20 => "/s",
        0x21 => "/min",
        0x22 => "/h",
        0x23 => "/d",
        0x24 => "/week",
        0x25 => "/month",
        0x26 => "/year",
        0x2C => "/l",
        0x2D => "/m3",
        0x2E => "/kg",
        0x2F => "/K",
        0x30 => "/kWh",
        0x31 => "/GJ",
        0x32 => "/kW",
        0x33 => "/(K*l)",
        0x34 => "/V",
        0x35 => "/A",
        0x36 => "*s",
        0x37 => "*s/V",
        _ => "*s/A",
    };
    vib.unit.to_mut().push_str(suffix);
}
