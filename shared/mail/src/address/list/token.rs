//! The tokens of an address list: atoms, quoted strings, comments, domain literals, specials (RFC
//! 5322 §3.2).
//!
//! Contract: total, linear, no recursion; tokens come in order and do not overlap; white space and
//! folding fall between them, and so does what cannot be seen at the edges of an atom. An unclosed
//! string, comment or literal ends with the text; [`closed`] reads it as none. An encoded word in Q
//! is an atom, whatever stands in it.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{borrow::Cow, ops::Range};

use crate::text::is_blank_or_unseen;

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Anything that is not one of the others; bytes above 127 are part of atoms.
    Atom,
    /// `"…"`
    Quoted,
    /// `(…)`
    Comment,
    /// `[…]`
    Literal,
    /// One of `<>@,;:.`
    Special(u8),
}

/// Where a reader of a list stands, as to angle brackets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bracket {
    Outside,
    /// Right after `<`.
    Opened,
    /// In `<@a,@b:`, where a comma does not end the element.
    Route,
    Inside,
}

impl Bracket {
    /// Behind such a token; what ends an element ends its bracket.
    pub(super) fn after(self, kind: Kind) -> Self {
        match kind {
            Kind::Special(b',' | b';') if self != Self::Route => Self::Outside,
            Kind::Special(b':') if self != Self::Outside => Self::Inside,
            Kind::Special(b'<') => Self::Opened,
            Kind::Special(b'@') if self == Self::Opened => Self::Route,
            Kind::Special(b'>') => Self::Outside,
            Kind::Comment => self,
            _ if self == Self::Opened => Self::Inside,
            _ => self,
        }
    }
}

/// A token and its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) range: Range<usize>,
}

impl Token {
    /// As it stands in the text.
    pub(super) fn written(&self, bytes: &[u8]) -> String {
        text(bytes.get(self.range.clone()).unwrap_or_default())
    }

    /// Without the quotes, parentheses and backslashes that only write it; folding becomes a blank.
    pub(super) fn meaning(&self, bytes: &[u8]) -> String {
        let raw = bytes.get(self.range.clone()).unwrap_or_default();
        let close = match self.kind {
            Kind::Quoted => b'"',
            Kind::Comment => b')',
            Kind::Atom | Kind::Literal | Kind::Special(_) => return text(raw),
        };
        let inner = raw.get(1..).unwrap_or_default();
        let inner = inner.strip_suffix(&[close]).unwrap_or(inner);
        let mut out = Vec::with_capacity(inner.len());
        let mut escaped = false;
        for &byte in inner {
            match byte {
                b'\r' | b'\n' => {}
                b'\\' if !escaped => {
                    escaped = true;
                    continue;
                }
                _ => out.push(byte),
            }
            escaped = false;
        }
        text(&out)
    }
}

/// Bytes as text: UTF-8, or else ISO 8859-1, which is what old programs wrote.
pub(crate) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// Cuts the text into tokens.
pub(super) fn tokens(bytes: &[u8]) -> impl Iterator<Item = Token> + Clone {
    let mut position = 0usize;
    std::iter::from_fn(move || {
        let rest = bytes.get(position..)?;
        let start = position.saturating_add(blanks(rest));
        let rest = bytes.get(start..)?;
        let &first = rest.first()?;
        let (kind, length) = match first {
            b'"' => (Kind::Quoted, delimited(rest, None, b'"')),
            b'(' => (Kind::Comment, delimited(rest, Some(b'('), b')')),
            b'[' => (Kind::Literal, delimited(rest, None, b']')),
            b'<' | b'>' | b'@' | b',' | b';' | b':' | b'.' => (Kind::Special(first), 1),
            _ => (Kind::Atom, q_word(rest).unwrap_or_else(|| atom(rest))),
        };
        position = start.saturating_add(length);
        Some(Token {
            kind,
            range: start..position,
        })
    })
}

