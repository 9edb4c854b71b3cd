//! Address lists as header fields and command lines write them: `Name <a@x>, b@y (comment), group:
//! c@z, root;`.
//!
//! Contract: total and linear in the input; every mailbox of the text becomes an [`Entry`] or a
//! [`Problem`]; each entry knows its place, so that a header field can be rewritten without
//! touching anything else. Source routes are dropped (RFC 5321 §3.6.1), comments nest, folding is
//! white space, empty list elements are skipped. Two slips that leave no doubt about what is meant
//! are read as meant: a final dot of a domain, and whole addresses, bare or in brackets, with
//! blanks or nothing in the place of commas; what stands among them is told, unless it can only be
//! the name of the address behind it (`John a@x`; `root a@x` may mean two).
//! What is opened and never closed was never opened. No group's name holds an address or ends with
//! the name of a field (`a@x Cc: b@y`, a line of an indented text): each address there is served.
//! Failures: a malformed element is a [`Problem`] that quotes it; its neighbours are read all the
//! same.
//! RFC 5322 §3.2 (tokens), §3.4 (addresses), §4.4 (obsolete forms); RFC 6532 §3.2 (UTF-8).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::address::{AddressError, Mailbox, is_atext, is_dot_string};

mod element;
pub mod mend;
mod salvage;
mod token;
pub use element::{Doubt, Entry, Problem};
use element::{apart, read, span, without_commas};
use token::{Bracket, Kind, Token, closed, tokens};

pub(crate) use salvage::{BLIND, RECIPIENTS};
pub(crate) use token::{is_encoded, text as decode};

/// A list, as far as it can be read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct List {
    /// The mailboxes, in order.
    pub entries: Vec<Entry>,
    /// What is no mailbox.
    pub problems: Vec<Problem>,
    /// Addresses were picked out of what is no list.
    pub(super) guessed: bool,
    /// What follows stands behind `Bcc:`.
    blind: bool,
}

/// Reads a list from a header field's value (folded or not) or from an argument.
pub fn parse(bytes: &[u8]) -> List {
    let mut list = List::default();
    let mut element = Vec::new();
    let mut bracket = Bracket::Outside;
    let sound = closed(bytes, true);
    let unclosed = sound != bytes;
    let mut rest = tokens(&sound);
    while let Some(token) = rest.next() {
        let before = bracket;
        bracket = before.after(token.kind);
        match token.kind {
            Kind::Special(b',' | b';') if before != Bracket::Route => {
                list.take(bytes, &element, unclosed);
                element.clear();
            }
            // The name of a group: what it holds follows, up to the semicolon.
            Kind::Special(b':')
                if before == Bracket::Outside
                    && salvage::names_a_group(bytes, &element, rest.clone()) =>
            {
                element.clear();
            }
            _ => element.push(token),
        }
    }
    list.take(bytes, &element, unclosed);
    list
}

/// Reads an argument. Unlike a header field it is never folded: a line break in it is an attack.
pub fn argument(text: &str) -> List {
    if !text.contains(char::is_control) {
        return parse(text.as_bytes());
    }
    List {
        entries: Vec::new(),
        problems: vec![Problem {
            text: text.escape_debug().to_string(),
            error: AddressError::Control,
            blind: false,
        }],
        ..List::default()
    }
}

/// Reads an argument that is one address or name, with a display name or brackets if it likes.
pub fn one(text: &str) -> Result<Mailbox, Problem> {
    let mut list = argument(text);
    if let Some(problem) = list.problems.pop() {
        let is_escaped = text.contains(char::is_control);
        return Err(Problem {
            text: if is_escaped {
                problem.text
            } else {
                text.to_owned()
            },
            ..problem
        });
    }
    let entry = list.entries.pop();
    let error = match (entry, list.entries.is_empty()) {
        (Some(entry), true) => return Ok(entry.target),
        (None, _) => AddressError::Empty,
        (Some(_), false) => AddressError::LocalPart,
    };
    Err(Problem {
        text: text.to_owned(),
        error,
        blind: false,
    })
}

impl List {
    /// What is served, and may not be what was meant.
    pub fn doubts(&self) -> impl Iterator<Item = Doubt> {
        self.entries.iter().flat_map(|entry| {
            let served = || entry.target.clone();
            let unclosed = entry.unclosed.then(|| Doubt::Unclosed(served()));
            let named = entry.named.clone();
            let named = named.map(|name| Doubt::Named(name, served()));
            unclosed.into_iter().chain(named)
        })
    }

