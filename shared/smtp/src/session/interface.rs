//! What the driver says to the machine, and what it hears.

use std::{sync::Arc, time::Duration};

use mail::{
    envelope::{Mail, Rcpt},
    limits,
};

use crate::{
    command::xclient::Override,
    reply::Reply,
    sasl::{Attempt, Logins},
};

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
    /// Who may log in; AUTH is offered once the session is encrypted.
    pub logins: Option<Arc<Logins>>,
    /// LMTP: greeted by LHLO alone (RFC 2033 §4.1), and, for want of more replies, one recipient a
    /// transaction.
    pub lmtp: bool,
    /// Replies are in UTF-8: whoever speaks here takes that (RFC 6531 §3.7.4.2).
    pub utf8_replies: bool,
    /// MAIL takes `XCALLER`; addresses may be unqualified (our agent's socket).
    pub local: bool,
    /// The client may hand on other clients' sessions (XCLIENT).
    pub xclient: bool,
    /// Clients may tell who wrote a message (XWRITER), once the session is encrypted.
    pub xwriter: bool,
    /// The client may move what it has queued here (XMOVE), once the session is encrypted.
    pub xmove: bool,
    /// The client may make its key known (XENROLL), once the session is encrypted.
    pub xenroll: bool,
    /// How long a client that talks before the greeting is waited for.
    pub greet_wait: Duration,
    /// Waiting for a command. A message must come at 500 bytes a second in the long run. All waits
    /// together are at most six times that, between messages that were accepted.
    pub command_timeout: Duration,
    /// Errors (5yz replies) after which the session ends (421); forgotten when a message is
    /// accepted.
    pub max_errors: u32,
    /// The answer to each error beyond half of them waits so long.
    pub error_delay: Duration,
    /// Commands sent ahead where RFC 2920 §3.1 forbids it end the session (554): behind HELO, EHLO
    /// and DATA, and everywhere in a session that began with HELO.
    pub forbid_unauth_pipelining: bool,
    /// Commands that lead nowhere (NOOP, RSET, VRFY, a deferred MAIL …) after which each counts as
    /// an error.
    pub max_junk: u32,
}

impl Default for Settings {
    /// Nothing is offered, and nobody is held up.
    fn default() -> Self {
        Self {
            hostname: "localhost".to_owned(),
            banner: None,
            starttls: false,
            encrypted: false,
            max_size: limits::MESSAGE,
            max_recipients: limits::RECIPIENTS,
            logins: None,
            lmtp: false,
            utf8_replies: false,
            local: false,
            xclient: false,
            xwriter: false,
            xmove: false,
            xenroll: false,
            greet_wait: Duration::ZERO,
            command_timeout: limits::COMMAND_TIMEOUT,
            max_errors: 20,
            error_delay: Duration::ZERO,
            forbid_unauth_pipelining: false,
            max_junk: 100,
        }
    }
}

/// What the driver tells.
#[derive(Debug)]
pub enum Event<'a> {
    /// The connection is there; the first action is `Ask(Question::Connect)`.
    Connected,
    /// Bytes came. Before the greeting they mark an early talker, who gets a 521 instead.
    Received(&'a [u8]),
    /// The handshake that [`Action::StartTls`] asked for is done.
    TlsStarted,
    /// The peer closed. If `Question::Message` is open, its verdict must still be told: it decides
    /// about `Abort`.
    Closed,
    /// The deadline has passed.
    TimedOut,
    /// The server is going down: a message that is coming is finished, anything else ends with 421.
    /// Such a message ends in the same way with [`Event::TimedOut`].
    Shutdown,
    /// The answer to the last [`Action::Ask`].
    Verdict(Verdict),
}

/// The answer to a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Go on, with the usual reply.
    Accept,
    /// Go on, with this reply (2yz). To HELO, EHLO and DATA the usual one is given all the same.
    AcceptWith(Reply),
    /// Refuse this command with a 4yz or 5yz reply; the session goes on. A refused connection ends,
    /// a refused DATA or message ends the transaction.
    Refuse(Reply),
    /// Refuse, and end the session.
    Close(Reply),
}

/// What the driver has to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Write these bytes (flush before waiting for input).
    Send(Vec<u8>),
    /// Make the TLS handshake as server, then say `TlsStarted`. What is not yet read from the
    /// socket stays there; the machine dropped what it had.
    StartTls,
    /// Decide, then say `Verdict`.
    Ask(Question),
    /// A piece of the message: dots removed, canonical CRLF lines, at most [`mail::limits::PIECE`].
    Body(Vec<u8>),
    /// The transaction is over without a message: drop what belongs to it. Comes exactly once for
    /// each accepted MAIL that does not end in an accepted message.
    Abort,
    /// A command or message was refused with this reply (4yz or 5yz), whoever refused it: for the
    /// log. The stage is the verb, `CONNECT` or `END-OF-MESSAGE`. What follows has to wait for
    /// `pause`.
    Refused {
        stage: &'static str,
        reply: String,
        pause: Duration,
        /// It says nothing new: MAIL, or every recipient, was refused before.
        follows: bool,
    },
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
    /// AUTH: whether this client may try to log in at all; nothing was said to it yet.
    Auth,
    /// Whether this attempt is right. `Accept`: the session is that of the user, once the client
    /// has heard of it.
    Login(Attempt),
    /// XCLIENT: from here on the session is this client's, as if it had just connected. `Connect`
    /// is asked next.
    Client(Override),
    /// XENROLL, with what stands behind it: whether the key of the session is known from now on.
    Enroll(String),
    /// MAIL. A new transaction begins with it.
    Mail(Mail),
    /// RCPT.
    Recipient(Rcpt),
    /// DATA, or the first BDAT: last chance before the message.
    Data,
    /// The message is complete (`size` bytes as handed over): keep it, then answer. `Accept`
    /// without text is `250 2.0.0 Ok`.
    Message { size: u64 },
}
