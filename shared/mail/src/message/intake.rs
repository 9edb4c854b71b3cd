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
//! What comes out, put in again, comes out unchanged. Memory: one header line, at most
//! [`limits::HEADER`]. A longer one is text if it could be no field; a longer field comes out as a
//! header that is too long, whose reader refuses it: what stands below it (Bcc) is never shown.
//! RFC 5322 §2.1, §2.2; RFC 5321 §2.3.8 (no bare CR or LF).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::{limits, message::header::name_length};

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
}

#[derive(Default, PartialEq, Eq, Debug)]
enum Part {
    /// No field yet.
    #[default]
    Start,
    Header,
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
            self.line.extend_from_slice(head);
            rest = tail;
            let too_long = self.line.len().saturating_add(self.held.len()) > limits::HEADER;
            if too_long && !self.is_header_line() {
                self.begin_body(out);
            } else if too_long || end.is_some() {
                self.header_line(out);
            }
        }
        if self.part == Part::Body {
            self.body(rest, out);
        }
    }

    /// End of input: completes the last line (and the empty line after a header without body).
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if self.part != Part::Body && !self.line.is_empty() {
            self.header_line(out);
        }
        if self.part != Part::Body {
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
            out.extend_from_slice(&clean);
            out.extend_from_slice(b"\r\n");
        } else {
            self.begin_body(out);
        }
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::Splitter;

    fn intake(input: &[u8], size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut intake = Intake::default();
        for piece in input.chunks(size) {
            intake.feed(piece, &mut out);
        }
        intake.finish(&mut out);
        out
    }

    /// Every trap that loses mail in ssmtp, nullmailer, dma or Postfix.
    #[test]
    fn whatever_a_program_pipes_in_becomes_one_well_formed_message() {
        for (input, expected) in [
            // A lone dot is text.
            ("A: b\n\n.\nrest\n", "A: b\r\n\r\n.\r\nrest\r\n"),
            ("A: b\r\n\r\n.\r\nrest\r\n", "A: b\r\n\r\n.\r\nrest\r\n"),
            // CRLF, and PHP's CRLF header with LF body.
            (
                "A: b\r\nC: d\r\n\r\nx\ny\r\n",
                "A: b\r\nC: d\r\n\r\nx\r\ny\r\n",
            ),
            ("A: b\r\r\n\nx\r\r\ny", "A: b\r\n\r\nx\r\ny\r\n"),
            // NUL and bare CR.
            ("A: b\0c\n\nx\0y\nz\n", "A: bc\r\n\r\nxy\r\nz\r\n"),
            (
                "A: b\rBcc: c\n\n10%\r20%\rdone\n",
                "A: b Bcc: c\r\n\r\n10%\r\n20%\r\ndone\r\n",
            ),
            // mbox lines.
            (
                "From root Sun Nov\n>From x\nA: b\n\nFrom x\n",
                "A: b\r\n\r\nFrom x\r\n",
            ),
            (
                "From here on\nall is text\n",
                "\r\nFrom here on\r\nall is text\r\n",
            ),
            ("From here\n\ntext\n", "\r\nFrom here\r\n\r\ntext\r\n"),
            // No header, no empty line, nothing.
            ("just text\nA: b\n", "\r\njust text\r\nA: b\r\n"),
            (" indented\n", "\r\n indented\r\n"),
            (
                "A: b\ntext at once\nC: d\n",
                "A: b\r\n\r\ntext at once\r\nC: d\r\n",
            ),
            ("A: b\n", "A: b\r\n\r\n"),
            ("A: b", "A: b\r\n\r\n"),
            ("A: b\n\n", "A: b\r\n\r\n"),
            ("A : b\nC\u{e9}: d\n", "A : b\r\n\r\nC\u{e9}: d\r\n"),
            ("", "\r\n"),
            ("\n", "\r\n"),
            ("\n\nx", "\r\n\r\nx\r\n"),
            ("text\r", "\r\ntext\r\n"),
        ] {
            for size in [1, 2, 3, 1000] {
                let got = String::from_utf8(intake(input.as_bytes(), size)).unwrap();
                assert_eq!(got, expected, "{input:?} in pieces of {size}");
            }
        }
    }

    /// RFC 5322 §4.2: otherwise what was to be hidden is shown, in the body.
    #[test]
    fn a_line_of_blanks_ends_the_header_only_where_text_follows() {
        for (input, expected) in [
            (
                "A: b\n c\n \nBcc: e\n\nx\n",
                "A: b\r\n c\r\nBcc: e\r\n\r\nx\r\n",
            ),
            ("A: b\r\n\t \r\nD: e\r\n\r\n", "A: b\r\nD: e\r\n\r\n"),
            ("A: b,\n \n \t\n c\n\nx\n", "A: b,\r\n c\r\n\r\nx\r\n"),
            ("A: b\n \0\r\r\nD: e", "A: b\r\nD: e\r\n\r\n"),
            ("A: b\n \ntext\nD: e\n", "A: b\r\n\r\ntext\r\nD: e\r\n"),
            (
                "A: b\n \n  \ntext: no field\u{e9}: x",
                "A: b\r\ntext: no field\u{e9}: x\r\n\r\n",
            ),
            ("A: b\n \n  \nno field\n", "A: b\r\n\r\n  \r\nno field\r\n"),
            ("A: b\n \n\nx\n", "A: b\r\n\r\nx\r\n"),
            ("A: b\n \n", "A: b\r\n\r\n"),
            ("A: b\n\n \nD: e\n", "A: b\r\n\r\n \r\nD: e\r\n"),
            (" \nA: b\n", "\r\nA: b\r\n"),
        ] {
            for size in [1, 2, 3, 1000] {
                let got = String::from_utf8(intake(input.as_bytes(), size)).unwrap();
                assert_eq!(got, expected, "{input:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_first_line_without_end_is_text_and_a_field_without_end_a_header_that_is_too_long() {
        let long = |before: &str, after: &str| {
            let line = vec![b'y'; limits::HEADER * 2];
            [before.as_bytes(), &line, after.as_bytes()].concat()
        };
        for (input, refused) in [
            (long("", "\nBcc: c\n"), false),
            (long("A: b\n\n", "\nBcc: c\n"), false),
            (long("A: b\nno field ", "\nBcc: c\n"), false),
            (long("X: ", ""), true),
            (long("A: b\nBcc: ", ""), true),
            (long("A: b\nX: ", "\nBcc: c\n"), true),
            (long("A: b\n ", "\nBcc: c\n"), true),
            (long("From x\n>From ", ""), false),
        ] {
            let (mut out, mut splitter) = (Vec::new(), Splitter::default());
            let mut intake = Intake::default();
            let mut pieces = input.chunks(limits::PIECE);
            let read = pieces.try_for_each(|piece| {
                out.clear();
                intake.feed(piece, &mut out);
                assert!(intake.line.len() <= limits::HEADER + limits::PIECE);
                splitter.split(&out).map(drop)
            });
            let shown = String::from_utf8_lossy(input.get(..20).unwrap()).into_owned();
            assert_eq!(read.is_err(), refused, "{shown:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_become_canonical_lines_that_no_longer_change(
            input in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), "([A-C: x\0\r.>]{0,4}(From )?\r?\n){0,8}.{0,5}".prop_map(String::into_bytes)],
            size in 1usize..50,
        ) {
            let once = intake(&input, 1000);
            prop_assert_eq!(&intake(&input, size), &once);
            prop_assert_eq!(&intake(&once, size), &once);
            let text = once.strip_suffix(b"\r\n").unwrap();
            let lines: Vec<u8> = String::from_utf8_lossy(text).replace("\r\n", "").into_bytes();
            prop_assert!(!lines.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        }
    }
}
