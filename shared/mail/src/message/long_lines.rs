//! Lines that are too long for SMTP: header fields are folded here, bodies are encoded by
//! [`mime`](super::mime).
//!
//! Contract: a folded field has no line over 998 bytes, and nothing else of its text changes.
//! [`Longest`] watches a body.
//! RFC 5322 §2.1.1, RFC 5321 §4.5.3.1.6 (998 bytes).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::{
    limits,
    message::{Field, Header},
};

/// Longest line, without CRLF.
const LONGEST: usize = limits::TEXT_LINE - 2;

/// Folds header lines that are too long: before the last blank that fits, or else anywhere. How
/// many fields changed.
pub fn fold_header(header: &mut Header) -> usize {
    let mut changed = 0usize;
    header.edit(|field| {
        let too_long = field
            .raw()
            .split(|&byte| byte == b'\n')
            .any(|line| line.len() > LONGEST.saturating_add(1));
        if !too_long {
            return None;
        }
        changed = changed.saturating_add(1);
        Some(folded(field))
    });
    changed
}

fn folded(field: &Field) -> Field {
    let mut out = Vec::with_capacity(field.raw().len());
    // Blanks before the value are no place to fold: the first line would be empty.
    let value = field.body().trim_ascii_start().len().saturating_add(2);
    let mut fixed = field.raw().len().saturating_sub(value);
    for line in field.raw().split_inclusive(|&byte| byte == b'\n') {
        let mut rest = line;
        while rest.strip_suffix(b"\r\n").unwrap_or(rest).len() > LONGEST {
            let window = rest.get(..LONGEST).unwrap_or_default();
            let blank = window
                .iter()
                .rposition(|byte| matches!(byte, b' ' | b'\t'))
                .filter(|&at| at > fixed);
            let at = blank.unwrap_or_else(|| character_boundary(rest, LONGEST.saturating_sub(1)));
            let (head, tail) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            out.extend_from_slice(head);
            out.extend_from_slice(if blank.is_some() { b"\r\n" } else { b"\r\n " });
            rest = tail;
            fixed = 0;
        }
        out.extend_from_slice(rest);
        fixed = 0;
    }
    field.with_raw(out)
}

/// The last place up to `at` that does not cut a UTF-8 character.
fn character_boundary(bytes: &[u8], at: usize) -> usize {
    let continues = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (at.saturating_sub(3)..=at)
        .rev()
        .find(|at| !continues(at))
        .unwrap_or(at)
}

/// Watches a body for its longest line.
#[derive(Clone, Copy, Default, Debug)]
pub struct Longest {
    current: usize,
    longest: usize,
}

impl Longest {
    /// Takes the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        for (index, line) in piece.split(|&byte| byte == b'\n').enumerate() {
            if index > 0 {
                self.current = 0;
            }
            self.current = self.current.saturating_add(line.len());
            self.longest = self.longest.max(self.current);
        }
    }

    /// Whether a line is too long. (CR counts, so that a line of 998 bytes and CRLF is not.)
    pub fn too_long(self) -> bool {
        self.longest > LONGEST.saturating_add(1)
    }
}

/// Watches a text for its longest word: what stands between two blanks or line ends.
#[derive(Clone, Copy, Default, Debug)]
pub struct LongestWord {
    current: usize,
    longest: usize,
}

impl LongestWord {
    /// Takes the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        for &byte in piece {
            self.current = match byte {
                b' ' | b'\t' | b'\r' | b'\n' => 0,
                _ => self.current.saturating_add(1),
            };
            self.longest = self.longest.max(self.current);
        }
    }

    /// Whether it does not fit into a line, with a blank before it.
    pub fn too_long(self) -> bool {
        self.longest >= LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longest(bytes: &[u8]) -> usize {
        bytes
            .split(|&b| b == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line).len())
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn a_line_of_998_bytes_passes_and_one_of_999_does_not() {
        for (length, too_long) in [(998, false), (999, true)] {
            for size in [1, 7, 5000] {
                let mut watch = Longest::default();
                let body = format!("x\r\n{}\r\ny\r\n", "a".repeat(length));
                body.as_bytes()
                    .chunks(size)
                    .for_each(|piece| watch.feed(piece));
                assert_eq!(watch.too_long(), too_long, "{length} in pieces of {size}");
            }
        }
    }

    #[test]
    fn long_header_lines_are_folded_at_blanks_or_in_the_end_anywhere() {
        let words = format!("Subject: {}\r\nA: b\r\n", "word ".repeat(600));
        let solid = format!("X:  {}\r\n", "\u{e9}".repeat(1500));
        for text in [words, solid] {
            let mut header = Header::parse(text.as_bytes());
            assert_eq!(fold_header(&mut header), 1);
            let bytes = header.to_bytes();
            assert!(longest(&bytes) <= 998);
            assert_eq!(Header::parse(&bytes), header);
            let unfolded = String::from_utf8(bytes)
                .unwrap()
                .replace("\r\n", "")
                .replace(' ', "");
            assert_eq!(unfolded, text.replace("\r\n", "").replace(' ', ""));
            assert_eq!(fold_header(&mut header), 0);
        }
    }
}
