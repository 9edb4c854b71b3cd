//! A message as a program reads it: lines end in LF, and what the flags of pipe(8) put in front and
//! into it.

use std::io::{self, Cursor, Read};

use mail::{clock::Timestamp, limits::PIECE};

use crate::config::Flags;

/// Who and when, for what stands in front.
pub(super) struct Front<'a> {
    /// Empty: the null sender.
    pub(super) sender: &'a str,
    pub(super) recipient: &'a str,
    pub(super) original: &'a str,
    pub(super) now: Timestamp,
}

/// The message.
pub(super) fn content<'a>(
    flags: &Flags,
    front: &Front<'_>,
    message: Box<dyn Read + Send + 'a>,
) -> impl Read + use<'a> {
    let end: &[u8] = if flags.has('B') { b"\n" } else { b"" };
    Cursor::new(head(flags, front))
        .chain(Lines {
            message,
            dots: flags.has('.'),
            quotes: flags.has('>'),
            start: true,
            held: Vec::new(),
            ready: Cursor::new(Vec::new()),
        })
        .chain(end)
}

fn head(flags: &Flags, front: &Front<'_>) -> Vec<u8> {
    let from = match front.sender {
        "" => "MAILER-DAEMON",
        sender => sender,
    };
    let lines = [
        ('F', format!("From {from} {}\n", asctime(front.now))),
        ('R', format!("Return-Path: <{}>\n", front.sender)),
        ('O', format!("X-Original-To: {}\n", front.original)),
        ('D', format!("Delivered-To: {}\n", front.recipient)),
    ];
    let wanted = lines.into_iter().filter(|(flag, _)| flags.has(*flag));
    wanted.flat_map(|(_, line)| line.into_bytes()).collect()
}

/// `Sat Nov 28 18:42:49 2026`, from `Sat, 28 Nov 2026 18:42:49 +0000`.
fn asctime(now: Timestamp) -> String {
    let written = now.rfc5322();
    let words: Vec<&str> = written.split_whitespace().collect();
    match words.as_slice() {
        [weekday, day, month, year, time, ..] => {
            let weekday = weekday.trim_end_matches(',');
            format!("{weekday} {month} {day:>2} {time} {year}")
        }
        _ => written.clone(),
    }
}

/// Takes the CR from canonical lines, and escapes their beginnings.
struct Lines<'a> {
    message: Box<dyn Read + Send + 'a>,
    dots: bool,
    quotes: bool,
    /// A line begins.
    start: bool,
    /// Its beginning, while it could be `From `.
    held: Vec<u8>,
    ready: Cursor<Vec<u8>>,
}

const FROM: &[u8] = b"From ";

impl Lines<'_> {
    fn feed(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len() + self.held.len() + 8);
        // Each CR stands before an LF.
        for &byte in piece.iter().filter(|byte| **byte != b'\r') {
            if !self.start {
                out.push(byte);
                self.start = byte == b'\n';
                continue;
            }
            self.held.push(byte);
            if self.quotes && self.held.len() < FROM.len() && FROM.starts_with(&self.held) {
                continue;
            }
            self.release(&mut out);
        }
        out
    }

    fn release(&mut self, out: &mut Vec<u8>) {
        match self.held.first() {
            Some(b'.') if self.dots => out.push(b'.'),
            Some(_) if self.quotes && self.held == FROM => out.push(b'>'),
            _ => {}
        }
        self.start = self.held.last().is_none_or(|last| *last == b'\n');
        out.append(&mut self.held);
    }
}

impl Read for Lines<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.ready.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            let mut piece = vec![0; PIECE];
            let count = self.message.read(&mut piece)?;
            let mut out = self.feed(piece.get(..count).unwrap_or_default());
            if count == 0 {
                if self.held.is_empty() {
                    return Ok(0);
                }
                self.release(&mut out);
            }
            self.ready = Cursor::new(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that gives one byte at a time.
    struct Drops(Cursor<Vec<u8>>);
    impl Read for Drops {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let few = into.len().min(1);
            self.0.read(into.get_mut(..few).unwrap_or_default())
        }
    }

    fn given(flags: &str, message: &str) -> String {
        let front = Front {
            sender: "a@x.example",
            recipient: "b@y.example",
            original: "c@z.example",
            now: Timestamp::from_secs(1_000_000_000),
        };
        let read = |message: Box<dyn Read + Send>| {
            let mut text = String::new();
            let flags = Flags::parse(flags).unwrap();
            content(&flags, &front, message)
                .read_to_string(&mut text)
                .unwrap();
            text
        };
        let bytes = message.as_bytes().to_vec();
        let text = read(Box::new(Cursor::new(bytes.clone())));
        assert_eq!(read(Box::new(Drops(Cursor::new(bytes)))), text);
        text
    }

    #[test]
    fn each_flag_does_to_a_message_what_pipe_8_says() {
        let message = "Subject: x\r\n\r\n.dot\r\nFrom me\r\nFromage\r\n.\r\nFrom";
        assert_eq!(
            given("", message),
            "Subject: x\n\n.dot\nFrom me\nFromage\n.\nFrom"
        );
        assert_eq!(
            given(".>B", message),
            "Subject: x\n\n..dot\n>From me\nFromage\n..\nFrom\n"
        );
        assert_eq!(
            given("DRO", ""),
            "Return-Path: <a@x.example>\nX-Original-To: c@z.example\nDelivered-To: b@y.example\n"
        );
        let from = given("F", "");
        assert!(from.starts_with("From a@x.example Sun Sep "), "{from}");
        assert!(from.ends_with(" 2001\n"), "{from}");
    }
}
