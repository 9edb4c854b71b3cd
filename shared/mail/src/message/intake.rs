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
//! - a field of recipients is one however its name is damaged (`meant`), and goes on in lines
//!   that are not indented where it is open, and nothing but addresses stands there;
//! - one that stands where no field can be (behind the line that ends the header, up to the first
//!   empty one; behind a CR or a line separator inside of another field) is told
//!   ([`Intake::misplaced`]); a blind one never leaves. (Postfix, Exim and sendmail show it to all
//!   who get the message.)
//!
//! What comes out, put in again, comes out unchanged. Memory: one header line, at most
//! [`limits::HEADER`]. A longer one is text if it could be no field; a longer field comes out as a
//! header that is too long, whose reader refuses it: what stands below it (Bcc) is never shown.
//! RFC 5322 §2.1, §2.2; RFC 5321 §2.3.8 (no bare CR or LF).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    lines::{blank_separators, clean_header_line, cut_end, end_line, parts},
    meant::{self, Follows, Manner, Meant, Open},
    misplaced::{Misplaced, Watch},
};
use crate::{limits, message::header::name_length};

/// Turns raw input into canonical CRLF lines, in pieces: strips CR before LF line by line, makes
/// other CRs and NULs harmless, drops leading `From ` and `>From ` lines, puts the missing empty
/// line between header and body. A lone dot is data.
#[derive(Default, Debug)]
pub struct Intake {
    part: Part,
    /// Lines end in CRLF already, and the body stays as it is.
    of_lines: bool,
    /// The header line that is not complete yet, raw.
    line: Vec<u8>,
    /// How much of it is a line that is nothing but a name: its colon may stand on the next.
    name: Option<usize>,
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
    /// The field that is continued.
    field: Continued,
    /// Recipients where no field can be.
    watch: Watch,
    /// The rest of a line that is too long to be kept is text, and shown or not.
    passing: Option<bool>,
}

