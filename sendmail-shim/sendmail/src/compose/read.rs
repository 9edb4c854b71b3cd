//! Reads standard input to its end and makes it canonical: LF or CRLF, `From ` lines, no header, no
//! empty line, lone dots.
//!
//! Contract: a lone dot is data, except on a terminal; header and body come out in CRLF lines.
//! Memory is bounded, the size is checked while reading. Lines too long for SMTP are re-encoded or
//! folded ([`mail::message::mime`](mod@mime)).
//! Failures: [`ComposeError`], each with its exit status.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read},
};

use mail::{
    envelope::Content,
    limits,
    message::{
        Header, HeaderTooLong, Incoming, Misplaced, Splitter,
        long_lines::Longest,
        mime::{self, Wanted},
    },
};
use system::sysexits::Exit;

use super::body::Body;

/// A message as submitted: canonical, neither completed nor rewritten.
#[derive(Debug)]
pub struct Message {
    pub header: Header,
    pub content: Content,
    /// What the body's text is to be called, if it has 8 bits.
    pub charset: &'static str,
    pub body: Body,
    /// Recipients that were named where no field can be.
    pub misplaced: Vec<Misplaced>,
}

/// Why there is no message.
#[derive(Debug)]
pub enum ComposeError {
    /// Standard input could not be read.
    Input(io::Error),
    /// No room for a large body.
    Spill(io::Error),
    /// Larger than this many bytes.
    TooBig(u64),
    /// The header section is larger than [`limits::HEADER`].
    Header,
}

impl ComposeError {
    /// The exit status that callers know.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Input(_) => Exit::NoInput,
            Self::Spill(_) => Exit::TempFail,
            Self::TooBig(_) | Self::Header => Exit::DataErr,
        }
    }
}

impl fmt::Display for ComposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(error) => write!(f, "cannot read the message from standard input: {error}"),
            Self::Spill(error) => write!(
                f,
                "no room for a large message in /var/tmp, /tmp or memory: {error}"
            ),
            Self::TooBig(limit) => write!(f, "message too big (limit {limit} bytes)"),
            Self::Header => write!(f, "header section too big (limit {} bytes)", limits::HEADER),
        }
    }
}

impl From<HeaderTooLong> for ComposeError {
    fn from(_: HeaderTooLong) -> Self {
        Self::Header
    }
}

/// Reads a message to the end of `input`. `limit` (bytes) is asked for once, when the message turns
/// out to be large: it may cost reading the configuration.
pub fn message(input: impl Read, limit: &mut dyn FnMut() -> u64) -> Result<Message, ComposeError> {
    let mut input = BufReader::with_capacity(limits::PIECE, input);
    let mut reader = Reader {
        incoming: Incoming::piped(),
        body: Body::default(),
        longest: Longest::default(),
    };
    let mut total = 0u64;
    let mut most = None;
    loop {
        let piece = match input.fill_buf() {
            Ok([]) => return reader.finish(),
            Ok(piece) => piece,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ComposeError::Input(error)),
        };
        let taken = piece.len();
        total = total.saturating_add(taken as u64);
        if total > limits::INLINE_BODY as u64 {
            let most = *most.get_or_insert_with(&mut *limit);
            if total > most {
                return Err(ComposeError::TooBig(most));
            }
        }
        reader.feed(piece)?;
        input.consume(taken);
    }
}

/// Reads lines typed on a terminal, where a line with a single dot ends the message.
pub struct UntilDot<R> {
    lines: R,
    line: Vec<u8>,
    at: usize,
    done: bool,
}

impl<R: BufRead> UntilDot<R> {
    pub fn new(lines: R) -> Self {
        Self {
            lines,
            line: Vec::new(),
            at: 0,
            done: false,
        }
    }
}

impl<R: BufRead> Read for UntilDot<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.line.len() && !self.done {
            self.line.clear();
            self.at = 0;
            self.lines.read_until(b'\n', &mut self.line)?;
            if matches!(self.line.as_slice(), b"" | b".\n" | b".\r\n") {
                self.line.clear();
                self.done = true;
            }
        }
        let mut rest = self.line.get(self.at..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.at = self.at.saturating_add(count);
        Ok(count)
    }
}

struct Reader {
    incoming: Incoming,
    body: Body,
    longest: Longest,
}

impl Reader {
    fn feed(&mut self, piece: &[u8]) -> Result<(), ComposeError> {
        let body = self.incoming.feed(piece)?;
        self.longest.feed(body);
        self.body.write(body).map_err(ComposeError::Spill)
    }

