//! Small durable facts outside the spool: what was learnt about a meter, states of counters, numbers a format must remember.
//!
//! Always true here: one file, replaced atomically; setting a fact never waits for flash; facts are written by the notebook's own
//! thread at most once an hour and at [`Notebook::close`], or at once by [`Notebook::set_now`]. A damaged file is moved aside and
//! the notebook starts empty: a fact is never worth a failed start. Deliberately absent: readings.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::{info, warn};

use crate::host::durable::replace;

/// How long a changed fact may wait for its file.
const LAZY: Duration = Duration::from_secs(3600);

/// A handle on the facts; clones share them.
#[derive(Debug, Clone)]
pub struct Notebook(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    pages: Mutex<Pages>,
    wake: Condvar,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Pages {
    facts: BTreeMap<String, String>,
    dirty: bool,
    closing: bool,
}

impl Notebook {
    /// Reads the facts from `path`, or starts empty, and starts the writing thread.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let pages = Pages { facts: read(path), ..Pages::default() };
        let shared =
            Arc::new(Shared { path: path.to_owned(), pages: Mutex::new(pages), wake: Condvar::new(), writer: Mutex::new(None) });
        let thread = std::thread::Builder::new().name("notebook".into()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.write_lazily()
        });
        match thread {
            Ok(handle) => *lock(&shared.writer) = Some(handle),
            Err(error) => warn!(%error, "no thread for the notebook; facts are kept until the end of this run only"),
        }
        Self(shared)
    }

    /// The fact of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        lock(&self.0.pages).facts.get(name).cloned()
    }

    /// All facts whose name begins with `prefix`.
    #[must_use]
    pub fn all(&self, prefix: &str) -> Vec<(String, String)> {
        let pages = lock(&self.0.pages);
        let from = pages.facts.range(prefix.to_owned()..);
        from.take_while(|(name, _)| name.starts_with(prefix)).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Sets a fact; it reaches the file within the hour.
    pub fn set(&self, name: &str, value: &str) {
        let mut pages = lock(&self.0.pages);
        if pages.facts.get(name).map(String::as_str) != Some(value) {
            pages.facts.insert(name.to_owned(), value.to_owned());
            pages.dirty = true;
        }
    }

    /// Forgets a fact; the file forgets it within the hour.
    pub fn remove(&self, name: &str) {
        let mut pages = lock(&self.0.pages);
        pages.dirty |= pages.facts.remove(name).is_some();
    }

    /// Sets a fact and writes the file before it returns. Blocks on flash: not for a task that others wait for.
    ///
    /// # Errors
    /// When the file cannot be written; the fact is set all the same.
    pub fn set_now(&self, name: &str, value: &str) -> io::Result<()> {
        self.set(name, value);
        self.0.write_changes()
    }

    /// Writes what is not written yet and ends the thread.
    pub fn close(&self) {
        lock(&self.0.pages).closing = true;
        self.0.wake.notify_all();
        let handle = lock(&self.0.writer).take();
        if handle.is_some_and(|handle| handle.join().is_err()) {
            warn!("the notebook's thread panicked");
        }
    }
}

impl Shared {
    fn write_lazily(&self) {
        loop {
            let pages = lock(&self.pages);
            let waited = self.wake.wait_timeout_while(pages, LAZY, |pages| !pages.closing);
            let closing = waited.unwrap_or_else(PoisonError::into_inner).0.closing;
            if let Err(error) = self.write_changes() {
                warn!(path = %self.path.display(), %error, "the notebook cannot be written; facts are kept in memory");
            }
            if closing {
                return;
            }
        }
    }

    fn write_changes(&self) -> io::Result<()> {
        let text = {
            let mut pages = lock(&self.pages);
            if !pages.dirty {
                return Ok(());
            }
            pages.dirty = false;
            serde_json::to_string_pretty(&pages.facts)?
        };
        replace(&self.path, text.as_bytes()).inspect_err(|_| lock(&self.pages).dirty = true)
    }
}

fn read(path: &Path) -> BTreeMap<String, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return BTreeMap::new(),
        Err(error) => {
            warn!(path = %path.display(), %error, "the notebook cannot be read; starting with an empty one");
            return BTreeMap::new();
        }
    };
    serde_json::from_str(&text).unwrap_or_else(|error| {
        let aside = path.with_extension("damaged");
        let moved = fs::rename(path, &aside);
        info!(path = %path.display(), %error, moved = moved.is_ok(), "the notebook is damaged; starting with an empty one");
        BTreeMap::new()
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Facts are whole after every statement that changes them, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_there_after_closing_and_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notebook.json");
        let notebook = Notebook::open(&path);
        notebook.set("refused.feeder-1.40", "2");
        notebook.close();
        assert_eq!(Notebook::open(&path).get("refused.feeder-1.40").as_deref(), Some("2"));
    }

    #[test]
    fn a_fact_set_now_is_in_the_file_when_the_call_returns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notebook.json");
        let notebook = Notebook::open(&path);
        notebook.set_now("bdseq", "7").unwrap();
        assert_eq!(read(&path).get("bdseq").map(String::as_str), Some("7"));
    }

    #[test]
    fn a_damaged_notebook_is_moved_aside_and_the_start_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notebook.json");
        fs::write(&path, b"{\"a\": ").unwrap();
        assert_eq!(Notebook::open(&path).get("a"), None);
        assert!(folder.path().join("notebook.damaged").exists());
    }

    #[test]
    fn facts_are_listed_by_the_beginning_of_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let notebook = Notebook::open(&folder.path().join("notebook.json"));
        notebook.set("a.1", "x");
        notebook.set("a.2", "y");
        notebook.set("b.1", "z");
        assert_eq!(notebook.all("a.").len(), 2);
    }
}
