//! One connection to another host without its socket: the client machine, and TLS over it.
//!
//! Contract: pure; whoever moves the bytes drains [`Conversation::next`] and tells what came. Up to
//! [`FLUSH`] bytes are gathered to be written together. Every wait ends at
//! [`Conversation::deadline`]. Bytes that came in clear text before a handshake never count behind
//! it.
//! Failures: each becomes an event of the machine, which knows the stage; all name the relay.
//! RFC 3207 (STARTTLS), RFC 8314 (TLS from the first byte).

mod words;

use std::{
    io::{self, Read, Write as _},
    time::{Duration, Instant},
};

use mail::{
    limits,
    outcome::{Blame, Delivery, Failure, Outcome, Stage},
    status::EnhancedStatus,
};
use rustls::{ClientConnection, HandshakeKind, pki_types::ServerName};
use smtp::{
    capability::Capabilities,
    client::{Action, Client, Event, Security, Settings, Transaction},
};

use crate::{
    delivery::Place,
    tls::{self, ClientTls, Standing},
    trust::PeerKey,
};

pub use words::{closed, reason, unreachable};

/// Bytes held back to be written together.
const FLUSH: usize = 64 * 1024;
/// Read at once of what a kept connection has said.
const NEWS: usize = 4096;
/// How long the last bytes may take to go out; nothing depends on them.
const FAREWELL: Duration = Duration::from_secs(1);

/// Whom to believe, and the name that a certificate must show where names count.
#[derive(Clone, Debug)]
pub struct Trusting {
    pub tls: ClientTls,
    pub name: ServerName<'static>,
}

impl Trusting {
    /// For one place of a host; `None` where TLS is never spoken.
    pub fn at(host: &str, place: &Place, tls: Option<&ClientTls>) -> Option<Self> {
        let Place::Tcp(address) = place else {
            return None;
        };
        // Where names count, an unusable one is refused by the verifier.
        let name = ServerName::try_from(host.to_owned())
            .unwrap_or_else(|_| ServerName::from(address.ip().to_canonical()));
        let tls = tls?.clone();
        let name = tls.asks_for.clone().unwrap_or(name);
        Some(Self { tls, name })
    }
}

/// What the driver has to do.
#[derive(Debug)]
pub enum Step {
    /// Write all of it before the deadline; [`Conversation::failed`] if that cannot be.
    Write(Vec<u8>),
    /// Read until the deadline: [`Conversation::received`].
    Read,
    /// Give the next piece of the message: [`Conversation::feed`].
    Content,
    /// Nothing until the next transaction.
    Ended(End),
}

/// Where the conversation has got to.
#[derive(Debug)]
pub enum End {
    /// A transaction can begin.
    Ready,
    Finished(Vec<Outcome>),
    Failed(Failure),
}

/// One connection.
#[derive(Debug)]
pub struct Conversation {
    machine: Client,
    trusting: Option<Trusting>,
    session: Option<Box<ClientConnection>>,
    /// In its handshake a session from before is offered.
    offers: bool,
    /// The handshake broke over that, or over what was not offered: another one may not.
    shakes_again: bool,
    /// Since when a handshake from the first byte is under way.
    wrapped: Option<Instant>,
    patience: Duration,
    outgoing: Vec<u8>,
    piece: Vec<u8>,
    ended: Option<End>,
    ready: bool,
    closed: bool,
    relay: String,
    summary: Option<String>,
    standing: Option<Standing>,
    peer_key: Option<PeerKey>,
}

impl Conversation {
    /// Over a connection that has just been made to `relay` (`host[address]:port`, or a path).
    pub fn begin(
        settings: Settings,
        relay: String,
        trusting: Option<Trusting>,
        now: Instant,
    ) -> Self {
        let wrapped = settings.security == Security::Wrapped;
        let patience = settings.timeouts.opening;
        let mut conversation = Self {
            machine: Client::new(settings),
            trusting,
            session: None,
            offers: false,
            shakes_again: false,
            wrapped: wrapped.then_some(now),
            patience,
            outgoing: Vec::new(),
            piece: Vec::new(),
            ended: None,
            ready: false,
            closed: false,
            relay,
            summary: None,
            standing: None,
            peer_key: None,
        };
        if wrapped {
            conversation.start_tls(now);
        } else {
            conversation.machine.handle(Event::Connected, now);
        }
        conversation
    }

