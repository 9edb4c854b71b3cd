//! Cuts a message into header section and body while it arrives.
//!
//! Contract: bounded by [`limits::HEADER`]; the pieces of the body, put together, are all that follows the empty line;
//! where the pieces are cut makes no difference.
//! Failures: [`HeaderTooLong`], the message's fault, permanent.
//! RFC 5322 §2.1; RFC 6152 (8-bit body), RFC 6532 §3 (UTF-8 header).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt;

use crate::{
    envelope::Content,
    limits,
    message::{Header, charset::Charset},
};

/// Cuts a message that arrives in pieces (canonical CRLF) into header section and body; remembers what the content needs.
/// Bounded: a header section over [`crate::limits::HEADER`] is an error.
#[derive(Default, Debug)]
pub struct Splitter {
    header: Vec<u8>,
    in_body: bool,
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
    /// Takes the next piece; gives back the part of it that belongs to the body (may be empty).
    pub fn split<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], HeaderTooLong> {
        let body = if self.in_body {
            piece
        } else {
            self.collect(piece)?
        };
        self.eight_bit |= !body.is_ascii();
        if self.eight_bit {
            self.charset.feed(body);
        }
        Ok(body)
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
