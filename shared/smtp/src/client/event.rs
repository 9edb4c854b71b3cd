//! What the driver tells the machine, and what the machine has the driver do.

use std::time::Duration;

use mail::{
    address::Sender,
    envelope::{Envelope, Mail, Rcpt},
    outcome::{Failure, Outcome},
};

/// One message for this connection.
#[derive(Clone, Debug)]
pub struct Transaction {
    pub mail: Mail,
    /// Those of this delivery.
    pub recipients: Vec<Rcpt>,
    /// How long each reply, and each piece of the message, may take at most up to its end, where
    /// that is less than the connection's timeouts: somebody else could take it.
    pub patience: Option<Duration>,
    /// The connection was kept: what its peer refuses before it asks for the message counts only
    /// once QUIT proves that its replies are in step, for nothing else is answered 221; the
    /// connection ends with it. Otherwise all fails with the connection.
    pub kept: bool,
}

impl Transaction {
    /// A message of an envelope; `size` is that of header, empty line and body, in bytes.
    pub fn of(envelope: &Envelope, size: u64) -> Self {
        Self {
            mail: Mail {
                sender: match &envelope.sender {
                    Sender::Null => None,
                    Sender::Address(address) => Some(address.clone().into()),
                },
                size: Some(size),
                eight_bit: envelope.content.eight_bit,
                utf8: envelope.content.utf8,
                ret: envelope.ret,
                envid: envelope.envid.clone(),
                xcaller: None,
                queued: false,
                moved: false,
            },
            recipients: envelope.recipients.iter().map(Rcpt::from).collect(),
            patience: None,
            kept: false,
        }
    }
}

/// What the driver tells.
#[derive(Debug)]
pub enum Event<'a> {
    Connected,
    Received(&'a [u8]),
    /// The handshake that [`Action::StartTls`] asked for is done.
    TlsStarted,
    /// Connect, handshake or I/O failed, or the peer closed: the failure says how. Its stage counts
    /// only during connect and handshake.
    Lost(Failure),
    TimedOut,
    /// Begin a transaction; only after [`Action::Ready`].
    Begin(Transaction),
    /// As `Begin`, but only to learn whether the recipients would be accepted: no message follows,
    /// and the peer's transaction ends with RSET (before the next one) or QUIT. `Delivered` then
    /// means "accepted".
    Probe(Transaction),
    /// The next piece of the message, raw, as [`Action::WantBody`] asked; canonical CRLF lines.
    Body(&'a [u8]),
    /// The message is complete.
    BodyEnd,
    /// The message cannot be read any more: the transaction ends without it (the connection is
    /// dropped).
    BodyFailed(Failure),
    /// Say QUIT and close, without waiting for the answer; only after `Ready` or `Finished`.
    Quit,
}

/// What the driver has to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    Send(Vec<u8>),
    /// Make the TLS handshake as client, then say `TlsStarted` or `Lost`.
    StartTls,
    /// A transaction can begin (after the greeting, and again after each `Finished` on a connection
    /// that is still good).
    Ready,
    /// Give the next piece (`Body`), or `BodyEnd`.
    WantBody,
    /// One outcome for each recipient of the transaction, in order.
    Finished(Vec<Outcome>),
    /// The session failed outside a transaction (greeting, EHLO, STARTTLS, lost while idle).
    /// `Close` follows.
    Failed(Failure),
    /// Close the connection.
    Close,
}
