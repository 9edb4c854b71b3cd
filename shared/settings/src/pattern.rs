//! What a text must look like: names, addresses and subjects that a configuration means.
//!
//! Contract: pure, total, bounded; what is printed, read again, is the same.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Longest pattern, bytes.
const LONGEST: usize = 300;

/// A text in which `*` stands for anything, and `\*` for a star; upper and lower case are the same.
/// 1 to 300 bytes without control characters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

impl Pattern {
    /// How a pattern is written that fits this text alone.
    pub fn literal(text: &str) -> String {
        let escaped = |c| is_special(c).then_some('\\').into_iter().chain([c]);
        text.chars().flat_map(escaped).collect()
    }

    /// Whether a text is one of those: in time that grows with the product of the lengths, which
    /// are bounded.
    pub fn fits(&self, text: &str) -> bool {
        let text = folded(text);
        let parts = self.parts();
        let mut parts = parts.iter().map(String::as_str);
        let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
            return false;
        };
        let mut last = None;
        for part in parts {
            if let Some(part) = last.replace(part) {
                match rest.split_once(part) {
                    Some((_, after)) => rest = after,
                    None => return false,
                }
            }
        }
        last.map_or(rest.is_empty(), |last| rest.ends_with(last))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands between its stars.
    fn parts(&self) -> Vec<String> {
        let (mut parts, mut part) = (Vec::new(), String::new());
        let text = folded(&self.0);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '*' => parts.push(std::mem::take(&mut part)),
                '\\' => part.push(chars.next_if(|c| is_special(*c)).unwrap_or(c)),
                c => part.push(c),
            }
        }
        parts.push(part);
        parts
    }
}

const fn is_special(c: char) -> bool {
    matches!(c, '*' | '\\')
}

/// In lower case, letter by letter: what is a part of a text stays one.
fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

impl TryFrom<String> for Pattern {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let text = text.trim().to_owned();
        if text.is_empty() || text.len() > LONGEST || text.contains(char::is_control) {
            return Err(format!(
                "write its beginning and a *, such as \"backup*\": 1 to {LONGEST} bytes without \
                 control characters"
            ));
        }
        Ok(Self(text))
    }
}

impl FromStr for Pattern {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::try_from(text.to_owned())
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
