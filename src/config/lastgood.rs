//! The last configuration without errors, kept beside the other durable facts as one file.
//!
//! Always true here: the copy holds files and environment merged, so it says the same wherever it is read; after a power cut it is
//! the old one or the new one; it is written only when it changed.

use std::io;
use std::path::Path;

use super::environment::Environment;
use super::load::{Loaded, Reading};
use crate::host::durable;

const NAME: &str = "last-good.toml";

/// Keeps a configuration as the last good one. Does nothing with one that has errors.
///
/// # Errors
/// As the file system gives them; the copy that stood there before still stands.
pub fn keep_last_good(state: &Path, loaded: &Loaded) -> io::Result<()> {
    let Some(config) = &loaded.config else { return Ok(()) };
    let text = format!(
        "# The last configuration without errors, all files and the environment in one, hash {}.\n\
         # districtd writes this file and runs it when the configuration has errors. Edits here are lost.\n\
         {}",
        config.hash, loaded.merged
    );
    let path = state.join(NAME);
    if std::fs::read(&path).is_ok_and(|kept| kept == text.as_bytes()) {
        return Ok(());
    }
    std::fs::create_dir_all(state)?;
    durable::replace(&path, text.as_bytes())
}

/// Reads the last good configuration; `None` where there is no copy. `DISTRICTD_*` variables are in it already and not laid over it
/// again. It is judged like any other, so `config` may still be absent when the copy was damaged or written by another version.
#[must_use]
pub fn last_good(state: &Path, environment: &Environment) -> Option<Loaded> {
    let path = state.join(NAME);
    if !path.exists() {
        return None;
    }
    let mut reading = Reading::default();
    reading.file(&path);
    Some(reading.finish(environment))
}
