//! Bytes of the shared words: sweeps, schemas, events. Pure.
//!
//! Always true here: what is read back is what was written, bit for bit, or a [`Bad`] that says why not; no input makes it panic
//! or reserve more memory than the input is long. A sweep names its schema by id and holds no index into any configuration.
//! Deliberately absent: checksums (`record` and `frames` have them), files, clocks.

use std::sync::Arc;

use crate::reading::{
    BootId, Event, Gap, Keep, Kind, MeterSchema, Quality, Reason, SchemaContent, SchemaId, SchemaPoint, Stamp, Sweep, Told, Value,
    ValueType,
};

/// Why bytes are none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Bad {
    /// The bytes end early.
    #[error("ended early: {wanted} bytes wanted, {found} there")]
    Short {
        /// Bytes the next field has.
        wanted: usize,
        /// Bytes left.
        found: usize,
    },
    /// A tag, number or text that this version does not write.
    #[error("{what} out of range")]
    Range {
        /// Which field.
        what: &'static str,
    },
    /// The checksum does not fit.
    #[error("checksum {found:08x}, expected {expected:08x}")]
    Checksum {
        /// What stands there.
        found: u32,
        /// What the bytes give.
        expected: u32,
    },
    /// A version or kind that another release wrote.
    #[error("version {version} kind {kind} is not known here")]
    Unknown {
        /// Version of the frame.
        version: u8,
        /// Kind within it.
        kind: u8,
    },
    /// The schema that the sweep is to be read by is not there.
    #[error("schema {0} is missing")]
    Schema(SchemaId),
}

/// Where a schema is looked up.
pub(super) type Schemas<'a> = &'a dyn Fn(SchemaId) -> Option<Arc<MeterSchema>>;

/// Reads from the front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Bad> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Bad::Short { wanted: count, found: self.0.len() })?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Bad::Short { wanted: N, found: self.0.len() })?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Bad> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Bad> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Bad> {
        self.array().map(u64::from_le_bytes)
    }

    /// Seven bits a byte, lowest first.
    pub(super) fn unsigned(&mut self) -> Result<u64, Bad> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Bad::Range { what: "number" })
    }

    /// Zigzag: the sign in the lowest bit.
    pub(super) fn signed(&mut self) -> Result<i64, Bad> {
        let folded = self.unsigned()?;
        Ok((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }

    /// A count of items that have at least one byte each.
    pub(super) fn count(&mut self) -> Result<usize, Bad> {
        let count = usize::try_from(self.unsigned()?).unwrap_or(usize::MAX);
        if count > self.0.len() { Err(Bad::Short { wanted: count, found: self.0.len() }) } else { Ok(count) }
    }

    fn text(&mut self) -> Result<&'a str, Bad> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Bad::Range { what: "text" })
    }
}

pub(super) fn put_unsigned(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

pub(super) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_unsigned(out, (number << 1 ^ number >> 63).cast_unsigned());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_unsigned(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Bit of a value's tag that says that a reason follows.
const BAD: u8 = 0x80;

/// Appends one sweep: schema id, stamp, values.
pub(super) fn put_sweep(out: &mut Vec<u8>, sweep: &Sweep) {
    out.extend_from_slice(&sweep.schema.id().0.to_le_bytes());
    put_stamp(out, &sweep.stamp);
    put_unsigned(out, sweep.values.len() as u64);
    let mut before = 0;
    for (place, value, quality) in &sweep.values {
        put_unsigned(out, u64::from(place.wrapping_sub(before)));
        put_value(out, value, *quality);
        before = *place;
    }
}

/// Reads one sweep by the schema it was taken with.
pub(super) fn sweep(input: &mut Input<'_>, schemas: Schemas<'_>) -> Result<Sweep, Bad> {
    let id = SchemaId(input.u64()?);
    let stamp = stamp(input)?;
    let count = input.count()?;
    let mut values = Vec::with_capacity(count);
    let mut before = 0u16;
    for _ in 0..count {
        let step = u16::try_from(input.unsigned()?).map_err(|_| Bad::Range { what: "place" })?;
        before = before.wrapping_add(step);
        let (value, quality) = value(input)?;
        values.push((before, value, quality));
    }
    let schema = schemas(id).ok_or(Bad::Schema(id))?;
    Ok(Sweep { schema, stamp, values })
}

fn put_stamp(out: &mut Vec<u8>, stamp: &Stamp) {
    put_signed(out, stamp.wall_ms);
    out.extend_from_slice(&stamp.boot.0.to_le_bytes());
    put_unsigned(out, stamp.boot_ms);
    out.push(u8::from(stamp.synchronised));
}

fn stamp(input: &mut Input<'_>) -> Result<Stamp, Bad> {
    Ok(Stamp {
        wall_ms: input.signed()?,
        boot: BootId(u128::from_le_bytes(input.array()?)),
        boot_ms: input.unsigned()?,
        synchronised: flag(input)?,
    })
}

fn flag(input: &mut Input<'_>) -> Result<bool, Bad> {
    match input.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Bad::Range { what: "flag" }),
    }
}

