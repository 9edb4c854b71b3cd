//! Address fields that a strict reader would refuse or read in another way, written anew as they
//! were meant.
//!
//! Contract: total and linear; a well-formed field is left alone; what comes out is well-formed and
//! holds every address that went in. A name with specials is quoted (`Kock, Arne <a@x>` is one
//! mailbox, and in From `Ops: x <a@x>` is no group), an open group is closed or was none, text
//! without an address becomes an empty group with that name. Words before a mailbox with a name are
//! a part of it: in From always, elsewhere unless whoever asks knows them as somebody's. (Postfix,
//! Exim and sendmail put a domain of theirs behind such a word, which makes a mailbox of nobody.)
//! RFC 5322 §3.2.3, §3.4, §3.6.2.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    List,
    element::{apart, name, target, without_route},
    parse, phrase,
    token::{Bracket, Kind, Token, closed, is_closed, q_word, tokens, visible},
};
use crate::address::{Mailbox, is_atext};

/// How many mailboxes a field may hold.
#[derive(Clone, Copy)]
pub enum Role<'a> {
    /// From, Sender: one. A name without any address gets this one.
    Author(&'a str),
    /// To, Cc, Reply-To: any number, and groups; which words are mailboxes of this machine.
    Recipients(Known<'a>),
}

/// Whether a word alone is a mailbox, and not a part of a name.
pub type Known<'a> = &'a dyn Fn(&str) -> bool;

/// A field written anew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mended {
    /// The value, not folded; empty if nothing is left.
    pub text: String,
    /// All authors, where there are more than one field can hold.
    pub authors: Vec<String>,
}

/// `None`: it is well-formed.
pub fn mend(bytes: &[u8], role: Role<'_>) -> Option<Mended> {
    let closed = closed(&visible(&sound_words(bytes)), false).into_owned();
    if matches!(role, Role::Recipients(_))
        && let list = parse(&closed)
        && list.guessed
    {
        return Some(Mended {
            text: picked_out(&list),
            authors: Vec::new(),
        });
    }
    let semicolon = |token: &Token| token.kind == Kind::Special(b';');
    let mut reader = Reader {
        bytes: &closed,
        role,
        in_group: false,
        semicolons: tokens(&closed).filter(semicolon).count(),
        lacks_comma: false,
        fine: closed == bytes,
        items: Vec::new(),
        names: Vec::new(),
        held: Vec::new(),
    };
    reader.read();
    let mailboxes = reader.mailboxes();
    let single = matches!(role, Role::Author(_));
    if reader.fine && (!single || mailboxes.len() == 1) {
        return None;
    }
    Some(match mailboxes.as_slice() {
        [first, _, ..] if single => Mended {
            text: first.clone(),
            authors: mailboxes,
        },
        _ => Mended {
            text: written(&reader.items),
            authors: Vec::new(),
        },
    })
}

/// What was picked out of what is no list, as one.
fn picked_out(list: &List) -> String {
    let shown = list.entries.iter().filter(|entry| !entry.blind);
    let mailboxes = shown.map(|entry| {
        let name = entry.name.as_ref().or(entry.comment.as_ref());
        match name
            .map(|name| phrase(name))
            .filter(|name| !name.is_empty())
        {
            Some(name) => format!("{name} <{}>", entry.target),
            None => entry.target.to_string(),
        }
    });
    let problems = list.problems.iter().filter(|problem| !problem.blind);
    let problems = problems.map(|problem| phrase(&problem.text));
    let problems = problems.filter(|text| !text.is_empty());
    let items: Vec<String> = mailboxes
        .chain(problems.map(|text| format!("{text}:;")))
        .collect();
    items.join(", ")
}

/// Specials inside of encoded words in Q (RFC 2047 §5 (3) allows none) become escapes:
/// `=?utf-8?q?M,_(J)?=`.
fn sound_words(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut quoted = false;
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        let length = if quoted { None } else { q_word(rest) };
        let (word, after) = rest
            .split_at_checked(length.unwrap_or(1))
            .unwrap_or((rest, &[]));
        rest = after;
        if length.is_none() {
            quoted ^= first == b'"' && out.last() != Some(&b'\\');
            out.push(first);
            continue;
        }
        for &byte in word {
            if b"\"(),.:;<>@[\\]".contains(&byte) {
                out.extend_from_slice(format!("={byte:02X}").as_bytes());
            } else {
                out.push(byte);
            }
        }
    }
    out
}

