//! Who is at the other end of a loopback connection, as the kernel's table of connections tells.
//!
//! Contract: pure and total but for reading that table. A connection whose owner cannot be found is
//! nobody's, and nothing can be taken from it: its process has closed it already, so that it could
//! hear no reply, and whoever it was would not pay for it with his own shares and budget. See
//! `proc_net_tcp` in the documentation of Linux.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
};

/// The table of IPv6 sockets also has those that speak IPv4.
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
/// How often the tables are read: while others come and go, one reading may miss a connection.
const READINGS: usize = 2;
/// State of a socket that is still connecting: whoever connected is not this one.
const CONNECTING: &str = "02";

/// The user at the other end of a connection that was accepted from `client`, if there is one.
pub(super) fn peer(stream: &TcpStream, client: SocketAddr) -> io::Result<Option<u32>> {
    let server = stream.local_addr()?;
    if !client.ip().to_canonical().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{client} is not on this machine"),
        ));
    }
    for table in [TABLES; READINGS].concat() {
        // One that the kernel does not have is no error: it may know IPv4 alone.
        let table = fs::read_to_string(table).unwrap_or_default();
        if let Some(uid) = owner(&table, client, server) {
            return Ok(Some(uid));
        }
    }
    Ok(None)
}

/// Whose socket is bound to `client` and connected to `server`.
fn owner(table: &str, client: SocketAddr, server: SocketAddr) -> Option<u32> {
    table.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (own, other) = (words.next()?, words.next()?);
        if address(own)? != canonical(client) || address(other)? != canonical(server) {
            return None;
        }
        let state = words.next()?;
        // Queues, timer, retransmits; then user, timeout, inode.
        let uid: u32 = words.nth(3)?.parse().ok()?;
        let inode: u64 = words.nth(1)?.parse().ok()?;
        // A socket that its process has closed has no inode, and its user reads as root.
        (inode != 0 && state != CONNECTING).then_some(uid)
    })
}

fn canonical(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

/// `0100007F:0019`: words of 32 bits in this machine's order, then the port.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    let mut rest = address;
    while !rest.is_empty() {
        let (word, after) = rest.split_at_checked(8)?;
        bytes.extend(u32::from_str_radix(word, 16).ok()?.to_ne_bytes());
        rest = after;
    }
    let ip = match bytes.len() {
        4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical(),
        _ => return None,
    };
    Some((ip, port))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_kernel_names_the_owner_of_a_connection_to_loopback() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                continue;
            };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, from) = listener.accept().unwrap();
            let own = rustix::process::getuid().as_raw();
            assert_eq!(peer(&stream, from).unwrap(), Some(own));
            drop(client);
            assert_eq!(peer(&stream, from).unwrap(), None, "closed by its process");
        }
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_owner_is_read_from_tables_of_both_families_and_an_orphan_is_nobodys() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:C001 0100007F:0019 01 00000000:00000000 00:00000000 00000000    33        0 4711 1\n\
            1: 0100007F:C002 0100007F:0019 06 00000000:00000000 03:00000000 00000000     0        0 0 3\n\
            2: 0000000000000000FFFF00000100007F:C003 0000000000000000FFFF00000100007F:0019 01 0:0 0:0 0 1000 0 99\n\
            3: 0100007F:C005 0100007F:0019 02 0:0 0:0 0 1001 0 98\n";
        let owner = |port| {
            owner(
                table,
                ([127, 0, 0, 1], port).into(),
                ([127, 0, 0, 1], 25).into(),
            )
        };
        assert_eq!(
            [0xc001, 0xc002, 0xc003, 0xc004, 0xc005].map(owner),
            [Some(33), None, Some(1000), None, None]
        );
    }

    proptest! {
        #[test]
        fn no_table_is_too_strange(table in "[0-9A-F: é\n]{0,200}") {
            owner(&table, ([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 25).into());
        }
    }
}
