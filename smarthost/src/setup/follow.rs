//! Whether a reload may take the tables as they are now.
//!
//! Contract: a line that was read before and cannot be read now, or a table that is suddenly empty,
//! lets no rule and no recipient vanish: the reload fails, as it does where the configuration is
//! wrong; and a start goes on with the copy of that file. What was wrong at the first start already
//! keeps nobody from reloading.

use std::path::Path;

use mail::maps::Problem;
use tables::watched::EMPTY;

use super::{Setup, Tables};

impl Tables {
    /// Each file, and whether it holds anything.
    pub(super) fn held(&self) -> impl Iterator<Item = (&Path, bool)> {
        let tables = self.access.held().chain(self.transport.held());
        let tables = tables.chain(self.tls_policy.held());
        let tables = tables.chain(self.lookups.held()).chain(self.users.held());
        self.aliases.held().chain(tables)
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

pub(super) fn suddenly_empty(path: &Path) -> String {
    let path = path.display();
    format!("{path}: it is suddenly empty; if that is intended, write the line `{EMPTY}` into it")
}

impl Setup {
    /// A table that has become faulty or empty would let rules and recipients vanish; until it is
    /// mended what is in force stays, as without a reload.
    pub(super) fn follows(&self, before: &Self) -> anyhow::Result<()> {
        let lost = self.tables.known().lost(&before.tables.known());
        match lost.into_iter().next() {
            Some(why) => Err(anyhow::Error::msg(why)),
            None => Ok(()),
        }
    }
}
