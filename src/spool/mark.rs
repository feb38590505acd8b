//! The mark: what stands outside the database about what it holds.
//!
//! Always true here: the file is replaced whole and fsynced, after the deletions that it tells of and before the journal lets go of
//! the first records of a backlog. So an opening that finds nothing where the mark says otherwise is not believed, and what lies
//! below the lowest position was acked and never comes back, also not by salvage. Deliberately absent: the database.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::host::durable::replace;

const NAME: &str = "mark.json";

/// What the database held when the mark was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Id of the database.
    pub(super) store: u64,
    /// Everything below this position was acked.
    pub(super) lowest: u64,
    /// No position from here on was used when the mark was written.
    pub(super) next: u64,
    /// Whether anything was held.
    pub(super) held: bool,
    /// When the first of what is held was written, Unix milliseconds.
    #[serde(default)]
    pub(super) since_ms: i64,
}

impl Mark {
    /// The mark of a spool directory, if there is one that can be read.
    pub(super) fn read(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(NAME)).ok()?).ok()
    }

    /// Replaces the mark; returns the bytes written.
    ///
    /// # Errors
    /// As the file system gives them; the old mark then still stands.
    pub(super) fn write(&self, directory: &Path) -> io::Result<u64> {
        let text = serde_json::to_vec(self)?;
        replace(&directory.join(NAME), &text)?;
        Ok(text.len() as u64)
    }
}
