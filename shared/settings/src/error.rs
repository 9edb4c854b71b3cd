//! From TOML text to a struct, and errors that show where the text is wrong and what to write.
//!
//! Contract: never panics on any text; an error is `FILE:LINE:COLUMN: what; remedy`, then the line
//! with `^` under the place.
//! A line is shown with its control characters escaped and cut to [`WIDTH`].
//! Failures: [`ConfigError`], for the administrator who wrote the file.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{fmt, ops::Range, path::Path};

use serde::de::DeserializeOwned;

/// Longest part of a line that is shown, in characters.
const WIDTH: usize = 120;

/// Letters of a name from which on it is clear what was meant.
const BEGUN: usize = 5;

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
        match error.span() {
            Some(span) => error_at(path, text, span, &what),
            None => ConfigError {
                text: format!("{}: {what}", path.display()),
            },
        }
    })
}

/// An error at a place of the text (from `serde_spanned`), for checks after parsing.
pub fn error_at(path: &Path, text: &str, span: Range<usize>, what: &str) -> ConfigError {
    let before = text.get(..span.start).unwrap_or(text);
    let start = before
        .rfind('\n')
        .map_or(0, |newline| newline.saturating_add(1));
    let line_number = before.matches('\n').count().saturating_add(1);
    let line = text
        .get(start..)
        .and_then(|rest| rest.lines().next())
        .unwrap_or_default();
    let column = before.get(start..).unwrap_or_default().chars().count();
    let marked = text.get(span.start..span.end).unwrap_or_default();
    let marks = marked
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        .max(1);

    // A long line is shown from a little before the place.
    let skip = if column > WIDTH / 2 {
        column.saturating_sub(WIDTH / 4)
    } else {
        0
    };
    let shown: String = line.chars().skip(skip).take(WIDTH).map(visible).collect();
    let indent = column.saturating_sub(skip);
    let marks = marks.min(WIDTH.saturating_sub(indent)).max(1);
    let number = line_number.to_string();
    let margin = " ".repeat(number.len());
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

/// The library's words in those of an administrator, with a remedy where one is known.
pub(super) fn explain(message: &str) -> String {
    if message == "duplicate key" {
        return "duplicate key: it stands above already; keep one of the two".to_owned();
    }
    if message.starts_with("string values must be quoted") {
        return "this is no value; a text stands in double quotes".to_owned();
    }
    if message.starts_with("invalid basic string, expected `\"`") {
        return "the text has no end; close it with a double quote".to_owned();
    }
    if message.ends_with("expected a boolean") {
        return format!("{message}; write true or false, without quotes");
    }
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (Some(&given), known) = (quoted.first(), quoted.get(1..).unwrap_or_default()) else {
        return first_line(message);
    };
    if message.starts_with("unknown field") {
        return format!("unknown setting `{given}`; {}", suggestion(given, known));
    }
    if message.starts_with("unknown variant") {
        return format!("unknown value \"{given}\"; {}", suggestion(given, known));
    }
    if message.starts_with("missing field") {
        return format!("the setting `{given}` is missing; add it here");
    }
    if message.starts_with("invalid type") && message.ends_with("expected a string") {
        return format!("`{given}` is no text; put it in double quotes: \"{given}\"");
    }
    first_line(message)
}

/// The parser's messages may go over several lines; one is enough beside the marked place.
fn first_line(message: &str) -> String {
    message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

/// What the known names offer in place of an unknown one.
pub fn suggestion(given: &str, known: &[&str]) -> String {
    match closest(given, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "there is no setting to be made here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The known name that an unknown one was most likely meant as.
pub(super) fn closest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let flat = |name: &str| name.to_lowercase().replace('-', "_");
    let distance = |name: &str| strsim::damerau_levenshtein(&flat(given), &flat(name));
    let close = (given.chars().count() / 3).max(1);
    let nearest = known.iter().map(|name| (distance(name), *name)).min();
    let near = nearest.filter(|(distance, _)| *distance <= close);
    // Or it was not written to its end.
    let begun = known
        .iter()
        .filter(|name| given.len() >= BEGUN && flat(name).starts_with(&flat(given)));
    let shortest = begun.min_by_key(|name| name.len());
    near.map(|(_, name)| name).or(shortest.copied())
}
