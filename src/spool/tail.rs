//! What sled may overwrite when it opens a damaged database.
//!
//! Opening, sled 0.34.7 cuts its log at the first damage it finds behind the last stable point that any segment header names, or at
//! the beginning of the change that this damage tore, zeroes what follows, and says nothing. So the segments from there on, and
//! those whose header cannot be read, are read into memory before it opens, and compared with what it made of them.
//!
//! Always true here: files are only read, and not more than a bounded number of segments is held. Deliberately absent: any other
//! part of sled's format.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::codec::Input;
use super::record;
use super::store::{Counts, SEGMENT};

/// Segments held at most.
const HELD: usize = 16;
/// Segments that one change of the database may span: a torn change is cut off at its beginning, before the stable point.
const BATCH: u64 = 3;
const HEADER: usize = 20;
/// sled stores log positions with these bits turned over.
const TURNED: u64 = 0x7fff_ffff_ffff_ffff;

/// Bytes of the end of sled's log, as they were before it opened.
#[derive(Debug, Default)]
pub(super) struct Tail {
    segments: Vec<Vec<u8>>,
}

/// Where a segment stands in the file, and in the log as far as its header can be believed.
struct Segment {
    index: u64,
    log: Option<Position>,
}

#[derive(Clone, Copy)]
struct Position {
    starts: u64,
    stable: u64,
}

impl Tail {
    /// Reads the end of the log of a database directory; nothing where there is none.
    ///
    /// # Errors
    /// As the file system gives them.
    pub(super) fn read(database: &Path) -> io::Result<Self> {
        let file = match File::open(database.join("db")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let count = file.metadata()?.len().div_ceil(SEGMENT);
        let segments = (0..count).map(|index| Ok(Segment { index, log: header(&file, index)? })).collect::<io::Result<Vec<_>>>()?;
        let held = threatened(segments).into_iter().map(|index| segment(&file, index)).collect::<io::Result<_>>()?;
        Ok(Self { segments: held })
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

/// The segments that an opening may overwrite, the end of the log first.
fn threatened(segments: Vec<Segment>) -> Vec<u64> {
    let stable = segments.iter().filter_map(|segment| Some(segment.log?.stable)).max().unwrap_or(0);
    let floor = (stable / SEGMENT).saturating_sub(BATCH) * SEGMENT;
    let (sound, broken): (Vec<_>, Vec<_>) = segments.into_iter().partition(|segment| segment.log.is_some());
    let mut threatened: Vec<(u64, u64)> = sound
        .iter()
        .filter_map(|segment| Some((segment.log?.starts, segment.index)))
        .filter(|(starts, _)| *starts >= floor)
        .collect();
    threatened.sort_unstable_by(|one, other| other.cmp(one));
    let sound = threatened.into_iter().map(|(_, index)| index);
    sound.chain(broken.into_iter().map(|segment| segment.index)).take(HELD).collect()
}

/// The position in the log that a segment's header names, if that can be one.
fn header(file: &File, index: u64) -> io::Result<Option<Position>> {
    let mut bytes = [0; HEADER];
    if let Err(error) = file.read_exact_at(&mut bytes, index * SEGMENT) {
        return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) };
    }
    // CRC 4 | position of the segment in the log 8 | stable position when it was begun 8.
    let mut input = Input::new(&bytes);
    let (Ok(_), Ok(starts), Ok(stable)) = (input.u32(), input.u64(), input.u64()) else { return Ok(None) };
    let (starts, stable) = (starts ^ TURNED, stable ^ TURNED);
    // Before anything is stable, the header says -1.
    let stable = if stable > TURNED { 0 } else { stable };
    let plausible = starts.is_multiple_of(SEGMENT) && starts <= TURNED / 2 && stable <= starts + SEGMENT;
    Ok(plausible.then_some(Position { starts, stable }))
}

fn segment(file: &File, index: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(SEGMENT).unwrap_or(usize::MAX)];
    let mut count = 0;
    while let Some(rest) = bytes.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, index * SEGMENT + count as u64) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(count);
    Ok(bytes)
}
