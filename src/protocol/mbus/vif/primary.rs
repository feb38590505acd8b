//! The main table (EN 13757-3, "primary VIF codes").

use super::{Coding, Meaning, PLAIN_TEXT, RESERVED, duration, low, number, plain};

/// A code without its extension bit. 7B and 7D lead to tables only with that bit and are reserved without it.
pub(super) fn code(code: u8) -> Meaning {
    match code {
        0x00..=0x57 => amount(code),
        0x58..=0x6B => state(code),
        0x6C => plain("date", Coding::Moment),
        0x6D => plain("datetime", Coding::Moment),
        0x6E => plain("hca", Coding::Number),
        0x70..=0x73 => duration("averaging_duration", code),
        0x74..=0x77 => duration("actuality_duration", code),
        0x78 => plain("fabrication_no", Coding::Unsigned),
        0x79 => plain("identification", Coding::Unsigned),
        0x7A => plain("bus_address", Coding::Unsigned),
        0x7C => plain(PLAIN_TEXT, Coding::Number),
        0x7E => plain("any", Coding::Maker),
        0x7F => plain("manufacturer", Coding::Maker),
        _ => plain(RESERVED, Coding::Maker),
    }
}

/// Three bits of power of ten each, two where time is meant.
fn amount(code: u8) -> Meaning {
    let nnn = low(code, 7);
    match code {
        0x00..=0x07 => number("energy", "Wh", nnn - 3),
        0x08..=0x0F => number("energy", "J", nnn),
        0x10..=0x17 => number("volume", "m3", nnn - 6),
        0x18..=0x1F => number("mass", "kg", nnn - 3),
        0x20..=0x23 => duration("on_time", code),
        0x24..=0x27 => duration("operating_time", code),
        0x28..=0x2F => number("power", "W", nnn - 3),
        0x30..=0x37 => number("power", "J/h", nnn),
        0x38..=0x3F => number("volume_flow", "m3/h", nnn - 6),
        0x40..=0x47 => number("volume_flow", "m3/min", nnn - 7),
        0x48..=0x4F => number("volume_flow", "m3/s", nnn - 9),
        _ => number("mass_flow", "kg/h", nnn - 3),
    }
}

/// Two bits of power of ten each.
fn state(code: u8) -> Meaning {
    let exponent = low(code, 3) - 3;
    match code {
        0x58..=0x5B => number("flow_temperature", "°C", exponent),
        0x5C..=0x5F => number("return_temperature", "°C", exponent),
        0x60..=0x63 => number("temperature_difference", "K", exponent),
        0x64..=0x67 => number("external_temperature", "°C", exponent),
        _ => number("pressure", "bar", exponent),
    }
}
