//! Tables that parameters name: found, copied beside `config.toml`, and read with the eyes of the daemon.

use std::path::PathBuf;

use mail::maps::Problem;
use postfix::tables::{self, Table};
use settings::layers::LAYERS;

use super::{login, reader::Reader, report::Verdict};
use crate::{
    lookup::{Kind, LookupTable, targets},
    policy::access::AccessTable,
    tls_policy::PolicyTable,
};

/// What a table is for: who says what is wrong in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    Access,
    Virtual,
    Recipients,
    Policy,
    /// Looked at later, when the transports are known.
    Transport,
}

impl Reader<'_> {
    /// How our settings name a table of Postfix's, and the table.
    pub(super) fn table(
        &mut self,
        name: &str,
        map: &str,
        usage: Use,
    ) -> Result<(String, LookupTable), String> {
        let usual = self.value("default_database_type");
        let (prefix, kind, path) = match tables::named(map, &usual) {
            Table::Text(path) => ("hash", Kind::Database, path),
            Table::Patterns("cidr", path) => ("cidr", Kind::Cidr, path),
            Table::Patterns("regexp", path) => ("regexp", Kind::Regexp, path),
            Table::Patterns(_, path) => ("pcre", Kind::Pcre, path),
            Table::Inline(entries) => {
                let entries = tables::inline(entries);
                let lines = entries
                    .iter()
                    .map(|(key, value)| format!("{key} {value}\n"));
                let text: String = lines.collect();
                let known = self.import.files.iter().find(|known| known.from == map);
                if let Some(file) = known.map(|known| known.name.clone()) {
                    let read = LookupTable::read(Kind::Database, PathBuf::from(&file), &text);
                    return Ok((format!("hash:{file}"), read.0));
                }
                let file = self.free_name(&format!("{name}.inline"));
                let read = LookupTable::read(Kind::Database, PathBuf::from(&file), &text);
                self.examine(name, usage, read.clone());
                self.file(&file, text, false, map);
                return Ok((format!("hash:{file}"), read.0));
            }
            Table::Static(_) | Table::Other(..) => return Err(foreign(map)),
        };
        let text = (self.files)(path)?;
        let read = LookupTable::read(kind, PathBuf::from(path), &text);
        self.examine(name, usage, read.clone());
        let file = self.place(path, text);
        Ok((format!("{prefix}:{file}"), read.0))
    }

    /// Where a file is read: its copy, or itself where others write it.
    pub(super) fn place(&mut self, path: &str, text: String) -> String {
        let inside = path
            .strip_prefix(self.directory)
            .and_then(|it| it.strip_prefix('/'));
        let Some(inside) = inside else {
            return path.to_owned();
        };
        if let Some(known) = self.import.files.iter().find(|known| known.from == path) {
            return known.name.clone();
        }
        let file = self.free_name(&inside.replace('/', "-"));
        self.file(&file, text, false, path);
        file
    }

    fn free_name(&self, wanted: &str) -> String {
        let taken = |name: &String| {
            LAYERS.contains(&name.as_str())
                || name == login::FILE
                || self.import.files.iter().any(|it| it.name == *name)
        };
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        names.find(|name| !taken(name)).unwrap_or_default()
    }

    /// Says what the daemon would not understand.
    fn examine(
        &mut self,
        name: &str,
        usage: Use,
        (table, mut problems): (LookupTable, Vec<Problem>),
    ) {
        problems.extend(match usage {
            Use::Access => AccessTable::new(table).1,
            Use::Virtual => targets::examine(&table),
            Use::Policy => PolicyTable::new(table).1,
            Use::Recipients | Use::Transport => Vec::new(),
        });
        self.problems(name, problems);
    }

    /// What is wrong in lines of a table, the first of them.
    pub(super) fn problems(&mut self, name: &str, problems: Vec<Problem>) {
        let faults: Vec<_> = problems.into_iter().filter(|it| it.fault).collect();
        for fault in faults.iter().take(MOST) {
            let place = format!("{}:{}", fault.path.display(), fault.line);
            self.say(Verdict::NotSupported, place, name, &fault.text);
        }
        if let Some(fault) = faults.get(MOST) {
            let more = faults.len().saturating_sub(MOST);
            let text = format!("and {more} lines more are not understood");
            self.say(
                Verdict::NotSupported,
                fault.path.display().to_string(),
                name,
                text,
            );
        }
    }

    /// All keys of a list's members: those of tables and files, and the members themselves. What cannot be one is told.
    pub(super) fn keys(&mut self, name: &str) -> Vec<String> {
        let mut keys = Vec::new();
        for member in self.list(name) {
            match self.keys_of(&member) {
                Ok(more) => keys.extend(more),
                Err(why) => self.note(Verdict::NotSupported, name, format!("`{member}`: {why}")),
            }
        }
        keys
    }

    fn keys_of(&mut self, member: &str) -> Result<Vec<String>, String> {
        if member.starts_with('!') {
            return Err("exceptions are not known here; name what is meant".to_owned());
        }
        if member.starts_with('/') {
            let text = (self.files)(member)?;
            let lines = text
                .lines()
                .filter(|line| !line.trim_start().starts_with('#'));
            return Ok(lines
                .flat_map(str::split_whitespace)
                .map(str::to_owned)
                .collect());
        }
        let is_table = member.split_once(':').is_some_and(|(kind, rest)| {
            kind.bytes().all(|b| b.is_ascii_alphanumeric())
                && (rest.starts_with(['/', '{', '$']) || rest.contains(":/"))
        });
        if !is_table {
            return Ok(vec![member.to_owned()]);
        }
        match tables::named(member, "") {
            Table::Text(path) | Table::Patterns("cidr", path) => {
                let text = (self.files)(path)?;
                let entries = tables::entries(&text).into_iter();
                Ok(entries.map(|(_, key, _)| key).collect())
            }
            Table::Inline(entries) => {
                let entries = tables::inline(entries).into_iter();
                Ok(entries.map(|(key, _)| key).collect())
            }
            _ => Err(foreign(member)),
        }
    }
}

/// Lines of one table that are told.
const MOST: usize = 20;

fn foreign(map: &str) -> String {
    let kind = map.strip_prefix("proxy:").unwrap_or(map);
    let kind = kind.split(':').next().unwrap_or_default();
    format!("tables of the type {kind} are not read here: write what it answers into a text file")
}
