//! Record frames: one batch, event or gap as it stands on flash. Pure.
//!
//! ```text
//! magic 4 | version 1 | kind 1 | store id 8 | position 8 | length 4 | CRC32C 4 | payload
//! payload of version 1: run 8 | seq 8 | class 1 | readings 4 | count 4 | sweeps, or one event
//! ```
//!
//! Always true here: the head keeps its shape in every version, so frames of other releases are recognised, kept and skipped; the
//! checksum covers head and payload, so a damaged frame is never read as another one. All numbers are little-endian.
//! Deliberately absent: the database, and how a frame is found again (`salvage`).

use crate::reading::{Event, Keep, Key, Sweep};

use super::codec::{self, Bad, Input, Schemas};
use super::face::{Batch, Content};

/// What every frame begins with; chosen so that it is no text and no small number.
pub(super) const MAGIC: [u8; 4] = [0xd7, b'R', b'e', 0x9c];
/// Bytes before the payload.
pub(super) const HEAD: usize = 30;
const VERSION: u8 = 1;
const KIND_BATCH: u8 = 1;
const KIND_EVENT: u8 = 2;
const KIND_GAP: u8 = 3;
/// Bytes of a payload before its sweeps.
const LABEL: usize = 25;

/// Bytes of the frame of a batch whose sweeps have so many encoded bytes.
pub(super) fn size_of_batch(sweep_bytes: usize) -> usize {
    HEAD + LABEL + sweep_bytes
}

/// Bytes of the frame of an event.
pub(super) fn size_of_event(event: &Event) -> usize {
    let mut bytes = Vec::new();
    codec::put_event(&mut bytes, event);
    HEAD + LABEL + bytes.len()
}

/// A frame whose checksum fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Which database it was written into.
    pub(super) store: u64,
    /// Its place there.
    pub(super) position: u64,
    /// Whole length, head included.
    pub(super) length: usize,
    version: u8,
    kind: u8,
    payload: &'a [u8],
}

/// What can be known of a batch without its schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label {
    /// Names it for ever.
    pub(super) key: Key,
    /// Retention class.
    pub(super) keep: Keep,
    /// Readings in it; none in an event.
    pub(super) readings: u32,
    /// Whether it is an event or gap, given up last of all.
    pub(super) is_event: bool,
}

/// Appends the frame of a batch.
pub(super) fn put(out: &mut Vec<u8>, store: u64, position: u64, keep: Keep, batch: &Batch) {
    let kind = match &batch.content {
        Content::Sweeps(_) => KIND_BATCH,
        Content::Event(event) if is_gap(event) => KIND_GAP,
        Content::Event(_) => KIND_EVENT,
    };
    put_frame(out, (VERSION, kind), store, position, |out| put_payload(out, keep, batch));
}

/// Appends the same frame under another database's id; the payload stays as it is, whatever release wrote it.
pub(super) fn put_again(out: &mut Vec<u8>, store: u64, frame: &Frame<'_>) {
    put_frame(out, (frame.version, frame.kind), store, frame.position, |out| out.extend_from_slice(frame.payload));
}

fn put_frame(out: &mut Vec<u8>, (version, kind): (u8, u8), store: u64, position: u64, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[version, kind]);
    out.extend_from_slice(&store.to_le_bytes());
    out.extend_from_slice(&position.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    payload(out);
    seal(out.get_mut(start..).unwrap_or_default());
}

/// Fills in length and checksum.
fn seal(frame: &mut [u8]) {
    let length = u32::try_from(frame.len().saturating_sub(HEAD)).unwrap_or(u32::MAX);
    if let Some((head, payload)) = frame.split_first_chunk_mut::<HEAD>() {
        let (covered, checksum) = head.split_at_mut(HEAD - 4);
        if let Some(place) = covered.last_chunk_mut::<4>() {
            *place = length.to_le_bytes();
        }
        checksum.copy_from_slice(&sum(covered, payload).to_le_bytes());
    }
}

fn sum(head: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(head), payload)
}

