//! The crash journal: numbered files on tmpfs, appended to in the caller's context.
//!
//! Always true here: when a call returns `Ok`, the frame stands in the page cache and survives the death of this process, and no
//! part of a failed write is left in the file. Files go strictly oldest first, each when nothing in it is owed to anybody, so a
//! boundary never outlives the fate of its batch. Every file names a schema before its first sweep that needs it.
//! Deliberately absent: fsync (a power cut empties a tmpfs anyway), and any decision about batches.

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::reading::{Event, Keep, Key, SchemaId, Sweep};

use super::core::PinnedBatch;
use super::face::Content;
use super::frames;
use super::replay::{Debt, Replay, Replayed};

/// A file is ended at this size unless told otherwise.
const FILE_SIZE: u64 = 1 << 20;
const SUFFIX: &str = "journal";

/// One file.
#[derive(Debug)]
struct Part {
    number: u64,
    size: u64,
    owed: u64,
}

/// The journal of this run, and what earlier runs left.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    /// Oldest first; the last one is written to while `file` is there.
    parts: VecDeque<Part>,
    file: Option<File>,
    next_file: u64,
    named: HashSet<SchemaId>,
    scratch: Vec<u8>,
    file_size: u64,
    #[cfg(test)]
    refuses: bool,
    /// Oldest and newest file when [`Journal::burden`] was last asked.
    burdened: (u64, u64),
}

/// Where a sweep was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Receipt {
    /// Number of the file.
    pub(super) file: u64,
    /// Bytes of the sweep's encoding.
    pub(super) bytes: usize,
}

impl Journal {
    /// Reads what is there. The directory must be locked.
    ///
    /// # Errors
    /// When the directory cannot be listed; a damaged file is no error.
    pub(super) fn open(directory: &Path) -> io::Result<(Self, Replayed)> {
        let mut journal = Self { directory: directory.to_owned(), ..Self::absent() };
        let mut replay = Replay::default();
        let mut numbers = journal.list()?;
        journal.next_file = numbers.last().map_or(1, |last| last + 1);
        let count = numbers.len();
        numbers.retain(|number| journal.attempt(*number, |bytes| replay.batches(*number, bytes)).is_some());
        replay.sort();
        for number in numbers {
            if let Some(size) = journal.attempt(number, |bytes| replay.sweeps(number, bytes)) {
                journal.parts.push_back(Part { number, size, owed: 0 });
            }
        }
        let mut replayed = replay.finish();
        // What stood in a file that was moved aside is told like other damage.
        replayed.unusable += count - journal.parts.len();
        journal.owe(&replayed);
        Ok((journal, replayed))
    }

    /// A journal that refuses everything.
    pub(super) fn absent() -> Self {
        Self {
            directory: PathBuf::new(),
            parts: VecDeque::new(),
            file: None,
            next_file: 1,
            named: HashSet::new(),
            scratch: Vec::new(),
            file_size: FILE_SIZE,
            #[cfg(test)]
            refuses: false,
            burdened: (0, 0),
        }
    }

    /// Whether it refuses everything.
    pub(super) fn is_absent(&self) -> bool {
        self.directory.as_os_str().is_empty()
    }

