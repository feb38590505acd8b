//! From a path to a configuration: which files belong to it, what they hold, what is wrong with it.
//!
//! Always true here: it never panics and never stops at the first trouble; a file that cannot be read or parsed is a finding, and
//! the rest is judged as far as it can be. Of a file with a syntax error everything before that error counts. Deliberately absent:
//! what happens then (the supervisor's choice) and the files that settings name (they are read when they are used).

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use toml::de::DeTable;

use super::environment::Environment;
use super::finding::{Code, Finding, Findings, Origin, Place, Severity, Sources};
use super::model::Config;
use super::shape::{self, Spoken};
use super::tree::{self, Item, Table};
use super::{layers, report, validate};

pub use super::lastgood::{keep_last_good, last_good};

/// Larger than any configuration; a path to something endless must not fill the memory.
const LARGEST_FILE: u64 = 16 << 20;

/// What the parser says of a key that stands twice.
const DUPLICATE: &str = "duplicate key";

/// What came of reading a configuration.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// There exactly when no finding is an error.
    pub config: Option<Config>,
    /// By source and position.
    pub findings: Vec<Finding>,
    /// What the findings point into.
    pub sources: Sources,
    /// Where small durable facts stand, as far as it can be told even when other things are wrong.
    pub state: Option<PathBuf>,
    /// Files and environment as one TOML text.
    pub(super) merged: String,
    /// Where the tables of the buses stand.
    buses: BTreeMap<String, Place>,
}

impl Loaded {
    /// Warns of how a bus is used, at the place of its table. What there is to say of that needs the planner, which this room does
    /// not know.
    pub fn warn_of_bus(&mut self, bus: &str, title: String, label: String, help: String) {
        let Some(place) = self.buses.get(bus) else { return };
        let mut findings = Findings(std::mem::take(&mut self.findings));
        findings.warning(Code::Overload, place, title).label(label).help(help);
        self.findings = findings.sorted();
    }

    /// Whether it cannot run so.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.config.is_none()
    }
}

/// Reads a file with its sibling `conf.d/*.toml`, or a directory's `*.toml`, and the environment above them.
#[must_use]
pub fn load(path: &Path, environment: &Environment) -> Loaded {
    let mut reading = Reading::default();
    for file in reading.files_of(path) {
        reading.file(&file);
    }
    reading.environment(environment);
    reading.finish(environment)
}

/// Loads texts as if they were files of these names.
#[cfg(test)]
pub(super) fn load_texts(files: &[(&str, &str)], environment: &Environment) -> Loaded {
    let mut reading = Reading::default();
    for (name, text) in files {
        let source = reading.sources.add((*name).to_owned(), (*text).to_owned(), Origin::File);
        reading.text(source, text);
    }
    reading.environment(environment);
    reading.finish(environment)
}

/// The findings as text, with a last line that counts them.
#[must_use]
pub fn render(loaded: &Loaded, colour: bool) -> String {
    report::render(&loaded.findings, &loaded.sources, colour)
}

/// Layers and findings as they come in.
#[derive(Default)]
pub(super) struct Reading {
    sources: Sources,
    findings: Findings,
    layers: Vec<Table>,
    /// The same, but with what could be guessed of files with syntax errors.
    guesses: Vec<Table>,
    partial: bool,
}

impl Reading {
    /// The files that make up a configuration, in the order of their layers.
    fn files_of(&mut self, path: &Path) -> Vec<PathBuf> {
        if path.is_dir() {
            let files = self.toml_files(path);
            if files.is_empty() && self.findings.0.is_empty() {
                self.unreadable(path, "there is no *.toml file in it", "name a file, or the directory that holds districtd.toml");
            }
            return files;
        }
        let mut files = vec![path.to_owned()];
        let parts = path.with_file_name("conf.d");
        if parts.is_dir() {
            files.extend(self.toml_files(&parts));
        }
        files
    }

