//! Records out of a damaged database: a raw scan for our frames, whatever the pages around them say.
//!
//! Always true here: only frames whose checksum fits are taken; what lies below the mark was acked and is left; each keeps its
//! position, so doing it again after it was broken off changes nothing. Deliberately absent: sled's own format.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::log::Tail;
use super::record::{self, HEAD};
use super::store::{Row, Store, Trouble, Weight};

/// Bytes read at once, and the longest frame that is found.
const PIECE: usize = 1 << 20;
/// Records written between two flushes.
const AT_ONCE: usize = 64;

/// Where a frame stands.
#[derive(Debug)]
enum Place {
    /// In one of the files.
    File {
        /// Which.
        file: usize,
        /// From its beginning.
        offset: u64,
    },
    /// Here, because the file does not hold it any more.
    Memory(Vec<u8>),
}

/// A frame that was found.
#[derive(Debug)]
struct Spot {
    place: Place,
    length: usize,
}

/// The frames of a database directory, by position.
#[derive(Debug, Default)]
pub(super) struct Index {
    files: Vec<PathBuf>,
    spots: BTreeMap<u64, Spot>,
    /// Positions that were left out on purpose.
    forgotten: u64,
}

impl Index {
    /// Scans all files of `database` for frames from position `lowest` on.
    ///
    /// # Errors
    /// When the directory cannot be listed; a file that cannot be read is passed over.
    pub(super) fn scan(database: &Path, lowest: u64) -> io::Result<Self> {
        let mut index = Self { files: files(database)?, ..Self::default() };
        for file in 0..index.files.len() {
            // What cannot be read is lost, and told as a gap by the caller.
            let _unreadable = index.scan_file(file, lowest);
        }
        Ok(index)
    }

    fn scan_file(&mut self, file: usize, lowest: u64) -> io::Result<()> {
        let Some(path) = self.files.get(file) else { return Ok(()) };
        let mut source = File::open(path)?;
        let mut piece = vec![0; 2 * PIECE];
        let mut base = 0;
        loop {
            source.seek(SeekFrom::Start(base))?;
            let count = fill(&mut source, &mut piece)?;
            let bytes = piece.get(..count).unwrap_or_default();
            let last = count < piece.len();
            let end = if last { count } else { PIECE };
            record::find(bytes, end, |offset, frame| {
                if frame.position >= lowest {
                    let place = Place::File { file, offset: base + offset as u64 };
                    self.keep(frame.position, Spot { place, length: frame.length });
                }
            });
            if last {
                return Ok(());
            }
            base += PIECE as u64;
        }
    }

    /// Adds what the end of the log held before sled opened it.
    pub(super) fn add(&mut self, tail: &Tail, lowest: u64) {
        tail.frames(|frame| {
            if frame.position >= lowest {
                let mut bytes = Vec::with_capacity(frame.length);
                record::put_again(&mut bytes, frame.store, frame);
                self.keep(frame.position, Spot { length: frame.length, place: Place::Memory(bytes) });
            }
        });
    }

    /// Of several frames at one position, which only a gap that grew has, the longer one tells more.
    fn keep(&mut self, position: u64, spot: Spot) {
        match self.spots.get(&position) {
            Some(there) if there.length > spot.length => {}
            _ => {
                self.spots.insert(position, spot);
            }
        }
    }

    /// How many were found.
    pub(super) fn len(&self) -> usize {
        self.spots.len()
    }

    /// Leaves out what was deleted.
    pub(super) fn forget(&mut self, deleted: &[u64]) {
        for position in deleted {
            self.spots.remove(position);
            self.forgotten += 1;
        }
    }

    /// Whether there is a frame at every position from `lowest` to below `next` that was not left out on purpose.
    pub(super) fn is_whole(&self, lowest: u64, next: u64) -> bool {
        let span = next.saturating_sub(lowest);
        self.spots.range(lowest..next.max(lowest)).count() as u64 + self.forgotten >= span
    }

    /// A position above all that were found.
    pub(super) fn next(&self) -> u64 {
        self.spots.keys().next_back().map_or(1, |last| last.saturating_add(1))
    }

    /// Writes those of these positions that the store lacks into it, in their order, each at its position, and syncs it. With
    /// `lost`, only so many, which its counts already name.
    ///
    /// # Errors
    /// As the store gives them; calling again goes on.
    pub(super) fn pour(&self, store: &mut Store, positions: Range<u64>, lost: Option<u64>) -> Result<u64, Trouble> {
        let mut poured = 0;
        let spots: Vec<(&u64, &Spot)> = self.spots.range(positions).collect();
        for some in spots.chunks(AT_ONCE) {
            let mut change = store.change();
            for (position, spot) in some {
                if store.at(Row::Backlog, **position)?.is_none()
                    && store.at(Row::Aside, **position)?.is_none()
                    && let Some((frame, readings)) = self.frame(spot, store.counts().store)
                {
                    let weight = Weight { readings, bytes: frame.len() as u64 };
                    match lost {
                        Some(lost) if poured >= lost => break,
                        Some(_) => change.replace(**position, &frame, weight, weight),
                        None => change.put(**position, &frame, weight),
                    }
                    poured += 1;
                }
            }
            store.apply(change)?;
            store.flush()?;
        }
        store.sync()?;
        Ok(poured)
    }

    /// The frame under the id of its new store, and its readings as far as they can be known.
    fn frame(&self, spot: &Spot, store: u64) -> Option<(Vec<u8>, u64)> {
        let read;
        let bytes = match &spot.place {
            Place::Memory(bytes) => bytes,
            Place::File { file, offset } => {
                let mut bytes = vec![0; spot.length];
                File::open(self.files.get(*file)?).ok()?.read_exact_at(&mut bytes, *offset).ok()?;
                read = bytes;
                &read
            }
        };
        let frame = record::parse(bytes).ok()?;
        let mut again = Vec::with_capacity(bytes.len());
        record::put_again(&mut again, store, &frame);
        Some((again, frame.label().map_or(0, |label| u64::from(label.readings))))
    }
}

/// The database file, and records too large for it, which sled keeps in files of their own.
fn files(database: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = vec![database.join("db")];
    if let Ok(blobs) = fs::read_dir(database.join("blobs")) {
        files.extend(blobs.flatten().map(|entry| entry.path()));
    }
    fs::metadata(database)?;
    Ok(files)
}

fn fill(source: &mut File, piece: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = piece.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// The shortest frame there can be; what is shorter is not worth a look.
const _: () = assert!(HEAD < PIECE);
