//! How much TLS the hosts of others must show.

use std::path::PathBuf;

/// TLS towards everybody but the relayhost.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsOut {
    pub level: TlsLevel,
    /// Authorities that are believed; `None`: the web's.
    pub ca_file: Option<PathBuf>,
}

/// How much TLS a host of others must show.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TlsLevel {
    None,
    /// What is offered; clear text is as good.
    #[default]
    Opportunistic,
    /// Some TLS, whoever answers.
    StartTls,
    /// A certificate of an authority for the host.
    Verify,
    /// What TLSA records say; opportunistic where DNSSEC says that there are none.
    Dane,
    /// The same, and nothing without them.
    DaneOnly,
}

settings::words!(TlsLevel:
    "opportunistic" = Self::Opportunistic,
    "none" = Self::None,
    "starttls" = Self::StartTls,
    "verify" = Self::Verify,
    "dane" = Self::Dane,
    "dane-only" = Self::DaneOnly,
);

impl TlsLevel {
    /// Whether it goes by DNSSEC.
    pub fn is_dane(self) -> bool {
        matches!(self, Self::Dane | Self::DaneOnly)
    }
}
