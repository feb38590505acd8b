//! What a capture says, in a form that every protocol shares.
//!
//! Always true here: digits are kept as sent; what does not apply to a protocol is `None` and is not printed.

use crate::reading::Value;

/// Everything in a capture.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In the order sent.
    pub(super) telegrams: Vec<Told>,
    /// Bytes that belong to no telegram.
    pub(super) noise: u64,
    /// What a person should know besides.
    pub(super) remarks: Vec<String>,
}

/// One telegram.
#[derive(Debug)]
pub(super) struct Told {
    /// Who speaks, as far as it is known.
    pub(super) meter: Vec<(&'static str, Datum)>,
    /// Its records, or why there are none.
    pub(super) said: Result<Vec<Record>, String>,
}

/// A word or a number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Datum {
    /// A number in exactly these digits, which are legal in JSON.
    Digits(String),
    /// Text.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// No value.
    #[default]
    Missing,
}

/// One value of a telegram.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Stable name.
    pub(super) name: String,
    /// OBIS code, or another address, as sent.
    pub(super) obis: Option<String>,
    /// DIF and DIFEs in hex.
    pub(super) dif: Option<String>,
    /// VIF and VIFEs in hex.
    pub(super) vif: Option<String>,
    /// Modbus: 0-based address.
    pub(super) address: Option<u16>,
    /// 0 is now.
    pub(super) storage: Option<u64>,
    /// 0 is the total.
    pub(super) tariff: Option<u32>,
    /// 0 is the meter itself.
    pub(super) subunit: Option<u16>,
    /// Kind of value.
    pub(super) function: Option<&'static str>,
    /// With the digits sent.
    pub(super) value: Datum,
    /// `None` where a protocol has no units; empty where this value has none.
    pub(super) unit: Option<String>,
    /// As sent: hex of bytes, or text.
    pub(super) raw: String,
    /// What is odd about it.
    pub(super) problem: Option<String>,
}

impl Datum {
    /// An integer of any width.
    pub(super) fn number(number: impl Into<u64>) -> Self {
        Self::Digits(number.into().to_string())
    }

    /// Text.
    pub(super) fn text(text: impl ToString) -> Self {
        Self::Text(text.to_string())
    }
}

impl From<&Value> for Datum {
    fn from(value: &Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.to_string()),
            Value::Bool(flag) => Self::Flag(*flag),
            Value::F32(number) if !number.is_finite() => Self::Missing,
            Value::F64(number) if !number.is_finite() => Self::Missing,
            Value::Missing => Self::Missing,
            number => Self::Digits(number.to_string()),
        }
    }
}

/// Bytes as `0A 1F`.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}
