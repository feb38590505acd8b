//! Where a read-out begins and ends in a stream of bytes.
//!
//! Always true here: a telegram begins with an identification line or STX. With STX it ends with ETX and the block check, which may
//! be any byte; without, with a "!" at the end of a line. A new beginning within a telegram says that the old one was cut off.
//! Echoes of what we sent ("/?...!", ACK ...), NUL and 0x7F before or between are noise. Deliberately absent: time.

use super::Error;
use super::ident::{self, Alphabet, Identification, Line};
use super::telegram::{Check, Telegram};
use crate::protocol::checksum::bcc;
use crate::protocol::stream::{self, Bit7, Scan};

const STX: u8 = 0x02;
const ETX: u8 = 0x03;

/// Which block checks are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BccRule {
    /// Only telegrams with a block check that fits: for meters of modes B and C.
    Strict,
    /// A block check that came must fit; modes without one are accepted, and captures that lost it.
    #[default]
    WhenSent,
    /// None is looked at: for meters that are known to send a wrong one.
    Ignore,
}

/// How to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Block check.
    pub bcc: BccRule,
    /// Bit 7 of what the adapter delivers.
    pub bit7: Bit7,
    /// Whether rows of load profiles and logs become items of their data set; they are counted in any case.
    pub keep_rows: bool,
    /// Longest telegram in bytes.
    pub longest: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { bcc: BccRule::default(), bit7: Bit7::Strip, keep_rows: false, longest: 64 * 1024 }
    }
}

/// The framing of IEC 62056-21 read-outs, for [`stream::Stream`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Framing {
    options: Options,
}

/// What is known of the telegram that begins at the first byte.
#[derive(Debug, Default)]
pub struct State {
    begun: bool,
    /// Length of the identification line, if there is one.
    ident: usize,
    /// Next byte to look at.
    at: usize,
    /// Place of STX.
    stx: Option<usize>,
    /// Place of the "!" that ended a line after STX.
    bang: Option<usize>,
    /// A bracket was opened, so data has begun.
    data: bool,
}

type Found = Scan<Telegram, Error>;

impl Framing {
    /// With these options.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    fn begin(bytes: &[u8], state: &mut State, ended: bool) -> Option<Found> {
        let Some(start) = ident::find_start(bytes, Alphabet::Printable, Some(STX)) else { return Some(Scan::Drop(bytes.len())) };
        if start > 0 {
            return Some(Scan::Drop(start));
        }
        match ident::line(bytes, Alphabet::Printable) {
            Line::Undecided if ended => return Some(Scan::Drop(1)),
            Line::Undecided => return Some(Scan::More),
            Line::Whole { len, .. } => (state.ident, state.at) = (len, len),
            Line::None => {}
        }
        state.begun = true;
        None
    }

    /// Looks at the byte at `state.at`; `None` goes on with the next one.
    fn step(&self, bytes: &[u8], state: &mut State, ended: bool) -> Option<Found> {
        let at = state.at;
        let tail = bytes.get(at..).unwrap_or_default();
        if state.bang.is_some() && !matches!(tail.first(), Some(b'\r' | b'\n' | &ETX | 0)) {
            return Some(self.unprotected(bytes, state, at, Check::Missing));
        }
        match tail.first()? {
            &STX if state.stx.is_some() || state.data => return Some(Scan::Drop(at)),
            &STX => state.stx = Some(at),
            &ETX => return Some(self.block_end(bytes, state, at, ended)),
            b'(' => state.data = true,
            b'/' if at > 0 => match ident::line(tail, Alphabet::Printable) {
                Line::Whole { .. } => return Some(Scan::Drop(at)),
                Line::Undecided if !ended => return Some(Scan::More),
                _ => {}
            },
            b'!' => return self.end_mark(bytes, state, at, ended),
            _ => {}
        }
        state.at += 1;
        None
    }

    /// A "!" ends the data only at the end of its line: within a line it may be part of anything.
    fn end_mark(&self, bytes: &[u8], state: &mut State, at: usize, ended: bool) -> Option<Found> {
        let end = match (bytes.get(at + 1), bytes.get(at + 2)) {
            (None, _) | (Some(b'\r'), None) if !ended => return Some(Scan::More),
            (Some(b'\r'), Some(b'\n')) => at + 3,
            (Some(b'\r' | b'\n'), _) => at + 2,
            (None | Some(&ETX), _) => at + 1,
            _ => {
                state.at += 1;
                return None;
            }
        };
        if state.stx.is_none() {
            return Some(self.unprotected(bytes, state, end, Check::NotSent));
        }
        state.bang = Some(at);
        state.at = end;
        None
    }

    /// ETX at `at`; the block check behind it may be any byte.
    fn block_end(&self, bytes: &[u8], state: &State, at: usize, ended: bool) -> Found {
        let Some(stx) = state.stx else { return Scan::Broken(at + 1, Error::Truncated) };
        let Some(received) = bytes.get(at + 1).copied() else {
            return if ended { self.unprotected(bytes, state, at + 1, Check::Missing) } else { Scan::More };
        };
        let calculated = bcc(bytes.get(stx + 1..=at).unwrap_or_default());
        let check = if received == calculated { Check::Good } else { Check::Wrong { received, calculated } };
        // What was taken for a block check may be the beginning of the next telegram, so it is not consumed with a broken one.
        match check {
            Check::Wrong { .. } if self.options.bcc != BccRule::Ignore => Scan::Broken(at + 1, Error::Bcc { received, calculated }),
            _ if state.bang.is_none() && self.options.bcc == BccRule::Strict => Scan::Broken(at + 1, Error::Truncated),
            _ => Scan::Telegram(at + 2, self.read(bytes, state, at, check)),
        }
    }

    /// A telegram of `len` bytes that no block check protects.
    fn unprotected(&self, bytes: &[u8], state: &State, len: usize, check: Check) -> Found {
        if self.options.bcc == BccRule::Strict {
            return Scan::Broken(len, Error::BccMissing);
        }
        let telegram = self.read(bytes, state, len, check);
        if telegram.sets.is_empty() { Scan::Drop(len) } else { Scan::Telegram(len, telegram) }
    }

    fn read(&self, bytes: &[u8], state: &State, end: usize, check: Check) -> Telegram {
        let ident = match ident::line(bytes, Alphabet::Printable) {
            Line::Whole { text, .. } => bytes.get(1..=text).and_then(|text| Identification::parse(&String::from_utf8_lossy(text))),
            _ => None,
        };
        let start = state.stx.map_or(state.ident, |stx| stx + 1);
        Telegram::read(ident, check, bytes.get(start..end).unwrap_or_default(), self.options.keep_rows)
    }
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
        match state.bang {
            Some(_) if ended => self.unprotected(bytes, state, bytes.len(), Check::Missing),
            _ => Scan::More,
        }
    }

    fn longest(&self) -> usize {
        self.options.longest
    }

    fn give_up(&self, state: &State) -> (usize, Error) {
        (state.at, Error::Oversize(self.options.longest))
    }

    fn bit7(&self) -> Bit7 {
        self.options.bit7
    }
}
