//! aliases and revaliases, kept in step with their files (rows A2, B18, D2, D4); how is [`tables`]'
//! business.
//!
//! Contract: a missing file is an empty table.

use std::{path::Path, sync::Arc};

use mail::{
    clock::Timestamp,
    maps::{Problem, Table},
    message::rewrite::Rules,
};
use tables::{Aliases, Missing, Watched, watched};

use super::{machine, settings::Settings};

/// The rules of rewriting, kept in step with the files.
#[derive(Debug)]
pub struct Tables {
    rules: Rules,
    revaliases: Watched<Table>,
    aliases: Aliases,
}

impl Tables {
    /// With nothing read yet: [`Tables::refresh`] does.
    pub fn new(settings: &Settings) -> Self {
        let rules = watched::Rules {
            missing: Missing::Empty,
            trusted: false,
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
            aliases: Aliases::new(aliases, Missing::Empty, Table::client_aliases),
        }
    }

    /// The rules, up to date, and what is wrong in the files that were just read.
    pub fn refresh(&mut self, now: Timestamp) -> (&Rules, Vec<Problem>) {
        let read = |path: &Path, text: &str| Table::revaliases(path.to_owned(), text);
        let mut looked = self.revaliases.look(now, read, Table::is_empty);
        if looked.changed {
            let table = self.revaliases.value.clone().unwrap_or_default();
            self.rules.revaliases = table.into();
        }
        looked.and(self.aliases.refresh(now));
        self.rules.aliases.clone_from(self.aliases.table());
        (&self.rules, looked.problems)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use mail::clock;

    use super::*;

    /// Row D4, without `newaliases` and without reload.
    #[test]
    fn a_changed_alias_file_is_in_force_at_the_next_message_and_a_removed_one_is_empty() {
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
        assert!(!tables.refresh(now).0.aliases.is_empty());
        now = now.after(Duration::from_mins(1));
        assert!(tables.refresh(now).0.aliases.is_empty());
    }
}
