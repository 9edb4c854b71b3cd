//! The lookup tables that settings name: read with the configuration, and again when they change.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use mail::{
    clock::{self, Timestamp},
    maps::Problem,
};
use settings::ConfigError;
use tables::{
    Missing, Watched,
    watched::{Looked, Rules},
};

use crate::{
    config::Config,
    lookup::{LookupTable, TableName, Tables, targets},
};

/// What a setting asks of the values of its tables.
type Examine = fn(&LookupTable) -> Vec<Problem>;

/// The files.
#[derive(Debug)]
pub struct TableFiles(BTreeMap<TableName, File>);

#[derive(Debug)]
struct File {
    watched: Watched<Arc<LookupTable>>,
    examine: Examine,
}

impl TableFiles {
    /// Reads what has changed.
    pub fn refresh(&mut self, now: Timestamp) -> Looked {
        let mut looked = Looked::default();
        for (name, file) in &mut self.0 {
            let read = |path: &Path, text: &str| {
                let (table, mut problems) = LookupTable::read(name.kind, path.to_owned(), text);
                problems.extend((file.examine)(&table));
                (Arc::new(table), problems)
            };
            looked.and(file.watched.look(now, read, |table| table.is_empty()));
        }
        looked
    }

    /// What is in force.
    pub fn tables(&self) -> Tables {
        let table = |file: &File| file.watched.value.clone().unwrap_or_default();
        self.0
            .iter()
            .map(|(name, file)| (name.clone(), table(file)))
            .collect()
    }
}

impl Config {
    /// All lookup tables, with the settings that name them.
    pub fn named_tables(&self) -> impl Iterator<Item = (&'static str, &TableName)> {
        let of = |key, names| std::iter::repeat(key).zip(names);
        of("virtual", &self.virtual_aliases).chain(of("relay_recipients", &self.relay_recipients))
    }

    /// Reads the lookup tables. What is wrong in a line is a problem to be logged; what cannot be read at all is an error.
    pub fn read_tables(&self) -> Result<(TableFiles, Vec<Problem>), ConfigError> {
        let rules = Rules {
            missing: Missing::Fault,
            trusted: false,
        };
        let mut files = BTreeMap::new();
        for (key, name) in self.named_tables() {
            let examine: Examine = match key {
                "virtual" => targets::examine,
                _ => |_| Vec::new(),
            };
            let watched = Watched::new(name.path.clone(), rules);
            files
                .entry(name.clone())
                .or_insert(File { watched, examine });
        }
        let mut files = TableFiles(files);
        let looked = files.refresh(clock::now());
        let unread = |(_, name): &(&str, &TableName)| {
            files
                .0
                .get(name)
                .is_some_and(|file| file.watched.value.is_none())
        };
        match self.named_tables().find(unread) {
            None => Ok((files, looked.problems)),
            Some((key, name)) => Err(self.unread(key, &name.path, &looked.problems)),
        }
    }
}
