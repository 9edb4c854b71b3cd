//! Address lists as header fields and command lines write them: `Name <a@x>, b@y (comment), group: c@z, root;`.
//!
//! Contract: total and linear in the input; every mailbox of the text becomes an [`Entry`] or a [`Problem`]; each entry
//! knows its place, so that a header field can be rewritten without touching anything else. Source routes are dropped
//! (RFC 5321 §3.6.1), comments nest, folding is white space, empty list elements are skipped. Two slips that leave no doubt
//! about what is meant are read as meant: a final dot of a domain, and whole addresses with blanks in the place of commas.
//! Failures: a malformed element is a [`Problem`] that quotes it; its neighbours are read all the same.
//! RFC 5322 §3.2 (tokens), §3.4 (addresses), §4.4 (obsolete forms); RFC 6532 §3.2 (UTF-8).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::ops::Range;

use crate::address::{Address, AddressError, LocalPart, Mailbox, is_atext, is_dot_string};

pub mod mend;
mod token;
use token::{Kind, Token, tokens};

pub(crate) use token::text as decode;

/// A list, as far as it can be read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct List {
    /// The mailboxes, in order.
    pub entries: Vec<Entry>,
    /// What is no mailbox.
    pub problems: Vec<Problem>,
}

/// One mailbox of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Where it points.
    pub target: Mailbox,
    /// Display name, without quotes.
    pub name: Option<String>,
    /// The last comment, without its parentheses: where old programs put the name.
    pub comment: Option<String>,
    /// Bytes of the whole mailbox: name, brackets and comments included.
    pub mailbox: Range<usize>,
    /// Bytes of the address itself, without brackets.
    pub spec: Range<usize>,
}

/// An element that is no mailbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The element as written.
    pub text: String,
    /// What is wrong with it.
    pub error: AddressError,
}

/// Reads a list from a header field's value (folded or not) or from an argument.
pub fn parse(bytes: &[u8]) -> List {
    let mut list = List::default();
    let mut element = Vec::new();
    let mut bracket = Bracket::Outside;
    for token in tokens(bytes) {
        let outside = bracket != Bracket::Route;
        match token.kind {
            Kind::Special(b',' | b';') if outside => {
                list.take(bytes, &element);
                element.clear();
                bracket = Bracket::Outside;
                continue;
            }
            // The name of a group: what it holds follows, up to the semicolon.
            Kind::Special(b':') if bracket == Bracket::Outside => {
                element.clear();
                continue;
            }
            Kind::Special(b':') => bracket = Bracket::Inside,
            Kind::Special(b'<') => bracket = Bracket::Opened,
            Kind::Special(b'@') if bracket == Bracket::Opened => bracket = Bracket::Route,
            Kind::Special(b'>') => bracket = Bracket::Outside,
            Kind::Comment => {}
            _ if bracket == Bracket::Opened => bracket = Bracket::Inside,
            _ => {}
        }
        element.push(token);
    }
    list.take(bytes, &element);
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
        }],
    }
}

/// Reads an argument that is one address or name, with a display name or brackets if it likes.
pub fn one(text: &str) -> Result<Mailbox, Problem> {
    let mut list = argument(text);
    if let Some(problem) = list.problems.pop() {
        return Err(problem);
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
    })
}

/// Where the reader stands, as to angle brackets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    Outside,
    /// Right after `<`.
    Opened,
    /// In `<@a,@b:`, where a comma does not end the element.
    Route,
    Inside,
}

impl List {
    /// Adds what the tokens of one element say.
    fn take(&mut self, bytes: &[u8], element: &[Token]) {
        if element.iter().all(|token| token.kind == Kind::Comment) {
            return;
        }
        let span = span(element);
        match read(bytes, element, span.clone()) {
            Ok(entry) => self.entries.push(entry),
            Err(error) => {
                if let Some(entries) = without_commas(bytes, element) {
                    return self.entries.extend(entries);
                }
                let text = token::text(bytes.get(span).unwrap_or_default());
                self.problems.push(Problem { text, error });
            }
        }
    }
}

/// `a@x b@y <c@z>`: each word between blanks is a whole address.
fn without_commas(bytes: &[u8], element: &[Token]) -> Option<Vec<Entry>> {
    let words = element.chunk_by(|one, next| one.range.end == next.range.start);
    let entries = words.filter(|word| word.iter().any(|token| token.kind != Kind::Comment));
    let entries = entries.map(|word| {
        let entry = read(bytes, word, span(word)).ok()?;
        matches!(entry.target, Mailbox::Address(_)).then_some(entry)
    });
    entries.collect()
}

fn span(tokens: &[Token]) -> Range<usize> {
    let start = tokens.first().map_or(0, |token| token.range.start);
    start..tokens.last().map_or(start, |token| token.range.end)
}