    fn finish(mut self) -> Result<Message, ComposeError> {
        let body = self.incoming.end()?;
        self.longest.feed(body);
        self.body.write(body).map_err(ComposeError::Spill)?;
        let arrived = self.incoming.finish();
        let message = Message {
            charset: arrived.charset,
            header: arrived.header,
            content: arrived.content,
            body: self.body,
            misplaced: arrived.misplaced,
        };
        if self.longest.too_long() {
            return message.with_short_lines().map_err(ComposeError::Spill);
        }
        Ok(message)
    }
}

impl Message {
    /// The same message without a line that is too long for SMTP.
    fn with_short_lines(self) -> io::Result<Self> {
        let mut splitter = Splitter::default();
        let mut body = Body::default();
        let mut piece = vec![0; limits::PIECE];
        let mut fitted = mime::fit(|| self.reader(), Wanted::default())?.content;
        loop {
            let count = fitted.read(&mut piece)?;
            let Some(read) = piece.get(..count).filter(|read| !read.is_empty()) else {
                break;
            };
            body.write(splitter.split(read).map_err(io::Error::other)?)?;
        }
        drop(fitted);
        let charset = splitter.charset();
        let (header, content) = splitter.finish();
        Ok(Self {
            header,
            content,
            charset,
            body,
            misplaced: self.misplaced,
        })
    }

    /// Bytes of header, empty line and body.
    pub fn size(&self) -> u64 {
        self.size_with(&self.header)
    }

    /// The same with another header.
    pub fn size_with(&self, header: &Header) -> u64 {
        let header = header
            .fields()
            .iter()
            .map(|field| field.raw().len() as u64)
            .sum::<u64>();
        header.saturating_add(2).saturating_add(self.body.len())
    }

    /// All of it as one stream; may be asked for again.
    pub fn reader(&self) -> io::Result<impl Read + '_> {
        self.reader_with(&self.header)
    }

    /// The same with another header.
    pub fn reader_with(&self, header: &Header) -> io::Result<impl Read + Send + use<'_>> {
        let mut header = header.to_bytes();
        header.extend_from_slice(b"\r\n");
        Ok(io::Cursor::new(header).chain(self.body.reader()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(input: &[u8]) -> String {
        let message = message(input, &mut || limits::MESSAGE).unwrap();
        let mut all = Vec::new();
        message.reader().unwrap().read_to_end(&mut all).unwrap();
        assert_eq!(all.len() as u64, message.size());
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn what_cron_and_php_pipe_in_becomes_crlf_lines_with_an_empty_line_after_the_header() {
        assert_eq!(
            composed(b"Subject: x\n\nbody\n.\nmore\n"),
            "Subject: x\r\n\r\nbody\r\n.\r\nmore\r\n"
        );
        assert_eq!(
            composed(b"Subject: x\r\n\r\nbody\r\n"),
            "Subject: x\r\n\r\nbody\r\n"
        );
        assert_eq!(
            composed(b"Subject: x\r\nTo: y@z.example\r\n\r\nbody\nlines\n"),
            "Subject: x\r\nTo: y@z.example\r\n\r\nbody\r\nlines\r\n"
        );
        assert_eq!(
            composed(b"no header at all\nsecond line"),
            "\r\nno header at all\r\nsecond line\r\n"
        );
        assert_eq!(
            composed(b"From root@vm1 Sun Nov 22\nSubject: x\ntext\n"),
            "Subject: x\r\n\r\ntext\r\n"
        );
    }

    #[test]
    fn a_line_too_long_for_smtp_is_re_encoded_and_none_of_it_is_lost() {
        let line = "caf\u{e9} ".repeat(100_000);
        let text = composed(format!("Subject: x\n\n{line}end\n").as_bytes());
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(header.ends_with("Content-Transfer-Encoding: quoted-printable"));
        assert!(body.is_ascii() && body.lines().all(|line| line.len() <= 76));
        let joined = body.replace("=\r\n", "").replace("=C3=A9", "\u{e9}");
        assert_eq!(joined, format!("{line}end\r\n"));
    }

    #[test]
    fn a_message_over_the_limit_is_refused_and_the_limit_is_looked_up_only_for_large_ones() {
        let large = vec![b'x'; 2 * limits::INLINE_BODY];
        let error = message(large.as_slice(), &mut || 300_000).unwrap_err();
        assert!(matches!(error, ComposeError::TooBig(300_000)), "{error:?}");
        message(&b"Subject: x\n\nsmall\n"[..], &mut || panic!("asked")).unwrap();
        assert!(message(large.as_slice(), &mut || limits::MESSAGE).is_ok());
    }

    #[test]
    fn on_a_terminal_a_single_dot_ends_the_message() {
        let mut typed = String::new();
        UntilDot::new(&b"Subject: x\n\nhello\n..\n.\nnot sent\n"[..])
            .read_to_string(&mut typed)
            .unwrap();
        assert_eq!(typed, "Subject: x\n\nhello\n..\n");
    }
}
