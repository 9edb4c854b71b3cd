//! Names to addresses, addresses to sockets.

use std::{
    io,
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    time::Duration,
};

use mail::{
    nexthop::Nexthop,
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};

/// Addresses of one host that are tried; more are a mistake or an attack.
const MAX_ADDRESSES: usize = 16;

/// All addresses in the resolver's order; the hosts file counts first, as the system has it (row C3).
pub fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let not_found = |text: &str| {
        Failure::new(
            Blame::Network,
            Stage::Lookup,
            EnhancedStatus::new(4, 4, 3),
            &format!("{host}: {text}"),
        )
    };
    let mut found: Vec<_> = (host, port)
        .to_socket_addrs()
        .map_err(|error| not_found(&lookup_reason(&error)))?
        .take(MAX_ADDRESSES)
        .collect();
    found.dedup();
    if found.is_empty() {
        Err(not_found("the name has no address"))
    } else {
        Ok(found)
    }
}

/// Opens one connection; small writes go out at once.
pub(super) fn connect(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// `host[address]:port`, as Postfix writes it.
pub(super) fn relay_name(nexthop: &Nexthop, address: SocketAddr) -> String {
    format!("{}[{}]:{}", nexthop.host, address.ip(), address.port())
}

/// An error of the system without its number.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "Connection timed out".to_owned(),
        _ => {
            let text = error.to_string();
            text.split_once(" (os error")
                .map_or(text.as_str(), |(words, _)| words)
                .to_owned()
        }
    }
}

fn lookup_reason(error: &io::Error) -> String {
    let text = reason(error);
    text.strip_prefix("failed to lookup address information: ")
        .unwrap_or(&text)
        .to_owned()
}
