//! The session's state, its input and its replies; every way out.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::{
    collections::VecDeque,
    mem,
    time::{Duration, Instant},
};

use super::{
    interface::{Action, Event, Question, Settings},
    state::{Asked, Greeting, Mode, Transaction},
    waits::Waits,
};
use crate::{
    command::Verb,
    line::{self, LineError},
    reply::Reply,
};
use mail::limits;

/// Bytes kept while a verdict is awaited; only a driver that reads although it should not comes
/// there.
const KEPT: usize = 1024 * 1024;
/// Room that an empty input buffer may keep.
const ROOM: usize = 8 * 1024;

pub(super) const BARE_LINE_END: &str =
    "521 5.5.2 Error: bare <CR> or <LF> received; lines end in <CR><LF> (RFC 5321 section 2.3.8)";

/// One session.
#[derive(Debug)]
pub struct Session {
    pub(super) settings: Settings,
    pub(super) mode: Mode,
    /// The question whose verdict is awaited.
    pub(super) asked: Option<Asked>,
    pub(super) greeting: Option<Greeting>,
    pub(super) transaction: Option<Transaction>,
    pub(super) encrypted: bool,
    /// Who logged in.
    pub(super) login: Option<String>,
    pub(super) verb: &'static str,
    pub(super) errors: u32,
    too_many_errors: bool,
    pub(super) junk: u32,
    /// Why the message that is coming is refused at its end.
    pub(super) spoilt: Option<&'static str>,
    pub(super) early: bool,
    /// Commands came where nothing may be sent ahead.
    pub(super) sent_ahead: bool,
    going_down: bool,
    peer_gone: bool,
    /// Something was answered: a new wait begins.
    pub(super) answered: bool,
    input: Vec<u8>,
    /// How much of `input` is done with.
    done: usize,
    replies: Vec<u8>,
    actions: VecDeque<Action>,
    pub(super) waits: Waits,
    /// The next refusal is an error, which may have to wait.
    pub(super) pausing: bool,
    /// MAIL or RCPT was refused, and what is read now was sent before the client could know it.
    pub(super) refused_ahead: bool,
    /// The next refusal says nothing that was not told before.
    pub(super) follows: bool,
}