/// How much cannot be seen before the next token: what was copied with an address is none of it.
fn blanks(text: &[u8]) -> usize {
    let mut rest = text;
    while let Some(&first) = rest.first() {
        let length = match first {
            _ if first.is_ascii_whitespace() => 1,
            _ if first.is_ascii() => break,
            _ => match first_char(rest) {
                Some(c) if is_blank_or_unseen(c) => c.len_utf8(),
                // ISO 8859-1.
                None if first == 0xa0 => 1,
                _ => break,
            },
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    text.len().saturating_sub(rest.len())
}

fn first_char(text: &[u8]) -> Option<char> {
    text.get(..text.len().min(4))?
        .utf8_chunks()
        .next()?
        .valid()
        .chars()
        .next()
}

/// Length of the atom that the text begins with, without what cannot be seen at its end.
fn atom(text: &[u8]) -> usize {
    let length = text.iter().take_while(|&&byte| in_atom(byte)).count();
    let mut word = text.get(..length).unwrap_or_default();
    while !word.last().is_none_or(u8::is_ascii) {
        let starts = |&at: &usize| word.get(at).is_some_and(|byte| byte & 0xc0 != 0x80);
        let last = (word.len().saturating_sub(4)..word.len())
            .rev()
            .find(starts);
        let Some((before, last)) = last.and_then(|last| word.split_at_checked(last)) else {
            break;
        };
        if !std::str::from_utf8(last).is_ok_and(|c| c.chars().all(is_blank_or_unseen)) {
            break;
        }
        word = before;
    }
    word.len().max(1)
}

/// With blanks in the place of what cannot be seen between the tokens.
pub(super) fn visible(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.is_ascii() {
        return Cow::Borrowed(bytes);
    }
    let mut out = bytes.to_vec();
    let mut end = 0usize;
    let last = bytes.len()..bytes.len();
    for range in tokens(bytes).map(|token| token.range).chain([last]) {
        let gap = out.get_mut(end..range.start).unwrap_or_default();
        gap.iter_mut()
            .filter(|byte| !byte.is_ascii())
            .for_each(|byte| *byte = b' ');
        end = range.end;
    }
    Cow::Owned(out)
}

fn in_atom(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && !b"\"([<>@,;:.".contains(&byte)
}

/// Quotes, parentheses and brackets that are never closed become blanks. Only the last token can be
/// open. `to_read`: a comment that holds no further element may stay open, and so do backslashes,
/// which then mean nothing.
pub(super) fn closed(bytes: &[u8], to_read: bool) -> Cow<'_, [u8]> {
    let mut bytes = Cow::Borrowed(bytes);
    for _ in 0..4 {
        let Some(last) = tokens(&bytes).last() else {
            break;
        };
        let range = bytes.get(last.range.clone()).unwrap_or_default();
        let signs: &[u8] = match last.kind {
            _ if is_closed(last.kind, range) => break,
            Kind::Comment if to_read && !range.iter().any(|byte| b"@,;".contains(byte)) => break,
            // `x"@example.org` is no address with a sign too many: whoever wrote it meant another
            // local part.
            Kind::Quoted if range.starts_with(b"\"@") => break,
            Kind::Quoted => b"\"\\",
            Kind::Comment => b"()\\",
            _ => b"[\\",
        };
        let range = bytes.to_mut().get_mut(last.range).unwrap_or_default();
        range
            .iter_mut()
            .filter(|byte| signs.contains(byte) && !(to_read && **byte == b'\\'))
            .for_each(|byte| *byte = b' ');
    }
    bytes
}

/// Length of the encoded word in Q that the text begins with; RFC 2047 §2 allows 75, programs write
/// longer ones.
pub(super) fn q_word(text: &[u8]) -> Option<usize> {
    let head = text.get(..text.len().min(300))?;
    let inner = head.strip_prefix(b"=?")?;
    let charset = inner.iter().position(|&byte| byte == b'?')?;
    let encoded = inner.get(charset..)?;
    let encoded = encoded
        .strip_prefix(b"?q?")
        .or_else(|| encoded.strip_prefix(b"?Q?"))?;
    let end = encoded
        .iter()
        .position(|&byte| byte == b'?' || !byte.is_ascii_graphic())?;
    let length = charset.saturating_add(end).saturating_add(7);
    // What goes on without a break is a word as any other (RFC 2047 §5).
    let goes_on = text.get(length).is_some_and(|&byte| in_atom(byte));
    (encoded.get(end..)?.starts_with(b"?=") && !goes_on).then_some(length)
}

/// Whether a word is meant as an encoded word: text, and never an address (RFC 2047 §5).
pub(crate) fn is_encoded(word: &str) -> bool {
    word.starts_with("=?") && word.ends_with("?=") && word.matches('?').count() == 4
}

/// Whether the token ends with what closes it.
pub(super) fn is_closed(kind: Kind, raw: &[u8]) -> bool {
    let (open, close) = match kind {
        Kind::Quoted => (None, b'"'),
        Kind::Comment => (Some(b'('), b')'),
        Kind::Literal => (None, b']'),
        Kind::Atom | Kind::Special(_) => return true,
    };
    // One byte more belongs to the token only where it is still open.
    let longer = [raw, b" "].concat();
    delimited(&longer, open, close) == raw.len()
}

/// Length up to and with the closing byte; `open` nests, a backslash takes the next byte with it.
fn delimited(rest: &[u8], open: Option<u8>, close: u8) -> usize {
    let mut depth = 0usize;
    let mut escaped = false;
    for (index, &byte) in rest.iter().enumerate() {
        if escaped {
            escaped = false;
        } else if byte == b'\\' {
            escaped = true;
        } else if index == 0 || Some(byte) == open {
            depth = depth.saturating_add(1);
        } else if byte == close {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return index.saturating_add(1);
            }
        }
    }
    rest.len()
}
