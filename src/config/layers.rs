//! Lays files and environment over each other: per key, the later one wins; lists are replaced whole.
//!
//! Always true here: `config` merges handles, never values, so no value is coerced on the way and each winner keeps its place.
//! Layers have passed the shape check, so a table never meets a plain value under one key.

use std::collections::{BTreeMap, HashMap};

use config::{ConfigError, Source, Value, ValueKind};

use super::finding::Place;
use super::tree::{Item, Node, Table};

/// `config` reads the names of top-level keys as paths; below this one key they are taken as they are.
const ROOT: &str = "districtd";

/// Merges layers, the last one uppermost.
///
/// # Errors
/// What `config` has to say; our layers give it no cause.
pub(super) fn merge(layers: &[Table]) -> Result<Table, ConfigError> {
    let mut ledger = Ledger::default();
    let mut builder = config::Config::builder();
    for layer in layers {
        builder = builder.add_source(Layer(ledger.table(layer, &mut Vec::new())));
    }
    let merged = builder.build()?.cache;
    let root = match merged.kind {
        ValueKind::Table(mut table) => table.remove(ROOT),
        _ => None,
    };
    Ok(root.map(|root| ledger.read_table(root, &mut Vec::new())).unwrap_or_default())
}

/// One layer as `config` wants it: tables of handles.
#[derive(Debug, Clone)]
struct Layer(HashMap<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<HashMap<String, Value>, ConfigError> {
        Ok(HashMap::from([(ROOT.to_owned(), Value::new(None, ValueKind::Table(self.0.clone())))]))
    }
}

/// What the handles stand for.
#[derive(Default)]
struct Ledger {
    leaves: Vec<Node>,
    /// Where a table's name and header stand, by its path; of several files the first.
    tables: BTreeMap<Vec<String>, (Place, Place)>,
}

impl Ledger {
    fn table(&mut self, table: &Table, path: &mut Vec<String>) -> HashMap<String, Value> {
        let mut handles = HashMap::new();
        for (name, node) in table {
            path.push(name.clone());
            let kind = self.handle(node, path);
            path.pop();
            handles.insert(name.clone(), Value::new(None, kind));
        }
        handles
    }

    fn handle(&mut self, node: &Node, path: &mut Vec<String>) -> ValueKind {
        if let Item::Table(inner) = &node.item {
            self.tables.entry(path.clone()).or_insert_with(|| (node.key.clone(), node.value.clone()));
            return ValueKind::Table(self.table(inner, path));
        }
        self.leaves.push(node.clone());
        ValueKind::U64(self.leaves.len() as u64 - 1)
    }

    fn read_table(&self, value: Value, path: &mut Vec<String>) -> Table {
        let ValueKind::Table(handles) = value.kind else { return Table::new() };
        let mut table = Table::new();
        for (name, value) in handles {
            path.push(name.clone());
            if let Some(node) = self.read(value, path) {
                table.insert(name, node);
            }
            path.pop();
        }
        table
    }

    fn read(&self, value: Value, path: &mut Vec<String>) -> Option<Node> {
        if let ValueKind::U64(handle) = value.kind {
            return self.leaves.get(usize::try_from(handle).ok()?).cloned();
        }
        let (key, header) = self.tables.get(path.as_slice()).cloned()?;
        Some(Node { key, value: header, item: Item::Table(self.read_table(value, path)) })
    }
}
