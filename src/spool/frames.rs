//! Frames of the crash journal. Pure.
//!
//! ```text
//! magic 2 | kind 1 | length 4 | CRC32C 4 | payload
//! ```
//!
//! Always true here: a frame is read whole or not at all; after a torn or damaged one reading goes on at the next frame whose
//! checksum fits. Deliberately absent: files, and what the frames amount to (`replay`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::reading::{Event, Keep, Key, MeterSchema, SchemaId, Sweep};

use super::codec::{self, Bad, Input, Schemas};

const MAGIC: [u8; 2] = [0xd7, 0x4a];
const HEAD: usize = 11;
const SWEEP: u8 = 1;
const SCHEMA: u8 = 2;
const BOUNDARY: u8 = 3;
const EVENT: u8 = 4;
const ACKED: u8 = 5;
const SYNCED: u8 = 6;
const GIVEN_UP: u8 = 7;

/// One frame as it is read back.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Frame {
    /// A taken sweep under its number, with the bytes its encoding has.
    Sweep(u64, Sweep, usize),
    /// A schema, before its first use in the file.
    Schema(Arc<MeterSchema>),
    /// A batch was closed over the sweeps of these numbers, in this order.
    Boundary(Key, Keep, Vec<u64>),
    /// Something to be told. A later one of the same key takes the place of the earlier one.
    Event(Key, Event),
    /// The broker has it. Position 0: it was never on flash as far as was known.
    Acked(Key, u64),
    /// It stands on flash at this position.
    Synced(Key, u64),
    /// A bound forced it out; a gap tells of it.
    GivenUp(Key),
}

fn put(out: &mut Vec<u8>, kind: u8, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.push(kind);
    out.extend_from_slice(&[0; 8]);
    payload(out);
    let Some((head, payload)) = out.get_mut(start..).and_then(|frame| frame.split_first_chunk_mut::<HEAD>()) else { return };
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let sum = sum(kind, payload).to_le_bytes();
    head[3..7].copy_from_slice(&length);
    head[7..].copy_from_slice(&sum);
}

fn sum(kind: u8, payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&[kind]), payload)
}

fn put_key(out: &mut Vec<u8>, key: Key) {
    out.extend_from_slice(&key.run.to_le_bytes());
    codec::put_unsigned(out, key.seq);
}

fn key(input: &mut Input<'_>) -> Result<Key, Bad> {
    Ok(Key { run: input.u64()?, seq: input.unsigned()? })
}

/// Appends a sweep frame and returns the bytes of the sweep's own encoding.
pub(super) fn put_sweep(out: &mut Vec<u8>, number: u64, sweep: &Sweep) -> usize {
    let mut bytes = 0;
    put(out, SWEEP, |out| {
        codec::put_unsigned(out, number);
        let start = out.len();
        codec::put_sweep(out, sweep);
        bytes = out.len() - start;
    });
    bytes
}

pub(super) fn put_schema(out: &mut Vec<u8>, schema: &MeterSchema) {
    put(out, SCHEMA, |out| codec::put_schema(out, schema));
}

pub(super) fn put_boundary(out: &mut Vec<u8>, of: Key, keep: Keep, numbers: &[u64]) {
    put(out, BOUNDARY, |out| {
        put_key(out, of);
        out.push(codec::put_keep(keep));
        codec::put_unsigned(out, numbers.len() as u64);
        let mut before = 0;
        for number in numbers {
            codec::put_signed(out, number.wrapping_sub(before).cast_signed());
            before = *number;
        }
    });
}

pub(super) fn put_event(out: &mut Vec<u8>, of: Key, event: &Event) {
    put(out, EVENT, |out| {
        put_key(out, of);
        codec::put_event(out, event);
    });
}

pub(super) fn put_acked(out: &mut Vec<u8>, of: Key, position: u64) {
    put_placed(out, ACKED, of, position);
}

pub(super) fn put_synced(out: &mut Vec<u8>, of: Key, position: u64) {
    put_placed(out, SYNCED, of, position);
}

