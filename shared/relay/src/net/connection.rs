//! The mover of bytes between a [`Conversation`] and a socket; decides nothing.

use std::{
    io::{self, Read},
    net::SocketAddr,
    path::Path,
    slice,
    time::{Duration, Instant},
};

use super::{
    dial::{connect, relay_name},
    stream::Stream,
};
use crate::{
    conversation::{Conversation, End, Step, Trusting, closed, unreachable},
    delivery::{Place, QUIET, RETRACTIONS, clear_text_goes_on},
    tls::ClientTls,
    trust::PeerKey,
};
use mail::{
    limits,
    outcome::{Blame, Failure, Outcome},
};
use smtp::{
    capability::Capabilities,
    client::{Security, Settings, Transaction, is_retraction},
};
use system::socket;

/// Read at once: a record of TLS.
const READ: usize = 16 * 1024;
/// Least room for a piece of the message.
const SMALL_PIECE: usize = 4096;
/// How often it is looked whether somebody still waits for the answer.
const LOOK: Duration = Duration::from_millis(500);
/// A peer that says nothing for so long, in the middle of a transaction, may take its time.
const STALL: Duration = Duration::from_secs(10);
/// When whoever watches is told, each since the one before.
const PAUSES: [(Duration, Pause); 2] = [
    (QUIET, Pause::Quiet),
    (STALL.saturating_sub(QUIET), Pause::Stalled),
];
/// How long a peer that stopped listening is given to say why.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Where to connect.
pub struct Target<'a> {
    /// What the certificate must show, where names count.
    pub host: &'a str,
    pub place: Place,
    pub tls: Option<&'a ClientTls>,
}

impl<'a> Target<'a> {
    /// A program of this machine.
    pub fn unix(path: &Path) -> Self {
        Self {
            host: "",
            place: Place::Unix(path.to_owned()),
            tls: None,
        }
    }

    /// One address of a host.
    pub fn tcp(host: &'a str, address: SocketAddr, tls: Option<&'a ClientTls>) -> Self {
        Self {
            host,
            place: Place::Tcp(address),
            tls,
        }
    }
}

/// How long a peer has said nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pause {
    /// [`QUIET`].
    Quiet,
    /// [`STALL`].
    Stalled,
}

/// Who is told, once a transaction each, that the peer says nothing while it owes an answer.
type Silent<'a> = Option<&'a dyn Fn(&Connection, Pause)>;

/// What is looked at while an answer is awaited.
#[derive(Clone, Copy, Default)]
pub(super) struct Watch<'a> {
    pub(super) silent: Silent<'a>,
    /// Whether nobody here waits any longer, and why.
    pub(super) halted: Option<&'a dyn Fn() -> Option<Failure>>,
}

/// An open connection that is ready for transactions.
pub struct Connection {
    conversation: Conversation,
    /// `None` once closed.
    stream: Option<Stream>,
}

impl Connection {
    /// Connects, greets, and makes TLS as the settings ask.
    pub fn open(
        target: &Target<'_>,
        settings: &Settings,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let mut connection = Self::connect(target, settings, timeout)?;
        let mut end = connection.turn(&mut io::empty(), 0, Watch::default());
        if connection.conversation.shakes_again() {
            connection = Self::connect(target, settings, timeout)?;
            end = connection.turn(&mut io::empty(), 0, Watch::default());
        }
        match end {
            End::Ready => Ok(connection),
            End::Failed(failure) => Err(failure),
            // No transaction has begun.
            End::Finished(_) => Err(closed().at(connection.relay())),
        }
    }

    /// What the peer presents in its handshake, and the session; the connection ends with it,
    /// whatever is spoken behind it.
    pub(super) fn shown(
        target: &Target<'_>,
        settings: &Settings,
        timeout: Duration,
    ) -> Result<Option<(PeerKey, String)>, Failure> {
        let mut connection = Self::connect(target, settings, timeout)?;
        loop {
            if connection.conversation.shakes_again() {
                connection = Self::connect(target, settings, timeout)?;
            }
            if let (Some(key), Some(session)) = (connection.peer_key(), connection.tls_summary()) {
                return Ok(Some((key.clone(), session.to_owned())));
            }
            match connection.step(&mut io::empty(), 0, Watch::default(), &mut [].iter()) {
                Some(End::Failed(_)) if connection.conversation.shakes_again() => {}
                Some(End::Failed(failure)) => return Err(failure),
                Some(End::Ready | End::Finished(_)) => return Ok(None),
                None => {}
            }
        }
    }

