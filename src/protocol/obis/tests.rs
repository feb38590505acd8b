use super::*;

fn code(text: &str) -> Obis {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_form_that_meters_write_is_read_and_written_back() {
    for text in [
        "1-0:1.8.0*255",
        "1.8.0",
        "1.8",
        "F.F",
        "C.1.0",
        "0.0",
        "P.01",
        "P.98",
        "L.1",
        "6.26*1",
        "1-1:1.6.0*62",
        "129-129:199.130.3*255",
        "0:96.7.19",
        "0-1:24.2.1",
        "F",
        "C.5.0",
        "81.7.26",
        "1-0:0.2.8*255",
    ] {
        assert_eq!(code(text).to_string(), text);
    }
}

#[test]
fn letters_are_the_numbers_that_they_stand_for() {
    assert_eq!(code("F.F"), code("97.97"));
    assert_eq!(code("1-1:F.F"), code("1-1:97.97"));
    assert_eq!(code("C.1.0"), code("96.1.0"));
    assert_eq!(code("P.01"), code("99.1"));
}

#[test]
fn a_manual_and_an_automatic_reset_are_the_same_period() {
    assert_eq!(code("1.8.0&02"), code("1.8.0*2"));
}

#[test]
fn text_that_is_no_code_is_refused() {
    for text in [
        "",
        ".",
        "1",
        "1.8.0.2",
        "0.5.1.2",
        "1-0:",
        "256.1.0",
        "1.8.-1",
        "1.8.0*",
        "1.8.0*62*1",
        "f.f",
        "+1.8.0",
        "1.8.0 kWh",
        "1..0",
        "1-0-0:1.8.0",
    ] {
        assert_eq!(text.parse::<Obis>(), Err(NotObis), "{text}");
    }
}

#[test]
fn six_bytes_and_the_full_form_are_one_code() {
    let bytes = [0x01, 0x00, 0x60, 0x32, 0x01, 0x01];
    assert_eq!(Obis::from(bytes), code("1-0:96.50.1*1"));
    assert_eq!(code("1-0:96.50.1*1").to_bytes(), bytes);
    assert_eq!(code("1.8.0").to_bytes(), [0, 0, 1, 8, 0, 255]);
}

#[test]
fn a_reduced_code_finds_the_present_value_and_never_a_historical_one() {
    let wanted = code("1.8.0");
    for same in ["1-0:1.8.0*255", "1-1:1.8.0", "1.8", "1.8.0*255"] {
        assert!(wanted.matches(&code(same)) && code(same).matches(&wanted), "{same}");
    }
    for other in ["1.8.1", "2.8.0", "1.8.0*62", "1.8.0&01", "1.8.0*00"] {
        assert!(!wanted.matches(&code(other)) && !code(other).matches(&wanted), "{other}");
    }
    assert!(!code("1-0:1.8.0").matches(&code("1-1:1.8.0")));
    assert!(!code("F").matches(&code("F.F")));
    assert!(code("F.F").matches(&code("1-0:97.97.0*255")));
}

#[test]
fn the_names_never_change_between_releases() {
    for (text, name) in [
        ("1-0:1.8.0*255", "energy_import_total"),
        ("1.8.1", "energy_import_t1"),
        ("2.8.2", "energy_export_t2"),
        ("15.8.0", "energy_absolute_total"),
        ("3.8.1", "reactive_energy_import_t1"),
        ("8.8.0", "reactive_energy_q4_total"),
        ("21.8.0", "energy_import_l1_total"),
        ("1.7.0", "power_import"),
        ("2.7.0", "power_export"),
        ("15.7.0", "power_absolute"),
        ("16.7.0", "power_net"),
        ("36.7.0", "power_net_l1"),
        ("21.7.0", "power_import_l1"),
        ("62.7.0", "power_export_l3"),
        ("1.6.0", "power_import_max"),
        ("1.6.1", "power_import_max_t1"),
        ("1.4.0", "power_import_average"),
        ("1.5.0", "power_import_last_average"),
        ("31.7.0", "current_l1"),
        ("72.7.0", "voltage_l3"),
        ("53.7.0", "power_factor_l2"),
        ("14.7", "frequency"),
        ("81.7.1", "angle_u2_u1"),
        ("81.7.4", "angle_i1_u1"),
        ("81.7.26", "angle_i3_u3"),
        ("32.32.0", "voltage_sags_l1"),
        ("F.F", "error"),
        ("0.0.0", "meter_id"),
        ("C.1.0", "serial_number"),
        ("1.8.0*62", "energy_import_total_history_62"),
        ("0-0:96.14.0", "tariff"),
        ("0-0:1.0.0", "meter_clock"),
        ("1-3:0.2.8", "p1_version"),
        ("129-129:199.130.5*255", "public_key"),
        ("6-0:1.0.0", "heat_energy"),
        ("7-0:3.0.0", "volume"),
    ] {
        assert_eq!(code(text).name(Medium::Electricity).as_deref(), Some(name), "{text}");
    }
}

#[test]
fn a_reduced_code_means_what_the_meter_measures() {
    assert_eq!(code("6.8").name(Medium::Electricity).as_deref(), Some("reactive_energy_q2_total"));
    assert_eq!(code("6.8").name(Medium::Heat).as_deref(), Some("heat_energy"));
    assert_eq!(code("6.26*01").name(Medium::Heat).as_deref(), Some("volume_history_1"));
}

#[test]
fn a_code_without_a_name_is_named_by_its_groups() {
    assert_eq!(code("1-0:96.50.0*3").point_name(Medium::Electricity), "obis_96_50_0_3");
    assert_eq!(code("1-0:82.8.1*255").point_name(Medium::Electricity), "obis_82_8_1");
    assert_eq!(code("1.8.0").point_name(Medium::Electricity), "energy_import_total");
}

#[test]
fn every_name_is_a_legal_point_name() {
    for c in 0..=255 {
        for d in 0..=100 {
            for e in [0, 1, 8, 26, 63, 255] {
                for medium in [Medium::Electricity, Medium::Heat, Medium::Gas, Medium::Water] {
                    if let Some(name) = Obis::short(c, d, e).name(medium) {
                        assert_eq!(crate::reading::check_name(&name, false), Ok(()), "{name}");
                    }
                }
            }
        }
    }
}

#[test]
fn no_two_present_codes_of_an_electricity_meter_share_a_name() {
    let mut seen = std::collections::HashMap::new();
    for c in 0..=198 {
        for d in 0..=255 {
            for e in 0..=255 {
                let code = Obis::short(c, d, e);
                if let Some(name) = code.name(Medium::Electricity) {
                    let before = seen.insert(name.clone(), code);
                    assert_eq!(before, None, "{name}: {code}");
                }
            }
        }
    }
}

#[test]
fn a_serial_number_keeps_its_leading_zeros_and_a_count_is_a_number() {
    for text in ["0.0", "C.1.0", "F.F", "0-0:96.1.1", "1-0:96.5.5*255", "0.9.1"] {
        assert_eq!(code(text).nature(Medium::Electricity), Nature::Text, "{text}");
    }
    for text in ["1.8.0", "C.7.0", "0-0:96.7.21", "0-0:96.14.0", "0.1.0"] {
        assert_eq!(code(text).nature(Medium::Electricity), Nature::Number, "{text}");
    }
    assert_eq!(code("9.20").nature(Medium::Heat), Nature::Text);
}

#[test]
fn a_letter_alone_prints_as_something_that_is_read_as_the_same() {
    for text in ["1:L", "1-0:P", "F", "0:C*1"] {
        let code: Obis = text.parse().unwrap();
        assert_eq!(code.to_string().parse(), Ok(code), "{text} prints as {code}");
    }
}