impl Session {
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self {
            encrypted: settings.encrypted,
            waits: Waits::new(settings.command_timeout, now),
            settings,
            mode: Mode::Greeting,
            asked: None,
            greeting: None,
            transaction: None,
            login: None,
            verb: "CONNECT",
            errors: 0,
            too_many_errors: false,
            junk: 0,
            spoilt: None,
            early: false,
            sent_ahead: false,
            going_down: false,
            peer_gone: false,
            answered: true,
            input: Vec::new(),
            done: 0,
            replies: Vec::new(),
            actions: VecDeque::new(),
            pausing: false,
            refused_ahead: false,
            follows: false,
        }
    }

    /// Takes one event.
    pub fn handle(&mut self, event: Event<'_>, now: Instant) {
        self.waits.pass(now, self.asked.is_none());
        let bringing = matches!(self.mode, Mode::Data(_) | Mode::Chunk(_));
        let mut received = 0;
        match event {
            Event::Connected if matches!(self.mode, Mode::Greeting) && self.asked.is_none() => {
                self.ask(Question::Connect, Asked::Connect);
            }
            Event::Received(bytes) => {
                received = bytes.len();
                self.refused_ahead = false;
                self.receive(bytes);
                if self.early && self.waits.no_longer_for_greeting() {
                    self.greet(None);
                }
            }
            Event::TlsStarted if matches!(self.mode, Mode::Handshake) => {
                self.encrypted = true;
                self.answered = true;
                self.mode = Mode::Command;
            }
            Event::Closed => self.lose(),
            Event::TimedOut if self.waits.no_longer_for_greeting() => {
                self.settings.greet_wait = Duration::ZERO;
                self.greet(None);
            }
            Event::TimedOut if !matches!(self.mode, Mode::Ended) => {
                let reply = if self.going_down {
                    self.goes_down()
                } else {
                    format!(
                        "421 4.4.2 {} Error: timeout exceeded",
                        self.settings.hostname
                    )
                };
                // The driver logs it as a timeout.
                self.put(reply.as_bytes());
                self.end();
            }
            Event::Shutdown => self.going_down = true,
            Event::Verdict(verdict) => {
                if let Some(asked) = self.asked.take() {
                    self.answer(asked, verdict);
                    self.answered = true;
                }
            }
            Event::Connected | Event::TlsStarted | Event::TimedOut => {}
        }
        self.advance();
        if mem::take(&mut self.answered) {
            self.waits.begin();
        }
        if bringing || matches!(self.mode, Mode::Data(_) | Mode::Chunk(_)) {
            self.waits.earn(received);
        }
    }

    /// The next thing to do; drain until `None` after each event.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to say `TimedOut` at the latest, also while a verdict is awaited; `None` once the
    /// session is over.
    pub fn deadline(&self) -> Option<Instant> {
        (!matches!(self.mode, Mode::Ended)).then(|| self.waits.end(self.asked.is_none()))
    }

    /// From now on this client is waited for less, or no longer less: others wait for its place.
    pub fn hurry(&mut self, hurried: bool) {
        self.waits.hurried = hurried;
    }

    /// For Received and the log: `ESMTP`, `ESMTPS`, `SMTP`, `UTF8SMTPS` … (RFC 3848, RFC 6531
    /// §4.3).
    pub fn protocol(&self) -> &'static str {
        let extended = self
            .greeting
            .as_ref()
            .is_some_and(|greeting| greeting.extended);
        let utf8 = self
            .transaction
            .as_ref()
            .is_some_and(|transaction| transaction.utf8);
        match (extended, utf8, self.encrypted, self.login.is_some()) {
            (false, ..) => "SMTP",
            (true, false, false, false) => "ESMTP",
            (true, false, false, true) => "ESMTPA",
            (true, false, true, false) => "ESMTPS",
            (true, false, true, true) => "ESMTPSA",
            (true, true, false, false) => "UTF8SMTP",
            (true, true, false, true) => "UTF8SMTPA",
            (true, true, true, false) => "UTF8SMTPS",
            (true, true, true, true) => "UTF8SMTPSA",
        }
    }

    /// Who logged in with AUTH.
    pub fn login(&self) -> Option<&str> {
        self.login.as_deref()
    }

    /// HELO name, once given.
    pub fn helo(&self) -> Option<&str> {
        self.greeting
            .as_ref()
            .map(|greeting| greeting.name.as_str())
    }

    /// Whether the client sent commands ahead where RFC 2920 §3.1 forbids it, and was let go on.
    pub fn sent_ahead(&self) -> bool {
        self.sent_ahead
    }

    /// Whether the session was ended for its many errors.
    pub fn had_too_many_errors(&self) -> bool {
        self.too_many_errors
    }

    /// The last command's verb, for `lost connection after RCPT`; `CONNECT` before the first,
    /// `END-OF-MESSAGE` after a message.
    pub fn last_verb(&self) -> &'static str {
        self.verb
    }

    fn receive(&mut self, bytes: &[u8]) {
        match self.mode {
            Mode::Greeting => self.early |= !bytes.is_empty(),
            Mode::Handshake | Mode::Ended => {}
            _ if self.asked.is_some() && self.input.len().saturating_add(bytes.len()) > KEPT => {
                self.lose();
            }
            _ => {
                self.input.drain(..mem::take(&mut self.done));
                self.input.extend_from_slice(bytes);
            }
        }
    }

    /// Works through the input until a verdict or more bytes are needed.
    fn advance(&mut self) {
        let input = mem::take(&mut self.input);
        let mut rest = input.get(self.done..).unwrap_or_default();
        while self.asked.is_none() && self.step(&mut rest) {}
        if matches!(self.mode, Mode::Handshake | Mode::Ended) {
            rest = &[];
        }
        let rest_is_empty = rest.is_empty();
        self.done = input.len().saturating_sub(rest.len());
        self.input = input;
        if rest_is_empty {
            self.done = 0;
            self.input.clear();
            self.input.shrink_to(ROOM);
        }
        if self.asked.is_none() {
            self.flush();
        }
    }

    /// Takes the next command or piece; whether there was one.
    fn step(&mut self, rest: &mut &[u8]) -> bool {
        match self.mode {
            Mode::Command | Mode::Response(_) => self.read_command(rest),
            Mode::Data(_) => self.read_data(rest),
            Mode::Chunk(_) => self.read_chunk(rest),
            Mode::Greeting | Mode::Handshake | Mode::Ended => false,
        }
    }

    fn read_command(&mut self, rest: &mut &[u8]) -> bool {
        if self.errors >= self.settings.max_errors {
            self.too_many_errors = true;
            let reply = format!(
                "421 4.7.0 {} Error: too many errors",
                self.settings.hostname
            );
            self.finish(&reply);
        } else if self.going_down {
            let reply = self.goes_down();
            self.finish(&reply);
        } else if rest.starts_with(&[0x16, 0x03]) {
            self.finish("521 5.5.1 Error: TLS handshake received, but this port begins in clear text (STARTTLS)");
        } else {
            match line::split(rest, self.longest_line()) {
                Ok(None) => return false,
                Ok(Some(found)) => {
                    *rest = found.rest;
                    if matches!(self.mode, Mode::Response(_)) {
                        self.respond(found.line);
                        return true;
                    }
                    let ahead = !found.rest.is_empty() && self.must_be_last(found.line);
                    self.sent_ahead |= ahead;
                    if ahead && self.settings.forbid_unauth_pipelining {
                        self.finish("554 5.5.0 Error: SMTP protocol synchronization");
                    } else {
                        self.command(found.line);
                    }
                }
                Err(LineError::TooLong) => self.finish("500 5.5.2 Error: command line too long"),
                Err(LineError::LineEnding) => self.finish(BARE_LINE_END),
            }
        }
        true
    }

    fn goes_down(&self) -> String {
        format!(
            "421 4.3.2 {} Error: server is going down, try again later",
            self.settings.hostname
        )
    }

    /// Longest line that the client may send now, with its end.
    fn longest_line(&self) -> usize {
        match self.mode {
            Mode::Response(_) => limits::AUTH_RESPONSE,
            _ => limits::COMMAND_LINE,
        }
    }

    pub(super) fn ask(&mut self, question: Question, asked: Asked) {
        self.actions.push_back(Action::Ask(question));
        self.asked = Some(asked);
        self.answered = true;
    }

    /// Hands over a piece of the message; small ones are joined.
    pub(super) fn hand_over(&mut self, piece: Vec<u8>) {
        if let Some(Action::Body(last)) = self.actions.back_mut()
            && last.len().saturating_add(piece.len()) <= limits::PIECE
        {
            last.extend_from_slice(&piece);
        } else {
            self.actions.push_back(Action::Body(piece));
        }
    }

    /// One line of ours.
    pub(super) fn say(&mut self, reply: &str) {
        self.tell(|| reply.to_owned(), reply.as_bytes());
        self.put(reply.as_bytes());
    }

    pub(super) fn reply(&mut self, reply: &Reply) {
        let start = self.replies.len();
        if self.settings.utf8_replies {
            reply.encode_utf8(&mut self.replies);
        } else {
            reply.encode(&mut self.replies);
        }
        self.answered = true;
        let code = self.replies.get(start..).unwrap_or_default().to_vec();
        self.tell(|| reply.text(), &code);
    }

    fn put(&mut self, line: &[u8]) {
        self.replies.extend_from_slice(line);
        self.replies.extend_from_slice(b"\r\n");
        self.answered = true;
    }

    /// The one place that every refusal passes.
    fn tell(&mut self, text: impl FnOnce() -> String, reply: &[u8]) {
        if matches!(reply, [b'4' | b'5', ..]) {
            let slow = mem::take(&mut self.pausing) && self.errors >= self.settings.max_errors / 2;
            let begins = [Verb::Mail, Verb::Rcpt].map(Verb::name);
            self.refused_ahead |= begins.contains(&self.verb);
            self.actions.push_back(Action::Refused {
                stage: self.verb,
                reply: text(),
                follows: mem::take(&mut self.follows),
                pause: if slow {
                    self.settings.error_delay
                } else {
                    Duration::ZERO
                },
            });
        }
    }

    /// A permanent error: said, and counted.
    pub(super) fn refuse(&mut self, reply: &str) {
        self.pausing = true;
        self.say(reply);
        self.errors = self.errors.saturating_add(1);
    }

    /// A command that leads nowhere: beyond the limit it is an error.
    pub(super) fn count_junk(&mut self) {
        self.junk = self.junk.saturating_add(1);
        if self.junk > self.settings.max_junk {
            self.errors = self.errors.saturating_add(1);
        }
    }

    /// The one way out of a transaction without a message.
    pub(super) fn reset(&mut self) {
        self.refused_ahead = false;
        if self.transaction.take().is_some() {
            self.actions.push_back(Action::Abort);
        }
    }

    /// Whether what needs an accepted MAIL fails for want of that alone.
    pub(super) fn mail_was_refused(&self) -> bool {
        self.refused_ahead && self.transaction.is_none()
    }

    /// Forgets what was said in clear text, and lets the driver make the handshake.
    pub(super) fn start_tls(&mut self) {
        self.reset();
        self.greeting = None;
        self.login = None;
        self.say("220 2.0.0 Ready to start TLS");
        self.flush();
        self.actions.push_back(Action::StartTls);
        self.mode = Mode::Handshake;
    }

    /// Says a last word, and ends the session.
    pub(super) fn finish(&mut self, reply: &str) {
        self.say(reply);
        self.end();
    }

    /// The one way out of the session.
    pub(super) fn end(&mut self) {
        self.reset();
        self.asked = None;
        if mem::take(&mut self.peer_gone) {
            self.replies.clear();
        }
        self.flush();
        self.actions.push_back(Action::Close);
        self.mode = Mode::Ended;
    }

    /// Ends the session if the peer has gone, once nothing is asked any more.
    pub(super) fn end_if_gone(&mut self) {
        if self.peer_gone {
            self.end();
        }
    }

    fn lose(&mut self) {
        self.peer_gone = true;
        if !matches!(self.asked, Some(Asked::Message)) && !matches!(self.mode, Mode::Ended) {
            self.end();
        }
    }

    fn flush(&mut self) {
        if !self.replies.is_empty() {
            self.actions
                .push_back(Action::Send(mem::take(&mut self.replies)));
        }
    }
}
