//! What a combinable code says beyond unit and power of ten: which one of several values of the same kind a record holds.

use std::borrow::Cow;

/// A code behind the VIF that tells a record from its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Qualifier {
    /// Of the combinable table.
    Standard(u8),
    /// Of its extension behind FC.
    Extended(u8),
    /// The maker's, behind FF.
    Maker(u8),
}

impl Qualifier {
    /// A stable word for names of points: letters, digits and `_`.
    pub fn word(self) -> Cow<'static, str> {
        match self {
            Self::Standard(code) => standard(code),
            Self::Extended(code) => extended(code),
            Self::Maker(code) => Cow::Owned(format!("maker_{code:02x}")),
        }
    }
}

fn standard(code: u8) -> Cow<'static, str> {
    let word = match code {
        0x12 => "average",
        0x13 => "inverse_profile",
        0x14 => "relative_deviation",
        0x1D => "standard_content",
        0x1E => "profile_with_registers",
        0x1F => "profile",
        0x27 => "per_revolution",
        0x28 => "per_input_pulse_0",
        0x29 => "per_input_pulse_1",
        0x2A => "per_output_pulse_0",
        0x2B => "per_output_pulse_1",
        0x39 => "start",
        0x3A => "uncorrected",
        0x3B => "forward",
        0x3C => "backward",
        0x3D => "non_metric",
        0x3E => "at_base_conditions",
        0x3F => "obis",
        0x40..=0x5F => return Cow::Owned(limit(code)),
        0x60..=0x63 => "first_duration",
        0x64..=0x67 => "last_duration",
        0x68 => "during_lower_limit",
        0x69 => "leakage",
        0x6A => "first_begin",
        0x6B => "first_end",
        0x6C => "during_upper_limit",
        0x6D => "overflow",
        0x6E => "last_begin",
        0x6F => "last_end",
        0x7E => "future",
        _ => return Cow::Owned(format!("vife_{code:02x}")),
    };
    Cow::Borrowed(word)
}

/// 40..=5F: bit 3 upper or lower; then the limit itself, a count, a duration, or a point in time by first/last and begin/end.
fn limit(code: u8) -> String {
    let side = if code & 0x08 == 0 { "lower" } else { "upper" };
    let turn = if code & 0x04 == 0 { "first" } else { "last" };
    let edge = if code & 0x01 == 0 { "begin" } else { "end" };
    match code & 0x17 {
        0x00 => format!("{side}_limit"),
        0x01 => format!("{side}_limit_count"),
        0x02 | 0x03 | 0x06 | 0x07 => format!("{side}_limit_{turn}_{edge}"),
        0x10..=0x17 => format!("{side}_limit_{turn}_duration"),
        _ => format!("vife_{code:02x}"),
    }
}

fn extended(code: u8) -> Cow<'static, str> {
    let word = match code {
        0x01 => "l1",
        0x02 => "l2",
        0x03 => "l3",
        0x04 => "n",
        0x05 => "l1_l2",
        0x06 => "l2_l3",
        0x07 => "l3_l1",
        0x08 => "q1",
        0x09 => "q2",
        0x0A => "q3",
        0x0B => "q4",
        0x0C => "import_minus_export",
        0x10 => "absolute",
        0x11 => "type_c",
        0x12 => "type_d",
        0x13 => "to_meter",
        0x14 => "from_meter",
        _ => return Cow::Owned(format!("vife_fc{code:02x}")),
    };
    Cow::Borrowed(word)
}
