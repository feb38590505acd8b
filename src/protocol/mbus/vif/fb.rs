//! The first extension table (EN 13757-3, "alternate extended VIF codes", behind FB).

use super::{Coding, Meaning, RESERVED, low, number, plain};

/// A code without its extension bit.
pub(super) fn first(code: u8) -> Meaning {
    match code {
        0x00..=0x1F => amount(code),
        0x20..=0x27 => american(code),
        0x28..=0x37 => electrical(code),
        0x58..=0x67 => fahrenheit(code),
        0x68..=0x6E => rating(code),
        0x70..=0x73 => number("temperature_limit", "°F", low(code, 3) - 3),
        0x74..=0x77 => number("temperature_limit", "°C", low(code, 3) - 3),
        0x78..=0x7F => number("cumulation_max_power", "W", low(code, 7) - 3),
        _ => plain(RESERVED, Coding::Maker),
    }
}

fn amount(code: u8) -> Meaning {
    let n = low(code, 1);
    match code {
        0x00 | 0x01 => number("energy", "Wh", n + 5),
        0x02 | 0x03 => number("reactive_energy", "varh", n + 3),
        0x04 | 0x05 => number("apparent_energy", "VAh", n + 3),
        0x08 | 0x09 => number("energy", "J", n + 8),
        0x0C..=0x0F => number("energy", "cal", low(code, 3) + 5),
        0x10 | 0x11 => number("volume", "m3", n + 2),
        0x14..=0x17 => number("reactive_power", "var", low(code, 3)),
        0x18 | 0x19 => number("mass", "kg", n + 5),
        0x1A | 0x1B => number("relative_humidity", "%", n - 1),
        _ => plain(RESERVED, Coding::Maker),
    }
}

/// Codes of the older editions among them.
fn american(code: u8) -> Meaning {
    match code {
        0x20 => number("volume", "ft3", 0),
        0x21 => number("volume", "ft3", -1),
        0x22 => number("volume", "gal", -1),
        0x23 => number("volume", "gal", 0),
        0x24 => number("volume_flow", "gal/min", -3),
        0x25 => number("volume_flow", "gal/min", 0),
        0x26 => number("volume_flow", "gal/h", 0),
        _ => plain(RESERVED, Coding::Maker),
    }
}

fn electrical(code: u8) -> Meaning {
    match code {
        0x28 | 0x29 => number("power", "W", low(code, 1) + 5),
        0x2A => number("phase_angle_voltage", "°", -1),
        0x2B => number("phase_angle_current", "°", -1),
        0x2C..=0x2F => number("frequency", "Hz", low(code, 3) - 3),
        0x30 | 0x31 => number("power", "J/h", low(code, 1) + 8),
        0x34..=0x37 => number("apparent_power", "VA", low(code, 3)),
        _ => plain(RESERVED, Coding::Maker),
    }
}

/// Codes of the older editions, reserved since.
fn fahrenheit(code: u8) -> Meaning {
    let exponent = low(code, 3) - 3;
    match code {
        0x58..=0x5B => number("flow_temperature", "°F", exponent),
        0x5C..=0x5F => number("return_temperature", "°F", exponent),
        0x60..=0x63 => number("temperature_difference", "°F", exponent),
        _ => number("external_temperature", "°F", exponent),
    }
}

/// Factors of heat cost allocators, in steps of 2^-12 but for the thermal output.
fn rating(code: u8) -> Meaning {
    match code {
        0x68 => number("rating_factor", "1/4096", 0),
        0x69 => number("rating_factor_output", "W", 0),
        0x6A => number("rating_factor_coupling", "1/4096", 0),
        0x6B => number("rating_factor_coupling_room", "1/4096", 0),
        0x6C => number("rating_factor_coupling_heater", "1/4096", 0),
        0x6D => number("rating_factor_low_temperature", "1/4096", 0),
        _ => number("rating_factor_display", "1/4096", 0),
    }
}
