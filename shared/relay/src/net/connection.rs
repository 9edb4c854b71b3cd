//! The mover of bytes between a [`Conversation`] and a socket; decides nothing.

use std::{
    io::{self, Read},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    dial::{connect, relay_name},
    silence::{Others, Silence, Told},
    stream::Stream,
};
use crate::{
    conversation::{Conversation, End, Step, Trusting, closed, unreachable},
    delivery::{Place, RETRACTIONS, clear_text_goes_on, cut},
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
/// How long a peer is given to close what is closed here.
const CLOSING: Duration = Duration::from_secs(2);
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

/// What is looked at while an answer is awaited.
#[derive(Clone, Copy, Default)]
pub(super) struct Watch<'a> {
    /// Who hears that the peer says nothing while it owes an answer.
    pub(super) told: Option<&'a dyn Fn(Told)>,
    /// Who may wait for the connection then.
    pub(super) others: Option<&'a dyn Others>,
    /// Whether nobody here waits any longer, and why.
    pub(super) halted: Option<&'a dyn Fn() -> Option<Failure>>,
}

impl Watch<'_> {
    fn tell(&self, told: Told) {
        if let Some(tell) = self.told {
            tell(told);
        }
    }

    /// Whether it is looked at while something is awaited.
    fn looks(&self) -> bool {
        self.others.is_some() || self.halted.is_some()
    }
}

