//! Link layer frames of EN 13757-2 (format class FT 1.2): what stands between silence and silence on the wire.
//!
//! Always true here: a frame is handed out only when its start bytes, both lengths, its sum and its stop byte are right; what is
//! dropped is counted; one call looks at each byte at most as often as a frame is long. An answer that came whole is found whatever
//! stands before or behind it. Deliberately absent: time, and what the bytes mean. Who reads a wire tells with [`Wire`] whether
//! more may follow.

use thiserror::Error;

/// The single character: "understood".
pub const ACK: u8 = 0xE5;
/// Start of a short frame.
const SHORT: u8 = 0x10;
/// Start of a control or long frame, sent twice.
const LONG: u8 = 0x68;
/// Last byte of every frame but the single character.
const STOP: u8 = 0x16;
/// Bytes of a long frame beside those that its length field counts: start, length, length, start, sum, stop.
const FRAMING: usize = 6;
/// Bytes of a short frame.
const SHORT_LENGTH: usize = 5;
/// The largest frame: 255 counted bytes and the framing. A receive buffer never needs to hold more.
pub const MAX_FRAME: usize = 255 + FRAMING;

/// One frame as it stood on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// `E5`.
    Ack,
    /// `10 C A sum 16`.
    Short {
        /// C field: what is asked for or told.
        control: u8,
        /// A field: 1..=250 primary, 253 the selected slave, 254 and 255 all.
        address: u8,
    },
    /// `68 L L 68 C A CI data sum 16`; without data it is the control frame.
    Long {
        /// C field.
        control: u8,
        /// A field.
        address: u8,
        /// CI field: how `data` is to be read.
        ci: u8,
        /// At most 252 bytes.
        data: &'a [u8],
    },
}

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// No bytes at all.
    #[error("no bytes, expected a frame")]
    Empty,
    /// The first byte starts no frame.
    #[error("first byte {received:02X}, expected 68, 10 or E5")]
    Start {
        /// The byte.
        received: u8,
    },
    /// The byte before the C field is not the repeated start.
    #[error("byte {received:02X} behind the lengths, expected 68")]
    SecondStart {
        /// The byte.
        received: u8,
    },
    /// The two length fields differ.
    #[error("lengths {first} and {second}, expected the same twice")]
    Lengths {
        /// First length field.
        first: u8,
        /// Second length field.
        second: u8,
    },
    /// The length leaves no room for C, A and CI.
    #[error("length {received}, expected 3 to 255")]
    LengthTooSmall {
        /// The length field.
        received: u8,
    },
    /// The bytes end before the frame does.
    #[error("{received} bytes, expected {expected}")]
    Truncated {
        /// Bytes at hand.
        received: usize,
        /// Bytes the frame says it has, as far as it can be known.
        expected: usize,
    },
    /// The sum does not match: noise, or two meters on one address.
    #[error("sum {received:02X}, expected {expected:02X}")]
    Sum {
        /// As sent.
        received: u8,
        /// As it follows from the bytes.
        expected: u8,
    },
    /// The last byte is not the stop byte.
    #[error("last byte {received:02X}, expected 16")]
    Stop {
        /// The byte.
        received: u8,
    },
    /// Bytes stand behind a good frame.
    #[error("{extra} bytes behind the frame, expected none")]
    Trailing {
        /// How many.
        extra: usize,
    },
}

/// The sum of FT 1.2: all bytes from C to the last data byte, modulo 256 (EN 13757-2, 5.4).
pub fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

impl<'a> Frame<'a> {
    /// Reads exactly one frame.
    ///
    /// # Errors
    /// The first thing that is wrong, from the left.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let (frame, used) = Self::read(bytes)?;
        match bytes.len() - used {
            0 => Ok(frame),
            extra => Err(FrameError::Trailing { extra }),
        }
    }

    /// Reads the frame at the beginning of `bytes` and says how many of them it is.
    fn read(bytes: &'a [u8]) -> Result<(Self, usize), FrameError> {
        match bytes {
            [] => Err(FrameError::Empty),
            [ACK, ..] => Ok((Self::Ack, 1)),
            [SHORT, ..] => Self::read_short(bytes),
            [LONG, ..] => Self::read_long(bytes),
            [received, ..] => Err(FrameError::Start { received: *received }),
        }
    }

    fn read_short(bytes: &'a [u8]) -> Result<(Self, usize), FrameError> {
        let [_, control, address, received, stop, ..] = *bytes else {
            return Err(FrameError::Truncated { received: bytes.len(), expected: SHORT_LENGTH });
        };
        check_end(&[control, address], received, stop)?;
        Ok((Self::Short { control, address }, SHORT_LENGTH))
    }

    fn read_long(bytes: &'a [u8]) -> Result<(Self, usize), FrameError> {
        let expected = announced_length(bytes)?;
        let short_of = FrameError::Truncated { received: bytes.len(), expected };
        let Some(frame) = bytes.get(..expected) else { return Err(short_of) };
        let [_, _, _, _, counted @ .., received, stop] = frame else { return Err(short_of) };
        check_end(counted, *received, *stop)?;
        let [control, address, ci, data @ ..] = counted else { return Err(short_of) };
        Ok((Self::Long { control: *control, address: *address, ci: *ci, data }, expected))
    }

    /// The frame's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match *self {
            Self::Ack => vec![ACK],
            Self::Short { control, address } => vec![SHORT, control, address, control.wrapping_add(address), STOP],
            Self::Long { control, address, ci, data } => encode_long(control, address, ci, data),
        }
    }
}

