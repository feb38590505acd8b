//! The environment as a layer above the files: `DISTRICTD_UPLINK__BROKERS` is `brokers` in `[uplink]`.
//!
//! Always true here: it reaches the tables with fixed names only, an underscore stands for a hyphen, lists are split at commas, and
//! a name that was meant for us but means nothing is a finding. Deliberately absent: values; they are judged like those of files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::finding::{Code, Finding, Findings, Origin, Place, Severity, Sources};
use super::schema::{self, Key, Section, Takes};
use super::tree::{Item, Node, Table};
use crate::host::durable;

const PREFIX: &str = "DISTRICTD_";
/// The tables it reaches, as they are called in a variable and in a file.
const REACHED: [(&str, &str, Section); 3] =
    [("GATEWAY", "gateway", Section::Gateway), ("UPLINK", "uplink", Section::Uplink), ("SPOOL", "spool", Section::Spool)];
/// Where the journal stands when the service manager names no place.
const USUAL_JOURNAL: &str = "/run/districtd";

/// What the process was started with, as far as it concerns the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `DISTRICTD_*`
    variables: BTreeMap<String, String>,
    /// First of `$STATE_DIRECTORY`.
    state: Option<PathBuf>,
    /// First of `$RUNTIME_DIRECTORY`, else the usual place where it can be written.
    journal: Option<PathBuf>,
}

impl Environment {
    /// Takes what concerns us from pairs of name and value. Bytes that are no UTF-8 are replaced, and so found by the checks.
    pub fn new(pairs: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in pairs {
            match name.to_str() {
                Some("STATE_DIRECTORY") => environment.state = first_directory(&value),
                Some("RUNTIME_DIRECTORY") => environment.journal = first_directory(&value),
                Some(name) if name.starts_with(PREFIX) => {
                    environment.variables.insert(name.to_owned(), value.to_string_lossy().into_owned());
                }
                _ => {}
            }
        }
        environment
    }

    /// The environment of this process, which is going to be the daemon: `/run/districtd` counts if it can be written.
    #[must_use]
    pub fn of_this_process() -> Self {
        let mut environment = Self::new(std::env::vars_os());
        if environment.journal.is_none() && can_hold_the_journal(Path::new(USUAL_JOURNAL)) {
            environment.journal = Some(PathBuf::from(USUAL_JOURNAL));
        }
        environment
    }

    /// The environment of a process that asks about the daemon without being it, perhaps as a user who may not write where the
    /// daemon does: what the systemd unit gives the daemon is taken for granted.
    #[must_use]
    pub fn of_a_bystander() -> Self {
        let mut environment = Self::new(std::env::vars_os());
        environment.journal.get_or_insert_with(|| PathBuf::from(USUAL_JOURNAL));
        environment
    }

    /// `$STATE_DIRECTORY`
    #[must_use]
    pub fn state(&self) -> Option<&Path> {
        self.state.as_deref()
    }

    /// Where the journal stands unless the configuration says otherwise.
    #[must_use]
    pub fn journal(&self) -> Option<&Path> {
        self.journal.as_deref()
    }

    /// The layer that the variables make.
    pub(super) fn layer(&self, sources: &mut Sources, findings: &mut Findings) -> Table {
        let mut layer = Table::new();
        for (name, value) in &self.variables {
            let source = sources.add(format!("environment {name}"), value.clone(), Origin::Variable);
            let place = Place { source, span: 0..value.len() };
            match target(name) {
                Some((table, key)) => insert(&mut layer, table, key, &place, value),
                None => unknown(name, &place, findings),
            }
        }
        layer
    }
}

/// systemd separates several directories by colons.
fn first_directory(value: &OsString) -> Option<PathBuf> {
    let text = value.to_str()?;
    text.split(':').find(|part| !part.is_empty()).map(PathBuf::from)
}

fn can_hold_the_journal(path: &Path) -> bool {
    if path.exists() { path.is_dir() && durable::can_write_in(path) } else { path.parent().is_some_and(durable::can_write_in) }
}

fn target(name: &str) -> Option<(&'static str, &'static Key)> {
    let (table, key) = name.strip_prefix(PREFIX)?.split_once("__")?;
    let (_, table, section) = REACHED.iter().find(|(upper, ..)| *upper == table)?;
    let key = schema::keys(*section).find(|known| variable_part(known) == key)?;
    Some((table, key))
}

fn variable_part(key: &Key) -> String {
    key.name.to_ascii_uppercase().replace('-', "_")
}

fn insert(layer: &mut Table, table: &str, key: &Key, place: &Place, value: &str) {
    let item = match key.takes {
        Takes::Texts => Item::List(elements(place, value)),
        Takes::Integer | Takes::Number => value.trim().parse().map_or_else(|_| Item::Text(value.to_owned()), Item::Integer),
        _ => Item::Text(value.to_owned()),
    };
    let node = Node { key: place.clone(), value: place.clone(), item };
    let empty = || Node { key: place.clone(), value: place.clone(), item: Item::Table(Table::new()) };
    if let Item::Table(table) = &mut layer.entry(table.to_owned()).or_insert_with(empty).item {
        table.insert(key.name.to_owned(), node);
    }
}

fn elements(place: &Place, value: &str) -> Vec<Node> {
    let mut start = 0;
    let mut nodes = Vec::new();
    for part in value.split(',') {
        let text = part.trim();
        let from = start + (part.len() - part.trim_start().len());
        let place = Place { source: place.source, span: from..from + text.len() };
        start += part.len() + 1;
        if !text.is_empty() {
            nodes.push(Node { key: place.clone(), value: place, item: Item::Text(text.to_owned()) });
        }
    }
    nodes
}

/// A name that can only have been meant for us is an error: ignoring it would run with another setting than was asked for.
fn unknown(name: &str, place: &Place, findings: &mut Findings) {
    let rest = name.strip_prefix(PREFIX).unwrap_or(name);
    let meant = rest.contains("__") || REACHED.iter().any(|(table, ..)| rest.starts_with(&format!("{table}_")));
    let title = format!("environment variable `{name}` sets nothing");
    let severity = if meant { Severity::Error } else { Severity::Warning };
    let finding = findings.add(Finding::new(severity, Code::UnknownVariable, place, title)).label("not a setting");
    let known: Vec<String> = names().collect();
    if let Some(close) = schema::closest(rest, known.iter().map(String::as_str)) {
        finding.help(format!("did you mean `{PREFIX}{close}`?"));
    } else if ["BUS__", "METER__", "PROFILE__"].iter().any(|table| rest.starts_with(table)) {
        finding.help("the environment reaches [gateway], [uplink] and [spool] only: write this into a file");
    } else {
        finding.help("names are made of DISTRICTD_, GATEWAY or UPLINK or SPOOL, two underscores, and the key, as in `DISTRICTD_UPLINK__BROKERS`");
    }
}

/// Every variable that sets something, without the prefix.
fn names() -> impl Iterator<Item = String> {
    let of_table = |(upper, _, section): &'static (&'static str, &str, Section)| {
        schema::keys(*section).map(move |key| format!("{upper}__{}", variable_part(key)))
    };
    REACHED.iter().flat_map(of_table)
}
