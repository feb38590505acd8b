//! Files that a power cut leaves whole.
//!
//! Always true here: after a power cut a file replaced here has its old or its new content. Deliberately absent: what is in them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use rustix::fs::Access;

/// Whether this process may create files in a directory. What then happens on a full or a read-only file system is another matter.
#[must_use]
pub fn can_write_in(directory: &Path) -> bool {
    rustix::fs::access(directory, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Puts `bytes` in the place of `path` so that a power cut leaves the old or the new content, never a part.
///
/// # Errors
/// As the file system gives them; the old content then still stands.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(parent)?.sync_all()
}