fn is_gap(event: &Event) -> bool {
    matches!(event.told, crate::reading::Told::Gap(_))
}

fn put_payload(out: &mut Vec<u8>, keep: Keep, batch: &Batch) {
    let readings = u32::try_from(batch.content.readings()).unwrap_or(u32::MAX);
    out.extend_from_slice(&batch.key.run.to_le_bytes());
    out.extend_from_slice(&batch.key.seq.to_le_bytes());
    out.push(codec::put_keep(keep));
    out.extend_from_slice(&readings.to_le_bytes());
    match &batch.content {
        Content::Sweeps(sweeps) => {
            out.extend_from_slice(&u32::try_from(sweeps.len()).unwrap_or(u32::MAX).to_le_bytes());
            for sweep in sweeps {
                codec::put_sweep(out, sweep);
            }
        }
        Content::Event(event) => {
            out.extend_from_slice(&1u32.to_le_bytes());
            codec::put_event(out, event);
        }
    }
}

/// Reads the frame at the front of `bytes`, which may go on behind it.
pub(super) fn parse(bytes: &[u8]) -> Result<Frame<'_>, Bad> {
    let mut input = Input::new(bytes);
    let covered = bytes.get(..HEAD - 4).ok_or(Bad::Short { wanted: HEAD, found: bytes.len() })?;
    if input.array::<4>()? != MAGIC {
        return Err(Bad::Range { what: "magic" });
    }
    let (version, kind) = (input.u8()?, input.u8()?);
    let (store, position) = (input.u64()?, input.u64()?);
    let length = usize::try_from(input.u32()?).unwrap_or(usize::MAX);
    let found = input.u32()?;
    let payload = input.take(length)?;
    let expected = sum(covered, payload);
    if found != expected {
        return Err(Bad::Checksum { found, expected });
    }
    Ok(Frame { store, position, length: HEAD + payload.len(), version, kind, payload })
}

/// Calls `each` with the offset and content of every sound frame that begins before `end`.
pub(super) fn find(bytes: &[u8], end: usize, mut each: impl FnMut(usize, &Frame<'_>)) {
    let mut offset = 0;
    while let Some(found) = bytes.get(offset..end).and_then(|rest| rest.iter().position(|byte| *byte == MAGIC[0])) {
        offset += found;
        match bytes.get(offset..).map(parse) {
            Some(Ok(frame)) => {
                each(offset, &frame);
                offset += frame.length;
            }
            _ => offset += 1,
        }
    }
}

impl Frame<'_> {
    /// What can be known without schemas.
    ///
    /// # Errors
    /// [`Bad::Unknown`] for frames of other releases.
    pub(super) fn label(&self) -> Result<Label, Bad> {
        self.opened().map(|(label, _, _)| label)
    }

    /// The whole batch.
    ///
    /// # Errors
    /// As [`Frame::label`], and when a schema is missing.
    pub(super) fn batch(&self, schemas: Schemas<'_>) -> Result<Batch, Bad> {
        let (label, count, mut input) = self.opened()?;
        let content = if label.is_event {
            Content::Event(codec::event(&mut input)?)
        } else {
            Content::Sweeps((0..count).map(|_| codec::sweep(&mut input, schemas)).collect::<Result<Vec<Sweep>, Bad>>()?)
        };
        Ok(Batch { key: label.key, content, closed: None, size: self.length })
    }

    fn opened(&self) -> Result<(Label, u32, Input<'_>), Bad> {
        let is_event = match (self.version, self.kind) {
            (VERSION, KIND_BATCH) => false,
            (VERSION, KIND_EVENT | KIND_GAP) => true,
            (version, kind) => return Err(Bad::Unknown { version, kind }),
        };
        let mut input = Input::new(self.payload);
        let key = Key { run: input.u64()?, seq: input.u64()? };
        let keep = codec::keep(input.u8()?)?;
        let readings = input.u32()?;
        let count = input.u32()?;
        Ok((Label { key, keep, readings, is_event }, count, input))
    }
}
