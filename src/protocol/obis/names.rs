//! Stable names for well-known codes, as `points = "all"` gives them, and whether their values are numbers.
//!
//! Always true here: a name, once given, keeps its meaning in later releases (a test holds the list); it is a legal point name; two
//! codes of one meter have one name only when they are the same quantity. Deliberately absent: units, which the meter sends.
//!
//! Electricity (A = 1, or left out): a quantity, a direction, what was done with it, a phase, a tariff, in this order:
//!
//! | code | name |
//! |---|---|
//! | 1.8.0, 1.8.1 .. 1.8.63 | `energy_import_total`, `energy_import_t1` .. |
//! | 2.8.x, 15.8.x, 16.8.x | `energy_export_..`, `energy_absolute_..`, `energy_net_..` |
//! | 3.8.x, 4.8.x, 5.8.x .. 8.8.x, 9.8.x, 10.8.x | `reactive_energy_import_..`, `reactive_energy_export_..`, `reactive_energy_q1_..` .. `q4`, `apparent_energy_import_..`, `apparent_energy_export_..` |
//! | 21.8.0, 41.8.0, 61.8.0 | `energy_import_l1_total` .. |
//! | 1.7.0, 2.7.0, 15.7.0, 16.7.0, 36.7.0 | `power_import`, `power_export`, `power_absolute`, `power_net`, `power_net_l1` |
//! | 1.4.0, 1.5.0, 1.6.0, 1.2.0, 1.3.0 | `power_import_average`, `.._last_average`, `.._max`, `.._cumulative_max`, `.._min` |
//! | 31.7.0, 32.7.0, 33.7.0, 91.7.0 | `current_l1`, `voltage_l1`, `power_factor_l1`, `current_n` |
//! | 13.7.0, 14.7.0, 81.7.4 | `power_factor`, `frequency`, `angle_i1_u1` |
//! | 32.32.0, 32.36.0, 31.4.0 | `voltage_sags_l1`, `voltage_swells_l1`, `current_limit_l1` |
//!
//! A history other than 255 is added to any name: 1.8.0*62 is `energy_import_total_history_62`. Channels other than 0 are not: whoever
//! reads several channels of one meter adds them.

use super::{Obis, PRESENT};

/// What a meter measures; decides what reduced codes mean (6.8 is heat of a heat meter, reactive energy of an electricity meter).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Medium {
    /// A = 1.
    #[default]
    Electricity,
    /// A = 4, 5, 6: heat cost allocators, cooling and heat.
    Heat,
    /// A = 7.
    Gas,
    /// A = 8, 9: cold and hot water.
    Water,
}

/// Whether the values of a code are numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Nature {
    /// A number wherever it can be read as one.
    Number,
    /// Digits that are no number: serial numbers, state words in hex, dates. A leading zero is part of it.
    Text,
}

impl Obis {
    /// The stable name of this code; `medium` is what the meter measures where group A does not say.
    #[must_use]
    pub fn name(&self, medium: Medium) -> Option<String> {
        let name = match self.medium(medium) {
            None => abstract_name(self),
            Some(medium) => service_name(self).map(str::to_owned).or_else(|| match medium {
                Medium::Electricity => electricity_name(self),
                Medium::Heat => heat_name(self).map(str::to_owned),
                Medium::Gas | Medium::Water => volume_name(self, medium).map(str::to_owned),
            }),
        }?;
        Some(match self.history() {
            PRESENT => name,
            history => format!("{name}_history_{history}"),
        })
    }

    /// The stable name, or one made of the groups C, D, E and, where it is not 255, F: `obis_96_50_0`.
    #[must_use]
    pub fn point_name(&self, medium: Medium) -> String {
        let made = || {
            let groups = std::iter::once(self.c).chain(self.d).chain(self.e).chain(self.f.filter(|f| *f != PRESENT));
            groups.fold("obis".to_owned(), |name, group| format!("{name}_{group}"))
        };
        self.name(medium).unwrap_or_else(made)
    }

