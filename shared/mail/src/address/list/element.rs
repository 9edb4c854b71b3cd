//! One mailbox of an address list, from its tokens.
//!
//! Contract: total and linear; a source route and a final dot of the domain do not count.
//! RFC 5322 §3.4 (addresses), §4.4 (obsolete forms).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::ops::Range;

use super::token::{self, Kind, Token, closed, tokens};
use crate::address::{Address, AddressError, LocalPart, Mailbox};

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
    /// It stands behind `Bcc:` in another field's line: served, and never shown.
    pub blind: bool,
    /// A bracket was opened before the address, and never closed: it may have been cut off.
    pub unclosed: bool,
}

/// An element that is no mailbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The element as written.
    pub text: String,
    /// What is wrong with it.
    pub error: AddressError,
}

/// `a@x b@y root`: each word between blanks that is a whole address, and what stands between them,
/// unless it can be nothing but the name of the address behind it. `None`: none is one.
pub(super) fn without_commas(
    bytes: &[u8],
    element: &[Token],
) -> Option<(Vec<Entry>, Vec<Problem>)> {
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    let mut rest: Option<Range<usize>> = None;
    let mut tell = |rest: Option<Range<usize>>| {
        problems.extend(rest.map(|rest| Problem {
            text: token::text(bytes.get(rest).unwrap_or_default()),
            error: AddressError::NoDomain,
        }));
    };
    let words = element.chunk_by(|one, next| one.range.end == next.range.start);
    for word in words.filter(|word| word.iter().any(|token| token.kind != Kind::Comment)) {
        let place = span(word);
        match read(bytes, word, place.clone()) {
            Ok(entry) if entry.target.address().is_some() => {
                tell(rest.take().filter(|rest| !is_name(bytes, element, rest)));
                entries.push(entry);
            }
            _ => rest = Some(rest.map_or(place.start, |rest| rest.start)..place.end),
        }
    }
    tell(rest);
    (!entries.is_empty()).then_some((entries, problems))
}

/// `John Smith` before an address, and not `root` or `x@`: names of users have small letters alone.
fn is_name(bytes: &[u8], element: &[Token], words: &Range<usize>) -> bool {
    let inside =
        |token: &&Token| words.contains(&token.range.start) && !matches!(token.kind, Kind::Comment);
    let words: Vec<&Token> = element.iter().filter(inside).collect();
    let plain = |token: &&Token| match token.kind {
        Kind::Atom | Kind::Quoted => true,
        Kind::Special(special) => special == b'.',
        Kind::Comment | Kind::Literal => false,
    };
    let capital = |token: &&Token| {
        let written = token.written(bytes);
        written.contains(|c: char| c.is_uppercase() || !c.is_ascii() || c == '"')
    };
    words.iter().all(plain) && words.iter().any(capital)
}

/// `<a@x> <b@y>`, `Ann <a@x> Bob <b@y>`, `<a@x> b@y`: each bracket that closes ends a mailbox. A
/// name alone in brackets is one too (`<root> <b@y>`), but not behind other words, where it is part
/// of a name. `None`: there are not several, or not all can be read.
pub(super) fn apart<'t>(bytes: &[u8], element: &'t [Token]) -> Option<Vec<(&'t [Token], Entry)>> {
    let parts = element.split_inclusive(|token| token.kind == Kind::Special(b'>'));
    let parts = parts.filter(|part| part.iter().any(|token| token.kind != Kind::Comment));
    let entries = parts.map(|part| {
        let before = part.split(|token| token.kind == Kind::Special(b'<')).next();
        if before.is_some_and(|it| it.iter().any(|token| token.kind == Kind::Special(b':'))) {
            // Of the name of a field, or of a group.
            return None;
        }
        let entry = read(bytes, part, span(part)).ok()?;
        let angled = part.iter().any(|token| token.kind == Kind::Special(b'<'));
        let known = match entry.target {
            Mailbox::Address(_) => true,
            Mailbox::Local(_) => angled && entry.name.is_none(),
        };
        known.then_some((part, entry))
    });
    let entries: Option<Vec<_>> = entries.collect();
    entries.filter(|entries| entries.len() > 1)
}

pub(super) fn span(tokens: &[Token]) -> Range<usize> {
    let start = tokens.first().map_or(0, |token| token.range.start);
    start..tokens.last().map_or(start, |token| token.range.end)
}

