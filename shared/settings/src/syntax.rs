//! Where a text is no TOML: each statement that is none is told once, and is blank for whoever
//! reads on.
//!
//! Contract: what stays is TOML, each byte at its place. A statement ends before the next line that
//! looks like the beginning of one, whatever is open until then: a bracket or a quote that is
//! missing costs its own setting, and not those below it.

use std::ops::Range;

use toml::de::{DeTable, DeValue, Error};

use super::words::explain;

/// Statements that are told of.
pub(super) const MOST: usize = 50;
/// Bytes of text up to which it is looked for more than one.
const LARGE: usize = 256 * 1024;
/// How values begin that may go over several lines.
const LONG: [&str; 4] = ["[", "{", "\"\"\"", "'''"];

/// A statement that cannot be read.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Unread {
    pub(super) place: Range<usize>,
    pub(super) what: String,
    /// What it would have set, by the names of tables and its own.
    pub(super) names: Vec<String>,
    /// All of it.
    pub(super) lines: Range<usize>,
}

/// How many statements are told of in a text of so many bytes.
pub(super) const fn most(length: usize) -> usize {
    if length > LARGE { 1 } else { MOST }
}

/// The text without what cannot be read, and that; of more faults than `most` all is blank.
pub(super) fn readable(text: &str, most: usize) -> (String, Vec<Unread>) {
    let mut text = text.to_owned();
    let mut unread = Vec::new();
    loop {
        let (table, errors) = DeTable::parse_recoverable(&text);
        let start = |error: &Error| error.span().map(|span| span.start);
        let Some(first) = errors.iter().min_by_key(|error| start(error)) else {
            return (text, unread);
        };
        let place = first.span().unwrap_or_default();
        let owner = owner(table.get_ref(), place.start);
        let from = owner.as_ref().map_or(place.start, |(key, _)| *key);
        let value = owner.as_ref().and_then(|(_, value)| text.get(*value..));
        let goes_on = value.is_some_and(|it| LONG.iter().any(|begin| it.starts_with(begin)));
        let lines = statement(&text, from, goes_on);
        let (place, what) = match owner {
            Some((_, value)) if goes_on && place.start >= lines.end => {
                unclosed(&text, value, &lines)
            }
            _ => (place, explain(first.message())),
        };
        let names = names(&text, &lines);
        drop(table);
        if lines.is_empty() || unread.len() >= most {
            return (blank(&text, 0..text.len()), unread);
        }
        text = blank(&text, lines.clone());
        unread.push(Unread {
            place,
            what,
            names,
            lines,
        });
    }
}

/// The value that is being read at this place: where its key and where it begins.
fn owner(table: &DeTable<'_>, at: usize) -> Option<(usize, usize)> {
    table.iter().find_map(|(key, value)| {
        let span = value.span();
        // A table's head begins before its name.
        let is_behind = key.span().end <= span.start;
        let is_in_it = is_behind && span.start < at && at <= span.end;
        match value.get_ref() {
            _ if is_in_it => Some((key.span().start, span.start)),
            DeValue::Table(table) => owner(table, at),
            DeValue::Array(items) => items
                .iter()
                .filter_map(|item| item.get_ref().as_table())
                .find_map(|table| owner(table, at)),
            _ => None,
        }
    })
}

/// What is missing shows only where the next statement is taken for a part of this one.
fn unclosed(text: &str, value: usize, lines: &Range<usize>) -> (Range<usize>, String) {
    let begun = text.get(value..lines.end).unwrap_or_default();
    let closing = match begun.as_bytes() {
        [b'[', ..] => "]",
        [b'{', ..] => "}",
        [b'\'', ..] => "'''",
        _ => "\"\"\"",
    };
    let line = begun.lines().next().unwrap_or_default().trim_end();
    let place = value..value.saturating_add(line.len());
    (
        place,
        format!("what begins here is not closed; close it with {closing}"),
    )
}

/// The lines of the statement at this place, and of a table's head that cannot be read those of the
/// whole table. `goes_on`: its value may go on in further lines.
fn statement(text: &str, at: usize, goes_on: bool) -> Range<usize> {
    let before = text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |end| end.saturating_add(1));
    let rest = text.get(start..).unwrap_or_default();
    let mut lines = rest.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    let is_head = first.trim_start().starts_with('[');
    let is_open = first.matches(['[', '{']).count() > first.matches([']', '}']).count();
    let goes_on = is_head || goes_on || is_open;
    let ends = |line: &&str| !goes_on || head(line).is_some() || (!is_head && key(line).is_some());
    let rest = lines.take_while(|line| !ends(line)).map(str::len);
    let length = rest.fold(first.len(), usize::saturating_add);
    start..start.saturating_add(length)
}

/// The name in a table's head, `[name]` or `[[name]]`.
fn head(line: &str) -> Option<&str> {
    let name = line.trim_start().strip_prefix('[')?;
    let name = name.strip_prefix('[').unwrap_or(name);
    let end = name.find(|c: char| !is_bare(c) && c != '.');
    let name = name.get(..end.unwrap_or(name.len()))?;
    (!name.is_empty()).then_some(name)
}

