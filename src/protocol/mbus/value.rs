//! From the bytes of a record to its value: binary, BCD, float, and the variable length of LVAR (EN 13757-3, annex A and 6.5).
//!
//! Always true here: the digits sent are the digits given; a power of ten moves the point and rounds nothing. What marks "no value",
//! and what is no number at all, becomes [`Value::Missing`] with its reason; a date that is none keeps its digits with a bad quality. Deliberately absent: names and units.

use std::borrow::Cow;

use super::dif::Field;
use super::header::Order;
use super::record::Problem;
use super::text;
use super::time::Moment;
use super::vif::Coding;
use crate::reading::{Quality, Reason, Value};

/// A value and all that is to be said of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decoded {
    pub(super) value: Value,
    pub(super) quality: Quality,
    pub(super) problem: Option<Problem>,
    pub(super) moment: Option<Moment>,
}

impl Decoded {
    pub(super) fn missing(reason: Reason, problem: Option<Problem>) -> Self {
        Self { value: Value::Missing, quality: Quality::Bad(reason), problem, moment: None }
    }

    pub(super) fn good(value: Value) -> Self {
        Self { value, quality: Quality::Good, problem: None, moment: None }
    }
}

/// How a raw number becomes a value: the power of ten, and constants to be added, each a power of ten.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale<'a> {
    pub(super) exponent: i32,
    pub(super) offsets: &'a [i32],
}

/// What the data says. `data` stands in `order`; for LVAR it begins with the length byte.
pub(super) fn decode(field: Field, data: &[u8], order: Order, coding: Coding, scale: Scale) -> Decoded {
    match field {
        Field::None | Field::Selection => Decoded::missing(Reason::Invalid, Some(Problem::NoData)),
        Field::Binary(_) => binary(&low_first(data, order), coding, scale),
        Field::Real => real(&low_first(data, order), scale),
        Field::Bcd(_) => bcd(&low_first(data, order), false, scale),
        Field::Variable => data.split_first().map_or_else(
            || Decoded::missing(Reason::Malformed, Some(Problem::NoData)),
            |(lvar, data)| variable(*lvar, &low_first(data, order), coding, scale),
        ),
    }
}

fn low_first(data: &[u8], order: Order) -> Cow<'_, [u8]> {
    match order {
        Order::LowFirst => Cow::Borrowed(data),
        Order::HighFirst => Cow::Owned(data.iter().rev().copied().collect()),
    }
}

/// Bytes that an LVAR announces (EN 13757-3, table "LVAR"). `None`: a reserved one, whose length nobody knows.
///
/// F7 to FA are floats of the older editions, by their number of bytes. F4 was the float of four bytes there and is 32 bytes of
/// binary now: where 32 bytes are not left, it is the float.
pub(super) fn variable_length(lvar: u8, left: usize) -> Option<usize> {
    let low = usize::from(lvar & 0x0F);
    match lvar {
        0x00..=0xBF => Some(usize::from(lvar)),
        0xC0..=0xEF | 0xF7..=0xFA => Some(low),
        0xF4 if left < 32 => Some(4),
        0xF0..=0xF4 => Some(4 * (low + 4)),
        0xF5 => Some(48),
        0xF6 => Some(64),
        _ => None,
    }
}

fn variable(lvar: u8, data: &[u8], coding: Coding, scale: Scale) -> Decoded {
    match (lvar, data.len()) {
        (0x00..=0xBF, _) => Decoded::good(Value::Text(text::latin1(data.iter().rev().copied()).into())),
        (_, 0) => Decoded::missing(Reason::Invalid, Some(Problem::NoData)),
        (0xC0..=0xCF, _) => bcd(data, false, scale),
        (0xD0..=0xDF, _) => bcd(data, true, scale),
        (0xE0..=0xEF, 1..=8) => binary(data, coding, scale),
        (0xF4, 4) => real(data, scale),
        (0xF8, _) => double(data, scale),
        _ => Decoded::good(Value::Text(text::hex(data.iter().rev()).into())),
    }
}

/// One to eight bytes, the low one first.
fn binary(data: &[u8], coding: Coding, scale: Scale) -> Decoded {
    let unsigned = data.iter().rev().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    let unused = 64_u32.saturating_sub(8 * u32::try_from(data.len()).unwrap_or(8)).min(63);
    let signed = (unsigned << unused).cast_signed() >> unused;
    match coding {
        Coding::Number if signed == i64::MIN >> unused => Decoded::missing(Reason::Invalid, Some(Problem::MarkedInvalid)),
        Coding::Unsigned | Coding::Bits => unsigned_value(unsigned, scale),
        Coding::Moment if matches!(data.len(), 2 | 3 | 4 | 6) => moment(data),
        _ => scaled(i128::from(signed), 0, scale),
    }
}