    fn connect(
        target: &Target<'_>,
        settings: &Settings,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let (stream, relay) = match &target.place {
            Place::Unix(path) => {
                let relay = path.display().to_string();
                let stream = socket::connect(path, timeout)
                    .map_err(|error| unreachable(&relay, Blame::Local, &error))?;
                (Stream::from(stream), relay)
            }
            Place::Tcp(address) => {
                let relay = relay_name(target.host, *address);
                let stream = connect(*address, timeout)
                    .map_err(|error| unreachable(&relay, Blame::Network, &error))?;
                (Stream::from(stream), relay)
            }
        };
        let trusting = Trusting::at(target.host, &target.place, target.tls);
        let settings = settings.clone();
        Ok(Self {
            conversation: Conversation::begin(settings, relay, trusting, Instant::now()),
            stream: Some(stream),
        })
    }

    /// The same; where the handshake fails and anybody would be believed, once more in clear text
    /// (RFC 7435), and then with why.
    pub fn open_or_clear(
        target: &Target<'_>,
        settings: &Settings,
        timeout: Duration,
    ) -> Result<(Self, Option<Failure>), Failure> {
        let as_good = target.tls.is_none_or(|tls| tls.clear_text_is_as_good);
        match Self::open(target, settings, timeout) {
            Err(failure) if clear_text_goes_on(&failure, settings.security, as_good) => {
                let clear = Settings {
                    security: Security::None,
                    ..settings.clone()
                };
                Self::open(target, &clear, timeout).map(|connection| (connection, Some(failure)))
            }
            opened => opened.map(|connection| (connection, None)),
        }
    }

    /// Whether TLS was wanted and offered, and is not in use.
    pub fn has_refused_tls(&self, wanted: Security) -> bool {
        wanted != Security::None && self.tls_summary().is_none() && self.capabilities().starttls
    }

    /// Sends one message; one outcome for each recipient, in order. After a failure of the
    /// connection [`Connection::is_ready`] is false.
    pub fn send(&mut self, transaction: Transaction, content: &mut dyn Read) -> Vec<Outcome> {
        self.send_watched(transaction, content, Watch::default())
    }

    /// The same, while it is watched.
    pub(super) fn send_watched(
        &mut self,
        transaction: Transaction,
        content: &mut dyn Read,
        watch: Watch<'_>,
    ) -> Vec<Outcome> {
        let recipients = transaction.recipients.len();
        // A small message is read in one piece, without room for a large one.
        let room = usize::try_from(transaction.mail.size.unwrap_or_default())
            .unwrap_or(limits::PIECE)
            .clamp(SMALL_PIECE, limits::PIECE);
        self.conversation
            .transact(transaction, false, Instant::now());
        self.outcomes(content, recipients, room, watch)
    }

    /// Asks whether the recipients would be accepted, without a message: for those, `Delivered`
    /// holds the peer's words. What the peer refuses of parameters is left out then, as in a
    /// delivery.
    pub fn probe(&mut self, transaction: &Transaction) -> Vec<Outcome> {
        let recipients = transaction.recipients.len();
        let mut again = RETRACTIONS;
        loop {
            let asked = transaction.clone();
            self.conversation.transact(asked, true, Instant::now());
            let outcomes = self.outcomes(&mut io::empty(), recipients, 0, Watch::default());
            let retracts = |outcome: &Outcome| matches!(outcome, Outcome::Deferred(failure) if is_retraction(failure));
            if again == 0 || !self.is_ready() || !outcomes.iter().any(retracts) {
                return outcomes;
            }
            again = again.saturating_sub(1);
        }
    }

    fn outcomes(
        &mut self,
        content: &mut dyn Read,
        recipients: usize,
        room: usize,
        watch: Watch<'_>,
    ) -> Vec<Outcome> {
        let failure = match self.turn(content, room, watch) {
            End::Finished(outcomes) => return outcomes,
            End::Ready => closed().at(self.relay()),
            End::Failed(failure) => failure,
        };
        vec![Outcome::Deferred(failure); recipients]
    }

    /// Whether another message can follow at once.
    pub fn is_ready(&self) -> bool {
        self.conversation.is_ready()
    }

    /// As [`smtp::client::Client::accepted`].
    pub fn accepted(&self) -> usize {
        self.conversation.accepted()
    }

