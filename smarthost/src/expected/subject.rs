//! Subjects as people read them (RFC 2047), and without what differs from one message of a kind to
//! the next.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use settings::Pattern;

/// Longest subject that is looked at, bytes, and longest of a kind, bytes.
const LONGEST: usize = 1000;
pub(super) const KIND: usize = 120;
/// Stands for anything until a kind is complete: in no subject, since controls become blanks.
const ANY: char = '\u{1}';
/// Names of days and months, and what else is a part of times.
const DATES: &str = " mon tue wed thu fri sat sun monday tuesday wednesday thursday friday saturday sunday jan feb mar apr may jun jul \
     aug sep oct nov dec january february march april june july august september october november december \
     cet cest utc gmt am pm ";

/// The value of a Subject field; encoded words that are not understood stay as they are.
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
                let byte = u8::try_from(high * 16 + low).unwrap_or_default();
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

/// What messages of one kind have in common, as a [`Pattern`](super::Pattern): `*` for numbers,
/// dates, ids, and what is beyond its length.
pub(super) fn kind(subject: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in subject.chars().chain([' ']) {
        if c.is_alphanumeric() {
            word.push(c);
            continue;
        }
        push(&mut out, &std::mem::take(&mut word));
        out.push(c);
    }
    // Parts of one time or number.
    let mut joined = String::new();
    for c in out.trim().chars() {
        let between = |c: char| " .,:-/+()[]".contains(c);
        if c == ANY {
            let kept = joined.trim_end_matches(between);
            if kept.ends_with(ANY) {
                joined.truncate(kept.len());
                continue;
            }
        }
        joined.push(c);
    }
    if joined.len() > KIND {
        joined.truncate(joined.floor_char_boundary(KIND - 1));
        if !joined.ends_with(ANY) {
            joined.push(ANY);
        }
    }
    let parts: Vec<String> = joined.split(ANY).map(Pattern::literal).collect();
    parts.join("*")
}

/// Whether a kind tells its messages from others.
pub(super) fn says_something(kind: &str) -> bool {
    kind.chars().any(|c| c.is_alphanumeric() || !c.is_ascii())
}

/// A word, without its numbers; digits behind a letter are part of a name, such as `sda1`.
fn push(out: &mut String, word: &str) {
    let lower = format!(" {} ", word.to_lowercase());
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let is_id = word.len() >= 8 && digits > 1 && word.chars().all(|c| c.is_ascii_hexdigit());
    let is_time = word.starts_with(|c: char| c.is_ascii_digit());
    if !word.is_empty() && (DATES.contains(&lower) || is_id || is_time) {
        out.push(ANY);
    } else {
        out.push_str(word);
    }
}
