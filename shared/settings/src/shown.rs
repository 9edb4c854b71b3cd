//! What of a configuration's text is shown where something is wrong with it: each line but for the
//! secrets in it, which go on to logs, mail and whoever is asked for help.
//!
//! Contract: hidden is the value of each key that names a secret, except the place of a file; user
//! and password of a URL; what stands behind the name of a secret in a value; the key of a customer
//! in the name of a block list. In a statement that
//! cannot be read all that stands behind its `=`, unless it sets something that is known and no
//! secret; of a line that has no `=`, all; and comments. What was said of a hidden value does not
//! repeat it. Everything else is shown as it is written.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

#[cfg(test)]
mod tests;

use std::ops::Range;

use mail::masked::{
    MASK, arguments, behind_host, list_keys, login, named, names_secret, names_user, requoted,
    user_info,
};
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::{
    login,
    syntax::{self, Unread},
};

/// Words in a setting's name by which it is the place of a file.
const PLACES: [&str; 8] = [
    "file", "files", "path", "key", "keys", "secrets", "users", "command",
];
/// Fewest characters of a secret that is looked for outside of quotes.
const CLEAR: usize = 4;

/// What is hidden of one text.
pub(super) struct Hidden<'a> {
    text: &'a str,
    places: Vec<Range<usize>>,
    /// As it is written and as it is read, and, if that is not certain, where.
    secrets: Vec<(String, Option<Range<usize>>)>,
}

impl<'a> Hidden<'a> {
    /// `is_known`: whether there is a setting of this name, in tables of these.
    pub(super) fn of(text: &'a str, is_known: &dyn Fn(&[String]) -> bool) -> Self {
        let mut hidden = Self {
            text,
            places: Vec::new(),
            secrets: Vec::new(),
        };
        let (rest, unread) = syntax::readable(text, syntax::most(text.len()));
        hidden.unreadable(&rest, &unread, is_known);
        if let Ok(table) = DeTable::parse(&rest) {
            hidden.table(table.get_ref(), &mut Vec::new());
            hidden.comments(table.get_ref(), &rest);
        }
        hidden
    }

    /// What is set at this place, whatever it is.
    pub(super) fn also(&mut self, place: Range<usize>) {
        self.hide(place, true);
    }

    /// A line as it is shown, each character with the bytes that it stands for.
    pub(super) fn line(&self, line: Range<usize>) -> Vec<(char, Range<usize>)> {
        let mut out: Vec<(char, Range<usize>)> = Vec::new();
        let text = self.text.get(line.clone()).unwrap_or_default();
        for (at, c) in text.char_indices() {
            let start = line.start.saturating_add(at);
            let bytes = start..start.saturating_add(c.len_utf8());
            match self.around(start) {
                None => out.push((c, bytes)),
                Some(place) if out.last().is_some_and(|(_, last)| *last == place) => {}
                Some(place) => out.extend(MASK.chars().map(|c| (c, place.clone()))),
            }
        }
        out
    }

    /// What is said of a place, without what is hidden.
    pub(super) fn said(&self, place: &Range<usize>, what: &str) -> String {
        let meets = |other: &Range<usize>| {
            place.start < other.end.max(other.start.saturating_add(1))
                && other.start < place.end.max(place.start.saturating_add(1))
        };
        let is_about = self.places.iter().any(meets);
        let secrets = self.secrets.iter();
        let secrets = secrets.filter(|(_, at)| at.as_ref().is_none_or(meets));
        let secrets: Vec<_> = secrets.map(|(secret, _)| secret.as_str()).collect();
        let tells = |quoted: &str| {
            secrets.iter().any(|secret| {
                quoted.contains(secret)
                    || (is_about && !quoted.is_empty() && secret.contains(quoted))
            })
        };
        let mut what = requoted(&requoted(what, '`', &tells), '"', &tells);
        for secret in secrets.iter().filter(|it| it.chars().count() >= CLEAR) {
            what = what.replace(*secret, MASK);
        }
        mail::masked::free_text(&what)
    }

    fn around(&self, at: usize) -> Option<Range<usize>> {
        let places = self.places.iter().filter(|place| place.contains(&at));
        // Those that overlap are one.
        places
            .cloned()
            .reduce(|one, other| one.start.min(other.start)..one.end.max(other.end))
    }

