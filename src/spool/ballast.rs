//! Space that is kept for sled: on a full file system it can neither delete nor open.
//!
//! Always true here: the ballast is really allocated, not a hole. Deliberately absent: when it is released (`flash`).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

/// About what sled takes at once: two of its segments.
const PROBE: u64 = 1 << 20;

/// The ballast file of a spool directory.
#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
    size: u64,
}

impl Ballast {
    /// A ballast of `size` bytes, not there yet.
    pub(super) fn new(directory: &Path, size: u64) -> Self {
        Self { path: directory.join("ballast"), size }
    }

    /// Whether it stands whole.
    pub(super) fn stands(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|about| about.len() == self.size)
    }

    /// Allocates it where it is missing.
    ///
    /// # Errors
    /// When there is no room; what was allocated of it is given back.
    pub(super) fn raise(&self) -> io::Result<()> {
        if self.stands() {
            return Ok(());
        }
        self.allocate().inspect_err(|_| self.release())
    }

    fn allocate(&self) -> io::Result<()> {
        let mut file = File::create(&self.path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, self.size) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
        // Filled with what no file system stores as a hole or compresses to nothing worth keeping.
        let mut random = fastrand::Rng::with_seed(self.size);
        let mut block = vec![0; 1 << 16];
        let mut left = self.size;
        while left > 0 {
            random.fill(&mut block);
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
            file.write_all(block.get(..count).unwrap_or_default())?;
            left -= count as u64;
        }
        file.sync_all()
    }

    /// Whether the file system has no room left, seen by asking it for a little.
    pub(super) fn is_starved(&self) -> bool {
        let probe = Self { path: self.path.with_extension("probe"), size: PROBE };
        let outcome = probe.allocate();
        probe.release();
        outcome.is_err_and(|error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    /// Gives the space to sled.
    pub(super) fn release(&self) {
        // Absent already is as good.
        let _absent = fs::remove_file(&self.path);
    }
}
