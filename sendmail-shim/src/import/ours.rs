//! Our keys, as an import promises them.

/// A key of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ours {
    Relayhost,
    Domain,
    Hostname,
    Tls,
    Pins,
    Admin,
    FromOverride,
    MessageSize,
    Minimal,
    Maximal,
    Lifetime,
    Aliases,
    Auth,
    Certificate,
    Revaliases,
    Listen,
}

impl Ours {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Relayhost => "relayhost",
            Self::Domain => "domain",
            Self::Hostname => "hostname",
            Self::Tls => "tls",
            Self::Pins => "pins",
            Self::Admin => "admin",
            Self::FromOverride => "from_override",
            Self::MessageSize => "message_size",
            Self::Minimal => "retry.minimal",
            Self::Maximal => "retry.maximal",
            Self::Lifetime => "retry.lifetime",
            Self::Aliases => "aliases",
            Self::Auth => "auth.user and auth.password_file",
            Self::Certificate => "certificate and key",
            Self::Revaliases => "revaliases",
            Self::Listen => "listen",
        }
    }
}
