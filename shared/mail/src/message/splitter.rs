//! Cuts a message into header section and body while it arrives.
//!
//! Contract: bounded by [`limits::HEADER`]; the pieces of the body, put together, are all that
//! follows the empty line; where the pieces are cut makes no difference. What arrives from others
//! ([`Splitter::arriving`]) may lack the empty line, or the whole header: the header then ends
//! before the first line that is neither field nor continuation, as in Postfix, so that text is
//! never hidden in it, and no line continues a field that this host puts above it. Lines of an mbox
//! (`From `) before the first field are left alone.
//! Failures: [`HeaderTooLong`], the message's fault, permanent.
//! RFC 5322 §2.1; RFC 6152 (8-bit body), RFC 6532 §3 (UTF-8 header).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt;

use crate::{
    envelope::Content,
    limits,
    message::{Header, charset::Charset, header::name_length, intake::is_mbox_line},
};

/// Cuts a message that arrives in pieces (canonical CRLF) into header section and body; remembers
/// what the content needs.
/// Bounded: a header section over [`crate::limits::HEADER`] is an error.
#[derive(Default, Debug)]
pub struct Splitter {
    header: Vec<u8>,
    in_body: bool,
    /// Lines that cannot be of the header are the body's.
    strict: bool,
    /// In the header: where the line begins that is not looked at yet.
    line: usize,
    /// There is a field.
    field: bool,
    /// What came as header, and is the body's beginning.
    text: Vec<u8>,
    eight_bit: bool,
    charset: Charset,
}

/// The header section is larger than [`crate::limits::HEADER`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeaderTooLong;

impl fmt::Display for HeaderTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the header section is longer than {} KiB",
            limits::HEADER / 1024
        )
    }
}
impl std::error::Error for HeaderTooLong {}

impl Splitter {
    /// Of a message that somebody else has written: complete lines.
    pub fn arriving() -> Self {
        Self {
            strict: true,
            ..Self::default()
        }
    }

    /// Takes the next piece; gives back what is known to belong to the body by now (may be empty).
    pub fn split<'a>(&'a mut self, piece: &'a [u8]) -> Result<&'a [u8], HeaderTooLong> {
        let body = if self.in_body {
            piece
        } else if self.strict && self.begins_body(piece) {
            &self.text
        } else {
            self.collect(piece)?
        };
        self.eight_bit |= !body.is_ascii();
        if self.eight_bit {
            self.charset.feed(body);
        }
        Ok(body)
    }

    /// Whether a line came that cannot be of the header; it and what follows, or mbox lines that no
    /// field followed, are `text` then.
    fn begins_body(&mut self, piece: &[u8]) -> bool {
        let known = self.header.len();
        self.header.extend_from_slice(piece);
        let mut from = self.line.max(known.saturating_sub(1));
        while let Some(rest) = self.header.get(from..)
            && let Some(end) = rest.windows(2).position(|window| window == b"\r\n")
        {
            let end = from.saturating_add(end);
            let line = self.header.get(self.line..end).unwrap_or_default();
            let folded = line.starts_with(b" ") || line.starts_with(b"\t");
            if line.is_empty() && (self.field || self.line == 0) {
                break;
            } else if name_length(line).is_some() {
                self.field = true;
            } else if !(folded && self.field || is_mbox_line(line) && !self.field) {
                let start = if self.field { self.line } else { 0 };
                self.text = self.header.split_off(start);
                self.in_body = true;
                return true;
            }
            from = end.saturating_add(2);
            self.line = from;
        }
        // Looked at; what remains is the rule of all messages.
        self.header.truncate(known);
        false
    }

    fn collect<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], HeaderTooLong> {
        let before = self.header.len();
        self.header.extend_from_slice(piece);
        // The empty line may have begun in the piece before.
        let Some(end) = end_of_header(&self.header, before.saturating_sub(3)) else {
            return if self.header.len() > limits::HEADER {
                Err(HeaderTooLong)
            } else {
                Ok(&[])
            };
        };
        if end > limits::HEADER {
            return Err(HeaderTooLong);
        }
        self.header.truncate(end);
        self.in_body = true;
        let skip = end.saturating_add(2).saturating_sub(before);
        Ok(piece.get(skip..).unwrap_or_default())
    }

    /// What to call the body's text, if it has 8 bits, after the last piece.
    pub fn charset(&self) -> &'static str {
        self.charset.label()
    }

    /// The header section and what was seen, after the last piece.
    pub fn finish(self) -> (Header, Content) {
        let content = Content {
            eight_bit: self.eight_bit,
            utf8: !self.header.is_ascii(),
        };
        (Header::parse(&self.header), content)
    }
}

