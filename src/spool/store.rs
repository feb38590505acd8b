//! The database on flash. The only file that knows sled.
//!
//! Always true here: records and the counts of them change together, in one atomic batch; every call catches sled's panics; after
//! [`Store::sync`] a power cut takes nothing back, because sled's own flush is no barrier and the file is fsynced through a handle
//! of ours. Deliberately absent: scans and long ranges (they pin pages in memory, whatever the cache is set to), and any decision
//! about what to keep.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use tracing::warn;

use super::codec::Input;

/// How long closing is waited for.
const CLOSE: Duration = Duration::from_secs(10);
/// Pages kept in memory by sled.
const CACHE: u64 = 1 << 20;
const RECORD: u8 = b'r';
const ASIDE: u8 = b'a';
/// Sorts behind all records, where the leaf is being written to anyway.
const COUNTS: &[u8] = b"z";
/// What the counts begin with, so that the raw file can be searched for them.
const COUNTS_MAGIC: [u8; 4] = [0xd7, b'C', b'n', 0x9c];
const COUNTS_VERSION: u8 = 1;
/// Bytes of a segment of sled's log: its default, stated because [`super::log`] reads them.
pub(super) const SEGMENT: u64 = 512 << 10;

/// Why the store did not do as it was told, sorted by what to do next.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The file system is full: release the ballast, open again.
    #[error("the file system is full")]
    Full,
    /// The database is damaged: move it aside, salvage.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The disk or the directory refuses: wait and open again.
    #[error(transparent)]
    Io(io::Error),
}

impl From<sled::Error> for Trouble {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            // What sled answers when a file is shorter than its own pages say.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Self::Damaged(error.to_string()),
            _ => Self::Io(error),
        }
    }
}

/// What the database holds, kept in it beside the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Drawn at random when the database was made.
    pub(super) store: u64,
    /// The position of the next record; above every one ever used here.
    pub(super) next: u64,
    /// Records, those set aside included.
    pub(super) batches: u64,
    /// Readings in them.
    pub(super) readings: u64,
    /// Bytes of their frames.
    pub(super) bytes: u64,
    /// How many of the records are set aside.
    pub(super) aside: u64,
    /// Counts the changes of this database.
    pub(super) change: u64,
}

impl Counts {
    fn put(self) -> Vec<u8> {
        let fields = [self.store, self.next, self.batches, self.readings, self.bytes, self.aside, self.change];
        let mut bytes = COUNTS_MAGIC.to_vec();
        bytes.push(COUNTS_VERSION);
        bytes.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// Reads the counts at the front of `bytes`.
    fn get(bytes: &[u8]) -> Option<Self> {
        const LENGTH: usize = COUNTS_MAGIC.len() + 1 + 7 * 8;
        let mut input = Input::new(bytes);
        let covered = bytes.get(..LENGTH)?;
        (input.array().ok()? == COUNTS_MAGIC && input.u8().ok()? == COUNTS_VERSION).then_some(())?;
        let mut next = || input.u64().ok();
        let (store, position, batches, readings) = (next()?, next()?, next()?, next()?);
        let (bytes, aside, change) = (next()?, next()?, next()?);
        (input.u32().ok()? == crc32c::crc32c(covered)).then_some(())?;
        Some(Self { store, next: position, batches, readings, bytes, aside, change })
    }

    /// All counts that stand somewhere in raw bytes.
    pub(super) fn find(bytes: &[u8]) -> impl Iterator<Item = Self> {
        let starts = bytes.windows(COUNTS_MAGIC.len()).enumerate().filter(|(_, window)| *window == COUNTS_MAGIC);
        starts.filter_map(|(offset, _)| Self::get(bytes.get(offset..)?))
    }
}

/// What one record adds to the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Weight {
    /// Readings in it.
    pub(super) readings: u64,
    /// Bytes of its frame.
    pub(super) bytes: u64,
}

/// Which of the two rows a record stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Row {
    /// First in, first out.
    Backlog,
    /// Set aside.
    Aside,
}

/// Several changes that happen together or not at all.
pub(super) struct Change {
    batch: sled::Batch,
    counts: Counts,
}

impl Change {
    /// Puts a record at the end and returns nothing: its position was taken from [`Change::next`].
    pub(super) fn put(&mut self, position: u64, frame: &[u8], weight: Weight) {
        self.batch.insert(&place(Row::Backlog, position), frame);
        self.counts.next = self.counts.next.max(position.saturating_add(1));
        self.counts.batches += 1;
        self.add(weight);
    }

    /// Puts another frame in the place of a record of weight `before`.
    pub(super) fn replace(&mut self, position: u64, frame: &[u8], before: Weight, weight: Weight) {
        self.batch.insert(&place(Row::Backlog, position), frame);
        self.subtract(before);
        self.add(weight);
    }

    /// Nothing is left, whatever the counts said.
    pub(super) fn nothing_left(&mut self) {
        let Counts { store, next, change, .. } = self.counts;
        self.counts = Counts { store, next, change, ..Counts::default() };
    }

    /// Takes a record out.
    pub(super) fn remove(&mut self, row: Row, position: u64, weight: Weight) {
        self.batch.remove(&place(row, position));
        self.counts.batches = self.counts.batches.saturating_sub(1);
        if row == Row::Aside {
            self.counts.aside = self.counts.aside.saturating_sub(1);
        }
        self.subtract(weight);
    }

    /// Moves a record to those set aside.
    pub(super) fn set_aside(&mut self, position: u64, frame: &[u8]) {
        self.batch.remove(&place(Row::Backlog, position));
        self.batch.insert(&place(Row::Aside, position), frame);
        self.counts.aside += 1;
    }

