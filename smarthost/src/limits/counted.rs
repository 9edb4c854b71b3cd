//! Who is counted as one: an address, a network, or a name that a key or a login has proved.

use std::{fmt, net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};
use smtp::sasl::prepared;

use crate::network::{Network, NetworkError};

/// Longest name, bytes.
const MAX_NAME: usize = 128;

/// Who is at the other end of a session.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Peer {
    pub address: IpAddr,
    /// As whom its key is known, else its login.
    pub name: Option<Arc<str>>,
    /// The address is a proxy's, who does not say whose session it is.
    pub unnamed: bool,
}

/// By whatever it is counted.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => self.address.fmt(f),
        }
    }
}
impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            name: None,
            unnamed: false,
        }
    }
}

/// What is counted as one client.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ClientId {
    Network(Network),
    /// A login, or the name of a key in `client_pins`: who has the same name is the same client.
    Name(Arc<str>),
}

impl ClientId {
    /// An address, a network or an address in it with its prefix, or a name, as [`fmt::Display`]
    /// writes it.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        match name(text) {
            Ok(name) => Ok(Self::Name(name)),
            Err(_) => Network::around(text).map(Self::Network),
        }
    }
}

/// A name that nobody takes for an address: no blanks, no `:`, `/`, `[` or `,`, and not digits and
/// dots alone. The same name is the same composed or not (`SASLprep`).
pub fn name(text: &str) -> Result<Arc<str>, String> {
    let shown = text.escape_debug();
    // Nobody sees a byte order mark, which editors leave at the beginning of a file.
    let text = prepared(text).filter(|_| !text.contains('\u{feff}'));
    let text = text.unwrap_or_default();
    let bad = |c: char| c.is_whitespace() || c.is_control() || ":/[,".contains(c);
    if text.is_empty() || text.len() > MAX_NAME || text.contains(bad) {
        return Err(format!(
            "`{shown}` is no name: up to {MAX_NAME} bytes without blanks, colons, slashes, brackets and commas"
        ));
    }
    if text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(format!(
            "`{shown}` looks like an address; put a letter into the name"
        ));
    }
    Ok(text.into())
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}
impl From<Network> for ClientId {
    fn from(network: Network) -> Self {
        Self::Network(network)
    }
}
impl TryFrom<String> for ClientId {
    type Error = NetworkError;
    fn try_from(text: String) -> Result<Self, NetworkError> {
        Self::parse(&text)
    }
}
impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.to_string()
    }
}
impl std::str::FromStr for ClientId {
    type Err = NetworkError;
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        Self::parse(text)
    }
}