/// Length of the header section, without the empty line that ends it.
fn end_of_header(bytes: &[u8], from: usize) -> Option<usize> {
    if bytes.starts_with(b"\r\n") {
        return Some(0);
    }
    let position = bytes
        .get(from..)?
        .windows(4)
        .position(|window| window == b"\r\n\r\n")?;
    Some(from.saturating_add(position).saturating_add(2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(message: &[u8], size: usize) -> (Vec<u8>, Vec<u8>, Content) {
        let mut splitter = Splitter::default();
        let mut body = Vec::new();
        for piece in message.chunks(size) {
            body.extend_from_slice(splitter.split(piece).unwrap());
        }
        let (header, content) = splitter.finish();
        (header.to_bytes(), body, content)
    }

    #[test]
    fn header_and_body_part_at_the_first_empty_line_wherever_pieces_are_cut() {
        for (message, header, body) in [
            (
                "A: b\r\n\r\nbody\r\n\r\nmore\r\n",
                "A: b\r\n",
                "body\r\n\r\nmore\r\n",
            ),
            ("\r\nbody\r\n", "", "body\r\n"),
            ("A: b\r\n\r\n", "A: b\r\n", ""),
            ("A: b\r\n", "A: b\r\n", ""),
            ("", "", ""),
            ("\r\n", "", ""),
        ] {
            for size in 1..10 {
                let (got_header, got_body, _) = split(message.as_bytes(), size);
                assert_eq!(
                    (got_header.as_slice(), got_body.as_slice()),
                    (header.as_bytes(), body.as_bytes())
                );
            }
        }
    }

    #[test]
    fn what_the_content_needs_is_told_apart_for_header_and_body() {
        let content = |text: &str| split(text.as_bytes(), 7).2;
        assert_eq!(
            content("A: b\r\n\r\nc"),
            Content {
                eight_bit: false,
                utf8: false
            }
        );
        assert_eq!(
            content("A: é\r\n\r\nc"),
            Content {
                eight_bit: false,
                utf8: true
            }
        );
        assert_eq!(
            content("A: b\r\n\r\né"),
            Content {
                eight_bit: true,
                utf8: false
            }
        );
    }

    #[test]
    fn a_header_without_end_is_refused_before_it_fills_the_memory() {
        let mut splitter = Splitter::default();
        let piece = b"X: y\r\n".repeat(1000);
        let pieces = (0..1000)
            .take_while(|_| splitter.split(&piece).is_ok())
            .count();
        assert!(pieces <= limits::HEADER / piece.len());
    }

    /// A telnet test, a printer, an UPS; and a stranger who wants his first line to be read as part
    /// of our Received.
    #[test]
    fn text_that_arrives_without_a_header_or_without_the_empty_line_is_the_body() {
        for (message, header, body) in [
            (
                "Backup FAILED\r\nsee log\r\n",
                "",
                "Backup FAILED\r\nsee log\r\n",
            ),
            ("see log\r\n\r\nA: b\r\n", "", "see log\r\n\r\nA: b\r\n"),
            (
                "S: UPS\r\nBattery low\r\nC: d\r\n",
                "S: UPS\r\n",
                "Battery low\r\nC: d\r\n",
            ),
            (
                "S: a\r\n b\r\n\tc\r\nlow\r\n\r\nx\r\n",
                "S: a\r\n b\r\n\tc\r\n",
                "low\r\n\r\nx\r\n",
            ),
            (
                " (real: x)\r\nS: a\r\n\r\nb\r\n",
                "",
                " (real: x)\r\nS: a\r\n\r\nb\r\n",
            ),
            ("\t; x\r\n", "", "\t; x\r\n"),
            (" \r\nS: a\r\n", "", " \r\nS: a\r\n"),
            (": x\r\n\r\n", "", ": x\r\n\r\n"),
            ("na me: x\r\n", "", "na me: x\r\n"),
            ("S: a\r\n\u{e9}: b\r\n", "S: a\r\n", "\u{e9}: b\r\n"),
            // Lines of an mbox.
            (
                "From r Sun\r\n>From x\r\nA: b\r\n\r\nc\r\n",
                "From r Sun\r\n>From x\r\nA: b\r\n",
                "c\r\n",
            ),
            (
                "From here on\r\nall is text\r\n",
                "",
                "From here on\r\nall is text\r\n",
            ),
            ("From here\r\n\r\ntext\r\n", "", "From here\r\n\r\ntext\r\n"),
            ("From here\r\n: text\r\n", "", "From here\r\n: text\r\n"),
            ("A: b\r\nFrom here\r\n", "A: b\r\n", "From here\r\n"),
            // Whole messages.
            (
                "A: b\r\nC : d\r\n\r\nbody\r\n",
                "A: b\r\nC : d\r\n",
                "body\r\n",
            ),
            ("\r\n x\r\n", "", " x\r\n"),
            ("A: b\r\n", "A: b\r\n", ""),
            ("\r\n", "", ""),
            ("", "", ""),
        ] {
            for size in [1, 2, 3, 5, 1000] {
                let mut splitter = Splitter::arriving();
                let mut got = Vec::new();
                for piece in message.as_bytes().chunks(size) {
                    got.extend_from_slice(splitter.split(piece).unwrap());
                }
                let above = splitter.finish().0.to_bytes();
                assert_eq!(
                    (above, got),
                    (header.into(), body.into()),
                    "{message:?} by {size}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_between_header_and_body(text in "([a-b:]{0,3}\r\n){0,6}[a-b]{0,3}", size in 1usize..9) {
            let (header, body, _) = split(text.as_bytes(), size);
            let (all, _, _) = split(text.as_bytes(), 1000);
            prop_assert_eq!(&header, &all);
            if let Some(rest) = text.as_bytes().strip_prefix(header.as_slice()) {
                prop_assert!(rest.is_empty() || rest == [b"\r\n", body.as_slice()].concat());
            }
        }
    }
}
