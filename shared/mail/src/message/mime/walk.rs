//! Takes a message apart as it streams: header sections, leaf parts, and what frames them.
//!
//! Contract: the pieces put together are the message; where the input is cut makes no difference.
//! The line end before a boundary belongs to the boundary (RFC 2046 §5.1.1). Memory: one header
//! section and the beginning of one line.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::entity::{BOUNDARY, Entity, Kind};
use crate::{limits, message::Header};

/// Open multiparts at most; what is nested deeper is taken as a part that cannot be encoded.
const DEPTH: usize = 50;
/// A line that is longer is no boundary: hyphens, the boundary, blanks.
const LINE: usize = BOUNDARY + 100;

/// A piece of the message.
pub(super) enum Piece<'a> {
    /// A header section without the empty line behind it, what it says, and whether a signature
    /// covers it.
    Header(Header, &'a Entity, bool),
    /// Content of the leaf part whose header came last.
    Body(&'a [u8]),
    /// The leaf part is complete.
    End,
    /// What is in no part: empty lines behind headers, boundaries, text before and after the parts.
    Frame(&'a [u8]),
}

struct Level {
    boundary: Vec<u8>,
    signed: bool,
    digest: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Header,
    Leaf,
    Frame,
}

/// The machine.
pub(super) struct Walk {
    open: Vec<Level>,
    place: Place,
    header: Vec<u8>,
    /// The line that has begun.
    line: Vec<u8>,
    /// The line that has begun is no boundary, and is passed on as it comes.
    passing: bool,
    /// A CRLF that may belong to a boundary.
    held: bool,
    /// The header section is that of a part itself, not of a message in it.
    part: bool,
}

impl Walk {
    pub(super) fn new() -> Self {
        Self {
            open: Vec::new(),
            place: Place::Header,
            header: Vec::new(),
            line: Vec::new(),
            passing: false,
            held: false,
            part: false,
        }
    }

    /// Takes the next bytes of the message.
    pub(super) fn feed(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Piece<'_>)) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let complete = part.ends_with(b"\n");
            if self.passing {
                self.content(part, sink);
                self.passing = !complete;
                continue;
            }
            self.line.extend_from_slice(part);
            let in_header = self.place == Place::Header;
            if complete {
                let line = std::mem::take(&mut self.line);
                self.whole_line(&line, sink);
            } else if !in_header && self.line.len() > LINE {
                let line = std::mem::take(&mut self.line);
                self.passing = true;
                self.content(&line, sink);
            } else if in_header && self.line.len() > limits::HEADER {
                self.give_up_header(sink);
            }
        }
    }

    /// End of the message.
    pub(super) fn finish(mut self, sink: &mut dyn FnMut(Piece<'_>)) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.whole_line(&line, sink);
        }
        if self.place == Place::Header {
            self.header_ends(None, sink);
        }
        self.release(sink);
        if self.place == Place::Leaf {
            sink(Piece::End);
        }
    }

    fn whole_line(&mut self, line: &[u8], sink: &mut dyn FnMut(Piece<'_>)) {
        if let Some((level, closes)) = self.boundary(line) {
            return self.boundary_line(line, level, closes, sink);
        }
        if self.place != Place::Header {
            return self.content(line, sink);
        }
        if matches!(line, b"\r\n" | b"\n") {
            return self.header_ends(Some(line), sink);
        }
        self.header.extend_from_slice(line);
        if self.header.len() > limits::HEADER {
            self.give_up_header(sink);
        }
    }

    /// Which open multipart the line is a boundary of, and whether it is the last one.
    fn boundary(&self, line: &[u8]) -> Option<(usize, bool)> {
        let rest = line.trim_ascii_end().strip_prefix(b"--")?;
        self.open
            .iter()
            .enumerate()
            .rev()
            .find_map(
                |(index, level)| match rest.strip_prefix(level.boundary.as_slice())? {
                    b"" => Some((index, false)),
                    b"--" => Some((index, true)),
                    _ => None,
                },
            )
    }

    fn boundary_line(
        &mut self,
        line: &[u8],
        level: usize,
        closes: bool,
        sink: &mut dyn FnMut(Piece<'_>),
    ) {
        match self.place {
            // A part without an empty line: what it has is its header.
            Place::Header => self.header_ends(None, sink),
            Place::Leaf | Place::Frame => {}
        }
        if self.place == Place::Leaf {
            sink(Piece::End);
        }
        if std::mem::take(&mut self.held) {
            sink(Piece::Frame(b"\r\n"));
        }
        sink(Piece::Frame(line));
        self.open.truncate(if closes {
            level
        } else {
            level.saturating_add(1)
        });
        self.part = !closes;
        self.place = if closes { Place::Frame } else { Place::Header };
    }

    fn header_ends(&mut self, empty_line: Option<&[u8]>, sink: &mut dyn FnMut(Piece<'_>)) {
        let raw = std::mem::take(&mut self.header);
        let header = Header::parse(&raw);
        let part = std::mem::take(&mut self.part);
        let in_digest = part && self.open.last().is_some_and(|level| level.digest);
        let mut entity = Entity::of(&header, in_digest);
        if matches!(entity.kind, Kind::Multipart { .. }) && self.open.len() >= DEPTH {
            entity.kind = Kind::Opaque;
        }
        let signed = self.open.iter().any(|level| level.signed);
        sink(Piece::Header(header, &entity, signed));
        if let Some(line) = empty_line {
            sink(Piece::Frame(line));
        }
        self.place = match entity.kind {
            Kind::Multipart {
                boundary,
                signed,
                digest,
            } => {
                self.open.push(Level {
                    boundary,
                    signed,
                    digest,
                });
                Place::Frame
            }
            // At the end of its bytes it has no header either.
            Kind::Message if empty_line.is_some() => Place::Header,
            _ => Place::Leaf,
        };
    }

    /// A header section without end: it is passed on as it is.
    fn give_up_header(&mut self, sink: &mut dyn FnMut(Piece<'_>)) {
        let complete = self.line.is_empty();
        let header = std::mem::take(&mut self.header);
        let line = std::mem::take(&mut self.line);
        self.place = Place::Frame;
        self.passing = !complete;
        sink(Piece::Frame(&header));
        sink(Piece::Frame(&line));
    }

    /// Part of a body; its last line end is held back.
    fn content(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Piece<'_>)) {
        self.release(sink);
        let rest = bytes.strip_suffix(b"\r\n");
        self.held = rest.is_some();
        self.emit(rest.unwrap_or(bytes), sink);
    }

    fn release(&mut self, sink: &mut dyn FnMut(Piece<'_>)) {
        if std::mem::take(&mut self.held) {
            self.emit(b"\r\n", sink);
        }
    }

    fn emit(&self, bytes: &[u8], sink: &mut dyn FnMut(Piece<'_>)) {
        if !bytes.is_empty() {
            sink(if self.place == Place::Leaf {
                Piece::Body(bytes)
            } else {
                Piece::Frame(bytes)
            });
        }
    }
}
