//! OBIS codes: what is read prints as something that is read as the same.
#![no_main]

use districtd::protocol::iec62056::dataset::decimal;
use districtd::protocol::obis::{Medium, Obis};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(code) = text.parse::<Obis>() {
        let again = code.to_string().parse::<Obis>();
        assert!(again.is_ok_and(|again| again.matches(&code)), "{code:?} prints as {code}");
        for medium in [Medium::Electricity, Medium::Heat, Medium::Gas, Medium::Water] {
            let _ = (code.point_name(medium), code.nature(medium));
        }
    }
    if let Some(number) = decimal(text) {
        assert_eq!(decimal(&number.to_string()), Some(number));
    }
});
