//! Policy servers: connections that are kept, and one question at a time on each.
//!
//! Contract: a question takes [`PATIENCE`] at most, with a second try on a fresh connection where
//! the first was closed without an answer. A server that hangs holds up nobody else.
//! Failures: no answer; the log says which server, why, and what to do, once a minute.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use control::status::Service;
use system::log::{Level, line};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
    time,
};

use super::standings::Standings;
use crate::{
    link::local,
    policy::{endpoint::Endpoint, service},
};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// An idle connection is not used after this (Postfix `smtpd_policy_service_max_idle`), nor an old
/// one.
const IDLE: Duration = Duration::from_mins(5);
const LIFE: Duration = Duration::from_secs(1000);
/// Connections to one server.
const CONNECTIONS: usize = 100;
/// The same trouble is told once in this time.
const TELL: Duration = Duration::from_mins(1);

/// Both kinds of sockets.
trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

struct Connection {
    socket: Box<dyn Socket>,
    opened: Instant,
    used: Instant,
}

/// A server.
#[derive(Default)]
struct Server {
    idle: Vec<Connection>,
    told: Option<Instant>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Services {
    servers: Mutex<HashMap<Endpoint, (Server, Arc<Semaphore>)>>,
    standings: Standings,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Services")
    }
}

impl Services {
    /// How one does.
    pub(super) fn standing(&self, endpoint: &Endpoint) -> Service {
        self.standings.of("policy server", endpoint)
    }

    /// The action that a server answers with.
    pub(super) async fn ask(&self, endpoint: &Endpoint, request: &str) -> Option<String> {
        let asked = time::timeout(PATIENCE, self.try_twice(endpoint, request)).await;
        let why = match asked {
            Ok(Ok(action)) => {
                self.standings.answers(endpoint);
                return Some(action);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer in {} seconds", PATIENCE.as_secs()),
        };
        let now = Instant::now();
        self.standings.fails(endpoint, &why);
        let tell = self.with(endpoint, |server| {
            let due = server
                .told
                .is_none_or(|told| now.duration_since(told) >= TELL);
            if due {
                server.told = Some(now);
            }
            due
        });
        if tell {
            let text = "mail is deferred (451) meanwhile: is it running, and does it listen \
                 there? Otherwise remove check_policy_service";
            line(
                Level::Warning,
                &format_args!("policy server {endpoint}: {why}; {text}"),
            );
        }
        None
    }

    async fn try_twice(&self, endpoint: &Endpoint, request: &str) -> io::Result<String> {
        let places = self.places(endpoint);
        let _place = places.acquire().await.map_err(io::Error::other)?;
        if let Some(kept) = self.take(endpoint)
            && let Ok(action) = self.exchange(endpoint, kept, request).await
        {
            return Ok(action);
        }
        let opened = open(endpoint).await?;
        match self.exchange(endpoint, opened, request).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let again = open(endpoint).await?;
                self.exchange(endpoint, again, request).await
            }
            done => done,
        }
    }

    async fn exchange(
        &self,
        endpoint: &Endpoint,
        mut connection: Connection,
        request: &str,
    ) -> io::Result<String> {
        let sent = connection.socket.write_all(request.as_bytes()).await;
        sent.map_err(hung_up)?;
        connection.socket.flush().await.map_err(hung_up)?;
        let mut received = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let count = connection.socket.read(&mut buffer).await.map_err(hung_up)?;
            if count == 0 {
                return Err(hung_up(io::ErrorKind::UnexpectedEof.into()));
            }
            received.extend_from_slice(buffer.get(..count).unwrap_or_default());
            if let Some(action) = service::answer(&received).map_err(io::Error::other)? {
                connection.used = Instant::now();
                self.with(endpoint, |server| server.idle.push(connection));
                return Ok(action);
            }
        }
    }

    /// The connection that was used last, if one is still good.
    fn take(&self, endpoint: &Endpoint) -> Option<Connection> {
        let now = Instant::now();
        self.with(endpoint, |server| {
            server.idle.retain(|one| {
                now.duration_since(one.used) < IDLE && now.duration_since(one.opened) < LIFE
            });
            server.idle.pop()
        })
    }

    fn places(&self, endpoint: &Endpoint) -> Arc<Semaphore> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, places) = entry(&mut servers, endpoint);
        Arc::clone(places)
    }

    fn with<T>(&self, endpoint: &Endpoint, act: impl FnOnce(&mut Server) -> T) -> T {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut entry(&mut servers, endpoint).0)
    }
}

/// However it looks from here, the server closed.
fn hung_up(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => {
            let text = "it closed the connection without an answer";
            io::Error::new(io::ErrorKind::UnexpectedEof, text)
        }
        _ => error,
    }
}

type Known = HashMap<Endpoint, (Server, Arc<Semaphore>)>;

fn entry<'a>(servers: &'a mut Known, endpoint: &Endpoint) -> &'a mut (Server, Arc<Semaphore>) {
    servers
        .entry(endpoint.clone())
        .or_insert_with(|| (Server::default(), Arc::new(Semaphore::new(CONNECTIONS))))
}

async fn open(endpoint: &Endpoint) -> io::Result<Connection> {
    let socket: Box<dyn Socket> = match endpoint {
        Endpoint::Inet(place) => Box::new(TcpStream::connect(place).await?),
        Endpoint::Unix(path) => Box::new(local::connect(path).await?),
    };
    let now = Instant::now();
    Ok(Connection {
        socket,
        opened: now,
        used: now,
    })
}
