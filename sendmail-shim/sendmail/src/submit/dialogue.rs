//! What `sendmail -bs` knows of the SMTP session that passes through it; pure.
//!
//! Contract: line ends are made CRLF on the way, as standard input has those of Unix; all else
//! passes unchanged. A session whose first line ends in CRLF keeps the strict end of a message: a
//! dot on a line that a bare LF begins or ends is content, and is stuffed. A command that decides
//! what follows it (DATA, QUIT) is answered before more is taken. BDAT chunks are counted bytes,
//! and stay as they are. Between transactions the other side may be exchanged for another one,
//! which is greeted as the first was.
//! RFC 5321 §2.3.8, §4.5.2; RFC 3030.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use mail::limits::COMMAND_LINE;

/// One session, in both directions.
#[derive(Debug)]
pub struct Dialogue {
    place: Place,
    /// The command line so far.
    command: Vec<u8>,
    line: Line,
    /// Whether the first line ended in a bare LF; `None` before it did.
    lenient: Option<bool>,
    /// Replies that are still to come.
    owed: usize,
    /// The reply line so far, as much of it as matters.
    reply: Vec<u8>,
    /// A 421 came, or a reply that answers nothing: the other side ends the session.
    over: bool,
    /// The last EHLO or HELO.
    hello: Vec<u8>,
    /// MAIL was said, and what ends the transaction was not.
    in_transaction: bool,
    /// Replies to what was said by ourselves, which nobody else is to hear.
    unheard: usize,
    /// The code of the last reply.
    code: [u8; 3],
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
            line: START,
            lenient: None,
            owed: 1,
            reply: Vec::new(),
            over: false,
            hello: Vec::new(),
            in_transaction: false,
            unheard: 0,
            code: *b"000",
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

