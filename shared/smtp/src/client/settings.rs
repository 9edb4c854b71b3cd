//! How a connection is spoken.

use std::time::Duration;

use crate::{capability::Capabilities, sasl::Credentials};
use mail::limits;

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
    /// A peer of ours, of which we know what it offers: EHLO waits for no greeting and goes out
    /// together with the first transaction.
    /// Only with [`Security::None`].
    pub known: Option<Capabilities>,
    /// Who we are to the peer, if it wants to know; told under TLS only, with what it offers.
    pub credentials: Option<Credentials>,
    /// What is said with XENROLL, once, before the connection is of use; under TLS only.
    pub enroll: Option<String>,
}

/// How long each answer may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Greeting, EHLO, STARTTLS, AUTH.
    pub opening: Duration,
    /// MAIL, RCPT, RSET.
    pub reply: Duration,
    pub data: Duration,
    pub piece: Duration,
    pub message: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            opening: limits::REPLY_TIMEOUT,
            reply: limits::REPLY_TIMEOUT,
            data: limits::DATA_TIMEOUT,
            piece: limits::PIECE_TIMEOUT,
            message: limits::MESSAGE_TIMEOUT,
        }
    }
}
