//! The client's machine, SMTP and LMTP: greeting, EHLO, STARTTLS, transactions one after the other over one connection.
//!
//! Contract: MAIL, all RCPT and DATA go out together where PIPELINING is offered; each recipient gets its own outcome; a
//! message counts as delivered only after the 250 to its end. Bytes buffered when STARTTLS is answered end the connection (reply injection). The
//! body is never sent with a bare CR or LF.
//! RFC 5321, RFC 2033 (LMTP), RFC 2920, RFC 3207.

use std::time::Instant;

use crate::{
    envelope::{Envelope, Notify},
    outcome::{Failure, Outcome},
    smtp::capability::Capabilities,
};

/// SMTP or LMTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    Smtp,
    Lmtp,
}

/// Whether and how TLS is used; whom to believe is the driver's matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Security {
    /// No TLS.
    None,
    /// STARTTLS where offered, else clear text.
    Opportunistic,
    /// STARTTLS, or the connection fails.
    #[default]
    StartTls,
    /// TLS from the first byte; the driver has made the handshake before `Connected`.
    Wrapped,
}

/// How a connection is spoken.
#[derive(Clone, Debug)]
pub struct Settings {
    /// EHLO name.
    pub helo: String,
    pub protocol: Protocol,
    pub security: Security,
    /// Timeouts; [`Timeouts::default`] is RFC 5321 §4.5.3.2.
    pub timeouts: Timeouts,
}

/// How long each answer may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Greeting, EHLO, STARTTLS, MAIL, RCPT, RSET.
    pub reply: std::time::Duration,
    pub data: std::time::Duration,
    pub piece: std::time::Duration,
    pub message: std::time::Duration,
}
impl Default for Timeouts {
    fn default() -> Self {
        use crate::limits;
        Self { reply: limits::REPLY_TIMEOUT, data: limits::DATA_TIMEOUT, piece: limits::PIECE_TIMEOUT, message: limits::MESSAGE_TIMEOUT }
    }
}

/// One message for this connection.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Only `sender`, `recipients`, `content`, `ret`, `envid` are used; the recipients are those of this delivery.
    pub envelope: Envelope,
    /// Bytes of header, empty line and body, for SIZE.
    pub size: u64,
    /// To our own agent: `XCALLER[=full name]` instead of a sender.
    pub xcaller: Option<Option<String>>,
    /// To our own agent: a sender without domain (`-f www-data`), sent as `MAIL FROM:<www-data>` in place of the envelope's.
    pub unqualified_sender: Option<String>,
    /// To our own agent: recipients without domain and their NOTIFY, sent after the envelope's; outcomes follow in the same order.
    pub unqualified: Vec<(String, Notify)>,
}

/// What the driver tells.
#[derive(Debug)]
pub enum Event<'a> {
    Connected,
    Received(&'a [u8]),
    /// The handshake that [`Action::StartTls`] asked for is done.
    TlsStarted,
    /// Connect, handshake or I/O failed, or the peer closed: the failure says how.
    Lost(Failure),
    TimedOut,
    /// Begin a transaction; only after [`Action::Ready`].
    Begin(Transaction),
    /// The next piece of the message, raw, as [`Action::WantBody`] asked; canonical CRLF lines.
    Body(&'a [u8]),
    /// The message is complete.
    BodyEnd,
    /// The message cannot be read any more: the transaction ends without it (the connection is dropped).
    BodyFailed(Failure),
    /// Say QUIT and close; only after `Ready` or `Finished`.
    Quit,
}

/// What the driver has to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    Send(Vec<u8>),
    /// Make the TLS handshake as client, then say `TlsStarted` or `Lost`.
    StartTls,
    /// A transaction can begin (after the greeting, and again after each `Finished` on a connection that is still good).
    Ready,
    /// Give the next piece (`Body`), or `BodyEnd`.
    WantBody,
    /// One outcome for each recipient of the transaction, in order.
    Finished(Vec<Outcome>),
    /// The session failed outside a transaction (greeting, EHLO, STARTTLS, lost while idle).
    Failed(Failure),
    /// Close the connection.
    Close,
}

/// One connection.
#[derive(Debug)]
pub struct Client {}

impl Client {
    pub fn new(_settings: Settings) -> Self {
        todo!()
    }
    pub fn handle(&mut self, _event: Event<'_>, _now: Instant) {
        todo!()
    }
    pub fn next_action(&mut self) -> Option<Action> {
        todo!()
    }
    pub fn deadline(&self) -> Option<Instant> {
        todo!()
    }
    /// What the peer offers, after EHLO.
    pub fn capabilities(&self) -> &Capabilities {
        todo!()
    }
}