    fn list(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let number: Option<u64> = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.strip_suffix('.')?.parse().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Reads one file; moves it aside when that has failed twice, in this run or in the one before.
    fn attempt(&self, number: u64, mut read: impl FnMut(&[u8])) -> Option<u64> {
        let path = self.path(number);
        let mark = path.with_extension("tried");
        let failed_before = mark.exists();
        let _kept = fs::write(&mark, b"");
        let attempts = if failed_before { 1 } else { 2 };
        let done = (0..attempts).find_map(|_| {
            let bytes = fs::read(&path).ok()?;
            catch_unwind(AssertUnwindSafe(|| read(&bytes))).ok()?;
            Some(bytes.len() as u64)
        });
        let _unmarked = fs::remove_file(&mark);
        if done.is_none() {
            move_aside(&path);
        }
        done
    }

    fn owe(&mut self, replayed: &Replayed) {
        let found = replayed.found.iter().flat_map(|found| found.debts.iter().copied());
        let loose = replayed.loose.iter().filter_map(|loose| Some((loose.file?, 1)));
        let gone = replayed.gone.iter().map(|gone| (gone.file, 1));
        for (file, count) in found.chain(loose).chain(gone) {
            if let Some(part) = self.part(file) {
                part.owed += u64::from(count);
            }
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:010}.{SUFFIX}"))
    }

    fn part(&mut self, number: u64) -> Option<&mut Part> {
        self.parts.iter_mut().rev().find(|part| part.number == number)
    }

    /// Bytes of all files.
    pub(super) fn size(&self) -> u64 {
        self.parts.iter().map(|part| part.size).sum()
    }

    /// Writes a sweep, with its schema before it where this file has not named it yet. The file owes it until it is settled.
    ///
    /// # Errors
    /// As the file system gives them; then nothing of the sweep stands in the journal.
    pub(super) fn sweep(&mut self, number: u64, sweep: &Sweep) -> io::Result<Receipt> {
        let file = self.ready()?;
        let id = sweep.schema.id();
        self.scratch.clear();
        let unnamed = !self.named.contains(&id);
        if unnamed {
            frames::put_schema(&mut self.scratch, &sweep.schema);
        }
        let bytes = frames::put_sweep(&mut self.scratch, number, sweep);
        self.write(1)?;
        if unnamed {
            self.named.insert(id);
        }
        Ok(Receipt { file, bytes })
    }

    /// Writes that a batch was closed over these sweeps.
    ///
    /// # Errors
    /// As the file system gives them.
    pub(super) fn boundary(&mut self, key: Key, keep: Keep, numbers: &[u64]) -> io::Result<()> {
        self.frame(0, |out| frames::put_boundary(out, key, keep, numbers)).map(drop)
    }

    /// Writes an event; the file owes it until it is settled.
    ///
    /// # Errors
    /// As the file system gives them.
    pub(super) fn event(&mut self, key: Key, event: &Event) -> io::Result<Debt> {
        Ok((self.frame(1, |out| frames::put_event(out, key, event))?, 1))
    }

    /// Writes a closed batch, or an event, once more; the files owe it until it is settled.
    ///
    /// # Errors
    /// As the file system gives them; what was written of it is then owed to nobody.
    pub(super) fn again(&mut self, batch: &PinnedBatch) -> io::Result<Vec<Debt>> {
        let sweeps = match &batch.batch.content {
            Content::Sweeps(sweeps) => sweeps,
            Content::Event(event) => return Ok(vec![self.event(batch.key, event)?]),
        };
        let mut debts: Vec<Debt> = Vec::new();
        let mut write = || {
            for (number, sweep) in batch.numbers.iter().zip(sweeps) {
                debts.push((self.sweep(*number, sweep)?.file, 1));
            }
            self.boundary(batch.key, batch.keep, &batch.numbers)
        };
        match write() {
            Ok(()) => Ok(debts),
            Err(error) => {
                self.settle(&debts);
                Err(error)
            }
        }
    }

    /// The oldest file and its size, when a file was begun since the last time this was asked or since it last helped, and all of
    /// them together are above `limit`.
    pub(super) fn burden(&mut self, limit: u64) -> Option<(u64, u64)> {
        let (oldest, newest) = (self.parts.front()?, self.parts.back()?);
        let asked = (oldest.number, newest.number);
        if self.size() <= limit || self.parts.len() < 3 || self.burdened == asked {
            return None;
        }
        self.burdened = asked;
        Some((oldest.number, oldest.size))
    }

    /// Writes that the broker has a batch. With `owed` the file stays until the deletion on flash is settled as well.
    ///
    /// # Errors
    /// As the file system gives them.
    pub(super) fn acked(&mut self, key: Key, position: u64, owed: bool) -> io::Result<Debt> {
        Ok((self.frame(u64::from(owed), |out| frames::put_acked(out, key, position))?, 1))
    }

    /// Writes that batches stand on flash.
    ///
    /// # Errors
    /// As the file system gives them.
    pub(super) fn synced(&mut self, keys: &[(Key, u64)]) -> io::Result<()> {
        let all = |out: &mut Vec<u8>| keys.iter().for_each(|(key, position)| frames::put_synced(out, *key, *position));
        self.frame(0, all).map(drop)
    }

    /// Writes that a batch was given up.
    ///
    /// # Errors
    /// As the file system gives them.
    pub(super) fn given_up(&mut self, key: Key) -> io::Result<()> {
        self.frame(0, |out| frames::put_given_up(out, key)).map(drop)
    }

    fn frame(&mut self, owed: u64, put: impl FnOnce(&mut Vec<u8>)) -> io::Result<u64> {
        let file = self.ready()?;
        self.scratch.clear();
        put(&mut self.scratch);
        self.write(owed)?;
        Ok(file)
    }

    /// The number of a file that has room.
    fn ready(&mut self) -> io::Result<u64> {
        #[cfg(test)]
        if self.refuses {
            return Err(io::ErrorKind::StorageFull.into());
        }
        match self.parts.back() {
            Some(part) if self.file.is_some() && part.size < self.file_size => Ok(part.number),
            _ => self.next(),
        }
    }

    fn next(&mut self) -> io::Result<u64> {
        let number = self.next_file;
        if self.is_absent() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no journal"));
        }
        fs::create_dir_all(&self.directory)?;
        // Even if it fails: a number is never used twice.
        self.next_file += 1;
        let file = OpenOptions::new().create_new(true).append(true).open(self.path(number))?;
        self.file = Some(file);
        self.named.clear();
        self.parts.push_back(Part { number, size: 0, owed: 0 });
        self.free();
        Ok(number)
    }