    /// The next thing to do, until it is [`Step::Ended`].
    pub fn next(&mut self, now: Instant) -> Step {
        while self.outgoing.len() < FLUSH {
            match self.machine.next_action() {
                Some(Action::Send(bytes)) => self.send(&bytes),
                Some(Action::StartTls) => self.start_tls(now),
                Some(Action::WantBody) => return Step::Content,
                Some(Action::Ready) => {
                    self.ready = true;
                    self.ended.get_or_insert(End::Ready);
                }
                Some(Action::Finished(outcomes)) => {
                    self.ready = false;
                    let outcomes = outcomes.into_iter().map(|outcome| self.at(outcome));
                    let outcomes = End::Finished(outcomes.collect());
                    self.ended.get_or_insert(outcomes);
                }
                Some(Action::Failed(failure)) => {
                    self.ready = false;
                    let mut failure = failure.at(&self.relay);
                    // It came behind what would have opened the session.
                    if let Some(End::Ready) = self.ended.take_if(|end| matches!(end, End::Ready)) {
                        failure.stage = Stage::Helo;
                    }
                    self.ended.get_or_insert(End::Failed(failure));
                }
                Some(Action::Close) => self.close(),
                None => break,
            }
        }
        if !self.outgoing.is_empty() {
            return Step::Write(std::mem::take(&mut self.outgoing));
        }
        match self.ended.take() {
            Some(end) => Step::Ended(end),
            None if self.closed => Step::Ended(End::Failed(closed().at(&self.relay))),
            None => Step::Read,
        }
    }

    /// When the driver stops waiting and says [`Conversation::failed`] with `TimedOut`.
    pub fn deadline(&self, now: Instant) -> Instant {
        if self.closed {
            return now + FAREWELL;
        }
        let wrapped = self.wrapped.map(|since| since + self.patience);
        let machine = self.machine.deadline();
        wrapped.or(machine).unwrap_or(now + limits::REPLY_TIMEOUT)
    }

    /// Since when what the peer owes is awaited, however it drips; whether the message is all out.
    pub fn awaits(&self) -> (Option<Instant>, bool) {
        (self.machine.waits_since(), self.machine.is_out())
    }

    /// Who has the message by now, while others are not answered yet.
    pub fn delivered(&self) -> impl Iterator<Item = (usize, Outcome)> {
        self.machine.delivered().map(|(at, it)| (at, self.at(it)))
    }

    /// Begins a transaction, or asks whether its recipients would be accepted (`probe`).
    pub fn transact(&mut self, transaction: Transaction, probe: bool, now: Instant) {
        self.ready = false;
        let event = if probe {
            Event::Probe(transaction)
        } else {
            Event::Begin(transaction)
        };
        self.machine.handle(event, now);
    }

    /// The end; what is left to be written is given by [`Conversation::next`].
    pub fn quit(&mut self, now: Instant) {
        self.machine.handle(Event::Quit, now);
    }

    /// Bytes came from the wire; none: the peer has closed.
    pub fn received(&mut self, wire: &[u8], now: Instant) {
        if wire.is_empty() {
            let error = io::ErrorKind::UnexpectedEof.into();
            return self.broken(&error, now);
        }
        if self.session.is_none() {
            return self.machine.handle(Event::Received(wire), now);
        }
        match self.decrypt(wire, now) {
            Ok(Some(plain)) => {
                if !plain.is_empty() {
                    self.machine.handle(Event::Received(&plain), now);
                }
            }
            Ok(None) => self.lost("lost connection", now),
            Err(error) => self.broken(&error, now),
        }
    }

    /// The wire is of no use, or nothing came before the deadline.
    pub fn failed(&mut self, error: &io::Error, now: Instant) {
        self.outgoing.clear();
        self.broken(error, now);
    }

