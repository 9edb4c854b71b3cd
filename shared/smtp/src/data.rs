//! The message between DATA and `CRLF . CRLF`, both directions: dots removed, dots added.
//!
//! Contract: only `CRLF . CRLF` ends a message, bytes behind it are never consumed; what the
//! [`Encoder`] writes, the [`Decoder`] reads back unchanged; how the bytes are cut into pieces
//! changes nothing. Neither holds back or copies more than it must: a piece without dots at line
//! starts is copied in one go.
//! Failures: [`BareLineEnd`]: a CR without LF or an LF without CR. In the decoder it is the peer's
//! fault and ends the session; in the encoder it is the content's, and nothing has been written of
//! the piece that has the bare byte.
//! RFC 5321 §4.1.1.4 (DATA), §4.5.2 (transparency), §2.3.8 (lines).
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::fmt;

/// A CR without LF, or an LF without CR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BareLineEnd;

impl fmt::Display for BareLineEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bare CR or LF in the message")
    }
}
impl std::error::Error for BareLineEnd {}

/// How far a call of [`Decoder::decode`] came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoded {
    /// All input is consumed, the message goes on.
    More,
    /// The message is complete; `consumed` bytes of the input belonged to it, the rest is the next
    /// command.
    End { consumed: usize },
}

/// Reads a message from the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Decoder {
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Place {
    #[default]
    LineStart,
    Text,
    /// Behind a CR.
    Cr,
    /// Behind a dot that began a line.
    Dot,
    /// Behind such a dot and a CR.
    DotCr,
}

impl Decoder {
    /// Appends to `out` what `input` brings of the message: never more bytes than `input` has.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Decoded, BareLineEnd> {
        let mut kept = input;
        let mut rest = input;
        while let Some((&byte, after)) = rest.split_first() {
            (self.place, rest) = match (self.place, byte) {
                (Place::LineStart, b'.') => {
                    copy_until(kept, rest, out);
                    kept = after;
                    (Place::Dot, after)
                }
                (Place::Dot, b'\r') => {
                    kept = after;
                    (Place::DotCr, after)
                }
                (Place::DotCr, b'\n') => {
                    *self = Self::default();
                    return Ok(Decoded::End {
                        consumed: input.len().saturating_sub(after.len()),
                    });
                }
                (Place::LineStart | Place::Text, b'\r') => (Place::Cr, after),
                (Place::Cr, b'\n') => (Place::LineStart, after),
                (Place::Cr | Place::DotCr, _) | (_, b'\n') => return Err(BareLineEnd),
                _ => (Place::Text, line_end(rest)),
            };
        }
        out.extend_from_slice(kept);
        Ok(Decoded::More)
    }
}

/// Writes a message for the wire; the content is given in canonical CRLF lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Encoder {
    place: Place,
}

impl Encoder {
    /// Appends `content` to `out`, a dot before each dot that begins a line.
    pub fn encode(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), BareLineEnd> {
        let before = out.len();
        let mut kept = content;
        let mut rest = content;
        if self.place == Place::Cr
            && let Some((&byte, _)) = content.split_first()
        {
            if byte != b'\n' {
                return Err(BareLineEnd);
            }
            out.push(b'\r');
        }
        while let Some((&byte, after)) = rest.split_first() {
            (self.place, rest) = match (self.place, byte) {
                (Place::LineStart, b'.') => {
                    copy_until(kept, rest, out);
                    out.push(b'.');
                    kept = rest;
                    (Place::Text, after)
                }
                (Place::LineStart | Place::Text, b'\r') => {
                    if after.is_empty() {
                        // Not written before its LF is seen.
                        copy_until(kept, rest, out);
                        kept = after;
                    }
                    (Place::Cr, after)
                }
                (Place::Cr, b'\n') => (Place::LineStart, after),
                (Place::Cr, _) | (_, b'\n') => {
                    // Also the CR of the piece before, whose LF came with this one.
                    out.truncate(before);
                    return Err(BareLineEnd);
                }
                _ => (Place::Text, line_end(rest)),
            };
        }
        out.extend_from_slice(kept);
        Ok(())
    }

    /// Ends the message: completes an open last line, then `. CRLF`.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), BareLineEnd> {
        match self.place {
            Place::Cr => return Err(BareLineEnd),
            Place::LineStart => {}
            _ => out.extend_from_slice(b"\r\n"),
        }
        out.extend_from_slice(b".\r\n");
        Ok(())
    }
}

/// Checks that content is in CRLF lines, piece by piece, where nothing has to be removed (BDAT).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Checker {
    place: Place,
}

impl Checker {
    /// Looks at the next piece.
    pub fn check(&mut self, content: &[u8]) -> Result<(), BareLineEnd> {
        let mut rest = content;
        while let Some((&byte, after)) = rest.split_first() {
            (self.place, rest) = match (self.place, byte) {
                (Place::Cr, b'\n') => (Place::LineStart, after),
                (Place::Cr, _) | (_, b'\n') => return Err(BareLineEnd),
                (_, b'\r') => (Place::Cr, after),
                _ => (Place::Text, line_end(rest)),
            };
        }
        Ok(())
    }

    /// The content is complete: whether its last line lacks the CRLF.
    pub fn finish(self) -> Result<bool, BareLineEnd> {
        if self.place == Place::Cr {
            Err(BareLineEnd)
        } else {
            Ok(self.place == Place::Text)
        }
    }
}

/// Appends the part of `kept` that lies before `rest`, its own tail.
fn copy_until(kept: &[u8], rest: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(
        kept.get(..kept.len().saturating_sub(rest.len()))
            .unwrap_or_default(),
    );
}

/// From the next CR or LF on.
fn line_end(bytes: &[u8]) -> &[u8] {
    memchr::memchr2(b'\r', b'\n', bytes)
        .and_then(|at| bytes.get(at..))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
