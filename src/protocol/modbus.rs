//! How the registers of a Modbus answer become a raw value: encodings, byte orders, bit fields.
//!
//! Always true here: exactly as many registers as the layout is wide are read, or nothing; digits that are none and text that is
//! none are an error, never a guess. Deliberately absent: requests (the bus has them), scaling, marks for "no value"
//! (see [`crate::driver::scaling`]).
//!
//! The standard fixes the order of bytes within a register, high byte first (Modbus Application Protocol V1.1b3, 4.2), and says
//! nothing about values of several registers; hence [`ByteOrder`].

pub mod dialogue;
pub mod frame;
mod length;

use std::fmt;

use crate::config::model::{ByteOrder, Encoding, Layout};

/// A value as the meter holds it, before scaling.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// Two's complement of 16, 32 or 64 bits.
    Int(i64),
    /// Unsigned of 16, 32 or 64 bits, or a bit field.
    UInt(u64),
    /// Decimal digits (BCD).
    Digits(u32),
    /// IEEE 754 single; any bit pattern, NaN included.
    F32(f32),
    /// IEEE 754 double; any bit pattern, NaN included.
    F64(f64),
    /// A bit.
    Bool(bool),
    /// Text up to the first NUL, without trailing blanks.
    Text(Box<str>),
}

/// Why registers hold no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// So many registers came, and the layout is so many wide.
    Width {
        /// Registers given.
        received: usize,
        /// Registers of the layout.
        expected: u16,
    },
    /// A nibble of a BCD value is above 9; the bit pattern in the order of the standard.
    Digits(u32),
    /// The bytes before the first NUL are not UTF-8.
    Text,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Width { received, expected } => write!(f, "{received} registers, expected {expected}"),
            Self::Digits(pattern) => write!(f, "{pattern:#06x} holds a digit above 9"),
            Self::Text => f.write_str("text is not UTF-8"),
        }
    }
}

impl std::error::Error for Unreadable {}

/// The raw value that `registers` hold; as many of them as the layout is wide.
///
/// # Errors
/// Another number of registers, BCD digits above 9, bytes that are no text.
pub fn decode(layout: Layout, registers: &[u16]) -> Result<Raw, Unreadable> {
    match layout.encoding {
        Encoding::Text { bytes } => text(layout, bytes, registers),
        _ => number(layout, pattern(layout, registers)?),
    }
}

/// The bits of a number of up to four registers, brought into the order of the standard: the lowest bit is bit 0.
///
/// # Errors
/// Another number of registers than the layout is wide.
pub fn pattern(layout: Layout, registers: &[u16]) -> Result<u64, Unreadable> {
    check_width(layout, registers)?;
    let low_byte_first = has_low_byte_first(layout.order);
    let join = |bits: u64, register: &u16| bits << 16 | u64::from(if low_byte_first { register.swap_bytes() } else { *register });
    let low_word_first = matches!(layout.order, ByteOrder::Cdab | ByteOrder::Dcba);
    Ok(if low_word_first { registers.iter().rev().fold(0, join) } else { registers.iter().fold(0, join) })
}

/// What the bits of a number mean; `bits` comes from [`pattern`]. A bit field is cut out first.
///
/// # Errors
/// BCD digits above 9.
pub fn number(layout: Layout, bits: u64) -> Result<Raw, Unreadable> {
    let held = layout.bits.map_or(bits, |field| cut(bits, field));
    Ok(match layout.encoding {
        Encoding::Bool => Raw::Bool(held != 0),
        _ if layout.bits.is_some() => Raw::UInt(held),
        Encoding::U16 | Encoding::U32 | Encoding::U64 | Encoding::Text { .. } => Raw::UInt(held),
        Encoding::I16 => Raw::Int(extend_sign(held, 16)),
        Encoding::I32 => Raw::Int(extend_sign(held, 32)),
        Encoding::I64 => Raw::Int(held.cast_signed()),
        Encoding::F32 => Raw::F32(f32::from_bits(low_half(held))),
        Encoding::F64 => Raw::F64(f64::from_bits(held)),
        Encoding::Bcd16 => Raw::Digits(digits(low_half(held), 4)?),
        Encoding::Bcd32 => Raw::Digits(digits(low_half(held), 8)?),
    })
}

/// The bits `first` to `last` of a number, moved down to bit 0.
#[must_use]
pub fn cut(bits: u64, (first, last): (u8, u8)) -> u64 {
    let unused = 63_u32.saturating_sub(u32::from(last.saturating_sub(first)));
    bits.checked_shr(u32::from(first)).unwrap_or(0) & u64::MAX.checked_shr(unused).unwrap_or(0)
}

/// Text of so many bytes. Its registers stand in reading order in every byte order; only the bytes within them may be swapped.
fn text(layout: Layout, bytes: u16, registers: &[u16]) -> Result<Raw, Unreadable> {
    check_width(layout, registers)?;
    let low_byte_first = has_low_byte_first(layout.order);
    let pair = |register: &u16| if low_byte_first { register.to_le_bytes() } else { register.to_be_bytes() };
    let held: Vec<u8> = registers.iter().flat_map(pair).take(usize::from(bytes)).take_while(|byte| *byte != 0).collect();
    let text = str::from_utf8(&held).map_err(|_| Unreadable::Text)?;
    Ok(Raw::Text(text.trim_end_matches(' ').into()))
}

fn check_width(layout: Layout, registers: &[u16]) -> Result<(), Unreadable> {
    let expected = layout.width();
    if registers.len() == usize::from(expected) { Ok(()) } else { Err(Unreadable::Width { received: registers.len(), expected }) }
}

fn has_low_byte_first(order: ByteOrder) -> bool {
    matches!(order, ByteOrder::Badc | ByteOrder::Dcba)
}

fn extend_sign(bits: u64, width: u32) -> i64 {
    let unused = 64 - width;
    (bits << unused).cast_signed() >> unused
}

fn low_half(bits: u64) -> u32 {
    (bits & 0xFFFF_FFFF) as u32
}

/// The number that `count` BCD digits write; the digits stand in the lowest nibbles.
fn digits(pattern: u32, count: u32) -> Result<u32, Unreadable> {
    (0..count).rev().try_fold(0, |number, place| match pattern >> (4 * place) & 0xF {
        digit @ 0..=9 => Ok(number * 10 + digit),
        _ => Err(Unreadable::Digits(pattern)),
    })
}

#[cfg(test)]
mod tests;