enum Item {
    Mailbox(String),
    GroupBegins(String),
    GroupEnds,
}

fn written(items: &[Item]) -> String {
    let mut out = String::new();
    let mut comma = false;
    for item in items {
        match item {
            Item::GroupEnds => out.push(';'),
            Item::Mailbox(text) | Item::GroupBegins(text) => {
                out.push_str(if comma { ", " } else { " " });
                out.push_str(text);
            }
        }
        comma = true;
        if matches!(item, Item::GroupBegins(_)) {
            out.push(':');
            comma = false;
        }
    }
    out.trim().to_owned()
}

struct Reader<'a> {
    bytes: &'a [u8],
    role: Role<'a>,
    in_group: bool,
    /// Semicolons still to come.
    semicolons: usize,
    /// A group ended, and no comma stood behind it yet.
    lacks_comma: bool,
    /// Nothing had to be guessed so far.
    fine: bool,
    items: Vec<Item>,
    /// Words of an author's name that stand alone between commas.
    names: Vec<String>,
    /// What each of those last words is where no name goes on behind them.
    held: Vec<Vec<Item>>,
}

impl Reader<'_> {
    fn read(&mut self) {
        let mut element: Vec<Token> = Vec::new();
        let mut bracket = Bracket::Outside;
        for token in tokens(self.bytes) {
            self.fine &= self.without_controls(&token);
            let before = bracket;
            bracket = before.after(token.kind);
            match token.kind {
                Kind::Special(b',') if before != Bracket::Route => {
                    if !(element.is_empty() && self.after_group()) {
                        self.element(&element);
                    }
                    self.lacks_comma = false;
                    element.clear();
                    continue;
                }
                Kind::Special(b':')
                    if before == Bracket::Outside && self.begins_group(&element) =>
                {
                    self.release();
                    self.fine &= !std::mem::take(&mut self.lacks_comma);
                    self.fine &= element.iter().all(|token| self.in_phrase(token));
                    // `"":;` has a name, an empty one; without it the group would be none.
                    let name = match phrase(&self.words(&element)) {
                        name if name.is_empty() => "\"\"".to_owned(),
                        name => name,
                    };
                    self.items.push(Item::GroupBegins(name));
                    self.in_group = true;
                    element.clear();
                    continue;
                }
                Kind::Special(b';') if before != Bracket::Route => {
                    self.semicolons = self.semicolons.saturating_sub(1);
                    self.semicolon(&element);
                    element.clear();
                    continue;
                }
                _ => {}
            }
            element.push(token);
        }
        self.end(&element);
    }

    /// Ends a group, or stands for a comma.
    fn semicolon(&mut self, element: &[Token]) {
        if !element.is_empty() {
            self.element(element);
        }
        self.release();
        self.fine &= self.in_group;
        if std::mem::take(&mut self.in_group) {
            self.items.push(Item::GroupEnds);
            self.lacks_comma = true;
        }
    }

    fn end(&mut self, element: &[Token]) {
        let after_group = self.after_group();
        if !element.is_empty() {
            self.element(element);
        } else if !after_group {
            // A comma at the end, or nothing at all.
            self.fine = false;
        }
        self.release();
        if std::mem::take(&mut self.in_group) {
            self.fine = false;
            self.items.push(Item::GroupEnds);
        }
        if let Role::Author(own) = self.role
            && !self.names.is_empty()
        {
            // Words behind the author are nobody's name.
            self.fine = false;
            if self.mailboxes().is_empty() {
                let name = phrase(&self.names.join(", "));
                self.items.push(Item::Mailbox(format!("{name} <{own}>")));
            }
        }
    }

    fn after_group(&self) -> bool {
        let last = self.held.last().unwrap_or(&self.items).last();
        matches!(last, Some(Item::GroupEnds))
    }

    /// A phrase, then a colon, and a semicolon somewhere behind it.
    fn begins_group(&self, element: &[Token]) -> bool {
        let special = |token: &Token| matches!(token.kind, Kind::Special(b'@' | b'<' | b':'));
        matches!(self.role, Role::Recipients(_))
            && !self.in_group
            && self.semicolons > 0
            // From the end, where the colon before is.
            && !element.iter().rev().any(special)
            && element.iter().any(|token| token.kind != Kind::Comment)
    }

    /// What stands between two commas.
    fn element(&mut self, element: &[Token]) {
        self.fine &= !self.lacks_comma;
        self.lacks_comma = false;
        match apart(self.bytes, element) {
            Some(parts) => {
                self.fine = false;
                for (part, _) in parts {
                    self.single(part);
                }
            }
            None => self.single(element),
        }
    }

    /// One mailbox, or what is none.
    fn single(&mut self, element: &[Token]) {
        let comment = element
            .iter()
            .rev()
            .find(|token| token.kind == Kind::Comment);
        let comment = comment
            .map(|token| token.meaning(self.bytes))
            .unwrap_or_default();
        let words: Vec<Token> = element
            .iter()
            .filter(|token| token.kind != Kind::Comment)
            .cloned()
            .collect();
        let open = words
            .iter()
            .rposition(|token| token.kind == Kind::Special(b'<'));
        match open {
            _ if words.is_empty() => self.fine = false,
            Some(open) => self.angled(&words, open, &comment),
            None => self.bare(&words, &comment),
        }
    }

    /// `phrase <spec>`
    fn angled(&mut self, words: &[Token], open: usize, comment: &str) {
        let (before, rest) = words.split_at_checked(open).unwrap_or_default();
        let rest = rest.get(1..).unwrap_or_default();
        let close = rest
            .iter()
            .position(|token| token.kind == Kind::Special(b'>'));
        let (spec, after) = rest
            .split_at_checked(close.unwrap_or(rest.len()))
            .unwrap_or_default();
        let after = after.get(1..).unwrap_or_default();
        self.fine &=
            close.is_some() && after.is_empty() && before.iter().all(|t| self.in_phrase(t));
        let mut names = vec![self.words(before), self.words(after)];
        if names.first().is_some_and(String::is_empty) {
            names.push(comment.to_owned());
        }
        names.retain(|name| !name.is_empty());
        let name = names.join(" ");
        if before.is_empty() {
            self.release();
        }
        if let Some(target) = self.address(spec) {
            return self.mailbox(&target, &name);
        }
        self.release();
        self.fine = false;
        let spec = self.words(spec);
        self.no_address(if name.is_empty() { &spec } else { &name });
    }

    /// An address without brackets, a name, or several words of which some are addresses.
    fn bare(&mut self, words: &[Token], comment: &str) {
        match (self.address(words), self.role) {
            // As it stands: `Dr. Joe` could be a mailbox `Dr.Joe`, and is a name here.
            (Some(Mailbox::Local(_)), Role::Author(_)) if self.more_to_come(words) => {
                self.names.push(self.words(words));
            }
            (Some(Mailbox::Local(name)), Role::Recipients(known))
                if comment.is_empty() && !self.in_group && !known(name.as_str()) =>
            {
                let alone = Mailbox::Local(name.clone()).to_string();
                self.hold(&self.words(words), vec![Item::Mailbox(alone)]);
            }
            (Some(target), _) => {
                self.release();
                self.mailbox(&target, comment);
            }
            (None, _) => {
                self.fine = false;
                let mut name: Vec<String> = Vec::new();
                let mut found = false;
                for run in words.chunk_by(|one, next| one.range.end == next.range.start) {
                    let at = run.iter().any(|token| token.kind == Kind::Special(b'@'));
                    match self.address(run).filter(|_| at) {
                        Some(target) => {
                            self.release();
                            self.mailbox(&target, name.join(" ").trim_end_matches(':'));
                            name.clear();
                            found = true;
                        }
                        None => name.push(self.words(run)),
                    }
                }
                if !found {
                    self.no_address(name.join(" ").trim_end_matches(':'));
                }
            }
        }
    }

    /// Whether something stands before or behind these words in the field.
    fn more_to_come(&self, words: &[Token]) -> bool {
        let end = words.last().map_or(0, |token| token.range.end);
        let rest = self.bytes.get(end..).unwrap_or_default();
        !self.names.is_empty() || tokens(rest).any(|token| token.kind != Kind::Comment)
    }

    /// Text where an address should be.
    fn no_address(&mut self, text: &str) {
        if matches!(self.role, Role::Author(_)) {
            self.names.push(text.to_owned());
        } else if !self.in_group && !text.trim().is_empty() {
            let alone = vec![Item::GroupBegins(phrase(text)), Item::GroupEnds];
            self.hold(text, alone);
        }
    }

    /// Words that may be the beginning of a name, and what they are otherwise.
    fn hold(&mut self, words: &str, alone: Vec<Item>) {
        self.names.push(words.to_owned());
        self.held.push(alone);
    }

    /// No name goes on behind the words that were held.
    fn release(&mut self) {
        if matches!(self.role, Role::Recipients(_)) {
            self.names.clear();
            self.items.extend(self.held.drain(..).flatten());
        }
    }

    fn mailbox(&mut self, target: &Mailbox, name: &str) {
        let address = target.to_string();
        let mut name = name.to_owned();
        if !self.names.is_empty() {
            self.fine = false;
            self.names.push(name);
            self.names.retain(|name| !name.is_empty());
            name = std::mem::take(&mut self.names).join(", ");
            self.held.clear();
        }
        self.items.push(Item::Mailbox(if name.trim().is_empty() {
            address
        } else {
            format!("{} <{address}>", phrase(&name))
        }));
    }

    fn mailboxes(&self) -> Vec<String> {
        let mailbox = |item: &Item| match item {
            Item::Mailbox(text) => Some(text.clone()),
            Item::GroupBegins(_) | Item::GroupEnds => None,
        };
        self.items.iter().filter_map(mailbox).collect()
    }

    /// The address that the tokens spell; a source route and a final dot do not count.
    fn address(&mut self, spec: &[Token]) -> Option<Mailbox> {
        let spec: Vec<&Token> = spec.iter().collect();
        let direct = without_route(self.bytes, &spec);
        let dot = |token: &&Token| token.kind == Kind::Special(b'.');
        let kept = direct
            .len()
            .saturating_sub(direct.iter().rev().take_while(|t| dot(t)).count());
        let kept = direct.get(..kept).unwrap_or_default();
        let first = kept.first()?.range.start;
        let raw = self.bytes.get(first..kept.last()?.range.end)?;
        std::str::from_utf8(raw).ok()?;
        let raw = |token: &Token| self.bytes.get(token.range.clone()).unwrap_or_default();
        if !kept.iter().all(|token| is_closed(token.kind, raw(token))) {
            return None;
        }
        let target = target(self.bytes, kept).ok()?;
        let typed = kept.iter().any(|token| token.kind == Kind::Quoted);
        let shown = target.to_string().starts_with('"');
        self.fine &= kept.len() == spec.len() && (typed || !shown);
        Some(target)
    }

    /// The meaning of the tokens, with blanks where there are any.
    fn words(&self, tokens: &[Token]) -> String {
        let tokens: Vec<&Token> = tokens.iter().filter(|t| t.kind != Kind::Comment).collect();
        name(self.bytes, &tokens).unwrap_or_default()
    }

    fn in_phrase(&self, token: &Token) -> bool {
        match token.kind {
            Kind::Atom => token.written(self.bytes).chars().all(is_atext),
            Kind::Quoted | Kind::Comment => true,
            // A dot too: RFC 5322 has it in its obsolete syntax alone (§4.1).
            Kind::Literal | Kind::Special(_) => false,
        }
    }

    fn without_controls(&self, token: &Token) -> bool {
        let raw = self.bytes.get(token.range.clone()).unwrap_or_default();
        !raw.iter()
            .any(|byte| byte.is_ascii_control() && !b"\t\r\n".contains(byte))
    }
}

#[cfg(test)]
mod tests;
