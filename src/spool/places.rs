//! Where the spool and its journal stand: the directories that can be had, locked.
//!
//! Always true here: a directory that another process holds is an error, and one that cannot be used is a sentence for the log.
//! Deliberately absent: waiting, and trying again.

use std::path::{Path, PathBuf};

use rustix::fs::statfs;

use super::face::OpenError;
use super::journal::Journal;
use super::lock::{self, Lock, NotLocked};
use super::replay::Replayed;

/// The directories of the configuration.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// `spool.journal`.
    pub(super) journal: PathBuf,
    /// `spool.path`.
    pub(super) spool: PathBuf,
}

impl Places {
    /// Locks the spool's directory; `None` where it cannot be used now.
    ///
    /// # Errors
    /// When another process holds it.
    pub(super) fn spool(&self, troubles: &mut Vec<String>) -> Result<Option<Lock>, OpenError> {
        locked(&self.spool, troubles)
    }

    /// Locks and reads the journal in its own directory, else below the spool's; `None` where it can stand nowhere now.
    ///
    /// # Errors
    /// When another process holds it.
    pub(super) fn journal(&self, troubles: &mut Vec<String>) -> Result<Option<(Journal, Replayed, Lock)>, OpenError> {
        for directory in [self.journal.clone(), self.spool.join("journal")] {
            let Some(lock) = locked(&directory, troubles)? else { continue };
            match Journal::open(&directory) {
                Ok((journal, replayed)) => {
                    troubles.extend(not_on_tmpfs(&directory));
                    return Ok(Some((journal, replayed, lock)));
                }
                Err(error) => troubles.push(format!("the journal in {} cannot be read: {error}", directory.display())),
            }
        }
        troubles.push("there is no journal: until readings are on flash, a crash of this process loses them".to_owned());
        Ok(None)
    }
}

impl Places {
    /// What an earlier run left below the spool's directory because the journal's own could not be used then.
    pub(super) fn leftovers(&self) -> Option<(Journal, Replayed, Lock)> {
        let directory = self.spool.join("journal");
        if directory == self.journal || !directory.is_dir() {
            return None;
        }
        // Held: by this very run, which has its journal there.
        let lock = lock::take(&directory).ok()?;
        let (journal, replayed) = Journal::open(&directory).ok()?;
        Some((journal, replayed, lock))
    }
}

fn locked(directory: &Path, troubles: &mut Vec<String>) -> Result<Option<Lock>, OpenError> {
    match lock::take(directory) {
        Ok(lock) => Ok(Some(lock)),
        Err(NotLocked::Held(held)) => Err(held),
        Err(NotLocked::Io(error)) => {
            troubles.push(format!("{} cannot be used now: {error}; check that it exists and who owns it", directory.display()));
            Ok(None)
        }
    }
}

fn not_on_tmpfs(directory: &Path) -> Option<String> {
    /// TMPFS_MAGIC and RAMFS_MAGIC of linux/magic.h.
    const MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    let kind = statfs(directory).map(|about| u64::try_from(about.f_type).unwrap_or_default());
    let advice = "is not on tmpfs: every reading is written to flash; set spool.journal to a directory under /run";
    (!kind.is_ok_and(|kind| MEMORY.contains(&kind))).then(|| format!("the journal in {} {advice}", directory.display()))
}
