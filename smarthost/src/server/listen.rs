//! Sockets that clients connect to.
//!
//! Contract: sockets that systemd hands over are used first, matched to `listen` by address; the
//! others are bound here. IPv6 wildcards take IPv4 too (dual-stack), as `bindv6only` says. As long
//! as one works, those that cannot be bound are told, and tried again and again, except the
//! built-in defaults; if none works, that is an error.
//! Failures: out of descriptors or memory pauses accepting for a moment, never ends it.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::bail;
use mail::status::EnhancedStatus;
use smtp::reply::Reply;
use system::log::{Level, line};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time,
};

use super::{
    Server,
    places::{NoPlace, Place, Visitor},
    proxied::Ends,
    session,
};
use crate::{
    config::{self, Config, ListenTls, Offer},
    maillog,
    setup::Setup,
};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// Pause before an address is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// Pause after the system refused to accept.
const PAUSE: Duration = Duration::from_millis(500);

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    pub(crate) address: SocketAddr,
    offer: Offer,
}

/// Addresses of the configuration where nothing could listen at the start.
#[derive(Debug, Default)]
pub(crate) struct Deaf(Mutex<Addresses>);

#[derive(Debug, Default)]
struct Addresses {
    waiting: Vec<(config::Listener, String)>,
    /// Where it worked later.
    late: Vec<SocketAddr>,
}

impl Deaf {
    fn lock(&self) -> MutexGuard<'_, Addresses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sentence for each where nothing listens yet.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let deaf = self.lock();
        let waiting = deaf.waiting.iter();
        waiting
            .map(|(listener, why)| told(listener.address, why))
            .collect()
    }

    /// Where it listens after all.
    pub(crate) fn late(&self) -> Vec<SocketAddr> {
        self.lock().late.clone()
    }

    /// Tries again and again until all of them listen, or the daemon ends.
    pub(crate) async fn retry(self: Arc<Self>, server: Arc<Server>) {
        let mut ending = server.ending.clone();
        let mut serving = JoinSet::new();
        while !self.lock().waiting.is_empty() {
            tokio::select! {
                () = time::sleep(AGAIN) => {}
                _ = ending.wait_for(|ending| *ending) => break,
            }
            for listener in self.opened() {
                let address = listener.address;
                line(Level::Notice, &format_args!("listens on {address} now"));
                serving.spawn(listener.serve(Arc::clone(&server)));
            }
        }
        while serving.join_next().await.is_some() {}
    }

    /// Those that listen now.
    fn opened(&self) -> Vec<Listener> {
        let mut opened = Vec::new();
        let mut deaf = self.lock();
        deaf.waiting.retain(|(listener, _)| match bind(*listener) {
            Ok(listener) => {
                opened.push(listener);
                false
            }
            Err(_) => true,
        });
        deaf.late.extend(addresses(&opened));
        opened
    }
}

/// Where they listen.
pub(crate) fn addresses(listeners: &[Listener]) -> Vec<SocketAddr> {
    listeners.iter().map(|it| it.address).collect()
}

fn told(address: SocketAddr, why: &str) -> String {
    format!("cannot listen on {address}: {why}; it is tried again and again")
}

