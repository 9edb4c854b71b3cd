//! The driver of the client machine: moves bytes, makes handshakes, decides nothing.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use rustls::pki_types::ServerName;

use super::{
    dial::{addresses, connect, reason, relay_name},
    stream::Stream,
};
use crate::{
    tls::{self, ClientTls},
    trust::PeerKey,
};
use mail::{
    limits,
    nexthop::Nexthop,
    outcome::{Blame, Failure, Outcome, Stage},
    status::EnhancedStatus,
};
use smtp::{
    capability::Capabilities,
    client::{Action, Client, Event, Security, Settings, Transaction},
};
use system::socket;

/// Most replies fit into one read.
const REPLIES: usize = 4096;
/// Least room for a piece of the message.
const SMALL_PIECE: usize = 4096;

/// A message to be sent: gives pieces until `Ok(0)`.
pub trait Content {
    /// Fills `buffer` with the next bytes.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}
impl<R: io::Read> Content for R {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(self, buffer)
    }
}

/// Where to connect.
pub enum Target<'a> {
    /// Host (all its addresses are tried, IPv6 and IPv4 in the resolver's order) and port. MX records are not asked.
    Tcp {
        nexthop: &'a Nexthop,
        default_port: u16,
        tls: Option<&'a ClientTls>,
    },
    /// One address of a host; the certificate must show the host's name, where names count.
    Address {
        nexthop: &'a Nexthop,
        address: SocketAddr,
        tls: Option<&'a ClientTls>,
    },
    /// A unix socket; never TLS.
    Unix(&'a Path),
}

/// An open connection that is ready for transactions.
pub struct Connection {
    machine: Client,
    /// `None` once closed.
    stream: Option<Stream>,
    tls: Option<(ClientTls, ServerName<'static>)>,
    ready: bool,
    relay: String,
    summary: Option<String>,
    peer_key: Option<PeerKey>,
}

/// What a turn of the machine ended with.
enum Turn {
    Ready,
    Finished(Vec<Outcome>),
    Failed(Failure),
}

impl Connection {
    /// Connects, greets, and makes TLS as the settings ask. The failure of the address that came furthest is reported.
    pub fn open(
        target: &Target<'_>,
        settings: &Settings,
        connect_timeout: Duration,
    ) -> Result<Self, Failure> {
        match target {
            Target::Unix(path) => Self::open_unix(path, settings, connect_timeout),
            Target::Address {
                nexthop,
                address,
                tls,
            } => Self::open_address(nexthop, *address, *tls, settings, connect_timeout),
            Target::Tcp {
                nexthop,
                default_port,
                tls,
            } => {
                let addresses = addresses(&nexthop.host, nexthop.port.unwrap_or(*default_port))?;
                Self::open_any(&addresses, nexthop, *tls, settings, connect_timeout)
            }
        }
    }

    pub(super) fn open_any(
        addresses: &[SocketAddr],
        nexthop: &Nexthop,
        tls: Option<&ClientTls>,
        settings: &Settings,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let mut worst: Option<Failure> = None;
        for address in addresses {
            match Self::open_address(nexthop, *address, tls, settings, timeout) {
                Ok(connection) => return Ok(connection),
                Err(failure)
                    if worst
                        .as_ref()
                        .is_none_or(|worst| worst.stage == Stage::Connect) =>
                {
                    worst = Some(failure);
                }
                Err(_) => {}
            }
        }
        Err(worst.unwrap_or_else(|| {
            Failure::new(
                Blame::Network,
                Stage::Lookup,
                EnhancedStatus::new(4, 4, 3),
                "the name has no address",
            )
        }))
    }

    /// One address; a peer whose handshake fails is tried once more in clear text, if TLS is opportunistic.
    fn open_address(
        nexthop: &Nexthop,
        address: SocketAddr,
        tls: Option<&ClientTls>,
        settings: &Settings,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let attempt = |settings: &Settings| {
            let relay = relay_name(nexthop, address);
            let stream = connect(address, timeout)
                .map_err(|error| unreachable(&relay, Blame::Network, &error))?;
            // Where names count, an unusable one is refused by the verifier.
            let name = ServerName::try_from(nexthop.host.clone())
                .unwrap_or_else(|_| ServerName::from(address.ip()));
            Self::greet(
                Stream::from(stream),
                relay,
                tls.map(|tls| (tls.clone(), name)),
                settings,
            )
        };
        match attempt(settings) {
            Err(failure)
                if failure.stage == Stage::Tls
                    && settings.security == Security::Opportunistic
                    && tls.is_none_or(|tls| tls.clear_text_is_as_good) =>
            {
                attempt(&Settings {
                    security: Security::None,
                    ..settings.clone()
                })
            }
            result => result,
        }
    }

