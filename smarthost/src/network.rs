//! IP networks in CIDR form, and sets of them.
//!
//! Contract: an IPv4 address that comes as `::ffff:a.b.c.d` (a dual-stack socket) is the IPv4 address, everywhere.
//! RFC 4632 (CIDR), RFC 4291 §2.5.5.2 (IPv4-mapped addresses).

use std::{fmt, net::IpAddr};

/// A network, or a single address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no network; the message says what to write instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkError(pub String);
impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for NetworkError {}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`, `[2001:db8::1]`. Bits behind the prefix must be zero.
    pub fn parse(_text: &str) -> Result<Self, NetworkError> {
        todo!()
    }

    /// The network of that prefix length that an address lies in (IPv4-mapped addresses become IPv4 first).
    pub fn of(_address: IpAddr, _v4: u8, _v6: u8) -> Self {
        todo!()
    }

    /// Whether an address lies in it.
    pub fn contains(&self, _address: IpAddr) -> bool {
        todo!()
    }

    /// Whether it is the whole IPv4 or IPv6 Internet.
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }
}

/// `10.0.0.0/8`; a single address without its prefix.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// A set of networks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Networks(pub Vec<Network>);

impl Networks {
    /// Whether an address lies in one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}
