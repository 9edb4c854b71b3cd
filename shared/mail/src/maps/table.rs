//! The two grammars, read into one kind of table.
//!
//! Contract: total; what can be read is kept, what cannot is a [`Problem`] with its line. Names are
//! in lower case. aliases(5): a line that starts with a blank continues the one before; `#` starts
//! a comment line; names and values may be quoted; of two entries for a name the first stays, as
//! with postalias. revaliases: `#` starts a comment anywhere; of two entries the last stays, as
//! with ssmtp; `www-*` stands for all names that begin so and have no entry of their own.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    collections::{HashMap, hash_map},
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    lines::{ORPHAN, is_comment, logical_lines, numbered},
    target::{Quotes, Target, outer_quotes},
};

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

/// A table in memory. Names are in lower case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table {
    /// By name.
    pub entries: HashMap<String, Entry>,
    /// By the beginning of names, the longest first.
    pub patterns: Vec<(String, Entry)>,
    /// For names that have no other: `*` (dma) or `default` (msmtp), in a client's aliases only.
    pub catch_all: Option<Entry>,
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
        match self.line {
            0 => write!(f, "{path}: {}", self.text),
            line => write!(f, "{path}:{line}: {}", self.text),
        }
    }
}

/// What is wrong with a line of a list.
const NO_ADDRESS: &str = "it holds what is no address";

/// How a file is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grammar {
    /// Of two entries for a name the first stays.
    Aliases,
    /// The same, with a catch-all.
    ClientAliases,
    /// The last stays; a name may end in `*`.
    Revaliases,
}

impl Table {
    /// Reads aliases(5) as a server does. Total.
    pub fn aliases(path: PathBuf, text: &str) -> (Self, Vec<Problem>) {
        Self::read_aliases(path, text, Grammar::Aliases)
    }

    /// Reads aliases(5) as a machine does that has no mailboxes: with the catch-all of dma and
    /// msmtp. Total.
    pub fn client_aliases(path: PathBuf, text: &str) -> (Self, Vec<Problem>) {
        Self::read_aliases(path, text, Grammar::ClientAliases)
    }

    fn read_aliases(path: PathBuf, text: &str, grammar: Grammar) -> (Self, Vec<Problem>) {
        let mut reader = Reader::new(path, grammar);
        for line in logical_lines(text) {
            if line.orphan {
                reader.problem(line.number, ORPHAN);
            } else {
                reader.alias(Some((line.number, line.text.into_owned())));
            }
        }
        reader.done()
    }

    /// Reads revaliases, in ssmtp's grammar or as aliases, told apart line by line. Total.
    pub fn revaliases(path: PathBuf, text: &str) -> (Self, Vec<Problem>) {
        let mut reader = Reader::new(path, Grammar::Revaliases);
        let mut logical: Option<(u32, String)> = None;
        for (number, line) in numbered(text) {
            let line = line.split('#').next().unwrap_or_default().trim_end();
            if is_comment(line) {
                continue;
            }
            if !line.starts_with([' ', '\t']) && is_ssmtp(line) {
                reader.alias(logical.take());
                reader.ssmtp(number, line);
            } else {
                logical = reader.join(logical, number, line);
            }
        }
        reader.alias(logical);
        reader.done()
    }

    /// Reads a list of values on any number of lines: what a file of `:include:` holds. Total. What
    /// is no list may be a secret: what cannot be read is not repeated.
    pub fn list(path: PathBuf, text: &str) -> (Vec<Target>, Vec<Problem>) {
        let mut reader = Reader::new(path, Grammar::Aliases);
        let mut targets = Vec::new();
        for (number, line) in numbered(text).filter(|(_, line)| !is_comment(line)) {
            let known = reader.problems.len();
            for target in reader.targets(number, line) {
                targets.push(match target {
                    Target::Unusable(..) => {
                        let place = format!("{}:{number}", reader.path.display());
                        Target::Unusable(place, NO_ADDRESS.to_owned())
                    }
                    target => target,
                });
            }
            let told = reader.problems.iter_mut().skip(known);
            told.filter(|problem| problem.fault)
                .for_each(|problem| NO_ADDRESS.clone_into(&mut problem.text));
        }
        (targets, reader.problems)
    }

