use proptest::prelude::*;

use super::*;
use crate::config::model::{ByteOrder, Table};

fn point(encoding: Encoding, invalid: &[i128]) -> Point {
    let layout = Layout { encoding, order: ByteOrder::Abcd, bits: None };
    let names = Vec::new();
    Point { table: Table::Holding, address: 0, layout, scaling: Scaling::default(), invalid: invalid.to_vec(), names, every: None }
}

fn decimal(mantissa: i64, exponent: i8) -> Decimal {
    Decimal { mantissa, exponent }
}

fn by(mantissa: i64, exponent: i8) -> Scaling {
    Scaling { scale: Some(decimal(mantissa, exponent)), offset: None, ..Scaling::default() }
}

fn good(value: Value) -> (Value, Quality) {
    (value, Quality::Good)
}

#[test]
fn without_a_scale_a_value_stays_what_it_is() {
    let as_is = Scaling::default();
    assert_eq!(scaled(Raw::UInt(u64::MAX), &as_is), good(Value::UInt(u64::MAX)));
    assert_eq!(scaled(Raw::Int(i64::MIN), &as_is), good(Value::Int(i64::MIN)));
    assert_eq!(scaled(Raw::F32(230.2), &as_is), good(Value::F32(230.2)));
    assert_eq!(scaled(Raw::F64(0.1), &as_is), good(Value::F64(0.1)));
    assert_eq!(scaled(Raw::Bool(true), &as_is), good(Value::Bool(true)));
    assert_eq!(scaled(Raw::Digits(120), &as_is), good(Value::Decimal { mantissa: 120, exponent: 0 }));
}

#[test]
fn an_integer_scaled_by_a_tenth_keeps_its_digits() {
    assert_eq!(scaled(Raw::UInt(2298), &by(1, -1)), good(Value::Decimal { mantissa: 2298, exponent: -1 }));
    assert_eq!(scaled(Raw::UInt(2300), &by(1, -1)), good(Value::Decimal { mantissa: 2300, exponent: -1 }), "230.0, not 230");
    assert_eq!(scaled(Raw::Int(-5), &by(25, -2)), good(Value::Decimal { mantissa: -125, exponent: -2 }));
    let counter = 9_007_199_254_740_993; // 2^53 + 1: a double would lose the last digit
    assert_eq!(scaled(Raw::UInt(counter), &by(1, -3)), good(Value::Decimal { mantissa: 9_007_199_254_740_993, exponent: -3 }));
}

#[test]
fn an_offset_is_added_exactly_at_the_finer_of_both_exponents() {
    let scaling = Scaling { scale: Some(decimal(1, -1)), offset: Some(decimal(-27315, -2)), ..Scaling::default() };
    assert_eq!(scaled(Raw::UInt(2731), &scaling), good(Value::Decimal { mantissa: -5, exponent: -2 }));
    let scaling = Scaling { scale: None, offset: Some(decimal(-40, 0)), ..Scaling::default() };
    assert_eq!(scaled(Raw::UInt(60), &scaling), good(Value::Decimal { mantissa: 20, exponent: 0 }));
}

#[test]
fn what_no_longer_fits_is_missing_and_never_wrapped() {
    let overflow = missing(Reason::Overflow);
    assert_eq!(scaled(Raw::UInt(u64::MAX), &by(1, -1)), overflow);
    assert_eq!(scaled(Raw::Int(i64::MAX), &by(10, 0)), overflow);
    let far = Scaling { scale: Some(decimal(1, 127)), offset: Some(decimal(1, -128)), ..Scaling::default() };
    assert_eq!(scaled(Raw::Int(1), &far), overflow);
    assert_eq!(scaled(Raw::F32(f32::MAX), &by(10, 0)), overflow);
    assert_eq!(scaled(Raw::F64(f64::MAX), &by(1, 1)), overflow);
}

#[test]
fn a_scaled_float_comes_out_with_the_digits_one_expects() {
    assert_eq!(scaled(Raw::F32(2302.0), &by(1, -1)), good(Value::F32(230.2)));
    assert_eq!(scaled(Raw::F64(3.0), &by(1, -1)), good(Value::F64(0.3)));
    assert_eq!(scaled(Raw::F64(0.23), &by(1000, 0)), good(Value::F64(230.0)));
    assert_eq!(scaled(Raw::F64(0.23), &by(1, 3)), good(Value::F64(230.0)));
}