/// One mailbox: `phrase <spec>` or `spec`, comments anywhere.
fn read(bytes: &[u8], element: &[Token], mailbox: Range<usize>) -> Result<Entry, AddressError> {
    let comment = element
        .iter()
        .rev()
        .find(|t| t.kind == Kind::Comment)
        .map(|t| t.meaning(bytes));
    let words: Vec<&Token> = element.iter().filter(|t| t.kind != Kind::Comment).collect();
    let open = words.iter().position(|t| t.kind == Kind::Special(b'<'));
    let (phrase, spec) = match open {
        None => (&[][..], words.as_slice()),
        Some(open) => {
            let (phrase, rest) = words.split_at_checked(open).unwrap_or_default();
            let inner = rest.get(1..).unwrap_or_default();
            // The closing bracket ends the mailbox; anything after it is no address.
            match inner.split_last() {
                Some((last, spec)) if last.kind == Kind::Special(b'>') => {
                    (phrase, without_route(spec))
                }
                _ => return Err(AddressError::LocalPart),
            }
        }
    };
    let (Some(first), Some(last)) = (spec.first(), spec.last()) else {
        return Err(AddressError::Empty);
    };
    let range = first.range.start..last.range.end;
    // A name may be in any old encoding; an address is not guessed.
    if std::str::from_utf8(bytes.get(range.clone()).unwrap_or_default()).is_err() {
        return Err(AddressError::LocalPart);
    }
    Ok(Entry {
        target: target(bytes, spec)?,
        name: name(bytes, phrase),
        comment,
        mailbox,
        spec: range,
    })
}

/// `@a,@b:user@c` means `user@c`.
fn without_route<'a, 't>(spec: &'a [&'t Token]) -> &'a [&'t Token] {
    if spec.first().is_none_or(|t| t.kind != Kind::Special(b'@')) {
        return spec;
    }
    let colon = spec.iter().position(|t| t.kind == Kind::Special(b':'));
    colon
        .and_then(|colon| spec.get(colon.saturating_add(1)..))
        .unwrap_or(spec)
}

fn name(bytes: &[u8], phrase: &[&Token]) -> Option<String> {
    let mut out = String::new();
    let mut end = None;
    for token in phrase {
        if end.is_some_and(|end| end != token.range.start) {
            out.push(' ');
        }
        out.push_str(&token.meaning(bytes));
        end = Some(token.range.end);
    }
    (!out.is_empty()).then_some(out)
}

/// The address that the tokens spell; blanks and comments around dots and the @ do not count (RFC 5322 §4.4).
fn target(bytes: &[u8], spec: &[&Token]) -> Result<Mailbox, AddressError> {
    let at = spec.iter().rposition(|t| t.kind == Kind::Special(b'@'));
    let Some(at) = at else {
        return LocalPart::new(&local(bytes, spec)?).map(Mailbox::Local);
    };
    let (before, after) = spec.split_at_checked(at).unwrap_or_default();
    let mut domain = String::new();
    let mut expect_dot = false;
    let after = after.get(1..).unwrap_or_default();
    let after = match after.split_last() {
        Some((last, rest)) if last.kind == Kind::Special(b'.') => rest,
        _ => after,
    };
    for token in after {
        let dot = token.kind == Kind::Special(b'.');
        if dot != expect_dot {
            return Err(AddressError::Domain);
        }
        expect_dot = !dot;
        domain.push_str(&token.written(bytes));
    }
    if let [word] = before {
        // As written, where that can be: a quoted local part stays quoted.
        if let Ok(address) = Address::parse(&format!("{}@{domain}", word.written(bytes))) {
            return Ok(Mailbox::Address(address));
        }
    }
    Address::new(&local(bytes, before)?, &domain).map(Mailbox::Address)
}

/// Words with single dots between them, as meant.
fn local(bytes: &[u8], words: &[&Token]) -> Result<String, AddressError> {
    let mut out = String::new();
    let mut expect_dot = false;
    for token in words {
        match token.kind {
            Kind::Special(b'.') if expect_dot => out.push('.'),
            Kind::Atom | Kind::Quoted if !expect_dot => out.push_str(&token.meaning(bytes)),
            _ => return Err(AddressError::LocalPart),
        }
        expect_dot = !expect_dot;
    }
    if expect_dot {
        Ok(out)
    } else {
        Err(AddressError::LocalPart)
    }
}

/// A display name as it may stand before `<`: one plain word as it is, anything else quoted; controls become blanks.
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
    let encoded = |word: &str| {
        let marks = word.starts_with("=?") && word.ends_with("?=");
        marks && word.matches('?').count() == 4 && word.chars().all(is_atext)
    };
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

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