fn put_value(out: &mut Vec<u8>, value: &Value, quality: Quality) {
    let tag = tag(value);
    match quality {
        Quality::Good => out.push(tag),
        Quality::Bad(reason) => {
            out.push(tag | BAD);
            put_reason(out, reason);
        }
    }
    match value {
        Value::Int(number) => put_signed(out, *number),
        Value::UInt(number) => put_unsigned(out, *number),
        Value::Decimal { mantissa, exponent } => {
            put_signed(out, *mantissa);
            out.extend_from_slice(&exponent.to_le_bytes());
        }
        Value::F32(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::F64(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::Text(text) => put_text(out, text),
        Value::Bool(_) | Value::Missing => {}
    }
}

fn tag(value: &Value) -> u8 {
    match value {
        Value::Missing => 0,
        Value::Int(_) => 1,
        Value::UInt(_) => 2,
        Value::Decimal { .. } => 3,
        Value::F32(_) => 4,
        Value::F64(_) => 5,
        Value::Bool(false) => 6,
        Value::Bool(true) => 7,
        Value::Text(_) => 8,
    }
}

fn value(input: &mut Input<'_>) -> Result<(Value, Quality), Bad> {
    let tag = input.u8()?;
    let quality = if tag & BAD == 0 { Quality::Good } else { Quality::Bad(reason(input)?) };
    let value = match tag & !BAD {
        0 => Value::Missing,
        1 => Value::Int(input.signed()?),
        2 => Value::UInt(input.unsigned()?),
        3 => Value::Decimal { mantissa: input.signed()?, exponent: i8::from_le_bytes(input.array()?) },
        4 => Value::F32(f32::from_le_bytes(input.array()?)),
        5 => Value::F64(f64::from_le_bytes(input.array()?)),
        6 => Value::Bool(false),
        7 => Value::Bool(true),
        8 => Value::Text(input.text()?.into()),
        _ => return Err(Bad::Range { what: "value tag" }),
    };
    Ok((value, quality))
}

fn put_reason(out: &mut Vec<u8>, reason: Reason) {
    match reason {
        Reason::Timeout => out.push(1),
        Reason::Garbled => out.push(2),
        Reason::Exception(code) => out.extend_from_slice(&[3, code]),
        Reason::LineDown => out.push(4),
        Reason::Invalid => out.push(5),
        Reason::NotANumber => out.push(6),
        Reason::Malformed => out.push(7),
        Reason::Overflow => out.push(8),
        Reason::Silent => out.push(9),
    }
}

fn reason(input: &mut Input<'_>) -> Result<Reason, Bad> {
    Ok(match input.u8()? {
        1 => Reason::Timeout,
        2 => Reason::Garbled,
        3 => Reason::Exception(input.u8()?),
        4 => Reason::LineDown,
        5 => Reason::Invalid,
        6 => Reason::NotANumber,
        7 => Reason::Malformed,
        8 => Reason::Overflow,
        9 => Reason::Silent,
        _ => return Err(Bad::Range { what: "reason" }),
    })
}

/// Appends the content of a schema.
pub(super) fn put_schema(out: &mut Vec<u8>, schema: &SchemaContent) {
    put_text(out, &schema.gateway);
    put_text(out, &schema.district);
    put_text(out, &schema.meter);
    out.push(put_keep(schema.keep));
    put_unsigned(out, schema.points.len() as u64);
    for point in &schema.points {
        put_text(out, &point.name);
        put_text(out, &point.unit);
        out.push(put_type(point.value_type));
        out.push(match point.kind {
            Kind::Gauge => 0,
            Kind::Counter => 1,
            Kind::State => 2,
        });
    }
}

/// Reads the content of a schema; its id follows from it.
pub(super) fn schema(input: &mut Input<'_>) -> Result<MeterSchema, Bad> {
    let gateway = input.text()?.into();
    let district = input.text()?.into();
    let meter = input.text()?.into();
    let keep = keep(input.u8()?)?;
    let points = (0..input.count()?).map(|_| point(input)).collect::<Result<_, _>>()?;
    Ok(MeterSchema::new(SchemaContent { gateway, district, meter, keep, points }))
}

fn point(input: &mut Input<'_>) -> Result<SchemaPoint, Bad> {
    let name = input.text()?.into();
    let unit = input.text()?.into();
    let value_type = value_type(input.u8()?)?;
    let kind = match input.u8()? {
        0 => Kind::Gauge,
        1 => Kind::Counter,
        2 => Kind::State,
        _ => return Err(Bad::Range { what: "kind" }),
    };
    Ok(SchemaPoint { name, unit, value_type, kind })
}

pub(super) fn put_keep(keep: Keep) -> u8 {
    match keep {
        Keep::Normal => 0,
        Keep::Always => 1,
    }
}

pub(super) fn keep(byte: u8) -> Result<Keep, Bad> {
    match byte {
        0 => Ok(Keep::Normal),
        1 => Ok(Keep::Always),
        _ => Err(Bad::Range { what: "retention class" }),
    }
}

const TYPES: [ValueType; 11] = [
    ValueType::Bool,
    ValueType::U16,
    ValueType::I16,
    ValueType::U32,
    ValueType::I32,
    ValueType::U64,
    ValueType::I64,
    ValueType::F32,
    ValueType::F64,
    ValueType::Decimal,
    ValueType::String,
];

fn put_type(value_type: ValueType) -> u8 {
    TYPES.iter().zip(0..).find(|(known, _)| **known == value_type).map_or(u8::MAX, |(_, tag)| tag)
}

fn value_type(tag: u8) -> Result<ValueType, Bad> {
    TYPES.get(usize::from(tag)).copied().ok_or(Bad::Range { what: "value type" })
}

/// Appends an event or a gap.
pub(super) fn put_event(out: &mut Vec<u8>, event: &Event) {
    put_text(out, &event.gateway);
    put_text(out, &event.district);
    put_stamp(out, &event.stamp);
    match &event.told {
        Told::Gap(gap) => {
            out.push(0);
            put_gap(out, gap);
        }
        Told::Notice { code, text } => {
            out.push(1);
            put_text(out, code);
            put_text(out, text);
        }
    }
}

/// Reads an event or a gap.
pub(super) fn event(input: &mut Input<'_>) -> Result<Event, Bad> {
    let gateway = input.text()?.into();
    let district = input.text()?.into();
    let stamp = stamp(input)?;
    let told = match input.u8()? {
        0 => Told::Gap(gap(input)?),
        1 => Told::Notice { code: input.text()?.into(), text: input.text()?.into() },
        _ => return Err(Bad::Range { what: "event" }),
    };
    Ok(Event { gateway, district, stamp, told })
}

fn put_gap(out: &mut Vec<u8>, gap: &Gap) {
    put_signed(out, gap.from_ms);
    put_signed(out, gap.to_ms);
    put_unsigned(out, gap.readings.map_or(0, |readings| readings.saturating_add(1)));
    put_text(out, &gap.why);
    put_unsigned(out, gap.meters.len() as u64);
    gap.meters.iter().for_each(|meter| put_text(out, meter));
}

fn gap(input: &mut Input<'_>) -> Result<Gap, Bad> {
    let from_ms = input.signed()?;
    let to_ms = input.signed()?;
    let readings = input.unsigned()?.checked_sub(1);
    let why = input.text()?.into();
    let meters = (0..input.count()?).map(|_| Ok(input.text()?.into())).collect::<Result<_, _>>()?;
    Ok(Gap { from_ms, to_ms, meters, readings, why })
}
