//! What programs pipe into `sendmail`, made canonical.
//!
//! Contract, for any bytes and however they are cut into pieces:
//! - every line ends in CRLF; no other CR, LF or NUL is left; text is never lost; a lone dot is
//!   text like any other;
//! - CRs before a LF go, line by line, so that CRLF, LF and mixtures of both are the same; another
//!   CR ends a line of the body (progress bars) and is a blank in the header (so that it cannot
//!   make a field); NULs go;
//! - mbox lines (`From `, `>From `) before the first field go; where no field follows, they are
//!   text and stay;
//! - the header ends at the first empty line, or before the first line that cannot belong to it;
//!   then the missing empty line is put in. A line of blanks ends it where text follows; before a
//!   field or a continuation it is part of the header, and goes (RFC 5322 §4.2). Input without any
//!   field is all body.
//!
//! - a Bcc field never leaves: where it stands among what follows such a line, up to the first
//!   empty one, or continues a field of text, it is withheld and told ([`Intake::withheld`]).
//!   (Postfix, Exim and sendmail show it to all who get the message.)
//!
//! What comes out, put in again, comes out unchanged. Memory: one header line, at most
//! [`limits::HEADER`]. A longer one is text if it could be no field; a longer field comes out as a
//! header that is too long, whose reader refuses it: what stands below it (Bcc) is never shown.
//! RFC 5322 §2.1, §2.2; RFC 5321 §2.3.8 (no bare CR or LF).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::{
    address::list::{BLIND, RECIPIENTS},
    limits,
    message::header::name_length,
};

/// Turns raw input into canonical CRLF lines, in pieces: strips CR before LF line by line, makes
/// other CRs and NULs harmless, drops leading `From ` and `>From ` lines, puts the missing empty
/// line between header and body. A lone dot is data.
#[derive(Default, Debug)]
pub struct Intake {
    part: Part,
    /// The header line that is not complete yet, raw.
    line: Vec<u8>,
    /// Lines that are text unless a field follows, raw: mbox lines before the first field, further
    /// lines of blanks behind it.
    held: Vec<u8>,
    /// The last header line was one of blanks: it is the empty line, unless a field or a
    /// continuation follows.
    blank: bool,
    /// In the body: a CR that may belong to a LF.
    pending_cr: bool,
    /// In the body: bytes were written since the last CRLF.
    line_open: bool,
    /// The field that is continued holds recipients: each of them is served.
    addresses: bool,
    /// The last line was of a Bcc field that is withheld; so are its continuations.
    withholding: bool,
    /// The rest of a line that is too long to be kept is text, and shown or not.
    passing: Option<bool>,
    /// Bcc fields that stand where they are none, as they were written.
    withheld: Vec<String>,
}

/// Fields that are withheld, and that are told; longest text of one, bytes.
const WITHHELD: usize = 20;
const SHOWN: usize = 200;

#[derive(Default, PartialEq, Eq, Debug)]
enum Part {
    /// No field yet.
    #[default]
    Start,
    Header,
    /// Behind a line that no header has: text up to the first empty line, in which a field may
    /// still be meant.
    Text,
    Body,
}

impl Intake {
    /// Of a body alone, without a header in front.
    pub fn of_body() -> Self {
        Self {
            part: Part::Body,
            ..Self::default()
        }
    }