/// What stands before the equals sign.
pub(super) fn key(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let quote = line.chars().next().filter(|c| matches!(c, '"' | '\''));
    let end = match quote {
        // A value may have an equals sign in it.
        Some(quote) => line.get(1..)?.find(quote)?.saturating_add(2),
        None => line.find(|c: char| !is_bare(c) && c != '.')?,
    };
    let (name, rest) = line.split_at_checked(end)?;
    (!name.is_empty() && rest.trim_start().starts_with('=')).then_some(name)
}

const fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// What the statement would set.
fn names(text: &str, lines: &Range<usize>) -> Vec<String> {
    let above = text.get(..lines.start).unwrap_or_default();
    let own = text.get(lines.clone()).unwrap_or_default();
    let own = own.lines().next().unwrap_or_default();
    let table = match head(own) {
        Some(name) => Some(name),
        None => above.lines().rev().find_map(head),
    };
    let key = own
        .split(|c: char| !is_bare(c) && c != '.')
        .find(|name| !name.is_empty());
    let key = key.filter(|_| head(own).is_none());
    let whole = table.into_iter().chain(key);
    whole
        .flat_map(|names| names.split('.').map(str::to_owned))
        .collect()
}

/// With blanks in place of these bytes; lines stay.
fn blank(text: &str, bytes: Range<usize>) -> String {
    let (Some(before), Some(within), Some(after)) = (
        text.get(..bytes.start),
        text.get(bytes.clone()),
        text.get(bytes.end..),
    ) else {
        return String::new();
    };
    let blanks = within
        .bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { ' ' });
    let blanks: String = blanks.collect();
    [before, &blanks, after].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(text: &str) -> (Vec<(usize, String, String)>, Vec<String>) {
        let (rest, unread) = readable(text, 50);
        assert_eq!(rest.len(), text.len());
        let table = DeTable::parse(&rest).unwrap();
        let line = |at: usize| text[..at].split('\n').count();
        let unread = unread.into_iter();
        let unread = unread.map(|it| (line(it.place.start), it.what, it.names.join(".")));
        let keys = table.get_ref().keys().map(|key| key.get_ref().to_string());
        (unread.collect(), keys.collect())
    }

    #[test]
    fn a_statement_that_is_no_toml_costs_its_own_setting_and_is_told_once() {
        for (text, expected, keys) in [
            (
                "h = \"m\nn = 1\n",
                &[(1, "double quote", "h")][..],
                &["n"][..],
            ),
            ("h = \"m", &[(1, "with a double quote", "h")], &[]),
            ("h = [\"m\"", &[(1, "close it with ]", "h")], &[]),
            (
                "a = [\"x\", \"y\"\nb = 2\nc = [1]\n",
                &[(1, "close it with ]", "a")],
                &["b", "c"],
            ),
            (
                "a = \"\"\"x\nb = 2\n",
                &[(1, "close it with \"\"\"", "a")],
                &["b"],
            ),
            (
                "a = {x = 1, y = 2\nb = 2\n",
                &[(1, "close it with }", "a")],
                &["b"],
            ),
            (
                "a = [\n  \"x = 1\"\n  \"y\",\n]\nb = yes\nc = 3\n",
                &[(3, "comma", "a"), (5, "double quotes", "b")],
                &["c"],
            ),
            ("a = [\n  10.0.0.0/8,\n]\nb = 2\n", &[(2, "", "a")], &["b"]),
            (
                "this is none\nb = 2\nnor this\nor this [\n1,\n]\nc = 3\n",
                &[(1, "=", "this"), (3, "=", "nor"), (4, "=", "or")],
                &["b", "c"],
            ),
            (
                "a = 1\na = 2\n[t\nx = 1\ny = 2\n[u]\nz: 1\n",
                &[(2, "keep one", "a"), (3, "]", "t"), (7, "", "u.z")],
                &["a", "u"],
            ),
            (
                "[routes]\n\"a.b\" = 'x\n\"c.d\" = 'y'\n",
                &[(2, "'", "routes.a.b")],
                &["routes"],
            ),
        ] {
            let (unread, left) = told(text);
            assert_eq!(unread.len(), expected.len(), "{text}: {unread:?}");
            for ((line, what, names), wanted) in unread.iter().zip(expected) {
                assert_eq!(
                    (*line, names.as_str()),
                    (wanted.0, wanted.2),
                    "{text}: {what}"
                );
                assert!(what.contains(wanted.1), "{text}: {what}");
            }
            assert_eq!(left, keys, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_left_of_a_text_is_toml(text in "([a-z\\[\\]{}\"'=., #é\\\\0-9]|\n){0,80}") {
            let (rest, _) = readable(&text, 50);
            prop_assert_eq!(rest.len(), text.len());
            prop_assert!(DeTable::parse(&rest).is_ok(), "{:?}", rest);
        }
    }
}
