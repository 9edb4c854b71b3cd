//! Lookup tables in Postfix's syntax, read as text: a key → the text at its right. Pure.
//!
//! | part | what |
//! |---|---|
//! | [`name`] | `hash:clients`, `pcre:senders`: the kind of a table and where it is |
//! | [`text`] | keys and their values (`hash:`, `lmdb:`, `btree:`, `texthash:`, or no prefix at all), compact |
//! | [`rules`] | patterns in order, with `if` and `endif`: `cidr:`, `regexp:`, `pcre:` |
//! | [`pattern`] | one regular expression |
//! | [`targets`] | the addresses that a value of virtual(5) names |
//! | [`access`] | which keys are asked for a client, a host name, a sender, a recipient (access(5)) |
//!
//! Contract: total and bounded; what can be read of a faulty table is kept, the rest is a
//! [`Problem`] with its line. A key, or a pattern, without a value stays, with an empty one: that
//! it stands there never means as much as if it did not. A key of a text is found however it is
//! written: in any case, with
//! quotes that are not needed, its domain in UTF-8 or A-labels. Of two entries for a key the first
//! stays. A pattern sees the key as it was written, and only the whole one. In a text without a
//! prefix a line such as `/@yahoo\./ value` is a pattern, asked after the keys. postmap(1),
//! access(5), `cidr_table(5)`, `regexp_table(5)`, `pcre_table(5)`.

pub mod access;
mod name;
mod pattern;
mod problems;
mod rules;
pub mod targets;
#[cfg(test)]
mod tests;
mod text;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use mail::maps::{ORPHAN, Problem, logical_lines};

use self::{pattern::Pattern, problems::Problems, rules::Rules, text::TextTable};
pub use name::{Kind, TableName};
pub use problems::NO_VALUE;

use crate::network::Network;

/// One table in memory.
#[derive(Clone, Debug, Default)]
pub struct LookupTable {
    path: Option<Arc<Path>>,
    keys: TextTable,
    patterns: Rules<Pattern>,
    networks: Rules<Network>,
}

impl AsRef<Self> for LookupTable {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// The tables that settings name, as they are now. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tables(Arc<BTreeMap<TableName, Arc<LookupTable>>>);

impl Tables {
    /// A table; an empty one if no setting names it.
    pub fn get(&self, name: &TableName) -> Arc<LookupTable> {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

impl FromIterator<(TableName, Arc<LookupTable>)> for Tables {
    fn from_iter<I: IntoIterator<Item = (TableName, Arc<LookupTable>)>>(tables: I) -> Self {
        Self(Arc::new(tables.into_iter().collect()))
    }
}

/// What stands at the right of a key, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found<'a> {
    pub value: Cow<'a, str>,
    pub place: Place,
}

/// `FILE:LINE`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub path: Arc<Path>,
    /// From 1.
    pub line: u32,
}
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

impl LookupTable {
    /// Reads a table of a kind. Total.
    pub fn read(kind: Kind, path: PathBuf, text: &str) -> (Self, Vec<Problem>) {
        let path: Arc<Path> = path.into();
        let (mut problems, mut orphans) = (Problems::new(&path), Problems::new(&path));
        // Not all of them at once: a table is large, and its text is there already.
        let lines = logical_lines(text).filter(|line| {
            if line.orphan {
                orphans.fault(line.number, ORPHAN);
            }
            !line.orphan
        });
        let mut table = Self {
            path: Some(Arc::clone(&path)),
            ..Self::default()
        };
        match kind {
            Kind::Text => {
                let mut patterns = Vec::new();
                let keys = lines.filter_map(|line| {
                    if pattern::is_line(&line.text) {
                        patterns.push(line);
                        return None;
                    }
                    Some(line)
                });
                table.keys = TextTable::read(keys, text.len(), &mut problems);
                table.patterns = pattern::read(patterns, Kind::Pcre, &mut problems);
            }
            Kind::Database => table.keys = TextTable::read(lines, text.len(), &mut problems),
            Kind::Cidr => table.networks = rules::networks(lines.collect(), &mut problems),
            Kind::Regexp | Kind::Pcre => {
                table.patterns = pattern::read(lines.collect(), kind, &mut problems);
            }
        }
        // They stand before all other lines.
        orphans.told.append(&mut problems.told);
        (table, orphans.told)
    }

    /// The value of a key that stands in the table as it is.
    pub fn exact(&self, key: &str) -> Option<Found<'_>> {
        let (value, line) = self.keys.get(key)?;
        Some(self.found(value.into(), line))
    }

    /// The value of the first pattern, or network, that a whole key fits.
    pub fn pattern(&self, key: &str) -> Option<Found<'_>> {
        if self.networks.some() {
            let address: IpAddr = key.parse().ok()?;
            let contains = |network: &Network| network.contains(address).then_some(());
            let family =
                |network: &Network| network.address().is_ipv4() == address.to_canonical().is_ipv4();
            let (value, line, _) = self.networks.find((family, contains))?;
            return Some(self.found(value.into(), line));
        }
        let (value, line) = pattern::find(&self.patterns, key)?;
        Some(self.found(value, line))
    }

    /// Whether it holds keys, and not only patterns or networks.
    pub fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The value of a whole key: as it is, else by pattern.
    pub fn get(&self, key: &str) -> Option<Found<'_>> {
        self.exact(key).or_else(|| self.pattern(key))
    }

    /// The first of these keys that has a value; patterns see the whole ones only.
    pub fn first(&self, keys: &[access::Key]) -> Option<Found<'_>> {
        keys.iter().find_map(|key| {
            if key.whole {
                self.get(&key.text)
            } else {
                self.exact(&key.text)
            }
        })
    }

    /// Keys with their values and lines, and then the values of patterns with an empty key.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str, u32)> {
        let unnamed = |(value, line)| ("", value, line);
        let patterns = self.patterns.values().chain(self.networks.values());
        self.keys.entries().chain(patterns.map(unnamed))
    }

    /// Where a line of it is.
    pub fn place(&self, line: u32) -> Place {
        let nowhere = || Arc::from(Path::new(""));
        Place {
            path: self.path.clone().unwrap_or_else(nowhere),
            line,
        }
    }

    /// Whether it holds networks, and so only addresses can be found in it.
    pub fn is_of_networks(&self) -> bool {
        self.networks.some()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && !self.patterns.some() && !self.networks.some()
    }

    fn found<'a>(&self, value: Cow<'a, str>, line: u32) -> Found<'a> {
        Found {
            value,
            place: self.place(line),
        }
    }
}
