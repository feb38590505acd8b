//! Holds what was typed against the table of keys.
//!
//! Always true here: unknown keys and values of the wrong type are said and taken out, layer by layer, so that later steps meet
//! known keys of the right type only; what was said of a key is remembered, so that nobody calls it missing afterwards.

use std::collections::BTreeSet;

use super::finding::{Code, Findings, Place, Sources};
use super::quantity;
use super::schema::{KEYS, Key, Section, Takes, closest, find, keys};
use super::tree::{Item, Node, Table};

/// Words that others use for our keys.
const SYNONYMS: &[(Section, &str, &str)] = &[
    (Section::Root, "mqtt", "uplink"),
    (Section::Root, "broker", "uplink"),
    (Section::Root, "device", "meter"),
    (Section::Root, "storage", "spool"),
    (Section::Uplink, "url", "brokers"),
    (Section::Uplink, "server", "brokers"),
    (Section::Uplink, "host", "brokers"),
    (Section::Uplink, "user", "username"),
    (Section::Uplink, "password", "password-file"),
    (Section::Uplink, "ca", "ca-file"),
    (Section::Bus, "port", "serial"),
    (Section::Bus, "device", "serial"),
    (Section::Bus, "host", "tcp"),
    (Section::Bus, "address", "tcp"),
    (Section::Bus, "speed", "baud"),
    (Section::Meter, "slave", "unit"),
    (Section::Meter, "slave-id", "unit"),
    (Section::Meter, "id", "unit"),
    (Section::Meter, "address", "unit"),
    (Section::Meter, "interval", "every"),
    (Section::Meter, "period", "every"),
    (Section::Point, "function", "register"),
    (Section::Point, "table", "register"),
    (Section::Point, "datatype", "type"),
    (Section::Point, "data-type", "type"),
    (Section::Point, "byte-order", "order"),
    (Section::Point, "word-order", "order"),
    (Section::Point, "endian", "order"),
    (Section::Point, "factor", "scale"),
    (Section::Point, "multiplier", "scale"),
    (Section::Point, "scale-factor", "scale-register"),
    (Section::Point, "sf", "scale-register"),
    (Section::Point, "sunssf", "scale-register"),
    (Section::Point, "enum", "values"),
    (Section::Point, "names", "values"),
    (Section::Point, "states", "values"),
    (Section::Point, "interval", "every"),
    (Section::Point, "period", "every"),
    (Section::Meter, "even", "even-registers"),
    (Section::Meter, "gap", "max-gap"),
];

/// Paths of keys that were taken out of a layer: nothing more is to be said of them.
#[derive(Debug, Default)]
pub(super) struct Spoken(BTreeSet<Vec<String>>);

impl Spoken {
    /// Whether something was already said of this key.
    pub(super) fn of(&self, path: &[&str]) -> bool {
        let path: Vec<String> = path.iter().map(ToString::to_string).collect();
        self.0.contains(&path)
    }

    /// Whether something was said of this key or of any below it.
    pub(super) fn below(&self, key: &str) -> bool {
        self.0.iter().any(|spoken| spoken.first().is_some_and(|first| first == key))
    }
}

/// Holds a layer against [`KEYS`], says what does not fit, and takes it out.
pub(super) fn shape(layer: &mut Table, sources: &Sources, findings: &mut Findings, spoken: &mut Spoken) {
    Shaper { sources, findings, spoken, path: Vec::new() }.table(layer, Section::Root);
}

struct Shaper<'a> {
    sources: &'a Sources,
    findings: &'a mut Findings,
    spoken: &'a mut Spoken,
    path: Vec<String>,
}

impl Shaper<'_> {
    fn table(&mut self, table: &mut Table, section: Section) {
        table.retain(|name, node| {
            self.path.push(name.clone());
            let fits = self.key(name, node, section);
            if !fits {
                self.spoken.0.insert(self.path.clone());
            }
            self.path.pop();
            fits
        });
    }

    fn key(&mut self, name: &str, node: &mut Node, section: Section) -> bool {
        let Some(key) = find(section, name) else {
            self.unknown(name, node, section);
            return false;
        };
        if !key.takes.fits(&node.item) {
            self.wrong_type(node, key);
            return false;
        }
        match (key.takes, &mut node.item) {
            (Takes::Table(inner), Item::Table(table)) => self.table(table, inner),
            (Takes::Named(inner), Item::Table(table)) => self.named(table, inner),
            _ => {}
        }
        true
    }

    fn named(&mut self, table: &mut Table, section: Section) {
        table.retain(|name, node| {
            self.path.push(name.clone());
            let fits = if let Item::Table(inner) = &mut node.item {
                // `[meter.feeder.2]` is one mistake: that the meter `feeder` lacks everything is not worth a word.
                let dotted = inner.iter().any(|(key, node)| find(section, key).is_none() && matches!(node.item, Item::Table(_)));
                self.table(inner, section);
                !(dotted && inner.is_empty())
            } else {
                self.nameless(name, node, section);
                false
            };
            if !fits {
                self.spoken.0.insert(self.path.clone());
            }
            self.path.pop();
            fits
        });
    }

    fn unknown(&mut self, name: &str, node: &Node, section: Section) {
        let place = node.key.clone();
        let path = self.path.join(".");
        let (title, label) = match section {
            Section::Root => (format!("unknown table `[{path}]`"), "there is no such table".to_owned()),
            _ => (format!("unknown key `{path}`"), format!("{} has no such key", section.header())),
        };
        let suggestion = suggestion(name, section);
        if let Some(key) = suggestion {
            // Mistyped is not missing.
            let mut path = self.path.clone();
            path.pop();
            path.push(key.to_owned());
            self.spoken.0.insert(path);
        }
        let help = match suggestion {
            Some(key) if section == Section::Root => format!("did you mean `[{key}]`?"),
            Some(key) => format!("did you mean `{key}`?"),
            None => elsewhere(name, node, section).unwrap_or_else(|| known_keys(section)),
        };
        self.findings.error(Code::UnknownKey, &place, title).label(label).help(help);
    }

    /// `[bus] serial = ".."`: the name of the bus is missing.
    fn nameless(&mut self, name: &str, node: &Node, section: Section) {
        let header = section.header();
        let title = format!("`{}` is {}, expected a table {header}", self.path.join("."), node.item.describe());
        let help = match find(section, name) {
            Some(_) => format!("`{name}` belongs under a header with a name: write {header} above it, with a name of your choice"),
            None => format!("write a header {header} with a name of your choice, and keys below it"),
        };
        self.findings.error(Code::WrongType, &node.key, title).label("not a table").help(help);
    }

    fn wrong_type(&mut self, node: &Node, key: &Key) {
        let path = self.path.join(".");
        let title = format!("`{path}` is {}, expected {}", node.item.describe(), key.takes.describe());
        let place = odd_one_out(node, key.takes);
        let typed = self.sources.quote(&node.value);
        let help = remedy(node, key, typed);
        self.findings.error(Code::WrongType, &place, title).label(format!("expected {}", key.takes.describe())).help(help);
    }
}

