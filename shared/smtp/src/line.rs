//! Bounded lines that end in CRLF and nothing else.
//!
//! Contract: [`split`] looks, it consumes nothing; a line is handed out only when its CRLF is
//! there. How the bytes were cut into packets never changes the answer.
//! Failures: [`LineError`], always the peer's fault. The session or connection ends then: behind a
//! bare CR or LF nobody knows where the next line begins (SMTP smuggling), so it is never repaired.
//! RFC 5321 §2.3.8 (lines), §4.5.3.1.4 (command line), §4.5.3.1.5 (reply line).
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::fmt;

/// Why bytes are no line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineError {
    /// No CRLF within the limit.
    TooLong,
    /// A CR without LF, or an LF without CR.
    LineEnding,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "line too long",
            Self::LineEnding => "bare CR or LF",
        })
    }
}
impl std::error::Error for LineError {}

/// A line without its CRLF, and what follows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Split<'a> {
    pub line: &'a [u8],
    pub rest: &'a [u8],
}

/// The first line of `bytes`; `None` while the line is incomplete. `limit` counts the CRLF.
pub fn split(bytes: &[u8], limit: usize) -> Result<Option<Split<'_>>, LineError> {
    let Some(end) = memchr::memchr2(b'\r', b'\n', bytes) else {
        return if bytes.len() >= limit {
            Err(LineError::TooLong)
        } else {
            Ok(None)
        };
    };
    if end.saturating_add(2) > limit {
        return Err(LineError::TooLong);
    }
    let (line, rest) = bytes.split_at_checked(end).ok_or(LineError::LineEnding)?;
    match rest {
        [b'\r', b'\n', rest @ ..] => Ok(Some(Split { line, rest })),
        b"\r" => Ok(None),
        _ => Err(LineError::LineEnding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crlf_ends_a_line() {
        assert_eq!(
            split(b"NOOP\r\nQUIT\r\n", 512),
            Ok(Some(Split {
                line: b"NOOP",
                rest: b"QUIT\r\n"
            }))
        );
        assert_eq!(
            split(b"\r\n", 512),
            Ok(Some(Split {
                line: b"",
                rest: b""
            }))
        );
        for incomplete in ["", "NOOP", "NOOP\r"] {
            assert_eq!(
                split(incomplete.as_bytes(), 512),
                Ok(None),
                "{incomplete:?}"
            );
        }
        for bare in ["NOOP\n", "NO\rOP\r\n", "\n", "\r\r\n", "NOOP\r\0\n"] {
            assert_eq!(
                split(bare.as_bytes(), 512),
                Err(LineError::LineEnding),
                "{bare:?}"
            );
        }
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_with_its_crlf_and_not_a_byte_more() {
        assert_eq!(
            split(b"12345678\r\n", 10),
            Ok(Some(Split {
                line: b"12345678",
                rest: b""
            }))
        );
        assert_eq!(split(b"123456789\r\n", 10), Err(LineError::TooLong));
        assert_eq!(
            split(b"123456789", 10),
            Ok(None),
            "the CR may still come; its LF not"
        );
        assert_eq!(split(b"1234567890", 10), Err(LineError::TooLong));
    }
}