    /// Whether the digits of this code are a number, in a meter of this medium.
    #[must_use]
    pub fn nature(&self, medium: Medium) -> Nature {
        let heat = self.a.is_none() && medium == Medium::Heat;
        let text = match (self.c, self.d) {
            (0, Some(0 | 2 | 9)) | (42 | 97, _) | (96, Some(1 | 5 | 13 | 50 | 90 | 97)) => true,
            (0, Some(1)) => self.e == Some(2),
            (9, Some(1 | 2 | 6 | 7 | 20 | 21 | 22 | 36)) | (6, Some(36)) => heat,
            _ => false,
        };
        if text { Nature::Text } else { Nature::Number }
    }

    /// The medium by group A; `None` for abstract objects (A = 0).
    fn medium(&self, otherwise: Medium) -> Option<Medium> {
        match self.a {
            Some(0) => None,
            Some(1) => Some(Medium::Electricity),
            Some(4..=6) => Some(Medium::Heat),
            Some(7) => Some(Medium::Gas),
            Some(8 | 9) => Some(Medium::Water),
            _ => Some(otherwise),
        }
    }
}

/// Codes that mean the same whatever is measured.
fn service_name(code: &Obis) -> Option<&'static str> {
    Some(match (code.c, code.d, code.e.unwrap_or(0)) {
        (0, Some(0), 0) => "meter_id",
        (0, Some(1), 0) => "reset_count",
        (0, Some(2), 0) => "firmware_version",
        (0, Some(2), 8) => "p1_version",
        (0, Some(9), 1) => "meter_time",
        (0, Some(9), 2) => "meter_date",
        (0, Some(0), 9) => "device_id",
        (97, None | Some(97), 0) => "error",
        (96, Some(1), 0) => "serial_number",
        (96, Some(1), 255) => "property_number",
        (96, Some(5), 0) => "status",
        (96, Some(5), 5) => "status_phases",
        (96, Some(7), 0) => "power_failures",
        (96, Some(8), 0) => "operating_time",
        (96, Some(90), 2) => "firmware_checksum",
        (99, Some(97), 0) => "power_failure_log",
        (96, Some(50), 1) | (199, Some(130), 3) => "manufacturer",
        (199, Some(130), 5) => "public_key",
        _ => return None,
    })
}

/// A = 0, with the codes of DSMR P1 and its relatives.
fn abstract_name(code: &Obis) -> Option<String> {
    let e = code.e.unwrap_or(0);
    let name = match (code.c, code.d, e) {
        (1, Some(0), 0) => "meter_clock",
        (17, Some(0), 0) => "limiter_threshold",
        (24, Some(1), 0) => "device_type",
        (24, Some(2), 1) => "volume_or_energy",
        (24, Some(2), 3) => "volume_uncorrected",
        (24, Some(3), 0) => "hourly_reading",
        (24, Some(4), 0) => "valve_state",
        (42, Some(0), 0) => "device_name",
        (96, Some(1), 1) => "equipment_id",
        (96, Some(1), 2) => "ean",
        (96, Some(1), 4) => "p1_version",
        (96, Some(3), 10) => "switch_state",
        (96, Some(7), 9) => "long_power_failures",
        (96, Some(7), 21) => "power_failures",
        (96, Some(13), 0) => "message",
        (96, Some(13), 1) => "message_code",
        (96, Some(14), 0) => "tariff",
        (98, Some(1), 0) => "demand_history",
        _ => return service_name(code).map(str::to_owned),
    };
    Some(name.to_owned())
}

/// Word for a C group counted within its block: 1 to 20 the sum of the phases, 21 to 40 phase 1, 41 to 60 phase 2, 61 to 80 phase 3.
fn electricity_name(code: &Obis) -> Option<String> {
    let d = code.d?;
    let e = code.e.unwrap_or(0);
    match code.c {
        81 if d == 7 => return angle_name(e),
        91 if d == 7 && e == 0 => return Some("current_n".to_owned()),
        92 if d == 7 && e == 0 => return Some("voltage_n".to_owned()),
        0 | 81.. => return None,
        _ => {}
    }
    let (phase, within) = match code.c {
        1..=20 => ("", code.c),
        21..=40 => ("_l1", code.c - 20),
        41..=60 => ("_l2", code.c - 40),
        _ => ("_l3", code.c - 60),
    };
    match within {
        11..=14 => line_name(within, d, e).map(|name| format!("{name}{phase}")),
        _ => power_name(within, phase, d, e),
    }
}

