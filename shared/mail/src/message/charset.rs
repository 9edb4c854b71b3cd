//! The name of the character set of 8-bit text that does not say it itself.
//!
//! Contract: text is called UTF-8 only if all of it is; anything else is `unknown-8bit` (RFC 1428
//! §3), never a guess.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// Watches text in pieces.
#[derive(Clone, Default, Debug)]
pub struct Charset {
    other: bool,
    /// The beginning of a character whose rest comes with the next piece.
    begun: Vec<u8>,
}

impl Charset {
    /// Takes the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        if self.other || (self.begun.is_empty() && piece.is_ascii()) {
            return;
        }
        let text = [self.begun.as_slice(), piece].concat();
        self.begun.clear();
        if let Err(error) = std::str::from_utf8(&text) {
            self.other = error.error_len().is_some();
            self.begun = text.get(error.valid_up_to()..).unwrap_or_default().to_vec();
        }
    }

    /// What to call the text that was seen.
    pub fn label(&self) -> &'static str {
        if self.other || !self.begun.is_empty() {
            "unknown-8bit"
        } else {
            "utf-8"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_called_utf_8_only_if_all_of_it_is() {
        for (text, label) in [
            (&b""[..], "utf-8"),
            ("a \u{e9} \u{20ac} \u{1f600}".as_bytes(), "utf-8"),
            (b"a \xe9 b", "unknown-8bit"),
            (b"a \xe2\x82", "unknown-8bit"),
            (b"\xc3\xa9 \xff", "unknown-8bit"),
        ] {
            for size in 1..7 {
                let mut charset = Charset::default();
                text.chunks(size).for_each(|piece| charset.feed(piece));
                assert_eq!(charset.label(), label, "{text:?} in pieces of {size}");
            }
        }
    }
}
