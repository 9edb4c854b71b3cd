//! The relaxed forms of header fields and bodies.
//!
//! Contract: where the pieces of a body are cut makes no difference; nothing of it is held but a
//! count of empty lines.
//! RFC 6376 §3.4.2, §3.4.4.

use mail::message::Field;

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// A field as it is hashed, with CRLF.
pub(super) fn field(field: &Field) -> Vec<u8> {
    let mut canonical = field.name().to_ascii_lowercase().into_bytes();
    canonical.push(b':');
    let mut gap = false;
    for &byte in field.value().trim_ascii() {
        if is_blank(byte) {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) {
            canonical.push(b' ');
        }
        canonical.push(byte);
    }
    canonical.extend_from_slice(b"\r\n");
    canonical
}

/// A body that passes, in lines that end in CRLF.
#[derive(Default, Debug)]
pub(super) struct Body {
    /// Line ends that count only if something follows.
    lines: u64,
    /// Blanks that count only if something follows in the line.
    gap: bool,
    /// A CR that may be the beginning of a line end.
    cr: bool,
    something: bool,
}

impl Body {
    /// Takes a piece; adds what is hashed of it to `out`.
    pub(super) fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for &byte in piece {
            match byte {
                b'\n' if std::mem::take(&mut self.cr) => {
                    self.lines = self.lines.saturating_add(1);
                    self.gap = false;
                }
                _ => {
                    if std::mem::take(&mut self.cr) {
                        self.text(b'\r', out);
                    }
                    match byte {
                        b'\r' => self.cr = true,
                        byte if is_blank(byte) => self.gap = true,
                        byte => self.text(byte, out),
                    }
                }
            }
        }
    }

    fn text(&mut self, byte: u8, out: &mut Vec<u8>) {
        for _ in 0..std::mem::take(&mut self.lines) {
            out.extend_from_slice(b"\r\n");
        }
        if std::mem::take(&mut self.gap) {
            out.push(b' ');
        }
        out.push(byte);
        self.something = true;
    }

    /// What is hashed at its end.
    pub(super) fn end(self) -> &'static [u8] {
        if self.something { b"\r\n" } else { b"" }
    }
}

#[cfg(test)]
mod tests {
    use mail::message::Header;
    use proptest::prelude::*;

    use super::*;

    fn body(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut body, mut out) = (Body::default(), Vec::new());
        for piece in pieces {
            body.feed(piece, &mut out);
        }
        out.extend_from_slice(body.end());
        out
    }

    /// Another way to the same: line by line, all in memory, as the RFC words it.
    fn plainly(text: &str) -> String {
        let text = text.strip_suffix("\r\n").unwrap_or(text);
        let mut lines: Vec<String> = text
            .split("\r\n")
            .map(|line| {
                let line = line.replace('\t', " ");
                let words: Vec<&str> = line.split(' ').filter(|it| !it.is_empty()).collect();
                let lead = if line.starts_with(' ') && !words.is_empty() {
                    " "
                } else {
                    ""
                };
                lead.to_owned() + &words.join(" ")
            })
            .collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        if lines.is_empty() {
            return String::new();
        }
        lines.join("\r\n") + "\r\n"
    }

    #[test]
    fn the_examples_of_rfc_6376_come_out() {
        let header = Header::parse(b"A: X\r\nB : Y\t\r\n\tZ  \r\n");
        let fields: Vec<u8> = header.fields().iter().flat_map(field).collect();
        assert_eq!(fields, b"a:X\r\nb:Y Z\r\n");
        assert_eq!(body(&[b" C \r\nD \t E\r\n\r\n\r\n"]), b" C\r\nD E\r\n");
        assert_eq!(body(&[b""]), b"");
        assert_eq!(body(&[b"\r\n \t\r\n"]), b"");
        assert_eq!(body(&[b"no end"]), b"no end\r\n");
        assert_eq!(body(&[b"\r\n\r\nx \r\n"]), b"\r\n\r\nx\r\n");
    }

    proptest! {
        #[test]
        fn any_body_in_any_pieces_is_hashed_as_the_rfc_words_it(
            words in proptest::collection::vec(prop_oneof![
                Just("\r\n"), Just(" "), Just("\t"), Just("a"), Just("bc"), Just("é"), Just("."), Just("=20")
            ], 0..40),
            cut in 0usize..80,
        ) {
            let text = words.concat();
            let (one, two) = text.as_bytes().split_at(cut.min(text.len()));
            prop_assert_eq!(String::from_utf8(body(&[one, two])).unwrap(), plainly(&text));
            let drops: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            prop_assert_eq!(body(&drops), body(&[text.as_bytes()]));
        }
    }
}
