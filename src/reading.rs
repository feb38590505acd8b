//! The shared words: what a reading is, how far it is to be trusted, and the one trait through which it is handed on.
//!
//! Always true here:
//! - A [`Sweep`] is read by the schema it was taken with, never by today's configuration: it holds no index into one.
//! - A 64-bit counter keeps every digit, and a value keeps the digits it was sent with ([`Value::Decimal`]).
//! - A value that is not known is [`Value::Missing`] with a [`Quality::Bad`] that says why; it is never a number.
//!
//! Deliberately absent: wires, files, brokers, and the question what time it is (see [`crate::clock`]).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One value of one point, exactly as the meter gave it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A signed integer of any width up to 64 bits.
    Int(i64),
    /// An unsigned integer of any width up to 64 bits.
    UInt(u64),
    /// `mantissa * 10^exponent`: the digits as sent, or an integer scaled by a decimal factor.
    Decimal {
        /// All digits, without the point.
        mantissa: i64,
        /// Power of ten, negative for digits behind the point.
        exponent: i8,
    },
    /// A single precision float; printed with the fewest digits that give the same float back.
    F32(f32),
    /// A double precision float.
    F64(f64),
    /// A coil, a discrete input or a single bit.
    Bool(bool),
    /// Text of the meter, or the name of a state.
    Text(Box<str>),
    /// No value; the quality beside it says why.
    Missing,
}

impl fmt::Display for Value {
    /// The digits as sent; floats with the fewest digits that give the same float back; nothing for a missing value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::UInt(value) => write!(f, "{value}"),
            Self::Decimal { mantissa, exponent } => write_decimal(f, *mantissa, *exponent),
            Self::F32(value) => write!(f, "{value}"),
            Self::F64(value) => write!(f, "{value}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
            Self::Missing => Ok(()),
        }
    }
}

/// `mantissa * 10^exponent` in plain digits, with all digits behind the point that were sent.
fn write_decimal(f: &mut fmt::Formatter<'_>, mantissa: i64, exponent: i8) -> fmt::Result {
    let sign = if mantissa < 0 { "-" } else { "" };
    let digits = mantissa.unsigned_abs();
    let Ok(power) = usize::try_from(exponent) else {
        let places = usize::from(exponent.unsigned_abs());
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        return write!(f, "{sign}{whole}.{fraction}");
    };
    let zeros = if digits == 0 { 0 } else { power };
    write!(f, "{sign}{digits}{:0>zeros$}", "")
}

/// How far a value is to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quality {
    /// Nothing speaks against the value.
    Good,
    /// The value is missing or doubtful, for this reason.
    Bad(Reason),
}

/// Why a value is missing or doubtful. The name in the payload is the `Display` form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The meter did not answer in time: `timeout`.
    Timeout,
    /// Bytes came, but no valid answer: `garbled`.
    Garbled,
    /// The meter refused with this Modbus exception code: `exception-2`.
    Exception(u8),
    /// The line or the connection is gone: `line-down`.
    LineDown,
    /// The meter sent its own mark for "no value" (`invalid = ..`): `invalid`.
    Invalid,
    /// A float that is not a number, or infinite: `nan`.
    NotANumber,
    /// The raw digits are none (BCD with A..F, text that is not UTF-8): `malformed`.
    Malformed,
    /// Scaling left the range of a 64-bit mantissa: `overflow`.
    Overflow,
    /// The meter is not due for a try while it is silent: `silent`.
    Silent,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timeout"),
            Self::Garbled => f.write_str("garbled"),
            Self::Exception(code) => write!(f, "exception-{code}"),
            Self::LineDown => f.write_str("line-down"),
            Self::Invalid => f.write_str("invalid"),
            Self::NotANumber => f.write_str("nan"),
            Self::Malformed => f.write_str("malformed"),
            Self::Overflow => f.write_str("overflow"),
            Self::Silent => f.write_str("silent"),
        }
    }
}

/// What a point's values are made of on the wire; upstream prints 64-bit integer types as strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    /// A bit.
    Bool,
    /// An unsigned integer of at most 16 bits (registers, halves of registers, bit fields).
    U16,
    /// A signed 16-bit integer.
    I16,
    /// An unsigned 32-bit integer.
    U32,
    /// A signed 32-bit integer.
    I32,
    /// An unsigned 64-bit integer.
    U64,
    /// A signed 64-bit integer.
    I64,
    /// A single precision float.
    F32,
    /// A double precision float.
    F64,
    /// Decimal digits as sent (BCD, meters that send text).
    Decimal,
    /// Text.
    String,
}

