//! From a raw value to a reading: marks for "no value", floats that are no numbers, decimal factors, names of states.
//!
//! Always true here: an integer keeps every digit (scaled by a decimal factor it is a decimal, never a float); what cannot be said
//! exactly in 64 bits is missing, never rounded; a mark for "no value" never goes out as a number. A state that has no name goes
//! out as its digits: a fault code that the configuration does not know is the one that matters. Deliberately absent: where the
//! registers come from.

use crate::config::model::{Decimal, Encoding, Layout, Point, Scaling};
use crate::protocol::modbus::{self, Raw};
use crate::reading::{Quality, Reason, Value};

/// What a scale register holds where the meter has no such factor (SunSpec Information Model, `sunssf`: not implemented).
const NO_POWER: u16 = 0x8000;
/// Powers of ten that a scale register may hold (the same).
const POWERS: std::ops::RangeInclusive<i16> = -10..=10;

/// What the registers of a point say that has no power register.
#[must_use]
pub fn reading(point: &Point, registers: &[u16]) -> (Value, Quality) {
    debug_assert!(point.scaling.power_register.is_none(), "its power is to be heard first");
    raw(point, registers).map_or_else(missing, |raw| value(point, raw, 0))
}

/// The raw value in the registers of a point: as many of them as its layout is wide.
///
/// # Errors
/// [`Reason::Invalid`] for a mark, [`Reason::Malformed`] for what is no value of this layout, another number of registers included.
pub fn raw(point: &Point, registers: &[u16]) -> Result<Raw, Reason> {
    let layout = point.layout;
    let raw = match layout.encoding {
        Encoding::Text { .. } => modbus::decode(layout, registers),
        _ => match modbus::pattern(layout, registers) {
            Ok(bits) if is_mark(layout, &point.invalid, bits) => return Err(Reason::Invalid),
            Ok(bits) => modbus::number(layout, bits),
            Err(error) => Err(error),
        },
    };
    raw.map_err(|_| Reason::Malformed)
}

/// The power of ten in a scale register: two's complement, -10 to 10 (SunSpec Information Model, `sunssf`).
///
/// # Errors
/// [`Reason::Invalid`] for the mark 0x8000, [`Reason::Malformed`] for what is no power.
pub fn power(register: u16) -> Result<i8, Reason> {
    let power = register.cast_signed();
    match i8::try_from(power) {
        Ok(narrow) if POWERS.contains(&power) => Ok(narrow),
        _ if register == NO_POWER => Err(Reason::Invalid),
        _ => Err(Reason::Malformed),
    }
}

/// What a raw value of a point says; `power` is what its power register holds, or 0.
#[must_use]
pub fn value(point: &Point, raw: Raw, power: i8) -> (Value, Quality) {
    if !point.names.is_empty() {
        return (Value::Text(name(&point.names, &raw)), Quality::Good);
    }
    raised(&point.scaling, power).map_or_else(missing, |scaling| scaled(raw, &scaling))
}

/// What an item of a bit table says: itself, or its name.
#[must_use]
pub fn bit(point: &Point, on: bool) -> (Value, Quality) {
    value(point, Raw::Bool(on), 0)
}

/// The name of a raw value, or its digits where it has none.
fn name(names: &[(i128, Box<str>)], raw: &Raw) -> Box<str> {
    let number = match raw {
        Raw::Int(raw) => i128::from(*raw),
        Raw::UInt(raw) => i128::from(*raw),
        Raw::Digits(digits) => i128::from(*digits),
        Raw::Bool(on) => i128::from(*on),
        Raw::F32(raw) => return raw.to_string().into(),
        Raw::F64(raw) => return raw.to_string().into(),
        Raw::Text(text) => return text.clone(),
    };
    let known = names.binary_search_by_key(&number, |(known, _)| *known).ok().and_then(|place| names.get(place));
    known.map_or_else(|| number.to_string().into(), |(_, name)| name.clone())
}

/// The scaling with ten to the power in its factor.
fn raised(scaling: &Scaling, power: i8) -> Result<Scaling, Reason> {
    if scaling.power_register.is_none() {
        return Ok(*scaling);
    }
    let scale = scaling.scale.unwrap_or(ONE);
    let exponent = scale.exponent.checked_add(power).ok_or(Reason::Overflow)?;
    Ok(Scaling { scale: Some(Decimal { exponent, ..scale }), ..*scaling })
}

/// Applies `value = raw * scale + offset`.
#[must_use]
pub fn scaled(raw: Raw, scaling: &Scaling) -> (Value, Quality) {
    let value = match raw {
        Raw::Bool(on) => Ok(Value::Bool(on)),
        Raw::Text(text) => Ok(Value::Text(text)),
        Raw::F32(raw) => single(raw, scaling),
        Raw::F64(raw) => double(raw, scaling).map(Value::F64),
        Raw::Digits(digits) => exact(i128::from(digits), scaling),
        Raw::Int(raw) if scaling.is_identity() => Ok(Value::Int(raw)),
        Raw::UInt(raw) if scaling.is_identity() => Ok(Value::UInt(raw)),
        Raw::Int(raw) => exact(i128::from(raw), scaling),
        Raw::UInt(raw) => exact(i128::from(raw), scaling),
    };
    value.map_or_else(missing, |value| (value, Quality::Good))
}

