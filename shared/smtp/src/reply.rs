//! Replies, read and written.
//!
//! Contract: [`Parser`] takes bytes as they come, keeps at most one line and
//! [`limits::REPLY_LINES`] lines of text, and never consumes a byte behind the reply that it
//! returns. What it returns has one code on all its lines.
//! Failures: [`ReplyError`], always the peer's fault and never permanent: the connection is of no
//! use any more, the mail waits.
//! RFC 5321 §4.2 (syntax), §4.5.3.1.5 (512 bytes a line); RFC 2034 (enhanced codes in the text).
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::fmt::{self, Write as _};

use mail::{
    limits,
    status::{EnhancedStatus, ReplyCode},
    text::is_unseen,
};

/// Longest line that we write, bytes with CRLF: RFC 5321 §4.5.3.1.5.
const WRITTEN_LINE: usize = 512;

/// A reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    pub code: ReplyCode,
    pub status: Option<EnhancedStatus>,
    /// Text lines without code and enhanced status; at least one, may be empty.
    pub lines: Vec<String>,
}

impl Reply {
    /// A reply of ours; `code` outside 200..=599 becomes 451. Each line feed in `text` begins a new
    /// line.
    pub fn new(code: u16, status: EnhancedStatus, text: impl Into<String>) -> Self {
        let text: String = text.into();
        Self {
            code: known(code),
            status: Some(status),
            lines: text.split('\n').map(str::to_owned).collect(),
        }
    }

    /// A reply without enhanced code: greeting, answer to EHLO, 354 (RFC 2034 §4). `code` as in
    /// [`Reply::new`].
    pub fn plain(code: u16, lines: Vec<String>) -> Self {
        let lines = if lines.is_empty() {
            vec![String::new()]
        } else {
            lines
        };
        Self {
            code: known(code),
            status: None,
            lines,
        }
    }

    /// The same, written `"450 4.7.1 text"` or `"354 text"` in the source; what is not of that form
    /// becomes `451 4.3.0`.
    pub fn literal(text: &str) -> Self {
        let (digits, rest) = text.split_once(' ').unwrap_or((text, ""));
        let number = if digits.len() == 3 {
            digits.parse().ok()
        } else {
            None
        };
        match number.and_then(ReplyCode::new) {
            Some(code) => {
                let (status, rest) = split_status(code, rest);
                Self {
                    code,
                    status,
                    lines: rest.split('\n').map(str::to_owned).collect(),
                }
            }
            None => Self::new(451, EnhancedStatus::new(4, 3, 0), text),
        }
    }

    /// All lines joined by blanks, with code and status: `250 2.0.0 Ok: queued as X`. For logs;
    /// escaped and bounded there.
    pub fn text(&self) -> String {
        let mut out = self.code.to_string();
        if let Some(status) = self.status {
            // Writing to a String cannot fail.
            let _ = write!(out, " {status}");
        }
        for line in self.lines.iter().filter(|line| !line.is_empty()) {
            out.push(' ');
            out.push_str(line);
        }
        out
    }

    /// Wire form, CRLF at each end; what is no printable ASCII becomes `?` (RFC 5321 §4.2), a line
    /// over 512 bytes is cut. Texts come from tables, filters and policy servers, too.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.write(false, out);
    }

    /// The same with UTF-8 as it is, for a peer that is known to take it (RFC 6531 §3.7.4.2).
    pub fn encode_utf8(&self, out: &mut Vec<u8>) {
        self.write(true, out);
    }

    fn write(&self, utf8: bool, out: &mut Vec<u8>) {
        let mut lines = self.lines.iter().map(String::as_str).peekable();
        let mut next = Some(lines.next().unwrap_or(""));
        while let Some(line) = next {
            next = lines.next();
            let mut head = format!("{}{}", self.code, if next.is_some() { '-' } else { ' ' });
            if let Some(status) = self.status {
                // Writing to a String cannot fail.
                let _ = write!(head, "{status} ");
            }
            let printable = |c: char| matches!(c, ' '..='~') || (utf8 && !c.is_ascii());
            for c in line.chars() {
                let shown = if printable(c) && !is_unseen(c) {
                    c
                } else {
                    '?'
                };
                if head.len().saturating_add(shown.len_utf8()) > WRITTEN_LINE.saturating_sub(2) {
                    break;
                }
                head.push(shown);
            }
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn known(code: u16) -> ReplyCode {
    ReplyCode::new(code).unwrap_or(ReplyCode::LOCAL_ERROR)
}

/// Takes an enhanced code off the beginning of a text, if its class is that of the reply code (RFC
/// 2034 §4).
fn split_status(code: ReplyCode, text: &str) -> (Option<EnhancedStatus>, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match EnhancedStatus::parse(word) {
        Some(status) if u16::from(status.class()) == code.value() / 100 => (Some(status), rest),
        _ => (None, text),
    }
}

/// How a peer broke the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplyError {
    /// A line over [`limits::REPLY_LINE`].
    LineTooLong,
    /// More than [`limits::REPLY_LINES`] lines.
    TooManyLines,
    /// CR or LF alone.
    LineEnding,
    /// Not `ddd text`, or a code that SMTP does not know.
    Syntax,
    /// The lines of one reply have different codes.
    CodeChanged,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LineTooLong => "the peer sent a reply line of more than 4096 bytes",
            Self::TooManyLines => "the peer sent a reply of more than 128 lines",
            Self::LineEnding => "the peer sent a reply with a bare CR or LF",
            Self::Syntax => "the peer sent something that is not an SMTP reply",
            Self::CodeChanged => "the peer sent one reply with different codes",
        })
    }
}
impl std::error::Error for ReplyError {}

