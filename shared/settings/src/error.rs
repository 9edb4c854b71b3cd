//! From TOML text to a struct, and errors that show where the text is wrong and what to write.
//!
//! Contract: never panics on any text; an error is `FILE:LINE:COLUMN: what; remedy`, then the line
//! with `^` under the place.
//! A line is shown without secrets (see `shown`), with its control characters escaped and cut to
//! [`WIDTH`].
//! Failures: [`ConfigError`], for the administrator who wrote the file.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{fmt, ops::Range, path::Path};

use serde::de::DeserializeOwned;

use super::{shown::Hidden, words::explain};

/// Longest part of a line that is shown, in characters.
const WIDTH: usize = 120;

/// Between several errors that are told at once.
const BETWEEN: &str = "\n\n";

/// A configuration error, as printed: `FILE:LINE:COLUMN: what; remedy`, then the line with a mark
/// under the place. Or several, with an empty line between them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConfigError {
    /// All of it, without a final newline.
    pub text: String,
}
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl std::error::Error for ConfigError {}

impl ConfigError {
    /// Several as one, no two the same; `None`: there are none.
    pub fn together(errors: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut texts = Vec::<String>::new();
        for error in errors {
            for text in error.each() {
                if !texts.iter().any(|known| known == text) {
                    texts.push(text.to_owned());
                }
            }
        }
        let text = texts.join(BETWEEN);
        (!texts.is_empty()).then_some(Self { text })
    }

    /// Several that are one, apart.
    pub fn each(&self) -> impl Iterator<Item = &str> {
        self.text.split(BETWEEN)
    }
}

/// The first of the errors in a text, and how many others there are.
pub fn first(text: &str) -> (&str, usize) {
    let mut all = text.split(BETWEEN);
    (all.next().unwrap_or_default(), all.count())
}

/// Reads TOML text; `path` is for messages.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let what = explain(error.message());
        if let Some(span) = error.span() {
            return error_at(path, text, span, &what);
        }
        let what = hidden(text).said(&(0..0), &what);
        ConfigError {
            text: format!("{}: {what}", path.display()),
        }
    })
}

/// An error at a place of the text (from `serde_spanned`), for checks after parsing.
pub fn error_at(path: &Path, text: &str, span: Range<usize>, what: &str) -> ConfigError {
    error_in(path, text, span, what, &hidden(text))
}

/// Where nothing is known of what there is to set.
fn hidden(text: &str) -> Hidden<'_> {
    Hidden::of(text, &|_| false)
}

/// The same, of a text of which this is hidden.
pub(super) fn error_in(
    path: &Path,
    text: &str,
    span: Range<usize>,
    what: &str,
    hidden: &Hidden<'_>,
) -> ConfigError {
    let before = text.get(..span.start).unwrap_or(text);
    let start = before
        .rfind('\n')
        .map_or(0, |newline| newline.saturating_add(1));
    let number = before.matches('\n').count().saturating_add(1).to_string();
    let line = text.get(start..).and_then(|rest| rest.lines().next());
    let end = start.saturating_add(line.unwrap_or_default().len());
    let column = before.get(start..).unwrap_or_default().chars().count();

    let line = hidden.line(start..end);
    let at = before.len();
    let past = span.end.max(at.saturating_add(1));
    let place = |(_, bytes): &&(char, Range<usize>)| bytes.end <= at;
    let indent = line.iter().take_while(place).count();
    let marked = |(_, bytes): &&(char, Range<usize>)| bytes.start < past;
    let marks = line.iter().skip(indent).take_while(marked).count().max(1);

    // A long line is shown from a little before the place.
    let skip = if indent > WIDTH / 2 {
        indent.saturating_sub(WIDTH / 4)
    } else {
        0
    };
    let shown = line.iter().skip(skip).take(WIDTH);
    let shown: String = shown.map(|(c, _)| visible(*c)).collect();
    let indent = indent.saturating_sub(skip);
    let marks = marks.min(WIDTH.saturating_sub(indent)).max(1);
    let margin = " ".repeat(number.len());
    let what = hidden.said(&span, what);
    ConfigError {
        text: format!(
            "{}:{number}:{}: {what}\n{margin} |\n{number} | {shown}\n{margin} | {}{}",
            path.display(),
            column.saturating_add(1),
            " ".repeat(indent),
            "^".repeat(marks),
        ),
    }
}

/// One column for one character, so that the mark stands under its place.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}
