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
    /// `x@d <y@z>`: another address in the place of the name. A comma may be missing.
    pub named: Option<Address>,
}

/// A recipient who is served, and may not be the one that was meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Doubt {
    /// His `<` is never closed.
    Unclosed(Mailbox),
    /// Another address stands before his, in the place of the name.
    Named(Address, Mailbox),
}

/// An element that is no mailbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The element as written.
    pub text: String,
    /// What is wrong with it.
    pub error: AddressError,
    /// It stands behind `Bcc:`: told, and never shown.
    pub blind: bool,
}

impl Problem {
    /// What is no address.
    pub(super) fn no_address(bytes: &[u8], place: Range<usize>) -> Self {
        Self {
            text: token::text(bytes.get(place).unwrap_or_default()),
            error: AddressError::NoDomain,
            blind: false,
        }
    }
}

/// `a@x b@y root`: each word between blanks that is a whole address, and what stands between them,
/// unless it can be nothing but the name of the address behind it. `None`: none is one.
pub(super) fn without_commas(
    bytes: &[u8],
    element: &[Token],
) -> Option<(Vec<Entry>, Vec<Problem>)> {
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    // Which tokens are none so far.
    let mut rest: Option<Range<usize>> = None;
    let of = |rest: Range<usize>| element.get(rest).unwrap_or_default();
    let mut tell = |rest: &[Token]| problems.push(Problem::no_address(bytes, span(rest)));
    let mut end = 0usize;
    for word in element.chunk_by(|one, next| one.range.end == next.range.start) {
        let start = end;
        end = start.saturating_add(word.len());
        if word.iter().all(|token| token.kind == Kind::Comment) {
            continue;
        }
        match read(bytes, word, span(word)) {
            Ok(entry) if entry.target.address().is_some() => {
                let before = rest.take().map(of);
                before
                    .filter(|rest| !is_name(bytes, rest))
                    .into_iter()
                    .for_each(&mut tell);
                entries.push(entry);
            }
            _ => rest = Some(rest.map_or(start, |rest| rest.start)..end),
        }
    }
    rest.map(of).into_iter().for_each(tell);
    (!entries.is_empty()).then_some((entries, problems))
}

/// `John Smith` before an address, and not `root` or `x@`: names of users have small letters alone.
fn is_name(bytes: &[u8], words: &[Token]) -> bool {
    let words: Vec<&Token> = words.iter().filter(|t| t.kind != Kind::Comment).collect();
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
            if holds_mailbox(bytes, phrase) {
                return Err(AddressError::LocalPart);
            }
            let inner = rest.get(1..).unwrap_or_default();
            // Without a closing bracket it ends with the element; words behind one are of the name.
            let close = inner.iter().position(|t| t.kind == Kind::Special(b'>'));
            unclosed = close.is_none();
            let close = close.unwrap_or(inner.len());
            let (spec, behind) = inner.split_at_checked(close).unwrap_or_default();
            let more = |t: &&Token| matches!(t.kind, Kind::Special(b'@' | b'<' | b'>' | b':'));
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
    let is_other = |it: &Address| {
        target
            .address()
            .is_none_or(|target| target.key() != it.key())
    };
    let named = addressed(bytes, phrase).filter(is_other);
    Ok(Entry {
        target,
        named,
        name: name(bytes, phrase),
        comment,
        mailbox,
        spec: range,
        blind: false,
        unclosed,
    })
}

/// `x@d> <y@z>`, `x@d Cc: <y@z>`, `x@d Joe <y@z>`, `root Bcc: Joe <y@z>`: a mailbox, or a field's
/// name, is in what stands before the bracket; `x@d <y@z>` may have a name.
fn holds_mailbox(bytes: &[u8], phrase: &[&Token]) -> bool {
    let is = |token: &&Token, special| token.kind == Kind::Special(special);
    let behind = phrase.iter().skip_while(|token| !is(token, b'@'));
    if behind.copied().any(|token| is(&token, b'>')) || phrase.iter().any(|it| is(it, b':')) {
        return true;
    }
    let mut runs = phrase.chunk_by(|one, next| one.range.end == next.range.start);
    runs.clone().count() > 1 && runs.any(|run| addressed(bytes, run).is_some())
}

/// The whole address that the tokens spell, if they do.
fn addressed(bytes: &[u8], words: &[&Token]) -> Option<Address> {
    if !words.iter().any(|token| token.kind == Kind::Special(b'@')) {
        return None;
    }
    target(bytes, words).ok()?.address().cloned()
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
