//! aliases and revaliases, read again when the files change: no compile step, no reload (rows A2, B18, D2, D4).
//!
//! Contract: a missing file is an empty table. Bad lines are told once a change and do not spoil the good ones.
//! Failures: a file that is there and cannot be read keeps what was read before; `Problem`s tell.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use mail::{
    maps::{Problem, Table},
    message::rewrite::Rules,
};

use super::{include::Includes, settings::Settings};

/// Largest table that is read, bytes.
const MAX: u64 = 16 * 1024 * 1024;

/// The rules of rewriting, kept in step with the files.
#[derive(Debug)]
pub struct Tables {
    rules: Rules,
    revaliases: Watched,
    aliases: Watched,
    /// aliases as written, before `:include:` is followed.
    written: Table,
    includes: Includes,
}

/// A file, and how it looked when it was read.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    seen: Option<Stamp>,
}

/// How a file looks without being read: device, inode, size, time of the last change (of its mode and owner too).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp(u64, u64, u64, i64, i64);

impl Stamp {
    /// `None` for a file that is not there.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let m = fs::metadata(path).ok()?;
        Some(Self(m.dev(), m.ino(), m.len(), m.ctime(), m.ctime_nsec()))
    }
}

type Grammar = fn(PathBuf, &str) -> (Table, Vec<Problem>);

impl Tables {
    /// With nothing read yet: [`Tables::refresh`] does.
    pub fn new(settings: &Settings) -> Self {
        let watched = |path: &Path| Watched {
            path: path.to_owned(),
            seen: None,
        };
        Self {
            rules: Rules {
                hostname: settings.hostname.clone(),
                domain: settings.domain.clone(),
                admin: settings.admin.clone(),
                revaliases: Table::default(),
                aliases: Table::default(),
                from_override: settings.from_override,
            },
            revaliases: watched(&settings.revaliases),
            aliases: watched(&settings.aliases),
            written: Table::default(),
            includes: Includes::default(),
        }
    }

    /// The rules, up to date, and what is wrong in the files that were just read.
    pub fn refresh(&mut self) -> (&Rules, Vec<Problem>) {
        let revaliases = &mut self.rules.revaliases;
        let told = self.revaliases.refresh(revaliases, Table::revaliases);
        let mut problems = told.unwrap_or_default();
        let told = self.aliases.refresh(&mut self.written, Table::aliases);
        if told.is_some() || self.includes.stale() {
            let (table, not_followed) = self.includes.follow(&self.written);
            self.rules.aliases = table;
            problems.extend(told.into_iter().flatten());
            problems.extend(not_followed);
        }
        (&self.rules, problems)
    }
}

impl Watched {
    /// Reads the file if it has changed, and tells what is wrong in it then.
    fn refresh(&mut self, table: &mut Table, grammar: Grammar) -> Option<Vec<Problem>> {
        let stamp = Stamp::of(&self.path);
        if stamp == self.seen {
            return None;
        }
        self.seen = stamp;
        Some(match read(&self.path) {
            Ok(text) => {
                let problems;
                (*table, problems) = grammar(self.path.clone(), &text);
                problems
            }
            Err(error) => vec![Problem {
                path: self.path.clone(),
                line: 0,
                text: format!("cannot be read: {error}"),
            }],
        })
    }
}

/// The file's text; nothing if it is not there.
fn read(path: &Path) -> io::Result<String> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX => {
            Err(io::Error::other(format!("larger than {MAX} bytes")))
        }
        Ok(_) => fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row D4, without `newaliases` and without reload.
    #[test]
    fn a_changed_alias_file_is_in_force_at_the_next_message_and_a_removed_one_is_empty() {
        let directory = tempfile::tempdir().unwrap();
        let aliases = directory.path().join("aliases");
        let text = format!("aliases = {aliases:?}\nrevaliases = \"/nonexistent/revaliases\"");
        let mut tables = Tables::new(&Settings::parse(None, &text).unwrap());
        assert!(tables.refresh().0.aliases.entries.is_empty());
        for (content, target) in [
            ("root: a@example.org\n", "a@example.org"),
            ("root: other@example.org\n", "other@example.org"),
        ] {
            system::fs::replace(&aliases, content.as_bytes(), 0o644).unwrap();
            assert_eq!(
                tables.refresh().0.aliases.get("ROOT").unwrap().values,
                [target]
            );
        }
        fs::remove_file(&aliases).unwrap();
        assert!(tables.refresh().0.aliases.entries.is_empty());
    }
}
