//! The configuration as written: every key, all of them optional. Meaning and defaults are in
//! [`super::settings`].

use std::{net::SocketAddr, path::PathBuf};

use mail::address::Address;
use queue::rate::Budget;
use relay::{
    relayhost::{Order, Relayhost},
    token::Source,
    trust::Pin,
};
use serde::Deserialize;
use settings::{HostName, NameServer, OneOrMany, Pattern, Size, Span, form::Number};
use smtp::client::Security;

/// `config.toml`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// Where all mail goes: `host`, `host:port`, `[address]:port`, or what DNS names, `srv:domain`,
    /// `mx:domain`.
    pub relayhost: Option<OneOrMany<Relayhost>>,
    /// In which order several are tried.
    pub relay_order: Option<Order>,
    /// The name server for `srv:` and `mx:`.
    pub resolver: Option<NameServer>,
    /// Appended to names without a domain; replaces this machine's name in senders.
    pub domain: Option<HostName>,
    /// This machine's FQDN.
    pub hostname: Option<HostName>,
    /// Keys that the relayhost may have. Without pins: a certificate from the web's authorities.
    pub pins: OneOrMany<Pin>,
    /// Where mail for local names goes that no alias names.
    pub admin: Option<Address>,
    /// TLS towards the relayhost.
    pub tls: Option<Tls>,
    /// User and password at the relayhost.
    #[serde(deserialize_with = "settings::optional_table")]
    pub auth: Option<Auth>,
    /// Certificate, in PEM, with which this machine shows itself to the relayhost.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// Table of senders.
    pub revaliases: Option<PathBuf>,
    /// Table of recipients.
    pub aliases: Option<PathBuf>,
    /// The queue's directory.
    pub spool: Option<PathBuf>,
    /// Where the agent takes mail.
    pub socket: Option<PathBuf>,
    /// Where the agent answers mailq and administrators.
    pub control: Option<PathBuf>,
    /// Where a smarthost on this machine answers administrators.
    pub smarthost_control: Option<PathBuf>,
    /// Whether programs may choose their own `From`.
    pub from_override: Option<bool>,
    /// Largest message.
    pub message_size: Option<Size>,
    /// New mail is refused while fewer bytes are free where the queue lies.
    pub minimum_free: Option<Size>,
    /// Connections to the relayhost at once, when many messages wait.
    pub connections: Option<Number>,
    /// When to try again and when to give up.
    #[serde(deserialize_with = "settings::table")]
    pub retry: Retry,
    /// Where programs may speak SMTP to this machine: addresses of loopback.
    pub listen: OneOrMany<Loopback>,
    /// Whether the same automatic mail, again and again, is told in digests.
    #[serde(deserialize_with = "settings::table")]
    pub collapse: Collapse,
    /// How many automatic mails may go in such a time; what is beyond it waits in the queue.
    pub budget: Option<Budget>,
    /// Whose reports are told in a digest when they say the same as the last one.
    #[serde(deserialize_with = "settings::table")]
    pub unchanged: Unchanged,
    /// How much of the queue one user may fill.
    #[serde(deserialize_with = "settings::table")]
    pub share: Share,
}

/// `tls`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tls {
    None,
    StartTls,
    Wrapped,
}

settings::words!(Tls:
    "starttls" = Self::StartTls,
    "wrapped" = Self::Wrapped,
    "none" = Self::None,
);

impl From<Tls> for Security {
    fn from(tls: Tls) -> Self {
        match tls {
            Tls::None => Self::None,
            Tls::StartTls => Self::StartTls,
            Tls::Wrapped => Self::Wrapped,
        }
    }
}

impl From<Security> for Tls {
    fn from(security: Security) -> Self {
        match security {
            Security::None => Self::None,
            Security::Wrapped => Self::Wrapped,
            Security::StartTls | Security::Opportunistic => Self::StartTls,
        }
    }
}

/// `auth`
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    #[serde(deserialize_with = "settings::user")]
    pub user: String,
    /// Without it: systemd's credential `relay-password`.
    #[serde(default, deserialize_with = "settings::optional_secret_file")]
    pub password_file: Option<PathBuf>,
    /// Instead of a password.
    pub token: Option<Source>,
}

/// `[retry]`
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Shortest wait between two attempts.
    pub minimal: Option<Span>,
    /// Longest wait between two attempts.
    pub maximal: Option<Span>,
    /// Age at which mail is returned to its sender.
    pub lifetime: Option<Span>,
    /// Age at which the sender is told that his mail is late, and the administrator that the
    /// relayhost is away; `"0s"`: never.
    pub warning: Option<Span>,
}

/// `[collapse]`
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Collapse {
    /// From the first of the same messages to the digest of the others; absent or `"0s"`: each is
    /// sent.
    pub window: Option<Span>,
}

/// `[unchanged]`
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Unchanged {
    /// Users by their login names, senders by their addresses; without any, each report is sent.
    pub senders: OneOrMany<Pattern>,
    /// From the first report that is not sent to the digest.
    pub digest: Option<Span>,
}

/// `[share]`: what one user other than root may have in the queue.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Share {
    /// Bytes; absent: a quarter of what is free together with what he has.
    pub size: Option<Size>,
    /// Recipients that wait: a message to ten counts ten.
    pub recipients: Option<Number>,
}

/// An address that only this machine can reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Loopback(pub SocketAddr);

impl TryFrom<String> for Loopback {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let address = text.parse::<SocketAddr>().ok();
        let address = address.filter(|address| address.ip().to_canonical().is_loopback());
        address.map(Self).ok_or_else(|| {
            let text = text.escape_debug();
            format!(
                "`{text}` is not a loopback address; write \"127.0.0.1:25\" or \"[::1]:25\": \
                 mail is accepted from this machine only"
            )
        })
    }
}
