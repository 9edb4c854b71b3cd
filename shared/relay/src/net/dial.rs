//! Names to addresses, addresses to sockets.

use std::{
    io,
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    time::Duration,
};

use crate::{conversation::reason, delivery::MOST_ADDRESSES};
use mail::{
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};

/// All addresses in the resolver's order; the hosts file counts first, as the system has it (row
/// C3).
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
        .take(MOST_ADDRESSES)
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
pub fn relay_name(host: &str, address: SocketAddr) -> String {
    format!("{host}[{}]:{}", address.ip().to_canonical(), address.port())
}

fn lookup_reason(error: &io::Error) -> String {
    let text = reason(error);
    text.strip_prefix("failed to lookup address information: ")
        .unwrap_or(&text)
        .to_owned()
}