    /// The position for the next record.
    pub(super) fn next(&self) -> u64 {
        self.counts.next
    }

    fn add(&mut self, weight: Weight) {
        self.counts.readings += weight.readings;
        self.counts.bytes += weight.bytes;
    }

    fn subtract(&mut self, weight: Weight) {
        self.counts.readings = self.counts.readings.saturating_sub(weight.readings);
        self.counts.bytes = self.counts.bytes.saturating_sub(weight.bytes);
    }
}

fn place(row: Row, position: u64) -> [u8; 9] {
    let mut key = [0; 9];
    let [kind, rest @ ..] = &mut key;
    *kind = match row {
        Row::Backlog => RECORD,
        Row::Aside => ASIDE,
    };
    *rest = position.to_be_bytes();
    key
}

/// An open database.
pub(super) struct Store {
    /// `None` only while it is being dropped.
    db: Option<sled::Db>,
    file: File,
    counts: Counts,
}

/// A record as it stands: its position and its frame.
pub(super) type Record = (u64, sled::IVec);

impl Store {
    /// Opens the database in `directory`, or makes one with the id `fresh` and positions from `next` on.
    ///
    /// The second answer says whether it is new, or has lost its counts, which looks the same.
    ///
    /// # Errors
    /// Sorted by what to do next.
    pub(super) fn open(directory: &Path, fresh: u64, next: u64) -> Result<(Self, bool), Trouble> {
        let segment = usize::try_from(SEGMENT).unwrap_or(usize::MAX);
        guarded(|| {
            let db = sled::Config::new()
                .path(directory)
                .cache_capacity(CACHE)
                .segment_size(segment)
                .mode(sled::Mode::LowSpace)
                .flush_every_ms(None)
                .open()?;
            let file = File::options().read(true).write(true).open(directory.join("db"))?;
            let counts = db.get(COUNTS)?.and_then(|bytes| Counts::get(&bytes));
            let new = counts.is_none();
            let counts = counts.unwrap_or(Counts { store: fresh, next, ..Counts::default() });
            Ok((Self { db: Some(db), file, counts }, new))
        })
    }

    /// What it holds.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Begins a change.
    pub(super) fn change(&self) -> Change {
        Change { batch: sled::Batch::default(), counts: self.counts }
    }

    /// Carries a change out, without waiting for flash.
    ///
    /// # Errors
    /// Sorted by what to do next; the counts then still are as before.
    pub(super) fn apply(&mut self, mut change: Change) -> Result<(), Trouble> {
        change.counts.change += 1;
        change.batch.insert(COUNTS, change.counts.put());
        guarded(|| Ok(self.db()?.apply_batch(change.batch)?))?;
        self.counts = change.counts;
        Ok(())
    }

    /// The first record behind `position` in a row.
    ///
    /// # Errors
    /// Sorted by what to do next.
    pub(super) fn after(&self, row: Row, position: u64) -> Result<Option<Record>, Trouble> {
        guarded(|| Ok(self.db()?.get_gt(place(row, position))?.and_then(|(key, frame)| position_of(row, &key, frame))))
    }

    /// The last record before `position` in a row.
    ///
    /// # Errors
    /// Sorted by what to do next.
    pub(super) fn before(&self, row: Row, position: u64) -> Result<Option<Record>, Trouble> {
        guarded(|| Ok(self.db()?.get_lt(place(row, position))?.and_then(|(key, frame)| position_of(row, &key, frame))))
    }

    /// The record at `position`.
    ///
    /// # Errors
    /// Sorted by what to do next.
    pub(super) fn at(&self, row: Row, position: u64) -> Result<Option<sled::IVec>, Trouble> {
        guarded(|| Ok(self.db()?.get(place(row, position))?))
    }

    /// Hands everything to the kernel. No barrier for power cuts.
    ///
    /// # Errors
    /// Sorted by what to do next.
    pub(super) fn flush(&self) -> Result<(), Trouble> {
        guarded(|| Ok(self.db()?.flush().map(drop)?))
    }

    /// Brings everything to flash.
    ///
    /// # Errors
    /// Sorted by what to do next.
    pub(super) fn sync(&self) -> Result<(), Trouble> {
        self.flush()?;
        Ok(self.file.sync_all()?)
    }

    fn db(&self) -> Result<&sled::Db, Trouble> {
        self.db.as_ref().ok_or_else(|| Trouble::Io(io::ErrorKind::NotConnected.into()))
    }

    /// Closes the database, whatever state it is in.
    pub(super) fn close(self) {
        drop(self);
    }
}

/// sled flushes when it is dropped, may panic over that, and after a failed write may wait for ever for a write that never comes:
/// so it is dropped on a thread of its own, and that thread is waited for within bounds.
impl Drop for Store {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        let (done, closed) = std::sync::mpsc::channel();
        let close = move || {
            let _panicked = catch_unwind(AssertUnwindSafe(|| drop(db)));
            let _nobody_waits = done.send(());
        };
        if std::thread::Builder::new().name("flash-close".into()).spawn(close).is_ok() && closed.recv_timeout(CLOSE).is_err() {
            warn!("the database does not close; it is left alone, and opened again when it has let go of its file");
        }
    }
}

fn position_of(row: Row, key: &[u8], frame: sled::IVec) -> Option<Record> {
    let (kind, position) = key.split_first()?;
    let position = u64::from_be_bytes(position.try_into().ok()?);
    (place(row, position).first() == Some(kind)).then_some((position, frame))
}

/// sled answers some damage with a panic.
fn guarded<T>(call: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Trouble::Damaged(said.unwrap_or("sled panicked").to_owned()))
    })
}