/// Opens all listeners of the configuration; `handed` are systemd's, which outlast them.
pub(crate) fn open(
    config: &Config,
    handed: &[StdListener],
) -> anyhow::Result<(Vec<Listener>, Arc<Deaf>)> {
    let mut inherited: Vec<_> = handed
        .iter()
        .map(StdListener::try_clone)
        .collect::<io::Result<_>>()?;
    let (mut listeners, deaf) = (Vec::new(), Deaf::default());
    for listener in &config.listen {
        let ready = inherited.iter().position(|socket| {
            socket
                .local_addr()
                .is_ok_and(|address| same(address, listener.address))
        });
        let opened = match ready {
            Some(index) => adopt(inherited.swap_remove(index), listener.offer),
            None => bind(*listener),
        };
        match opened {
            Ok(opened) => listeners.push(opened),
            Err(error) if config.listen_is_default => {
                line(
                    Level::Warning,
                    &format_args!("cannot listen on {}: {error}", listener.address),
                );
            }
            Err(error) => deaf.lock().waiting.push((*listener, error.to_string())),
        }
    }
    for socket in inherited {
        let address = socket.local_addr()?;
        listeners.push(adopt(socket, Offer::usual(address.port()))?);
    }
    if listeners.is_empty() {
        let deaf = deaf.lock();
        let why = deaf
            .waiting
            .iter()
            .map(|(it, why)| format!(" ({}: {why})", it.address));
        bail!(
            "no listener could be opened{}; set `listen` to an address and port that this user may bind",
            why.collect::<String>()
        );
    }
    for why in deaf.alarms() {
        line(Level::Error, &why);
    }
    Ok((listeners, Arc::new(deaf)))
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

fn adopt(socket: StdListener, offer: Offer) -> io::Result<Listener> {
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    Ok(Listener {
        socket: TcpListener::from_std(socket)?,
        address,
        offer,
    })
}

fn bind(listener: config::Listener) -> io::Result<Listener> {
    let socket = if listener.address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(listener.address)?;
    let socket = socket.listen(BACKLOG)?;
    let address = socket.local_addr()?;
    Ok(Listener {
        socket,
        address,
        offer: listener.offer,
    })
}

impl Listener {
    /// Accepts clients until the daemon ends, then waits for their sessions.
    pub(crate) async fn serve(self, server: Arc<Server>) {
        let mut ending = server.ending.clone();
        let mut sessions = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                Some(_) = sessions.join_next(), if !sessions.is_empty() => continue,
                _ = ending.wait_for(|ending| *ending) => break,
            };
            match accepted {
                Ok((stream, address)) => self.admit(stream, address, &server, &mut sessions),
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
        mut stream: TcpStream,
        address: SocketAddr,
        server: &Arc<Server>,
        sessions: &mut JoinSet<()>,
    ) {
        let setup = server.current.get();
        let offer = self.offer;
        if !setup.config.proxy.contains(address.ip()) {
            let ends = Ends::of(&stream, address);
            if let Some(session) = enter(stream, ends, offer, setup, server) {
                sessions.spawn(session);
            }
            return;
        }
        let most = setup.config.concurrency.sessions.saturating_mul(2);
        if sessions.len() >= most {
            // So many cannot all have sent their headers.
            return;
        }
        let server = Arc::clone(server);
        sessions.spawn(async move {
            let name = format!("unknown[{}]", address.ip().to_canonical());
            match Ends::of_header(&mut stream, address).await {
                Ok(ends) => {
                    if let Some(session) = enter(stream, ends, offer, setup, &server) {
                        session.await;
                    }
                }
                Err(why) => maillog::proxy(&name, &why),
            }
        });
    }
}

/// The session, if there is a place for it.
fn enter(
    stream: TcpStream,
    ends: Ends,
    offer: Offer,
    setup: Arc<Setup>,
    server: &Arc<Server>,
) -> Option<impl Future<Output = ()> + use<>> {
    let address = ends.client.ip().to_canonical();
    let visitor = Visitor {
        address,
        own: !ends.unnamed && setup.policy.may_relay(address),
    };
    match enter_as(visitor, &setup, server) {
        Ok(place) => {
            let server = Arc::clone(server);
            Some(session::serve(
                stream, ends, visitor, place, offer, setup, server,
            ))
        }
        Err(reply) => {
            let name = format!("unknown[{address}]");
            maillog::rejected_at_connect(&name, &reply.text());
            if offer.tls != ListenTls::Wrapped {
                turn_away(stream, &format!("{}\r\n", reply.text()));
            }
            None
        }
    }
}

/// A place for a session, or why there is none.
pub(super) fn enter_as(visitor: Visitor, setup: &Setup, server: &Server) -> Result<Place, Reply> {
    let concurrency = setup.config.concurrency;
    let entered = server
        .places
        .enter(visitor, concurrency.sessions, concurrency.client);
    entered.map_err(|no_place| {
        let name = format!("unknown[{}]", visitor.address);
        if let NoPlace::Client(count) = no_place {
            maillog::too_many(&name, count);
        }
        no_place.reply(&setup.config.hostname.to_string(), visitor)
    })
}

impl NoPlace {
    fn reply(self, hostname: &str, visitor: Visitor) -> Reply {
        let (status, text) = match self {
            Self::Client(_) => (
                EnhancedStatus::new(4, 7, 0),
                format!(
                    "{hostname} Error: too many connections from {}",
                    visitor.address
                ),
            ),
            Self::Everybody => (
                EnhancedStatus::new(4, 3, 2),
                format!("{hostname} Error: too many sessions, try again later"),
            ),
        };
        Reply::new(421, status, text)
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
