//! sled's log, seen from outside: whether it is sound, and what sled would cut off its end.
//!
//! Opening, sled 0.34.7 passes over damage in silence: it skips the rest of a damaged segment, and cuts its log at the first damage
//! behind the last stable point that any segment header names, or at the beginning of the change that this damage tore, and zeroes
//! what follows. So a log that holds records is read once before sled sees it. Damage before the stable point: the database is not
//! opened, but salvaged. Behind it a torn end is what a crash leaves: those segments are held in memory while sled opens, and
//! compared with what it made of them.
//!
//! Always true here: files are only read, and not more than a bounded number of segments is held. Deliberately absent: pages,
//! snapshots, and any other part of sled's format.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::codec::{Bad, Input};
use super::record;
use super::store::{Counts, SEGMENT};

/// Segments held at most.
const HELD: usize = 16;
/// Segments that one change of the database may span: a torn change is cut off at its beginning, before the stable point.
const BATCH: u64 = 3;
const SEGMENT_HEADER: usize = 20;
/// sled begins no message this near to the end of a segment.
const LAST_MESSAGE: usize = 32;
/// sled stores log positions with these bits turned over.
const TURNED: u64 = 0x7fff_ffff_ffff_ffff;
/// Kind of a message that fills the rest of its segment.
const CAP: u8 = 2;
/// The last kind that sled 0.34.7 knows.
const LAST_KIND: u8 = 11;

/// Where a segment stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    starts: u64,
    stable: u64,
}

/// What the header of a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    /// In use, or used before and free now.
    Sound(Position),
    /// Never used, or wiped by sled.
    Blank,
    /// None that sled has written.
    Broken,
}

/// The segments of a database file.
struct Log {
    file: File,
    headers: Vec<Header>,
}

impl Log {
    /// `None` where there is no file.
    fn open(database: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(database.join("db")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let count = file.metadata()?.len().div_ceil(SEGMENT);
        let mut bytes = [0; SEGMENT_HEADER];
        let mut headers = Vec::new();
        for index in 0..count {
            let read = read_at(&file, &mut bytes, index * SEGMENT)?;
            headers.push(header(bytes.get(..read).unwrap_or_default()));
        }
        Ok(Some(Self { file, headers }))
    }

    /// The position from which on sled may cut.
    fn floor(&self) -> u64 {
        let stable = self.sound().map(|(_, position)| position.stable).max().unwrap_or(0);
        stable / SEGMENT * SEGMENT
    }

    fn sound(&self) -> impl Iterator<Item = (u64, Position)> {
        (0..).zip(&self.headers).filter_map(|(index, header)| match header {
            Header::Sound(position) => Some((index, *position)),
            Header::Blank | Header::Broken => None,
        })
    }

    fn with(&self, header: Header) -> impl Iterator<Item = u64> {
        (0..).zip(&self.headers).filter(move |(_, found)| **found == header).map(|(index, _)| index)
    }

    /// Segments whose header was lost though they hold records: sled wipes the whole of a segment that it frees.
    fn beheaded(&self) -> io::Result<Vec<u64>> {
        let mut beheaded: Vec<u64> = self.with(Header::Broken).collect();
        for index in self.with(Header::Blank) {
            let segment = self.segment(index)?;
            let mut holds = false;
            record::find(&segment, segment.len(), |_, _| holds = true);
            if holds {
                beheaded.push(index);
            }
        }
        Ok(beheaded)
    }

    fn segment(&self, index: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(SEGMENT).unwrap_or(usize::MAX)];
        let count = read_at(&self.file, &mut bytes, index * SEGMENT)?;
        bytes.truncate(count);
        Ok(bytes)
    }
}

/// Reads a database's log once and says what is wrong with it; `None`: nothing that an opening would pass over in silence.
///
/// # Errors
/// As the file system gives them.
pub(super) fn check(database: &Path) -> io::Result<Option<String>> {
    let Some(log) = Log::open(database)? else { return Ok(None) };
    if let Some(index) = log.beheaded()?.first() {
        return Ok(Some(format!("the header of segment {index} is damaged")));
    }
    let floor = log.floor();
    for (index, position) in log.sound().filter(|(_, position)| position.starts < floor) {
        if let Some(offset) = breaks_at(&log.segment(index)?, position.starts / SEGMENT) {
            return Ok(Some(format!("segment {index} is damaged at {offset}")));
        }
    }
    Ok(None)
}

/// Bytes of the end of sled's log, as they were before it opened.
#[derive(Debug, Default)]
pub(super) struct Tail {
    segments: Vec<Vec<u8>>,
}

