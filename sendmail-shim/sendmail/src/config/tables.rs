//! aliases and revaliases, kept in step with their files (rows A2, B18, D2, D4); how is [`tables`]'
//! business.
//!
//! Contract: a file that was never there is an empty table. The agent keeps copies of the files in
//! the spool, as they were when they were last good: after a restart, too, one that is faulty, gone
//! or suddenly empty leaves in force what was read before.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use mail::{
    address::LocalPart,
    clock::Timestamp,
    maps::{Problem, Table, Target, expand_rest},
    message::rewrite::Rules,
};
use system::log::{Level, line};
use tables::{
    Aliases, Missing, Watched,
    copies::{self, LISTS},
    watched::{self, Taken},
};

use super::{machine, settings::Settings};

/// Where copies are kept, in the spool.
const DIRECTORY: &str = "tables.last-good";

/// The rules of rewriting, kept in step with the files.
#[derive(Debug)]
pub struct Tables {
    rules: Rules,
    revaliases: Watched<Table>,
    aliases: Aliases,
    /// Where copies are kept.
    copies: Option<PathBuf>,
}

impl Tables {
    /// With nothing read yet: [`Tables::refresh`] does.
    pub fn new(settings: &Settings) -> Self {
        let rules = watched::Rules {
            missing: Missing::EmptyAtFirst,
            trusted: false,
            lenient: false,
        };
        let aliases = std::slice::from_ref(&settings.aliases);
        Self {
            rules: Rules {
                hostname: settings.hostname.clone(),
                nodename: machine::nodename(),
                domain: settings.domain.clone(),
                admin: settings.admin.clone(),
                revaliases: Arc::default(),
                aliases: Arc::default(),
                from_override: settings.from_override,
            },
            revaliases: Watched::new(settings.revaliases.clone(), rules),
            aliases: Aliases::new(aliases, Missing::EmptyAtFirst, Table::client_aliases),
            copies: None,
        }
    }

    /// The same for who looks on: beginning with what the agent has kept, as far as that can be
    /// read.
    pub fn recalled(settings: &Settings) -> Self {
        let mut tables = Self::new(settings);
        let copies = settings.spool.join(DIRECTORY);
        tables.aliases.recall(&copies);
        tables.aliases.recall_lists(settings.spool.join(LISTS));
        tables.revaliases.recall(&copies, revaliases);
        tables.rules.revaliases = tables.revaliases.value.clone().unwrap_or_default().into();
        tables
    }

    /// The same for who sends in the agent's place: where a file may say something else to the
    /// agent, [`Self::doubt`] tells.
    pub fn in_its_place(settings: &Settings) -> Self {
        let mut tables = Self::recalled(settings);
        tables.aliases.doubt();
        tables
    }

    /// The same for the agent, which keeps what it takes.
    pub fn kept(settings: &Settings) -> Self {
        Self {
            copies: Some(settings.spool.join(DIRECTORY)),
            ..Self::recalled(settings)
        }
    }

    /// The rules as they were read last.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Why files are not taken as they are now.
    pub fn refused(&self) -> impl Iterator<Item = &Problem> {
        self.aliases.refused().chain(self.revaliases.refused())
    }

    /// Why mail for these local names may not be what the agent would make of it: a table cannot be
    /// read, or has lost what it held as far as can be known. `told`: what is wrong in the files.
    pub fn doubt(&self, names: &[LocalPart], told: &[Problem]) -> Option<String> {
        // One that is there and empty is usual, and changes only under which name mail goes out.
        let revaliases = self.revaliases.doubt(|_| false);
        let of_files = || self.aliases.doubtful().filter(|_| !names.is_empty());
        if let Some(problem) = revaliases.or_else(of_files) {
            return Some(problem.to_string());
        }
        let list = names.iter().find_map(|name| {
            let rest = expand_rest(&self.rules.aliases, name).ok()?;
            rest.targets.into_iter().find_map(|target| match target {
                Target::Include(path) => Some(path),
                _ => None,
            })
        })?;
        let begins = format!("{} is not followed", list.display());
        let known = told.iter().find(|it| it.text.starts_with(&begins));
        Some(known.map_or(begins, ToString::to_string))
    }

