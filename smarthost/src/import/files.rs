//! Tables that parameters name: found, copied beside `config.toml`, and read with the eyes of the
//! daemon.

use std::path::PathBuf;

use mail::maps::Problem;
use postfix::{
    members,
    tables::{self, Table},
};
use settings::layers::LAYERS;

use super::{login, reader::Reader, report::Verdict};
use crate::{
    lookup::{Kind, LookupTable, targets},
    policy::access_table::AccessTable,
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
                let entries = tables::inline(entries)?;
                let lines = entries.iter();
                let lines = lines.map(|(key, value)| format!("{} {value}\n", quoted(key)));
                let lines = lines.collect();
                return Ok(self.own_table(name, map, usage, ("hash", Kind::Database), lines));
            }
            // Whatever is asked for.
            Table::Static(value) => {
                let lines = format!("/^/ {}\n", value.replace('$', "$$"));
                return Ok(self.own_table(name, map, usage, ("regexp", Kind::Regexp), lines));
            }
            Table::Other(kind @ ("cidr" | "regexp" | "pcre"), entries) => {
                let lines = tables::inline_lines(entries);
                let kind = match kind {
                    "cidr" => ("cidr", Kind::Cidr),
                    "regexp" => ("regexp", Kind::Regexp),
                    _ => ("pcre", Kind::Pcre),
                };
                return Ok(self.own_table(name, map, usage, kind, lines));
            }
            Table::Other(..) => return Err(foreign(map)),
        };
        let text = (self.files)(path)?;
        let read = LookupTable::read(kind, PathBuf::from(path), &text);
        self.examine(name, usage, read.clone());
        let file = self.place(path, text);
        Ok((format!("{prefix}:{file}"), read.0))
    }

    /// A table that stood in the parameter itself: a file of ours.
    fn own_table(
        &mut self,
        name: &str,
        map: &str,
        usage: Use,
        (prefix, kind): (&str, Kind),
        text: String,
    ) -> (String, LookupTable) {
        let known = self.import.files.iter().find(|known| known.from == map);
        let known = known.map(|known| known.name.clone());
        let file = known
            .clone()
            .unwrap_or_else(|| self.free_name(&format!("{name}.inline")));
        let read = LookupTable::read(kind, PathBuf::from(&file), &text);
        if known.is_none() {
            self.examine(name, usage, read.clone());
            self.file(&file, text, false, map);
        }
        (format!("{prefix}:{file}"), read.0)
    }

    /// Keys and values of a table, patterns as they are written.
    pub(super) fn entries(&self, map: &str) -> Result<Vec<(String, String)>, String> {
        let usual = self.value("default_database_type");
        let of_text = |text: &str| {
            let entries = tables::entries(text).into_iter();
            entries.map(|(_, key, value)| (key, value)).collect()
        };
        match tables::named(map, &usual) {
            Table::Text(path) | Table::Patterns(_, path) => {
                (self.files)(path).map(|text| of_text(&text))
            }
            Table::Inline(entries) => tables::inline(entries),
            Table::Static(value) => Ok(vec![(String::new(), value.to_owned())]),
            Table::Other("cidr" | "regexp" | "pcre", entries) => {
                Ok(of_text(&tables::inline_lines(entries)))
            }
            Table::Other(..) => Err(foreign(map)),
        }
    }

    /// Where a file is read: its copy, or itself where others write it.
    pub(super) fn place(&mut self, path: &str, text: String) -> String {
        let within = |directory: &str| {
            let inside = path.strip_prefix(directory)?;
            inside.strip_prefix('/').map(str::to_owned)
        };
        let inside = within(self.directory).or_else(|| within(self.named));
        let last = || path.rsplit('/').next().unwrap_or(path).to_owned();
        let inside = match inside {
            Some(inside) => inside,
            None if self.root.is_empty() => return path.to_owned(),
            // What has its path here is another file.
            None => last(),
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

    /// All keys of a list's members: those of tables and files, and the members themselves; with
    /// `!` in front, exceptions from what follows. What cannot be one is told.
    pub(super) fn keys(&mut self, name: &str) -> Vec<String> {
        let mut keys = Vec::new();
        for member in self.list(name) {
            match self.keys_of(&member) {
                Ok(more) => keys.extend(more),
                Err(why) if member.starts_with('!') => {
                    let text = format!(
                        "`{member}`: {why}; what follows it is left out, because it may be excepted"
                    );
                    self.note(Verdict::Decide, name, text);
                    break;
                }
                Err(why) => self.note(Verdict::NotSupported, name, format!("`{member}`: {why}")),
            }
        }
        keys
    }

    /// With `!` in front of those that are excepted.
    fn keys_of(&self, member: &str) -> Result<Vec<String>, String> {
        if let Some(excepted) = member.strip_prefix('!') {
            let keys = self.keys_of(excepted)?.into_iter();
            let negated = |key: String| match key.strip_prefix('!') {
                Some(key) => key.to_owned(),
                None => format!("!{key}"),
            };
            return Ok(keys.map(negated).collect());
        }
        if member.starts_with('/') {
            let text = (self.files)(member)?;
            let lines = text
                .lines()
                .filter(|line| !line.trim_start().starts_with('#'));
            return Ok(lines.flat_map(members).map(str::to_owned).collect());
        }
        let is_table = member.split_once(':').is_some_and(|(kind, rest)| {
            kind.starts_with(|c: char| c.is_ascii_alphabetic())
                && kind.bytes().all(|b| b.is_ascii_alphanumeric())
                && (rest.starts_with(['/', '{', '$']) || rest.contains(":/"))
        });
        if !is_table || is_address(member) {
            return Ok(vec![member.to_owned()]);
        }
        let keys = |entries: Vec<(String, String)>| entries.into_iter().map(|(key, _)| key);
        match tables::named(member, "") {
            Table::Text(_) | Table::Patterns("cidr", _) | Table::Inline(_) => {
                Ok(keys(self.entries(member)?).collect())
            }
            _ => Err(foreign(member)),
        }
    }
}

/// An address of IPv6, with a prefix or without, which has colons as names of tables have.
fn is_address(member: &str) -> bool {
    let address = member.split('/').next().unwrap_or_default();
    address.parse::<std::net::IpAddr>().is_ok()
}

/// As one word of a line.
fn quoted(key: &str) -> String {
    if key.contains(char::is_whitespace) && !key.contains('"') {
        format!("\"{key}\"")
    } else {
        key.to_owned()
    }
}

/// Lines of one table that are told.
const MOST: usize = 20;

fn foreign(map: &str) -> String {
    let kind = map.strip_prefix("proxy:").unwrap_or(map);
    let kind = kind.split(':').next().unwrap_or_default();
    format!("tables of the type {kind} are not read here: write what it answers into a text file")
}