    /// Whether the other side has said anything.
    pub fn is_greeted(&self) -> bool {
        self.code != *b"000"
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
                out.extend_from_slice(chunk);
                let left = left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
                self.place = if left == 0 {
                    Place::Command
                } else {
                    Place::Chunk(left)
                };
                rest = after;
            } else {
                self.byte(byte, out);
                rest = after;
            }
        }
        rest
    }

    /// Takes what the other side says, and gives what of it is for whoever typed.
    pub fn hear<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let mut heard = bytes;
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if byte == b'\n' {
                if self.unheard > 0 {
                    heard = rest;
                }
                self.reply_line();
            } else if self.reply.len() < 4 {
                self.reply.push(byte);
            }
        }
        if self.unheard > 0 { &[] } else { heard }
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
        if !self.hello.is_empty() {
            self.owed = 2;
            out.extend_from_slice(&self.hello);
            out.extend_from_slice(b"\r\n");
        }
        self.unheard = self.owed;
    }

    /// Whether the one that was to go on did not let us in.
    pub fn is_unwelcome(&self) -> bool {
        self.over && self.code == *b"000"
    }

    /// Whether whoever typed has heard that the session is over.
    pub fn is_told_of_its_end(&self) -> bool {
        self.place == Place::Ended || (self.over && self.code == *b"421")
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

    /// The last reply's code, for the report.
    pub fn last_code(&self) -> String {
        String::from_utf8_lossy(&self.code).into_owned()
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b'\n' => self.end_line(out),
            b'\r' => {
                if self.line.cr {
                    self.open_line(out);
                    out.push(b'\r');
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
                    out.push(b'\r');
                }
                self.line.empty = false;
                out.push(byte);
                if self.place == Place::Command && self.command.len() < COMMAND_LINE {
                    self.command.push(byte);
                }
            }
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
        out.extend_from_slice(b"\r\n");
        if self.place == Place::Command && !dot {
            self.end_command();
        }
    }

    fn end_command(&mut self) {
        self.owed = self.owed.saturating_add(1);
        let line = std::mem::take(&mut self.command);
        let line = String::from_utf8_lossy(&line);
        let mut words = line.split_ascii_whitespace();
        let verb = words.next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "DATA" => self.place = Place::Data,
            "QUIT" => self.place = Place::Quit,
            "MAIL" => self.in_transaction = true,
            "RSET" => self.in_transaction = false,
            "EHLO" | "HELO" => {
                self.in_transaction = false;
                self.hello = line.as_bytes().to_vec();
            }
            "BDAT" => {
                if let Some(size @ 1..) = words.next().and_then(|size| size.parse().ok()) {
                    self.place = Place::Chunk(size);
                }
                let last = words
                    .next()
                    .is_some_and(|it| it.eq_ignore_ascii_case("LAST"));
                self.in_transaction &= !last;
            }
            _ => {}
        }
    }

    fn reply_line(&mut self) {
        let line = std::mem::take(&mut self.reply);
        if line.get(3) == Some(&b'-') {
            return;
        }
        self.code = line.first_chunk().copied().unwrap_or_default();
        // One that does not take our greeting is no other side for a session that goes on.
        let unwelcome = self.unheard > 0 && self.code.first() != Some(&b'2');
        self.over |= self.owed == 0 || self.code == *b"421" || unwelcome;
        self.unheard = self.unheard.saturating_sub(1);
        if unwelcome {
            self.code = *b"000";
        }
        self.owed = self.owed.saturating_sub(1);
        if self.owed > 0 {
            return;
        }
        self.place = match (self.place, &self.code) {
            (Place::Data, b"354") => Place::Content,
            (Place::Quit, b"221") => Place::Ended,
            (Place::Data | Place::Quit, _) => Place::Command,
            (place, _) => place,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds all input, in pieces of `size` bytes, answering as a server does that takes
    /// everything.
    fn pass(input: &[u8], size: usize) -> (Dialogue, String, Vec<u8>) {
        let (mut dialogue, mut out, mut waiting) =
            (Dialogue::default(), Vec::new(), Vec::<u8>::new());
        dialogue.hear(b"220-vm1\r\n220 ESMTP\r\n");
        for piece in input.chunks(size) {
            waiting.extend_from_slice(piece);
            loop {
                let left = dialogue.take(&waiting, &mut out).to_vec();
                waiting = left;
                let (data, quit) = (dialogue.place == Place::Data, dialogue.place == Place::Quit);
                for owed in (0..dialogue.owed).rev() {
                    dialogue.hear(match owed {
                        0 if data => b"354 go\r\n",
                        0 if quit => b"221 bye\r\n",
                        _ => b"250 ok\r\n",
                    });
                }
                if !data {
                    break;
                }
            }
        }
        (dialogue, String::from_utf8(out).unwrap(), waiting)
    }

    const BATCH: &str = "EHLO x\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\nSubject: x\n\n..dot\n.\nMAIL FROM:<a@b>\n\
        RCPT TO:<c@d>\nBDAT 7 LAST\na\r\nbc\r\nQUIT\n";

    #[test]
    fn a_batch_with_line_ends_of_unix_or_of_smtp_leaves_in_those_of_smtp_however_it_is_cut() {
        let wire = BATCH.replace("\r\n", "\n").replace('\n', "\r\n");
        for size in [1, 2, 7, 4096] {
            for batch in [BATCH.to_owned(), wire.clone()] {
                let (dialogue, out, rest) = pass(batch.as_bytes(), size);
                assert_eq!(out, wire, "{size}");
                assert!(dialogue.is_complete(&rest));
            }
        }
    }

    #[test]
    fn where_lines_end_in_crlf_a_dot_beside_a_bare_lf_ends_no_message() {
        for (typed, sent) in [
            ("a\n.\r\nb", "a\r\n..\r\nb"),
            ("a\r\n.\nb", "a\r\n..\r\nb"),
            ("a\n.\nb", "a\r\n..\r\nb"),
            ("a\n..\n.x\r\n", "a\r\n..\r\n.x\r\n"),
            ("a\r.\r\r\n", "a\r.\r\r\n"),
        ] {
            let (dialogue, out, _) = pass(format!("DATA\r\n{typed}\r\n.\r\n").as_bytes(), 1);
            assert_eq!(out, format!("DATA\r\n{sent}\r\n.\r\n"));
            assert!(dialogue.is_complete(b""), "{typed:?}");
        }
    }

    #[test]
    fn between_transactions_another_agent_can_go_on_and_nobody_hears_its_greeting() {
        let message = "MAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\nx\n.\n";
        for (typed, between, hello) in [
            ("", true, ""),
            ("EHLO x\n", true, "EHLO x\r\n"),
            ("helo y\nEHLO x\nNOOP\n", true, "EHLO x\r\n"),
            (&format!("EHLO x\n{message}"), true, "EHLO x\r\n"),
            ("EHLO x\nMAIL FROM:<a@b>\nRSET\n", true, "EHLO x\r\n"),
            ("EHLO x\nmail FROM:<a@b>\n", false, ""),
            ("EHLO x\nMAIL FROM:<a@b>\nBDAT 2\nhi", false, ""),
            (
                "EHLO x\nMAIL FROM:<a@b>\nBDAT 2 LAST\nhi",
                true,
                "EHLO x\r\n",
            ),
            (
                "EHLO x\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\nx\n",
                false,
                "",
            ),
            ("EHLO x\nMAI", false, ""),
            ("EHLO x\nQUIT\n", false, ""),
        ] {
            let (mut dialogue, ..) = pass(typed.as_bytes(), 5);
            assert_eq!(dialogue.is_between(), between, "{typed:?}");
            if !between {
                continue;
            }
            let mut out = Vec::new();
            dialogue.begin_again(&mut out);
            assert_eq!(str::from_utf8(&out).unwrap(), hello);
            let mut heard = Vec::new();
            let greeting = if hello.is_empty() {
                "220 b\r\n"
            } else {
                "220 b\r\n250-b\r\n250 SIZE\r\n"
            };
            assert!(dialogue.take(b"NOOP\n", &mut out).is_empty());
            for piece in format!("{greeting}250 2.0.0 Ok\r\n").as_bytes().chunks(3) {
                heard.extend_from_slice(dialogue.hear(piece));
            }
            assert_eq!(
                str::from_utf8(&heard).unwrap(),
                "250 2.0.0 Ok\r\n",
                "{typed:?}"
            );
            assert!(dialogue.is_complete(b""), "{typed:?}");
        }
        for greeting in ["421 4.3.2 full\r\n", "220 b\r\n550 no\r\n"] {
            let (mut dialogue, ..) = pass(b"EHLO x\n", 5);
            dialogue.begin_again(&mut Vec::new());
            assert_eq!(dialogue.hear(greeting.as_bytes()), b"");
            assert!(!dialogue.is_complete(b"") && !dialogue.is_between());
            assert!(!dialogue.is_told_of_its_end(), "{greeting}");
        }
    }

    #[test]
    fn a_421_ends_the_session_whatever_it_answers() {
        let (mut dialogue, mut out) = (Dialogue::default(), Vec::new());
        dialogue.hear(b"220 x\r\n");
        dialogue.take(b"MAIL FROM:<a@b>\n", &mut out);
        dialogue.hear(b"421 4.3.2 going down\r\n");
        assert!(!dialogue.is_complete(b"") && !dialogue.is_between());
        assert!(dialogue.is_told_of_its_end());
    }

    #[test]
    fn what_was_not_answered_is_known() {
        for (input, complete) in [
            ("EHLO x\nNOOP\n", true),
            ("EHLO x\nNOO", false),
            ("EHLO x\nDATA\nSubject: half", false),
            ("EHLO x\nDATA\nSubject: half\n", false),
            ("BDAT 10 LAST\nhalf", false),
            ("QUIT\n", true),
            ("QUIT\n \n", true),
            ("QUIT\nEHLO x\n", false),
        ] {
            let (dialogue, _, rest) = pass(input.as_bytes(), 3);
            assert_eq!(dialogue.is_complete(&rest), complete, "{input:?}");
        }
        let (mut dialogue, ..) = pass(b"EHLO x\n", 9);
        dialogue.hear(b"421 4.4.2 timeout\r\n");
        assert!(!dialogue.is_complete(b"") && dialogue.last_code() == "421");
        let mut lost = Dialogue::default();
        assert!(!lost.is_complete(b""), "no greeting came");
        lost.hear(b"220 x\r\n");
        lost.take(b"EHLO x\r\nNOOP\r\n", &mut Vec::new());
        lost.hear(b"250-x\r\n250 HELP\r\n");
        assert!(lost.is_owed() && !lost.is_complete(b""));
    }

    proptest! {
        #[test]
        fn no_bare_lf_is_ever_sent_outside_a_chunk(input in "[A-Z .\r\n]{0,80}") {
            let (_, out, _) = pass(format!("EHLO x\n{input}").as_bytes(), 5);
            prop_assert!(!out.replace("\r\n", "").contains('\n'), "{out:?}");
        }
    }
}