    /// Nobody here waits any longer: what is answered by now stands, and the rest waits with this
    /// reason.
    pub fn interrupted(&mut self, why: Failure, now: Instant) {
        self.outgoing.clear();
        self.machine.handle(Event::Lost(why), now);
    }

    fn broken(&mut self, error: &io::Error, now: Instant) {
        let timed_out = matches!(
            error.kind(),
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
        );
        if self.shakes_hands() {
            self.doubt_resumption(timed_out);
            self.ask_for_the_key(error);
            let (blame, text) = match error.kind() {
                _ if timed_out => (Blame::Network, "conversation timed out".to_owned()),
                io::ErrorKind::InvalidData => (Blame::Policy, tls::explain(error)),
                _ => (Blame::Peer, tls::explain(error)),
            };
            let status = EnhancedStatus::new(4, 7, 5);
            let failure = Failure::new(blame, Stage::Tls, status, &text);
            self.machine.handle(Event::Lost(failure), now);
        } else if timed_out {
            self.machine.handle(Event::TimedOut, now);
        } else {
            self.lost("lost connection", now);
        }
    }

    /// A peer that broke the handshake before it began one in full may do better without a session
    /// from before: it is offered no more. Whoever waited for nothing does not try at once.
    fn doubt_resumption(&mut self, timed_out: bool) {
        let session = self.session.as_ref();
        let in_full = session.is_some_and(|it| it.handshake_kind() == Some(HandshakeKind::Full));
        if self.offers
            && !in_full
            && let Some(Trusting { tls, name }) = &self.trusting
        {
            tls.broke(name);
            self.shakes_again = !timed_out;
        }
    }

    /// A peer that has nothing in common with us may have a key of a kind that cannot be verified
    /// here: in another handshake it is told by that.
    fn ask_for_the_key(&mut self, error: &io::Error) {
        if tls::has_nothing_in_common(error)
            && let Some(Trusting { tls, name }) = &self.trusting
        {
            self.shakes_again |= tls.refuses(name);
        }
    }

    /// Gives the machine the next piece of the message.
    pub fn feed(&mut self, content: &mut dyn Read, room: usize, now: Instant) {
        self.piece.resize(room.clamp(1, limits::PIECE), 0);
        let event = match content.read(&mut self.piece) {
            Ok(0) => Event::BodyEnd,
            Ok(count) => Event::Body(self.piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Event::Body(&[]),
            Err(error) => {
                let text = format!("the message cannot be read: {}", reason(&error));
                Event::BodyFailed(Failure::ours(&text))
            }
        };
        self.machine.handle(event, now);
    }

    /// Whether a transaction can begin on a connection that was kept: not where the peer has closed
    /// or has said something while nothing was asked of it. `news` reads what has come, without
    /// waiting: `None` if nothing has, 0 at the end.
    pub fn is_usable(
        &mut self,
        mut news: impl FnMut(&mut [u8]) -> Option<usize>,
        now: Instant,
    ) -> bool {
        let mut buffer = [0; NEWS];
        while self.ready
            && let Some(count) = news(&mut buffer)
        {
            self.ready = self.is_quiet(buffer.get(..count).unwrap_or_default(), now);
        }
        self.ready
    }

    /// Tickets of TLS say nothing that matters.
    fn is_quiet(&mut self, wire: &[u8], now: Instant) -> bool {
        !wire.is_empty()
            && self.session.is_some()
            && matches!(self.decrypt(wire, now), Ok(Some(plain)) if plain.is_empty())
    }

    /// Whether a transaction can begin.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// As [`Client::accepted`].
    pub fn accepted(&self) -> usize {
        self.machine.accepted()
    }

    /// The peer broke the handshake; another connection makes one that holds, or tells why.
    pub fn shakes_again(&self) -> bool {
        self.shakes_again
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// `host[address]:port`, or the socket's path.
    pub fn relay(&self) -> &str {
        &self.relay
    }

    /// `TLSv1.3 with cipher …`, if TLS.
    pub fn tls_summary(&self) -> Option<&str> {
        self.summary.as_deref()
    }

    /// What is known of the peer, if TLS.
    pub fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// What the peer presented, if TLS.
    pub fn peer_key(&self) -> Option<&PeerKey> {
        self.peer_key.as_ref()
    }

    /// What the peer offers.
    pub fn capabilities(&self) -> &Capabilities {
        self.machine.capabilities()
    }

    fn send(&mut self, bytes: &[u8]) {
        let Some(session) = &mut self.session else {
            self.outgoing.extend_from_slice(bytes);
            return;
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            // rustls takes what its buffer has room for; that room is made below.
            let count = session.writer().write(rest).unwrap_or_default();
            rest = rest.get(count..).unwrap_or_default();
            if records(session, &mut self.outgoing) == 0 && count == 0 {
                return;
            }
        }
    }

    fn start_tls(&mut self, now: Instant) {
        let failure = match &self.trusting {
            None => "TLS is asked for, but nothing says whom to believe".to_owned(),
            Some(Trusting { tls, name }) => match tls.begin(name) {
                Ok((mut session, offers)) => {
                    records(&mut session, &mut self.outgoing);
                    self.session = Some(Box::new(session));
                    self.offers = offers;
                    return;
                }
                Err(error) => error.to_string(),
            },
        };
        let status = EnhancedStatus::new(4, 7, 5);
        let failure = Failure::new(Blame::Local, Stage::Tls, status, &failure);
        self.machine.handle(Event::Lost(failure), now);
    }

    fn shakes_hands(&self) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| session.is_handshaking())
    }