#[test]
fn a_float_that_is_no_number_is_never_a_number() {
    for raw in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(scaled(Raw::F32(raw), &Scaling::default()), missing(Reason::NotANumber));
        assert_eq!(scaled(Raw::F32(raw), &by(0, 0)), missing(Reason::NotANumber));
        assert_eq!(scaled(Raw::F64(raw.into()), &Scaling::default()), missing(Reason::NotANumber));
    }
    assert_eq!(reading(&point(Encoding::F32, &[]), &[0xFFC0, 0]), missing(Reason::NotANumber), "the NaN that meters send");
}

#[test]
fn a_mark_for_no_value_is_never_a_number_in_whichever_way_it_was_typed() {
    let invalid = missing(Reason::Invalid);
    let table: &[(Encoding, i128, &[u16])] = &[
        (Encoding::I16, 0x8000, &[0x8000]),
        (Encoding::I16, -32768, &[0x8000]),
        (Encoding::U16, 0xFFFF, &[0xFFFF]),
        (Encoding::U16, -1, &[0xFFFF]),
        (Encoding::I32, 0x7FFF_FFFF, &[0x7FFF, 0xFFFF]),
        (Encoding::U64, 0xFFFF_FFFF_FFFF_FFFF, &[0xFFFF; 4]),
        (Encoding::I64, 0x8000_0000_0000_0000, &[0x8000, 0, 0, 0]),
        (Encoding::Bcd16, 0xFFFF, &[0xFFFF]),
        (Encoding::Bcd16, 9999, &[0x9999]),
        (Encoding::F32, -9999, &[0xC61C, 0x3C00]),
        (Encoding::F32, 0x7F7F_FFFF, &[0x7F7F, 0xFFFF]),
        (Encoding::F64, 0, &[0, 0, 0, 0]),
    ];
    for (encoding, mark, words) in table {
        assert_eq!(reading(&point(*encoding, &[1, *mark]), words), invalid, "{encoding:?} {mark:#x}");
        assert_ne!(reading(&point(*encoding, &[1]), words), invalid, "{encoding:?} without the mark");
    }
}

#[test]
fn a_mark_wider_than_the_value_marks_nothing() {
    assert_eq!(reading(&point(Encoding::U16, &[0x1_FFFF, i128::MAX, i128::MIN]), &[0xFFFF]), good(Value::UInt(0xFFFF)));
    assert_eq!(reading(&point(Encoding::U64, &[1 << 64]), &[0; 4]), good(Value::UInt(0)));
}

#[test]
fn a_mark_of_a_half_register_is_compared_with_that_half() {
    let mut half = point(Encoding::U16, &[0xFF]);
    half.layout.bits = Some((8, 15));
    assert_eq!(reading(&half, &[0xFF01]), missing(Reason::Invalid));
    assert_eq!(reading(&half, &[0x01FF]), good(Value::UInt(1)));
    half.invalid = vec![0xFFFE];
    assert_eq!(reading(&half, &[0xFFFE]), missing(Reason::Invalid), "too large for the half: a mark of the whole register");
    assert_eq!(reading(&half, &[0xFFFD]), good(Value::UInt(0xFF)));
}

#[test]
fn marks_are_compared_before_scaling() {
    let mut scaled = point(Encoding::U16, &[0xFFFF]);
    scaled.scaling = by(1, -1);
    assert_eq!(reading(&scaled, &[0xFFFF]), missing(Reason::Invalid));
    assert_eq!(reading(&scaled, &[0xFFFE]), good(Value::Decimal { mantissa: 65534, exponent: -1 }));
}

#[test]
fn registers_that_hold_no_digits_or_no_text_are_malformed() {
    assert_eq!(reading(&point(Encoding::Bcd16, &[]), &[0x00FA]), missing(Reason::Malformed));
    assert_eq!(reading(&point(Encoding::Text { bytes: 2 }, &[]), &[0xFFFE]), missing(Reason::Malformed));
    assert_eq!(reading(&point(Encoding::U32, &[]), &[1]), missing(Reason::Malformed));
}

/// A point whose power of ten stands in register 9.
fn with_power(encoding: Encoding, scale: Option<Decimal>) -> Point {
    let scaling = Scaling { scale, power_register: Some(9), ..Scaling::default() };
    Point { scaling, ..point(encoding, &[0xFFFF]) }
}