    fn open_unix(path: &Path, settings: &Settings, timeout: Duration) -> Result<Self, Failure> {
        let relay = path.display().to_string();
        let stream = socket::connect(path, timeout)
            .map_err(|error| unreachable(&relay, Blame::Local, &error))?;
        Self::greet(Stream::from(stream), relay, None, settings)
    }

    fn greet(
        stream: Stream,
        relay: String,
        tls: Option<(ClientTls, ServerName<'static>)>,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let mut connection = Self {
            machine: Client::new(settings.clone()),
            stream: Some(stream),
            tls,
            ready: false,
            relay,
            summary: None,
            peer_key: None,
        };
        if settings.security == Security::Wrapped {
            let deadline = Instant::now() + settings.timeouts.reply;
            connection
                .handshake(deadline)
                .map_err(|failure| failure.at(&connection.relay))?;
        }
        connection.machine.handle(Event::Connected, Instant::now());
        match connection.turn(&mut io::empty(), 0) {
            Turn::Ready => Ok(connection),
            Turn::Failed(failure) => Err(failure.at(&connection.relay)),
            // No transaction has begun.
            Turn::Finished(_) => Err(closed().at(&connection.relay)),
        }
    }

    /// Sends one message; one outcome for each recipient, in order. After a failure of the connection [`Connection::is_usable`] is false.
    pub fn send(&mut self, transaction: Transaction, content: &mut dyn Content) -> Vec<Outcome> {
        let recipients = transaction.recipients.len();
        // A small message is read in one piece, without room for a large one.
        let room = usize::try_from(transaction.mail.size.unwrap_or_default())
            .unwrap_or(limits::PIECE)
            .clamp(SMALL_PIECE, limits::PIECE);
        self.conversation(Event::Begin(transaction), content, recipients, room)
    }

    /// Asks whether the recipients would be accepted, without a message: for those, `Delivered` holds the peer's words.
    pub fn probe(&mut self, transaction: Transaction) -> Vec<Outcome> {
        let recipients = transaction.recipients.len();
        self.conversation(Event::Probe(transaction), &mut io::empty(), recipients, 0)
    }

    fn conversation(
        &mut self,
        beginning: Event<'_>,
        content: &mut dyn Content,
        recipients: usize,
        room: usize,
    ) -> Vec<Outcome> {
        self.machine.handle(beginning, Instant::now());
        let outcomes = match self.turn(content, room) {
            Turn::Finished(outcomes) => outcomes,
            Turn::Ready => vec![Outcome::Deferred(closed()); recipients],
            Turn::Failed(failure) => vec![Outcome::Deferred(failure); recipients],
        };
        outcomes
            .into_iter()
            .map(|outcome| at(outcome, &self.relay))
            .collect()
    }

    /// Whether another message can follow; not on a kept connection that the peer has closed or has said 421 on meanwhile.
    pub fn is_usable(&self) -> bool {
        self.ready
            && self
                .stream
                .as_ref()
                .is_some_and(|stream| !stream.has_news())
    }

    /// `host[address]:port`, or the socket's path.
    pub fn relay(&self) -> &str {
        &self.relay
    }

    /// `TLSv1.3 with cipher …`, if TLS.
    pub fn tls_summary(&self) -> Option<&str> {
        self.summary.as_deref()
    }

    /// What the peer presented, if TLS.
    pub fn peer_key(&self) -> Option<&PeerKey> {
        self.peer_key.as_ref()
    }

    /// What the peer offers.
    pub fn capabilities(&self) -> &Capabilities {
        self.machine.capabilities()
    }

    /// QUIT, without waiting for the answer.
    pub fn quit(mut self) {
        self.machine.handle(Event::Quit, Instant::now());
        self.turn(&mut io::empty(), 0);
    }

    /// Lets the machine run until a transaction can begin, has ended, or the connection is closed.
    ///
    /// The message is read in pieces of `room` bytes.
    fn turn(&mut self, content: &mut dyn Content, room: usize) -> Turn {
        let mut ended = None;
        let mut piece = Vec::new();
        loop {
            while let Some(action) = self.machine.next_action() {
                match action {
                    Action::Send(bytes) => self.write(&bytes),
                    Action::StartTls => self.start_tls(),
                    Action::WantBody => {
                        piece.resize(room, 0);
                        self.read_content(content, &mut piece);
                    }
                    Action::Ready => {
                        self.ready = true;
                        ended.get_or_insert(Turn::Ready);
                    }
                    Action::Finished(outcomes) => {
                        self.ready = false;
                        ended.get_or_insert(Turn::Finished(outcomes));
                    }
                    Action::Failed(failure) => {
                        self.ready = false;
                        ended.get_or_insert(Turn::Failed(failure));
                    }
                    Action::Close => self.close(),
                }
            }
            match ended {
                Some(ended) => return ended,
                None if self.stream.is_none() => return Turn::Failed(closed()),
                None => self.read(),
            }
        }
    }

