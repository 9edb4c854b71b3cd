//! Which lines are meant as a field of recipients, however they are damaged, and where such a field
//! goes on. [`Intake`](super::intake::Intake) asks here, for every way into this machine.
//!
//! Contract: pure, total, linear. Of a name, letters and hyphens count alone; the colon has
//! look-alikes. What only cannot be seen ([`Manner::Unseen`]) does not make it another field; with
//! signs around it ([`Manner::Odd`]) it names recipients only where an address stands behind it,
//! and without a colon only where nothing but addresses does.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::{
    address::list::{self, BLIND, RECIPIENTS},
    message::header::name_length,
    text::is_blank_or_unseen,
};

/// A line that is meant as a field of recipients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Meant {
    pub(super) name: &'static str,
    /// Where its value begins.
    pub(super) value: usize,
    pub(super) manner: Manner,
}

/// How it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Manner {
    /// As the standard has it.
    Sound,
    /// With blanks, controls or characters without width; with another colon.
    Unseen,
    /// `>Bcc:`, `"Bcc":`, `Bcc= x@d`, `Bcc x@d`: a text may be written so, too.
    Odd,
}

impl Meant {
    pub(super) fn is_blind(&self) -> bool {
        BLIND.contains(&self.name)
    }
}

/// The longest of their names.
const LONGEST: usize = 10;

/// What a line is meant as, if that is a field of recipients.
pub(super) fn field(line: &[u8]) -> Option<Meant> {
    with_colon(line).or_else(|| without_colon(line))
}

fn with_colon(line: &[u8]) -> Option<Meant> {
    let mut name = Name::default();
    for (place, c) in seen(line) {
        if matches!(c, ':' | ';' | '=') || is_colon(c) {
            name.odd |= matches!(c, ';' | '=');
            return name.meant(line, place.saturating_add(c.len_utf8()));
        }
        name.take(c)?;
    }
    None
}

/// `Bcc x@d, y@d`, also with signs around the name or in the place of its colon.
fn without_colon(line: &[u8]) -> Option<Meant> {
    let is_sign = |c: char| {
        let is_dash = matches!(c, '\u{2013}' | '\u{2014}');
        is_blank_or_unseen(c) || is_dash || c.is_ascii_punctuation() && !"@<(_".contains(c)
    };
    let text = line.utf8_chunks().next()?.valid();
    let behind = text.trim_start_matches(is_sign);
    let end = behind.find(|c: char| !(c.is_ascii_alphabetic() || c == '-'))?;
    let (word, behind) = behind.split_at_checked(end)?;
    let name = known(word.trim_matches('-'))?;
    let value = behind.trim_start_matches(is_sign);
    let (gap, _) = behind.split_at_checked(behind.len().saturating_sub(value.len()))?;
    let place = text.len().saturating_sub(value.len());
    let list = list::parse(line.get(place..)?);
    let is_address = |entry: &list::Entry| entry.target.address().is_some();
    let nothing_else = list.problems.is_empty() && list.entries.iter().any(is_address);
    (gap.contains(is_blank_or_unseen) && nothing_else).then_some(Meant {
        name,
        value: place,
        manner: Manner::Odd,
    })
}

fn known(letters: &str) -> Option<&'static str> {
    let mut names = RECIPIENTS.iter();
    names
        .find(|name| name.eq_ignore_ascii_case(letters))
        .copied()
}

/// Whether a line is the name of such a field and nothing else: its colon stands on the next one.
pub(super) fn is_name_alone(line: &[u8]) -> bool {
    let mut name = Name::default();
    for c in seen(line).map(|(_, c)| c) {
        if name.take(c).is_none() || name.odd {
            return false;
        }
    }
    name.known().is_some()
}

/// Whether a line begins with the colon of the one before.
pub(super) fn begins_with_colon(line: &[u8]) -> bool {
    seen(line).next().is_some_and(|(_, c)| is_colon(c))
}

fn is_colon(c: char) -> bool {
    matches!(
        c,
        ':' | '\u{ff1a}' | '\u{fe55}' | '\u{fe13}' | '\u{2236}' | '\u{a789}' | '\u{2d0}'
    )
}

/// The characters that can be seen, with their places. What is no UTF-8 is Latin-1.
fn seen(line: &[u8]) -> impl Iterator<Item = (usize, char)> {
    let mut start = 0usize;
    let signs = line.utf8_chunks().flat_map(move |chunk| {
        let at = start;
        let behind = at.saturating_add(chunk.valid().len());
        start = behind.saturating_add(chunk.invalid().len());
        let valid = chunk.valid().char_indices();
        let latin = chunk.invalid().iter().copied().map(char::from).enumerate();
        let valid = valid.map(move |(index, c)| (at.saturating_add(index), c));
        valid.chain(latin.map(move |(index, c)| (behind.saturating_add(index), c)))
    });
    signs.filter(|(_, c)| !is_blank_or_unseen(*c))
}