impl Tail {
    /// Reads the end of the log of a database directory; nothing where there is none.
    ///
    /// # Errors
    /// As the file system gives them.
    pub(super) fn read(database: &Path) -> io::Result<Self> {
        let Some(log) = Log::open(database)? else { return Ok(Self::default()) };
        let floor = log.floor().saturating_sub(BATCH * SEGMENT);
        let mut threatened: Vec<(Position, u64)> =
            log.sound().filter(|(_, position)| position.starts >= floor).map(|(index, position)| (position, index)).collect();
        threatened.sort_unstable_by(|one, other| other.cmp(one));
        let indices = threatened.into_iter().map(|(_, index)| index).chain(log.with(Header::Broken)).take(HELD);
        Ok(Self { segments: indices.map(|index| log.segment(index)).collect::<io::Result<_>>()? })
    }

    /// Calls `each` for every record frame in it, in no order.
    pub(super) fn frames(&self, mut each: impl FnMut(&record::Frame<'_>)) {
        for segment in &self.segments {
            record::find(segment, segment.len(), |_, frame| each(frame));
        }
    }

    /// The number of the last change of the database that can be seen in it.
    pub(super) fn last_change(&self) -> u64 {
        self.segments.iter().flat_map(|segment| Counts::find(segment)).map(|counts| counts.change).max().unwrap_or(0)
    }
}

/// CRC 4 | position of the segment in the log 8 | stable position when it was begun 8.
fn header(bytes: &[u8]) -> Header {
    let Some((sum, rest)) = bytes.split_first_chunk::<4>().filter(|_| bytes.len() == SEGMENT_HEADER) else { return Header::Blank };
    if bytes.iter().all(|byte| *byte == 0) {
        return Header::Blank;
    }
    let mut input = Input::new(rest);
    let (Ok(starts), Ok(stable)) = (input.u64(), input.u64()) else { return Header::Broken };
    let (starts, stable) = (starts ^ TURNED, stable ^ TURNED);
    // Before anything is stable, the header says -1.
    let stable = if stable > TURNED { 0 } else { stable };
    if !crc32fast::hash(rest) != u32::from_le_bytes(*sum) || !starts.is_multiple_of(SEGMENT) {
        return Header::Broken;
    }
    Header::Sound(Position { starts, stable })
}

/// Where the chain of messages of a finished segment breaks.
fn breaks_at(segment: &[u8], number: u64) -> Option<usize> {
    let mut offset = SEGMENT_HEADER;
    let end = usize::try_from(SEGMENT).unwrap_or(usize::MAX);
    while offset + LAST_MESSAGE <= end {
        match message(segment.get(offset..).unwrap_or_default(), number) {
            Ok(None) => return None,
            Ok(Some(length)) => offset += length,
            Err(_) => return Some(offset),
        }
    }
    None
}

/// The length of the message at the front of `bytes`; `None`: it is the last one of its segment.
///
/// CRC 4 | kind 1 | length | segment number | page, the last three of variable length.
fn message(bytes: &[u8], number: u64) -> Result<Option<usize>, Bad> {
    let mut input = Input::new(bytes);
    let found = input.u32()?;
    let kind = input.u8()?;
    let length = usize::try_from(variable(&mut input)?).unwrap_or(usize::MAX);
    let segment = variable(&mut input)?;
    variable(&mut input)?;
    let head = bytes.len() - input.rest().len();
    let body = input.take(length)?;
    if kind == 0 || kind > LAST_KIND || segment != number {
        return Err(Bad::Range { what: "message" });
    }
    let mut sum = crc32fast::Hasher::new();
    sum.update(body);
    sum.update(bytes.get(4..head).unwrap_or_default());
    let expected = !sum.finalize();
    if found != expected {
        return Err(Bad::Checksum { found, expected });
    }
    Ok((kind != CAP).then_some(head + length))
}

/// A number as sled writes it.
fn variable(input: &mut Input<'_>) -> Result<u64, Bad> {
    let first = input.u8()?;
    match first {
        0..=240 => Ok(u64::from(first)),
        241..=248 => Ok(240 + 256 * (u64::from(first) - 241) + u64::from(input.u8()?)),
        249 => Ok(2288 + 256 * u64::from(input.u8()?) + u64::from(input.u8()?)),
        _ => {
            let bytes = input.take(usize::from(first) - 247)?;
            Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
        }
    }
}

/// As many bytes as there are, up to the length of `bytes`.
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = bytes.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + count as u64) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
