//! Reads the keys of one table.
//!
//! Always true here: a key that is absent or of the wrong type gives `None`, and why was said; a value that is not understood or out
//! of range gives `None` and a finding at its place.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::Judge;
use crate::config::finding::{Code, Place};
use crate::config::tree::{Item, Node, Table};
use crate::config::{quantity, schema};
use crate::reading::{BadName, check_name};

/// One table with its place.
pub(super) struct Section<'a> {
    /// What kind of table.
    pub(super) kind: schema::Section,
    /// Names from the top, as in `["bus", "cabinet-a"]`.
    pub(super) path: Vec<&'a str>,
    /// Where its name stands.
    pub(super) key: &'a Place,
    /// Where its header stands.
    pub(super) header: &'a Place,
    /// Its keys.
    pub(super) table: &'a Table,
}

impl<'a> Section<'a> {
    /// Its own name: the last of the path.
    pub(super) fn name(&self) -> &'a str {
        self.path.last().copied().unwrap_or_default()
    }

    /// As in `bus.cabinet-a.baud`.
    pub(super) fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.path.join("."))
    }

    /// A key as typed.
    pub(super) fn node(&self, key: &str) -> Option<&'a Node> {
        debug_assert!(schema::find(self.kind, key).is_some(), "{key} is not a key of {:?}", self.kind);
        self.table.get(key)
    }

    /// Where a key's value stands.
    pub(super) fn place(&self, key: &str) -> Option<&'a Place> {
        self.node(key).map(|node| &node.value)
    }

    /// A text as typed.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        match &self.node(key)?.item {
            Item::Text(text) => Some(text),
            _ => None,
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.node(key)?.item {
            Item::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    /// The elements of a list, or a single value as a list of one.
    pub(super) fn list(&self, key: &str) -> Option<Vec<&'a Node>> {
        let node = self.node(key)?;
        match &node.item {
            Item::List(list) => Some(list.iter().collect()),
            _ => Some(vec![node]),
        }
    }
}

