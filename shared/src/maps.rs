//! Tables read as text in their well-known syntax, no compile step.
//!
//! | grammar | file | form |
//! |---|---|---|
//! | aliases | /etc/aliases | `name: target, target` (aliases(5)); continuation lines; `:include:`, `|program`, `/file` are values |
//! | revaliases | /etc/…/revaliases | `local_account:outgoing_address[:mailhub]` (ssmtp), last match wins |
//!
//! A revaliases file may be written in either grammar (row A2).

use std::{collections::HashMap, fmt, path::PathBuf};

/// What a name maps to, and where that is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Values in order, as written.
    pub values: Vec<String>,
    /// Line of the file, from 1.
    pub line: u32,
}

/// A table in memory. Names are in lower case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table {
    /// For messages: `FILE:LINE`.
    pub path: PathBuf,
    pub entries: HashMap<String, Entry>,
}

/// What is wrong with a line; the rest of the table is good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    pub path: PathBuf,
    pub line: u32,
    pub text: String,
}
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.text)
    }
}

impl Table {
    /// Reads aliases(5). Total.
    pub fn aliases(_path: PathBuf, _text: &str) -> (Self, Vec<Problem>) {
        todo!()
    }
    /// Reads revaliases, in ssmtp's grammar or as aliases, told apart line by line. Total.
    pub fn revaliases(_path: PathBuf, _text: &str) -> (Self, Vec<Problem>) {
        todo!()
    }
    /// The entry of a name, without regard to case.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(&name.to_lowercase())
    }
    /// `FILE:LINE` of an entry.
    pub fn place(&self, entry: &Entry) -> String {
        format!("{}:{}", self.path.display(), entry.line)
    }
}

/// Follows a name through the table until nothing changes: chains, lists, loops caught, at most 1000 results and depth 100.
/// Values that are addresses, `|program`, `:include:FILE` or `/file` are returned as they are.
pub fn expand(_table: &Table, _name: &str) -> Result<Vec<String>, ExpandError> {
    todo!()
}
/// Why a name cannot be expanded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExpandError {
    /// A chain that comes back to itself; the names on it.
    Loop(Vec<String>),
    /// More results than allowed.
    TooMany,
}