    /// The entry of a name, or else of the longest pattern that fits, or else the catch-all,
    /// without regard to case.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.named(name).or(self.catch_all.as_ref())
    }

    /// The same without the catch-all.
    pub fn named(&self, name: &str) -> Option<&Entry> {
        let name = name.to_lowercase();
        let pattern = || {
            let mut patterns = self.patterns.iter();
            patterns.find(|(beginning, _)| name.starts_with(beginning.as_str()))
        };
        self.entries
            .get(&name)
            .or_else(|| pattern().map(|(_, entry)| entry))
    }

    /// All entries: a name, a beginning with `*`, or `*` for the catch-all.
    pub fn all(&self) -> impl Iterator<Item = (String, &Entry)> {
        let named = self
            .entries
            .iter()
            .map(|(name, entry)| (name.clone(), entry));
        let patterns = self.patterns.iter();
        let patterns = patterns.map(|(beginning, entry)| (format!("{beginning}*"), entry));
        let catch_all = self.catch_all.iter().map(|entry| ("*".to_owned(), entry));
        named.chain(patterns).chain(catch_all)
    }

    /// The same, to be changed.
    pub fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        let patterns = self.patterns.iter_mut().map(|(_, entry)| entry);
        self.entries
            .values_mut()
            .chain(patterns)
            .chain(&mut self.catch_all)
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.patterns.is_empty() && self.catch_all.is_none()
    }

    /// Adds what an earlier table does not have.
    pub fn extend(&mut self, later: Self) {
        for (name, entry) in later.entries {
            self.entries.entry(name).or_insert(entry);
        }
        self.patterns.extend(later.patterns);
        self.catch_all = self.catch_all.take().or(later.catch_all);
    }
}

/// `account:address[:mailhub[:port]]`: no blank after the first colon, no list.
fn is_ssmtp(line: &str) -> bool {
    let value = line.split_once(':').map(|(_, value)| value);
    value.is_some_and(|value| {
        !value.is_empty() && !value.contains([' ', '\t', ',', '"']) && !value.starts_with(':')
    })
}

struct Reader {
    path: Arc<Path>,
    table: Table,
    problems: Vec<Problem>,
    grammar: Grammar,
}

impl Reader {
    fn new(path: PathBuf, grammar: Grammar) -> Self {
        Self {
            path: path.into(),
            table: Table::default(),
            problems: Vec::new(),
            grammar,
        }
    }

    fn done(self) -> (Table, Vec<Problem>) {
        (self.table, self.problems)
    }

    fn tell(&mut self, line: u32, text: impl Into<String>, fault: bool) {
        self.problems.push(Problem {
            path: self.path.to_path_buf(),
            line,
            text: text.into(),
            fault,
        });
    }

    fn problem(&mut self, line: u32, text: impl Into<String>) {
        self.tell(line, text, true);
    }

    fn hint(&mut self, line: u32, text: impl Into<String>) {
        self.tell(line, text, false);
    }

    /// Adds a physical line to the logical one; a new logical line lets the one before be read.
    fn join(
        &mut self,
        logical: Option<(u32, String)>,
        number: u32,
        line: &str,
    ) -> Option<(u32, String)> {
        if !line.starts_with([' ', '\t']) {
            self.alias(logical);
            return Some((number, line.to_owned()));
        }
        let Some((first, text)) = logical else {
            self.problem(number, ORPHAN);
            return None;
        };
        Some((first, format!("{text} {}", line.trim())))
    }

    /// Reads `name: value, value`.
    fn alias(&mut self, logical: Option<(u32, String)>) {
        let Some((number, text)) = logical else {
            return;
        };
        let Some((name, rest)) = split_name(&text) else {
            self.problem(
                number,
                "there is no colon after the name; write `name: address, address`",
            );
            return;
        };
        if name.is_empty() {
            self.problem(
                number,
                "there is no name before the colon; write `name: address, address`",
            );
            return;
        }
        let targets = self.targets(number, rest);
        self.add(number, &name, targets);
    }

    /// Reads the values of an alias, or of one line of a list.
    fn targets(&mut self, number: u32, text: &str) -> Vec<Target> {
        let whole = text.trim();
        if Target::is_refusal(whole) {
            // Commas are part of what it says.
            return Target::read(whole);
        }
        let mut targets = Vec::new();
        for value in split_values(text) {
            let (value, comment) = without_comment(value);
            if comment {
                self.hint(
                    number,
                    "text after `#` is ignored here; a comment stands on a line of its own",
                );
            }
            for target in Target::read(value) {
                if let Target::Unusable(written, why) = &target {
                    self.problem(number, format!("`{}`: {why}", written.escape_debug()));
                }
                targets.push(target);
            }
        }
        targets
    }