    /// The rules, up to date, and what is wrong in the files that were just read.
    pub fn refresh(&mut self, now: Timestamp) -> (&Rules, Vec<Problem>) {
        let mut looked = self.revaliases.look(now, revaliases, Table::is_empty);
        if looked.changed {
            let table = self.revaliases.value.clone().unwrap_or_default();
            self.rules.revaliases = table.into();
        }
        looked.and(self.aliases.refresh(now));
        self.rules.aliases.clone_from(self.aliases.table());
        if looked.changed
            && let Some(directory) = &self.copies
        {
            let aliases = self.aliases.taken();
            let revaliases = self.revaliases.taken();
            let revaliases = revaliases.map(|taken| (self.revaliases.path.as_path(), taken));
            for (path, taken) in aliases.chain(revaliases) {
                if let Err(error) = keep(directory, path, taken) {
                    let (path, directory) = (path.display(), directory.display());
                    let text = format_args!("no copy of {path} is kept in {directory}: {error}");
                    line(Level::Warning, &text);
                }
            }
            if let Err((path, error)) = self.aliases.keep_lists() {
                let text = format_args!("no copy of {} is kept: {error}", path.display());
                line(Level::Warning, &text);
            }
        }
        (&self.rules, looked.problems)
    }
}

fn revaliases(path: &Path, text: &str) -> (Table, Vec<Problem>) {
    Table::revaliases(path.to_owned(), text)
}

/// One copy of a file, or none.
fn keep(directory: &Path, path: &Path, taken: Taken) -> io::Result<()> {
    let copy = match taken {
        Taken::Text(text) => Some(copies::write(directory, path, text.as_bytes())?),
        Taken::Nothing => None,
    };
    copies::forget_all_but(directory, path, copy.as_deref());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use mail::clock;

    use super::*;

    /// Row D4, without `newaliases` and without reload.
    #[test]
    fn a_changed_alias_file_is_in_force_at_the_next_message_and_a_removed_one_goes_on_until_it_says_that_it_is_empty()
     {
        let directory = tempfile::tempdir().unwrap();
        let aliases = directory.path().join("aliases");
        let text = format!("aliases = {aliases:?}\nrevaliases = \"/nonexistent/revaliases\"");
        let mut tables = Tables::new(&Settings::parse(None, &text).unwrap());
        let mut now = clock::now();
        assert!(tables.refresh(now).0.aliases.is_empty());
        for (content, target) in [
            ("root: a@example.org\n", "a@example.org"),
            ("root: other@example.org\n", "other@example.org"),
        ] {
            system::fs::replace(&aliases, content.as_bytes(), 0o644).unwrap();
            // It has been left alone for as long as is waited for.
            now = now.after(Duration::from_mins(1));
            let rules = tables.refresh(now).0;
            let root = rules.aliases.get("ROOT").unwrap();
            let targets: Vec<_> = root.targets.iter().map(ToString::to_string).collect();
            assert_eq!(targets, [target]);
        }
        fs::remove_file(&aliases).unwrap();
        for _ in 0..2 {
            now = now.after(Duration::from_mins(1));
            assert!(!tables.refresh(now).0.aliases.is_empty());
        }
        let refused = tables.refused().map(ToString::to_string);
        let refused: Vec<_> = refused.collect();
        assert!(
            matches!(&refused[..], [told] if told.contains("is not there")),
            "{refused:?}"
        );
        system::fs::replace(&aliases, b"# empty\n", 0o644).unwrap();
        now = now.after(Duration::from_mins(1));
        assert!(tables.refresh(now).0.aliases.is_empty());
        assert_eq!(tables.refused().count(), 0);
    }
}