/// Reads replies from pieces of any size.
#[derive(Debug, Default)]
pub struct Parser {
    /// The line that is not complete yet.
    partial: Vec<u8>,
    /// The reply that is not complete yet.
    code: Option<ReplyCode>,
    status: Option<EnhancedStatus>,
    lines: Vec<String>,
}

impl Parser {
    /// Whether the parser stands between two replies.
    pub fn is_idle(&self) -> bool {
        self.partial.is_empty() && self.code.is_none()
    }

    /// Takes bytes off the front of `input` until one reply is complete, or `input` is empty
    /// (`Ok(None)`). After an error the stream is lost.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, ReplyError> {
        while let Some(end) = input.iter().position(|&byte| byte == b'\n') {
            let (line, rest) = input
                .split_at_checked(end.saturating_add(1))
                .unwrap_or((input, &[]));
            *input = rest;
            self.keep(line)?;
            let line = std::mem::take(&mut self.partial);
            if let Some(reply) = self.line(&line)? {
                return Ok(Some(reply));
            }
        }
        let rest = std::mem::take(input);
        self.keep(rest)?;
        Ok(None)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), ReplyError> {
        if self.partial.len().saturating_add(bytes.len()) > limits::REPLY_LINE {
            return Err(ReplyError::LineTooLong);
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// One line with its line feed; gives the reply whose last line it is.
    fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyError> {
        let line = line
            .strip_suffix(b"\r\n")
            .filter(|line| !line.contains(&b'\r'))
            .ok_or(ReplyError::LineEnding)?;
        let (code, more, text) = split_line(line).ok_or(ReplyError::Syntax)?;
        if *self.code.get_or_insert(code) != code {
            return Err(ReplyError::CodeChanged);
        }
        if self.lines.len() >= limits::REPLY_LINES {
            return Err(ReplyError::TooManyLines);
        }
        let text = String::from_utf8_lossy(text);
        let (status, rest) = split_status(code, &text);
        let first = self.lines.is_empty();
        if first {
            self.status = status;
        }
        // A later line that has another status than the first keeps it in its text.
        let text = if status == self.status { rest } else { &text };
        self.lines.push(text.to_owned());
        if more {
            return Ok(None);
        }
        self.code = None;
        Ok(Some(Reply {
            code,
            status: self.status.take(),
            lines: std::mem::take(&mut self.lines),
        }))
    }
}

/// Code, whether more lines follow, text.
fn split_line(line: &[u8]) -> Option<(ReplyCode, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = ReplyCode::new(std::str::from_utf8(digits).ok()?.parse().ok()?)?;
    match rest.split_first() {
        None => Some((code, false, rest)),
        Some((b' ', text)) => Some((code, false, text)),
        Some((b'-', text)) => Some((code, true, text)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(bytes: &[u8]) -> Result<Vec<Reply>, ReplyError> {
        let (mut parser, mut input, mut replies) = (Parser::default(), bytes, Vec::new());
        while let Some(reply) = parser.next(&mut input)? {
            replies.push(reply);
        }
        Ok(replies)
    }

    #[test]
    fn replies_of_real_servers_are_understood() {
        let replies = parse(
            b"220 mx.example.org ESMTP Postfix\r\n250-mx.example.org\r\n250-SIZE 10240000\r\n250 DSN\r\n\
              250 2.1.5 Ok\r\n354\r\n550-5.1.1 The email account that you tried\r\n550-5.1.1 to reach\r\n550 5.1.1  does not exist\r\n\
              450 5.1.1 confused\r\n",
        )
        .unwrap();
        let texts: Vec<_> = replies.iter().map(Reply::text).collect();
        assert_eq!(
            texts,
            [
                "220 mx.example.org ESMTP Postfix",
                "250 mx.example.org SIZE 10240000 DSN",
                "250 2.1.5 Ok",
                "354",
                "550 5.1.1 The email account that you tried to reach  does not exist",
                "450 5.1.1 confused",
            ]
        );
        assert_eq!(replies[2].status, EnhancedStatus::parse("2.1.5"));
        assert_eq!(replies[4].lines.len(), 3);
        assert_eq!(
            replies[5].status, None,
            "an enhanced code that contradicts the reply code is text"
        );
    }

    #[test]
    fn a_peer_that_breaks_the_protocol_is_told_from_one_that_answers() {
        let long = [b"250 ".as_slice(), &[b'x'; limits::REPLY_LINE]].concat();
        let endless = b"250-more\r\n".repeat(limits::REPLY_LINES + 1);
        for (bytes, error) in [
            (b"250 ok\n".as_slice(), ReplyError::LineEnding),
            (b"250 o\rk\r\n", ReplyError::LineEnding),
            (b"250-a\r\n550 b\r\n", ReplyError::CodeChanged),
            (b"\r\n", ReplyError::Syntax),
            (b"HTTP/1.1 400 Bad Request\r\n", ReplyError::Syntax),
            (b"25\r\n", ReplyError::Syntax),
            (b"2500 ok\r\n", ReplyError::Syntax),
            (b"199 ok\r\n", ReplyError::Syntax),
            (b"+50 ok\r\n", ReplyError::Syntax),
            (&long, ReplyError::LineTooLong),
            (&endless, ReplyError::TooManyLines),
        ] {
            assert_eq!(
                parse(bytes),
                Err(error),
                "{:?}",
                String::from_utf8_lossy(&bytes[..bytes.len().min(40)])
            );
        }
    }

    #[test]
    fn what_follows_a_reply_stays_unread() {
        let (mut parser, mut input) = (Parser::default(), b"220 go\r\n250 forged\r\n".as_slice());
        assert!(parser.next(&mut input).unwrap().is_some());
        assert_eq!(input, b"250 forged\r\n");
        assert!(parser.is_idle());
    }

    #[test]
    fn our_texts_cannot_break_a_reply_into_two() {
        let mut out = Vec::new();
        Reply::new(450, EnhancedStatus::new(4, 7, 1), "first\nsecond\r\x00x").encode(&mut out);
        assert_eq!(out, b"450-4.7.1 first\r\n450 4.7.1 second??x\r\n");
        assert_eq!(
            Reply::new(99, EnhancedStatus::new(4, 0, 0), "")
                .code
                .value(),
            451
        );
        out.clear();
        Reply::plain(250, vec!["é".repeat(600)]).encode(&mut out);
        assert!(out.len() <= WRITTEN_LINE);
        out.clear();
        let said = String::from_utf8_lossy(b"no \xff\xc2\x9b2J \xc3\xbc").into_owned();
        Reply::new(550, EnhancedStatus::new(5, 7, 1), said).encode(&mut out);
        assert_eq!(out, b"550 5.7.1 no ??2J ?\r\n", "octets of a filter");
        out.clear();
        let said = format!("f\u{fc}r\r\u{9b}{}", "é".repeat(600));
        Reply::new(550, EnhancedStatus::new(5, 7, 1), said).encode_utf8(&mut out);
        let wire = String::from_utf8(out).unwrap();
        assert!(wire.starts_with("550 5.7.1 f\u{fc}r??éé"), "{wire}");
        assert!(wire.ends_with("é\r\n") && wire.len() <= WRITTEN_LINE);
    }

    #[test]
    fn a_reply_written_in_the_source_is_what_it_says_and_a_slip_is_temporary() {
        let reply = Reply::literal("554 5.7.1 Relay access denied");
        assert_eq!(
            (reply.code.value(), reply.text().as_str()),
            (554, "554 5.7.1 Relay access denied")
        );
        assert_eq!(
            Reply::literal("354 End data with <CR><LF>.<CR><LF>").status,
            None
        );
        assert_eq!(Reply::literal("nonsense").text(), "451 4.3.0 nonsense");
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same_replies_or_the_same_error(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..300),
                "(2[0-5]0[- ](2\\.1\\.0 )?[a-z\r]{0,6}\r?\n){0,8}".prop_map(String::into_bytes),
            ],
            size in 1usize..7,
        ) {
            let whole = parse(&bytes);
            let (mut parser, mut pieces) = (Parser::default(), Ok(Vec::new()));
            'all: for mut piece in bytes.chunks(size) {
                loop {
                    match (parser.next(&mut piece), &mut pieces) {
                        (Ok(Some(reply)), Ok(replies)) => replies.push(reply),
                        (Ok(_), _) => break,
                        (Err(error), _) => { pieces = Err(error); break 'all; }
                    }
                }
            }
            prop_assert_eq!(whole, pieces);
        }

        #[test]
        fn what_we_write_we_read_back(code in 200u16..600, class in prop_oneof![Just(2u8), Just(4), Just(5)], lines in proptest::collection::vec("[ -~]{0,60}", 1..5)) {
            let code = u16::from(class) * 100 + code % 100;
            let reply = Reply::new(code, EnhancedStatus::new(class, 1, 2), lines.join("\n"));
            let mut wire = Vec::new();
            reply.encode(&mut wire);
            prop_assert_eq!(parse(&wire), Ok(vec![reply]));
        }
    }
}
