//! The JSON contract, version 1. Pure.
//!
//! Always true here: a point of a 64-bit integer type is a JSON string, scaled or not, because many consumers read JSON numbers as
//! doubles; every other number has the fewest digits that give the same value back; a value that is missing stands in `quality` and
//! not in `values`. Deliberately absent: trees of JSON values; what is known is written straight into the payload.

use std::io::Write as _;
use std::sync::Arc;

use serde::Serialize;

use super::{Message, Unfit, topic};
use crate::clock::corrected;
use crate::config::model;
use crate::forward::About;
use crate::reading::{Event, Key, MeterSchema, Quality, Reason, SchemaPoint, Stamp, Sweep, Told, Value};
use crate::spool::face::{Batch, Content};

/// Beyond so many zeros, as many as an i64 has digits, a decimal is written with an exponent.
const MOST_ZEROS: u8 = 19;

/// The encoder: what it must know besides the batch.
#[derive(Debug, Clone)]
pub(in crate::forward) struct Json {
    /// A batch is split between sweeps when a payload would exceed this many bytes; a single sweep may.
    pub max_payload: usize,
}

impl Json {
    /// The messages of one batch; all of them acknowledged means that the batch is.
    ///
    /// # Errors
    /// When it can never be encoded.
    pub(in crate::forward) fn batch(&self, batch: &Batch, replay: bool, now: &Stamp) -> Result<Vec<Message>, Unfit> {
        match &batch.content {
            Content::Sweeps(sweeps) => self.data(batch.key, sweeps, replay, now),
            Content::Event(event) => Ok(vec![event_message(batch.key, event, now)?]),
        }
    }

    fn data(&self, key: Key, sweeps: &[Sweep], replay: bool, now: &Stamp) -> Result<Vec<Message>, Unfit> {
        let head = Head { key, of: sweeps.len(), replay };
        let mut messages = Vec::with_capacity(1);
        let mut open: Option<Open<'_>> = None;
        let mut written = Vec::new();
        for (index, sweep) in sweeps.iter().enumerate() {
            written.clear();
            write_sweep(&mut written, sweep, now)?;
            if let Some(message) = &mut open
                && message.takes(sweep, &written, self.max_payload)
            {
                message.push(&written);
                continue;
            }
            messages.extend(open.take().map(Open::close));
            open = Some(Open::begin(&head, index, sweep, &written)?);
        }
        messages.extend(open.map(Open::close));
        if messages.is_empty() { Err(Unfit::Empty) } else { Ok(messages) }
    }
}

/// The retained message that describes one meter.
///
/// # Errors
/// When its gateway or district cannot stand in a topic.
pub(in crate::forward) fn schema(schema: &Arc<MeterSchema>) -> Result<Message, Unfit> {
    let id = schema.id().to_string();
    let topic = topic(&schema.district, &schema.gateway, &format!("meters/{id}"))?;
    let payload = written(&Described {
        v: 1,
        gateway: &schema.gateway,
        district: &schema.district,
        meter: &schema.meter,
        schema: &id,
        points: &schema.points,
    });
    Ok(Message { topic, payload, retained: true })
}

/// The retained message that says that this gateway is online.
///
/// # Errors
/// When its gateway or district cannot stand in a topic.
pub(in crate::forward) fn birth(gateway: &model::Gateway, about: &About, now: &Stamp) -> Result<Message, Unfit> {
    let (started, trusted) = corrected(&about.started, now);
    let payload = written(&Birth {
        v: 1,
        online: true,
        version: about.version,
        run: about.run,
        started,
        tq: (!trusted).then_some("unsynced"),
        configuration: Configuration { hash: &about.configuration, state: if about.degraded { "last-good" } else { "current" } },
    });
    Ok(Message { topic: topic(&gateway.district, &gateway.name, "status")?, payload, retained: true })
}

