//! Addresses that mail is never sent to; most of them may be, where the administrator named the
//! host.
//!
//! Contract: pure but for [`is_own`], which asks the kernel by connecting a socket that sends
//! nothing.
//! RFC 5321 §5.1 (no mail to oneself); ICANN, Name Collision Occurrence Management Framework
//! (127.0.53.53).

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

const COLLISION: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 53, 53));

/// Where an address leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Locality {
    Elsewhere,
    /// Loopback, or no address at all: whoever published it means no other host.
    Nowhere,
    /// What a new top-level domain answers for each name, so that whoever means a name of his own
    /// network by it notices: his question has left that network.
    Collision,
    /// An address of this host.
    Own,
    /// A socket on which this very program takes mail.
    Itself,
}

impl Locality {
    /// Whether mail for a host would come back here. The administrator, who `named` it, may mean
    /// another program on this machine, but never the one that sends.
    pub(super) fn leads_back(self, named: bool) -> bool {
        match self {
            Self::Elsewhere => false,
            Self::Itself => true,
            Self::Nowhere | Self::Collision | Self::Own => !named,
        }
    }

    /// Whether this host is meant, and not only an address at which nobody is.
    pub(super) const fn is_here(self) -> bool {
        matches!(self, Self::Own | Self::Itself)
    }
}

/// Whether who connects to this address comes to one of these sockets of this machine.
pub fn is_listener(listeners: &[SocketAddr], address: SocketAddr) -> bool {
    let ip = canonical(address.ip());
    listeners.iter().any(|own| {
        let bound = canonical(own.ip());
        // Connecting to no address is connecting to this machine.
        let there =
            bound == ip || ip.is_unspecified() || bound.is_unspecified() && ip.is_loopback();
        there && own.port() == address.port()
    })
}

/// Where an address leads; `own` knows the addresses of this host.
pub fn locality(address: IpAddr, own: impl Fn(IpAddr) -> bool) -> Locality {
    let address = canonical(address);
    let nowhere = match address {
        IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified(),
    } || is_of_many(address);
    if address == COLLISION {
        Locality::Collision
    } else if nowhere {
        Locality::Nowhere
    } else if own(address) {
        Locality::Own
    } else {
        Locality::Elsewhere
    }
}

/// Whether it is no host's own: multicast or broadcast.
pub(super) fn is_of_many(address: IpAddr) -> bool {
    let address = canonical(address);
    address.is_multicast() || matches!(address, IpAddr::V4(v4) if v4.is_broadcast())
}

/// IPv4 that is written as IPv6: mapped, compatible (RFC 4291 §2.5.5), or by NAT64's own prefix
/// (RFC 6052 §2.1).
fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let [high @ .., _, _] = v6.segments();
    let [.., w, x, y, z] = v6.octets();
    let embeds = match high {
        [0x64, 0xff9b, 0, 0, 0, 0] | [0, 0, 0, 0, 0, 0xffff] => true,
        [0, 0, 0, 0, 0, 0] => !v6.is_loopback() && !v6.is_unspecified(),
        _ => false,
    };
    if embeds {
        Ipv4Addr::new(w, x, y, z).into()
    } else {
        address
    }
}

/// Whether an address is one of this host's: the kernel then leaves for it from that very address.
pub fn is_own(address: IpAddr) -> bool {
    let any: SocketAddr = match address {
        IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        IpAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    // Connecting a datagram socket sends nothing; it only chooses the way.
    let left = UdpSocket::bind(any).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    left.is_ok_and(|left| left.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relayhost_that_is_the_program_itself_is_known_by_address_and_port() {
        let own = ["127.0.0.1:25".parse().unwrap(), "[::1]:26".parse().unwrap()];
        for (address, is) in [
            ("127.0.0.1:25", true),
            ("[::ffff:127.0.0.1]:25", true),
            ("0.0.0.0:26", true),
            ("127.0.0.1:26", false),
            ("127.0.0.2:25", false),
            ("192.0.2.1:25", false),
        ] {
            assert_eq!(is_listener(&own, address.parse().unwrap()), is, "{address}");
        }
    }

    #[test]
    fn own_loopback_and_unspecified_addresses_are_known_in_every_spelling() {
        let own = |address: IpAddr| address == IpAddr::from([192, 0, 2, 1]);
        for (text, expected) in [
            ("127.0.0.1", Locality::Nowhere),
            ("127.255.0.9", Locality::Nowhere),
            ("127.0.53.53", Locality::Collision),
            ("::ffff:127.0.53.53", Locality::Collision),
            ("0.0.0.0", Locality::Nowhere),
            ("0.0.0.7", Locality::Nowhere),
            ("255.255.255.255", Locality::Nowhere),
            ("224.0.0.1", Locality::Nowhere),
            ("::", Locality::Nowhere),
            ("::1", Locality::Nowhere),
            ("::ffff:127.0.0.1", Locality::Nowhere),
            ("::ffff:0.0.0.0", Locality::Nowhere),
            ("::127.0.0.1", Locality::Nowhere),
            ("64:ff9b::127.0.0.1", Locality::Nowhere),
            ("ff02::1", Locality::Nowhere),
            ("192.0.2.1", Locality::Own),
            ("::ffff:192.0.2.1", Locality::Own),
            ("64:ff9b::c000:201", Locality::Own),
            ("192.0.2.2", Locality::Elsewhere),
            ("10.0.0.1", Locality::Elsewhere),
            ("2001:db8::1", Locality::Elsewhere),
        ] {
            assert_eq!(locality(text.parse().unwrap(), own), expected, "{text}");
        }
        assert!(is_own(IpAddr::from([127, 0, 0, 1])));
        assert!(!is_own(IpAddr::from([192, 0, 2, 1])));
    }
}