    fn deadline(&self) -> Instant {
        self.machine
            .deadline()
            .unwrap_or_else(|| Instant::now() + limits::REPLY_TIMEOUT)
    }

    fn write(&mut self, bytes: &[u8]) {
        let deadline = self.deadline();
        let Some(stream) = &mut self.stream else {
            return;
        };
        if let Err(error) = stream.write_all(bytes, deadline) {
            // What the peer said before it closed is a better reason than that it closed.
            self.read_last_words();
            self.lost(&error);
        }
    }

    fn read(&mut self) {
        let deadline = self.deadline();
        let Some(stream) = &mut self.stream else {
            return;
        };
        let mut buffer = [0; REPLIES];
        match stream.read(&mut buffer, deadline) {
            Ok(count) => self.machine.handle(
                Event::Received(buffer.get(..count).unwrap_or_default()),
                Instant::now(),
            ),
            Err(error) => self.lost(&error),
        }
    }

    fn read_last_words(&mut self) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        let mut buffer = [0; REPLIES];
        if let Ok(count) = stream.read(&mut buffer, Instant::now() + Duration::from_millis(100)) {
            self.machine.handle(
                Event::Received(buffer.get(..count).unwrap_or_default()),
                Instant::now(),
            );
        }
    }

    fn lost(&mut self, error: &io::Error) {
        let event = match error.kind() {
            io::ErrorKind::TimedOut => Event::TimedOut,
            _ => Event::Lost(Failure::new(
                Blame::Network,
                Stage::Connect,
                EnhancedStatus::new(4, 4, 2),
                "lost connection",
            )),
        };
        self.machine.handle(event, Instant::now());
    }

    fn start_tls(&mut self) {
        let event = match self.handshake(self.deadline()) {
            Ok(()) => Event::TlsStarted,
            Err(failure) => Event::Lost(failure),
        };
        self.machine.handle(event, Instant::now());
    }

    fn handshake(&mut self, deadline: Instant) -> Result<(), Failure> {
        let failed =
            |blame, text: &str| Failure::new(blame, Stage::Tls, EnhancedStatus::new(4, 7, 5), text);
        let (Some((tls, name)), Some(stream)) = (&self.tls, &mut self.stream) else {
            return Err(failed(
                Blame::Local,
                "TLS is asked for, but nothing says whom to believe",
            ));
        };
        stream
            .start_tls(tls, name.clone(), deadline)
            .map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => failed(Blame::Network, "conversation timed out"),
                io::ErrorKind::InvalidData => failed(Blame::Policy, &tls::explain(&error)),
                _ => failed(Blame::Peer, &tls::explain(&error)),
            })?;
        if let Some(session) = stream.tls() {
            self.summary = Some(tls::summary(session));
            self.peer_key = tls::peer_key(session);
        }
        Ok(())
    }

    fn read_content(&mut self, content: &mut dyn Content, piece: &mut [u8]) {
        let event = match content.read(piece) {
            Ok(0) => Event::BodyEnd,
            Ok(count) => Event::Body(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Event::Body(&[]),
            Err(error) => {
                let text = format!("the message cannot be read: {}", reason(&error));
                Event::BodyFailed(Failure::local(EnhancedStatus::new(4, 3, 0), &text))
            }
        };
        self.machine.handle(event, Instant::now());
    }

    fn close(&mut self) {
        self.ready = false;
        if let Some(stream) = self.stream.take() {
            stream.close();
        }
    }
}

fn unreachable(relay: &str, blame: Blame, error: &io::Error) -> Failure {
    Failure::new(
        blame,
        Stage::Connect,
        EnhancedStatus::new(4, 4, 1),
        &reason(error),
    )
    .at(relay)
}

fn closed() -> Failure {
    Failure::new(
        Blame::Local,
        Stage::Connect,
        EnhancedStatus::new(4, 4, 2),
        "the connection is closed already",
    )
}

fn at(outcome: Outcome, relay: &str) -> Outcome {
    match outcome {
        Outcome::Delivered(delivery) => Outcome::Delivered(mail::outcome::Delivery {
            relay: relay.to_owned(),
            ..delivery
        }),
        Outcome::Deferred(failure) => Outcome::Deferred(failure.at(relay)),
        Outcome::Failed(failure) => Outcome::Failed(failure.at(relay)),
    }
}
