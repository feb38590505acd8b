//! Tests of the codec as a whole; telegrams are written as `>> hex` what the master sends and `<< hex` what the meter answers.

mod vectors;

use super::*;
use crate::reading::Value;

/// Hex digits in any grouping; what stands behind `--` on a line says what the bytes are.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .flat_map(str::bytes)
        .filter(|byte| byte.is_ascii_hexdigit())
        .collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A number as a double, for comparisons with expectations that are doubles themselves.
fn float(value: &Value) -> Option<f64> {
    match *value {
        #[expect(clippy::cast_precision_loss, reason = "expectations have six digits behind the point")]
        Value::Int(number) => Some(number as f64),
        #[expect(clippy::cast_precision_loss, reason = "expectations have six digits behind the point")]
        Value::UInt(number) => Some(number as f64),
        Value::Decimal { mantissa, exponent } => format!("{mantissa}e{exponent}").parse().ok(),
        Value::F32(number) => Some(f64::from(number)),
        Value::F64(number) => Some(number),
        _ => None,
    }
}
