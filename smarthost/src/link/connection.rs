//! The tokio driver of [`shared::smtp::client`]: moves bytes, keeps deadlines, makes handshakes; decides nothing.
//!
//! Contract: what the machine sends between two waits goes out in as few writes as possible, at most [`FLUSH`] bytes are held;
//! every wait ends at the machine's deadline.
//! Failures: each becomes an event of the machine, which knows the stage; a reply that came before the connection broke is still read.

use std::{
    io::Read,
    path::PathBuf,
    time::{Duration, Instant},
};

use rustls::pki_types::ServerName;
use shared::{
    limits,
    outcome::{Blame, Failure, Outcome, Stage},
    smtp::client::{Action, Client, Event, Security, Settings, Transaction},
    status::EnhancedStatus,
    tls::{self, ClientTls},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time,
};
use tokio_rustls::TlsConnector;

use super::{Stream, dial};

#[cfg(test)]
mod tests;

/// Bytes held back to be written together.
const FLUSH: usize = 64 * 1024;
/// Replies are short.
const REPLY_BUFFER: usize = 4096;
/// How long QUIT's answer is waited for.
const QUIT_PATIENCE: Duration = Duration::from_secs(2);

/// Whom to connect to.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// A host; its name is also what its certificate must show, where names count.
    Tcp {
        host: String,
        port: u16,
        tls: Option<ClientTls>,
    },
    /// A unix socket; never TLS.
    Unix(PathBuf),
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    machine: Client,
    /// `None` once closed.
    stream: Option<Stream>,
    relay: String,
    host: String,
    tls: Option<ClientTls>,
    outgoing: Vec<u8>,
    ready: bool,
    summary: Option<String>,
}

/// Where the machine has got to.
enum Progress {
    Ready,
    Finished(Vec<Outcome>),
    Failed(Failure),
    Closed,
}

impl Connection {
    /// Connects, greets, and makes TLS as the settings ask. With [`Security::Opportunistic`] a peer whose handshake fails is tried once more in
    /// clear text.
    pub(crate) async fn open(
        peer: &Peer,
        settings: &Settings,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        match Self::attempt(peer, settings.clone(), timeout).await {
            Err(failure)
                if failure.stage == Stage::Tls && settings.security == Security::Opportunistic =>
            {
                Self::attempt(
                    peer,
                    Settings {
                        security: Security::None,
                        ..settings.clone()
                    },
                    timeout,
                )
                .await
            }
            other => other,
        }
    }

