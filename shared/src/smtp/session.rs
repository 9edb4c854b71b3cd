//! The server's machine: one session, no I/O, no policy.
//!
//! Contract: [`Action::Ask`] stops the machine until [`Event::Verdict`]; bytes that arrive meanwhile are kept, bounded. One reset is used on every
//! way out of a transaction. Bytes buffered before STARTTLS are dropped. A bare CR or LF ends the session with 521, in commands and in data.
//! RFC 5321, 1854/2920 (PIPELINING), 3030 (CHUNKING), 3207 (STARTTLS), 3461 (DSN), 6152 (8BITMIME), 6531 (SMTPUTF8), 1870 (SIZE), 2034.

use std::time::{Duration, Instant};

pub use crate::smtp::command::{Mail, Rcpt};
use crate::smtp::reply::Reply;

/// What a listener offers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name in greeting and EHLO.
    pub hostname: String,
    /// Text after `220 `; must begin with the host name. `None`: `hostname ESMTP`.
    pub banner: Option<String>,
    /// STARTTLS is offered (until the session is encrypted).
    pub starttls: bool,
    /// TLS was there from the start (wrapped).
    pub encrypted: bool,
    /// SIZE limit, bytes.
    pub max_size: u64,
    /// Recipients of one transaction.
    pub max_recipients: usize,
    /// MAIL takes `XCALLER`; addresses may be unqualified (our agent's socket).
    pub local: bool,
    /// Waiting for a command.
    pub command_timeout: Duration,
    /// Errors after which the session ends (421).
    pub max_errors: u32,
    /// Commands that lead nowhere (NOOP, RSET, VRFY …) after which the session ends.
    pub max_junk: u32,
}

/// What the driver tells.
#[derive(Debug)]
pub enum Event<'a> {
    /// The connection is there; the first action is `Ask(Question::Connect)`.
    Connected,
    /// Bytes came.
    Received(&'a [u8]),
    /// The handshake that [`Action::StartTls`] asked for is done.
    TlsStarted,
    /// The peer closed.
    Closed,
    /// The deadline has passed.
    TimedOut,
    /// The server is going down: finish with 421 at the next command.
    Shutdown,
    /// The answer to the last [`Action::Ask`].
    Verdict(Verdict),
}

/// The answer to a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Go on, with the usual reply.
    Accept,
    /// Go on, with this reply (2yz).
    AcceptWith(Reply),
    /// Refuse this command with a 4yz or 5yz reply; the session goes on.
    Refuse(Reply),
    /// Refuse, and end the session.
    Close(Reply),
}

/// What the driver has to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Write these bytes (flush before waiting for input).
    Send(Vec<u8>),
    /// Make the TLS handshake as server, then say `TlsStarted`. What is not yet read from the socket stays there; the machine dropped what it had.
    StartTls,
    /// Decide, then say `Verdict`.
    Ask(Question),
    /// A piece of the message: dots removed, canonical CRLF lines, at most [`crate::limits::PIECE`].
    Body(Vec<u8>),
    /// The transaction is over without a message: drop what belongs to it. Comes exactly once for each accepted MAIL that does not end in an accepted message.
    Abort,
    /// Close the connection, after what was sent.
    Close,
}

/// What policy has to decide.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Question {
    /// May this client talk to us at all?
    Connect,
    /// HELO or EHLO.
    Helo { name: String, extended: bool },
    /// MAIL. A new transaction begins with it.
    Mail(Mail),
    /// RCPT.
    Recipient(Rcpt),
    /// DATA, or the first BDAT: last chance before the message.
    Data,
    /// The message is complete (`size` bytes as handed over): keep it, then answer. `Accept` without text is `250 2.0.0 Ok`.
    Message { size: u64 },
}

/// One session.
#[derive(Debug)]
pub struct Session {}

impl Session {
    pub fn new(_settings: Settings, _now: Instant) -> Self {
        todo!()
    }
    /// Takes one event.
    pub fn handle(&mut self, _event: Event<'_>, _now: Instant) {
        todo!()
    }
    /// The next thing to do; drain until `None` after each event.
    pub fn next_action(&mut self) -> Option<Action> {
        todo!()
    }
    /// When to say `TimedOut` at the latest; `None` while a verdict is awaited.
    pub fn deadline(&self) -> Option<Instant> {
        todo!()
    }
    /// Whether bytes are wanted now (false while a verdict or handshake is awaited): do not read the socket then.
    pub fn wants_input(&self) -> bool {
        todo!()
    }
    /// For Received and the log: `ESMTP`, `ESMTPS`, `SMTP`, `UTF8SMTPS` … (RFC 3848).
    pub fn protocol(&self) -> &'static str {
        todo!()
    }
    /// HELO name, once given.
    pub fn helo(&self) -> Option<&str> {
        todo!()
    }
    /// The last command's verb, for `lost connection after RCPT`.
    pub fn last_verb(&self) -> &'static str {
        todo!()
    }
}
