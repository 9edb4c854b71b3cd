//! The two grammars, read into one kind of table.
//!
//! Contract: total; what can be read is kept, what cannot is a [`Problem`] with its line.
//! aliases(5): a line that starts with a blank continues the one before; `#` starts a comment line;
//! names and values may be quoted; of two entries for a name the first stays, as with postalias.
//! revaliases: `#` starts a comment anywhere; of two entries the last stays, as with ssmtp.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    borrow::Cow,
    collections::hash_map,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    lines::{ORPHAN, is_comment, logical_lines, numbered},
    packed::Packing,
    table::{Entry, Problem, Table, Written},
    target::{Odd, Quotes, Target, comment_takes_lines, outer_quotes, targets},
};

/// What is wrong with a line of a list.
const NO_ADDRESS: &str = "it holds what is no address";
/// What is wrong with an entry of which nobody knows whom it names.
const TAKEN: &str =
    "the line behind a comment would be part of it; a comment stands on a line of its own";

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
        reader.packing = Some(Packing::of_text(text.len()));
        for line in logical_lines(text) {
            if line.orphan {
                reader.problem(line.number, ORPHAN);
            } else {
                reader.read_alias(line.number, &line.text, &line.breaks);
            }
        }
        reader.done()
    }

    /// Reads revaliases, in ssmtp's grammar or as aliases, told apart line by line. Total.
    pub fn revaliases(path: PathBuf, text: &str) -> (Self, Vec<Problem>) {
        let mut reader = Reader::new(path, Grammar::Revaliases);
        let mut logical = None;
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
    /// Where entries that include nothing stay as they are written.
    packing: Option<Packing>,
    problems: Vec<Problem>,
    grammar: Grammar,
}

impl Reader {
    fn new(path: PathBuf, grammar: Grammar) -> Self {
        Self {
            path: path.into(),
            table: Table::default(),
            packing: None,
            problems: Vec::new(),
            grammar,
        }
    }

    fn done(mut self) -> (Table, Vec<Problem>) {
        if let Some(packing) = self.packing.take() {
            let mut twice = Vec::new();
            let values = packing.packed(|again| {
                twice.push((again.key.to_owned(), again.later, again.first));
            });
            // An entry that includes files may stand in front of the packed one, or behind it.
            let packed = |name: &str| Some(values.get(name)?.1);
            self.table.entries.retain(|name, entry| {
                let Some(line) = packed(name) else {
                    return true;
                };
                let first = entry.line < line;
                let (kept, dropped) = if first {
                    (entry.line, line)
                } else {
                    (line, entry.line)
                };
                twice.push((name.clone(), dropped, kept));
                first
            });
            for (name, dropped, kept) in twice {
                self.given_again(&name, dropped, kept);
            }
            self.table.written.push(Written {
                path: Arc::clone(&self.path),
                values: Arc::new(values),
            });
            self.problems.sort_by_key(|problem| problem.line);
        }
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
        logical: Option<(u32, Cow<'static, str>)>,
        number: u32,
        line: &str,
    ) -> Option<(u32, Cow<'static, str>)> {
        if !line.starts_with([' ', '\t']) {
            self.alias(logical);
            return Some((number, line.to_owned().into()));
        }
        let Some((first, text)) = logical else {
            self.problem(number, ORPHAN);
            return None;
        };
        Some((first, format!("{text} {}", line.trim()).into()))
    }

    /// Reads `name: value, value`.
    fn alias(&mut self, logical: Option<(u32, Cow<'_, str>)>) {
        if let Some((number, text)) = logical {
            self.read_alias(number, &text, &[]);
        }
    }

    /// The same of a text with its line; `breaks`: where the lines begin that continue it.
    fn read_alias(&mut self, number: u32, text: &str, breaks: &[usize]) {
        let Some((name, rest)) = split_name(text) else {
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
        let mut targets = self.targets(number, rest);
        let before = text.len().saturating_sub(rest.len());
        let breaks: Vec<_> = breaks
            .iter()
            .filter_map(|at| at.checked_sub(before))
            .collect();
        if comment_takes_lines(rest, &breaks) {
            self.problem(number, format!("`{}`: {TAKEN}", name.escape_debug()));
            targets.push(Target::Unusable(name.clone(), TAKEN.to_owned()));
            return self.add(number, &name, targets, None);
        }
        self.add(number, &name, targets, Some(rest.trim()));
    }

    /// Reads the values of an alias, or of one line of a list, and tells what is wrong with them.
    fn targets(&mut self, number: u32, text: &str) -> Vec<Target> {
        targets(text, |odd| match odd {
            Odd::Comment => self.hint(
                number,
                "text after `#` is ignored here; a comment stands on a line of its own",
            ),
            Odd::Unusable(written, why) => {
                self.problem(number, format!("`{}`: {why}", written.escape_debug()));
            }
        })
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
        self.add(number, name.trim(), targets, Some(address));
    }

    /// `written`: what it can be read from again.
    fn add(&mut self, line: u32, name: &str, targets: Vec<Target>, written: Option<&str>) {
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
        let name = name.to_lowercase();
        let includes = |target: &Target| matches!(target, Target::Include(_));
        if let (Some(packing), Some(written)) = (&mut self.packing, written)
            && !entry.targets.iter().any(includes)
            && packing.push(&name, written, line)
        {
            return;
        }
        let (kept, dropped) = match self.table.entries.entry(name.clone()) {
            hash_map::Entry::Vacant(place) => {
                place.insert(entry);
                return;
            }
            hash_map::Entry::Occupied(place) if !revaliases => (place.get().line, line),
            hash_map::Entry::Occupied(mut place) => (line, place.insert(entry).line),
        };
        self.given_again(&name, dropped, kept);
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

#[cfg(test)]
mod tests;