    async fn attempt(peer: &Peer, settings: Settings, timeout: Duration) -> Result<Self, Failure> {
        let (stream, relay, host, tls) = match peer {
            Peer::Tcp { host, port, tls } => {
                let (stream, address) = dial::connect(host, *port, timeout).await?;
                (
                    Stream::Tcp(stream),
                    dial::relay_name(host, address),
                    host.clone(),
                    tls.clone(),
                )
            }
            Peer::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| {
                    let status = EnhancedStatus::new(4, 4, 1);
                    Failure::new(Blame::Local, Stage::Connect, status, &dial::reason(&error))
                        .at(&path.display().to_string())
                })?;
                (
                    Stream::Unix(stream),
                    path.display().to_string(),
                    String::new(),
                    None,
                )
            }
        };
        let wrapped = settings.security == Security::Wrapped;
        let machine = Client::new(settings);
        let mut connection = Self {
            machine,
            stream: Some(stream),
            relay,
            host,
            tls,
            outgoing: Vec::new(),
            ready: false,
            summary: None,
        };
        if wrapped && let Err(failure) = connection.handshake(timeout).await {
            return Err(failure.at(&connection.relay));
        }
        connection.machine.handle(Event::Connected, Instant::now());
        match connection.advance(&mut std::io::empty()).await {
            Progress::Ready => Ok(connection),
            Progress::Failed(failure) => Err(failure.at(&connection.relay)),
            Progress::Finished(_) | Progress::Closed => {
                Err(lost("closed the connection").at(&connection.relay))
            }
        }
    }

    /// Sends one message; one outcome for each recipient, in order.
    pub(crate) async fn send(
        &mut self,
        transaction: Transaction,
        content: &mut (dyn Read + Send),
    ) -> Vec<Outcome> {
        let count = transaction.envelope.recipients.len();
        self.ready = false;
        self.machine
            .handle(Event::Begin(transaction), Instant::now());
        loop {
            let failure = match self.advance(content).await {
                Progress::Finished(outcomes) => {
                    return outcomes
                        .into_iter()
                        .map(|outcome| self.name_relay(outcome))
                        .collect();
                }
                Progress::Ready => continue,
                Progress::Failed(failure) => failure,
                Progress::Closed => lost("lost connection"),
            };
            self.stream = None;
            return vec![failure.at(&self.relay).outcome(); count];
        }
    }

    /// Waits until the next message can follow; false if none can.
    pub(crate) async fn settle(&mut self) -> bool {
        while !self.ready && self.stream.is_some() {
            match self.advance(&mut std::io::empty()).await {
                Progress::Ready => {}
                Progress::Finished(_) | Progress::Failed(_) | Progress::Closed => {
                    self.stream = None;
                }
            }
        }
        self.stream.is_some()
    }

    /// `host[address]:port`, or the socket's path.
    pub(crate) fn relay(&self) -> &str {
        &self.relay
    }

    /// `TLSv1.3 with cipher …`, if TLS.
    pub(crate) fn tls_summary(&self) -> Option<&str> {
        self.summary.as_deref()
    }

    /// Says QUIT and closes; the answer is not waited for long.
    pub(crate) async fn quit(mut self) {
        if self.ready {
            self.machine.handle(Event::Quit, Instant::now());
            let _ = time::timeout(QUIT_PATIENCE, self.advance(&mut std::io::empty())).await;
        }
    }

    /// Does what the machine wants, and feeds it, until it has got somewhere.
    async fn advance(&mut self, content: &mut (dyn Read + Send)) -> Progress {
        loop {
            match self.machine.next_action() {
                Some(Action::Send(bytes)) => {
                    self.outgoing.extend_from_slice(&bytes);
                    if self.outgoing.len() >= FLUSH {
                        self.flush().await;
                    }
                }
                Some(Action::StartTls) => self.start_tls().await,
                Some(Action::WantBody) => self.feed(content),
                Some(Action::Ready) => {
                    self.ready = true;
                    return Progress::Ready;
                }
                Some(Action::Finished(outcomes)) => return Progress::Finished(outcomes),
                Some(Action::Failed(failure)) => return Progress::Failed(failure),
                Some(Action::Close) => {
                    self.flush().await;
                    self.stream = None;
                    return Progress::Closed;
                }
                None if self.stream.is_none() => return Progress::Closed,
                None => {
                    if self.flush().await {
                        self.receive().await;
                    }
                }
            }
        }
    }

    /// Writes what is held; false if the machine has heard of a failure.
    async fn flush(&mut self) -> bool {
        let Some(stream) = self.stream.as_mut().filter(|_| !self.outgoing.is_empty()) else {
            return true;
        };
        let deadline = self
            .machine
            .deadline()
            .unwrap_or_else(|| Instant::now() + limits::PIECE_TIMEOUT);
        let written = time::timeout_at(deadline.into(), async {
            stream.write_all(&self.outgoing).await?;
            stream.flush().await
        })
        .await;
        self.outgoing.clear();
        self.outgoing.shrink_to(FLUSH / 4);
        match written {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => {
                self.last_words().await;
                self.tell_lost(&dial::reason(&error));
            }
            Err(_) => self.machine.handle(Event::TimedOut, Instant::now()),
        }
        false
    }

    /// A peer that refuses in the middle of a message often answers before it closes: that answer counts.
    async fn last_words(&mut self) {
        let Some(stream) = self.stream.as_mut() else {
            return;
        };
        let mut buffer = [0; REPLY_BUFFER];
        if let Ok(Ok(length)) =
            time::timeout(Duration::from_millis(100), stream.read(&mut buffer)).await
        {
            let bytes = buffer.get(..length).unwrap_or_default();
            if !bytes.is_empty() {
                self.machine.handle(Event::Received(bytes), Instant::now());
            }
        }
    }

    async fn receive(&mut self) {
        let Some(stream) = self.stream.as_mut() else {
            return;
        };
        let deadline = self
            .machine
            .deadline()
            .unwrap_or_else(|| Instant::now() + limits::REPLY_TIMEOUT);
        let mut buffer = [0; REPLY_BUFFER];
        match time::timeout_at(deadline.into(), stream.read(&mut buffer)).await {
            Ok(Ok(0)) => self.tell_lost("lost connection"),
            Ok(Ok(length)) => self.machine.handle(
                Event::Received(buffer.get(..length).unwrap_or_default()),
                Instant::now(),
            ),
            Ok(Err(error)) => self.tell_lost(&format!("lost connection: {}", dial::reason(&error))),
            Err(_) => self.machine.handle(Event::TimedOut, Instant::now()),
        }
    }

    /// Gives the machine the next piece of the message.
    fn feed(&mut self, content: &mut (dyn Read + Send)) {
        let mut piece = vec![0; limits::PIECE];
        let event = match read_full(content, &mut piece) {
            Ok(0) => Event::BodyEnd,
            Ok(length) => Event::Body(piece.get(..length).unwrap_or_default()),
            Err(error) => {
                let text = format!("cannot read the queued message: {error}");
                Event::BodyFailed(Failure::new(
                    Blame::Local,
                    Stage::Local,
                    EnhancedStatus::new(4, 3, 0),
                    &text,
                ))
            }
        };
        self.machine.handle(event, Instant::now());
    }

    async fn start_tls(&mut self) {
        if !self.flush().await {
            return;
        }
        let patience = self.machine.deadline().map_or(limits::REPLY_TIMEOUT, |at| {
            at.saturating_duration_since(Instant::now())
        });
        match self.handshake(patience).await {
            Ok(()) => self.machine.handle(Event::TlsStarted, Instant::now()),
            Err(failure) => self.machine.handle(Event::Lost(failure), Instant::now()),
        }
    }

    async fn handshake(&mut self, patience: Duration) -> Result<(), Failure> {
        let refused = |text: &str| {
            Failure::new(
                Blame::Policy,
                Stage::Tls,
                EnhancedStatus::new(4, 7, 5),
                text,
            )
        };
        let tls = self
            .tls
            .as_ref()
            .ok_or_else(|| refused("TLS is not configured for this next hop"))?;
        let stream = self
            .stream
            .take()
            .ok_or_else(|| refused("lost connection"))?;
        let tcp = stream
            .into_tcp()
            .map_err(|error| refused(&error.to_string()))?;
        let name = ServerName::try_from(self.host.clone())
            .or_else(|_| {
                tcp.peer_addr()
                    .map(|address| ServerName::from(address.ip().to_canonical()))
            })
            .map_err(|error| refused(&error.to_string()))?;
        let handshake = TlsConnector::from(tls.config.clone()).connect(name, tcp);
        let stream = match time::timeout(patience, handshake).await {
            Ok(Ok(stream)) => Stream::Tls(Box::new(stream.into())),
            Ok(Err(error)) => return Err(refused(&tls::explain(&error))),
            Err(_) => {
                return Err(Failure::new(
                    Blame::Network,
                    Stage::Tls,
                    EnhancedStatus::new(4, 4, 2),
                    "Connection timed out",
                ));
            }
        };
        self.summary = stream.tls().map(tls::summary);
        self.stream = Some(stream);
        Ok(())
    }

    fn tell_lost(&mut self, what: &str) {
        let failure = lost(what);
        self.machine.handle(Event::Lost(failure), Instant::now());
    }

    fn name_relay(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Delivered(mut delivery) => {
                delivery.relay.clone_from(&self.relay);
                Outcome::Delivered(delivery)
            }
            Outcome::Deferred(failure) => Outcome::Deferred(failure.at(&self.relay)),
            Outcome::Failed(failure) => Outcome::Failed(failure.at(&self.relay)),
        }
    }
}

/// What an I/O error is to the machine, which knows better in which stage it was.
fn lost(what: &str) -> Failure {
    Failure::new(
        Blame::Network,
        Stage::Message,
        EnhancedStatus::new(4, 4, 2),
        what,
    )
}

/// Reads until the buffer is full or the content ends.
fn read_full(content: &mut (dyn Read + Send), buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match content.read(rest) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