/// The retained message that takes the birth's place: the last will, and the last word of a clean end.
///
/// # Errors
/// When its gateway or district cannot stand in a topic.
pub(in crate::forward) fn offline(gateway: &model::Gateway, about: &About) -> Result<Message, Unfit> {
    let payload = format!(r#"{{"v":1,"online":false,"run":{}}}"#, about.run).into_bytes();
    Ok(Message { topic: topic(&gateway.district, &gateway.name, "status")?, payload, retained: true })
}

/// What all messages of one batch say of it.
struct Head {
    key: Key,
    of: usize,
    replay: bool,
}

/// A data message that may still take sweeps.
struct Open<'a> {
    schema: &'a MeterSchema,
    topic: String,
    payload: Vec<u8>,
}

/// What closes the list of sweeps and the payload.
const TAIL: &[u8] = b"]}";

impl<'a> Open<'a> {
    fn begin(head: &Head, first: usize, sweep: &'a Sweep, written: &[u8]) -> Result<Self, Unfit> {
        let schema = &*sweep.schema;
        let topic = topic(&schema.district, &schema.gateway, "data")?;
        let mut payload = Vec::with_capacity(256 + written.len() * (head.of - first));
        put(&mut payload, r#"{"v":1,"gateway":"#);
        string(&mut payload, &schema.gateway);
        put(&mut payload, r#","district":"#);
        string(&mut payload, &schema.district);
        let Head { key: Key { run, seq }, of, replay } = head;
        let numbers = format!(r#","run":{run},"seq":{seq},"first":{first},"of":{of},"replay":{replay},"sweeps":["#);
        put(&mut payload, &numbers);
        payload.extend_from_slice(written);
        Ok(Self { schema, topic, payload })
    }

    fn takes(&self, sweep: &Sweep, written: &[u8], max: usize) -> bool {
        let same_names = self.schema.gateway == sweep.schema.gateway && self.schema.district == sweep.schema.district;
        same_names && self.payload.len() + 1 + written.len() + TAIL.len() <= max
    }

    fn push(&mut self, written: &[u8]) {
        self.payload.push(b',');
        self.payload.extend_from_slice(written);
    }

    fn close(mut self) -> Message {
        self.payload.extend_from_slice(TAIL);
        Message { topic: self.topic, payload: self.payload, retained: false }
    }
}

fn write_sweep(out: &mut Vec<u8>, sweep: &Sweep, now: &Stamp) -> Result<(), Unfit> {
    put(out, r#"{"meter":"#);
    string(out, &sweep.schema.meter);
    put(out, r#","schema":""#);
    display(out, &sweep.schema.id());
    out.push(b'"');
    time(out, &sweep.stamp, now);
    write_values(out, sweep)?;
    write_quality(out, sweep)?;
    out.push(b'}');
    Ok(())
}

/// `"ts"`, and `"tq"` where the clock was not right.
fn time(out: &mut Vec<u8>, stamp: &Stamp, now: &Stamp) {
    let (ms, trusted) = corrected(stamp, now);
    put(out, r#","ts":"#);
    display(out, &ms);
    if !trusted {
        put(out, r#","tq":"unsynced""#);
    }
}

fn write_values(out: &mut Vec<u8>, sweep: &Sweep) -> Result<(), Unfit> {
    put(out, r#","values":{"#);
    let mut between = "";
    for (place, value, _) in &sweep.values {
        let point = point(sweep, *place)?;
        if is_absent(value) {
            continue;
        }
        put(out, between);
        string(out, &point.name);
        out.push(b':');
        write_value(out, value, point.value_type.is_wide());
        between = ",";
    }
    out.push(b'}');
    Ok(())
}

fn write_quality(out: &mut Vec<u8>, sweep: &Sweep) -> Result<(), Unfit> {
    let mut before = r#","quality":{"#;
    for (place, value, quality) in &sweep.values {
        let Some(reason) = reason(value, *quality) else { continue };
        put(out, before);
        string(out, &point(sweep, *place)?.name);
        put(out, r#":""#);
        display(out, &reason);
        out.push(b'"');
        before = ",";
    }
    if before == "," {
        out.push(b'}');
    }
    Ok(())
}

fn point(sweep: &Sweep, place: u16) -> Result<&SchemaPoint, Unfit> {
    let points = &sweep.schema.points;
    points.get(usize::from(place)).ok_or_else(|| Unfit::UnknownPoint { place, schema: sweep.schema.id(), points: points.len() })
}

/// JSON has no number for these.
fn is_absent(value: &Value) -> bool {
    match value {
        Value::Missing => true,
        Value::F32(value) => !value.is_finite(),
        Value::F64(value) => !value.is_finite(),
        _ => false,
    }
}

/// What `quality` says of a point. A value that is absent always has a reason.
fn reason(value: &Value, quality: Quality) -> Option<Reason> {
    match (quality, value) {
        (Quality::Bad(reason), _) => Some(reason),
        (Quality::Good, Value::Missing) => Some(Reason::Malformed),
        (Quality::Good, value) => is_absent(value).then_some(Reason::NotANumber),
    }
}

fn write_value(out: &mut Vec<u8>, value: &Value, wide: bool) {
    let quote = if wide && !matches!(value, Value::Text(_) | Value::Bool(_)) { "\"" } else { "" };
    put(out, quote);
    match value {
        Value::Int(value) => display(out, value),
        Value::UInt(value) => display(out, value),
        Value::Decimal { mantissa, exponent } => decimal(out, *mantissa, *exponent),
        Value::F32(value) => json(out, value),
        Value::F64(value) => json(out, value),
        Value::Bool(value) => display(out, value),
        Value::Text(value) => string(out, value),
        Value::Missing => {}
    }
    put(out, quote);
}

/// All digits of the mantissa, also trailing zeros: they say how finely the meter measures. Far from the point with an exponent.
fn decimal(out: &mut Vec<u8>, mantissa: i64, exponent: i8) {
    let is_far = exponent.unsigned_abs() > MOST_ZEROS && !(mantissa == 0 && exponent > 0);
    if is_far {
        put(out, &format!("{mantissa}e{exponent}"));
    } else {
        display(out, &Value::Decimal { mantissa, exponent });
    }
}

fn event_message(key: Key, event: &Event, now: &Stamp) -> Result<Message, Unfit> {
    let topic = topic(&event.district, &event.gateway, "event")?;
    let mut out = Vec::with_capacity(256);
    put(&mut out, r#"{"v":1,"gateway":"#);
    string(&mut out, &event.gateway);
    put(&mut out, r#","district":"#);
    string(&mut out, &event.district);
    put(&mut out, &format!(r#","run":{},"seq":{}"#, key.run, key.seq));
    time(&mut out, &event.stamp, now);
    write_told(&mut out, &event.told);
    out.push(b'}');
    Ok(Message { topic, payload: out, retained: false })
}

fn write_told(out: &mut Vec<u8>, told: &Told) {
    match told {
        Told::Gap(gap) => {
            put(out, &format!(r#","kind":"gap","from":{},"to":{},"meters":"#, gap.from_ms, gap.to_ms));
            json(out, &gap.meters);
            put(out, r#","readings":"#);
            json(out, &gap.readings);
            put(out, r#","why":"#);
            string(out, &gap.why);
        }
        Told::Notice { code, text } => {
            put(out, r#","kind":"notice","code":"#);
            string(out, code);
            put(out, r#","text":"#);
            string(out, text);
        }
    }
}

#[derive(Serialize)]
struct Described<'a> {
    v: u8,
    gateway: &'a str,
    district: &'a str,
    meter: &'a str,
    schema: &'a str,
    points: &'a [SchemaPoint],
}

#[derive(Serialize)]
struct Birth<'a> {
    v: u8,
    online: bool,
    version: &'a str,
    run: u64,
    started: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tq: Option<&'a str>,
    configuration: Configuration<'a>,
}

#[derive(Serialize)]
struct Configuration<'a> {
    hash: &'a str,
    state: &'a str,
}

fn written(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    json(&mut out, value);
    out
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn string(out: &mut Vec<u8>, text: &str) {
    json(out, text);
}

#[expect(clippy::expect_used, reason = "a Vec takes every byte, and no key of ours is anything but a string")]
fn json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("writing to memory");
}

#[expect(clippy::expect_used, reason = "a Vec takes every byte")]
fn display(out: &mut Vec<u8>, value: &impl std::fmt::Display) {
    write!(out, "{value}").expect("writing to memory");
}

#[cfg(test)]
mod tests;
