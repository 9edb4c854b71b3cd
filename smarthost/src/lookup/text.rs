//! Keys and values in one piece of memory, with eight bytes beside each entry.
//!
//! Contract: the piece is no longer than the file; a key is found in as many steps as its number
//! has bits. postmap(1): a key ends at the first blank outside quotes; the value has no blanks at
//! its ends.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::borrow::Cow;

use mail::{
    address::{Address, Domain},
    maps::LogicalLine,
};

use super::problems::Problems;

/// Between a key and its value, and behind that; no logical line holds it.
const END: char = '\n';

/// All entries.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct TextTable {
    /// `key END value END` for each.
    piece: Box<str>,
    /// Where they begin in the piece, and in which line they are, in the order of their keys.
    entries: Box<[(u32, u32)]>,
}

impl TextTable {
    /// Reads logical lines of a text of so many bytes.
    pub(super) fn read(lines: Vec<LogicalLine<'_>>, size: usize, problems: &mut Problems) -> Self {
        let mut piece = String::with_capacity(size);
        let mut entries = Vec::with_capacity(lines.len());
        for line in lines {
            let Some((key, value)) = split(&line, problems) else {
                continue;
            };
            let Ok(start) = u32::try_from(piece.len()) else {
                problems.fault(line.number, "the table is too large");
                break;
            };
            piece.push_str(&folded(key));
            piece.push(END);
            piece.push_str(value);
            piece.push(END);
            entries.push((start, line.number));
        }
        piece.shrink_to_fit();
        entries
            .sort_unstable_by(|a, b| key_at(&piece, a.0).cmp(key_at(&piece, b.0)).then(a.cmp(b)));
        entries.dedup_by(|later, first| {
            let key = key_at(&piece, later.0);
            let twice = key == key_at(&piece, first.0);
            if twice {
                problems.hint(
                    later.1,
                    format!(
                        "`{}` is given again; line {} counts, remove one",
                        key.escape_debug(),
                        first.1
                    ),
                );
            }
            twice
        });
        Self {
            piece: piece.into(),
            entries: entries.into(),
        }
    }

    /// The value of a key, and its line.
    pub(super) fn get(&self, key: &str) -> Option<(&str, u32)> {
        let key = folded(key);
        let order = |&(start, _): &(u32, u32)| key_at(&self.piece, start).cmp(&*key);
        let at = self.entries.binary_search_by(order).ok()?;
        let (_, value, line) = self.entry(*self.entries.get(at)?)?;
        Some((value, line))
    }

    /// Keys, values and lines.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &str, u32)> {
        self.entries.iter().filter_map(|entry| self.entry(*entry))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn entry(&self, (start, line): (u32, u32)) -> Option<(&str, &str, u32)> {
        let (key, rest) = from(&self.piece, start).split_once(END)?;
        Some((key, rest.split_once(END)?.0, line))
    }
}

fn from(piece: &str, start: u32) -> &str {
    let start = usize::try_from(start).ok();
    start
        .and_then(|start| piece.get(start..))
        .unwrap_or_default()
}

fn key_at(piece: &str, start: u32) -> &str {
    from(piece, start).split(END).next().unwrap_or_default()
}

/// Key and value of a line.
fn split<'a>(line: &'a LogicalLine<'_>, problems: &mut Problems) -> Option<(&'a str, &'a str)> {
    let (mut quoted, mut escaped) = (false, false);
    let blank = |c: char| match c {
        _ if escaped => {
            escaped = false;
            false
        }
        '\\' => {
            escaped = true;
            false
        }
        '"' => {
            quoted = !quoted;
            false
        }
        c => !quoted && c.is_ascii_whitespace(),
    };
    let end = line.text.find(blank).unwrap_or(line.text.len());
    let (key, value) = line.text.split_at_checked(end)?;
    let value = value.trim();
    let remedy = match () {
        () if quoted => "a quote is not closed",
        () if value.is_empty() => "there is no value; write `key value`",
        () => {
            if key.ends_with(':') {
                problems.hint(
                    line.number,
                    format!(
                        "the key is `{}` with its colon: is this an alias file?",
                        key.escape_debug()
                    ),
                );
            }
            return Some((key, value));
        }
    };
    problems.fault(line.number, remedy);
    None
}

/// The one form of all spellings of a key.
pub(super) fn folded(key: &str) -> Cow<'_, str> {
    if key.is_ascii() && !key.starts_with('"') {
        return if key.bytes().any(|b| b.is_ascii_uppercase()) {
            key.to_ascii_lowercase().into()
        } else {
            key.into()
        };
    }
    if let Ok(address) = Address::parse(key) {
        return address.key().into();
    }
    let (before, name) = match key.rsplit_once('@') {
        Some((before, name)) => (Some(before), name),
        None => (None, key),
    };
    let dot = if name.starts_with('.') { "." } else { "" };
    let plain = name.strip_prefix('.').unwrap_or(name);
    let name = Domain::parse(plain).map_or_else(|_| plain.to_lowercase(), |it| it.to_string());
    match before {
        Some(before) => format!("{}@{dot}{name}", before.to_lowercase()).into(),
        None => format!("{dot}{name}").into(),
    }
}
