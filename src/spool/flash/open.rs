//! Opening the store: damaged ones are moved aside and salvaged, and what the journal knows is compared with what is there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::clock;

use super::super::core::{Opened, WRITE_AT_ONCE};
use super::super::lock::{self, NotLocked};
use super::super::log::{self, Tail};
use super::super::mark::Mark;
use super::super::record;
use super::super::replay::Gone;
use super::super::salvage::Index;
use super::super::schemas::Shelf;
use super::super::store::{Row, Store, Trouble, Weight};
use super::Flash;

/// Positions are continued this far above the last one that is known for sure, when the database cannot tell.
const LEAP: u64 = 1 << 24;
/// How many damaged databases are kept for people to look at.
const KEPT: usize = 2;
const SALVAGING: &str = "salvage";
const DAMAGED: &str = "damaged-";

impl Flash {
    pub(super) fn database(&self) -> PathBuf {
        self.directory.join("db")
    }

    pub(super) fn database_size(&self) -> u64 {
        size_of(&self.database())
    }

    /// Opens the store, whatever state it is in.
    pub(super) fn open(&mut self) -> Result<(), Trouble> {
        self.take_lock()?;
        let mark = Mark::read(&self.directory);
        self.mark = mark.unwrap_or_default();
        self.shelf = Shelf::open(&self.directory);
        let mut store = self.open_or_salvage(mark)?;
        if mark.is_none_or(|mark| mark.store != store.counts().store) {
            store.apply(store.change())?;
            store.sync()?;
            sync_directory(&self.directory)?;
            let counts = store.counts();
            self.put_mark(counts, 0)?;
        }
        (self.thinned_to, self.searched_to, self.looked_at) = (0, 0, None);
        self.skipped.clear();
        self.reconcile(&store)?;
        self.store = Some(store);
        Ok(())
    }

    fn take_lock(&mut self) -> Result<(), Trouble> {
        if self.lock.is_none() {
            self.lock = Some(lock::take(&self.directory).map_err(|refused| match refused {
                NotLocked::Held(held) => Trouble::Io(io::Error::other(held.to_string())),
                NotLocked::Io(error) => error.into(),
            })?);
        }
        Ok(())
    }

    fn open_or_salvage(&mut self, mark: Option<Mark>) -> Result<Store, Trouble> {
        let mark = mark.unwrap_or_default();
        let unfinished = self.directory.join(SALVAGING);
        let mut tail = Tail::default();
        if std::mem::take(&mut self.condemned) {
            warn!("the database failed again after it was opened anew; it is moved aside, and what can be read of it is saved");
            fs::rename(self.database(), &unfinished)?;
        }
        if !unfinished.exists() {
            let mut damage = None;
            if mark.held {
                tail = Tail::read(&self.database())?;
                damage = log::check(&self.database())?;
            }
            let opened = match damage {
                Some(damage) => Err(damage),
                None => self.open_sound(mark)?,
            };
            match opened {
                Ok(store) => return self.mend(store, &tail, mark),
                Err(_) if self.ballast.is_starved() => return Err(Trouble::Full),
                Err(why) => {
                    warn!(why, "the database is damaged; it is moved aside, and what can be read of it is saved");
                    fs::rename(self.database(), &unfinished)?;
                }
            }
        }
        self.salvage(&unfinished, &tail, mark)
    }

    /// The inner answer says why what opened is not believed.
    fn open_sound(&self, mark: Mark) -> Result<Result<Store, String>, Trouble> {
        let existed = self.database().exists();
        match Store::open(&self.database(), random(), mark.next.max(1)) {
            Ok((store, true)) if existed && mark.held => {
                store.close();
                Ok(Err("it opened empty although records were held".to_owned()))
            }
            Ok((store, true)) if mark.held => {
                warn!("the database is gone although records were held");
                self.desk.tell_lost(mark.since_ms, None);
                Ok(Ok(store))
            }
            Ok((store, _)) if mark.store == store.counts().store && store.counts().next < mark.next => {
                store.close();
                Ok(Err("it opened in a state older than its mark".to_owned()))
            }
            Ok((store, _)) => Ok(Ok(store)),
            Err(Trouble::Damaged(why)) => Ok(Err(why)),
            Err(other) => Err(other),
        }
    }

    /// Opening lost changes that the end of the log had seen: all that can still be read is put back.
    fn mend(&self, mut store: Store, tail: &Tail, mark: Mark) -> Result<Store, Trouble> {
        if tail.last_change() <= store.counts().change {
            return Ok(store);
        }
        let index = self.index(&self.database(), tail, mark)?;
        let saved = index.pour(&mut store, 0..u64::MAX, None)?;
        self.tell_missing(&index, mark);
        warn!(saved, "the database opened without its last changes; records were put back");
        Ok(store)
    }

