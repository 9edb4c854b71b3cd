//! `newaliases`, `sendmail -bi`: the alias files checked. There is nothing to rebuild: the agent reads them when they change.

use std::collections::BTreeSet;

use shared::{
    maps::{Table, expand},
    sysexits::Exit,
};

use super::terminal::{complain, say};
use crate::config::{settings::Settings, tables::Tables};

/// Tells what is in the files and what is wrong with them. Missing files are fine.
pub fn check(settings: &Settings) -> Exit {
    let mut tables = Tables::new(settings);
    let (rules, problems) = tables.refresh();
    let mut faults: BTreeSet<String> = problems.iter().map(ToString::to_string).collect();
    for (table, path) in [
        (&rules.aliases, &settings.aliases),
        (&rules.revaliases, &settings.revaliases),
    ] {
        faults.extend(loops(table));
        let state = if path.exists() {
            format!("{} names", table.entries.len())
        } else {
            "not there".to_owned()
        };
        say(format_args!("{}: {state}", path.display()));
    }
    for fault in &faults {
        complain("newaliases", fault);
    }
    if faults.is_empty() {
        Exit::Ok
    } else {
        Exit::DataErr
    }
}

fn loops(table: &Table) -> Vec<String> {
    let names = table.entries.iter();
    let broken = names.filter_map(|(name, entry)| {
        let error = expand(table, name).err()?;
        Some(format!("{}: {name}: {error}", table.place(entry)))
    });
    broken.collect()
}
