//! The lookup tables that settings name, of whatever use: read with the configuration, and again
//! when they change.
//!
//! Contract: a table is there before the first mail is; a changed one counts as [`tables`] has it.

use std::{fmt, path::Path, sync::Arc};

use mail::{
    clock::{self, Timestamp},
    maps::Problem,
};
use settings::ConfigError;
use tables::{
    Missing, Watched,
    watched::{Looked, Rules},
};

use super::routes;
use crate::{
    config::Config,
    lookup::{LookupTable, NO_VALUE, TableName, targets},
    policy::{access_table::AccessTable, rule::Rule},
    tls_policy::PolicyTable,
};

/// What a setting makes of a table of its, and what is wrong with that.
type Make<T> = Box<dyn Fn(&'static str, LookupTable) -> (T, Vec<Problem>) + Send + Sync>;

/// The files, each once, in the order of the settings.
pub struct TableFiles<T = LookupTable> {
    files: Vec<File<T>>,
    make: Make<T>,
}

#[derive(Debug)]
struct File<T> {
    /// The setting that names it.
    key: &'static str,
    name: TableName,
    watched: Watched<Arc<T>>,
}

impl<T: Default + AsRef<LookupTable>> TableFiles<T> {
    /// Reads what has changed.
    pub fn refresh(&mut self, now: Timestamp) -> Looked {
        let mut looked = Looked::default();
        for File { key, name, watched } in &mut self.files {
            let read = |path: &Path, text: &str| {
                let (table, mut problems) = LookupTable::read(name.kind, path.to_owned(), text);
                if *key == "relay_recipients" {
                    forgive(&mut problems);
                }
                let (made, more) = (self.make)(key, table);
                problems.extend(more);
                (Arc::new(made), problems)
            };
            let is_empty = |made: &Arc<T>| T::as_ref(made).is_empty();
            looked.and(watched.look(now, read, is_empty));
        }
        looked
    }

    /// Each file, and whether it holds anything.
    pub fn held(&self) -> impl Iterator<Item = (&Path, bool)> {
        let holds = |file: &File<T>| file.watched.holds(|table| T::as_ref(table).is_empty());
        let files = self.files.iter();
        files.map(move |file| (file.watched.path.as_path(), holds(file)))
    }

    /// Why files are not taken as they are now.
    pub fn refused(&self) -> impl Iterator<Item = &Problem> {
        let files = self.files.iter();
        files.flat_map(|file| file.watched.refused())
    }

    /// What is in force.
    pub fn tables(&self) -> impl Iterator<Item = (TableName, Arc<T>)> {
        let files = self.files.iter();
        files.map(|file| {
            let table = file.watched.value.clone();
            (file.name.clone(), table.unwrap_or_default())
        })
    }
}

impl<T: fmt::Debug> fmt::Debug for TableFiles<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.files).finish()
    }
}

/// Files, and what is wrong in a line; what cannot be read at all is an error.
type Read<T> = Result<(TableFiles<T>, Vec<Problem>), ConfigError>;

impl Config {
    /// The tables of recipients, with the settings that name them.
    pub fn named_tables(&self) -> impl Iterator<Item = (&'static str, &TableName)> {
        let of = |key, names| std::iter::repeat(key).zip(names);
        of("virtual", &self.virtual_aliases).chain(of("relay_recipients", &self.relay_recipients))
    }

    /// Reads them.
    pub fn read_tables(&self) -> Read<LookupTable> {
        let make = |key, table: LookupTable| {
            let problems = match key {
                "virtual" => targets::examine(&table),
                _ => Vec::new(),
            };
            (table, problems)
        };
        self.read_files(self.named_tables(), Box::new(make))
    }

    /// Reads the tables of restrictions.
    pub fn read_access(&self) -> Read<AccessTable> {
        let rules = self.restrictions.iter().filter_map(Rule::table);
        let named = rules.map(|(_, name)| ("restrictions", name));
        self.read_files(named, Box::new(|_, table| AccessTable::new(table)))
    }

    /// Reads the tables of `transport`.
    pub fn read_transport(&self) -> Read<LookupTable> {
        let (transports, local) = (self.transports.clone(), self.domains.local.clone());
        let make = move |_, table: LookupTable| {
            let problems = routes::faults(&table, &transports, &local);
            (table, problems)
        };
        let named = std::iter::repeat("transport").zip(&self.transport);
        self.read_files(named, Box::new(make))
    }

    /// Lines of a table of routes that mean nothing with these settings.
    pub(crate) fn route_faults(&self, table: &LookupTable) -> Vec<Problem> {
        routes::faults(table, &self.transports, &self.domains.local)
    }

    /// Reads the tables of `tls_policy`.
    pub fn read_tls_policy(&self) -> Read<PolicyTable> {
        let named = std::iter::repeat("tls_policy").zip(&self.tls_policy);
        self.read_files(named, Box::new(|_, table| PolicyTable::new(table)))
    }

    fn read_files<'a, T: Default + AsRef<LookupTable>>(
        &self,
        named: impl Iterator<Item = (&'static str, &'a TableName)>,
        make: Make<T>,
    ) -> Read<T> {
        let rules = Rules {
            missing: Missing::Fault,
            trusted: false,
            lenient: false,
        };
        let mut files = Vec::<File<T>>::new();
        for (key, name) in named {
            if files.iter().all(|known| known.name != *name) {
                let watched = Watched::new(name.path.clone(), rules);
                let name = name.clone();
                files.push(File { key, name, watched });
            }
        }
        let mut files = TableFiles { files, make };
        let looked = files.refresh(clock::now());
        let unread = files.files.iter();
        let unread = unread.filter(|file| file.watched.value.is_none());
        let unread = unread.map(|file| self.unread(file.key, &file.name.path, &looked.problems));
        match ConfigError::together(unread) {
            None => Ok((files, looked.problems)),
            Some(error) => Err(error),
        }
    }
}

/// A key alone is enough where nothing but keys is asked for.
fn forgive(problems: &mut [Problem]) {
    for problem in problems.iter_mut().filter(|it| it.text == NO_VALUE) {
        problem.fault = false;
        "the key alone is enough here; Postfix needs a value after it: `key OK`"
            .clone_into(&mut problem.text);
    }
}