    /// Salvage begins anew when there is room: what it has written so far, and what lies aside, gives way.
    fn make_way(&self, trouble: &Trouble) -> io::Result<()> {
        if !matches!(trouble, Trouble::Full) && !self.ballast.is_starved() {
            return Ok(());
        }
        for (_, path) in damaged(&self.directory) {
            fs::remove_dir_all(path)?;
        }
        fs::remove_dir_all(self.database())
    }

    /// Tells of what could not be read; only once all the rest is safe, so that trying again does not tell it again.
    fn tell_missing(&self, index: &Index, mark: Mark) {
        // A change that a full disk or a power cut tore was never synced, and is still in the journal: in this run that is known. Of
        // an earlier run every frame counts that was found, so that too much is told rather than too little.
        let next = if self.synced_to > 0 { self.synced_to } else { index.next().max(mark.next) };
        if !index.is_whole(mark.lowest.max(1), next) {
            self.desk.tell_lost(mark.since_ms, None);
        }
    }

    /// All frames that can be read.
    fn index(&self, database: &Path, tail: &Tail, mark: Mark) -> Result<Index, Trouble> {
        let mut index = Index::scan(database, mark.lowest)?;
        index.add(tail, mark.lowest);
        index.forget(&self.deleted);
        Ok(index)
    }

    fn salvage(&mut self, from: &Path, tail: &Tail, mark: Mark) -> Result<Store, Trouble> {
        let index = self.index(from, tail, mark)?;
        let next = index.next().max(mark.next).saturating_add(LEAP);
        let (mut store, _) = Store::open(&self.database(), random(), next)?;
        let saved = match index.pour(&mut store, 0..u64::MAX, None) {
            Ok(saved) => saved,
            Err(trouble) => {
                store.close();
                self.make_way(&trouble)?;
                return Err(trouble);
            }
        };
        self.tell_missing(&index, mark);
        self.put_mark(store.counts(), mark.lowest)?;
        info!(found = index.len(), saved, "records were saved out of the damaged database");
        self.put_away(from)?;
        Ok(store)
    }

    /// Keeps the newest damaged ones, within the bound of all files.
    fn put_away(&self, from: &Path) -> io::Result<()> {
        let mut kept = damaged(&self.directory);
        let number = kept.last().map_or(1, |(number, _)| number + 1);
        let path = self.directory.join(format!("{DAMAGED}{number}"));
        fs::rename(from, &path)?;
        kept.push((number, path));
        while kept.len() > KEPT || (size_of(&self.directory) > self.max_size && !kept.is_empty()) {
            let (_, oldest) = kept.remove(0);
            fs::remove_dir_all(oldest)?;
        }
        Ok(())
    }

    /// What the journal knows is compared with what is there, before any of it is offered.
    fn reconcile(&mut self, store: &Store) -> Result<(), Trouble> {
        // What is found may have been written, but not synced, by the run before.
        store.sync()?;
        let mut seen = Vec::new();
        for Gone { key, position, .. } in self.gone.iter().filter(|gone| gone.position > 0) {
            let found = store.at(Row::Backlog, *position)?.and_then(|frame| label(&frame));
            seen.extend(found.filter(|(of, _)| of == key).map(|(of, weight)| (of, *position, weight)));
        }
        let mut position = u64::MAX;
        for _ in 0..2 * WRITE_AT_ONCE {
            let Some((at, frame)) = store.before(Row::Backlog, position)? else { break };
            position = at;
            seen.extend(label(&frame).map(|(key, weight)| (key, at, weight)));
        }
        let pending = self.desk.report(|core| core.all_removals());
        let mut absent = Vec::new();
        for removal in pending {
            let ((row, position), _) = removal;
            if store.at(row, position)?.is_none() {
                absent.push((row, position));
            }
        }
        let now = clock::monotonic();
        self.desk.opened(&Opened { counts: store.counts(), seen, absent }, now);
        self.gone.clear();
        if self.desk.report(|core| core.unsynced() > 0 || !core.all_removals().is_empty()) {
            self.dirty.get_or_insert(now);
        }
        Ok(())
    }
}

fn label(frame: &[u8]) -> Option<(crate::reading::Key, Weight)> {
    let frame = record::parse(frame).ok()?;
    let label = frame.label().ok()?;
    Some((label.key, Weight { readings: u64::from(label.readings), bytes: frame.length as u64 }))
}

fn damaged(directory: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix(DAMAGED)?.parse().ok();
    let mut found: Vec<_> = entries.filter_map(|entry| Some((number(&entry.path())?, entry.path()))).collect();
    found.sort();
    found
}

/// Bytes of all files below a directory; what cannot be read counts as nothing.
pub(super) fn size_of(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => size_of(&entry.path()),
            Ok(about) => about.len(),
            Err(_) => 0,
        })
        .sum()
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    fs::File::open(directory.join("db"))?.sync_all()?;
    fs::File::open(directory)?.sync_all()
}

fn random() -> u64 {
    super::super::random_bits()
}
