//! Where a message goes next: `host`, `host:port`, `[host]`, `[host]:port`, `[192.0.2.1]:25`, `[ipv6:2001:db8::1]`, `[2001:db8::1]:25`.
//!
//! Brackets mean: this host itself, no MX lookup (row D1). Postfix transport(5).

use std::fmt;

/// A next hop as configured.
#[derive(Clone, PartialEq, Eq, Hash, Debug, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Nexthop {
    /// Host name, or the address in its plain textual form.
    pub host: String,
    /// `None`: the caller's default (25; 465 with wrapped TLS).
    pub port: Option<u16>,
    /// Whether MX records of `host` are to be asked (no brackets).
    pub mx: bool,
}

/// Why a text is no next hop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NexthopError(pub String);
impl fmt::Display for NexthopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for NexthopError {}

impl Nexthop {
    /// Reads the forms above.
    pub fn parse(_text: &str) -> Result<Self, NexthopError> {
        todo!()
    }
}
impl TryFrom<String> for Nexthop {
    type Error = NexthopError;
    fn try_from(text: String) -> Result<Self, NexthopError> {
        Self::parse(&text)
    }
}
impl fmt::Display for Nexthop {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
