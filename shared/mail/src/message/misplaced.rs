//! Fields of recipients where no field can be: behind a line that no header has, inside of another
//! field, or with signs that no name has.
//!
//! Contract: whoever is blind is shown to nobody, with all lines of his field; each such field is
//! remembered, so that somebody can be told: at most [`MOST`], each as its first [`SHOWN`] bytes.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::meant::{self, Follows, Manner, Meant, Open};
use crate::address::list;

/// A field of recipients that stood where none can be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Misplaced {
    /// As it was written, on one line.
    pub field: String,
    /// It was left out of the message.
    pub withheld: bool,
}

/// How many are remembered.
const MOST: usize = 20;
/// How much of each, bytes.
const SHOWN: usize = 200;

/// Watches lines for such fields.
#[derive(Default, Debug)]
pub(super) struct Watch {
    found: Vec<Misplaced>,
    current: Option<Current>,
}

/// The one that may go on.
#[derive(Debug)]
struct Current {
    blind: bool,
    open: Open,
    /// What was written of it, until it is told.
    text: String,
    /// Its place in `found`.
    told: Option<usize>,
}

impl Watch {
    pub(super) fn found(&self) -> &[Misplaced] {
        &self.found
    }

    pub(super) fn into_found(self) -> Vec<Misplaced> {
        self.found
    }

    /// Another field begins, or the body.
    pub(super) fn end(&mut self) {
        self.current = None;
    }

    /// Whether more of one is to come.
    pub(super) fn is_open(&self) -> bool {
        self.current.as_ref().is_some_and(|it| it.open.is_open())
    }

    /// Whether a line, or a part of one, must not be shown. `text`: it is behind the header, where
    /// any signs may stand around a name; else inside of a field, which may hold words and colons.
    pub(super) fn withholds(&mut self, line: &[u8], text: bool) -> bool {
        let inside = |meant: &Meant| {
            meant.manner != Manner::Odd && (meant.is_blind() || line.contains(&b'@'))
        };
        match meant::field(line).filter(|meant| text || inside(meant)) {
            Some(meant) => self.begin(meant, line),
            None => self.goes_on(line),
        }
    }

    /// One begins; whether it must not be shown.
    pub(super) fn begin(&mut self, meant: Meant, line: &[u8]) -> bool {
        let value = line.get(meant.value..).unwrap_or_default();
        self.note(meant.is_blind(), Open::of(value), value, line)
    }

    /// A line is no field, and stands behind a field of recipients.
    pub(super) fn behind(&mut self, blind: bool, mut open: Open, line: &[u8]) -> bool {
        open.feed(line);
        self.note(blind, open, line, line)
    }

    fn note(&mut self, blind: bool, open: Open, value: &[u8], line: &[u8]) -> bool {
        self.current = Some(Current {
            blind,
            open,
            text: String::new(),
            told: None,
        });
        self.add(value, line);
        blind
    }

    /// Whether a line that is no field itself goes on with one that must not be shown.
    pub(super) fn goes_on(&mut self, line: &[u8]) -> bool {
        let Some(current) = &mut self.current else {
            return false;
        };
        let indented = line.first().is_some_and(u8::is_ascii_whitespace);
        let goes_on = indented
            || match current.open.followed_by(line) {
                Follows::GoesOn | Follows::Unclear => true,
                Follows::Beside => current.blind,
                Follows::Text => false,
            };
        if !goes_on {
            self.current = None;
            return false;
        }
        current.open.feed(line);
        let blind = current.blind;
        self.add(line, line);
        blind
    }

    fn add(&mut self, value: &[u8], line: &[u8]) {
        let Some(current) = &mut self.current else {
            return;
        };
        let told = current.told.and_then(|told| self.found.get_mut(told));
        let is_told = told.is_some();
        let text = told.map_or(&mut current.text, |told| &mut told.field);
        let line = line.trim_ascii();
        let room = SHOWN.saturating_sub(text.len());
        let shown = line.get(..line.len().min(room)).unwrap_or_default();
        if !text.is_empty() && !shown.is_empty() {
            text.push(' ');
        }
        text.push_str(&String::from_utf8_lossy(shown));
        // `To: be or not to be` names nobody.
        let names = || value.contains(&b'@') || !list::parse(value).entries.is_empty();
        if is_told || !(current.blind || names()) {
            return;
        }
        if self.found.len() < MOST {
            current.told = Some(self.found.len());
            self.found.push(Misplaced {
                field: std::mem::take(&mut current.text),
                withheld: current.blind,
            });
        } else if let Some(last) = self.found.last_mut() {
            "and others".clone_into(&mut last.field);
            last.withheld |= current.blind;
        }
    }
}
