//! Lines that are too long for SMTP: header fields are folded, bodies re-encoded or folded.
//!
//! Contract: what leaves here has no line over 998 bytes, except in signed messages, which stay as they are; nothing else of
//! the text changes. The body streams: [`Longest`] watches it arrive, [`treatment`] decides, [`Encoder`] rewrites it.
//! RFC 5322 §2.1.1, RFC 5321 §4.5.3.1.6 (998 bytes); RFC 2045 §6.7 (quoted-printable).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::{
    limits,
    message::{Field, Header},
};

/// Longest line, without CRLF.
const LONGEST: usize = limits::TEXT_LINE - 2;
/// Longest quoted-printable line, without the soft break's `=`.
const QUOTED: usize = 75;

/// Folds header lines that are too long: before the last blank that fits, or else anywhere. How many fields changed.
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

/// What is to be done with a body that has lines too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Treatment {
    /// Nothing: the message is signed, and a change would break the signature.
    Keep,
    /// Text: made quoted-printable; nothing of it is lost.
    Quote,
    /// Anything else: a line break after 998 bytes.
    Fold,
}

/// Decides, and declares the new encoding in the header.
pub fn treatment(header: &mut Header) -> Treatment {
    let value = |name: &str| {
        header.first(name).map(|field| {
            String::from_utf8_lossy(&field.value())
                .trim()
                .to_ascii_lowercase()
        })
    };
    let content_type = value("Content-Type").unwrap_or_else(|| "text/plain".to_owned());
    if header.first("DKIM-Signature").is_some() || content_type.starts_with("multipart/signed") {
        return Treatment::Keep;
    }
    let encoding = value("Content-Transfer-Encoding").unwrap_or_else(|| "7bit".to_owned());
    let plain = matches!(encoding.as_str(), "" | "7bit" | "8bit" | "binary");
    if !content_type.starts_with("text/") || !plain {
        return Treatment::Fold;
    }
    header.remove("Content-Transfer-Encoding");
    for (name, default) in [
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
    ] {
        if header.first(name).is_none() {
            header.append(Field::new(name, default));
        }
    }
    header.append(Field::new("Content-Transfer-Encoding", "quoted-printable"));
    Treatment::Quote
}

/// Rewrites a body of canonical CRLF lines, in pieces.
#[derive(Debug)]
pub struct Encoder {
    treatment: Treatment,
    /// Bytes in the line so far.
    column: usize,
    /// A blank or CR of which it is not known yet whether the line ends after it.
    pending: Option<u8>,
}

impl Encoder {
    /// For one body.
    pub fn new(treatment: Treatment) -> Self {
        Self {
            treatment,
            column: 0,
            pending: None,
        }
    }

