//! Sockets that clients connect to.
//!
//! Contract: sockets that systemd hands over are used first, matched to `listen` by address; the others are bound here. IPv6 wildcards take IPv4 too
//! (dual-stack), as `bindv6only` says. A listener that cannot be bound is an error, except one of the built-in defaults as long as another works.
//! Failures: out of descriptors or memory pauses accepting for a moment, never ends it.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use system::log::{Level, line};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time,
};

use super::{Reception, gate::Crowded, session};
use crate::{
    config::{Config, ListenTls, Listener},
    maillog,
};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// Pause after the system refused to accept.
const PAUSE: Duration = Duration::from_millis(500);

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Door {
    socket: TcpListener,
    pub(crate) address: SocketAddr,
    tls: ListenTls,
}

/// Opens all listeners of the configuration; `handed` are systemd's, which outlast them.
pub(crate) fn open(config: &Config, handed: &[StdListener]) -> anyhow::Result<Vec<Door>> {
    let mut inherited: Vec<_> = handed
        .iter()
        .map(StdListener::try_clone)
        .collect::<io::Result<_>>()?;
    let mut doors = Vec::new();
    for listener in &config.listen {
        let ready = inherited.iter().position(|socket| {
            socket
                .local_addr()
                .is_ok_and(|address| same(address, listener.address))
        });
        let opened = match ready {
            Some(index) => adopt(inherited.swap_remove(index), listener.tls),
            None => bind(*listener),
        };
        match opened {
            Ok(door) => doors.push(door),
            Err(error) if config.listen_is_default => {
                line(
                    Level::Warning,
                    &format_args!("cannot listen on {}: {error}", listener.address),
                );
            }
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot listen on {}", listener.address));
            }
        }
    }
    for socket in inherited {
        let address = socket.local_addr()?;
        let tls = if address.port() == 465 {
            ListenTls::Wrapped
        } else {
            ListenTls::StartTls
        };
        doors.push(adopt(socket, tls)?);
    }
    if doors.is_empty() {
        bail!(
            "no listener could be opened; set `listen` to an address and port that this user may bind"
        );
    }
    Ok(doors)
}

/// TCP sockets handed over by systemd; those of other kinds are left alone.
pub(crate) fn inherited() -> Vec<StdListener> {
    let mut handed = listenfd::ListenFd::from_env();
    (0..handed.len())
        .filter_map(|index| handed.take_tcp_listener(index).ok()?)
        .collect()
}

fn same(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && a.ip().to_canonical() == b.ip().to_canonical()
}

fn adopt(socket: StdListener, tls: ListenTls) -> io::Result<Door> {
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    Ok(Door {
        socket: TcpListener::from_std(socket)?,
        address,
        tls,
    })
}

fn bind(listener: Listener) -> io::Result<Door> {
    let socket = if listener.address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(listener.address)?;
    let socket = socket.listen(BACKLOG)?;
    let address = socket.local_addr()?;
    Ok(Door {
        socket,
        address,
        tls: listener.tls,
    })
}

impl Door {
    /// Accepts clients until the daemon ends, then waits for their sessions.
    pub(crate) async fn serve(self, reception: Arc<Reception>) {
        let mut ending = reception.ending.clone();
        let mut sessions = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                Some(_) = sessions.join_next(), if !sessions.is_empty() => continue,
                _ = ending.wait_for(|ending| *ending) => break,
            };
            match accepted {
                Ok((stream, address)) => self.admit(stream, address, &reception, &mut sessions),
                Err(error) => {
                    line(
                        Level::Error,
                        &format_args!("cannot accept on {}: {error}", self.address),
                    );
                    time::sleep(PAUSE).await;
                }
            }
        }
        drop(self.socket);
        while sessions.join_next().await.is_some() {}
    }

    fn admit(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        reception: &Arc<Reception>,
        sessions: &mut JoinSet<()>,
    ) {
        let setup = reception.current.get();
        let client = address.ip().to_canonical();
        let concurrency = setup.config.concurrency;
        match reception
            .gate
            .enter(client, concurrency.sessions, concurrency.client)
        {
            Ok(place) => {
                let reception = Arc::clone(reception);
                let tls = self.tls;
                sessions.spawn(async move {
                    session::serve(stream, client, tls, setup, reception).await;
                    drop(place);
                });
            }
            Err(crowded) => {
                let hostname = &setup.config.hostname;
                let reply = match crowded {
                    Crowded::Client(count) => {
                        maillog::too_many_connections(count, &format!("unknown[{client}]"));
                        format!(
                            "421 4.7.0 {hostname} Error: too many connections from {client}\r\n"
                        )
                    }
                    Crowded::Everybody => format!(
                        "421 4.3.2 {hostname} Error: too many sessions, try again later\r\n"
                    ),
                };
                if self.tls != ListenTls::Wrapped {
                    turn_away(stream, &reply);
                }
            }
        }
    }
}

/// Says why, if the socket takes it at once, and closes.
fn turn_away(stream: TcpStream, reply: &str) {
    if stream.try_write(reply.as_bytes()).is_ok() {
        tokio::spawn(async move {
            let mut stream = stream;
            let _ = time::timeout(PAUSE, stream.shutdown()).await;
        });
    }
}
