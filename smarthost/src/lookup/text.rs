//! Keys and values, packed.
//!
//! Contract: postmap(1): a key ends at the first blank outside quotes; the value has no blanks at
//! its ends.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::borrow::Cow;

use mail::{
    address::{Address, Domain},
    maps::{
        LogicalLine,
        packed::{Packed, Packing},
    },
};

use super::problems::{NO_VALUE, Problems};

/// All entries.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct TextTable(Packed);

impl TextTable {
    /// Reads logical lines of a text of so many bytes.
    pub(super) fn read<'a>(
        lines: impl Iterator<Item = LogicalLine<'a>>,
        size: usize,
        problems: &mut Problems,
    ) -> Self {
        let mut packing = Packing::of_text(size);
        for line in lines {
            let Some((key, value)) = split(&line, problems) else {
                continue;
            };
            if !packing.push(&folded(key), value, line.number) {
                problems.fault(line.number, "the table is too large");
                break;
            }
        }
        Self(packing.packed(|again| {
            problems.hint(
                again.later,
                format!(
                    "`{}` is set again; line {} counts, remove one",
                    again.key.escape_debug(),
                    again.first
                ),
            );
        }))
    }

    /// The value of a key, and its line.
    pub(super) fn get(&self, key: &str) -> Option<(&str, u32)> {
        self.0.get(&folded(key))
    }

    /// Keys, values and lines.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &str, u32)> {
        self.0.entries()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
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
    if quoted {
        problems.fault(line.number, "a quote is not closed");
        return None;
    }
    if value.is_empty() {
        problems.fault(line.number, NO_VALUE);
    } else if key.ends_with(':') {
        problems.hint(
            line.number,
            format!(
                "the key is `{}` with its colon: is this an alias file?",
                key.escape_debug()
            ),
        );
    }
    Some((key, value))
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