    fn hide(&mut self, place: Range<usize>, is_certain: bool) {
        let Some(written) = self.text.get(place.clone()).filter(|it| !it.is_empty()) else {
            return;
        };
        let at = (!is_certain).then(|| place.clone());
        let bare = written.trim_matches(['"', '\'']).trim_matches('\n');
        let words = bare.split(|c: char| c.is_whitespace() || ",=:{}[]\"'".contains(c));
        let words = words.filter(|_| !is_certain);
        let all = [written, bare].into_iter().chain(words);
        for secret in all.filter(|it| !it.is_empty()) {
            self.secrets.push((secret.to_owned(), at.clone()));
        }
        self.places.push(place);
    }

    fn table(&mut self, table: &DeTable<'_>, names: &mut Vec<String>) {
        for (key, value) in table {
            self.parts(key.span());
            self.named(key.span());
            names.push(key.get_ref().to_string());
            self.value(value, names);
            names.pop();
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, names: &mut Vec<String>) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, names),
            DeValue::Array(items) => {
                let place = value.span();
                let written = self.text.get(place.clone()).unwrap_or_default();
                for part in arguments(written) {
                    let shift = |at: usize| at.saturating_add(place.start);
                    self.hide(shift(part.start)..shift(part.end), true);
                }
                items.iter().for_each(|item| self.value(item, names));
            }
            DeValue::String(text)
                if is_pem(text)
                    || (is_secret(names) && !is_place(names, text))
                    || is_login(names, text) =>
            {
                self.hide(value.span(), true);
                self.secrets.push((text.to_string(), None));
                self.secrets.push((text.escape_debug().to_string(), None));
            }
            DeValue::String(_) => {
                self.parts(value.span());
                self.named(value.span());
            }
            _ if is_secret(names) => self.hide(value.span(), true),
            _ => {}
        }
    }

    /// The secrets in a value that is none.
    fn parts(&mut self, place: Range<usize>) {
        let text = self.text;
        let written = text.get(place.clone()).unwrap_or_default();
        let shift = |part: Range<usize>| {
            part.start.saturating_add(place.start)..part.end.saturating_add(place.start)
        };
        if let Some(login) = user_info(written) {
            let both = written.get(login.clone()).unwrap_or_default();
            let apart = both.split(':').filter(|it| !it.is_empty());
            self.secrets.extend(apart.map(|it| (it.to_owned(), None)));
            self.hide(shift(login), true);
        }
        if let Some(login) = login(written) {
            let both = written.get(login.clone()).unwrap_or_default();
            self.secrets.push((both.to_owned(), None));
            self.hide(shift(login), true);
        }
        for key in behind_host(written).into_iter().chain(list_keys(written)) {
            self.hide(shift(key), true);
        }
    }

    /// What a value, or a key in quotes, itself calls a secret: `host?password=…`.
    fn named(&mut self, place: Range<usize>) {
        let written = self.text.get(place.clone()).unwrap_or_default();
        let inner = written.trim_start_matches(['"', '\'']);
        let start = place.end.saturating_sub(inner.len());
        let inner = inner.trim_end_matches(['"', '\'']);
        let mut signs = inner.match_indices('=').map(|(at, _)| inner.split_at(at));
        let broken = signs.find(|(before, _)| ends_in_secret(before));
        let broken = broken.map(|(before, _)| before.len().saturating_add(1)..inner.len());
        for secret in named(inner).into_iter().chain(broken) {
            let is_place = inner.get(secret.clone()).is_some_and(login::is_place);
            if !is_place {
                let shift = |at: usize| at.saturating_add(start);
                self.hide(shift(secret.start)..shift(secret.end), true);
            }
        }
    }

    /// What is said aside: a setting that is out of use may be a secret.
    fn comments(&mut self, table: &DeTable<'_>, rest: &str) {
        let mut values = Vec::new();
        spans(table, &mut values);
        let is_value = |at: usize| values.iter().any(|span| span.contains(&at));
        for line in lines(rest) {
            let written = rest.get(line.clone()).unwrap_or_default();
            let signs = written.match_indices('#');
            let mut signs = signs.map(|(at, _)| line.start.saturating_add(at));
            if let Some(sign) = signs.find(|at| !is_value(*at)) {
                self.hide(sign.saturating_add(1)..line.end, false);
            }
        }
    }

    /// What cannot be read, line by line.
    fn unreadable(&mut self, rest: &str, unread: &[Unread], known: &dyn Fn(&[String]) -> bool) {
        let text = self.text;
        let mut open_end = None;
        for line in lines(text) {
            let written = text.get(line.clone()).unwrap_or_default();
            if rest.get(line.clone()) == Some(written) && open_end.is_none() {
                continue;
            }
            let statement = unread.iter().find(|it| it.lines.contains(&line.start));
            let names = statement.map_or(&[][..], |it| &it.names);
            let whole = statement.and_then(|it| text.get(it.lines.clone()));
            let whole = whole.unwrap_or(written);
            // A text over several lines that nobody has closed may go on to the end.
            if is_secret(names) && (whole.contains("\"\"\"") || whole.contains("'''")) {
                open_end = Some(());
            }
            let is_shown = open_end.is_none()
                && !names.is_empty()
                && known(names)
                && !is_secret(names)
                && !speaks_of_secret(whole)
                && (written.matches('=').count() < 2 || written.contains('{'))
                && lines(whole).all(|it| user_info(whole.get(it).unwrap_or_default()).is_none());
            if is_shown {
                if let Some(aside) = written.find(" #") {
                    let sign = line.start.saturating_add(aside).saturating_add(2);
                    self.hide(sign..line.end, false);
                }
                self.parts(line);
                continue;
            }
            let from = match syntax::key(written) {
                Some(_) => written.find('=').map(|sign| sign.saturating_add(1)),
                None if is_shown_head(written, known) => None,
                None => Some(0),
            };
            let Some(rest) = from.and_then(|from| written.get(from..)) else {
                continue;
            };
            let end = line.start.saturating_add(written.trim_end().len());
            let start = line.end.saturating_sub(rest.trim_start().len());
            if start < end {
                self.hide(start..end, false);
            }
        }
    }
}