impl Judge<'_> {
    /// Says which needed keys are absent.
    pub(super) fn missing_keys(&mut self, section: &Section) {
        for key in schema::keys(section.kind).filter(|key| key.needed && !section.table.contains_key(key.name)) {
            let path: Vec<&str> = section.path.iter().copied().chain([key.name]).collect();
            if self.context.spoken.of(&path) {
                continue;
            }
            let title = format!("`{}` is missing: {}", section.full(key.name), key.doc);
            let help = format!("add a line below this header, for example `{} = {}`", key.name, key.example);
            self.findings
                .error(Code::MissingKey, section.header, title)
                .label(format!("`{}` is missing here", key.name))
                .help(help);
        }
    }

    /// Checks the name of a bus, meter, point or profile.
    pub(super) fn own_name(&mut self, section: &Section) -> Option<Box<str>> {
        self.name(section.name(), section.key, &section.path.join("."), false)
    }

    /// Checks a name; `dots` also allows ".".
    pub(super) fn name(&mut self, name: &str, place: &Place, what: &str, dots: bool) -> Option<Box<str>> {
        let found = match check_name(name, dots) {
            Ok(()) => return Some(name.into()),
            Err(BadName::Length(found)) => format!("{found} characters, expected 1 to 64"),
            Err(BadName::Character(found)) => format!("{found:?} cannot stand in a name"),
        };
        let allowed = if dots { "\"-\", \"_\" and \".\"" } else { "\"-\" and \"_\"" };
        self.findings
            .error(Code::BadName, place, format!("`{what}` is not a usable name: {found}"))
            .label("not a usable name")
            .help(format!("names become parts of MQTT topics: use the letters a-z and A-Z, digits, {allowed}"));
        None
    }

    /// A text that must not be empty or hold control characters.
    pub(super) fn plain_text(&mut self, section: &Section, key: &str, most: usize) -> Option<String> {
        let (text, place) = (section.text(key)?, section.place(key)?);
        if !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control) {
            return Some(text.to_owned());
        }
        let title = format!("`{}` cannot be used", section.full(key));
        self.findings
            .error(Code::BadValue, place, title)
            .label(format!("expected 1 to {most} bytes without control characters"))
            .help("write a shorter or another text, or remove the line");
        None
    }

    /// A path; a relative one is doubtful, because it depends on where the daemon was started.
    pub(super) fn path(&mut self, section: &Section, key: &str) -> Option<PathBuf> {
        let (text, place) = (section.text(key)?, section.place(key)?);
        let full = section.full(key);
        if text.is_empty() || text.contains('\0') {
            self.findings
                .error(Code::BadValue, place, format!("`{full}` is not a path"))
                .label("expected a path")
                .help("write the whole path, from the first \"/\" on, or remove the line");
            return None;
        }
        if !text.starts_with('/') {
            self.findings
                .warning(
                    Code::Doubtful,
                    place,
                    format!("`{full}` is a relative path: it depends on the directory districtd is started in"),
                )
                .label("relative to a directory that may change")
                .help("write the whole path, from the first \"/\" on");
        }
        Some(PathBuf::from(text))
    }

    /// A whole number within a range.
    pub(super) fn integer<T: TryFrom<i128>>(&mut self, section: &Section, key: &str, range: RangeInclusive<i128>) -> Option<T> {
        let node = section.node(key)?;
        let Item::Integer(number) = node.item else { return None };
        if range.contains(&number)
            && let Ok(number) = T::try_from(number)
        {
            return Some(number);
        }
        let expected = format!("expected {} to {}", range.start(), range.end());
        let title = format!("`{}` is out of range: {}, {expected}", section.full(key), self.quote(&node.value));
        self.findings.error(Code::OutOfRange, &node.value, title).label(expected).help(meaning(section, key));
        None
    }

    /// A duration within a range.
    pub(super) fn duration(&mut self, section: &Section, key: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let (text, place) = (section.text(key)?, section.place(key)?);
        let full = section.full(key);
        let time = match quantity::duration(text) {
            Ok(time) => time,
            Err(expected) => {
                let finding = self.findings.error(Code::BadValue, place, format!("`{full}` is not a time: \"{text}\""));
                finding.label(expected).help(time_remedy(key, text));
                return None;
            }
        };
        if range.contains(&time) {
            return Some(time);
        }
        let (least, most) = (quantity::show(*range.start()), quantity::show(*range.end()));
        self.findings
            .error(Code::OutOfRange, place, format!("`{full}` is out of range: \"{text}\", expected {least} to {most}"))
            .label(format!("expected {least} to {most}"))
            .help(meaning(section, key));
        None
    }

    /// A share in percent within a range.
    pub(super) fn percent(&mut self, section: &Section, key: &str, range: RangeInclusive<u8>) -> Option<u8> {
        let (text, place) = (section.text(key)?, section.place(key)?);
        let full = section.full(key);
        let share = match quantity::percent(text) {
            Ok(share) => u8::try_from(share).ok().filter(|share| range.contains(share)),
            Err(expected) => {
                let title = format!("`{full}` is not a share: \"{text}\"");
                self.findings.error(Code::BadValue, place, title).label(expected).help(meaning(section, key));
                return None;
            }
        };
        if share.is_none() {
            let expected = format!("expected {}% to {}%", range.start(), range.end());
            let title = format!("`{full}` is out of range: \"{text}\", {expected}");
            self.findings.error(Code::OutOfRange, place, title).label(expected).help(meaning(section, key));
        }
        share
    }

    /// A key that may be absent: `Some(None)` where it is, `None` where it is wrong.
    #[expect(clippy::option_option, reason = "absent, wrong and right are three things")]
    pub(super) fn optional<T>(
        &mut self,
        section: &Section,
        key: &str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if section.node(key).is_some() { read(self).map(Some) } else { Some(None) }
    }

    /// One of the words that the schema lists, as its place in that list.
    pub(super) fn word(&mut self, section: &Section, key: &str) -> Option<usize> {
        let (text, place) = (section.text(key)?, section.place(key)?);
        let schema::Takes::Word(words) = schema::find(section.kind, key)?.takes else { return None };
        if let Some(index) = words.iter().position(|word| *word == text) {
            return Some(index);
        }
        let expected = format!("expected one of {}", words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "));
        let suggestion = schema::closest(text, words.iter().copied());
        let title = format!("`{}` does not know \"{text}\"", section.full(key));
        let finding = self.findings.error(Code::BadValue, place, title).label(expected);
        if let Some(word) = suggestion {
            finding.help(format!("did you mean `{key} = \"{word}\"`?"));
        }
        None
    }

    /// What stands at a place, as typed.
    pub(super) fn quote(&self, place: &Place) -> String {
        self.context.sources.quote(place).to_owned()
    }

    /// `file:line` of a place.
    pub(super) fn mention(&self, place: &Place) -> String {
        self.context.sources.mention(place)
    }
}

/// What a key is for, so that a value within its range can be chosen.
fn meaning(section: &Section, key: &str) -> String {
    schema::find(section.kind, key)
        .map(|known| format!("`{key}`: {}, for example {}", known.doc, known.example))
        .unwrap_or_default()
}

fn time_remedy(key: &str, text: &str) -> String {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    if digits.is_empty() || text.contains('.') {
        return format!("for example `{key} = \"500ms\"` or `{key} = \"10s\"`");
    }
    format!("write `{key} = \"{digits}s\"` for seconds or `{key} = \"{digits}ms\"` for milliseconds")
}
