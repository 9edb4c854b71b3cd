//! A table of names in memory, and how it is asked.
//!
//! Contract: names are in lower case. Of two entries for a name in two files the one in the earlier
//! file counts. `www-*` stands for all names that begin so and have no entry of their own.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    packed::Packed,
    target::{Target, targets},
};
use crate::masked::{free_text, names_secret, requoted};

/// What a name maps to, and where that is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// In order. Never empty, unless a list that is included is.
    pub targets: Vec<Target>,
    /// The file.
    pub path: Arc<Path>,
    /// Its line, from 1.
    pub line: u32,
}

/// `FILE:LINE`
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// A table in memory. Names are in lower case. Large ones are of names that stand for addresses:
/// these stay as they are written, and are read where they are asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table {
    /// Entries that include files, by name, and all of revaliases.
    pub(super) entries: HashMap<String, Entry>,
    /// All others, of each file; an earlier file counts.
    pub(super) written: Vec<Written>,
    /// By the beginning of names, the longest first.
    pub patterns: Vec<(String, Entry)>,
    /// For names that have no other: `*` (dma) or `default` (msmtp), in a client's aliases only.
    pub catch_all: Option<Entry>,
}

/// Entries of one file as they stand there, each name once and none of [`Table::entries`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Written {
    pub(super) path: Arc<Path>,
    pub(super) values: Arc<Packed>,
}

impl Written {
    fn entry(&self, value: &str, line: u32) -> Entry {
        Entry {
            targets: targets(value, |_| {}),
            path: Arc::clone(&self.path),
            line,
        }
    }

    fn get(&self, name: &str) -> Option<Entry> {
        let (value, line) = self.values.get(name)?;
        Some(self.entry(value, line))
    }

    fn all(&self) -> impl Iterator<Item = (String, Entry)> {
        let entries = self.values.entries();
        entries.map(|(name, value, line)| (name.to_owned(), self.entry(value, line)))
    }
}

/// What is wrong with a line; the rest of the table is good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// Its line, from 1; 0: the whole file.
    pub line: u32,
    /// What is wrong, and what to write.
    pub text: String,
    /// Something could not be read, or means nothing. Otherwise it is only odd.
    pub fault: bool,
}
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        // Somebody may have put there what belongs into a file of secrets.
        let text = free_text(&self.text);
        match self.line {
            0 => write!(f, "{path}: {text}"),
            line => write!(f, "{path}:{line}: {text}"),
        }
    }
}

impl Problem {
    /// Of a line that begins with the name of a secret nothing is quoted; `text` is that of the
    /// table.
    pub fn discreet(problems: &mut [Self], text: &str) {
        let named: BTreeSet<u32> = (1u32..)
            .zip(text.lines())
            .filter(|(_, line)| {
                let mut words = line.split(|c: char| c.is_whitespace() || ":=".contains(c));
                names_secret(words.find(|word| !word.is_empty()).unwrap_or_default())
            })
            .map(|(number, _)| number)
            .collect();
        for problem in problems.iter_mut().filter(|it| named.contains(&it.line)) {
            problem.text = requoted(&problem.text, '`', &|_| true);
        }
    }
}

impl Table {
    /// The entry of a name, or else of the longest pattern that fits, or else the catch-all,
    /// without regard to case.
    pub fn get(&self, name: &str) -> Option<Cow<'_, Entry>> {
        let catch_all = || self.catch_all.as_ref().map(Cow::Borrowed);
        self.named(name).or_else(catch_all)
    }

    /// Whether [`Self::get`] finds any: what stands there, which may be long, is not read for it.
    pub fn has(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.catch_all.is_some()
            || self.entries.contains_key(&name)
            || self.written.iter().any(|it| it.values.get(&name).is_some())
            || self
                .patterns
                .iter()
                .any(|(beginning, _)| name.starts_with(beginning.as_str()))
    }

    /// The entry of a name without the catch-all.
    pub fn named(&self, name: &str) -> Option<Cow<'_, Entry>> {
        let name = name.to_lowercase();
        let mut patterns = self.patterns.iter();
        self.exact(&name).or_else(|| {
            let found = patterns.find(|(beginning, _)| name.starts_with(beginning.as_str()));
            found.map(|(_, entry)| Cow::Borrowed(entry))
        })
    }

    fn exact(&self, name: &str) -> Option<Cow<'_, Entry>> {
        if let Some(entry) = self.entries.get(name) {
            return Some(Cow::Borrowed(entry));
        }
        let found = self.written.iter().find_map(|written| written.get(name));
        found.map(Cow::Owned)
    }

    /// All entries: a name, a beginning with `*`, or `*` for the catch-all.
    pub fn all(&self) -> impl Iterator<Item = (String, Cow<'_, Entry>)> {
        let named = self.entries.iter();
        let named = named.map(|(name, entry)| (name.clone(), Cow::Borrowed(entry)));
        let written = self.written.iter().enumerate();
        let written = written.flat_map(move |(number, written)| {
            let earlier = self.written.get(..number).unwrap_or_default();
            let counts = move |name: &str| {
                let earlier = earlier.iter().any(|it| it.values.get(name).is_some());
                !earlier && !self.entries.contains_key(name)
            };
            let all = written.all().filter(move |(name, _)| counts(name));
            all.map(|(name, entry)| (name, Cow::Owned(entry)))
        });
        let patterns = self.patterns.iter();
        let patterns =
            patterns.map(|(beginning, entry)| (format!("{beginning}*"), Cow::Borrowed(entry)));
        let catch_all = self.catch_all.iter();
        let catch_all = catch_all.map(|entry| ("*".to_owned(), Cow::Borrowed(entry)));
        named.chain(written).chain(patterns).chain(catch_all)
    }

    /// Entries that may include files, to be changed.
    pub fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        let patterns = self.patterns.iter_mut().map(|(_, entry)| entry);
        self.entries
            .values_mut()
            .chain(patterns)
            .chain(&mut self.catch_all)
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        let written = self.written.iter().all(|written| written.values.is_empty());
        self.entries.is_empty() && written && self.patterns.is_empty() && self.catch_all.is_none()
    }

    /// Adds what an earlier table does not have.
    pub fn extend(&mut self, later: Self) {
        for (name, entry) in later.entries {
            if self.exact(&name).is_none() {
                self.entries.insert(name, entry);
            }
        }
        self.written.extend(later.written);
        self.patterns.extend(later.patterns);
        self.catch_all = self.catch_all.take().or(later.catch_all);
    }
}