#[test]
fn a_power_register_moves_the_decimal_point_and_nothing_else() {
    let read = |point: &Point, word: u16, register: u16| match (raw(point, &[word]), power(register)) {
        (Ok(raw), Ok(power)) => value(point, raw, power),
        (Err(reason), _) | (_, Err(reason)) => missing(reason),
    };
    let plain = with_power(Encoding::U16, None);
    let decimal = |mantissa, exponent| good(Value::Decimal { mantissa, exponent });
    assert_eq!(read(&plain, 2298, 0xFFFF), decimal(2298, -1), "229.8");
    assert_eq!(read(&plain, 2298, 0), decimal(2298, 0));
    assert_eq!(read(&plain, 2298, 10), decimal(2298, 10));
    assert_eq!(read(&plain, 2298, 0xFFF6), decimal(2298, -10));
    let kilo = with_power(Encoding::I16, Some(Decimal { mantissa: 1, exponent: -3 }));
    assert_eq!(read(&kilo, 0xFFFE, 1), decimal(-2, -2), "both factors: 10 W each, in kW");
    assert_eq!(read(&plain, 0xFFFF, 0), missing(Reason::Invalid), "the value itself is a mark");
}

#[test]
fn a_power_register_without_a_power_leaves_no_value() {
    assert_eq!(power(0x8000), Err(Reason::Invalid), "not implemented");
    for rubbish in [11, 0xFFF5, 0x7FFF, 0x8001, 0xFF7F, 0x0080, 0x0100] {
        assert_eq!(power(rubbish), Err(Reason::Malformed), "{rubbish:#06x}");
    }
}

fn named(encoding: Encoding, names: &[(i128, &str)]) -> Point {
    Point { names: names.iter().map(|(number, name)| (*number, (*name).into())).collect(), ..point(encoding, &[0xFFFF]) }
}

#[test]
fn a_listed_state_goes_out_by_its_name_and_any_other_as_its_digits() {
    let mode = named(Encoding::U16, &[(0, "off"), (1, "on"), (65_000, "service")]);
    let text = |text: &str| good(Value::Text(text.into()));
    assert_eq!(reading(&mode, &[0]), text("off"));
    assert_eq!(reading(&mode, &[65_000]), text("service"));
    assert_eq!(reading(&mode, &[7]), text("7"), "a state nobody listed is not lost");
    assert_eq!(reading(&mode, &[0xFFFF]), missing(Reason::Invalid));
    let below = named(Encoding::I16, &[(-1, "reverse"), (1, "forward")]);
    assert_eq!((reading(&below, &[0xFFFE]), reading(&below, &[1])), (text("-2"), text("forward")));
    let field = Point { layout: Layout { bits: Some((4, 5)), ..mode.layout }, ..mode.clone() };
    assert_eq!(reading(&field, &[0x0010]), text("on"), "of a bit field the field counts");
}

#[test]
fn a_coil_can_have_names_too() {
    let door = named(Encoding::Bool, &[(0, "closed"), (1, "open")]);
    assert_eq!((bit(&door, true), bit(&door, false)), (good(Value::Text("open".into())), good(Value::Text("closed".into()))));
    assert_eq!(bit(&named(Encoding::Bool, &[]), true), good(Value::Bool(true)));
}

proptest! {
    #[test]
    fn scaling_an_integer_is_exact_or_missing(raw: i64, mantissa in -100_000_i64..100_000, exponent in -12_i8..6, offset: i32) {
        let scaling = Scaling { scale: Some(decimal(mantissa, exponent)), offset: Some(decimal(offset.into(), exponent)), ..Scaling::default() };
        let expected = i128::from(raw) * i128::from(mantissa) + i128::from(offset);
        match scaled(Raw::Int(raw), &scaling) {
            (Value::Decimal { mantissa, exponent: at }, Quality::Good) => {
                prop_assert_eq!((i128::from(mantissa), at), (expected, exponent));
            }
            other => {
                prop_assert_eq!(other, missing(Reason::Overflow));
                prop_assert!(i64::try_from(expected).is_err());
            }
        }
    }

    #[test]
    fn a_reading_is_good_or_missing_and_floats_in_it_are_finite(words in prop::collection::vec(any::<u16>(), 4), scale: i64, exponent: i8, mark: i64) {
        for encoding in [Encoding::I16, Encoding::U32, Encoding::F32, Encoding::F64, Encoding::Bcd32, Encoding::I64] {
            let mut point = point(encoding, &[mark.into()]);
            point.scaling = Scaling { scale: Some(decimal(scale, exponent)), offset: Some(decimal(scale, exponent)), ..Scaling::default() };
            match reading(&point, &words[..usize::from(point.layout.width())]) {
                (Value::F32(value), Quality::Good) => prop_assert!(value.is_finite()),
                (Value::F64(value), Quality::Good) => prop_assert!(value.is_finite()),
                (value, quality) => prop_assert_eq!(value == Value::Missing, quality != Quality::Good),
            }
        }
    }
}
