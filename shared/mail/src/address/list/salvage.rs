//! Addresses in what is no list: fields on one line, an indented text, a port behind an address, a
//! comment without end, brackets in excess.
//!
//! Contract: total and linear; every address of the element becomes an [`Entry`], what is neither
//! one nor a name before one a [`Problem`].
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    element::{Entry, Problem, read, span},
    token::{Kind, Token},
};
use crate::address::Mailbox;

/// Fields that name recipients; in their place a name without a domain is one, too.
pub(crate) const RECIPIENTS: &[&str] = &["To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc"];
/// Those of them that are shown to nobody.
pub(crate) const BLIND: &[&str] = &["Bcc", "Resent-Bcc"];
/// Other fields that follow To in what programs write.
const FIELDS: &[&str] = &[
    "From",
    "Sender",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Disposition",
    "Auto-Submitted",
    "Precedence",
    "Return-Path",
    "Importance",
    "Priority",
    "References",
    "In-Reply-To",
];

const COLON: Kind = Kind::Special(b':');

fn is_one_of(name: &str, fields: &[&str]) -> bool {
    fields.iter().any(|field| field.eq_ignore_ascii_case(name))
}

/// Whether what stands before a colon can be a group's name: without an address, and not the end of
/// a line that holds the name of the next field, unless what follows is written as a group to its
/// end. What may be meant as a field of blind recipients never is one's name.
pub(super) fn names_a_group(
    bytes: &[u8],
    before: &[Token],
    behind: impl Iterator<Item = Token>,
) -> bool {
    let at = |token: &Token| matches!(token.kind, Kind::Special(b'@' | b'<' | b'>' | b':'));
    // From the end, where the colon before is: no token is looked at for each of many colons.
    if before.iter().rev().any(at) {
        return false;
    }
    let mut words = before.iter().rev().filter(|t| t.kind != Kind::Comment);
    let (Some(last), word) = (words.next(), words.next()) else {
        return true;
    };
    let name = last.meaning(bytes);
    if is_one_of(&name, BLIND) {
        return false;
    }
    let is_field = word.is_some_and(|word| {
        let gap = bytes.get(word.range.end..last.range.start);
        let folded = gap.is_some_and(|gap| gap.contains(&b'\n'));
        is_one_of(&name, RECIPIENTS) || is_one_of(&name, FIELDS) || (folded && name.contains('-'))
    });
    !is_field || ends_as_a_group(behind)
}

/// Whether a semicolon ends what stands behind a colon, and nothing but a comma follows it.
fn ends_as_a_group(behind: impl Iterator<Item = Token>) -> bool {
    let mut behind = behind.filter(|token| token.kind != Kind::Comment);
    // At the next colon, so that no token is looked at for each of many.
    let end = behind.find(|token| matches!(token.kind, Kind::Special(b';' | b':')));
    end.is_some_and(|token| token.kind == Kind::Special(b';'))
        && behind
            .next()
            .is_none_or(|token| token.kind == Kind::Special(b','))
}

/// Whether the addresses of an element that cannot be read are picked out of it.
pub(super) fn is_due(element: &[Token], unclosed: bool) -> bool {
    let sign = |token: &Token| matches!(token.kind, Kind::Special(b'<' | b'>' | b':'));
    unclosed || element.iter().any(sign)
}

/// The addresses of an element, and what is none. `blind`: it goes on with blind recipients.
pub(super) fn pick(bytes: &[u8], element: &[Token], blind: bool) -> Found {
    let mut found = Found {
        blind,
        ..Found::default()
    };
    let mut label: Option<&Token> = None;
    let mut first = true;
    let mut segments = element.split(|token| token.kind == COLON).peekable();
    while let Some(segment) = segments.next() {
        let (body, next) = match segments.peek() {
            Some(_) => without_label(segment),
            None => (segment, None),
        };
        let name = label.map(|token| token.meaning(bytes));
        let of_recipients = name.as_ref().is_some_and(|it| is_one_of(it, RECIPIENTS));
        if let Some(next) = next
            && of_recipients
            && is_group(bytes, body, next)
        {
            // `Bcc: my team: x@d;`
            found.segment(bytes, &[], label, false);
            continue;
        }
        // A name without a domain is none behind `Subject:`, and no port is one.
        let local = name.map_or(first, |name| is_one_of(&name, RECIPIENTS));
        found.segment(bytes, body, label, local);
        // `Subject: disk: full` is told as a whole.
        if next.is_none() || label.is_none() || !body.is_empty() {
            label = next;
        }
        first = false;
    }
    found
}

