//! Text as encoded words in the Q encoding, which are safe wherever an encoded word may stand.
//!
//! Contract: ASCII; no word is longer than [`WORD`], no character is split between two.
//! RFC 2047 §2 (lengths), §4.2 (Q), §5 (places).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt::Write as _;

/// Longest encoded word. RFC 2047 §2 allows 75, and 76 for a line with the field's name in it.
const WORD: usize = 58;

/// The text as encoded words, one a line.
pub(super) fn folded(text: &str) -> String {
    words(text).join("\r\n ")
}

/// The text as encoded words, none longer than [`WORD`], no character split between two.
pub(super) fn words(text: &str) -> Vec<String> {
    const START: &str = "=?utf-8?q?";
    const END: &str = "?=";
    let mut out = Vec::new();
    let mut word = START.to_owned();
    for c in text.chars() {
        let quoted = quoted(c);
        if word
            .len()
            .saturating_add(quoted.len())
            .saturating_add(END.len())
            > WORD
        {
            out.push(std::mem::replace(&mut word, START.to_owned()) + END);
        }
        word.push_str(&quoted);
    }
    out.push(word + END);
    out
}

/// One character in the Q encoding that is safe everywhere, in phrases and comments too (RFC 2047
/// §5 (3)).
fn quoted(c: char) -> String {
    match c {
        ' ' => "_".to_owned(),
        _ if c.is_ascii_alphanumeric() || matches!(c, '!' | '*' | '+' | '-' | '/') => c.to_string(),
        _ => c
            .encode_utf8(&mut [0; 4])
            .bytes()
            .fold(String::new(), |mut out, byte| {
                // Writing to a String cannot fail.
                let _ = write!(out, "={byte:02X}");
                out
            }),
    }
}