impl ValueType {
    /// Whether consumers that read JSON numbers as doubles would lose digits.
    #[must_use]
    pub fn is_wide(self) -> bool {
        matches!(self, Self::U64 | Self::I64)
    }
}

/// What a point's values mean over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A momentary value.
    #[default]
    Gauge,
    /// A value that only grows, until it rolls over or the meter is exchanged.
    Counter,
    /// One of a few states.
    State,
}

/// Retention class: what may be given up when a bound forces readings out. A batch holds one class only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Given up first.
    #[default]
    Normal,
    /// Given up last (billing).
    Always,
}

/// One point of a meter as a consumer needs to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaPoint {
    /// Name of the point within its meter.
    pub name: Box<str>,
    /// Unit as configured or as the meter names it; empty where there is none.
    pub unit: Box<str>,
    /// Type on the wire.
    #[serde(rename = "type")]
    pub value_type: ValueType,
    /// Gauge, counter or state.
    pub kind: Kind,
}

/// Hash of a schema's content; written as 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaId(pub u64);

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The content of a schema, from which its id is derived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaContent {
    /// Name of the gateway at the time of reading.
    pub gateway: Box<str>,
    /// District at the time of reading.
    pub district: Box<str>,
    /// Name of the meter at the time of reading.
    pub meter: Box<str>,
    /// Retention class of the meter's readings.
    #[serde(default)]
    pub keep: Keep,
    /// The points; a sweep names them by their place in this list.
    pub points: Vec<SchemaPoint>,
}

/// One meter of one gateway, as it was named and measured when a sweep was taken. Immutable; its id is a hash of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterSchema {
    id: SchemaId,
    content: SchemaContent,
}

impl MeterSchema {
    /// Derives the id from the content.
    #[must_use]
    pub fn new(content: SchemaContent) -> Self {
        let id = SchemaId(content_hash(&content));
        Self { id, content }
    }

    /// The content hash.
    #[must_use]
    pub fn id(&self) -> SchemaId {
        self.id
    }
}

impl std::ops::Deref for MeterSchema {
    type Target = SchemaContent;
    fn deref(&self) -> &SchemaContent {
        &self.content
    }
}

/// The first eight bytes of SHA-256 over the fields, each with its length before it so that no two contents read alike.
fn content_hash(content: &SchemaContent) -> u64 {
    let mut hasher = Sha256::new();
    let mut field = |text: &str| {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    };
    field(&content.gateway);
    field(&content.district);
    field(&content.meter);
    field(&format!("{:?}", content.keep));
    for point in &content.points {
        field(&point.name);
        field(&point.unit);
        field(&format!("{:?} {:?}", point.value_type, point.kind));
    }
    let digest = hasher.finalize();
    digest.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte))
}

/// Which boot of which machine: the kernel's random boot id. Zero where the kernel does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BootId(pub u128);

/// When something was read: by the wall clock, and by the clock that nobody sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Unix time in milliseconds as the wall clock showed it then.
    pub wall_ms: i64,
    /// The boot during which it was taken.
    pub boot: BootId,
    /// CLOCK_BOOTTIME in milliseconds: comparable within one boot only.
    pub boot_ms: u64,
    /// Whether the kernel called the wall clock synchronised at that moment.
    pub synchronised: bool,
}

/// What one poll or one telegram of one meter gave at one moment.
///
/// Points that were not due or were suppressed are absent; a point that failed is present as [`Value::Missing`] with its reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// Names, units and types of what `values` holds.
    pub schema: Arc<MeterSchema>,
    /// When the answer was complete.
    pub stamp: Stamp,
    /// Place in `schema.points`, value and quality; ascending by place, each place at most once.
    pub values: Vec<(u16, Value, Quality)>,
}

/// Names a batch, an event or a gap record for ever: a random run and a number within it. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Drawn at random (53 bits) at every start of the daemon.
    pub run: u64,
    /// Counts batches, events and gaps within the run, from 1.
    pub seq: u64,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.run, self.seq)
    }
}

