//! Text of others as people see it.
//!
//! Contract: what is shown on a terminal, in a log or on a page is one line, reads in the order in
//! which it was written, and hides nothing. Joiners stay: names in some scripts need them.
//! Unicode Technical Report 36 §2.6 (bidirectional text), §3.3 (default ignorable characters).

/// Whether a character could command a terminal, or hide or reorder what stands around it:
/// controls, marks of direction, what has no width, tags.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Whether a character leaves no ink where it stands: blanks of all kinds, and what has no width.
pub fn is_blank_or_unseen(c: char) -> bool {
    c.is_whitespace()
        || is_unseen(c)
        || matches!(c, '\u{ad}' | '\u{180e}' | '\u{200c}' | '\u{200d}')
}

/// With a question mark in the place of each of those.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_unseen(c) { '?' } else { c })
        .collect()
}

/// What [`super::outcome::escape`] was given, as text: for who hands it to a reader that escapes it
/// himself. What could not stand in one line is a question mark, bytes of no character U+FFFD.
pub fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let hex = after.strip_prefix('x').and_then(|it| it.get(..2));
        let hex = hex.filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let (byte, length) = match byte {
            Some(byte) => (byte, 3),
            None => (b'\\', usize::from(after.starts_with('\\'))),
        };
        bytes.push(byte);
        rest = after.get(length..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    printable(&String::from_utf8_lossy(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::escape;

    #[test]
    fn what_was_escaped_is_read_again_and_commands_nothing() {
        for text in ["no mailbox f\u{fc}r 用户", "C:\\x41 \\", "a\\\\b", ""] {
            assert_eq!(unescaped(&escape(text.as_bytes(), 500)), text);
        }
        for (escaped, shown) in [
            ("a\\x1b[2Jb\\x0d\\x0ac", "a?[2Jb??c"),
            ("\\xff \\x+1 \\xg \\x4", "\u{fffd} \\x+1 \\xg \\x4"),
            ("f\\xc3...", "f\u{fffd}..."),
        ] {
            assert_eq!(unescaped(escaped), shown);
        }
    }

    #[test]
    fn what_would_command_hide_or_reorder_is_shown_and_names_in_any_script_stay() {
        for (text, shown) in [
            ("a\u{1b}[2Jb\u{9b}c\n", "a?[2Jb?c?"),
            ("gro.elpmaxe@\u{202e}root", "gro.elpmaxe@?root"),
            ("root\u{200b}@example.org", "root?@example.org"),
            ("a\u{2066}b\u{2069}c\u{feff}\u{e0041}", "a?b?c??"),
        ] {
            assert_eq!(printable(text), shown);
        }
        for text in [
            "Größe",
            "می\u{200c}خواهم@example",
            "用户@例え.jp",
            "👩\u{200d}💻",
        ] {
            assert_eq!(printable(text), text);
        }
    }
}
