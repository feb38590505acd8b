//! The main extension table (EN 13757-3, "main VIF extension", behind FD) and the one behind FD FD.

use super::{Coding, Meaning, RESERVED, duration, long_duration, low, number, plain};

/// A code without its extension bit.
pub(super) fn first(code: u8) -> Meaning {
    match code {
        0x00..=0x03 => number("credit", "currency", low(code, 3) - 3),
        0x04..=0x07 => number("debit", "currency", low(code, 3) - 3),
        0x08..=0x19 => identification(code),
        0x1A..=0x2B => management(code),
        0x2C..=0x3F => period(code),
        0x40..=0x4F => number("voltage", "V", low(code, 15) - 9),
        0x50..=0x5F => number("current", "A", low(code, 15) - 12),
        _ => state(code),
    }
}

fn identification(code: u8) -> Meaning {
    let (name, coding) = match code {
        0x08 => ("access_number", Coding::Unsigned),
        0x09 => ("device_type", Coding::Unsigned),
        0x0A => ("manufacturer_name", Coding::Unsigned),
        0x0B => ("parameter_set", Coding::Unsigned),
        0x0C => ("model_version", Coding::Unsigned),
        0x0D => ("hardware_version", Coding::Unsigned),
        0x0E => ("firmware_version", Coding::Unsigned),
        0x0F => ("software_version", Coding::Unsigned),
        0x10 => ("customer_location", Coding::Unsigned),
        0x11 => ("customer", Coding::Unsigned),
        0x12 => ("access_code_user", Coding::Unsigned),
        0x13 => ("access_code_operator", Coding::Unsigned),
        0x14 => ("access_code_system_operator", Coding::Unsigned),
        0x15 => ("access_code_developer", Coding::Unsigned),
        0x16 => ("password", Coding::Unsigned),
        0x17 => ("error_flags", Coding::Bits),
        0x18 => ("error_mask", Coding::Bits),
        _ => ("security_key", Coding::Maker),
    };
    plain(name, coding)
}

fn management(code: u8) -> Meaning {
    match code {
        0x1A => plain("digital_output", Coding::Bits),
        0x1B => plain("digital_input", Coding::Bits),
        0x1C => Meaning { unit: "Bd", ..plain("baud_rate", Coding::Unsigned) },
        0x1D => Meaning { unit: "bit times", ..plain("response_delay", Coding::Unsigned) },
        0x1E => plain("retry", Coding::Unsigned),
        0x1F => plain("remote_control", Coding::Unsigned),
        0x20 => plain("first_storage", Coding::Unsigned),
        0x21 => plain("last_storage", Coding::Unsigned),
        0x22 => plain("storage_block_size", Coding::Unsigned),
        0x23 => plain("tariff_descriptor", Coding::Unsigned),
        0x24..=0x27 => duration("storage_interval", code),
        0x28 => number("storage_interval", "month", 0),
        0x29 => number("storage_interval", "year", 0),
        0x2A => plain("operator_data", Coding::Maker),
        _ => number("time_point_second", "s", 0),
    }
}

fn period(code: u8) -> Meaning {
    match code {
        0x2C..=0x2F => duration("duration_since_readout", code),
        0x30 => plain("tariff_start", Coding::Moment),
        0x31..=0x33 => duration("tariff_duration", code),
        0x34..=0x37 => duration("tariff_period", code),
        0x38 => number("tariff_period", "month", 0),
        0x39 => number("tariff_period", "year", 0),
        0x3A => plain("dimensionless", Coding::Number),
        0x3B => plain("wireless_container", Coding::Maker),
        _ => duration("transmission_period", code),
    }
}

fn state(code: u8) -> Meaning {
    match code {
        0x60 => plain("reset_counter", Coding::Unsigned),
        0x61 => plain("cumulation_counter", Coding::Unsigned),
        0x62 => plain("control_signal", Coding::Unsigned),
        0x63 => plain("day_of_week", Coding::Unsigned),
        0x64 => plain("week_number", Coding::Unsigned),
        0x65 => plain("day_change", Coding::Moment),
        0x66 => plain("parameter_activation", Coding::Bits),
        0x67 => plain("supplier_information", Coding::Unsigned),
        0x68..=0x6B => long_duration("duration_since_cumulation", code),
        0x6C..=0x6F => long_duration("battery_operating_time", code),
        0x70 => plain("battery_change", Coding::Moment),
        0x71 => number("rf_level", "dBm", 0),
        0x72 => plain("daylight_saving", Coding::Maker),
        0x73 => plain("listening_window", Coding::Maker),
        0x74 => number("battery_remaining", "d", 0),
        0x75 => plain("stop_counter", Coding::Unsigned),
        0x76 => plain("manufacturer_container", Coding::Maker),
        _ => plain(RESERVED, Coding::Maker),
    }
}

/// The table behind FD FD.
pub(super) fn second(code: u8) -> Meaning {
    match code {
        0x00 => plain("selected_application", Coding::Unsigned),
        0x02 => number("battery_remaining", "month", 0),
        0x03 => number("battery_remaining", "year", 0),
        _ => plain(RESERVED, Coding::Maker),
    }
}
