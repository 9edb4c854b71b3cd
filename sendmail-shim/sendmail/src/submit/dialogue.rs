//! What `sendmail -bs` knows of the SMTP session that passes through it; pure.
//!
//! Contract: line ends are made CRLF on the way, as standard input has those of Unix; all else
//! passes unchanged. A session whose first line ends in CRLF keeps the strict end of a message: a
//! dot on a line that a bare LF begins or ends is content, and is stuffed. A command that decides
//! what follows it (DATA, QUIT) is answered before more is taken. BDAT chunks are counted bytes:
//! where lines end as those of Unix, a chunk is held until its end, and counted anew. A command
//! without a line end is one where standard input ends. Between transactions the other side may be
//! exchanged for another one, which is greeted as the first was; commands of which it has answered
//! none are said again. One that says so because it is going down is not heard.
//! RFC 5321 §2.3.8, §4.5.2; RFC 3030.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

mod ahead;
#[cfg(test)]
mod tests;

use mail::limits::COMMAND_LINE;
use smtp::command::{self, Chunk, Verb};

use ahead::Ahead;

/// The largest chunk that is held to be counted anew.
const HELD: u64 = 64 << 20;

/// Codes of the agent's after which it closes, and says no more.
const ENDS: [[u8; 3]; 2] = [*b"421", *b"521"];

/// What an agent says that is going down, before it has answered anything of a transaction.
const GOES_DOWN: &[u8] = b"421 4.3.2";

/// One session, in both directions.
#[derive(Debug)]
pub struct Dialogue {
    place: Place,
    /// The command line so far, which leaves once it is complete, or too long to be one.
    command: Vec<u8>,
    /// The chunk that is being held, with the line ends of the wire.
    held: Option<Held>,
    /// The last chunk ended in a CR.
    chunk_cr: bool,
    line: Line,
    /// Whether the first line ended in a bare LF; `None` before it did.
    lenient: Option<bool>,
    /// The message has lines that end in a bare LF, and none of these can end it.
    unix: bool,
    /// Replies that are still to come.
    owed: usize,
    /// The reply line so far, as much of it as matters.
    reply: Vec<u8>,
    /// A 421 or 521 came, or a reply that answers nothing: the other side ends the session.
    over: bool,
    /// The last EHLO or HELO.
    hello: Vec<u8>,
    ahead: Ahead,
    /// It goes down and was not heard.
    away: bool,
    /// MAIL was said, and what ends the transaction was not.
    in_transaction: bool,
    /// Replies to what was said by ourselves, which nobody else is to hear.
    unheard: usize,
    /// The code of the last reply, if there was one.
    code: Option<[u8; 3]>,
    /// The other side that was to go on has said anything.
    greeted: bool,
    /// It did not let us in.
    unwelcome: bool,
}

/// A chunk that is counted anew.
#[derive(Debug)]
struct Held {
    bytes: Vec<u8>,
    last: bool,
}

/// What the next bytes of standard input are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Command,
    /// DATA was said: it depends on the reply.
    Data,
    Content,
    /// So many bytes of a chunk are still to come.
    Chunk(u64),
    /// QUIT was said.
    Quit,
    /// It was answered with 221: nothing follows.
    Ended,
}

/// The line that is being read.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// Nothing of it has come.
    empty: bool,
    /// It is a dot so far, which is held back.
    dot: bool,
    /// A CR came last, which is held back.
    cr: bool,
    /// The line before it ended in CRLF.
    after_crlf: bool,
}

const START: Line = Line {
    empty: true,
    dot: false,
    cr: false,
    after_crlf: true,
};

impl Default for Dialogue {
    /// The greeting is owed.
    fn default() -> Self {
        Self {
            place: Place::Command,
            command: Vec::new(),
            held: None,
            chunk_cr: false,
            line: START,
            lenient: None,
            unix: false,
            owed: 1,
            reply: Vec::new(),
            over: false,
            hello: Vec::new(),
            ahead: Ahead::default(),
            away: false,
            in_transaction: false,
            unheard: 0,
            code: None,
            greeted: false,
            unwelcome: false,
        }
    }
}

impl Dialogue {
    /// Whether more of standard input can be taken now.
    pub fn wants_input(&self) -> bool {
        !matches!(self.place, Place::Data | Place::Quit | Place::Ended)
    }

    /// Whether the other side has something to say.
    pub fn is_owed(&self) -> bool {
        self.owed > 0
    }

    /// Whether the other side that is there now has said anything.
    pub fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// Whether any side has said anything.
    pub fn has_begun(&self) -> bool {
        self.code.is_some()
    }

