//! `newaliases`, `sendmail -bi`: the alias files checked. There is nothing to rebuild: the agent
//! reads them when they change.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use mail::clock;
use system::sysexits::Exit;
use tables::{aliases::unusable, watch, watched::is_fresh};

use super::terminal::{complain, say};
use crate::config::{settings::Settings, tables::Tables};

/// Between two looks at whether the files were left alone.
const SLACK: Duration = Duration::from_millis(50);

/// What is in the files, and what is wrong with them.
#[derive(Debug)]
pub struct Checked {
    /// A text for each file. Missing files are fine.
    pub files: Vec<String>,
    pub faults: BTreeSet<String>,
    /// Of root and postmaster, those for whom neither an alias nor `admin` names anybody.
    pub unnamed: Vec<&'static str>,
}

/// Tells what is in the files and what is wrong with them.
pub fn check(settings: &Settings) -> Exit {
    let checked = look(settings);
    checked.files.iter().for_each(say);
    for fault in &checked.faults {
        complain("newaliases", fault);
    }
    settle(settings);
    if checked.faults.is_empty() {
        Exit::Ok
    } else {
        Exit::DataErr
    }
}

/// Comes back when the agent takes the files: once they were left alone for long enough.
fn settle(settings: &Settings) {
    let end = Instant::now() + watch::SETTLED + SLACK;
    let files = [&settings.aliases, &settings.revaliases];
    while files.iter().any(|file| is_fresh(file, clock::now())) && Instant::now() < end {
        thread::park_timeout(SLACK);
    }
}

/// Reads the files.
pub fn look(settings: &Settings) -> Checked {
    let mut tables = Tables::recalled(settings);
    let (rules, problems) = tables.refresh(clock::now());
    let mut faults: BTreeSet<String> = problems.iter().map(ToString::to_string).collect();
    let mut files = Vec::new();
    for (table, path) in [
        (&rules.aliases, &settings.aliases),
        (&rules.revaliases, &settings.revaliases),
    ] {
        faults.extend(unusable(table, false).iter().map(ToString::to_string));
        let state = if path.exists() {
            format!("{} names", table.all().count())
        } else {
            "not there".to_owned()
        };
        files.push(format!("{}: {state}", path.display()));
    }
    let nobody = |name: &&str| settings.admin.is_none() && rules.aliases.get(name).is_none();
    Checked {
        files,
        faults,
        unnamed: ["root", "postmaster"].into_iter().filter(nobody).collect(),
    }
}
