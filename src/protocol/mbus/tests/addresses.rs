//! Secondary addresses: written, read, matched.

use super::select::{AddressError, Secondary};
use super::*;

fn address(text: &str) -> Secondary {
    text.parse().unwrap()
}

#[test]
fn an_address_is_read_as_it_is_written() {
    for text in ["12345678-KAM-52-4", "12345678-*-*-*", "*-KAM-*-*", "1234****-ELS-*-7", "*-*-*-*", "12345678-KAM-52-4-00000001"] {
        assert_eq!(address(text).to_string(), text);
    }
}

#[test]
fn parts_left_out_are_any_and_other_spellings_mean_the_same() {
    assert_eq!(address("12345678"), address("12345678-*-*-*"));
    assert_eq!(address("12345678-kam-0x34-0x04"), address("12345678-KAM-52-4"));
    assert_eq!(address("123456782D2C3404"), address("12345678-KAM-52-4"));
    assert_eq!(address("FFFFFFFFFFFFFFFF"), Secondary::ANY);
}

#[test]
fn what_is_no_address_is_refused_with_its_part() {
    let cases = [
        ("1234567", AddressError::Number("1234567".into())),
        ("", AddressError::Number(String::new())),
        ("1234567x-KAM", AddressError::Number("1234567x".into())),
        ("12345678-KAMS", AddressError::Manufacturer("KAMS".into())),
        ("12345678-K1M", AddressError::Manufacturer("K1M".into())),
        ("12345678-KAM-255", AddressError::Byte("255".into())),
        ("12345678-KAM-1-300", AddressError::Byte("300".into())),
        ("12345678-KAM-1-4-00000001-7", AddressError::Parts(6)),
    ];
    for (text, error) in cases {
        assert_eq!(text.parse::<Secondary>(), Err(error), "{text}");
    }
}

#[test]
fn a_mask_matches_the_meters_it_means() {
    let meter = Identity {
        id: Id(0x1234_5678),
        manufacturer: Manufacturer::from_letters("KAM"),
        version: Some(52),
        medium: Medium::Variable(4),
    };
    for mask in ["12345678-KAM-52-4", "*", "1*3*5*7*", "*-KAM", "*-*-52", "*-*-*-4"] {
        assert!(address(mask).matches(&meter), "{mask}");
    }
    for mask in ["12345679", "*-ELS", "*-*-51", "*-*-*-7", "2*******"] {
        assert!(!address(mask).matches(&meter), "{mask}");
    }
    assert_eq!(Secondary::of(&meter), address("12345678-KAM-52-4"));
}

#[test]
fn a_meter_of_the_fixed_structure_is_matched_by_what_it_tells() {
    let old = Identity { id: Id(0x1234_5678), manufacturer: None, version: None, medium: Medium::Fixed(7) };
    assert!(address("12345678-KAM-52-4").matches(&old));
    assert!(!address("12345677-KAM-52-4").matches(&old));
}