    /// Takes the next piece, appends what it becomes to `out`.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match self.treatment {
            Treatment::Keep => out.extend_from_slice(piece),
            Treatment::Fold => piece.iter().for_each(|&byte| self.fold(byte, out)),
            Treatment::Quote => piece.iter().for_each(|&byte| self.quote(byte, out)),
        }
    }

    /// End of the body.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if let Some(byte) = self.pending.take() {
            self.escape(byte, out);
        }
    }

    fn fold(&mut self, byte: u8, out: &mut Vec<u8>) {
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

    fn quote(&mut self, byte: u8, out: &mut Vec<u8>) {
        match (self.pending.take(), byte) {
            (Some(b'\r'), b'\n') => {
                out.extend_from_slice(b"\r\n");
                self.column = 0;
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
        self.room(1, out);
        out.push(byte);
    }

    fn escape(&mut self, byte: u8, out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        self.room(3, out);
        out.push(b'=');
        for digit in [byte >> 4, byte & 15] {
            out.extend(HEX.get(usize::from(digit)));
        }
    }

    /// Breaks the line softly where `length` more bytes do not fit.
    fn room(&mut self, length: usize, out: &mut Vec<u8>) {
        if self.column.saturating_add(length) > QUOTED {
            out.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
        self.column = self.column.saturating_add(length);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(treatment: Treatment, body: &[u8], size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(treatment);
        for piece in body.chunks(size) {
            encoder.feed(piece, &mut out);
        }
        encoder.finish(&mut out);
        out
    }

    /// RFC 2045 §6.7, the reader's side.
    fn decode(text: &[u8]) -> Vec<u8> {
        let text = String::from_utf8(text.to_vec())
            .unwrap()
            .replace("=\r\n", "");
        let mut out = Vec::new();
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            if byte != b'=' {
                out.push(byte);
                continue;
            }
            let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
            out.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
        }
        out
    }

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
    fn text_becomes_quoted_printable_and_signed_mail_is_left_alone() {
        let treat = |text: &str| {
            let mut header = Header::parse(text.as_bytes());
            let treatment = treatment(&mut header);
            (treatment, String::from_utf8(header.to_bytes()).unwrap())
        };
        let (decided, text) = treat("Subject: x\r\n");
        assert_eq!(decided, Treatment::Quote);
        assert!(text.ends_with("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"));
        let html = "MIME-Version: 1.0\r\nContent-Type: TEXT/html; charset=latin1\r\n";
        assert_eq!(
            treat(&format!("Content-Transfer-Encoding: 8BIT\r\n{html}")).1,
            format!("{html}Content-Transfer-Encoding: quoted-printable\r\n")
        );
        for (kept, expected) in [
            (
                "Content-Type: multipart/mixed; boundary=x\r\n",
                Treatment::Fold,
            ),
            ("Content-Transfer-Encoding: base64\r\n", Treatment::Fold),
            (
                "Content-Type: multipart/signed; boundary=x\r\n",
                Treatment::Keep,
            ),
            ("DKIM-Signature: v=1\r\n", Treatment::Keep),
        ] {
            assert_eq!(treat(kept), (expected, kept.to_owned()));
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn quoted_text_reads_back_byte_for_byte_in_short_lines(
            lines in prop::collection::vec(prop_oneof!["[a-z =\t\u{e9}.]{0,200}", "x{900,1100}"], 0..6), size in 1usize..300,
        ) {
            let body = lines.iter().map(|line| format!("{line}\r\n")).collect::<Vec<_>>().concat();
            let out = encode(Treatment::Quote, body.as_bytes(), size);
            prop_assert!(out.is_ascii() && longest(&out) <= 76);
            let no_blank_ends = !out.windows(3).any(|w| matches!(w, [b' ' | b'\t', b'\r', b'\n']));
            prop_assert!(no_blank_ends);
            prop_assert_eq!(decode(&out), body.as_bytes());
        }

        #[test]
        fn folded_bodies_lose_nothing_but_the_length_of_their_lines(
            lines in prop::collection::vec("[a\u{e9}\u{4e2d}]{0,1500}", 0..3), size in 1usize..300,
        ) {
            let body = lines.iter().map(|line| format!("{line}\r\n")).collect::<Vec<_>>().concat();
            let out = encode(Treatment::Fold, body.as_bytes(), size);
            prop_assert!(longest(&out) <= 998);
            let text = String::from_utf8(out.clone()).unwrap();
            prop_assert!(text.lines().all(|line| std::str::from_utf8(line.as_bytes()).is_ok()));
            prop_assert_eq!(text.replace("\r\n", ""), body.replace("\r\n", ""));
        }

        #[test]
        fn any_bytes_come_out_in_short_lines(body in prop::collection::vec(any::<u8>(), 0..3000)) {
            for treatment in [Treatment::Quote, Treatment::Fold] {
                prop_assert!(longest(&encode(treatment, &body, 64)) <= 998);
            }
            prop_assert_eq!(decode(&encode(Treatment::Quote, &body, 64)), body);
        }
    }
}
