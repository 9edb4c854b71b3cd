//! Who the client is, when it comes over a proxy.
//!
//! Contract: from an address in `proxy` nothing is sent before the header is whole, and no byte
//! behind it is read. From elsewhere a header is an unknown command.
//! Failures: no header, or none in time: one line in the log, and the connection is closed.

use std::{net::SocketAddr, time::Duration};

use smtp::proxy::{self, Header, Progress};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time};

/// Longest wait for the header (Postfix `smtpd_upstream_proxy_timeout`).
const PATIENCE: Duration = Duration::from_secs(5);

/// Whose connection it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) client: SocketAddr,
    /// Where it came to.
    pub(super) server: Option<SocketAddr>,
    /// A proxy stands between.
    pub(super) proxied: bool,
    /// The proxy does not say who it is: no network covers it.
    pub(super) unnamed: bool,
}

impl Ends {
    /// As the sockets say.
    pub(super) fn of(stream: &TcpStream, client: SocketAddr) -> Self {
        Self {
            client,
            server: stream.local_addr().ok(),
            proxied: false,
            unnamed: false,
        }
    }

    /// As the header says that comes now.
    pub(super) async fn of_header(
        stream: &mut TcpStream,
        peer: SocketAddr,
    ) -> Result<Self, String> {
        let header = time::timeout(PATIENCE, header(stream)).await;
        match header.unwrap_or_else(|_| Err("no PROXY header came in time".to_owned()))? {
            Header::Carried { client, server } => Ok(Self {
                client,
                server: Some(server),
                proxied: true,
                unnamed: false,
            }),
            Header::Own => Ok(Self {
                proxied: true,
                unnamed: true,
                ..Self::of(stream, peer)
            }),
        }
    }
}

async fn header(stream: &mut TcpStream) -> Result<Header, String> {
    let mut bytes = Vec::new();
    loop {
        match proxy::read(&bytes).map_err(|error| error.to_string())? {
            Progress::Done(header) => return Ok(header),
            Progress::More(more) => {
                let had = bytes.len();
                bytes.resize(had.saturating_add(more), 0);
                let next = bytes.get_mut(had..).unwrap_or_default();
                let read = stream.read_exact(next).await;
                read.map_err(|error| format!("no PROXY header: {error}"))?;
            }
        }
    }
}
