//! Where a P1 telegram begins and ends.
//!
//! Always true here: it begins with an identification line and ends with "!" at the beginning of a line, up to four hex digits and a
//! line end. A second identification within a telegram says that the first was cut off, unless the check sum proves otherwise.

use super::Error;
use super::telegram::{Check, Telegram};
use crate::protocol::checksum::crc16_arc;
use crate::protocol::iec62056::ident::{Alphabet, Line, find_start, line};
use crate::protocol::stream::{self, Bit7, Scan};

/// Which check sums are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CrcRule {
    /// Only telegrams with a check sum that fits.
    Strict,
    /// A check sum that came must fit; versions before V4 send none.
    #[default]
    WhenSent,
    /// None is looked at.
    Ignore,
}

/// How to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Check sum.
    pub crc: CrcRule,
    /// V2 and V3 send 7E1; from V4 on bit 7 belongs to the byte.
    pub bit7: Bit7,
    /// Longest telegram in bytes; a text message alone may have 2048.
    pub longest: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { crc: CrcRule::default(), bit7: Bit7::Keep, longest: 16 * 1024 }
    }
}

/// The framing of P1, for [`stream::Stream`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Framing {
    options: Options,
}

/// What is known of the telegram that begins at the first byte.
#[derive(Debug, Default)]
pub struct State {
    begun: bool,
    at: usize,
    /// The last identification line within.
    inner: Option<usize>,
}

/// What follows the "!" of an end mark.
enum Tail {
    Undecided,
    None,
    Crc { received: Option<u16>, len: usize },
}

type Found = Scan<Telegram, Error>;

impl Framing {
    /// With these options.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    fn begin(bytes: &[u8], state: &mut State, ended: bool) -> Option<Found> {
        match find_start(bytes, Alphabet::Lenient, Some(CIPHERED)) {
            None => return Some(Scan::Drop(bytes.len())),
            Some(0) if bytes.first() == Some(&CIPHERED) => return Some(ciphered(bytes, ended)),
            Some(0) => {}
            Some(start) => return Some(Scan::Drop(start)),
        }
        match line(bytes, Alphabet::Lenient) {
            Line::Whole { len, .. } => state.at = len - 1,
            _ if ended => return Some(Scan::Drop(1)),
            _ => return Some(Scan::More),
        }
        state.begun = true;
        None
    }

    fn step(&self, bytes: &[u8], state: &mut State, ended: bool) -> Option<Found> {
        let tail = bytes.get(state.at..).unwrap_or_default();
        let after_line_end = matches!(bytes.get(state.at.wrapping_sub(1)), Some(b'\r' | b'\n'));
        match tail.first() {
            Some(b'/') => match line(tail, Alphabet::Lenient) {
                Line::Whole { .. } => state.inner = Some(state.at),
                Line::Undecided if !ended => return Some(Scan::More),
                _ => {}
            },
            Some(b'!') if after_line_end => match check_sum(tail, ended) {
                Tail::Undecided => return Some(Scan::More),
                Tail::None => return Some(state.inner.map_or(Scan::Broken(state.at + 1, Error::End), Scan::Drop)),
                Tail::Crc { received, len } => return Some(self.end(bytes, state, received, state.at + len)),
            },
            _ => {}
        }
        state.at += 1;
        None
    }

    /// The "!" is at `state.at`, the telegram has `len` bytes in all.
    fn end(&self, bytes: &[u8], state: &State, received: Option<u16>, len: usize) -> Found {
        let body = bytes.get(..=state.at).unwrap_or_default();
        let fits = received.is_some_and(|received| received == crc16_arc(body));
        if let Some(inner) = state.inner
            && !fits
        {
            return Scan::Drop(inner);
        }
        let check = match received {
            None => Check::NotSent,
            Some(_) if fits => Check::Good,
            Some(received) => Check::Wrong { received, calculated: crc16_arc(body) },
        };
        let telegram = Telegram::read(body, check);
        match self.refusal(&telegram) {
            Some(error) => Scan::Broken(len, error),
            None => Scan::Telegram(len, telegram),
        }
    }

    fn refusal(&self, telegram: &Telegram) -> Option<Error> {
        match (self.options.crc, telegram.check) {
            (CrcRule::Ignore, _) | (_, Check::Good) => None,
            (_, Check::Wrong { received, calculated }) => Some(Error::Crc { received, calculated }),
            (CrcRule::Strict, Check::NotSent) => Some(Error::CrcMissing),
            (CrcRule::WhenSent, Check::NotSent) => telegram.promises_crc().then_some(Error::CrcMissing),
        }
    }
}

/// Tag of an encrypted frame (IEC 62056-53, general-glo-ciphering).
const CIPHERED: u8 = 0xDB;
/// Bytes of it up to the security byte.
const CIPHERED_HEAD: usize = 14;

/// An encrypted frame: tag, length 8 and system title, which begins with three letters, length in two bytes, security 30. Its content is
/// noise to us, but that there is one is worth a word.
fn ciphered(bytes: &[u8], ended: bool) -> Found {
    let fits = |(place, byte): (usize, &u8)| match place {
        1 => *byte == 8,
        2..=4 => byte.is_ascii_uppercase(),
        10 => *byte == 0x82,
        13 => *byte == 0x30,
        _ => true,
    };
    match bytes.get(..CIPHERED_HEAD) {
        _ if !bytes.iter().take(CIPHERED_HEAD).enumerate().all(fits) => Scan::Drop(1),
        Some(_) => Scan::Broken(CIPHERED_HEAD, Error::Encrypted),
        None if ended => Scan::Drop(1),
        None => Scan::More,
    }
}

/// Reads what follows "!": up to four hex digits (some meters drop leading zeros) and a line end, or the end of everything.
fn check_sum(tail: &[u8], ended: bool) -> Tail {
    let after = tail.get(1..).unwrap_or_default();
    let digits = after.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let end = match (after.get(digits), after.get(digits + 1)) {
        _ if digits > 4 => return Tail::None,
        (None, _) | (Some(b'\r'), None) if !ended => return Tail::Undecided,
        (Some(b'\r'), Some(b'\n')) => digits + 3,
        (Some(b'\r' | b'\n'), _) => digits + 2,
        (None, _) => digits + 1,
        _ => return Tail::None,
    };
    let text = after.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok());
    Tail::Crc { received: text.and_then(|text| u16::from_str_radix(text, 16).ok()), len: end }
}

impl stream::Framing for Framing {
    type Telegram = Telegram;
    type Error = Error;
    type State = State;

    fn scan(&self, bytes: &[u8], state: &mut State, ended: bool) -> Found {
        if !state.begun
            && let Some(found) = Self::begin(bytes, state, ended)
        {
            return found;
        }
        while state.at < bytes.len() {
            if let Some(found) = self.step(bytes, state, ended) {
                return found;
            }
        }
        Scan::More
    }

    fn longest(&self) -> usize {
        self.options.longest
    }

    fn give_up(&self, state: &State) -> (usize, Error) {
        (state.inner.unwrap_or(state.at), Error::Oversize(self.options.longest))
    }

    fn bit7(&self) -> Bit7 {
        self.options.bit7
    }
}