/// One mailbox: `phrase <spec>` or `spec`, comments anywhere.
pub(super) fn read(
    bytes: &[u8],
    element: &[Token],
    mailbox: Range<usize>,
) -> Result<Entry, AddressError> {
    let comment = element
        .iter()
        .rev()
        .find(|t| t.kind == Kind::Comment)
        .map(|t| t.meaning(bytes));
    let words: Vec<&Token> = element.iter().filter(|t| t.kind != Kind::Comment).collect();
    let open = words.iter().position(|t| t.kind == Kind::Special(b'<'));
    let mut unclosed = false;
    let (phrase, spec) = match open {
        None => (&[][..], words.as_slice()),
        Some(open) => {
            let (phrase, rest) = words.split_at_checked(open).unwrap_or_default();
            if holds_mailbox(phrase) {
                return Err(AddressError::LocalPart);
            }
            let inner = rest.get(1..).unwrap_or_default();
            // Without a closing bracket it ends with the element; words behind one are of the name.
            let close = inner.iter().position(|t| t.kind == Kind::Special(b'>'));
            unclosed = close.is_none();
            let close = close.unwrap_or(inner.len());
            let (spec, behind) = inner.split_at_checked(close).unwrap_or_default();
            let more = |t: &&Token| matches!(t.kind, Kind::Special(b'@' | b'<' | b'>'));
            if behind.iter().skip(1).any(more) {
                return Err(AddressError::LocalPart);
            }
            (phrase, without_route(bytes, spec))
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
    let target = target(bytes, spec)?;
    if !says_alone(bytes.get(range.clone()).unwrap_or_default(), &target) {
        return Err(AddressError::LocalPart);
    }
    Ok(Entry {
        target,
        name: name(bytes, phrase),
        comment,
        mailbox,
        spec: range,
        blind: false,
        unclosed,
    })
}

/// `x@d> <y@z>`, `x@d Cc: <y@z>`: a mailbox ends in what stands before the bracket; `x@d <y@z>` has
/// a name.
fn holds_mailbox(phrase: &[&Token]) -> bool {
    let at = phrase
        .iter()
        .position(|token| token.kind == Kind::Special(b'@'));
    let behind = phrase.iter().skip(at.unwrap_or(phrase.len()));
    let ends = |token: &&Token| matches!(token.kind, Kind::Special(b'>' | b':'));
    behind.copied().any(|token| ends(&token))
}

/// Whether the address means the same without what is around it. What was opened in it and never
/// closed can mean something else there, and then nobody knows what is meant.
fn says_alone(spec: &[u8], meant: &Mailbox) -> bool {
    if !spec.iter().any(|byte| b"\"()[".contains(byte)) {
        return true;
    }
    let sound = closed(spec, true);
    let tokens: Vec<Token> = tokens(&sound).collect();
    let words: Vec<&Token> = tokens.iter().filter(|t| t.kind != Kind::Comment).collect();
    target(spec, &words).as_ref() == Ok(meant)
}

/// What addresses are written with in documents and other programs' tables.
const SCHEMES: [&str; 2] = ["mailto", "smtp"];

/// `@a,@b:user@c` and `mailto:user@c` mean `user@c`.
pub(super) fn without_route<'a, 't>(bytes: &[u8], spec: &'a [&'t Token]) -> &'a [&'t Token] {
    let routed = match spec {
        [first, second, ..] => {
            let named = first.written(bytes).to_ascii_lowercase();
            let scheme = second.kind == Kind::Special(b':') && SCHEMES.contains(&&*named);
            first.kind == Kind::Special(b'@') || scheme
        }
        _ => false,
    };
    if !routed {
        return spec;
    }
    let colon = spec.iter().position(|t| t.kind == Kind::Special(b':'));
    colon
        .and_then(|colon| spec.get(colon.saturating_add(1)..))
        .unwrap_or(spec)
}

pub(super) fn name(bytes: &[u8], phrase: &[&Token]) -> Option<String> {
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

/// The address that the tokens spell; blanks and comments around dots and the @ do not count (RFC
/// 5322 §4.4).
pub(super) fn target(bytes: &[u8], spec: &[&Token]) -> Result<Mailbox, AddressError> {
    let at = spec.iter().rposition(|t| t.kind == Kind::Special(b'@'));
    let Some(at) = at else {
        // In quotes as well: without a domain it would be written without them.
        let local = local(bytes, spec)?;
        if token::is_encoded(&local) {
            return Err(AddressError::LocalPart);
        }
        return LocalPart::new(&local).map(Mailbox::Local);
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
    let local = match (local(bytes, before), dotted(bytes, before)) {
        (Err(_), Some(dotted)) => dotted,
        (local, _) => local?,
    };
    Address::new(&local, &domain).map(Mailbox::Address)
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

/// `a..b` and `a.`, which some providers give to people: no dot-string, and written with quotes.
fn dotted(bytes: &[u8], words: &[&Token]) -> Option<String> {
    let plain = |t: &&Token| matches!(t.kind, Kind::Atom | Kind::Special(b'.'));
    let joined = words.is_sorted_by(|one, next| one.range.end == next.range.start);
    let atoms = words.iter().any(|t| t.kind == Kind::Atom);
    (joined && atoms && words.iter().all(plain))
        .then(|| words.iter().map(|token| token.written(bytes)).collect())
}