fn line_name(within: u8, d: u8, e: u8) -> Option<&'static str> {
    Some(match (within, d, e) {
        (11, 7, 0) => "current",
        (11, 4, 0) => "current_limit",
        (11, 6, 0) => "current_max",
        (12, 7, 0) => "voltage",
        (12, 32, 0) => "voltage_sags",
        (12, 36, 0) => "voltage_swells",
        (13, 7, 0) => "power_factor",
        (14, 7, 0) => "frequency",
        _ => return None,
    })
}

fn power_name(within: u8, phase: &str, d: u8, e: u8) -> Option<String> {
    let (kind, direction) = match within {
        1 => ("", "import"),
        2 => ("", "export"),
        3 => ("reactive_", "import"),
        4 => ("reactive_", "export"),
        5 => ("reactive_", "q1"),
        6 => ("reactive_", "q2"),
        7 => ("reactive_", "q3"),
        8 => ("reactive_", "q4"),
        9 => ("apparent_", "import"),
        10 => ("apparent_", "export"),
        15 => ("", "absolute"),
        16 => ("", "net"),
        _ => return None,
    };
    if d == 8 {
        return energy_tariff(e).map(|tariff| format!("{kind}energy_{direction}{phase}_{tariff}"));
    }
    let treatment = match d {
        2 => "_cumulative_max",
        3 => "_min",
        4 => "_average",
        5 => "_last_average",
        6 => "_max",
        7 => "",
        _ => return None,
    };
    let tariff = match e {
        0 => String::new(),
        _ => format!("_{}", energy_tariff(e)?),
    };
    Some(format!("{kind}power_{direction}{treatment}{phase}{tariff}"))
}

fn energy_tariff(e: u8) -> Option<String> {
    match e {
        0 => Some("total".to_owned()),
        1..=63 => Some(format!("t{e}")),
        _ => None,
    }
}

/// 81.7.E: the angle from the reference (tens) to the vector (ones); 0..2 voltages, 4..6 currents, 7 neutral (IEC 62056-61 table 6).
fn angle_name(e: u8) -> Option<String> {
    let vector = |digit: u8| {
        Some(match digit {
            0 => "u1",
            1 => "u2",
            2 => "u3",
            4 => "i1",
            5 => "i2",
            6 => "i3",
            7 => "in",
            _ => return None,
        })
    };
    Some(format!("angle_{}_{}", vector(e % 10)?, vector(e / 10)?))
}

/// Heat meters: the reduced codes of their optical interface, and A = 6 in full form.
fn heat_name(code: &Obis) -> Option<&'static str> {
    Some(match (code.a.is_some(), code.c, code.d, code.e.unwrap_or(0)) {
        (false, 6, Some(8), 0) | (true, 1, Some(0), 0) => "heat_energy",
        (false, 6, Some(26), 0) | (true, 2, Some(0), 0) => "volume",
        (false, 6, Some(4), 0) | (true, 8, Some(0), 0) => "power",
        (false, 6, Some(27), 0) | (true, 9, Some(0), 0) => "flow",
        (true, 10, Some(0), 0) => "flow_temperature",
        (true, 11, Some(0), 0) => "return_temperature",
        (false, 6, Some(6), 0) => "power_max",
        (false, 6, Some(33), 0) => "flow_max",
        (false, 9, Some(4), 0) => "temperatures_max",
        (false, 6, Some(31), 0) => "operating_hours",
        (false, 6, Some(32), 0) => "error_hours",
        (false, 6, Some(35), 0) => "measuring_period",
        (false, 6, Some(36), 0) => "due_date",
        (false, 9, Some(20), 0) => "device_number",
        (false, 9, Some(21), 0) => "customer_number",
        (false, 9, Some(24), 0) => "nominal_flow",
        (false, 9, Some(31), 0) => "flow_hours",
        (false, 9, Some(36), 0) => "meter_clock",
        _ => return None,
    })
}

fn volume_name(code: &Obis, medium: Medium) -> Option<&'static str> {
    match (medium, code.c, code.d, code.e.unwrap_or(0)) {
        (Medium::Gas, 3 | 13, Some(0 | 1), 0) | (_, 1, Some(0), 0) => Some("volume"),
        (Medium::Gas, 23, Some(1), 0) => Some("volume_daily"),
        (Medium::Gas, 3 | 13, Some(2), 0) => Some("volume_converted"),
        (Medium::Water, 2, Some(0), 0) => Some("flow"),
        _ => None,
    }
}