    fn tell(&mut self, problems: impl IntoIterator<Item = Problem>) {
        let blind = self.blind;
        let problems = problems.into_iter();
        self.problems
            .extend(problems.map(|problem| Problem { blind, ..problem }));
    }

    fn add(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let blind = self.blind;
        let entries = entries.into_iter();
        self.entries
            .extend(entries.map(|entry| Entry { blind, ..entry }));
    }

    /// Adds what the tokens of one element say. `unclosed`: a sign in the text was never closed.
    fn take(&mut self, bytes: &[u8], element: &[Token], unclosed: bool) {
        if element.iter().all(|token| token.kind == Kind::Comment) {
            return;
        }
        let span = span(element);
        match read(bytes, element, span.clone()) {
            Ok(entry) => self.add([entry]),
            Err(error) => {
                if let Some(parts) = apart(bytes, element) {
                    return self.add(parts.into_iter().map(|(_, entry)| entry));
                }
                let words = without_commas(bytes, element);
                let due = salvage::is_due(element, unclosed);
                if let Some((entries, problems)) = words.filter(|(_, it)| !due || it.is_empty()) {
                    self.guessed |= due;
                    self.tell(problems);
                    return self.add(entries);
                }
                if due {
                    let found = salvage::pick(bytes, element, self.blind);
                    self.guessed = true;
                    self.blind = found.blind;
                    self.problems.extend(found.problems);
                    return self.entries.extend(found.entries);
                }
                let text = token::text(bytes.get(span).unwrap_or_default());
                let blind = self.blind;
                self.problems.push(Problem { text, error, blind });
            }
        }
    }
}

/// A display name as it may stand before `<`: one plain word as it is, anything else quoted;
/// controls become blanks.
pub fn display_name(name: &str) -> String {
    let clean: String = name
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let words = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = is_dot_string(&words) && !words.contains('.');
    if plain || words.is_empty() {
        words
    } else {
        quoted(&words)
    }
}

/// A display name that may hold encoded words (RFC 2047 §5 (3)): those stand outside of quotes.
pub fn phrase(name: &str) -> String {
    let encoded = |word: &str| is_encoded(word) && word.chars().all(is_atext);
    let bare = |word: &str| encoded(word.trim_end_matches(','));
    if !name.split_whitespace().any(bare) {
        return display_name(name);
    }
    let word = |word: &str| match word.strip_suffix(',') {
        _ if encoded(word) => word.to_owned(),
        Some(rest) if encoded(rest) => format!("{rest} \",\""),
        _ => display_name(word),
    };
    let words: Vec<String> = name.split_whitespace().map(word).collect();
    words.join(" ")
}

/// Whether an encoded word stands in a phrase as one; in quotes it is none (RFC 2047 §5 (3)).
pub(crate) fn has_encoded_word(bytes: &[u8]) -> bool {
    tokens(bytes).any(|token| is_encoded_word(&token, bytes))
}

fn is_encoded_word(token: &Token, bytes: &[u8]) -> bool {
    token.kind == Kind::Atom && is_encoded(&token.written(bytes))
}

/// The bytes with what is not ASCII in comments as `comment` writes it, and with `phrases` in words
/// as `word` does.
pub(crate) fn map_text(
    bytes: &[u8],
    phrases: bool,
    word: impl Fn(&str) -> String,
    comment: impl Fn(&str) -> String,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut kept = 0usize;
    let mut word_before = false;
    let mut tokens = tokens(bytes).peekable();
    while let Some(token) = tokens.next() {
        let written = bytes.get(token.range.clone()).unwrap_or_default();
        let is_word = phrases && matches!(token.kind, Kind::Atom | Kind::Quoted);
        if written.is_ascii() || !(is_word || token.kind == Kind::Comment) {
            word_before = is_encoded_word(&token, bytes);
            continue;
        }
        let gap = bytes.get(kept..token.range.start).unwrap_or_default();
        out.extend_from_slice(gap);
        let text = token.meaning(bytes);
        // Readers drop the blanks between two encoded words (RFC 2047 §6.2).
        let blank = if word_before && is_word && !gap.is_empty() {
            " "
        } else {
            ""
        };
        let before_word = tokens.peek().is_some_and(|it| is_encoded_word(it, bytes));
        let text = if is_word {
            let end = if before_word { " " } else { "" };
            word(&format!("{blank}{text}{end}"))
        } else {
            format!("({})", comment(&text))
        };
        out.extend_from_slice(text.as_bytes());
        word_before = is_word;
        kept = token.range.end;
    }
    out.extend_from_slice(bytes.get(kept..).unwrap_or_default());
    out
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
