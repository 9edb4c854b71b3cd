//! The tables that `restrictions` name, and the files they are read from.
//!
//! Contract: a table is there before the first mail is; a changed one counts as [`tables`] has it.

use std::{fs, sync::Arc};

use mail::{clock::Timestamp, maps::Problem};
use settings::ConfigError;
use tables::{
    Watched,
    watched::{Looked, Missing, Rules},
};

use crate::{
    config::Config,
    lookup::{LookupTable, TableName},
    policy::{
        access::{AccessTable, Tables},
        rule::Rule,
    },
};

/// The files.
#[derive(Debug, Default)]
pub struct AccessFiles(Vec<(TableName, Watched<Arc<AccessTable>>)>);

impl AccessFiles {
    /// Reads what has changed.
    pub fn refresh(&mut self, now: Timestamp) -> Looked {
        let mut looked = Looked::default();
        for (name, file) in &mut self.0 {
            let read = |path: &std::path::Path, text: &str| {
                let (table, mut problems) = LookupTable::read(name.kind, path.to_owned(), text);
                let (table, more) = AccessTable::new(table);
                problems.extend(more);
                (Arc::new(table), problems)
            };
            looked.and(file.look(now, read, |table| table.is_empty()));
        }
        looked
    }

    /// What is in force.
    pub fn tables(&self) -> Tables {
        let read = self
            .0
            .iter()
            .filter_map(|(name, file)| Some((name, file.value.as_ref()?)));
        read.map(|(name, table)| (name.clone(), Arc::clone(table)))
            .collect()
    }
}

impl Config {
    /// Reads the tables of restrictions. What is wrong in a line is a problem; a file that cannot be read is an error.
    pub fn read_access(&self, now: Timestamp) -> Result<(AccessFiles, Vec<Problem>), ConfigError> {
        let mut files = AccessFiles::default();
        for (_, name) in self.restrictions.iter().filter_map(Rule::table) {
            if let Err(error) = fs::metadata(&name.path) {
                let path = name.path.display();
                let what = format!(
                    "{path}: cannot be read: {error}; create it, or take the restriction out"
                );
                return Err(self.wrong("restrictions", &what));
            }
            if files.0.iter().all(|(known, _)| known != name) {
                let rules = Rules {
                    missing: Missing::Fault,
                    trusted: false,
                };
                files
                    .0
                    .push((name.clone(), Watched::new(name.path.clone(), rules)));
            }
        }
        let looked = files.refresh(now);
        match files.0.iter().find(|(_, file)| file.value.is_none()) {
            None => Ok((files, looked.problems)),
            Some((name, _)) => {
                let mut problems = looked.problems.into_iter();
                let why = problems.find(|problem| problem.path == name.path);
                let why = why.map_or_else(String::new, |problem| problem.text);
                let what = format!("{}: {why}", name.path.display());
                Err(self.wrong("restrictions", &what))
            }
        }
    }
}
