//! IP networks in CIDR form, and sets of them.
//!
//! Contract: an IPv4 address that comes as `::ffff:a.b.c.d` (a dual-stack socket) is the IPv4
//! address, everywhere.
//! Failures: [`NetworkError`] says what to write instead; bits behind the prefix are an error,
//! because they show a mistake.
//! RFC 4632 (CIDR), RFC 4291 §2.5.5.2 (IPv4-mapped addresses).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// A network, or a single address.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Networks that are left of one without others.
const PIECES: usize = 1000;

/// Why a text is no network; the message says what to write instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkError(pub String);
impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for NetworkError {}

impl TryFrom<String> for Network {
    type Error = NetworkError;
    fn try_from(text: String) -> Result<Self, NetworkError> {
        Self::parse(&text)
    }
}
impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}
impl std::str::FromStr for Network {
    type Err = NetworkError;
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        Self::parse(text)
    }
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`, `[2001:db8::1]`. Bits behind the prefix
    /// must be zero.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let (network, address) = Self::read(text)?;
        if network.address == address {
            return Ok(network);
        }
        Err(NetworkError(format!(
            "`{}` has bits set behind its prefix; write {network}",
            text.escape_debug()
        )))
    }

    /// The same around an address: `2001:db8::7/64` is `2001:db8::/64`.
    pub fn around(text: &str) -> Result<Self, NetworkError> {
        Self::read(text).map(|(network, _)| network)
    }

    /// The network, and the address as written.
    fn read(text: &str) -> Result<(Self, IpAddr), NetworkError> {
        let bad = || {
            NetworkError(format!(
                "`{}` is not a network; write an address such as 192.0.2.7 or 2001:db8::1, or a \
                 network such as \
                 10.0.0.0/8 or 2001:db8::/32",
                text.escape_debug()
            ))
        };
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let plain = address
            .strip_prefix('[')
            .and_then(|a| a.strip_suffix(']'))
            .unwrap_or(address);
        let written: IpAddr = plain.parse().map_err(|_| bad())?;
        let bits = width(written);
        let mut prefix = match prefix {
            None => bits,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|&p: &u8| p <= bits)
                .ok_or_else(bad)?,
        };
        let address = written.to_canonical();
        if width(address) != bits {
            // ::ffff:10.0.0.0/104 is 10.0.0.0/8; anything wider than the mapped range is no network
            // of IPv4.
            prefix = prefix.checked_sub(96).ok_or_else(bad)?;
        }
        let network = Self {
            address: mask(address, prefix),
            prefix,
        };
        Ok((network, address))
    }

    /// The network of that prefix length that an address lies in (IPv4-mapped addresses become IPv4
    /// first).
    pub fn of(address: IpAddr, v4: u8, v6: u8) -> Self {
        let address = address.to_canonical();
        let prefix = if address.is_ipv4() { v4 } else { v6 }.min(width(address));
        Self {
            address: mask(address, prefix),
            prefix,
        }
    }

    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && mask(address, self.prefix) == self.address
    }

    /// What of it lies in none of these; `None`: that would be more than [`PIECES`] networks.
    pub fn without(self, excepted: &[Self]) -> Option<Vec<Self>> {
        let (mut rest, mut found) = (vec![self], Vec::new());
        while let Some(network) = rest.pop() {
            let within = |it: &Self| it.prefix <= network.prefix && it.contains(network.address);
            let inside = |it: &Self| it.prefix > network.prefix && network.contains(it.address);
            if excepted.iter().any(within) {
                continue;
            }
            if !excepted.iter().any(inside) {
                found.push(network);
            } else if found.len().saturating_add(rest.len()) >= PIECES {
                return None;
            } else {
                // The lower half comes first.
                rest.extend(network.halves().into_iter().rev());
            }
        }
        Some(found)
    }

    fn halves(self) -> [Self; 2] {
        let prefix = self.prefix.saturating_add(1);
        let bit = width(self.address).saturating_sub(prefix);
        let upper = match self.address {
            IpAddr::V4(address) => {
                IpAddr::V4((u32::from(address) | 1_u32.checked_shl(bit.into()).unwrap_or(0)).into())
            }
            IpAddr::V6(address) => IpAddr::V6(
                (u128::from(address) | 1_u128.checked_shl(bit.into()).unwrap_or(0)).into(),
            ),
        };
        [self.address, upper].map(|address| Self { address, prefix })
    }

    /// Whether it is the whole IPv4 or IPv6 Internet.
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    /// Whether it is so large a part of the Internet that nobody can own it; a few of them are the
    /// whole.
    pub fn is_anybodys(&self) -> bool {
        match self.address {
            IpAddr::V4(_) => self.prefix < 8,
            // Unique local addresses are fc00::/7, link-local ones fe80::/10.
            IpAddr::V6(first) => {
                let private = first.is_unique_local() && self.prefix >= 7
                    || first.is_unicast_link_local() && self.prefix >= 10;
                self.prefix < 16 && !private
            }
        }
    }

    /// Its first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether it is a single address.
    pub fn is_address(&self) -> bool {
        self.prefix == width(self.address)
    }

    /// Whether it is what one customer has of IPv6: a /64.
    pub fn is_prefix6(&self) -> bool {
        self.address.is_ipv6() && self.prefix == 64
    }

    /// Whether the two have addresses in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with all bits behind the prefix cleared.
fn mask(address: IpAddr, prefix: u8) -> IpAddr {
    let cut = u32::from(width(address).saturating_sub(prefix));
    match address {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(
            v4.to_bits() & u32::MAX.checked_shl(cut).unwrap_or(0),
        )),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(
            v6.to_bits() & u128::MAX.checked_shl(cut).unwrap_or(0),
        )),
    }
}

/// `10.0.0.0/8`; a single address without its prefix.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_address() {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

    #[test]
    fn a_network_is_named_by_any_address_in_it_where_that_is_asked_for() {
        for (text, expected) in [
            ("::1/64", "::/64"),
            ("2001:db8::7/64", "2001:db8::/64"),
            ("[2001:db8::7]/64", "2001:db8::/64"),
            ("10.0.0.7", "10.0.0.7"),
        ] {
            assert_eq!(Network::around(text).unwrap().to_string(), expected);
        }
        assert!(Network::around("::1/129").is_err() && Network::parse("::1/64").is_err());
    }

    #[test]
    fn networks_print_as_they_are_written_and_contain_what_lies_in_them() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("::/0", "2001:db8::1", "203.0.113.9"),
        ] {
            assert_eq!(network(text).to_string(), text);
            assert!(
                network(text).contains(inside.parse().unwrap()),
                "{inside} in {text}"
            );
            assert!(
                !network(text).contains(outside.parse().unwrap()),
                "{outside} in {text}"
            );
        }
    }

    #[test]
    fn networks_that_nobody_can_own_are_told_from_private_ones() {
        for large in [
            "0.0.0.0/0",
            "128.0.0.0/1",
            "10.0.0.0/7",
            "::/0",
            "8000::/1",
            "2000::/15",
        ] {
            assert!(network(large).is_anybodys(), "{large}");
        }
        for own in [
            "10.0.0.0/8",
            "fc00::/7",
            "fe80::/10",
            "2001:db8::/32",
            "192.0.2.1",
        ] {
            assert!(!network(own).is_anybodys(), "{own}");
        }
    }

    #[test]
    fn an_ipv4_client_on_a_dual_stack_socket_is_the_same_client() {
        assert!(network("10.0.0.0/8").contains("::ffff:10.1.2.3".parse().unwrap()));
        assert_eq!(network("::ffff:10.0.0.0/104"), network("10.0.0.0/8"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
        assert_eq!(
            Network::of("::ffff:10.0.0.7".parse().unwrap(), 32, 64).to_string(),
            "10.0.0.7"
        );
        assert_eq!(
            Network::of("2001:db8:1:2:3::9".parse().unwrap(), 32, 64).to_string(),
            "2001:db8:1:2::/64"
        );
    }

    #[test]
    fn a_mistyped_network_is_refused_with_what_to_write() {
        for bad in [
            "",
            "10.0.0/8",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "::/129",
            "mail.example",
            "::ffff:0:0/95",
            "10.0.0.0/8/8",
        ] {
            assert!(
                Network::parse(bad).unwrap_err().0.contains("10.0.0.0/8"),
                "{bad}"
            );
        }
        let error = Network::parse("10.0.0.7/8").unwrap_err();
        assert!(error.0.ends_with("write 10.0.0.0/8"), "{error}");
    }
}