/// A name as it is read.
#[derive(Default)]
struct Name {
    letters: String,
    odd: bool,
}

impl Name {
    /// `None`: it is too long for any of them.
    fn take(&mut self, c: char) -> Option<()> {
        if c.is_ascii_alphabetic() || c == '-' {
            self.letters.push(c);
        } else {
            self.odd = true;
        }
        (self.letters.len() <= LONGEST.saturating_add(2)).then_some(())
    }

    fn known(&self) -> Option<&'static str> {
        known(self.letters.trim_matches('-'))
    }

    fn meant(&self, line: &[u8], value: usize) -> Option<Meant> {
        let name = self.known()?;
        let written = name_length(line).and_then(|length| line.get(..length));
        let written = written.map(<[u8]>::trim_ascii_end);
        let odd = self.odd || self.letters.len() != name.len();
        let behind = line.get(value..).unwrap_or_default();
        let manner = match written {
            Some(written) if written.eq_ignore_ascii_case(name.as_bytes()) => Manner::Sound,
            _ if !odd => Manner::Unseen,
            Some(_) => Manner::Odd,
            None if behind.contains(&b'@') => Manner::Odd,
            None => return None,
        };
        Some(Meant {
            name,
            value,
            manner,
        })
    }
}

/// The value of a field of recipients, as far as it has come: whether a list is open at its end.
#[derive(Clone, Default, Debug)]
pub(super) struct Open {
    quoted: bool,
    escaped: bool,
    comments: usize,
    angle: bool,
    literal: bool,
    group: bool,
    /// The last byte that is no blank.
    last: Option<u8>,
    /// A line was taken that is not indented: so may be those behind it.
    on_lines: bool,
}

impl Open {
    pub(super) fn of(value: &[u8]) -> Self {
        let mut open = Self::default();
        open.feed(value);
        open
    }

    /// Takes the next line of the value.
    pub(super) fn feed(&mut self, value: &[u8]) {
        for &byte in value {
            if byte.is_ascii_whitespace() {
                continue;
            }
            self.last = Some(byte);
            let escaped = std::mem::take(&mut self.escaped);
            match byte {
                _ if escaped => {}
                b'\\' => self.escaped = true,
                b'"' if self.comments == 0 => self.quoted ^= true,
                _ if self.quoted => {}
                b'(' => self.comments = self.comments.saturating_add(1),
                b')' => self.comments = self.comments.saturating_sub(1),
                _ if self.comments > 0 => {}
                b'[' => self.literal = true,
                b']' => self.literal = false,
                b'<' => self.angle = true,
                b'>' => self.angle = false,
                b':' if !self.angle && !self.literal => self.group = true,
                b';' => self.group = false,
                _ => {}
            }
        }
        self.escaped = false;
    }

    /// Something is still to come.
    pub(super) fn is_open(&self) -> bool {
        let ends_open = self.last.is_none_or(|last| b",:\\".contains(&last));
        let inside = self.quoted || self.comments > 0 || self.angle || self.literal;
        ends_open || inside || self.group
    }

    /// What a line without indentation is to the field before it.
    pub(super) fn followed_by(&mut self, line: &[u8]) -> Follows {
        let list = list::parse(line);
        let known = |entry: &list::Entry| entry.target.address().is_some();
        let addressed = list.entries.iter().any(known);
        // A word alone may be any text, unless a list was begun.
        let begun = self.last.is_some_and(|last| last != b'\\');
        let nothing_else = !list.entries.is_empty()
            && list.problems.is_empty()
            && (begun || list.entries.iter().all(known));
        let open = self.is_open();
        if nothing_else && (open || self.on_lines && addressed) {
            self.on_lines = true;
            return Follows::GoesOn;
        }
        match line.contains(&b'@') {
            true if open => Follows::Unclear,
            true if nothing_else => Follows::Beside,
            _ => Follows::Text,
        }
    }
}

/// What a line without indentation, which is no field, is to a field of recipients before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Follows {
    /// The field was open, and nothing but addresses stands there.
    GoesOn,
    /// The field was open, and there is an address among other text.
    Unclear,
    /// Nothing but addresses stands there, and the field was complete.
    Beside,
    Text,
}