fn unsigned_value(number: u64, scale: Scale) -> Decoded {
    if scale.exponent == 0 && scale.offsets.is_empty() {
        Decoded::good(Value::UInt(number))
    } else {
        scaled(i128::from(number), 0, scale)
    }
}

/// A point in time that is marked invalid or does not exist keeps its digits, for the eyes of a technician, with a bad quality.
fn moment(data: &[u8]) -> Decoded {
    let Some(moment) = Moment::read(data) else { return Decoded::missing(Reason::Invalid, Some(Problem::NoMoment)) };
    let text = Decoded { moment: Some(moment), ..Decoded::good(Value::Text(moment.to_string().into())) };
    if moment.valid {
        return text;
    }
    Decoded { quality: Quality::Bad(Reason::Invalid), problem: Some(Problem::NoMoment), ..text }
}

/// Two digits a byte, the low one first; F in the place of the highest digit is a minus (EN 13757-3, annex A, type A).
fn bcd(data: &[u8], negative: bool, scale: Scale) -> Decoded {
    let mut digits = data.iter().rev().flat_map(|byte| [byte >> 4, byte & 0x0F]).peekable();
    let minus = digits.next_if_eq(&0x0F).is_some();
    let mut number: i128 = 0;
    for digit in digits {
        if digit > 9 {
            return Decoded::missing(Reason::Malformed, Some(Problem::Digits));
        }
        number = number * 10 + i128::from(digit);
    }
    scaled(if negative == minus { number } else { -number }, 0, scale)
}

/// A float whose point is moved is given as the shortest decimal that stands for it, so that no digits appear that were not sent.
fn real(data: &[u8], scale: Scale) -> Decoded {
    let Ok(bytes) = <[u8; 4]>::try_from(data) else { return Decoded::missing(Reason::Malformed, Some(Problem::NoData)) };
    let number = f32::from_le_bytes(bytes);
    match () {
        () if !number.is_finite() => Decoded::missing(Reason::NotANumber, Some(Problem::NotANumber)),
        () if scale.exponent == 0 && scale.offsets.is_empty() => Decoded::good(Value::F32(number)),
        () => shortest(&format!("{number:e}"), scale),
    }
}

fn double(data: &[u8], scale: Scale) -> Decoded {
    let Ok(bytes) = <[u8; 8]>::try_from(data) else { return Decoded::missing(Reason::Malformed, Some(Problem::NoData)) };
    let number = f64::from_le_bytes(bytes);
    match () {
        () if !number.is_finite() => Decoded::missing(Reason::NotANumber, Some(Problem::NotANumber)),
        () if scale.exponent == 0 && scale.offsets.is_empty() => Decoded::good(Value::F64(number)),
        () => shortest(&format!("{number:e}"), scale),
    }
}

/// `-1.2345e6` as digits and exponent.
fn shortest(scientific: &str, scale: Scale) -> Decoded {
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let behind = digits.split_once('.').map_or(0, |(_, behind)| behind.len());
    let number = digits.replace('.', "").parse::<i64>();
    match (number, exponent.parse::<i32>(), i32::try_from(behind)) {
        (Ok(number), Ok(exponent), Ok(behind)) => scaled(i128::from(number), exponent - behind, scale),
        _ => Decoded::missing(Reason::Overflow, Some(Problem::Overflow)),
    }
}

/// `number * 10^own`, scaled. An integer stays one where no power of ten is left.
fn scaled(number: i128, own: i32, scale: Scale) -> Decoded {
    let overflow = Decoded::missing(Reason::Overflow, Some(Problem::Overflow));
    let Some((number, exponent)) = add_offsets(number, own + scale.exponent, scale.offsets) else { return overflow };
    let Ok(mantissa) = i64::try_from(number) else { return overflow };
    match i8::try_from(exponent) {
        Ok(0) => Decoded::good(Value::Int(mantissa)),
        Ok(exponent) => Decoded::good(Value::Decimal { mantissa, exponent }),
        Err(_) => overflow,
    }
}

/// Adds each power of ten, at the smaller exponent of the two.
fn add_offsets(mut number: i128, mut exponent: i32, offsets: &[i32]) -> Option<(i128, i32)> {
    for offset in offsets {
        let common = exponent.min(*offset);
        number = at_exponent(number, exponent, common)?.checked_add(at_exponent(1, *offset, common)?)?;
        exponent = common;
    }
    Some((number, exponent))
}

fn at_exponent(number: i128, from: i32, to: i32) -> Option<i128> {
    let factor = 10_i128.checked_pow(u32::try_from(from - to).ok()?)?;
    number.checked_mul(factor)
}