/// The element that spoils a list, or the value itself.
fn odd_one_out(node: &Node, takes: Takes) -> Place {
    if let (Takes::Names, Item::Table(table)) = (takes, &node.item) {
        let odd = table.values().find(|inner| !matches!(inner.item, Item::Text(_)));
        return odd.map_or_else(|| node.value.clone(), |inner| inner.value.clone());
    }
    let Item::List(list) = &node.item else { return node.value.clone() };
    let fits = |element: &&Node| match takes {
        Takes::Texts => !matches!(element.item, Item::Text(_)),
        Takes::Integers => !matches!(element.item, Item::Integer(_) | Item::Text(_)),
        _ => false,
    };
    list.iter().find(fits).map_or_else(|| node.value.clone(), |element| element.value.clone())
}

/// What an unknown key was probably meant to be.
fn suggestion(name: &str, section: Section) -> Option<&'static str> {
    let synonym = SYNONYMS.iter().find(|(of, word, _)| *of == section && *word == name.replace('_', "-"));
    synonym.map(|(_, _, key)| *key).or_else(|| closest(name, keys(section).map(|key| key.name)))
}

/// Where an unknown key would belong, if anywhere.
fn elsewhere(name: &str, node: &Node, section: Section) -> Option<String> {
    if matches!(node.item, Item::Table(_))
        && !matches!(section, Section::Root | Section::Gateway | Section::Uplink | Section::Spool)
    {
        return Some("a dot separates tables and cannot stand in a name: use \"-\" or \"_\" instead".to_owned());
    }
    let elsewhere = KEYS.iter().find(|key| key.name == name)?;
    Some(format!("`{name}` belongs in {}", elsewhere.section.header()))
}

fn known_keys(section: Section) -> String {
    let names: Vec<&str> = keys(section).map(|key| key.name).collect();
    format!("there are: {}", names.join(", "))
}

/// How the value ought to be typed.
fn remedy(node: &Node, key: &Key, typed: &str) -> String {
    let name = key.name;
    match (key.takes, &node.item) {
        (Takes::Integer | Takes::Number | Takes::Integers, Item::Text(text)) if quantity::decimal(text).is_ok() => {
            format!("write it without quotes: `{name} = {text}`")
        }
        (Takes::Integer | Takes::Integers, Item::Float(text)) if text.ends_with(".0") => {
            format!("write it without decimals: `{name} = {}`", text.trim_end_matches(".0"))
        }
        (Takes::Duration, Item::Integer(number)) => {
            format!("say of what: `{name} = \"{number}s\"` for seconds, \"{number}ms\" for milliseconds")
        }
        (Takes::Percent, Item::Integer(number)) => format!("write it in quotes, with its sign: `{name} = \"{number}%\"`"),
        (Takes::Size, Item::Integer(number)) => format!("say of what: `{name} = \"{number}MiB\"`"),
        (Takes::Text | Takes::Path | Takes::Word(_), Item::Integer(_) | Item::Float(_) | Item::Bool(_) | Item::Date(_)) => {
            format!("write it in quotes: `{name} = \"{typed}\"`")
        }
        (Takes::Texts, Item::Text(_)) => format!("write it in brackets: `{name} = [{typed}]`"),
        (Takes::Named(section), Item::List(_)) => {
            format!("tables here have names: write {} instead of [[{name}]]", section.header())
        }
        (Takes::Table(section) | Takes::Named(section), _) => format!("write a header {} and its keys below it", section.header()),
        _ => format!("for example `{name} = {}`", key.example),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_synonym_leads_to_a_key_and_is_none_itself() {
        for (section, word, name) in SYNONYMS {
            assert!(find(*section, name).is_some(), "{name}");
            assert!(find(*section, word).is_none(), "{word}");
        }
    }
}
