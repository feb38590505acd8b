//! Schemas on flash: small files of their own beside the database.
//!
//! Always true here: a schema is synced before the first record that needs it; a line is trusted only if its content has the hash
//! that it is listed under; files are only ever added, and all removed together when no record is left. Deliberately absent: the
//! configuration. What is read here is what was measured then.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::warn;

use crate::reading::{MeterSchema, SchemaContent, SchemaId};

const SUFFIX: &str = ".schemas";

/// The schemas that stand on flash.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    directory: PathBuf,
    known: HashMap<SchemaId, Arc<MeterSchema>>,
    next: u64,
}

impl Shelf {
    /// Reads what is there.
    pub(super) fn open(spool: &Path) -> Self {
        let mut shelf = Self { directory: spool.join("schemas"), ..Self::default() };
        for (number, path) in shelf.files() {
            shelf.next = shelf.next.max(number + 1);
            shelf.read(&path);
        }
        shelf
    }

    fn files(&self) -> Vec<(u64, PathBuf)> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let number = |path: &Path| path.file_name()?.to_str()?.strip_suffix(SUFFIX)?.parse().ok();
        let mut files: Vec<_> = entries.filter_map(|entry| Some((number(&entry.path())?, entry.path()))).collect();
        files.sort();
        files
    }

    fn read(&mut self, path: &Path) {
        let text = fs::read(path).unwrap_or_default();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match parse(line) {
                Some(schema) => {
                    self.known.insert(schema.id(), Arc::new(schema));
                }
                None => {
                    warn!(path = %path.display(), "a schema on flash is damaged; batches that need it are kept but cannot be sent");
                }
            }
        }
    }

    /// The schema of this id.
    pub(super) fn get(&self, id: SchemaId) -> Option<Arc<MeterSchema>> {
        self.known.get(&id).cloned()
    }

    /// Brings those of the given schemas to flash that are not there; returns the bytes written.
    ///
    /// # Errors
    /// As the file system gives them; then none of them counts as there.
    pub(super) fn sync<'a>(&mut self, wanted: impl Iterator<Item = &'a Arc<MeterSchema>>) -> io::Result<u64> {
        let missing: HashMap<SchemaId, &Arc<MeterSchema>> =
            wanted.filter(|schema| !self.known.contains_key(&schema.id())).map(|schema| (schema.id(), schema)).collect();
        if missing.is_empty() {
            return Ok(0);
        }
        let mut text = Vec::new();
        for schema in missing.values() {
            put(&mut text, schema)?;
        }
        self.write(&text)?;
        self.known.extend(missing.into_iter().map(|(id, schema)| (id, Arc::clone(schema))));
        Ok(text.len() as u64)
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let mut file = File::create(self.directory.join(format!("{:06}{SUFFIX}", self.next)))?;
        self.next += 1;
        file.write_all(text)?;
        file.sync_all()?;
        File::open(&self.directory)?.sync_all()?;
        self.directory.parent().map_or(Ok(()), |spool| File::open(spool)?.sync_all())
    }

    /// No record needs any schema: forgets all of them.
    pub(super) fn clear(&mut self) {
        for (_, path) in self.files() {
            // One that stays is read again at the next start and does no harm.
            let _stays = fs::remove_file(path);
        }
        self.known.clear();
        self.next = 0;
    }
}

fn put(out: &mut Vec<u8>, schema: &MeterSchema) -> io::Result<()> {
    write!(out, "{} ", schema.id())?;
    let content: &SchemaContent = schema;
    serde_json::to_writer(&mut *out, content)?;
    out.push(b'\n');
    Ok(())
}

fn parse(line: &[u8]) -> Option<MeterSchema> {
    let (id, content) = line.split_at_checked(16)?;
    let schema = MeterSchema::new(serde_json::from_slice(content).ok()?);
    (schema.id().to_string().as_bytes() == id).then_some(schema)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Keep;

    fn schema(meter: &str) -> Arc<MeterSchema> {
        let content =
            SchemaContent { gateway: "g".into(), district: "d".into(), meter: meter.into(), keep: Keep::Normal, points: vec![] };
        Arc::new(MeterSchema::new(content))
    }

    #[test]
    fn schemas_are_there_after_opening_again_and_gone_after_clearing() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (schema("one"), schema("other"));
        let mut shelf = Shelf::open(folder.path());
        assert!(shelf.sync([&one].into_iter()).unwrap() > 0);
        assert_eq!(shelf.sync([&one].into_iter()).unwrap(), 0, "a known schema is not written again");
        shelf.sync([&one, &other].into_iter()).unwrap();
        let mut again = Shelf::open(folder.path());
        assert_eq!((again.get(one.id()), again.get(other.id())), (Some(one.clone()), Some(other)));
        again.clear();
        assert_eq!(Shelf::open(folder.path()).get(one.id()), None);
    }

    #[test]
    fn a_damaged_schema_is_not_taken_for_the_one_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let one = schema("one");
        Shelf::open(folder.path()).sync([&one].into_iter()).unwrap();
        let path = folder.path().join("schemas/000000.schemas");
        let text = fs::read_to_string(&path).unwrap().replace("one", "own");
        fs::write(&path, text).unwrap();
        let shelf = Shelf::open(folder.path());
        assert!(shelf.known.is_empty());
    }
}
