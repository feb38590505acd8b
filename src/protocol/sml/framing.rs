//! Transport protocol version 1 (SML 1.04 clause 8): `1B1B1B1B 01010101`, data, fill bytes, `1B1B1B1B 1A pp cc cc`.
//!
//! Always true here: an end is an end only where the check sum fits; so an escaped 1B1B1B1B in the data, or a stray 1B before it, never
//! cuts a telegram, and a start sequence that belongs to the data never begins one. A telegram that came whole is found whatever was
//! lost before it. Deliberately absent: transport version 2.

use super::Error;
use super::message::Telegram;
use crate::protocol::checksum::{crc16_kermit, crc16_x25};
use crate::protocol::stream::{self, Bit7, Scan};

const ESCAPE: [u8; 4] = [0x1B; 4];
const START: [u8; 8] = [0x1B, 0x1B, 0x1B, 0x1B, 1, 1, 1, 1];
/// Escape, 1A, number of fill bytes, check sum.
const END_LEN: usize = 8;
const MOST_INNER_STARTS: usize = 4;
/// At most 3 are needed to fill up to a multiple of 4; some DZG meters send 4.
const MOST_FILL: u8 = 4;

/// Which check sum the meter sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CrcKind {
    /// CRC-16/X.25, low byte first, as the standard has it.
    #[default]
    X25,
    /// CRC-16/KERMIT, high byte first: some Holley meters. Only where configured; accepting both would weaken the check.
    Kermit,
}

impl CrcKind {
    /// Whether `sum` as sent is the check sum of `bytes`.
    pub(super) fn fits(self, bytes: &[u8], sum: [u8; 2]) -> bool {
        match self {
            Self::X25 => crc16_x25(bytes).to_le_bytes() == sum,
            Self::Kermit => crc16_kermit(bytes).to_be_bytes() == sum,
        }
    }
}

/// How to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Check sum of transport and messages.
    pub crc: CrcKind,
    /// Whether a telegram is refused when the check sum of one of its messages does not fit. The transport check sum covers the same
    /// bytes; captures whose owners blotted out a serial number have only that one right.
    pub message_crc: bool,
    /// Longest telegram in bytes.
    pub longest: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { crc: CrcKind::default(), message_crc: false, longest: 16 * 1024 }
    }
}

/// The framing of SML, for [`stream::Stream`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Framing {
    options: Options,
}

/// The next place to look at.
#[derive(Debug, Default)]
pub struct State {
    at: usize,
}

type Found = Scan<Telegram, Error>;

impl Framing {
    /// With these options.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// Whether the telegram that begins at `start` ends with the end sequence at `end`: number of fill bytes.
    fn ends(&self, bytes: &[u8], start: usize, end: usize) -> Option<u8> {
        let fill = bytes.get(end + 5).copied().filter(|fill| *fill <= MOST_FILL)?;
        let sum = [*bytes.get(end + 6)?, *bytes.get(end + 7)?];
        let aligned = end.checked_sub(start)?.is_multiple_of(4);
        let fits = aligned && self.options.crc.fits(bytes.get(start..end + 6)?, sum);
        fits.then_some(fill)
    }

    /// An end sequence stands at `end`.
    fn end(&self, bytes: &[u8], end: usize) -> Option<Found> {
        if let Some(fill) = self.ends(bytes, 0, end) {
            let data = bytes.get(START.len()..end.saturating_sub(usize::from(fill))).unwrap_or_default();
            let telegram = Telegram::read(&unescape(data), self.options.crc);
            return Some(match telegram.wrong_message_crc() {
                Some(message) if self.options.message_crc => Scan::Broken(end + END_LEN, Error::MessageCrc(message)),
                _ => Scan::Telegram(end + END_LEN, telegram),
            });
        }
        let inner = inner_starts(bytes.get(..end)?).find(|inner| self.ends(bytes, *inner, end).is_some())?;
        Some(Scan::Broken(inner, Error::Restart(inner)))
    }

    fn step(&self, bytes: &[u8], state: &mut State) -> Option<Found> {
        let tail = bytes.get(state.at..).unwrap_or_default();
        if tail.first() == Some(&0x1B) {
            if START.len() > tail.len() && START.starts_with(tail) || is_cut_end(tail) {
                return Some(Scan::More);
            }
            let found = match tail {
                [0x1B, 0x1B, 0x1B, 0x1B, 0x1A, ..] => self.end(bytes, state.at),
                _ if tail.starts_with(&START) && !is_escaped(bytes, state.at) => {
                    Some(Scan::Broken(state.at, Error::Restart(state.at)))
                }
                _ => None,
            };
            if found.is_some() {
                return found;
            }
        }
        state.at += 1;
        None
    }
}

/// Whether these bytes are the beginning of an end sequence whose rest has not come yet.
fn is_cut_end(tail: &[u8]) -> bool {
    tail.len() < END_LEN && tail.iter().zip([0x1B, 0x1B, 0x1B, 0x1B, 0x1A]).all(|(byte, expected)| *byte == expected)
}

/// Whether the sequence at `place` follows another escape: then it may be data that was escaped, and only a check sum can tell.
fn is_escaped(bytes: &[u8], place: usize) -> bool {
    place.checked_sub(4).and_then(|before| bytes.get(before..place)) == Some(&ESCAPE) && place > START.len()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Start sequences after the first byte, the last ones first: those that may be data. So few are tried that work stays bounded.
fn inner_starts(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let places = (1..bytes.len()).rev();
    places.filter(|place| bytes.get(*place..).is_some_and(|tail| tail.starts_with(&START))).take(MOST_INNER_STARTS)
}

/// Where the tail could be the beginning of a start sequence that has not come whole.
fn cut_start(bytes: &[u8]) -> usize {
    let longest = (1..START.len()).rev().find(|len| bytes.ends_with(START.get(..*len).unwrap_or_default()));
    bytes.len() - longest.unwrap_or(0)
}

/// Halves every doubled escape.
fn unescape(data: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some((byte, after)) = rest.split_first() {
        if rest.starts_with(&ESCAPE) && rest.get(4..).is_some_and(|second| second.starts_with(&ESCAPE)) {
            plain.extend(ESCAPE);
            rest = rest.get(8..).unwrap_or_default();
        } else {
            plain.push(*byte);
            rest = after;
        }
    }
    plain
}

impl stream::Framing for Framing {
    type Telegram = Telegram;
    type Error = Error;
    type State = State;

    fn scan(&self, bytes: &[u8], state: &mut State, ended: bool) -> Found {
        if state.at == 0 {
            match find(bytes, &START) {
                Some(0) => state.at = START.len(),
                Some(start) => return Scan::Drop(start),
                None => match cut_start(bytes) {
                    0 if ended => return Scan::Drop(bytes.len()),
                    0 => return Scan::More,
                    noise => return Scan::Drop(noise),
                },
            }
        }
        while state.at < bytes.len() {
            match self.step(bytes, state) {
                Some(Scan::More) if ended => state.at += 1,
                Some(found) => return found,
                None => {}
            }
        }
        if ended { Scan::Broken(bytes.len(), Error::Unfinished(bytes.len())) } else { Scan::More }
    }

    fn longest(&self) -> usize {
        self.options.longest
    }

    fn give_up(&self, state: &State) -> (usize, Error) {
        (state.at, Error::Oversize(self.options.longest))
    }

    fn bit7(&self) -> Bit7 {
        Bit7::Keep
    }
}