    /// Reads `account:address[:mailhub[:port]]`.
    fn ssmtp(&mut self, number: u32, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or_default();
        // The colons of an address literal do not end the address.
        let end = value
            .find("@[")
            .and_then(|at| value.get(at..)?.find(']')?.checked_add(at));
        let (address, mailhub) = match value
            .get(end.unwrap_or(0)..)
            .and_then(|rest| rest.split_once(':'))
        {
            Some((_, mailhub)) => {
                let address = value
                    .strip_suffix(mailhub)
                    .and_then(|rest| rest.strip_suffix(':'));
                (address.unwrap_or(value), mailhub)
            }
            None => (value, ""),
        };
        if !mailhub.is_empty() {
            self.hint(
                number,
                format!(
                    "the mailhub `{}` is ignored: all mail goes to the relayhost",
                    mailhub.escape_debug()
                ),
            );
        }
        if name.trim().is_empty() {
            self.problem(
                number,
                "there is no account before the colon; write `account:address`",
            );
            return;
        }
        let targets = self.targets(number, address);
        self.add(number, name.trim(), targets);
    }

    fn add(&mut self, line: u32, name: &str, targets: Vec<Target>) {
        if targets.is_empty() {
            self.problem(
                line,
                format!(
                    "`{}` has no value; write `name: address`, or remove the line",
                    name.escape_debug()
                ),
            );
            return;
        }
        if name.contains('@') && !name.contains(char::is_whitespace) {
            let name = name.escape_debug();
            self.hint(
                line,
                format!("`{name}` never matches: aliases are for names without a domain"),
            );
        }
        let entry = Entry {
            targets,
            path: Arc::clone(&self.path),
            line,
        };
        let revaliases = self.grammar == Grammar::Revaliases;
        if let Some(beginning) = name.strip_suffix('*').filter(|_| revaliases) {
            return self.pattern(beginning.to_lowercase(), entry);
        }
        if name == "*" || name.eq_ignore_ascii_case("default") {
            match self.grammar {
                Grammar::ClientAliases => return self.catch_all(name, entry),
                Grammar::Aliases if name == "*" => self.hint(
                    line,
                    "a server's aliases know no catch-all: only names that are listed receive",
                ),
                Grammar::Aliases | Grammar::Revaliases => {}
            }
        }
        let (kept, dropped) = match self.table.entries.entry(name.to_lowercase()) {
            hash_map::Entry::Vacant(place) => {
                place.insert(entry);
                return;
            }
            hash_map::Entry::Occupied(place) if !revaliases => (place.get().line, line),
            hash_map::Entry::Occupied(mut place) => (line, place.insert(entry).line),
        };
        self.given_again(name, dropped, kept);
    }

    fn catch_all(&mut self, name: &str, entry: Entry) {
        match &self.table.catch_all {
            Some(first) => self.given_again(name, entry.line, first.line),
            None => self.table.catch_all = Some(entry),
        }
    }

    fn pattern(&mut self, beginning: String, entry: Entry) {
        let patterns = &mut self.table.patterns;
        if let Some(at) = patterns.iter().position(|(other, _)| *other == beginning) {
            let (_, old) = patterns.remove(at);
            self.given_again(&format!("{beginning}*"), old.line, entry.line);
        }
        let patterns = &mut self.table.patterns;
        let at = patterns.partition_point(|(other, _)| other.len() >= beginning.len());
        patterns.insert(at, (beginning, entry));
    }

    fn given_again(&mut self, name: &str, dropped: u32, kept: u32) {
        self.hint(
            dropped,
            format!(
                "`{}` is given again in line {kept}, which counts; remove one",
                name.escape_debug()
            ),
        );
    }
}

/// The name before the colon, which may be quoted, and what follows.
fn split_name(text: &str) -> Option<(String, &str)> {
    let mut quotes = Quotes::default();
    let colon = text
        .char_indices()
        .find(|&(_, c)| !quotes.inside(c) && c == ':')?
        .0;
    let (name, rest) = text.split_at_checked(colon)?;
    let name = name.trim();
    let name = outer_quotes(name).unwrap_or_else(|| name.to_owned());
    Some((name, rest.strip_prefix(':')?))
}

/// The values between commas; commas in quotes, angle brackets and comments do not count.
fn split_values(rest: &str) -> impl Iterator<Item = &str> {
    let mut quotes = Quotes::default();
    let mut depth = 0u32;
    rest.split(move |c| {
        if quotes.inside(c) {
            return false;
        }
        match c {
            '(' | '<' => depth = depth.saturating_add(1),
            ')' | '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
}

/// Cuts ` # comment` off a value that is neither quoted nor a program.
fn without_comment(value: &str) -> (&str, bool) {
    match value.split_once('#') {
        Some((before, _))
            if (before.is_empty() || before.ends_with([' ', '\t'])) && !before.contains('"') =>
        {
            (before.trim_end(), true)
        }
        _ => (value, false),
    }
}

#[cfg(test)]
mod tests;
