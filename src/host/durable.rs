//! Files that a power cut leaves whole.
//!
//! Always true here: after a power cut a file replaced here has its old or its new content. Deliberately absent: what is in them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

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