    /// The same of a connection that was kept: not where the peer has closed or has said something
    /// meanwhile.
    pub fn is_usable(&mut self) -> bool {
        let stream = self.stream.as_ref();
        self.conversation
            .is_usable(|buffer| stream?.news(buffer), Instant::now())
    }

    /// `host[address]:port`, or the socket's path.
    pub fn relay(&self) -> &str {
        self.conversation.relay()
    }

    /// `TLSv1.3 with cipher …`, if TLS.
    pub fn tls_summary(&self) -> Option<&str> {
        self.conversation.tls_summary()
    }

    /// What the peer presented, if TLS.
    pub fn peer_key(&self) -> Option<&PeerKey> {
        self.conversation.peer_key()
    }

    /// What the peer offers.
    pub fn capabilities(&self) -> &Capabilities {
        self.conversation.capabilities()
    }

    /// QUIT, without waiting for the answer.
    pub fn quit(mut self) {
        self.conversation.quit(Instant::now());
        self.turn(&mut io::empty(), 0, Watch::default());
    }

    /// Lets the conversation run until a transaction can begin, has ended, or the connection is
    /// closed. The message is read in pieces of `room` bytes.
    fn turn(&mut self, content: &mut dyn Read, room: usize, watch: Watch<'_>) -> End {
        let mut pauses = PAUSES.iter();
        loop {
            if let Some(end) = self.step(content, room, watch, &mut pauses) {
                return end;
            }
        }
    }

    fn step(
        &mut self,
        content: &mut dyn Read,
        room: usize,
        watch: Watch<'_>,
        pauses: &mut slice::Iter<'_, (Duration, Pause)>,
    ) -> Option<End> {
        let now = Instant::now();
        match self.conversation.next(now) {
            Step::Ended(end) => {
                if self.conversation.is_closed() {
                    self.stream = None;
                }
                return Some(end);
            }
            Step::Content => self.conversation.feed(content, room, now),
            Step::Write(bytes) => self.write(&bytes, now),
            Step::Read => self.await_answer(now, watch, pauses),
        }
        None
    }

    fn write(&mut self, bytes: &[u8], now: Instant) {
        let deadline = self.conversation.deadline(now);
        let Some(stream) = &mut self.stream else {
            return;
        };
        if let Err(error) = stream.write_all(bytes, deadline) {
            // What the peer said before it closed is a better reason than that it closed.
            let mut buffer = [0; READ];
            let until = Instant::now() + LAST_WORDS;
            if let Ok(count @ 1..) = stream.read(&mut buffer, until) {
                let wire = buffer.get(..count).unwrap_or_default();
                self.conversation.received(wire, Instant::now());
            }
            self.conversation.failed(&error, Instant::now());
        }
    }

    /// Until something has come, or nobody waits for it any more.
    fn await_answer(
        &mut self,
        mut since: Instant,
        watch: Watch<'_>,
        pauses: &mut slice::Iter<'_, (Duration, Pause)>,
    ) {
        let deadline = self.conversation.deadline(since);
        loop {
            let now = Instant::now();
            if let Some(why) = watch.halted.and_then(|halted| halted()) {
                return self.conversation.interrupted(why, now);
            }
            let next = watch.silent.zip(pauses.as_slice().first());
            let next = next.map(|(tell, (wait, pause))| (tell, since + *wait, *pause));
            let next = next.filter(|(_, at, _)| *at < deadline);
            let mut until = next.map_or(deadline, |(_, at, _)| at);
            if watch.halted.is_some() {
                until = until.min(now + LOOK);
            }
            if self.read_before(until) {
                return;
            }
            if until >= deadline {
                let late = io::Error::from(io::ErrorKind::TimedOut);
                return self.conversation.failed(&late, Instant::now());
            }
            if let Some((tell, at, pause)) = next
                && until >= at
            {
                pauses.next();
                since = at;
                tell(self, pause);
            }
        }
    }

    /// Whether something came of it by then.
    fn read_before(&mut self, deadline: Instant) -> bool {
        let mut buffer = [0; READ];
        let read = match &mut self.stream {
            Some(stream) => stream.read(&mut buffer, deadline),
            None => Ok(0),
        };
        let now = Instant::now();
        match read {
            Ok(count) => {
                let wire = buffer.get(..count).unwrap_or_default();
                self.conversation.received(wire, now);
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return false,
            Err(error) => self.conversation.failed(&error, now),
        }
        true
    }
}
