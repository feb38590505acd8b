//! Data sets: `address(value*unit)(value)...`, several to a line (clause 6.5, figure 14 ff.). Also the lines of DSMR P1.
//!
//! Always true here: text is kept as sent; a number is made of digits, a sign and a point, and of all of them; a value with a unit
//! that is no number is [`Reason::Malformed`], one that is empty or blank [`Reason::Invalid`], never a guess. Deliberately absent:
//! what an address means (see [`crate::protocol::obis`]).

use crate::protocol::obis::{Medium, Nature, Obis};
use crate::reading::{Quality, Reason, Value};

/// One value of a bracket.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    /// The digits or the text as sent, without the unit.
    pub text: Box<str>,
    /// Behind "*"; `None` where there is no "*".
    pub unit: Option<Box<str>>,
    /// The number ([`Value::Decimal`], all digits behind the point kept), the text, or [`Value::Missing`].
    pub value: Value,
    /// Why a value is missing.
    pub quality: Quality,
}

/// One bracket.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// What stands between the brackets, as sent.
    pub raw: Box<str>,
    /// One quantity; more where quantities with units are listed with "&" ("108.5*C&088.1*C").
    pub list: Vec<Quantity>,
}

/// An address with its values.
#[derive(Debug, Clone, PartialEq)]
pub struct DataSet {
    /// As sent, "1-0:1.8.0*255" or "F.F"; empty for brackets without an address at the start of a telegram or after a "!".
    pub address: Box<str>,
    /// The address as a code, where it is one.
    pub code: Option<Obis>,
    /// The brackets on its line, and those of following lines that have no address of their own.
    pub items: Vec<Item>,
}

/// What was made of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LineCount {
    /// Brackets read.
    pub brackets: usize,
    /// Characters that belong to no data set.
    pub stray: usize,
}

impl Quantity {
    fn parse(raw: &str, nature: Nature) -> Self {
        let (text, unit) = raw.split_once('*').map_or((raw, None), |(text, unit)| (text, Some(unit)));
        let (value, quality) = value(text, unit.is_some(), nature);
        Self { text: text.into(), unit: unit.map(Into::into), value, quality }
    }
}

fn value(text: &str, has_unit: bool, nature: Nature) -> (Value, Quality) {
    if text.trim_matches(' ').is_empty() {
        return (Value::Missing, Quality::Bad(Reason::Invalid));
    }
    match decimal(text) {
        Some(number) if has_unit || nature == Nature::Number => (number, Quality::Good),
        None if has_unit => (Value::Missing, Quality::Bad(Reason::Malformed)),
        _ => (Value::Text(text.into()), Quality::Good),
    }
}

/// Reads blanks, a sign, digits and a point as the exact number they make; `None` for anything else, and for more digits than a
/// 64-bit mantissa holds. Digits behind the point are kept: "0.000" is 0 x 10^-3.
#[must_use]
pub fn decimal(text: &str) -> Option<Value> {
    let text = text.trim_matches(' ');
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches(' ');
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mantissa = whole.bytes().chain(fraction.bytes()).try_fold(0_i64, |mantissa, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        mantissa.checked_mul(10)?.checked_add(digit)
    })?;
    let places = i8::try_from(fraction.len()).ok()?;
    Some(Value::Decimal { mantissa: if negative { -mantissa } else { mantissa }, exponent: -places })
}

impl Item {
    fn parse(raw: &str, nature: Nature) -> Self {
        // "&" also joins parts of one text ("2017-01-18&01:36:47"); it separates quantities only where they have units.
        let list = if raw.contains('&') && raw.contains('*') {
            raw.split('&').map(|part| Quantity::parse(part, nature)).collect()
        } else {
            vec![Quantity::parse(raw, nature)]
        };
        Self { raw: raw.into(), list }
    }

    /// The quantity, the first one of a list.
    #[must_use]
    pub fn first(&self) -> Option<&Quantity> {
        self.list.first()
    }
}

impl DataSet {
    /// The quantity of the first bracket.
    #[must_use]
    pub fn first(&self) -> Option<&Quantity> {
        self.items.first().and_then(Item::first)
    }

    /// Whether this is the head of a load profile or a log (P.01, P.98, ...), whose rows have no address.
    #[must_use]
    pub fn is_profile(&self) -> bool {
        self.code.is_some_and(|code| code.c == 99 && code.d != Some(97))
    }

    fn nature(&self, medium: Medium) -> Nature {
        self.code.map_or(Nature::Number, |code| code.nature(medium))
    }
}

/// Reads one line into `sets`: a new set for each address, further brackets to the set before them. `row` is asked whether brackets
/// that begin a line belong to the last set; where it says no they are counted and left out.
pub fn read_line(line: &str, medium: Medium, sets: &mut Vec<DataSet>, row: impl Fn(&DataSet) -> bool) -> LineCount {
    let mut count = LineCount::default();
    let mut rest = line;
    let mut wanted = true;
    while let Some((before, opened)) = rest.split_once('(') {
        let Some((raw, after)) = opened.split_once(')') else { break };
        let address = clean_address(before);
        // A "!" within a line says that what follows is not to be counted to the set before it.
        if !address.is_empty() || sets.is_empty() || before.ends_with('!') {
            sets.push(DataSet { address: address.into(), code: address.parse().ok(), items: Vec::new() });
            wanted = true;
        } else if count.brackets == 0 {
            wanted = sets.last().is_some_and(&row);
        }
        count.brackets += 1;
        count.stray += before.len() - address.len();
        if let Some(set) = sets.last_mut().filter(|_| wanted) {
            set.items.push(Item::parse(raw, set.nature(medium)));
        }
        rest = after;
    }
    count.stray += rest.len();
    count
}

/// Drops what is no part of an address: blanks, control characters, a "!" or a backslash left between two sets.
fn clean_address(text: &str) -> &str {
    let stray = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '!' | '\\' | '/' | ')' | '\u{FFFD}');
    text.rsplit(stray).find(|part| !part.is_empty()).unwrap_or_default()
}
