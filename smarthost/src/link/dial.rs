//! From a host name to a connected TCP stream.
//!
//! Contract: addresses come from the system's resolver, the hosts file first (row C3); they are tried in its order, and the next one starts
//! when the one before it failed or has not answered within a quarter of a second.
//! Failures: all temporary; the text names host, address and reason.
//! RFC 8305 §5 (connection attempts).

use std::{io, net::SocketAddr, time::Duration};

use mail::{
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};
use tokio::{net::TcpStream, task::JoinSet, time};

/// Head start of each address over the next.
const HEAD_START: Duration = Duration::from_millis(250);
/// Addresses of one host that are tried (Postfix `smtp_mx_address_limit`).
const MAX_ADDRESSES: usize = 5;

/// The addresses of a host, in the system resolver's order.
pub(crate) async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let unknown = |why: &str| {
        let text =
            format!("Host or domain name not found. Name service error for name={host}: {why}");
        Failure::new(
            Blame::Network,
            Stage::Lookup,
            EnhancedStatus::new(4, 4, 3),
            &text,
        )
    };
    let found: Vec<SocketAddr> = match tokio::net::lookup_host((host, port)).await {
        Ok(found) => found.take(MAX_ADDRESSES).collect(),
        Err(error) => return Err(unknown(&error.to_string())),
    };
    if found.is_empty() {
        Err(unknown("no address"))
    } else {
        Ok(found)
    }
}

/// Connects to the first address that answers.
pub(crate) async fn connect(
    host: &str,
    port: u16,
    timeout: Duration,
) -> Result<(TcpStream, SocketAddr), Failure> {
    let addresses = addresses(host, port).await?;
    let first = addresses.first().copied();
    let failure = |address: Option<SocketAddr>, error: &io::Error| {
        let relay = address.map_or_else(|| host.to_owned(), |address| relay_name(host, address));
        Failure::new(
            Blame::Network,
            Stage::Connect,
            EnhancedStatus::new(4, 4, 1),
            &reason(error),
        )
        .at(&relay)
    };
    match time::timeout(timeout, race(addresses)).await {
        Ok(Ok(connected)) => Ok(connected),
        Ok(Err((address, error))) => Err(failure(Some(address), &error)),
        Err(_) => Err(failure(first, &io::ErrorKind::TimedOut.into())),
    }
}

/// `host[address]:port`, as the log names a relay.
pub(crate) fn relay_name(host: &str, address: SocketAddr) -> String {
    format!("{host}[{}]:{}", address.ip().to_canonical(), address.port())
}

async fn race(
    addresses: Vec<SocketAddr>,
) -> Result<(TcpStream, SocketAddr), (SocketAddr, io::Error)> {
    let mut attempts = JoinSet::new();
    let mut waiting = addresses.into_iter();
    let mut last = None;
    loop {
        let next = waiting.next();
        if let Some(address) = next {
            attempts.spawn(async move {
                match TcpStream::connect(address).await {
                    Ok(stream) => Ok((stream, address)),
                    Err(error) => Err((address, error)),
                }
            });
        }
        let head_start = if waiting.len() == 0 {
            Duration::MAX
        } else {
            HEAD_START
        };
        match time::timeout(head_start, attempts.join_next()).await {
            Ok(Some(Ok(Ok((stream, address))))) => {
                stream.set_nodelay(true).map_err(|error| (address, error))?;
                return Ok((stream, address));
            }
            Ok(Some(Ok(Err(failed)))) => last = Some(failed),
            Ok(Some(Err(_))) | Err(_) => {}
            Ok(None) => {
                let nowhere = (
                    SocketAddr::from(([0, 0, 0, 0], 0)),
                    io::Error::other("no address"),
                );
                return Err(last.unwrap_or(nowhere));
            }
        }
    }
}

/// An I/O error in the words that mail administrators know.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "Connection refused".to_owned(),
        io::ErrorKind::TimedOut => "Connection timed out".to_owned(),
        io::ErrorKind::ConnectionReset => "Connection reset by peer".to_owned(),
        io::ErrorKind::NetworkUnreachable => "Network is unreachable".to_owned(),
        io::ErrorKind::HostUnreachable => "No route to host".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_relay_that_refuses_on_one_address_is_reached_on_the_next() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let refused = tokio::net::TcpListener::bind("127.0.0.2:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let (_stream, address) = race(vec![refused, good]).await.unwrap();
        assert_eq!(address, good);
    }

    #[tokio::test]
    async fn a_refused_connection_is_temporary_and_its_reason_names_host_address_and_port() {
        let port = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let failure = connect("127.0.0.1", port, Duration::from_secs(5))
            .await
            .unwrap_err();
        assert_eq!(
            failure.log_text(),
            format!("connect to 127.0.0.1[127.0.0.1]:{port}: Connection refused")
        );
        assert_eq!(failure.status.class(), 4);
    }
}
