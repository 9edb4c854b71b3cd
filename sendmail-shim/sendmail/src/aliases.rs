//! `newaliases`, `sendmail -bi`: the alias files checked. There is nothing to rebuild: the agent
//! reads them when they change.

use std::{
    collections::BTreeSet,
    os::unix::fs::FileExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use mail::clock;
use system::{open, read, sysexits::Exit, within};
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
    /// Files whose last line may have been cut off.
    pub unended: Vec<String>,
    /// Of root and postmaster, those for whom neither an alias nor `admin` names anybody.
    pub unnamed: Vec<&'static str>,
}

/// Tells what is in the files and what is wrong with them.
pub fn check(settings: &Settings) -> Exit {
    let checked = look(settings);
    checked.files.iter().for_each(say);
    for fault in checked.faults.iter().chain(&checked.unended) {
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

/// Whether the last line of a file does not end, as an editor or a copy leaves it that was stopped.
fn has_no_end(path: &Path) -> bool {
    let last = within::found(path, |path| {
        let file = open::regular(path).ok()?;
        let at = file.metadata().ok()?.len().checked_sub(1)?;
        let mut last = [0];
        file.read_exact_at(&mut last, at).ok()?;
        Some(last != [b'\n'])
    });
    last.unwrap_or_default()
}

/// Reads the files.
pub fn look(settings: &Settings) -> Checked {
    let mut tables = Tables::recalled(settings);
    let (rules, problems) = tables.refresh(clock::now());
    let mut faults: BTreeSet<String> = problems.iter().map(ToString::to_string).collect();
    let (mut files, mut unended) = (Vec::new(), Vec::new());
    for (table, path) in [
        (&rules.aliases, &settings.aliases),
        (&rules.revaliases, &settings.revaliases),
    ] {
        faults.extend(unusable(table, false).iter().map(ToString::to_string));
        let state = if read::is_there(path) {
            format!("{} names", table.all().count())
        } else {
            "not there".to_owned()
        };
        files.push(format!("{}: {state}", path.display()));
        if has_no_end(path) {
            let path = path.display();
            unended.push(format!(
                "{path}: its last line has no end; it may be cut off"
            ));
        }
    }
    let nobody = |name: &&str| settings.admin.is_none() && rules.aliases.get(name).is_none();
    Checked {
        files,
        faults,
        unended,
        unnamed: ["root", "postmaster"].into_iter().filter(nobody).collect(),
    }
}
