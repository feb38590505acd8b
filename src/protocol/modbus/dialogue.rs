//! What the frames of a capture mean, each in the light of the requests before it.
//!
//! Always true here: an answer is one because of its form, or, where requests have the same form, because a request to its unit, with its
//! function (on TCP also with its transaction), waits for it; addresses of an answer are those of that request and otherwise unknown.
//! The number of requests remembered is bounded. Deliberately absent: time, and scaling.

use std::collections::VecDeque;

use super::frame::Adu;
use super::length;

/// Requests that may wait for answers; masters on TCP have 16 in flight at most (Messaging on TCP/IP V1.0b, 4.4.1).
const MOST_WAITING: usize = 64;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The master.
    Request,
    /// The unit.
    Answer,
}

/// One of the four tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Functions 1, 5 and 15.
    Coil,
    /// Function 2.
    DiscreteInput,
    /// Functions 3, 6, 16 and 23.
    HoldingRegister,
    /// Function 4.
    InputRegister,
}

/// What a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// So many from this 0-based address are asked for, or were written.
    Range {
        /// First address.
        address: u16,
        /// How many.
        count: u16,
    },
    /// Bits of a table, from this address where it is known. Without a request the last byte's fill bits are among them.
    Bits(Table, Option<u16>, Vec<bool>),
    /// Registers of a table, from this address where it is known.
    Registers(Table, Option<u16>, Vec<u16>),
    /// The unit refuses, with this code.
    Exception(u8),
    /// The data of any other function.
    Other(Box<[u8]>),
}

/// One frame understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telegram {
    /// Who speaks.
    pub direction: Direction,
    /// Without the bit that marks an exception.
    pub function: u8,
    /// What it says.
    pub body: Body,
}

/// A request whose answer has not come.
#[derive(Debug)]
struct Waiting {
    transaction: Option<u16>,
    unit: u8,
    function: u8,
    range: Option<(u16, u16)>,
}

/// Reads the frames of one line or connection in the order they came.
#[derive(Debug, Default)]
pub struct Dialogue {
    waiting: VecDeque<Waiting>,
}

/// The words of the standard for exception codes (V1.1b3, 7).
#[must_use]
pub fn exception_name(code: u8) -> &'static str {
    match code {
        1 => "illegal function",
        2 => "illegal data address",
        3 => "illegal data value",
        4 => "device failure",
        5 => "acknowledge, the answer takes longer",
        6 => "device busy",
        7 => "negative acknowledge",
        8 => "memory parity error",
        10 => "gateway path unavailable",
        11 => "gateway target does not answer",
        _ => "a code of the maker",
    }
}

impl Dialogue {
    /// What the next frame says.
    pub fn read(&mut self, adu: &Adu) -> Telegram {
        let code = adu.pdu.first().copied().unwrap_or_default();
        let function = code & 0x7F;
        let asked = self.waiting.iter().position(|waiting| waiting.fits(adu, function));
        if direction(adu, asked.is_some()) == Direction::Request {
            self.remember(adu, function);
            return Telegram { direction: Direction::Request, function, body: request(function, &adu.pdu) };
        }
        let range = asked.and_then(|place| self.waiting.remove(place)).and_then(|waiting| waiting.range);
        let body = match adu.pdu.get(1) {
            Some(exception) if code & 0x80 != 0 => Body::Exception(*exception),
            _ => answer(function, &adu.pdu, range),
        };
        Telegram { direction: Direction::Answer, function, body }
    }

    /// A master on a serial line has one request at a time.
    fn remember(&mut self, adu: &Adu, function: u8) {
        if adu.transaction.is_none() || self.waiting.len() >= MOST_WAITING {
            self.waiting.pop_front();
        }
        let range = asked_range(function, &adu.pdu);
        self.waiting.push_back(Waiting { transaction: adu.transaction, unit: adu.unit, function, range });
    }
}

/// By the form, and where that fits both or none by what is awaited.
fn direction(adu: &Adu, awaited: bool) -> Direction {
    let whole = Ok(adu.pdu.len());
    match (length::request(&adu.pdu) == whole, length::answer(&adu.pdu) == whole) {
        (true, false) => Direction::Request,
        (false, true) => Direction::Answer,
        _ if awaited || adu.pdu.first().is_some_and(|code| code & 0x80 != 0) => Direction::Answer,
        _ => Direction::Request,
    }
}

impl Waiting {
    fn fits(&self, adu: &Adu, function: u8) -> bool {
        (self.transaction, self.unit, self.function) == (adu.transaction, adu.unit, function)
    }
}

fn word(pdu: &[u8], place: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*pdu.get(place)?, *pdu.get(place + 1)?]))
}

fn asked_range(function: u8, pdu: &[u8]) -> Option<(u16, u16)> {
    matches!(function, 1..=4 | 23).then(|| Some((word(pdu, 1)?, word(pdu, 3)?))).flatten()
}

fn table(function: u8) -> Table {
    match function {
        1 | 5 | 15 => Table::Coil,
        2 => Table::DiscreteInput,
        4 => Table::InputRegister,
        _ => Table::HoldingRegister,
    }
}

fn registers(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).filter_map(|pair| word(pair, 0)).collect()
}

/// Bit 0 of the first byte first.
fn bits(bytes: &[u8], count: usize) -> Vec<bool> {
    bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 != 0)).take(count).collect()
}

fn other(pdu: &[u8]) -> Body {
    Body::Other(pdu.get(1..).unwrap_or_default().into())
}

fn request(function: u8, pdu: &[u8]) -> Body {
    let body = || {
        let (address, second) = (word(pdu, 1)?, word(pdu, 3)?);
        let data = pdu.get(6..);
        Some(match function {
            1..=4 => Body::Range { address, count: second },
            5 => Body::Bits(Table::Coil, Some(address), vec![second != 0]),
            6 => Body::Registers(Table::HoldingRegister, Some(address), vec![second]),
            15 => Body::Bits(Table::Coil, Some(address), bits(data?, usize::from(second))),
            16 => Body::Registers(Table::HoldingRegister, Some(address), registers(data?)),
            23 => Body::Registers(Table::HoldingRegister, word(pdu, 5), registers(pdu.get(10..)?)),
            _ => return None,
        })
    };
    let whole = length::request(pdu) == Ok(pdu.len());
    body().filter(|_| whole).unwrap_or_else(|| other(pdu))
}

fn answer(function: u8, pdu: &[u8], range: Option<(u16, u16)>) -> Body {
    let data = pdu.get(2..).unwrap_or_default();
    let address = range.map(|(address, _)| address);
    match function {
        _ if length::answer(pdu) != Ok(pdu.len()) => other(pdu),
        1 | 2 => {
            let asked = range.map(|(_, count)| usize::from(count)).filter(|count| count.div_ceil(8) == data.len());
            Body::Bits(table(function), address, bits(data, asked.unwrap_or(8 * data.len())))
        }
        3 | 4 | 23 => Body::Registers(table(function), address, registers(data)),
        15 | 16 => match (word(pdu, 1), word(pdu, 3)) {
            (Some(address), Some(count)) => Body::Range { address, count },
            _ => other(pdu),
        },
        5 | 6 => request(function, pdu),
        _ => other(pdu),
    }
}
