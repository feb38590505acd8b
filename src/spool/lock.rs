//! Directory locks: one `districtd` per spool and per journal.
//!
//! Always true here: a lock is an flock(2) on a file in the directory, so it ends with its holder however that ends; the pid in the
//! file is for people. Deliberately absent: waiting.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::face::OpenError;

/// A held lock.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Why a directory is not locked.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotLocked {
    /// Somebody has it.
    #[error(transparent)]
    Held(#[from] OpenError),
    /// The directory or the lock file cannot be used.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Creates the directory where it is missing, and locks it.
///
/// # Errors
/// Who holds it, or what the file system says.
pub(super) fn take(directory: &Path) -> Result<Lock, NotLocked> {
    fs::create_dir_all(directory)?;
    let path = directory.join("lock");
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Err(OpenError::Held { path: directory.to_owned(), pid: holder(&mut file) }.into());
        }
        Err(error) => return Err(io::Error::from(error).into()),
    }
    // The lock holds without the pid: a full disk must not keep us from starting.
    let _unsaid = say(&mut file);
    Ok(Lock { _file: file })
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn say(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_refused_and_names_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let _held = take(folder.path()).unwrap();
        match take(folder.path()) {
            Err(NotLocked::Held(OpenError::Held { pid, .. })) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("expected a held lock, got {other:?}"),
        }
    }

    #[test]
    fn a_lock_ends_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        drop(take(folder.path()).unwrap());
        assert!(take(folder.path()).is_ok());
    }
}