/// Data beyond the 252 bytes that fit is not sent.
fn encode_long(control: u8, address: u8, ci: u8, data: &[u8]) -> Vec<u8> {
    let data = data.get(..usize::from(u8::MAX) - 3).unwrap_or(data);
    let length = u8::try_from(data.len() + 3).unwrap_or(u8::MAX);
    let mut bytes = vec![LONG, length, length, LONG, control, address, ci];
    bytes.extend_from_slice(data);
    let sum = sum(bytes.get(4..).unwrap_or_default());
    bytes.extend([sum, STOP]);
    bytes
}

/// Length of the whole long frame by its first four bytes, of which some may not have come yet.
fn announced_length(bytes: &[u8]) -> Result<usize, FrameError> {
    let truncated = FrameError::Truncated { received: bytes.len(), expected: FRAMING + 3 };
    let length = *bytes.get(1).ok_or(truncated)?;
    if length < 3 {
        return Err(FrameError::LengthTooSmall { received: length });
    }
    let expected = FRAMING + usize::from(length);
    let truncated = FrameError::Truncated { received: bytes.len(), expected };
    let second = *bytes.get(2).ok_or(truncated)?;
    if second != length {
        return Err(FrameError::Lengths { first: length, second });
    }
    match *bytes.get(3).ok_or(truncated)? {
        LONG => Ok(expected),
        received => Err(FrameError::SecondStart { received }),
    }
}

fn check_end(counted: &[u8], received: u8, stop: u8) -> Result<(), FrameError> {
    let expected = sum(counted);
    if received != expected {
        return Err(FrameError::Sum { received, expected });
    }
    if stop != STOP {
        return Err(FrameError::Stop { received: stop });
    }
    Ok(())
}

/// Whether more bytes may follow those at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// The frame may still be on its way.
    Open,
    /// The time for more is over, or the file ended: what is not whole now never will be.
    Silent,
}

/// What the beginning of a buffer holds. `drop` is how many bytes the caller takes off the buffer before the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<'a> {
    /// A whole frame, after `noise` bytes that belong to none.
    Frame {
        /// The frame.
        frame: Frame<'a>,
        /// Bytes before it.
        noise: usize,
        /// Noise and frame together.
        drop: usize,
    },
    /// Something that began like a long frame and is none; `drop` leads to the next place where one may begin.
    Damaged {
        /// What is wrong with it.
        error: FrameError,
        /// At least one.
        drop: usize,
    },
    /// A frame may have begun behind `drop` bytes of noise; at least `missing` more bytes are needed to tell.
    NeedMore {
        /// Bytes before the beginning.
        drop: usize,
        /// At least one.
        missing: usize,
    },
}

/// Finds the next frame in what was received so far.
///
/// While the wire is open, a beginning that is not complete waits for its rest. Once it is silent, such a beginning was noise and
/// what stands behind it is looked at too. A single character counts only at the very beginning, or behind the 00 and FF of a line
/// that was turned round: inside of noise any byte may look like it.
pub fn next(buffer: &[u8], wire: Wire) -> Next<'_> {
    let noise = candidate(buffer, 0);
    let rest = buffer.get(noise..).unwrap_or_default();
    match Frame::read(rest) {
        Ok((frame, used)) => Next::Frame { frame, noise, drop: noise + used },
        Err(FrameError::Truncated { received, expected }) if wire == Wire::Open => {
            Next::NeedMore { drop: noise, missing: expected.saturating_sub(received).max(1) }
        }
        Err(FrameError::Empty) => Next::NeedMore { drop: noise, missing: 1 },
        Err(error) => Next::Damaged { error, drop: resume(buffer, noise + 1) },
    }
}

/// First place from `from` on at which a frame may begin; the end of the buffer if there is none.
fn candidate(buffer: &[u8], from: usize) -> usize {
    let rest = buffer.get(from..).unwrap_or_default();
    let turned = rest.iter().take_while(|byte| matches!(byte, 0x00 | 0xFF)).count();
    match rest.get(turned) {
        Some(&ACK) => from + turned,
        _ => resume(buffer, from),
    }
}

/// As [`candidate`], behind bytes that were no frame: a single character is not believed there.
fn resume(buffer: &[u8], from: usize) -> usize {
    let rest = buffer.get(from..).unwrap_or_default();
    (0..rest.len()).find(|at| begins(rest.get(*at..).unwrap_or_default())).map_or(buffer.len(), |at| from + at)
}

/// Whether a short or long frame, or the beginning of one, stands here. A long one counts by its two start bytes alone, so that a
/// wrong length or sum is told.
fn begins(bytes: &[u8]) -> bool {
    match bytes.first() {
        Some(&LONG) => bytes.get(3).is_none_or(|second| *second == LONG),
        Some(&SHORT) => matches!(Frame::read(bytes), Ok(_) | Err(FrameError::Truncated { .. })),
        _ => false,
    }
}