    /// Writes the scratch whole, or takes back what was written of it.
    fn write(&mut self, owed: u64) -> io::Result<()> {
        let (Some(file), Some(part)) = (self.file.as_mut(), self.parts.back_mut()) else {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        };
        if let Err(error) = file.write_all(&self.scratch) {
            if file.set_len(part.size).is_err() {
                self.file = None;
            }
            return Err(error);
        }
        part.size += self.scratch.len() as u64;
        part.owed += owed;
        Ok(())
    }

    /// These frames are owed to nobody any more.
    pub(super) fn settle(&mut self, debts: &[Debt]) {
        for (file, count) in debts {
            if let Some(part) = self.part(*file) {
                part.owed = part.owed.saturating_sub(u64::from(*count));
            }
        }
        self.free();
    }

    fn free(&mut self) {
        let spare = usize::from(self.file.is_some());
        while self.parts.len() > spare && self.parts.front().is_some_and(|part| part.owed == 0) {
            let Some(part) = self.parts.pop_front() else { return };
            let path = self.path(part.number);
            if let Err(error) = fs::remove_file(&path) {
                warn!(path = %path.display(), %error, "a finished journal file cannot be removed; its batches may be sent once more");
            }
        }
    }

    /// Refuses everything from here on, or no more.
    #[cfg(test)]
    pub(super) fn refuse(&mut self, refuses: bool) {
        self.refuses = refuses;
    }

    /// Ends files at this size. A file is freed as a whole, so it should be a small part of what the journal may hold.
    pub(super) fn end_files_at(&mut self, size: u64) {
        self.file_size = size;
    }

    /// Removes all of it: it was written anew elsewhere.
    pub(super) fn discard(mut self) {
        self.file = None;
        for part in &mut self.parts {
            part.owed = 0;
        }
        self.free();
    }

    /// Closes the file in use, and removes what is owed to nobody.
    pub(super) fn end(&mut self) {
        self.file = None;
        self.free();
    }
}

fn move_aside(path: &Path) {
    let aside = path.with_extension("damaged");
    match fs::rename(path, &aside) {
        Ok(()) => {
            warn!(path = %aside.display(), "a journal file could not be replayed twice and was moved aside; readings may be missing");
        }
        Err(error) => info!(path = %path.display(), %error, "a journal file can neither be replayed nor moved aside"),
    }
}
