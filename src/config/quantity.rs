//! Texts that are quantities: durations, sizes, exact decimals, bit ranges.
//!
//! Always true here: what is not understood is an error that says what was expected; nothing is rounded.

use std::time::Duration;

use super::model::Decimal;

/// Units of a duration with their milliseconds.
const DURATIONS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

/// Units of a size with their bytes.
const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Reads "10s", "500ms", "2m" or "1h".
///
/// # Errors
/// What was expected.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "expected a whole number and ms, s, m or h, like \"500ms\" or \"10s\"";
    counted(text, &DURATIONS).map(Duration::from_millis).ok_or(EXPECTED)
}

/// Reads "256MiB", "20TB" or the like, in bytes.
///
/// # Errors
/// What was expected.
pub(super) fn size(text: &str) -> Result<u64, &'static str> {
    counted(text, &SIZES).ok_or("expected a whole number and a unit, like \"256MiB\" or \"4GB\"")
}

/// Reads "5%".
///
/// # Errors
/// What was expected.
pub(super) fn percent(text: &str) -> Result<u64, &'static str> {
    counted(text, &[("%", 1)]).ok_or("expected a whole number and %, like \"5%\"")
}

fn counted(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The shortest text that [`duration`] reads as this.
pub(super) fn show(duration: Duration) -> String {
    let millis = duration.as_millis();
    let fits = |unit: &&(&str, u64)| millis.is_multiple_of(u128::from(unit.1));
    // Up to two minutes people count in seconds.
    let most = if millis < 120_000 { 2 } else { DURATIONS.len() };
    let (unit, factor) = DURATIONS.iter().take(most).rev().find(fits).unwrap_or(&("ms", 1));
    format!("{}{unit}", millis / u128::from(*factor))
}

/// Reads the digits of a TOML number as an exact decimal: 0.1 is 1e-1.
///
/// # Errors
/// What was expected.
pub(super) fn decimal(text: &str) -> Result<Decimal, &'static str> {
    const RANGE: &str = "expected at most 18 digits, and an exponent between -18 and 18";
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().map_err(|_| RANGE)?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole.trim_start_matches(['+', '-'])) || !plain(fraction) {
        return Err("expected a finite number");
    }
    let mantissa = format!("{whole}{fraction}").parse::<i64>().map_err(|_| RANGE)?;
    let places = i32::try_from(fraction.len()).map_err(|_| RANGE)?;
    let exponent = exponent.checked_sub(places).and_then(|e| i8::try_from(e).ok()).ok_or(RANGE)?;
    if mantissa.unsigned_abs() >= 10_u64.pow(18) || exponent.unsigned_abs() > 18 {
        return Err(RANGE);
    }
    Ok(Decimal { mantissa, exponent })
}

/// Reads "3..7", or "3" for one bit, lowest bit 0.
///
/// # Errors
/// What was expected.
pub(super) fn bits(text: &str) -> Result<(u8, u8), &'static str> {
    const EXPECTED: &str = "expected the first and the last bit, lowest bit 0, like \"3..7\"";
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let bit = |text: &str| text.trim().parse::<u8>().map_err(|_| EXPECTED);
    let (first, last) = (bit(first)?, bit(last)?);
    if first > last { Err("the first bit stands above the last: write the lower one first") } else { Ok((first, last)) }
}

/// Reads "0xFFFF" or "65535" or "-1" as an integer.
pub(super) fn integer(text: &str) -> Option<i128> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => i128::from_str_radix(hex, 16).ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "10", "s", "-1s", "1.5s", "1m30s", "10 seconds", "99999999999999999999s", "18446744073709551615h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_tell_mebibytes_from_megabytes() {
        assert_eq!(size("256MiB"), Ok(268_435_456));
        assert_eq!(size("20TB"), Ok(20_000_000_000_000));
        assert_eq!(size("20 MB"), Ok(20_000_000));
        assert!(size("256").is_err());
        assert!(size("256mb").is_err());
    }

    #[test]
    fn a_decimal_keeps_its_digits_and_never_becomes_a_float() {
        assert_eq!(decimal("0.1"), Ok(Decimal { mantissa: 1, exponent: -1 }));
        assert_eq!(decimal("-0.50"), Ok(Decimal { mantissa: -5, exponent: -1 }));
        assert_eq!(decimal("1e-3"), Ok(Decimal { mantissa: 1, exponent: -3 }));
        assert_eq!(decimal("10"), Ok(Decimal { mantissa: 10, exponent: 0 }));
        assert_eq!(decimal("12.5e2"), Ok(Decimal { mantissa: 125, exponent: 1 }));
        for bad in ["inf", "nan", "+inf", "1e99", "0.12345678901234567890", "1e-2147483648", "--1"] {
            assert!(decimal(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bits_are_a_range_from_the_lower_to_the_higher() {
        assert_eq!(bits("3..7"), Ok((3, 7)));
        assert_eq!(bits("5"), Ok((5, 5)));
        assert!(bits("7..3").is_err());
        assert!(bits("3-7").is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(millis in 0_u64..100_000_000) {
            let time = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show(time)), Ok(time));
        }

        #[test]
        fn no_text_makes_a_reader_panic(text in "\\PC{0,24}") {
            let _ = (duration(&text), size(&text), decimal(&text), bits(&text), integer(&text));
        }
    }
}