/// An open connection that is ready for transactions.
pub struct Connection {
    conversation: Conversation,
    /// `None` once closed.
    stream: Option<Stream>,
    /// It was given up for others.
    cut: bool,
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
        connection.opened(end)
    }

    /// Greets over a connection to a program of this machine that is made already.
    pub fn over(stream: UnixStream, path: &Path, settings: &Settings) -> Result<Self, Failure> {
        let relay = path.display().to_string();
        let mut connection = Self::begin(stream.into(), relay, None, settings);
        let end = connection.turn(&mut io::empty(), 0, Watch::default());
        connection.opened(end)
    }

    fn opened(self, end: End) -> Result<Self, Failure> {
        match end {
            End::Ready => Ok(self),
            End::Failed(failure) => Err(failure),
            // No transaction has begun.
            End::Finished(_) => Err(closed().at(self.relay())),
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
            let (watch, silence) = (Watch::default(), &mut Silence::default());
            match connection.step(&mut io::empty(), 0, watch, silence) {
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
        Ok(Self::begin(stream, relay, trusting, settings))
    }

    fn begin(
        stream: Stream,
        relay: String,
        trusting: Option<Trusting>,
        settings: &Settings,
    ) -> Self {
        let settings = settings.clone();
        Self {
            conversation: Conversation::begin(settings, relay, trusting, Instant::now()),
            stream: Some(stream),
            cut: false,
        }
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

    /// Whether it was given up while its peer was silent, for others wait.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
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
    pub fn quit(self) {
        self.quit_for(None);
    }

    /// QUIT; where others may open one, until the peer has closed, too.
    pub(super) fn quit_for(mut self, others: Option<&dyn Others>) {
        self.conversation.quit(Instant::now());
        let watch = Watch {
            others,
            ..Watch::default()
        };
        self.turn(&mut io::empty(), 0, watch);
    }

    /// Lets the conversation run until a transaction can begin, has ended, or the connection is
    /// closed. The message is read in pieces of `room` bytes.
    fn turn(&mut self, content: &mut dyn Read, room: usize, watch: Watch<'_>) -> End {
        let mut silence = Silence::default();
        loop {
            if let Some(end) = self.step(content, room, watch, &mut silence) {
                if silence.ends(None) {
                    watch.tell(Told::Speaks);
                }
                return end;
            }
        }
    }

    fn step(
        &mut self,
        content: &mut dyn Read,
        room: usize,
        watch: Watch<'_>,
        silence: &mut Silence,
    ) -> Option<End> {
        let now = Instant::now();
        match self.conversation.next(now) {
            Step::Ended(end) => {
                if self.conversation.is_closed() {
                    self.close(watch);
                }
                return Some(end);
            }
            Step::Content => self.conversation.feed(content, room, now),
            Step::Write(bytes) => self.write(&bytes, now, watch, silence),
            Step::Read => self.await_answer(now, watch, silence),
        }
        None
    }

    fn write(&mut self, mut bytes: &[u8], now: Instant, watch: Watch<'_>, silence: &mut Silence) {
        let deadline = self.conversation.deadline(now);
        while !bytes.is_empty() {
            let Some(until) = self.look(now, deadline, watch, silence) else {
                return;
            };
            let Some(stream) = &mut self.stream else {
                return;
            };
            match stream.write(bytes, until) {
                Ok(count @ 1..) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if is_late(&error) && until < deadline => {}
                written => {
                    let closed = io::Error::from(io::ErrorKind::WriteZero);
                    return self.unwritten(&written.err().unwrap_or(closed));
                }
            }
        }
    }

    /// What the peer said before it closed is a better reason than that it closed.
    fn unwritten(&mut self, error: &io::Error) {
        let mut buffer = [0; READ];
        let until = Instant::now() + LAST_WORDS;
        if let Some(stream) = &mut self.stream
            && let Ok(count @ 1..) = stream.read(&mut buffer, until)
        {
            let wire = buffer.get(..count).unwrap_or_default();
            self.conversation.received(wire, Instant::now());
        }
        self.conversation.failed(error, Instant::now());
    }

    /// Until something has come, or nobody waits for it any more.
    fn await_answer(&mut self, now: Instant, watch: Watch<'_>, silence: &mut Silence) {
        let deadline = self.conversation.deadline(now);
        while let Some(until) = self.look(now, deadline, watch, silence) {
            if self.read_before(until) {
                return;
            }
            if until >= deadline {
                let late = io::Error::from(io::ErrorKind::TimedOut);
                return self.conversation.failed(&late, Instant::now());
            }
        }
    }

    /// Tells what is to be told of a peer that owes something. How long to wait before the next
    /// look; nothing, where nobody waits any more.
    fn look(
        &mut self,
        began: Instant,
        deadline: Instant,
        watch: Watch<'_>,
        silence: &mut Silence,
    ) -> Option<Instant> {
        let now = Instant::now();
        let (awaited, in_doubt) = self.conversation.awaits();
        let awaited = awaited.unwrap_or(began);
        if silence.ends(Some(awaited)) {
            watch.tell(Told::Speaks);
        }
        while silence.next(awaited).is_some_and(|next| next <= now) && now < deadline {
            watch.tell(silence.tell(awaited, in_doubt));
        }
        if let Some(why) = watch.halted.and_then(|halted| halted()) {
            self.conversation.interrupted(why, now);
            return None;
        }
        let others_wait = || watch.others.is_some_and(Others::wait);
        if silence.goes_on() && !in_doubt && others_wait() {
            self.cut = true;
            self.conversation.interrupted(cut(), now);
            return None;
        }
        let next = silence.next(awaited).filter(|_| watch.told.is_some());
        let look = watch.looks().then(|| now + LOOK);
        Some(
            [next, look]
                .into_iter()
                .flatten()
                .fold(deadline, Instant::min),
        )
    }

    /// Where others wait, until the peer has closed, too: only then it counts one connection less.
    fn close(&mut self, watch: Watch<'_>) {
        let is_halted = watch.halted.is_some_and(|halted| halted().is_some());
        let mut buffer = [0; READ];
        let until = Instant::now() + CLOSING;
        if let Some(mut stream) = self.stream.take()
            && watch.others.is_some()
            && !is_halted
            && stream.shut_down().is_ok()
        {
            while matches!(stream.read(&mut buffer, until), Ok(1..)) {}
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
            Err(error) if is_late(&error) => return false,
            Err(error) => self.conversation.failed(&error, now),
        }
        true
    }
}

fn is_late(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut
}
