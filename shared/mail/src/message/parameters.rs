//! Raw 8-bit text in the parameters of MIME fields made ASCII: `filename="Grüße.txt"` becomes
//! `filename*=utf-8''Gr%C3%BC%C3%9Fe.txt`.
//!
//! Contract: total; what is ASCII stays byte for byte, and so does what is no parameter. A
//! parameter that has both forms keeps both: readers prefer the new one.
//! RFC 2231 §4, §7; RFC 2183 §2.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt::Write as _;

use crate::{address::list, message::Field};

/// The field with its parameters in ASCII; `None` if nothing changes.
pub(super) fn encoded(field: &Field) -> Option<Field> {
    let body = field.body();
    let mut out = Vec::with_capacity(body.len());
    let mut changed = false;
    for (index, part) in parts(body).into_iter().enumerate() {
        let new = if index == 0 { None } else { parameter(part) };
        changed |= new.is_some();
        if index > 0 {
            out.push(b';');
        }
        match new {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => out.extend_from_slice(part),
        }
    }
    changed.then(|| field.with_body(&out))
}

/// The text between semicolons; those in quotes do not count.
pub(super) fn parts(body: &[u8]) -> Vec<&[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    body.split(|&byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        byte == b';' && !quoted
    })
    .collect()
}

/// ` name="value"` with a value that is not ASCII.
fn parameter(part: &[u8]) -> Option<String> {
    let equals = part.iter().position(|&byte| byte == b'=')?;
    let (name, value) = part.split_at_checked(equals)?;
    let value = value.get(1..)?.trim_ascii();
    let token = name.trim_ascii();
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    if value.is_ascii() || token.is_empty() || !token.iter().all(is_token) {
        return None;
    }
    let mut out = format!("{}*=utf-8''", String::from_utf8(name.to_vec()).ok()?);
    for byte in list::decode(&unquoted(value)).bytes() {
        // attribute-char, less what no reader needs raw.
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    Some(out)
}

pub(super) fn unquoted(value: &[u8]) -> Vec<u8> {
    let inner = value.strip_prefix(b"\"").unwrap_or(value);
    let inner = inner.strip_suffix(b"\"").unwrap_or(inner);
    let mut escaped = false;
    let kept = inner.iter().filter(|&&byte| {
        escaped = byte == b'\\' && !escaped;
        !escaped && !matches!(byte, b'\r' | b'\n')
    });
    kept.copied().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::message::{Header, encoded_words};

    fn repaired(field: &[u8]) -> String {
        let mut header = Header::parse(field);
        encoded_words::repair(&mut header);
        String::from_utf8_lossy(&header.to_bytes()).into_owned()
    }

    #[test]
    fn the_name_of_an_attachment_in_raw_utf8_or_latin_1_becomes_ascii_and_the_rest_stays() {
        for (field, expected) in [
            (
                "Content-Disposition: attachment; filename=\"Gr\u{fc}\u{df}e; \\\"1\\\".txt\"; size=3\r\n".as_bytes(),
                "Content-Disposition: attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe%3B%20%221%22.txt; size=3\r\n",
            ),
            (
                b"Content-Type: text/plain;\r\n\tname=M\xe4rz.txt;\r\n charset=iso-8859-1\r\n",
                "Content-Type: text/plain;\r\n\tname*=utf-8''M%C3%A4rz.txt;\r\n charset=iso-8859-1\r\n",
            ),
            (
                b"Content-Type: text/plain; charset=\"utf-8\"\r\n",
                "Content-Type: text/plain; charset=\"utf-8\"\r\n",
            ),
        ] {
            assert_eq!(repaired(field), expected);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_make_one_field_again(value in prop::collection::vec(prop::sample::select(&b"ab=;\"\\ \xfc\xc3"[..]), 0..40)) {
            let mut field = b"Content-Type: ".to_vec();
            field.extend(value);
            field.extend_from_slice(b"\r\n");
            let once = repaired(&field);
            prop_assert_eq!(Header::parse(once.as_bytes()).fields().len(), 1);
            if once.is_ascii() {
                prop_assert_eq!(repaired(once.as_bytes()), once);
            }
        }
    }
}
