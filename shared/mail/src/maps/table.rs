//! The two grammars, read into one kind of table.
//!
//! Contract: total; what can be read is kept, what cannot is a [`Problem`] with its line. Names are in lower case.
//! aliases(5): a line that starts with a blank continues the one before; `#` starts a comment line; names and values may be
//! quoted; of two entries for a name the first stays, as with postalias. revaliases: `#` starts a comment anywhere; of two
//! entries the last stays, as with ssmtp; `www-*` stands for all names that begin so and have no entry of their own.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    collections::{HashMap, hash_map},
    fmt,
    path::PathBuf,
};

/// What a name maps to, and where that is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Values in order, as written, outer quotes removed. Never empty.
    pub values: Vec<String>,
    /// Line of the file, from 1.
    pub line: u32,
}

/// A table in memory. Names are in lower case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table {
    /// For messages: `FILE:LINE`.
    pub path: PathBuf,
    /// By name.
    pub entries: HashMap<String, Entry>,
    /// By the beginning of names, the longest first.
    pub patterns: Vec<(String, Entry)>,
}

/// What is wrong with a line; the rest of the table is good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// Its line, from 1.
    pub line: u32,
    /// What is wrong, and what to write.
    pub text: String,
}
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.text)
    }
}

/// Which of two entries for one name stays.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    First,
    Last,
}

impl Table {
    /// Reads aliases(5). Total.
    pub fn aliases(path: PathBuf, text: &str) -> (Self, Vec<Problem>) {
        let mut reader = Reader::new(path, Keep::First);
        let mut logical: Option<(u32, String)> = None;
        for (number, line) in numbered(text) {
            if is_comment(line) {
                continue;
            }
            logical = reader.join(logical, number, line);
        }
        reader.alias(logical);
        reader.done()
    }

    /// Reads revaliases, in ssmtp's grammar or as aliases, told apart line by line. Total.
    pub fn revaliases(path: PathBuf, text: &str) -> (Self, Vec<Problem>) {
        let mut reader = Reader::new(path, Keep::Last);
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

    /// Values as in an alias, on any number of lines: what a file of `:include:` holds. Total.
    pub fn list(text: &str) -> Vec<String> {
        let lines = numbered(text).map(|(_, line)| line);
        let written = lines
            .filter(|line| !is_comment(line))
            .flat_map(split_values);
        let values = written.map(|value| unquote(without_comment(value).0));
        values.filter(|value| !value.is_empty()).collect()
    }

    /// The entry of a name, or else of the longest pattern that fits, without regard to case.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        let name = name.to_lowercase();
        let pattern = || {
            let mut patterns = self.patterns.iter();
            patterns.find(|(beginning, _)| name.starts_with(beginning.as_str()))
        };
        self.entries
            .get(&name)
            .or_else(|| pattern().map(|(_, entry)| entry))
    }

    /// `FILE:LINE` of an entry.
    pub fn place(&self, entry: &Entry) -> String {
        format!("{}:{}", self.path.display(), entry.line)
    }
}

fn numbered(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    (1u32..).zip(text.lines())
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// `account:address[:mailhub[:port]]`: no blank after the first colon, no list.
fn is_ssmtp(line: &str) -> bool {
    let value = line.split_once(':').map(|(_, value)| value);
    value.is_some_and(|value| {
        !value.is_empty() && !value.contains([' ', '\t', ',', '"']) && !value.starts_with(':')
    })
}

struct Reader {
    table: Table,
    problems: Vec<Problem>,
    keep: Keep,
}

impl Reader {
    fn new(path: PathBuf, keep: Keep) -> Self {
        Self {
            table: Table {
                path,
                ..Table::default()
            },
            problems: Vec::new(),
            keep,
        }
    }

    fn done(self) -> (Table, Vec<Problem>) {
        (self.table, self.problems)
    }

    fn problem(&mut self, line: u32, text: impl Into<String>) {
        self.problems.push(Problem {
            path: self.table.path.clone(),
            line,
            text: text.into(),
        });
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
            self.problem(number, "a line that starts with a blank continues the one before it, and there is none; remove the blank");
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
        let mut values = Vec::new();
        for value in split_values(rest) {
            let (value, comment) = without_comment(value);
            if comment {
                self.problem(
                    number,
                    "text after `#` is ignored here; a comment stands on a line of its own",
                );
            }
            match unquote(value) {
                value if value.is_empty() => {}
                value => values.push(value),
            }
        }
        self.add(number, &name, values);
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
            self.problem(
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
        self.add(number, name.trim(), vec![address.to_owned()]);
    }

    fn add(&mut self, line: u32, name: &str, values: Vec<String>) {
        if values.is_empty() {
            self.problem(
                line,
                format!(
                    "`{}` has no value; write `name: address`, or remove the line",
                    name.escape_debug()
                ),
            );
            return;
        }
        let entry = Entry { values, line };
        if let Some(beginning) = name.strip_suffix('*').filter(|_| self.keep == Keep::Last) {
            return self.pattern(beginning.to_lowercase(), entry);
        }
        let (kept, dropped) = match self.table.entries.entry(name.to_lowercase()) {
            hash_map::Entry::Vacant(place) => {
                place.insert(entry);
                return;
            }
            hash_map::Entry::Occupied(place) if self.keep == Keep::First => {
                (place.get().line, line)
            }
            hash_map::Entry::Occupied(mut place) => (line, place.insert(entry).line),
        };
        self.given_again(name, dropped, kept);
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
        self.problem(
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
    Some((unquote(name.trim()), rest.strip_prefix(':')?))
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

/// Follows quotes through a text.
#[derive(Default)]
struct Quotes {
    open: bool,
    escaped: bool,
}

impl Quotes {
    /// Whether this character stands between quotes (or is one).
    fn inside(&mut self, c: char) -> bool {
        let was_open = self.open;
        match c {
            _ if self.escaped => self.escaped = false,
            '\\' if self.open => self.escaped = true,
            '"' => self.open = !self.open,
            _ => {}
        }
        was_open || self.open
    }
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

/// Removes quotes that stand around all of the value; `"joe smith"@example.org` keeps its own.
fn unquote(value: &str) -> String {
    let Some(inner) = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return value.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
            continue;
        }
        escaped = false;
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests;