fn is_secret(names: &[String]) -> bool {
    names_secret(&names.join("."))
}

/// A key or certificate itself.
fn is_pem(text: &str) -> bool {
    text.contains("-----BEGIN")
}

/// Where the first of them stands.
pub(super) fn pem(table: &DeTable<'_>) -> Option<Range<usize>> {
    fn within(value: &Spanned<DeValue<'_>>) -> Option<Range<usize>> {
        match value.get_ref() {
            DeValue::Table(table) => pem(table),
            DeValue::Array(items) => items.iter().find_map(within),
            DeValue::String(text) => is_pem(text).then(|| value.span()),
            _ => None,
        }
    }
    table.values().find_map(within)
}

/// The place of a file in which a secret is.
fn is_place(names: &[String], value: &str) -> bool {
    let last = names.last().map_or("", String::as_str);
    let is_file = last.split(['_', '-']).any(|word| PLACES.contains(&word));
    // Of a command that is no list, the arguments stand behind its place.
    let is_one = last != "command" || !value.contains(char::is_whitespace);
    is_file && is_one && login::is_place(value)
}

/// A user's name with what is no part of it, or what is said of a user.
fn is_login(names: &[String], value: &str) -> bool {
    let ends = |c: char| c == ':' || c.is_whitespace();
    let (last, tables) = names.split_last().unzip();
    last.is_some_and(|name| names_user(name)) && value.contains(ends)
        || tables.is_some_and(|tables| tables.iter().any(|name| names_user(name)))
}

/// Whether a name of a secret is in it, also where something has got between its letters.
fn speaks_of_secret(text: &str) -> bool {
    let words = text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-'));
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let in_two = |two: &[&str]| names_secret(&two.concat());
    words.iter().any(|word| names_secret(word)) || words.windows(2).any(in_two)
}

/// Whether a text ends in the name of a secret, also where something has got between its letters.
fn ends_in_secret(text: &str) -> bool {
    let mut words = text.rsplit(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-'));
    let mut word = || words.find(|word| !word.is_empty()).unwrap_or_default();
    let (last, other) = (word(), word());
    names_secret(last) || names_secret(&format!("{other}{last}"))
}

/// `[name]`, also where a bracket is missing, of a table that there is.
fn is_shown_head(line: &str, known: &dyn Fn(&[String]) -> bool) -> bool {
    let name = line.trim().trim_start_matches('[').trim_end_matches(']');
    let is_plain = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '.'));
    let names: Vec<_> = name.split('.').map(str::to_owned).collect();
    line.trim_start().starts_with('[') && is_plain && known(&names)
}

/// Keys and values, none of which is a table.
fn spans(table: &DeTable<'_>, found: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        found.push(key.span());
        each(value, &mut |span| found.push(span));
    }
}

/// The places of the values in a value.
pub(super) fn each(value: &Spanned<DeValue<'_>>, found: &mut dyn FnMut(Range<usize>)) {
    match value.get_ref() {
        DeValue::Table(table) => table.values().for_each(|value| each(value, found)),
        DeValue::Array(items) => items.iter().for_each(|item| each(item, found)),
        _ => found(value.span()),
    }
}

/// Where each line is, without its end.
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut next = 0usize;
    text.split('\n').map(move |line| {
        let start = next;
        let end = start.saturating_add(line.len());
        next = end.saturating_add(1);
        start..end
    })
}