/// No value, for this reason.
#[must_use]
pub fn missing(reason: Reason) -> (Value, Quality) {
    (Value::Missing, Quality::Bad(reason))
}

/// Whether a number is one of the point's marks for "no value".
///
/// A mark that fits the bit field or the decimal digits is compared with them, any other with all bits of the number; so `0x8000`
/// and `-32768` both mark an i16, `0xFF` a half register and `0xFFFF` the register around it, or BCD digits that are none. A float
/// is marked by its value or by its bits.
fn is_mark(layout: Layout, marks: &[i128], bits: u64) -> bool {
    marks.iter().any(|mark| match (layout.bits, layout.encoding) {
        (Some(field), _) if *mark >= 0 && *mark <= largest(field) => *mark == i128::from(modbus::cut(bits, field)),
        (_, Encoding::Bcd16) if (0..10_000).contains(mark) => is_number(layout, bits, *mark),
        (_, Encoding::Bcd32) if (0..100_000_000).contains(mark) => is_number(layout, bits, *mark),
        (_, Encoding::F32 | Encoding::F64) => is_number(layout, bits, *mark) || is_pattern(layout, bits, *mark),
        _ => is_pattern(layout, bits, *mark),
    })
}

fn largest((first, last): (u8, u8)) -> i128 {
    i128::from(modbus::cut(u64::MAX, (0, last.saturating_sub(first))))
}

/// Whether the number that the bits stand for equals the mark.
fn is_number(layout: Layout, bits: u64, mark: i128) -> bool {
    match modbus::number(layout, bits) {
        Ok(Raw::Digits(digits)) => i128::from(digits) == mark,
        Ok(Raw::F32(raw)) => f64::from(raw).to_bits() == nearest(mark).to_bits(),
        Ok(Raw::F64(raw)) => raw.to_bits() == nearest(mark).to_bits(),
        _ => false,
    }
}

/// Whether the bits are those of the mark, read as an unsigned or as a two's complement number of this width.
fn is_pattern(layout: Layout, bits: u64, mark: i128) -> bool {
    let width = 16 * u32::from(layout.width().min(4));
    let range = 1_i128 << width;
    (-range / 2..range).contains(&mark) && mark.rem_euclid(range) == i128::from(bits)
}

/// An integer scaled exactly. The exponent is that of the scale, or of the offset where it has more digits behind the point.
fn exact(raw: i128, scaling: &Scaling) -> Result<Value, Reason> {
    let scale = scaling.scale.unwrap_or(ONE);
    let product = raw.checked_mul(i128::from(scale.mantissa)).ok_or(Reason::Overflow)?;
    let (sum, exponent) = match scaling.offset {
        None => (product, scale.exponent),
        Some(offset) => add((product, scale.exponent), (i128::from(offset.mantissa), offset.exponent))?,
    };
    let mantissa = i64::try_from(sum).map_err(|_| Reason::Overflow)?;
    Ok(Value::Decimal { mantissa, exponent })
}

const ONE: Decimal = Decimal { mantissa: 1, exponent: 0 };

/// The sum of two numbers `mantissa * 10^exponent`, at the lower exponent.
fn add(left: (i128, i8), right: (i128, i8)) -> Result<(i128, i8), Reason> {
    let exponent = left.1.min(right.1);
    let lifted = |(mantissa, from): (i128, i8)| {
        let places = u32::from(from.abs_diff(exponent));
        if mantissa == 0 { Some(0) } else { 10_i128.checked_pow(places)?.checked_mul(mantissa) }
    };
    let sum = lifted(left).zip(lifted(right)).and_then(|(left, right)| left.checked_add(right));
    sum.map(|sum| (sum, exponent)).ok_or(Reason::Overflow)
}

/// A single stays a single: scaled in double precision and rounded once, so that it keeps as few digits as it came with.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding to single precision is what is wanted; too large becomes infinite and is caught"
)]
fn single(raw: f32, scaling: &Scaling) -> Result<Value, Reason> {
    if scaling.is_identity() && raw.is_finite() {
        return Ok(Value::F32(raw));
    }
    let rounded = double(f64::from(raw), scaling)? as f32;
    if rounded.is_finite() { Ok(Value::F32(rounded)) } else { Err(Reason::Overflow) }
}

fn double(raw: f64, scaling: &Scaling) -> Result<f64, Reason> {
    if !raw.is_finite() {
        return Err(Reason::NotANumber);
    }
    let product = scaling.scale.map_or(raw, |scale| times(raw, scale));
    let sum = scaling.offset.map_or(product, |offset| product + times(1.0, offset));
    if sum.is_finite() { Ok(sum) } else { Err(Reason::Overflow) }
}

/// Divides for digits behind the point: 0.1 has no exact double, 10 has.
fn times(raw: f64, factor: Decimal) -> f64 {
    let power = 10_f64.powi(i32::from(factor.exponent.unsigned_abs()));
    let product = raw * nearest(i128::from(factor.mantissa));
    if factor.exponent < 0 { product / power } else { product * power }
}

#[expect(clippy::cast_precision_loss, reason = "factors and marks beyond 2^53 mean the nearest double")]
fn nearest(integer: i128) -> f64 {
    integer as f64
}

#[cfg(test)]
mod tests;
