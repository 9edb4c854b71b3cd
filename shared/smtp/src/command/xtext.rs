//! xtext, the encoding of DSN parameters: `+` and two hexadecimal digits for what cannot stand in a
//! parameter.
//!
//! Contract: what is decoded has no control character; [`decode`] of [`encode`] is the text itself,
//! if that has none either.
//! RFC 3461 §4; RFC 6533 §3 (UTF-8 as it is).
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

/// The text that was meant; `None` if it is no xtext, no UTF-8 or has control characters.
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => {
                let (high, low) = (hex(rest.next()?)?, hex(rest.next()?)?);
                bytes.push(high << 4 | low);
            }
            b'=' | ..=b' ' | 0x7f => return None,
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|decoded| !decoded.chars().any(char::is_control))
}

/// Appends `text` as xtext. With `utf8` (the transaction has SMTPUTF8), letters beyond ASCII go as
/// they are.
pub fn encode(text: &str, utf8: bool, out: &mut Vec<u8>) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let digit = |value: u8| {
        DIGITS
            .get(usize::from(value & 15))
            .map_or(b'0', |&c| c as u8)
    };
    for byte in text.bytes() {
        if (byte.is_ascii_graphic() && byte != b'+' && byte != b'=') || (utf8 && !byte.is_ascii()) {
            out.push(byte);
        } else {
            out.extend([b'+', digit(byte >> 4), digit(byte)]);
        }
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}
