//! OBIS codes: which quantity a value is (IEC 62056-61, EN 13757-1).
//!
//! A code has six value groups, written `A-B:C.D.E*F`: medium, channel, quantity, processing, tariff, history. Meters leave groups out.
//! Forms read here: `1-0:1.8.0*255`, `1.8.0`, `1.8`, `6.26*01`, `1.8.0&02`, `F.F`, `C.1.0`, `L.1`, `P.01`, `0:96.7.19` and the six
//! bytes of the binary protocols. The letters of the reduced form are numbers: C = 96, F = 97, L = 98, P = 99.
//!
//! Always true here: [`Obis::matches`] is the one comparison for reduced forms. A and B left out on either side match any; E left out
//! is 0; F left out is 255, the present value. So `1.8.0` and `1.8` are `1-0:1.8.0*255` and also `1-1:1.8.0`, but not `1.8.1`, and
//! never the historical `1.8.0*62`, nor `1.8.0*00`. D is never guessed: `F` is not `F.F`. `==` compares the groups as written.
//!
//! Deliberately absent: addresses that are no OBIS code (`0.5.1.2`); whoever holds one keeps its text.

mod names;

pub use names::{Medium, Nature};

use std::fmt;
use std::str::FromStr;

/// One code as it was written: a group that was left out is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Obis {
    /// Group A: medium (0 abstract, 1 electricity, 6 heat, 7 gas, 8 water).
    pub a: Option<u8>,
    /// Group B: channel.
    pub b: Option<u8>,
    /// Group C: quantity.
    pub c: u8,
    /// Group D: how the quantity was processed.
    pub d: Option<u8>,
    /// Group E: tariff, or a further division.
    pub e: Option<u8>,
    /// Group F: billing period; 255 is the present one.
    pub f: Option<u8>,
}

/// Group F of a present value.
pub const PRESENT: u8 = 255;

/// Text that is no OBIS code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an OBIS code, expected a form like 1-0:1.8.0*255, 1.8.0 or F.F")]
pub struct NotObis;

impl Obis {
    /// A code without medium, channel and history: `1.8.0`.
    #[must_use]
    pub const fn short(c: u8, d: u8, e: u8) -> Self {
        Self { a: None, b: None, c, d: Some(d), e: Some(e), f: None }
    }

    /// Whether both name the same quantity; see the head of this module for groups that were left out.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        let open = |left: Option<u8>, right: Option<u8>| left.is_none() || right.is_none() || left == right;
        open(self.a, other.a) && open(self.b, other.b) && self.core() == other.core()
    }

    /// C, D, E and F with the values that stand for a group left out.
    fn core(&self) -> (u8, Option<u8>, u8, u8) {
        (self.c, self.d, self.e.unwrap_or(0), self.history())
    }

    /// Group F, 255 where it was left out.
    #[must_use]
    pub fn history(&self) -> u8 {
        self.f.unwrap_or(PRESENT)
    }

    /// Whether groups C, D and E are these, an E left out being 0.
    #[must_use]
    pub fn is(&self, c: u8, d: u8, e: u8) -> bool {
        self.c == c && self.d == Some(d) && self.e.unwrap_or(0) == e
    }

    /// The six bytes of DLMS and SML; groups left out become 0, 0, -, 0, 0 and 255.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 6] {
        let Self { a, b, c, d, e, .. } = self;
        [a.unwrap_or(0), b.unwrap_or(0), c, d.unwrap_or(0), e.unwrap_or(0), self.history()]
    }
}

#[expect(clippy::many_single_char_names, reason = "the standard calls its groups A to F")]
impl From<[u8; 6]> for Obis {
    fn from([a, b, c, d, e, f]: [u8; 6]) -> Self {
        Self { a: Some(a), b: Some(b), c, d: Some(d), e: Some(e), f: Some(f) }
    }
}

#[expect(clippy::many_single_char_names, reason = "the standard calls its groups A to F")]
impl FromStr for Obis {
    type Err = NotObis;

    /// Reads every form of the module head; blanks around it are ignored.
    fn from_str(text: &str) -> Result<Self, NotObis> {
        let text = text.trim_matches(' ');
        let (channel, rest) = text.split_once(':').map_or((None, text), |(channel, rest)| (Some(channel), rest));
        let (a, b) = channel.map_or(Ok((None, None)), medium_and_channel)?;
        let (code, f) = match rest.split_once(['*', '&']) {
            Some((code, f)) => (code, Some(number(f)?)),
            None => (rest, None),
        };
        let mut groups = code.split('.');
        let c = groups.next().ok_or(NotObis).and_then(letter_or_number)?;
        let d = groups.next().map(letter_or_number).transpose()?;
        let e = groups.next().map(number).transpose()?;
        let letter_alone = d.is_none() && !code.starts_with(|first: char| first.is_ascii_alphabetic());
        if groups.next().is_some() || letter_alone {
            return Err(NotObis);
        }
        Ok(Self { a, b, c, d, e, f })
    }
}

fn medium_and_channel(text: &str) -> Result<(Option<u8>, Option<u8>), NotObis> {
    match text.split_once('-') {
        Some((a, b)) => Ok((Some(number(a)?), Some(number(b)?))),
        None => Ok((None, Some(number(text)?))),
    }
}

fn number(text: &str) -> Result<u8, NotObis> {
    let digits = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().map_err(|_| NotObis) } else { Err(NotObis) }
}

/// The letters of the reduced form (IEC 62056-61 annex, EDIS).
const LETTERS: [(&str, u8); 4] = [("C", 96), ("F", 97), ("L", 98), ("P", 99)];

fn letter_or_number(text: &str) -> Result<u8, NotObis> {
    LETTERS.iter().find(|(letter, _)| *letter == text).map_or_else(|| number(text), |(_, value)| Ok(*value))
}

impl fmt::Display for Obis {
    /// The groups that are there. Without A and B, or alone, the letters C, F, L and P stand for 96 to 99, as meters of the reduced form
    /// write; a number alone would be no code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.a, self.b) {
            (Some(a), Some(b)) => write!(f, "{a}-{b}:")?,
            (None, Some(b)) => write!(f, "{b}:")?,
            (Some(a), None) => write!(f, "{a}-0:")?,
            (None, None) => {}
        }
        let letter = LETTERS.iter().find(|(_, value)| *value == self.c).map(|(letter, _)| *letter);
        if let Some(letter) = letter.filter(|_| self.d.is_none() || self.b.is_none() && self.a.is_none()) {
            self.fmt_reduced(f, letter)?;
        } else {
            write!(f, "{}", self.c)?;
            self.d.map_or(Ok(()), |d| write!(f, ".{d}"))?;
        }
        self.e.map_or(Ok(()), |e| write!(f, ".{e}"))?;
        self.f.map_or(Ok(()), |history| write!(f, "*{history}"))
    }
}

impl Obis {
    fn fmt_reduced(&self, f: &mut fmt::Formatter<'_>, letter: &str) -> fmt::Result {
        match (letter, self.d) {
            ("F", Some(97)) => f.write_str("F.F"),
            ("P", Some(d)) => write!(f, "P.{d:02}"),
            (_, Some(d)) => write!(f, "{letter}.{d}"),
            (_, None) => f.write_str(letter),
        }
    }
}

#[cfg(test)]
mod tests;
