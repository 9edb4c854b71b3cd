//! Text of header fields as people read it: encoded words decoded.
//!
//! Contract: total and bounded; one line, without controls. What is not understood stays as it is.
//! RFC 2047 §4 (encodings), §6.2 (blanks between words); RFC 2231 §5 (languages).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Longest value that is looked at, bytes.
const LONGEST: usize = 1000;

/// The value of a field of text; encoded words that are not understood stay as they are.
pub fn decoded(value: &[u8]) -> String {
    let value = value.get(..LONGEST).unwrap_or(value);
    let text = String::from_utf8_lossy(value);
    let mut out = String::new();
    // Blanks between two encoded words are nobody's.
    let mut encoded = false;
    for word in text.split_whitespace() {
        let read = word_of(word);
        let joined = encoded && read.is_some();
        if !out.is_empty() && !joined {
            out.push(' ');
        }
        encoded = read.is_some();
        out.push_str(read.as_deref().unwrap_or(word));
    }
    let out: String = out
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    out.trim().to_owned()
}

/// `=?utf-8?q?r=C3=A9ussi?=`
fn word_of(word: &str) -> Option<String> {
    let inner = word.strip_prefix("=?")?.strip_suffix("?=")?;
    let mut parts = inner.splitn(3, '?');
    let (charset, encoding, text) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = match encoding {
        "b" | "B" => STANDARD.decode(text).ok()?,
        "q" | "Q" => quoted(text.as_bytes()),
        _ => return None,
    };
    // A language may follow the name (RFC 2231 section 5).
    let charset = charset.split('*').next()?.to_ascii_lowercase();
    match charset.as_str() {
        "utf-8" | "us-ascii" => Some(String::from_utf8_lossy(&bytes).into_owned()),
        "iso-8859-1" | "iso-8859-15" | "windows-1252" => {
            Some(bytes.into_iter().map(char::from).collect())
        }
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
            ("=?utf-8?q?a=0D=0ABcc:_x=1B[2J?=", "a  Bcc: x [2J"),
            ("=?utf-8?q?=", "=?utf-8?q?="),
        ] {
            assert_eq!(decoded(written.as_bytes()), read, "{written}");
        }
        assert_eq!(decoded("é".repeat(10_000).as_bytes()).chars().count(), 500);
    }
}