    /// What the bytes mean in clear text; `None`: the peer has ended the session.
    fn decrypt(&mut self, mut wire: &[u8], now: Instant) -> io::Result<Option<Vec<u8>>> {
        let mut plain = Vec::new();
        let began = self.shakes_hands();
        let Some(session) = &mut self.session else {
            return Ok(Some(plain));
        };
        let mut ended = false;
        while !wire.is_empty() {
            session.read_tls(&mut wire)?;
            let processed = session.process_new_packets();
            // An alert that this calls for is sent, so that the peer can log why.
            records(session, &mut self.outgoing);
            let state =
                processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let mut waiting = vec![0; state.plaintext_bytes_to_read()];
            session.reader().read_exact(&mut waiting)?;
            plain.append(&mut waiting);
            if state.peer_has_closed() {
                ended = true;
                break;
            }
        }
        if began && !self.shakes_hands() {
            self.shaken(now);
        }
        Ok((!ended || !plain.is_empty()).then_some(plain))
    }

    fn shaken(&mut self, now: Instant) {
        if let Some(session) = &self.session {
            self.summary = Some(tls::summary(session));
            self.peer_key = tls::peer_key(session);
            let trusting = self.trusting.as_ref();
            self.standing = trusting.map(|trusting| trusting.tls.standing(session));
        }
        let event = match self.wrapped.take() {
            Some(_) => Event::Connected,
            None => Event::TlsStarted,
        };
        self.machine.handle(event, now);
    }

    fn lost(&mut self, what: &str, now: Instant) {
        let status = EnhancedStatus::new(4, 4, 2);
        let failure = Failure::new(Blame::Network, Stage::Connect, status, what);
        self.machine.handle(Event::Lost(failure), now);
    }

    fn close(&mut self) {
        self.ready = false;
        self.closed = true;
        if let Some(session) = &mut self.session {
            session.send_close_notify();
            records(session, &mut self.outgoing);
        }
    }

    fn at(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Delivered(delivery) => Outcome::Delivered(Delivery {
                relay: self.relay.clone(),
                ..delivery
            }),
            Outcome::Deferred(failure) => Outcome::Deferred(failure.at(&self.relay)),
            Outcome::Failed(failure) => Outcome::Failed(failure.at(&self.relay)),
        }
    }
}

/// Takes what TLS has to send.
fn records(session: &mut ClientConnection, outgoing: &mut Vec<u8>) -> usize {
    let before = outgoing.len();
    while session.wants_write() && session.write_tls(outgoing).is_ok() {}
    outgoing.len().saturating_sub(before)
}
