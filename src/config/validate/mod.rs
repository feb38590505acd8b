//! From what was typed to a model that cannot be wrong: every range, name and reference is judged here and nowhere else.
//!
//! Always true here: one run says everything there is to say, and a model comes out only without errors. Files, clocks and the
//! process environment are not asked: what must be known of them is in [`Context`]. Deliberately absent: unknown keys and wrong
//! types, which `shape` has taken out before.

mod bus;
mod gateway;
mod meter;
mod number;
mod point;
mod profile;
mod section;
mod spool;
#[cfg(test)]
mod tests;
mod types;
mod uplink;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

pub(super) use self::gateway::beside;
use self::section::Section;
use super::finding::{Code, Finding, Findings, Place, Sources};
use super::model::Config;
use super::schema;
use super::shape::Spoken;
use super::tree::{Item, Table};

/// What judging must know besides the tree.
pub(super) struct Context<'a> {
    /// To quote what was typed.
    pub(super) sources: &'a Sources,
    /// What was already said.
    pub(super) spoken: &'a Spoken,
    /// `$STATE_DIRECTORY`
    pub(super) state: Option<&'a Path>,
    /// `$RUNTIME_DIRECTORY`, else `/run/districtd` where it can be used.
    pub(super) journal: Option<&'a Path>,
    /// A file could not be read to its end: what is missing may stand there.
    pub(super) partial: bool,
    /// Hash of the merged text.
    pub(super) hash: &'a str,
}

/// Judges a merged tree. The model is there exactly when no finding is an error.
pub(super) fn judge(tree: &Table, context: &Context) -> (Option<Config>, Vec<Finding>) {
    let mut judge = Judge { context, findings: Findings::default() };
    let config = judge.config(tree);
    let mut findings = judge.findings.0;
    findings.retain(|finding| !(context.partial && finding.code.needs_the_whole()));
    let clean = findings.iter().all(|finding| finding.severity != super::finding::Severity::Error);
    (config.filter(|_| clean), findings)
}

/// Takes down findings.
struct Judge<'a> {
    context: &'a Context<'a>,
    findings: Findings,
}

impl<'a> Judge<'a> {
    fn config(&mut self, tree: &'a Table) -> Option<Config> {
        self.missing_tables(tree);
        let gateway = only(tree, "gateway", schema::Section::Gateway).map(|section| self.gateway(&section));
        let spool = only(tree, "spool", schema::Section::Spool).and_then(|section| self.spool(&section));
        let window = spool.as_ref().map(|spool| spool.window);
        let name = gateway.as_ref().and_then(|gateway| gateway.name.clone());
        let uplink =
            only(tree, "uplink", schema::Section::Uplink).and_then(|section| self.uplink(&section, name.as_deref(), window));
        let profiles = self.profiles(tree);
        let buses = self.buses(tree);
        let meters = self.meters(tree, &buses, &profiles, gateway.as_ref());
        self.unused_profiles(tree, &profiles);
        let buses = self.with_meters(buses, meters);
        let spool = spool?;
        let gateway = gateway?.finish(&spool)?;
        Some(Config { gateway, uplink: uplink?, spool, buses, hash: self.context.hash.to_owned() })
    }

    fn missing_tables(&mut self, tree: &Table) {
        let place = TOP;
        for key in schema::keys(schema::Section::Root).filter(|key| key.needed) {
            if tree.contains_key(key.name) || self.context.spoken.of(&[key.name]) {
                continue;
            }
            let schema::Takes::Table(section) = key.takes else { continue };
            let mut help = format!("add a table\n[{}]", key.name);
            for inner in schema::keys(section).filter(|inner| inner.needed) {
                let _ = write!(help, "\n{} = {}", inner.name, inner.example);
            }
            let title = format!("table `[{}]` is missing: {}", key.name, key.doc);
            self.findings.error(Code::MissingKey, &place, title).label(format!("no `[{}]` in this file", key.name)).help(help);
        }
    }
}

/// Where what is nowhere is missed: the top of the first file.
const TOP: Place = Place { source: 0, span: 0..0 };

/// A table with a fixed name.
fn only<'a>(tree: &'a Table, name: &'a str, kind: schema::Section) -> Option<Section<'a>> {
    let node = tree.get(name)?;
    match &node.item {
        Item::Table(table) => Some(Section { kind, path: vec![name], key: &node.key, header: &node.value, table }),
        _ => None,
    }
}

/// The tables below `[what.NAME]`, by name.
fn named<'a>(parent: &[&'a str], table: &'a Table, what: &'a str, kind: schema::Section) -> BTreeMap<&'a str, Section<'a>> {
    let Some(Item::Table(tables)) = table.get(what).map(|node| &node.item) else { return BTreeMap::new() };
    let mut sections = BTreeMap::new();
    for (name, node) in tables {
        if let Item::Table(table) = &node.item {
            let path = parent.iter().copied().chain([what, name.as_str()]).collect();
            sections.insert(name.as_str(), Section { kind, path, key: &node.key, header: &node.value, table });
        }
    }
    sections
}
