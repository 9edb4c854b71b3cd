//! Rewrites one leaf part as it streams.
//!
//! Contract: canonical CRLF lines in, short lines out; what is encoded reads back byte for byte.
//! RFC 2045 §6.7 (quoted-printable), §6.8 (base64).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::limits;

/// Longest line, without CRLF.
const LONGEST: usize = limits::TEXT_LINE - 2;
/// Longest quoted-printable line, without the soft break's `=`.
const QUOTED: usize = 75;
/// Where a line that is quoted-printable already, and far too long, is broken softly.
const REQUOTED: usize = 900;
/// Longest base64 line.
const BASE64: usize = 76;

/// What is done with a part.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Action {
    #[default]
    Keep,
    /// Made quoted-printable.
    Quote,
    /// Quoted-printable already: long lines broken softly, bytes over 127 escaped.
    Requote,
    Base64,
    /// Base64 already: a line break after 998 bytes, which means nothing there.
    Cut,
    /// What can only stay text of its own kind: a line break before the last blank that fits. A
    /// word that is longer than a line stays whole.
    Fold,
}

/// The machine.
#[derive(Default, Debug)]
pub(super) struct Encoder {
    action: Action,
    /// Bytes in the line so far.
    column: usize,
    /// A blank or CR of which it is not known yet whether the line ends after it.
    pending: Option<u8>,
    /// The line began with a soft break.
    soft: bool,
    /// Hexadecimal digits of an escape that are still to come.
    digits: u8,
    /// Bytes that do not make three yet.
    triple: Vec<u8>,
    /// The line that is folded, as far as it is not clear where it breaks.
    line: Vec<u8>,
    /// In a word that is longer than a line.
    passing: bool,
}

impl Encoder {
    /// For one part.
    pub(super) fn new(action: Action) -> Self {
        Self {
            action,
            ..Self::default()
        }
    }

    /// Takes the next piece, appends what it becomes to `out`.
    pub(super) fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match self.action {
            Action::Keep => out.extend_from_slice(piece),
            Action::Cut => piece.iter().for_each(|&byte| self.cut(byte, out)),
            Action::Fold => piece.iter().for_each(|&byte| self.fold(byte, out)),
            Action::Quote => piece.iter().for_each(|&byte| self.quote(byte, out)),
            Action::Requote => piece.iter().for_each(|&byte| self.requote(byte, out)),
            Action::Base64 => piece.iter().for_each(|&byte| self.base64(byte, out)),
        }
    }

    /// End of the part.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        if let Some(byte) = self.pending.take() {
            self.escape(byte, out);
        }
        if !self.triple.is_empty() {
            self.four(out);
        }
        self.flush(out);
    }

    /// Gives what is held back of a line that is folded: something else follows.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.line);
    }

    fn fold(&mut self, byte: u8, out: &mut Vec<u8>) {
        let is_blank = |byte: u8| matches!(byte, b' ' | b'\t');
        if self.passing && is_blank(byte) {
            out.extend_from_slice(b"\r\n");
            self.passing = false;
        }
        if byte == b'\n' {
            self.flush(out);
            self.passing = false;
        }
        if self.passing || byte == b'\n' {
            return out.push(byte);
        }
        self.line.push(byte);
        if self.line.len() <= LONGEST || byte == b'\r' {
            return;
        }
        // A line that begins with a blank has no other to break at.
        let blank = self.line.iter().rposition(|&byte| is_blank(byte));
        if let Some(at) = blank.filter(|&at| at > 0) {
            let rest = self.line.split_off(at);
            self.flush(out);
            out.extend_from_slice(b"\r\n");
            self.line = rest;
        } else {
            self.flush(out);
            self.passing = true;
        }
    }

    fn cut(&mut self, byte: u8, out: &mut Vec<u8>) {
        // A character of UTF-8 stays whole: its first byte is where a line may break.
        let inside = byte & 0xc0 == 0x80;
        let full = self.column >= LONGEST
            || (self.column >= LONGEST.saturating_sub(3) && !inside && !byte.is_ascii());
        if full && !matches!(byte, b'\r' | b'\n') {
            out.extend_from_slice(b"\r\n");
            self.column = 0;
        }
        out.push(byte);
        self.column = if byte == b'\n' {
            0
        } else {
            self.column.saturating_add(1)
        };
    }

    fn requote(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b'\n' => {
                self.column = 0;
                self.soft = false;
                return out.push(byte);
            }
            b'\r' => return out.push(byte),
            _ if self.digits == 0 && self.column >= REQUOTED => self.soft_break(out),
            _ => {}
        }
        if byte.is_ascii() && !(self.soft && self.column == 0 && byte == b'-') {
            self.digits = if byte == b'=' {
                2
            } else {
                self.digits.saturating_sub(1)
            };
            self.column = self.column.saturating_add(1);
            out.push(byte);
        } else {
            self.column = self.column.saturating_add(3);
            hexadecimal(byte, out);
        }
    }

    fn base64(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.triple.push(byte);
        if self.triple.len() == 3 {
            self.four(out);
        }
    }

    /// Up to three bytes as four characters.
    fn four(&mut self, out: &mut Vec<u8>) {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        if self.column >= BASE64 {
            out.extend_from_slice(b"\r\n");
            self.column = 0;
        }
        let count = self.triple.len();
        self.triple.resize(3, 0);
        let bits = self
            .triple
            .drain(..)
            .fold(0u32, |bits, byte| bits << 8 | u32::from(byte));
        for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = DIGITS.get(usize::try_from(bits >> shift & 63).unwrap_or_default());
            out.push(if index <= count {
                digit.copied().unwrap_or(b'=')
            } else {
                b'='
            });
        }
        self.column = self.column.saturating_add(4);
    }

    fn quote(&mut self, byte: u8, out: &mut Vec<u8>) {
        match (self.pending.take(), byte) {
            (Some(b'\r'), b'\n') => {
                out.extend_from_slice(b"\r\n");
                self.column = 0;
                self.soft = false;
                return;
            }
            // A blank at the end of a line would get lost on the way.
            (Some(blank @ (b' ' | b'\t')), b'\r') => self.escape(blank, out),
            (Some(blank @ (b' ' | b'\t')), _) => self.literal(blank, out),
            (Some(other), _) => self.escape(other, out),
            (None, _) => {}
        }
        match byte {
            b'\r' | b' ' | b'\t' => self.pending = Some(byte),
            b'!'..=b'<' | b'>'..=b'~' => self.literal(byte, out),
            _ => self.escape(byte, out),
        }
    }

    fn literal(&mut self, byte: u8, out: &mut Vec<u8>) {
        // Nothing that a soft break puts at the beginning of a line may look like a boundary.
        if byte == b'-'
            && (self.column.saturating_add(1) > QUOTED || (self.soft && self.column == 0))
        {
            return self.escape(byte, out);
        }
        self.room(1, out);
        out.push(byte);
    }

    fn escape(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.room(3, out);
        hexadecimal(byte, out);
    }

    /// Breaks the line softly where `length` more bytes do not fit.
    fn room(&mut self, length: usize, out: &mut Vec<u8>) {
        if self.column.saturating_add(length) > QUOTED {
            self.soft_break(out);
        }
        self.column = self.column.saturating_add(length);
    }

    fn soft_break(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"=\r\n");
        self.column = 0;
        self.soft = true;
    }
}

fn hexadecimal(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push(b'=');
    for digit in [byte >> 4, byte & 15] {
        out.extend(HEX.get(usize::from(digit)));
    }
}

#[cfg(test)]
mod tests;