/// What a continuation line continues.
#[derive(Default, Debug)]
enum Continued {
    /// Text, in which a field may still be meant.
    #[default]
    Text,
    /// A signature, which names fields.
    Names,
    /// Recipients, of whom each is served; they are blind or not.
    Recipients(bool, Open),
}

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

    /// Of lines that end in CRLF, as SMTP has them.
    pub fn of_lines() -> Self {
        Self {
            of_lines: true,
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
            if too_long || end.is_some() {
                self.lines(too_long, end.is_none(), out);
            }
        }
        if self.part == Part::Body {
            self.body(rest, out);
        }
    }

    /// Recipients that were named where no field can be: nobody of them is served by it.
    pub fn misplaced(&self) -> &[Misplaced] {
        self.watch.found()
    }

    /// The same, at the end.
    pub fn into_misplaced(self) -> Vec<Misplaced> {
        self.watch.into_found()
    }

    /// Whether all that follows comes out as it goes in.
    pub(super) fn changes_nothing_more(&self) -> bool {
        self.of_lines && self.part == Part::Body
    }

    /// End of input: completes the last line (and the empty line after a header without body).
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.join_name(out);
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

    /// A line is complete, or `too_long` to be kept; `partial`: more of it follows.
    fn lines(&mut self, too_long: bool, partial: bool, out: &mut Vec<u8>) {
        self.join_name(out);
        if self.part == Part::Body {
            return;
        }
        if !partial && !too_long && self.is_name_alone() {
            self.name = Some(self.line.len());
        } else if too_long && (self.part == Part::Text || !self.is_header_line()) {
            let shown = match self.part {
                Part::Text => self.text_line(out),
                _ => self.leave_header(out),
            };
            self.passing = Some(shown).filter(|_| partial && self.part == Part::Text);
        } else {
            self.header_line(out);
        }
    }

    fn is_name_alone(&self) -> bool {
        !matches!(self.line.first(), Some(b' ' | b'\t')) && meant::is_name_alone(&self.line)
    }

    /// A line that was nothing but a name: joined with the colon that follows it, or text.
    fn join_name(&mut self, out: &mut Vec<u8>) {
        let Some(length) = self.name.take() else {
            return;
        };
        let behind = self.line.split_off(length);
        if meant::begins_with_colon(&behind) {
            let (name, _) = cut_end(&self.line);
            self.line.truncate(name.len());
            self.line.extend_from_slice(&behind);
            return;
        }
        self.header_line(out);
        self.line = behind;
        if self.part == Part::Body {
            let line = std::mem::take(&mut self.line);
            self.body(&line, out);
        }
    }

    /// Whether what is there of a line makes it a field, or the continuation of one.
    fn is_header_line(&self) -> bool {
        let continues = matches!(self.line.first(), Some(b' ' | b'\t'));
        let clean = clean_header_line(&self.line);
        let recipients = || meant::field(&clean).is_some_and(|it| it.manner != Manner::Odd);
        if continues {
            self.part == Part::Header
        } else {
            name_length(&clean).is_some() || recipients()
        }
    }

    /// Decides what a complete line is, as long as the body has not begun.
    fn header_line(&mut self, out: &mut Vec<u8>) {
        if self.part == Part::Text {
            self.text_line(out);
            return;
        }
        let clean = clean_header_line(&self.line);
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
        } else if continues && self.part == Part::Header {
            self.continuation(&clean, out);
        } else if let Some(meant) = meant::field(&clean).filter(|_| !continues) {
            self.recipients(meant, &clean, out);
        } else if name_length(&clean).is_some() {
            self.other_field(&clean, out);
        } else {
            self.no_field(&clean, out);
        }
    }

    /// The line is of the header: what was held is none of the body.
    fn keep(&mut self) -> Vec<u8> {
        self.held.clear();
        self.blank = false;
        self.part = Part::Header;
        std::mem::take(&mut self.line)
    }

    fn recipients(&mut self, meant: Meant, clean: &[u8], out: &mut Vec<u8>) {
        if meant.manner == Manner::Odd {
            if meant.is_blind() {
                // It neither begins a header nor ends it.
                self.line.clear();
                self.field = Continued::Text;
                self.watch.begin(meant, clean);
            } else if name_length(clean).is_some() {
                self.other_field(clean, out);
                self.watch.begin(meant, clean);
            } else {
                self.leave_header(out);
            }
            return;
        }
        let addressed = clean.contains(&b'@');
        if self.part == Part::Start && meant.manner == Manner::Unseen && !addressed {
            // A text may begin with it.
            self.leave_header(out);
            return;
        }
        self.keep();
        self.watch.end();
        let mut value = clean.get(meant.value..).unwrap_or_default().to_vec();
        blank_separators(&mut value);
        self.field = Continued::Recipients(meant.is_blind(), Open::of(&value));
        if meant.manner == Manner::Sound {
            out.extend_from_slice(clean.get(..meant.value).unwrap_or_default());
        } else {
            out.extend_from_slice(meant.name.as_bytes());
            out.push(b':');
        }
        end_line(&value, out);
    }

    /// A field that names no recipients.
    fn other_field(&mut self, clean: &[u8], out: &mut Vec<u8>) {
        let line = self.keep();
        self.watch.end();
        let name = name_length(clean).and_then(|length| clean.get(..length));
        let name = name
            .unwrap_or_default()
            .trim_ascii_end()
            .to_ascii_lowercase();
        if name.ends_with(b"signature") {
            self.field = Continued::Names;
            return end_line(clean, out);
        }
        self.field = Continued::Text;
        let kept = self.shown(&line, true);
        end_line(&clean_header_line(&kept), out);
    }

    fn continuation(&mut self, clean: &[u8], out: &mut Vec<u8>) {
        let line = self.keep();
        match &mut self.field {
            Continued::Recipients(_, open) => {
                let mut clean = clean.to_vec();
                blank_separators(&mut clean);
                open.feed(&clean);
                end_line(&clean, out);
            }
            Continued::Names => end_line(clean, out),
            Continued::Text => {
                let mut kept = clean_header_line(&self.shown(&line, false));
                if kept.trim_ascii().is_empty() {
                    return;
                }
                if !matches!(kept.first(), Some(b' ' | b'\t')) {
                    kept.insert(0, b' ');
                }
                end_line(&kept, out);
            }
        }
    }

    /// The parts of a raw header line that can be shown. `field`: a field's name is in the first.
    fn shown(&mut self, line: &[u8], field: bool) -> Vec<u8> {
        let (line, _) = cut_end(line);
        let mut kept = Vec::with_capacity(line.len());
        for (index, (separator, part)) in parts(line).enumerate() {
            if (field && index == 0) || !self.watch.withholds(part, false) {
                kept.extend_from_slice(separator);
                kept.extend_from_slice(part);
            }
        }
        kept
    }

    /// A line that is no field may go on with the recipients before it.
    fn no_field(&mut self, clean: &[u8], out: &mut Vec<u8>) {
        let follows = match &mut self.field {
            Continued::Recipients(blind, open) => Some((*blind, open.followed_by(clean))),
            _ if self.watch.goes_on(clean) => return self.line.clear(),
            _ => None,
        };
        match follows {
            Some((_, Follows::GoesOn)) => {
                let line = [b"\t", clean].concat();
                self.continuation(&line, out);
            }
            Some((blind, Follows::Unclear)) => self.beside(blind, clean, out),
            Some((true, Follows::Beside)) if !self.blank => self.beside(true, clean, out),
            _ => {
                self.leave_header(out);
            }
        }
    }

    /// An address stands beside a field of recipients: who it is for is not clear.
    fn beside(&mut self, blind: bool, clean: &[u8], out: &mut Vec<u8>) {
        let open = match std::mem::take(&mut self.field) {
            Continued::Recipients(_, open) => open,
            _ => Open::default(),
        };
        if blind {
            self.keep();
        } else {
            self.leave_header(out);
        }
        self.watch.behind(blind, open, clean);
    }

    /// A line came that no header has; whether it was shown.
    fn leave_header(&mut self, out: &mut Vec<u8>) -> bool {
        // A line of blanks was the empty line that ended it.
        if self.part == Part::Header && self.blank {
            self.begin_body(out);
            return true;
        }
        let line = std::mem::take(&mut self.line);
        self.begin_body(out);
        self.line = line;
        self.part = Part::Text;
        self.watch.end();
        self.text_line(out)
    }

    /// A complete line behind the header, in what may have been meant as one; whether it, or its
    /// end, was shown.
    fn text_line(&mut self, out: &mut Vec<u8>) -> bool {
        let line = std::mem::take(&mut self.line);
        let (text, end) = cut_end(&line);
        if text.trim_ascii().is_empty() {
            // One of blanks can stand inside of a list, and between lines that are meant as fields.
            if text.is_empty() {
                self.part = Part::Body;
            } else if !self.watch.is_open() {
                self.watch.end();
            }
            self.body(&line, out);
            return true;
        }
        let (mut any, mut last) = (false, true);
        for (separator, part) in parts(text) {
            last = !self.watch.withholds(part, true);
            if last {
                self.body(separator, out);
                self.body(part, out);
                any = true;
            }
        }
        if any {
            self.body(end, out);
        }
        last
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
        if self.of_lines {
            return out.extend_from_slice(input);
        }
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

/// `From `, with any number of `>` before it.
pub(super) fn is_mbox_line(line: &[u8]) -> bool {
    let marks = line.iter().take_while(|&&byte| byte == b'>').count();
    line.get(marks..)
        .is_some_and(|rest| rest.starts_with(b"From "))
}

#[cfg(test)]
mod damage;
#[cfg(test)]
mod tests;