    /// Takes raw bytes, appends canonical bytes to `out`.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut rest = input;
        while self.part != Part::Body && !rest.is_empty() {
            let end = rest
                .iter()
                .position(|&byte| byte == b'\n')
                .map(|index| index.saturating_add(1));
            let (head, tail) = rest
                .split_at_checked(end.unwrap_or(rest.len()))
                .unwrap_or((rest, &[]));
            rest = tail;
            if let Some(shown) = self.passing {
                if shown {
                    self.body(head, out);
                }
                self.passing = self.passing.filter(|_| end.is_none());
                continue;
            }
            self.line.extend_from_slice(head);
            let too_long = self.line.len().saturating_add(self.held.len()) > limits::HEADER;
            if too_long && self.part == Part::Text {
                let clean = clean_header_line(&self.line);
                let shown = !self.withholds(&clean);
                self.text_line(&clean, out);
                self.passing = Some(shown).filter(|_| end.is_none());
            } else if too_long && !self.is_header_line() {
                self.leave_header(out);
                self.passing = Some(true).filter(|_| end.is_none() && self.part == Part::Text);
            } else if too_long || end.is_some() {
                self.header_line(out);
            }
        }
        if self.part == Part::Body {
            self.body(rest, out);
        }
    }

    /// Bcc fields that were no fields where they stood: nobody of them is served, and none is
    /// shown.
    pub fn withheld(&self) -> &[String] {
        &self.withheld
    }

    /// End of input: completes the last line (and the empty line after a header without body).
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.part != Part::Body && !self.line.is_empty() {
            self.header_line(out);
        }
        if !matches!(self.part, Part::Text | Part::Body) {
            self.begin_body(out);
        }
        if self.pending_cr || self.line_open {
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Whether what is there of a line makes it a field, or the continuation of one.
    fn is_header_line(&self) -> bool {
        let continues = matches!(self.line.first(), Some(b' ' | b'\t'));
        (continues && self.part == Part::Header)
            || name_length(&clean_header_line(&self.line)).is_some()
    }

    /// Decides what a complete line is, as long as the body has not begun.
    fn header_line(&mut self, out: &mut Vec<u8>) {
        let clean = clean_header_line(&self.line);
        if self.part == Part::Text {
            return self.text_line(&clean, out);
        }
        if self.part == Part::Start && is_mbox_line(&clean) {
            self.held.append(&mut self.line);
            return;
        }
        let continues = clean.starts_with(b" ") || clean.starts_with(b"\t");
        let blank = clean.trim_ascii().is_empty();
        if blank && continues && self.part == Part::Header {
            if std::mem::replace(&mut self.blank, true) {
                self.held.append(&mut self.line);
            }
            self.line.clear();
        } else if blank {
            if self.part == Part::Header {
                self.held.clear();
            }
            // This is the empty line; `begin_body` writes it. Without a field before, what is held
            // is text, and so is this line.
            if self.held.is_empty() {
                self.line.clear();
            }
            self.begin_body(out);
        } else if name_length(&clean).is_some() || (continues && self.part == Part::Header) {
            self.held.clear();
            self.line.clear();
            self.blank = false;
            self.part = Part::Header;
            if !continues {
                self.withholding = false;
                // Of these the whole value is read as addresses, whatever stands in it.
                self.addresses = is_one_of(&clean, RECIPIENTS);
            } else if !self.addresses && self.withholds(&clean) {
                return;
            }
            out.extend_from_slice(&clean);
            out.extend_from_slice(b"\r\n");
        } else {
            self.leave_header(out);
        }
    }

    /// A line came that no header has.
    fn leave_header(&mut self, out: &mut Vec<u8>) {
        // A line of blanks was the empty line that ended it.
        let abrupt = self.part == Part::Header && !self.blank;
        self.begin_body(out);
        if abrupt {
            self.part = Part::Text;
        }
    }

    /// A complete line behind one that no header has.
    fn text_line(&mut self, clean: &[u8], out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        if clean.trim_ascii().is_empty() {
            self.part = Part::Body;
        } else if self.withholds(clean) {
            return;
        }
        self.body(&line, out);
    }

    /// Whether a line is one of a Bcc field, which is told.
    fn withholds(&mut self, clean: &[u8]) -> bool {
        let begins = is_one_of(clean.trim_ascii_start(), BLIND);
        let continues = self.withholding && clean.first().is_some_and(u8::is_ascii_whitespace);
        self.withholding = begins || continues;
        if begins && self.withheld.len() < WITHHELD {
            let shown = clean.get(..clean.len().min(SHOWN)).unwrap_or_default();
            let shown = String::from_utf8_lossy(shown.trim_ascii()).into_owned();
            self.withheld.push(shown);
        }
        self.withholding
    }

    /// Writes the empty line; what is held or half read is the body's first text.
    fn begin_body(&mut self, out: &mut Vec<u8>) {
        self.part = Part::Body;
        out.extend_from_slice(b"\r\n");
        let (held, line) = (
            std::mem::take(&mut self.held),
            std::mem::take(&mut self.line),
        );
        self.body(&held, out);
        self.body(&line, out);
    }

    fn body(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let special = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
        let mut rest = input;
        while let Some(&first) = rest.first() {
            let length = rest.iter().position(special).unwrap_or(rest.len());
            let taken = match (length, first) {
                (0, b'\n') => {
                    self.end_line(out);
                    1
                }
                (0, b'\r') => {
                    self.pending_cr = true;
                    1
                }
                (0, _) => 1,
                _ => {
                    if self.pending_cr {
                        self.end_line(out);
                    }
                    out.extend_from_slice(rest.get(..length).unwrap_or_default());
                    self.line_open = true;
                    length
                }
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n");
        self.pending_cr = false;
        self.line_open = false;
    }
}

fn is_one_of(line: &[u8], names: &[&str]) -> bool {
    let name = name_length(line).and_then(|length| line.get(..length));
    let name = name.unwrap_or_default().trim_ascii_end();
    names
        .iter()
        .any(|it| it.as_bytes().eq_ignore_ascii_case(name))
}

/// Without line end and NULs; other CRs are blanks.
fn clean_header_line(raw: &[u8]) -> Vec<u8> {
    let line = raw.strip_suffix(b"\n").unwrap_or(raw);
    let mut line: Vec<u8> = line.iter().copied().filter(|&byte| byte != 0).collect();
    while line.last() == Some(&b'\r') {
        line.pop();
    }
    for byte in &mut line {
        if *byte == b'\r' {
            *byte = b' ';
        }
    }
    line
}

/// `From `, with any number of `>` before it.
pub(super) fn is_mbox_line(line: &[u8]) -> bool {
    let marks = line.iter().take_while(|&&byte| byte == b'>').count();
    line.get(marks..)
        .is_some_and(|rest| rest.starts_with(b"From "))
}

#[cfg(test)]
mod tests;