/// Whether the words before a colon, the last of them apart, are the name of a group.
fn is_group(bytes: &[u8], words: &[Token], last: &Token) -> bool {
    let name = last.meaning(bytes);
    let is_field = is_one_of(&name, RECIPIENTS) || is_one_of(&name, FIELDS) || name.contains('-');
    let plain = |token: &Token| match token.kind {
        Kind::Special(special) => special == b'.',
        Kind::Atom | Kind::Quoted | Kind::Comment => true,
        Kind::Literal => false,
    };
    !is_field && words.iter().all(plain)
}

#[derive(Default)]
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) problems: Vec<Problem>,
    /// What stands behind it is blind.
    pub(super) blind: bool,
}

impl Found {
    /// What stands between two colons, behind the word before the first of them.
    fn segment(&mut self, bytes: &[u8], words: &[Token], label: Option<&Token>, local: bool) {
        // Of recipients alone: another word before a colon is a group's name, or a part of a text.
        let label_name = label.map(|label| label.meaning(bytes));
        if let Some(name) = label_name.filter(|name| is_one_of(name, RECIPIENTS)) {
            self.blind = is_one_of(&name, BLIND);
        }
        if words.iter().all(|token| token.kind == Kind::Comment) {
            return;
        }
        let (known, told, blind) = (self.entries.len(), self.problems.len(), self.blind);
        self.words(bytes, words, label, local);
        for problem in self.problems.iter_mut().skip(told) {
            problem.blind = blind;
        }
        for entry in self.entries.iter_mut().skip(known) {
            entry.blind = blind;
        }
    }

    fn words(&mut self, bytes: &[u8], words: &[Token], label: Option<&Token>, local: bool) {
        match read(bytes, words, span(words)) {
            Ok(entry) if local || entry.target.address().is_some() => {
                return self.entries.push(entry);
            }
            _ => {}
        }
        let mut kept: Option<std::ops::Range<usize>> = label.map(|token| token.range.clone());
        let close = Kind::Special(b'>');
        let joined = |one: &Token, next: &Token| {
            one.range.end == next.range.start && (one.kind != close || next.kind == close)
        };
        for run in words.chunk_by(joined) {
            if let Some(entry) = address(bytes, run) {
                self.entries.push(entry);
                kept = None;
            } else {
                let run = span(run);
                kept = Some(kept.map_or(run.start, |kept| kept.start)..run.end);
            }
        }
        if let Some(kept) = kept {
            self.problems.push(Problem::no_address(bytes, kept));
        }
    }
}

/// A whole address, however it is wrapped.
fn address(bytes: &[u8], mut run: &[Token]) -> Option<Entry> {
    let (open, close) = (Kind::Special(b'<'), Kind::Special(b'>'));
    let brackets = |it: &Kind| run.iter().filter(|token| token.kind == *it).count();
    let unclosed = brackets(&open) > brackets(&close);
    while let [first, rest @ ..] = run
        && first.kind == open
    {
        run = rest;
    }
    while let [rest @ .., last] = run
        && last.kind == close
    {
        run = rest;
    }
    // What begins with a quote of a shell goes on behind it.
    run.first()
        .filter(|first| !first.written(bytes).starts_with('\''))?;
    let entry = read(bytes, run, span(run)).ok()?;
    let entry = Entry { unclosed, ..entry };
    matches!(entry.target, Mailbox::Address(_)).then_some(entry)
}

/// Cuts off the word that stands right before the colon, unless it is the end of an address.
fn without_label(segment: &[Token]) -> (&[Token], Option<&Token>) {
    let comments = segment.iter().rev();
    let comments = comments.take_while(|token| token.kind == Kind::Comment);
    let end = segment.len().saturating_sub(comments.count());
    let Some((last, body)) = segment.get(..end).and_then(<[Token]>::split_last) else {
        return (segment, None);
    };
    let in_address = |before: &Token| {
        before.range.end == last.range.start
            && matches!(before.kind, Kind::Special(b'@' | b'.') | Kind::Atom)
    };
    let is_word = matches!(last.kind, Kind::Atom | Kind::Quoted);
    if !is_word || body.last().is_some_and(in_address) {
        return (segment, None);
    }
    (body, Some(last))
}