    /// Takes input, appends to `out` what is to be sent, and gives what cannot be taken before a
    /// reply has come.
    pub fn take<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let mut rest = input;
        while self.wants_input()
            && let Some((&byte, after)) = rest.split_first()
        {
            if let Place::Chunk(left) = self.place {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                let (chunk, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                let left = left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
                self.chunk(chunk, out);
                if left == 0 {
                    self.end_chunk(out);
                } else {
                    self.place = Place::Chunk(left);
                }
                rest = after;
            } else {
                self.byte(byte, out);
                rest = after;
            }
        }
        rest
    }

    /// Standard input has ended: a command that was begun is complete.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.place == Place::Command && (!self.line.empty || self.line.cr) {
            self.end_line(out);
        }
    }

    /// Takes what the other side says, and gives what of it is for whoever typed.
    pub fn hear<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let mut heard = bytes;
        let mut rest = bytes;
        // What of a line came before was told already.
        let mut line = self.reply.is_empty().then_some(bytes);
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if byte == b'\n' {
                if self.unheard > 0 {
                    heard = rest;
                } else if let Some(line) = line.filter(|_| self.goes_down()) {
                    self.away = true;
                    self.reply.clear();
                    let told = heard.len().saturating_sub(line.len());
                    return heard.get(..told).unwrap_or_default();
                }
                line = Some(rest);
                self.reply_line();
            } else if self.reply.len() < GOES_DOWN.len() {
                self.reply.push(byte);
            }
        }
        if self.unheard > 0 { &[] } else { heard }
    }

    /// Whether it says that it is going down, and has answered all, or nothing.
    fn goes_down(&self) -> bool {
        self.reply == GOES_DOWN && self.greeted && self.may_go_on()
    }

    /// Whether the other side may be exchanged for one that is told what is not answered.
    pub fn may_go_on(&self) -> bool {
        self.is_between() || self.is_ahead()
    }

    /// Whether commands wait to be said again.
    pub fn is_ahead(&self) -> bool {
        self.ahead.is_all_of(self.owed.saturating_sub(self.unheard)) && !self.over
    }

    /// Whether it said that it is going down, so that it hears nothing more.
    pub fn is_away(&self) -> bool {
        self.away
    }

    /// Whether the other side may be exchanged: everything was answered, no line and no transaction
    /// has begun, and the end was not told.
    pub fn is_between(&self) -> bool {
        self.place == Place::Command
            && self.line.empty
            && !self.line.cr
            && self.owed == 0
            && !self.in_transaction
            && !self.over
    }

    /// Another one takes the other side: it is told in `out` who speaks, and its answers to that
    /// are nobody else's.
    pub fn begin_again(&mut self, out: &mut Vec<u8>) {
        self.owed = 1;
        self.greeted = false;
        self.away = false;
        if !self.hello.is_empty() {
            self.owed = 2;
            out.extend_from_slice(&self.hello);
            out.extend_from_slice(b"\r\n");
        }
        self.unheard = self.owed;
        self.owed = self.owed.saturating_add(self.ahead.say_again(out));
    }

    /// Whether the one that was to go on did not let us in.
    pub fn is_unwelcome(&self) -> bool {
        self.unwelcome
    }

    /// Whether whoever typed has heard that the session is over.
    pub fn is_told_of_its_end(&self) -> bool {
        let ends = self.code.is_some_and(|code| ENDS.contains(&code));
        let told = self.over && !self.unwelcome && ends;
        self.place == Place::Ended || told
    }

    /// Whether the session is over and everything in it was answered; `rest` is what was left of
    /// standard input.
    pub fn is_complete(&self, rest: &[u8]) -> bool {
        let open = match self.place {
            Place::Command => !self.line.empty || self.line.cr,
            Place::Data | Place::Content | Place::Chunk(_) | Place::Quit => true,
            Place::Ended => false,
        };
        !open && self.owed == 0 && !self.over && rest.iter().all(u8::is_ascii_whitespace)
    }

    /// Whether a message has begun and its end was not typed.
    pub fn is_within_message(&self) -> bool {
        matches!(self.place, Place::Content | Place::Chunk(_)) && !self.over
    }

    /// Whether that message has lines that end in LF alone, in a session whose lines end in CRLF.
    pub fn has_lines_of_unix(&self) -> bool {
        self.unix && self.place == Place::Content
    }

    /// The code of the last reply that was for whoever typed, for the report.
    pub fn last_code(&self) -> Option<String> {
        self.code
            .map(|code| String::from_utf8_lossy(&code).into_owned())
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b'\n' => self.end_line(out),
            b'\r' => {
                if self.line.cr {
                    self.open_line(out);
                    self.put(b'\r', out);
                }
                self.line.cr = true;
            }
            b'.' if self.line.empty && !self.line.cr && self.place == Place::Content => {
                self.line.empty = false;
                self.line.dot = true;
            }
            _ => {
                self.open_line(out);
                if std::mem::take(&mut self.line.cr) {
                    // A bare CR: refused where it arrives.
                    self.put(b'\r', out);
                }
                self.line.empty = false;
                self.put(byte, out);
            }
        }
    }

    /// A byte of a line. What is too long to be a command is not held any more.
    fn put(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.place != Place::Command || self.command.len() == COMMAND_LINE {
            return out.push(byte);
        }
        self.command.push(byte);
        if self.command.len() == COMMAND_LINE {
            out.extend_from_slice(&self.command);
        }
    }

    /// Bytes of a chunk.
    fn chunk(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Some(held) = &mut self.held else {
            return out.extend_from_slice(bytes);
        };
        for &byte in bytes {
            if byte == b'\n' && !self.chunk_cr {
                held.bytes.push(b'\r');
            }
            self.chunk_cr = byte == b'\r';
            held.bytes.push(byte);
        }
    }

    fn end_chunk(&mut self, out: &mut Vec<u8>) {
        self.place = Place::Command;
        if let Some(Held { bytes, last }) = self.held.take() {
            self.owed = self.owed.saturating_add(1);
            let last = if last { " LAST" } else { "" };
            out.extend_from_slice(format!("BDAT {}{last}\r\n", bytes.len()).as_bytes());
            out.extend_from_slice(&bytes);
        }
    }

    /// What was held back is no end of the message.
    fn open_line(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.line.dot) {
            out.push(b'.');
        }
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        let crlf = self.line.cr;
        let lenient = *self.lenient.get_or_insert(!crlf);
        let Line {
            dot, after_crlf, ..
        } = self.line;
        self.unix |= !lenient && !crlf && self.place == Place::Content;
        self.line = Line {
            after_crlf: crlf,
            ..START
        };
        if dot {
            let ends = lenient || (crlf && after_crlf);
            out.extend_from_slice(if ends { b"." } else { b".." });
            if ends {
                self.place = Place::Command;
                self.in_transaction = false;
                self.owed = self.owed.saturating_add(1);
            }
        }
        if self.place == Place::Command && !dot {
            self.end_command(lenient, out);
        } else {
            out.extend_from_slice(b"\r\n");
        }
    }

    fn end_command(&mut self, lenient: bool, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.command);
        self.ahead.say(&line, self.in_transaction);
        match command::split(&line) {
            Ok((Verb::Data, _)) => self.place = Place::Data,
            Ok((Verb::Quit, _)) => self.place = Place::Quit,
            Ok((Verb::Mail, _)) => {
                self.in_transaction = true;
                self.chunk_cr = false;
            }
            Ok((Verb::Rset, _)) => self.in_transaction = false,
            Ok((Verb::Ehlo | Verb::Helo, _)) => {
                self.in_transaction = false;
                self.hello.clone_from(&line);
            }
            Ok((Verb::Bdat, arguments)) => {
                if let Ok(Chunk { size, last }) = command::chunk(arguments) {
                    self.in_transaction &= !last;
                    if size > 0 {
                        self.place = Place::Chunk(size);
                    }
                    if lenient && (1..=HELD).contains(&size) {
                        let bytes = Vec::new();
                        self.held = Some(Held { bytes, last });
                        return;
                    }
                }
            }
            _ => {}
        }
        self.owed = self.owed.saturating_add(1);
        if line.len() < COMMAND_LINE {
            out.extend_from_slice(&line);
        }
        out.extend_from_slice(b"\r\n");
    }

    fn reply_line(&mut self) {
        let line = std::mem::take(&mut self.reply);
        if line.get(3) == Some(&b'-') {
            return;
        }
        let code: [u8; 3] = line.first_chunk().copied().unwrap_or(*b"???");
        self.greeted = true;
        // One that does not take our greeting is no other side for a session that goes on.
        self.unwelcome |= self.unheard > 0 && code.first() != Some(&b'2');
        self.over |= self.owed == 0 || ENDS.contains(&code) || self.unwelcome;
        if self.unheard == 0 {
            self.code = Some(code);
            self.ahead.answered(self.owed);
        }
        self.unheard = self.unheard.saturating_sub(1);
        self.owed = self.owed.saturating_sub(1);
        if self.owed > 0 {
            return;
        }
        self.place = match (self.place, &code) {
            (Place::Data, b"354") => {
                self.unix = false;
                Place::Content
            }
            (Place::Quit, b"221") => Place::Ended,
            (Place::Data | Place::Quit, _) => Place::Command,
            (place, _) => place,
        };
    }
}