    fn toml_files(&mut self, directory: &Path) -> Vec<PathBuf> {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => {
                self.unreadable(directory, &error.to_string(), access_remedy(&error));
                return Vec::new();
            }
        };
        let is_toml = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            path.extension().is_some_and(|extension| extension == "toml") && !name.starts_with('.')
        };
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_toml).collect();
        files.sort();
        files
    }

    /// Reads one file as the next layer.
    pub(super) fn file(&mut self, path: &Path) {
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(error) => return self.unreadable(path, &error.to_string(), access_remedy(&error)),
        };
        let (text, bad) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(at))
            }
        };
        let source = self.sources.add(path.display().to_string(), text.clone(), Origin::File);
        if let Some(at) = bad {
            self.not_utf8(&Place { source, span: at..at });
        }
        self.text(source, &text);
    }

    fn not_utf8(&mut self, place: &Place) {
        self.partial = true;
        self.findings
            .error(Code::Syntax, place, "the file is not UTF-8 from here on")
            .label("this character")
            .help("save the file as UTF-8, or write the character without accents");
    }

    fn text(&mut self, source: usize, text: &str) {
        let (guess, errors) = DeTable::parse_recoverable(text);
        let guess = tree::from_toml(source, guess.into_inner());
        self.guesses.push(guess.clone());
        if errors.is_empty() {
            return self.layers.push(guess);
        }
        self.partial = true;
        self.layers.push(before_the_error(source, text));
        let mut told: Vec<(Place, &str)> = Vec::new();
        for error in &errors {
            let place = Place { source, span: error.span().unwrap_or(text.len()..text.len()) };
            told.push((place, error.message()));
        }
        told.sort_by_key(|(place, _)| place.span.start);
        self.syntax_errors(&told);
    }

    /// The parser goes on after an error as well as it can; what it repeats of an open bracket line after line is noise.
    fn syntax_errors(&mut self, errors: &[(Place, &str)]) {
        let line_of = |place: &Place, sources: &Sources| sources.line_and_column(place).map_or(0, |(line, _)| line);
        let mut lines = Vec::new();
        let mut messages = Vec::new();
        for (place, message) in errors {
            let line = line_of(place, &self.sources);
            let twice = *message == DUPLICATE;
            if lines.contains(&line) || (messages.contains(message) && !twice) {
                continue;
            }
            self.syntax_error(place, message, lines.first().copied());
            lines.push(line);
            messages.push(*message);
        }
    }

    fn syntax_error(&mut self, place: &Place, message: &str, first: Option<usize>) {
        if message == DUPLICATE {
            let title = format!("`{}` stands twice in one table", self.sources.quote(place));
            let help = "remove one of the two, or give it another name; what follows this line was not judged";
            self.findings.error(Code::Syntax, place, title).label("the second one").help(help);
            return;
        }
        let help = match first {
            None => concat!(
                "a line is `key = value` or `[table]`; texts stand in double quotes, lists in brackets; ",
                "what follows this line was not judged"
            )
            .to_owned(),
            Some(line) => format!("perhaps a consequence of the error in line {line}: mend that one first"),
        };
        self.findings.error(Code::Syntax, place, format!("not TOML: {message}")).label("here or just before").help(help);
    }

    fn unreadable(&mut self, path: &Path, why: &str, remedy: &str) {
        self.partial = true;
        let source = self.sources.add(path.display().to_string(), String::new(), Origin::Unread);
        let title = format!("cannot read {}: {why}", path.display());
        self.findings.error(Code::Unreadable, &Place { source, span: 0..0 }, title).help(remedy);
    }

    fn environment(&mut self, environment: &Environment) {
        let layer = environment.layer(&mut self.sources, &mut self.findings);
        self.guesses.push(layer.clone());
        self.layers.push(layer);
    }

    /// Judges what was read.
    pub(super) fn finish(mut self, environment: &Environment) -> Loaded {
        let mut spoken = Spoken::default();
        for layer in &mut self.layers {
            shape::shape(layer, &self.sources, &mut self.findings, &mut spoken);
        }
        let tree = self.merge();
        let merged = tree::to_toml(&tree);
        let context = validate::Context {
            sources: &self.sources,
            spoken: &spoken,
            state: environment.state(),
            journal: environment.journal(),
            partial: self.partial,
            hash: &hash(&merged),
        };
        let (config, judged) = validate::judge(&tree, &context);
        self.findings.0.extend(judged);
        let findings = self.findings.sorted();
        let clean = findings.iter().all(|finding| finding.severity != Severity::Error);
        let state = state_of(&tree, &self.guesses, environment);
        Loaded { config: config.filter(|_| clean), findings, sources: self.sources, state, merged, buses: places(&tree, "bus") }
    }

    fn merge(&mut self) -> Table {
        layers::merge(&self.layers).unwrap_or_else(|error| {
            self.partial = true;
            let place = Place { source: 0, span: 0..0 };
            self.findings.error(Code::Unreadable, &place, format!("the files cannot be merged: {error}"));
            Table::new()
        })
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB"));
    }
    Ok(bytes)
}

fn access_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path after --config; the usual one is /etc/districtd/districtd.toml",
        io::ErrorKind::PermissionDenied => "let the user that runs districtd read it: chgrp districtd FILE, chmod 640 FILE",
        _ => "name a TOML file, or a directory with *.toml files",
    }
}

/// What stands above the first syntax error: TOML is read from top to bottom, so that much is certain.
fn before_the_error(source: usize, text: &str) -> Table {
    let mut end = text.len();
    // An open bracket or quote moves the error down to the end of the file, hence several tries, each with fewer lines.
    for _ in 0..64 {
        let Some(part) = text.get(..end) else { break };
        match DeTable::parse(part) {
            Ok(document) => return tree::from_toml(source, document.into_inner()),
            Err(error) => {
                let at = error.span().map_or(end, |span| span.start).min(end);
                let above = part.get(..at).and_then(|part| part.rfind('\n'));
                match above {
                    Some(line_end) => end = line_end,
                    None => break,
                }
            }
        }
    }
    Table::new()
}

/// `gateway.state`, else `$STATE_DIRECTORY`, else the parent of `spool.path`; guesses count where nothing certain is known.
fn state_of(tree: &Table, guesses: &[Table], environment: &Environment) -> Option<PathBuf> {
    let guessed = |table, key| guesses.iter().rev().find_map(|guess| text_at(guess, table, key));
    let state = || text_at(tree, "gateway", "state").or_else(|| guessed("gateway", "state")).map(PathBuf::from);
    let spool = || text_at(tree, "spool", "path").or_else(|| guessed("spool", "path"));
    let beside = || validate::beside(Path::new(spool()?));
    state().or_else(|| environment.state().map(PathBuf::from)).or_else(beside)
}

/// Where the names of the tables `[what.NAME]` stand.
fn places(tree: &Table, what: &str) -> BTreeMap<String, Place> {
    let Some(Item::Table(tables)) = tree.get(what).map(|node| &node.item) else { return BTreeMap::new() };
    tables.iter().map(|(name, node)| (name.clone(), node.key.clone())).collect()
}

fn text_at<'a>(tree: &'a Table, table: &str, key: &str) -> Option<&'a str> {
    let Item::Table(inner) = &tree.get(table)?.item else { return None };
    match &inner.get(key)?.item {
        Item::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// First 16 hex digits of SHA-256.
fn hash(merged: &str) -> String {
    let digest = Sha256::digest(merged.as_bytes());
    format!("{:016x}", digest.iter().take(8).fold(0, |hash: u64, byte| hash << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests;
