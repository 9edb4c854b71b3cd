//! Whether a reload may take the tables as they are now.
//!
//! Contract: a line that was read before and cannot be read now, or a table that is suddenly empty,
//! lets no rule and no recipient vanish: the reload fails, as it does where the configuration is
//! wrong; and a start goes on with the copy of that file. What was wrong at the first start already
//! keeps nobody from reloading.

use std::{collections::HashSet, path::Path, sync::PoisonError};

use mail::maps::Problem;
use tables::watched::EMPTY;

use super::{Setup, Tables};

impl Tables {
    /// Each file, and whether it holds anything.
    fn held(&self) -> impl Iterator<Item = (&Path, bool)> {
        let tables = self.access.held().chain(self.transport.held());
        let tables = tables.chain(self.tls_policy.held());
        let tables = tables.chain(self.lookups.held()).chain(self.users.held());
        self.aliases.held().chain(tables)
    }

    /// What of the tables in force would be lost by these: lines that became faulty, and files that
    /// hold nothing any more.
    pub(super) fn lost(&self, before: &Setup) -> Vec<String> {
        let earlier = before.tables.lock();
        let earlier = earlier.unwrap_or_else(PoisonError::into_inner);
        let new = self.faults.iter();
        let new = new.filter(|problem| !earlier.faults.contains(problem));
        let held: HashSet<&Path> = earlier.held().filter(|it| it.1).map(|it| it.0).collect();
        let emptied = self.held().filter(|it| !it.1 && held.contains(it.0));
        let emptied = emptied.map(|(path, _)| suddenly_empty(path));
        new.map(ToString::to_string).chain(emptied).collect()
    }

    /// What is wrong with a file that was not in a copy of it.
    pub(super) fn broken(&self, file: &Path, copied: &Self, copy: &Path) -> Option<String> {
        let is_known = |new: &&Problem| copied.faults_of(copy).any(|it| it.text == new.text);
        if let Some(problem) = self.faults_of(file).find(|it| !is_known(it)) {
            return Some(problem.to_string());
        }
        (copied.holds(copy) && !self.holds(file)).then(|| suddenly_empty(file))
    }

    /// What is wrong with a file of which nobody knows any more what it held.
    pub(super) fn doubtful(&self, file: &Path) -> Option<String> {
        let fault = self.faults_of(file).next().map(ToString::to_string);
        fault.or_else(|| (!self.holds(file)).then(|| suddenly_empty(file)))
    }

    fn faults_of(&self, path: &Path) -> impl Iterator<Item = &Problem> {
        let faults = self.faults.iter();
        faults.filter(move |problem| problem.path == path)
    }

    fn holds(&self, path: &Path) -> bool {
        self.held().any(|(known, holds)| known == path && holds)
    }
}

fn suddenly_empty(path: &Path) -> String {
    let path = path.display();
    format!("{path}: it is suddenly empty; if that is intended, write the line `{EMPTY}` into it")
}

impl Setup {
    /// A table that has become faulty or empty would let rules and recipients vanish; until it is
    /// mended what is in force stays, as without a reload.
    pub(super) fn follows(&self, before: &Self) -> anyhow::Result<()> {
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        match tables.lost(before).into_iter().next() {
            Some(why) => Err(anyhow::Error::msg(why)),
            None => Ok(()),
        }
    }
}
