//! Modbus frames in captured bytes: serial ones by their check sum (Modbus over Serial Line V1.02, 2.5.1), those of TCP by their
//! header (Modbus Messaging on TCP/IP V1.0b, 3.1).
//!
//! Always true here: a serial frame has a length that the standard allows for its function and a check sum that fits, so it is found
//! without the silences that a capture has lost; a TCP frame has protocol 0 and a length that fits a PDU. Bytes that are neither are
//! noise. Deliberately absent: the live bus, which frames by time and by the question asked, and what a frame means
//! (see [`super::dialogue`]).

use super::length::{self, Unfit};
use crate::protocol::checksum::crc16_modbus;
use crate::protocol::stream::{self, Bit7, Scan};

/// Function code and data.
pub const LONGEST_PDU: usize = 253;
/// Unit id, PDU, check sum.
const LONGEST_RTU: usize = 1 + LONGEST_PDU + 2;
/// Transaction, protocol, length.
const TCP_HEAD: usize = 6;
const LONGEST_TCP: usize = TCP_HEAD + 1 + LONGEST_PDU;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adu {
    /// Pairs answer and request; `None` on serial lines.
    pub transaction: Option<u16>,
    /// Unit id.
    pub unit: u8,
    /// Function code and data, at least the former.
    pub pdu: Box<[u8]>,
}

/// Why bytes that were framed are no telegram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The capture ends within a TCP frame.
    #[error("{received} bytes, expected {expected}")]
    Truncated {
        /// Bytes at hand.
        received: usize,
        /// Bytes that the header announces.
        expected: usize,
    },
    /// The check sum of a serial frame does not fit.
    #[error("check sum is {received:04X}, expected {calculated:04X}")]
    Crc {
        /// As received.
        received: u16,
        /// As calculated.
        calculated: u16,
    },
}

/// The framing of serial lines, for [`stream::Stream`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Rtu;

/// The framing of TCP, for [`stream::Stream`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Rtu {
    /// Whether bytes that are known to be one frame have a check sum that fits.
    ///
    /// # Errors
    /// [`Error::Truncated`] for less than the shortest frame, [`Error::Crc`].
    pub fn check(frame: &[u8]) -> Result<(), Error> {
        let Some((body, sum)) = frame.split_last_chunk().filter(|(body, _)| body.len() >= 2) else {
            return Err(Error::Truncated { received: frame.len(), expected: 4 });
        };
        let (received, calculated) = (u16::from_le_bytes(*sum), crc16_modbus(body));
        if received == calculated { Ok(()) } else { Err(Error::Crc { received, calculated }) }
    }
}

impl stream::Framing for Rtu {
    type Telegram = Adu;
    type Error = Error;
    type State = ();

    fn scan(&self, bytes: &[u8], (): &mut (), ended: bool) -> Scan<Adu, Error> {
        let Some((unit, rest)) = bytes.split_first() else { return Scan::More };
        let mut undecided = false;
        for pdu in [length::request(rest), length::answer(rest)] {
            match pdu {
                Ok(pdu) if pdu <= LONGEST_PDU => match bytes.get(..pdu + 3) {
                    Some(frame) if Self::check(frame).is_ok() => {
                        let pdu = rest.get(..pdu).unwrap_or_default().into();
                        return Scan::Telegram(frame.len(), Adu { transaction: None, unit: *unit, pdu });
                    }
                    Some(_) => {}
                    None => undecided = true,
                },
                Ok(_) | Err(Unfit::No) => {}
                Err(Unfit::More) => undecided = true,
            }
        }
        if undecided && !ended && bytes.len() < LONGEST_RTU { Scan::More } else { Scan::Drop(1) }
    }

    fn longest(&self) -> usize {
        LONGEST_RTU
    }

    fn give_up(&self, (): &()) -> (usize, Error) {
        (1, Error::Truncated { received: LONGEST_RTU, expected: LONGEST_RTU })
    }

    fn bit7(&self) -> Bit7 {
        Bit7::Keep
    }
}

impl stream::Framing for Tcp {
    type Telegram = Adu;
    type Error = Error;
    type State = ();

    fn scan(&self, bytes: &[u8], (): &mut (), ended: bool) -> Scan<Adu, Error> {
        let [t0, t1, p0, p1, l0, l1, rest @ ..] = bytes else { return if ended { Scan::Drop(1) } else { Scan::More } };
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        if (*p0, *p1) != (0, 0) || !(2..=LONGEST_PDU + 1).contains(&length) {
            return Scan::Drop(1);
        }
        match rest.get(..length).and_then(<[u8]>::split_first) {
            Some((unit, pdu)) => {
                let transaction = Some(u16::from_be_bytes([*t0, *t1]));
                Scan::Telegram(TCP_HEAD + length, Adu { transaction, unit: *unit, pdu: pdu.into() })
            }
            None if ended => Scan::Broken(bytes.len(), Error::Truncated { received: bytes.len(), expected: TCP_HEAD + length }),
            None => Scan::More,
        }
    }

    fn longest(&self) -> usize {
        LONGEST_TCP
    }

    fn give_up(&self, (): &()) -> (usize, Error) {
        (1, Error::Truncated { received: LONGEST_TCP, expected: LONGEST_TCP })
    }

    fn bit7(&self) -> Bit7 {
        Bit7::Keep
    }
}
