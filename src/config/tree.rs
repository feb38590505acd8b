//! What was typed, as a tree that still knows where each key and value stands.
//!
//! Always true here: numbers keep their digits (no value passes through a binary float), and every node has a place. Deliberately
//! absent: what keys mean.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::finding::Place;

/// Keys of one table, in their alphabetical order.
pub(super) type Table = BTreeMap<String, Node>;

/// One key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// Where the key stands; of a table, where its name stands.
    pub(super) key: Place,
    /// Where the value stands; of a table, its header.
    pub(super) value: Place,
    /// The value.
    pub(super) item: Item,
}

/// A value as typed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    /// In quotes.
    Text(String),
    /// Without a point; the largest or smallest i128 stands for anything beyond.
    Integer(i128),
    /// With a point or an exponent: its digits, without underscores.
    Float(String),
    /// `true` or `false`.
    Bool(bool),
    /// A date or a time, which no key takes.
    Date(String),
    /// In brackets.
    List(Vec<Node>),
    /// `[..]` or `{..}`.
    Table(Table),
}

impl Item {
    /// What it is, for people.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a decimal point",
            Self::Bool(_) => "true or false",
            Self::Date(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Takes over a parsed document.
pub(super) fn from_toml(source: usize, document: DeTable<'_>) -> Table {
    document.into_iter().map(|(key, value)| entry(source, &key, value)).collect()
}

fn entry(source: usize, key: &Spanned<DeString<'_>>, value: Spanned<DeValue<'_>>) -> (String, Node) {
    let name = key.get_ref().clone().into_owned();
    let place = Place { source, span: key.span() };
    (name, node(source, place, value))
}

fn node(source: usize, key: Place, value: Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let item = match value.into_inner() {
        DeValue::String(text) => Item::Text(text.into_owned()),
        DeValue::Integer(digits) => Item::Integer(integer(digits.as_str(), digits.radix())),
        DeValue::Float(digits) => Item::Float(digits.as_str().to_owned()),
        DeValue::Boolean(value) => Item::Bool(value),
        DeValue::Datetime(date) => Item::Date(date.to_string()),
        DeValue::Array(values) => Item::List(values.into_iter().map(|value| element(source, value)).collect()),
        DeValue::Table(table) => Item::Table(from_toml(source, table)),
    };
    // A table that has no header of its own (only `[meter.x.point.y]` was typed) is shown by its name.
    let value = if matches!(item, Item::Table(_)) && span.is_empty() { key.clone() } else { Place { source, span } };
    Node { key, value, item }
}

fn element(source: usize, value: Spanned<DeValue<'_>>) -> Node {
    let place = Place { source, span: value.span() };
    node(source, place, value)
}

fn integer(digits: &str, radix: u32) -> i128 {
    let beyond = if digits.starts_with('-') { i128::MIN } else { i128::MAX };
    i128::from_str_radix(digits, radix).unwrap_or(beyond)
}

/// The one TOML text of a tree: keys in their order, no comments, no choice of notation.
pub(super) fn to_toml(table: &Table) -> String {
    let mut text = String::new();
    write_table(&mut text, "", table);
    text
}

fn write_table(out: &mut String, path: &str, table: &Table) {
    for (key, node) in table.iter().filter(|(_, node)| !matches!(node.item, Item::Table(_))) {
        let _ = writeln!(out, "{} = {}", bare(key), value(&node.item));
    }
    for (key, node) in table {
        if let Item::Table(inner) = &node.item {
            let path = if path.is_empty() { bare(key) } else { format!("{path}.{}", bare(key)) };
            let _ = writeln!(out, "\n[{path}]");
            write_table(out, &path, inner);
        }
    }
}

fn value(item: &Item) -> String {
    match item {
        Item::Text(text) => toml::Value::from(text.as_str()).to_string(),
        Item::Integer(number) => number.to_string(),
        Item::Float(digits) | Item::Date(digits) => digits.clone(),
        Item::Bool(value) => value.to_string(),
        Item::List(nodes) => format!("[{}]", nodes.iter().map(|node| value(&node.item)).collect::<Vec<_>>().join(", ")),
        Item::Table(table) => {
            let pair = |(key, node): (&String, &Node)| format!("{} = {}", bare(key), value(&node.item));
            format!("{{ {} }}", table.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

fn bare(key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if plain { key.to_owned() } else { toml::Value::from(key).to_string() }
}
