//! Text of header fields as people read it: encoded words decoded.
//!
//! Contract: total and bounded; one line, without controls. What is not understood stays as it is.
//! RFC 2047 §4 (encodings), §6.2 (blanks between words); RFC 2231 §5 (languages).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Longest value that is looked at, bytes.
const LONGEST: usize = 1000;

/// The value of a field of text; encoded words that are not understood stay as they are. Those that
/// stand where none may (within a word, one behind the other) are read, too: programs write them.
pub fn decoded(value: &[u8]) -> String {
    let value = value.get(..LONGEST).unwrap_or(value);
    let text = String::from_utf8_lossy(value);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (mut out, mut rest) = (String::new(), text.as_str());
    // Of words in UTF-8 one behind the other: a character may be cut in two.
    let mut bytes: Vec<u8> = Vec::new();
    while !rest.is_empty() {
        // Blanks between two encoded words are nobody's.
        let next = rest.trim_start_matches(' ');
        let joined = !bytes.is_empty() && next.starts_with("=?");
        let from = if joined { next } else { rest };
        if let Some((read, behind)) = word_of(from) {
            bytes.extend(read);
            rest = behind;
            continue;
        }
        out.push_str(&String::from_utf8_lossy(&std::mem::take(&mut bytes)));
        let mut chars = rest.chars();
        out.extend(chars.next());
        rest = chars.as_str();
    }
    out.push_str(&String::from_utf8_lossy(&bytes));
    let out: String = out
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    out.trim().to_owned()
}

/// `=?utf-8?q?r=C3=A9ussi?=` at the beginning of a text: its meaning in UTF-8, and what stands
/// behind it.
fn word_of(text: &str) -> Option<(Vec<u8>, &str)> {
    let inner = text.strip_prefix("=?")?;
    let mut parts = inner.splitn(3, '?');
    let (charset, encoding, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (text, behind) = rest.split_once("?=")?;
    if [charset, encoding, text]
        .iter()
        .any(|part| part.contains(' '))
    {
        return None;
    }
    let bytes = match encoding {
        "b" | "B" => STANDARD.decode(text).ok()?,
        "q" | "Q" => quoted(text.as_bytes()),
        _ => return None,
    };
    // A language may follow the name (RFC 2231 section 5).
    let charset = charset.split('*').next()?.to_ascii_lowercase();
    let latin = |bytes: Vec<u8>| bytes.into_iter().map(char::from).collect::<String>();
    match charset.as_str() {
        "utf-8" | "utf8" | "us-ascii" => Some((bytes, behind)),
        "iso-8859-1" | "iso-8859-15" | "windows-1252" => Some((latin(bytes).into_bytes(), behind)),
        _ => None,
    }
}

fn quoted(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let coded = digit(after.first()).zip(digit(after.get(1)));
        let (byte, after) = match (first, coded) {
            (b'=', Some((high, low))) => {
                let byte =
                    u8::try_from(high.saturating_mul(16).saturating_add(low)).unwrap_or_default();
                (byte, after.get(2..).unwrap_or_default())
            }
            (b'_', _) => (b' ', after),
            (byte, _) => (*byte, after),
        };
        out.push(byte);
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_read_as_they_are_meant_and_others_stay() {
        for (written, read) in [
            ("plain  text", "plain text"),
            (
                "=?utf-8?q?Gr=C3=B6=C3=9Fe?= of =?ISO-8859-1?Q?K=F6ln?=",
                "Größe of Köln",
            ),
            ("=?UTF-8?B?R3LDtg==?=\r\n =?utf-8*de?b?w59l?=", "Größe"),
            ("=?utf-8?q?a_b=2C?= =?utf-8?q?c?=", "a b,c"),
            (
                "=?koi8-r?q?=C1?= =?utf-8?x?y?= =?utf-8?b?%?=",
                "=?koi8-r?q?=C1?= =?utf-8?x?y?= =?utf-8?b?%?=",
            ),
            (
                "[vm7]=?utf-8?q?r=C3=A9ussi?=, \"=?utf-8?q?=C3=A9?=\"",
                "[vm7]réussi, \"é\"",
            ),
            ("=?utf-8?q?a?==?utf-8?q?=C3?= =?utf-8?q?=A9?= b", "aé b"),
            ("=?utf-8?q?a b?= =?", "=?utf-8?q?a b?= =?"),
            ("=?utf-8?q?a=0D=0ABcc:_x=1B[2J?=", "a  Bcc: x [2J"),
            ("=?utf-8?q?=", "=?utf-8?q?="),
        ] {
            assert_eq!(decoded(written.as_bytes()), read, "{written}");
        }
        assert_eq!(decoded("é".repeat(10_000).as_bytes()).chars().count(), 500);
    }
}