/// Readings that were given up, as the platform is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Stamp of the oldest sweep given up, Unix milliseconds.
    pub from_ms: i64,
    /// Stamp of the youngest sweep given up, Unix milliseconds.
    pub to_ms: i64,
    /// Meters concerned, sorted.
    pub meters: Vec<Box<str>>,
    /// Number of readings given up; `None` where it cannot be known (damaged records).
    pub readings: Option<u64>,
    /// Why, in a word: `max-size`, `journal-full`, `damaged`, ...
    pub why: Box<str>,
}

/// What an event tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// Readings were given up.
    Gap(Gap),
    /// Something the platform should know: a stable code and a sentence.
    Notice {
        /// Stable word, e.g. `configuration-last-good`.
        code: Box<str>,
        /// A sentence for people.
        text: Box<str>,
    },
}

/// Something told upstream in the same sequence as the batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Name of the gateway when it happened.
    pub gateway: Box<str>,
    /// District when it happened.
    pub district: Box<str>,
    /// When it happened.
    pub stamp: Stamp,
    /// What happened.
    pub told: Told,
}

/// Takes readings off the hands of whoever got them. When `append` returns, the sweep survives a crash of this process.
pub trait Append: Send + Sync {
    /// Takes one sweep. Never waits for flash; what a bound forces out is counted and told as a gap, here and nowhere else.
    fn append(&self, sweep: Sweep);
    /// Takes something to be told upstream, in the same sequence.
    fn tell(&self, event: Event);
}

/// Why a name cannot be used as one level of an MQTT topic and as a key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadName {
    /// Empty, or longer than 64 bytes.
    Length(usize),
    /// A character that names may not hold.
    Character(char),
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(found) => write!(f, "{found} characters, expected 1 to 64"),
            Self::Character(found) => write!(f, "character {found:?}, expected letters, digits, \"-\" and \"_\""),
        }
    }
}

/// Checks a name of a district, bus, meter, point or profile; `dots` also allows ".", for the gateway's own name.
///
/// # Errors
/// The first reason found, left to right.
pub fn check_name(name: &str, dots: bool) -> Result<(), BadName> {
    if name.is_empty() || name.len() > 64 {
        return Err(BadName::Length(name.len()));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || (dots && c == '.');
    name.chars().find(|c| !allowed(*c)).map_or(Ok(()), |c| Err(BadName::Character(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(meter: &str, unit: &str) -> SchemaContent {
        SchemaContent {
            gateway: "g".into(),
            district: "d".into(),
            meter: meter.into(),
            keep: Keep::Normal,
            points: vec![SchemaPoint { name: "voltage".into(), unit: unit.into(), value_type: ValueType::F32, kind: Kind::Gauge }],
        }
    }

    #[test]
    fn a_schema_with_the_same_content_has_the_same_id() {
        assert_eq!(MeterSchema::new(content("m", "V")).id(), MeterSchema::new(content("m", "V")).id());
    }

    #[test]
    fn a_schema_with_another_unit_or_meter_has_another_id() {
        let id = MeterSchema::new(content("m", "V")).id();
        assert_ne!(id, MeterSchema::new(content("m", "kV")).id());
        assert_ne!(id, MeterSchema::new(content("n", "V")).id());
    }

    #[test]
    fn the_id_of_a_schema_never_changes_between_releases() {
        assert_eq!(MeterSchema::new(content("m", "V")).id().to_string(), "9f9d52db677d5078");
    }

    #[test]
    fn a_decimal_is_written_with_the_digits_it_was_sent_with() {
        let written = |mantissa, exponent| Value::Decimal { mantissa, exponent }.to_string();
        assert_eq!(written(2298, -1), "229.8");
        assert_eq!(written(-5, -3), "-0.005");
        assert_eq!(written(2300, -1), "230.0");
        assert_eq!(written(12, 3), "12000");
        assert_eq!(written(0, 3), "0");
        assert_eq!(written(i64::MIN, 0), "-9223372036854775808");
    }

    #[test]
    fn a_float_is_written_with_the_fewest_digits_that_give_it_back() {
        assert_eq!(Value::F32(229.8).to_string(), "229.8");
        assert_eq!(Value::F64(0.1).to_string(), "0.1");
    }

    #[test]
    fn a_gateway_may_have_dots_in_its_name_and_a_meter_may_not() {
        assert_eq!(check_name("ruhrort-017.a", true), Ok(()));
        assert_eq!(check_name("feeder.1", false), Err(BadName::Character('.')));
        assert_eq!(check_name("", false), Err(BadName::Length(0)));
        assert_eq!(check_name("a/b", true), Err(BadName::Character('/')));
    }
}