fn put_placed(out: &mut Vec<u8>, kind: u8, of: Key, position: u64) {
    put(out, kind, |out| {
        put_key(out, of);
        codec::put_unsigned(out, position);
    });
}

pub(super) fn put_given_up(out: &mut Vec<u8>, of: Key) {
    put(out, GIVEN_UP, |out| put_key(out, of));
}

/// The kind and payload of the frame at the front of `bytes`, and its whole length.
fn split(bytes: &[u8]) -> Result<(u8, &[u8], usize), Bad> {
    let mut input = Input::new(bytes);
    if input.array::<2>()? != MAGIC {
        return Err(Bad::Range { what: "magic" });
    }
    let kind = input.u8()?;
    let length = usize::try_from(input.u32()?).unwrap_or(usize::MAX);
    let found = input.u32()?;
    let payload = input.take(length)?;
    let expected = sum(kind, payload);
    if found == expected { Ok((kind, payload, HEAD + length)) } else { Err(Bad::Checksum { found, expected }) }
}

fn read(kind: u8, payload: &[u8], schemas: Schemas<'_>) -> Result<Frame, Bad> {
    let mut input = Input::new(payload);
    let frame = match kind {
        SWEEP => {
            let number = input.unsigned()?;
            let bytes = input.rest().len();
            Frame::Sweep(number, codec::sweep(&mut input, schemas)?, bytes)
        }
        SCHEMA => Frame::Schema(Arc::new(codec::schema(&mut input)?)),
        BOUNDARY => boundary(&mut input)?,
        EVENT => Frame::Event(key(&mut input)?, codec::event(&mut input)?),
        ACKED => Frame::Acked(key(&mut input)?, input.unsigned()?),
        SYNCED => Frame::Synced(key(&mut input)?, input.unsigned()?),
        GIVEN_UP => Frame::GivenUp(key(&mut input)?),
        _ => return Err(Bad::Unknown { version: 1, kind }),
    };
    Ok(frame)
}

fn boundary(input: &mut Input<'_>) -> Result<Frame, Bad> {
    let of = key(input)?;
    let keep = codec::keep(input.u8()?)?;
    let count = input.count()?;
    let mut numbers = Vec::with_capacity(count);
    let mut number = 0u64;
    for _ in 0..count {
        number = number.wrapping_add(input.signed()?.cast_unsigned());
        numbers.push(number);
    }
    Ok(Frame::Boundary(of, keep, numbers))
}

/// Schemas by id, as far as a journal has named them.
pub(super) type Known = HashMap<SchemaId, Arc<MeterSchema>>;

/// Which frames are wanted of a file; sweeps are the bulk of it, and most of them are done with.
pub(super) enum Wanted<'a> {
    /// All that is said of batches.
    Batches,
    /// Sweeps, but for those of these numbers.
    SweepsBut(&'a HashSet<u64>),
}

impl Wanted<'_> {
    fn includes(&self, kind: u8, payload: &[u8]) -> bool {
        match self {
            Self::Batches => !matches!(kind, SWEEP | SCHEMA),
            Self::SweepsBut(done) => {
                let number = || Input::new(payload).unsigned();
                kind == SCHEMA || kind == SWEEP && !number().is_ok_and(|number| done.contains(&number))
            }
        }
    }
}

/// Reads the wanted frames of a file in order, learns its schemas, and returns how many bytes belonged to no whole frame.
pub(super) fn read_all(bytes: &[u8], wanted: &Wanted<'_>, known: &mut Known, mut each: impl FnMut(Result<Frame, Bad>)) -> usize {
    let mut rest = bytes;
    let mut torn = 0;
    while !rest.is_empty() {
        if let Ok((kind, payload, length)) = split(rest) {
            if wanted.includes(kind, payload) {
                let frame = read(kind, payload, &|id| known.get(&id).cloned());
                if let Ok(Frame::Schema(schema)) = &frame {
                    known.entry(schema.id()).or_insert_with(|| Arc::clone(schema));
                }
                each(frame);
            }
            rest = rest.get(length..).unwrap_or_default();
        } else {
            torn += 1;
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    torn
}
