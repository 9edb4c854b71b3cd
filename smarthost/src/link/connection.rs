//! The tokio mover of bytes between a [`Conversation`] and a socket; decides nothing.

use std::{
    future,
    io::{self, Read},
    net::SocketAddr,
    time::{Duration, Instant},
};

use mail::{
    limits,
    outcome::{Blame, Failure, Outcome},
};
use relay::{
    conversation::{Conversation, End, Step, Trusting, closed, unreachable},
    delivery::Place,
    net::relay_name,
    tls::{ClientTls, Standing},
};
use smtp::{
    capability::Capabilities,
    client::{Settings, Transaction},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time,
};

use super::{Halt, Silence, Stream, local};

#[cfg(test)]
mod tests;

/// Most replies fit into one read.
const READ: usize = 4096;
/// How long QUIT may take.
const QUIT_PATIENCE: Duration = Duration::from_secs(2);
/// How long a peer that stopped listening is given to say why.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// An open connection that is ready for transactions.
#[derive(Debug)]
pub(crate) struct Connection {
    conversation: Conversation,
    /// `None` once closed.
    stream: Option<Stream>,
    /// When it ends at the latest.
    halt: Halt,
    /// It was given up for others.
    cut: bool,
}

impl Connection {
    /// Connects, greets, and makes TLS as the settings ask.
    pub(crate) async fn open(
        host: &str,
        place: Place,
        tls: Option<&ClientTls>,
        settings: Settings,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let (at, first) = (place.clone(), settings.clone());
        let mut connection = Self::connect(host, at, tls, first, timeout).await?;
        let mut end = connection.turn(&mut io::empty()).await;
        if connection.conversation.shakes_again() {
            connection = Self::connect(host, place, tls, settings, timeout).await?;
            end = connection.turn(&mut io::empty()).await;
        }
        match end {
            End::Ready => Ok(connection),
            End::Failed(failure) => Err(failure),
            // No transaction has begun.
            End::Finished(_) => Err(closed().at(connection.relay())),
        }
    }

    async fn connect(
        host: &str,
        place: Place,
        tls: Option<&ClientTls>,
        settings: Settings,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let trusting = Trusting::at(host, &place, tls);
        let (stream, relay) = match place {
            Place::Unix(path) => {
                let relay = path.display().to_string();
                let stream = local::connect(&path)
                    .await
                    .map_err(|error| unreachable(&relay, Blame::Local, &error))?;
                (Stream::Unix(stream), relay)
            }
            Place::Tcp(address) => {
                let relay = relay_name(host, address);
                let stream = connect(address, timeout)
                    .await
                    .map_err(|error| unreachable(&relay, Blame::Network, &error))?;
                (Stream::Tcp(stream), relay)
            }
        };
        Ok(Self {
            conversation: Conversation::begin(settings, relay, trusting, Instant::now()),
            stream: Some(stream),
            halt: Halt::default(),
            cut: false,
        })
    }

    /// From now on what is under way ends then, and with it the connection.
    pub(crate) fn obey(&mut self, halt: Halt) {
        self.halt = halt;
    }

    /// Sends one message; one outcome for each recipient, in order. After a failure of the
    /// connection [`Connection::is_ready`] is false.
    pub(crate) async fn send(
        &mut self,
        transaction: Transaction,
        content: &mut (dyn Read + Send),
        silence: Option<Silence<'_>>,
    ) -> Vec<Outcome> {
        self.transact(transaction, content, false, silence).await
    }

    /// The same without a message: only whether the recipients would be taken.
    pub(crate) async fn probe(&mut self, transaction: Transaction) -> Vec<Outcome> {
        let nothing = &mut io::empty();
        self.transact(transaction, nothing, true, None).await
    }

    async fn transact(
        &mut self,
        transaction: Transaction,
        content: &mut (dyn Read + Send),
        probe: bool,
        silence: Option<Silence<'_>>,
    ) -> Vec<Outcome> {
        let count = transaction.recipients.len();
        self.conversation
            .transact(transaction, probe, Instant::now());
        let end = self.turn_watched(content, silence).await;
        // At the end of a delivery's time this server may end, which waits for nobody.
        if self.conversation.is_closed() && (probe || !self.halt.is_reached()) {
            let _ = time::timeout(QUIT_PATIENCE, self.see_closed()).await;
        }
        self.close();
        let failure = match end {
            End::Finished(outcomes) => return outcomes,
            End::Ready => closed().at(self.relay()),
            End::Failed(failure) => failure,
        };
        vec![Outcome::Deferred(failure); count]
    }

    /// Whether it was given up while its peer was silent, for others wait.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Whether another message can follow at once.
    pub(crate) fn is_ready(&self) -> bool {
        self.conversation.is_ready()
    }

    /// As [`smtp::client::Client::accepted`].
    pub(crate) fn accepted(&self) -> usize {
        self.conversation.accepted()
    }

    /// The same of a connection that was kept: not where the peer has closed or has said something
    /// meanwhile.
    pub(crate) fn is_usable(&mut self) -> bool {
        let mut stream = self.stream.as_mut();
        self.conversation
            .is_usable(|buffer| stream.as_mut()?.news(buffer), Instant::now())
    }

    /// `host[address]:port`, or the socket's path.
    pub(crate) fn relay(&self) -> &str {
        self.conversation.relay()
    }

    /// `TLSv1.3 with cipher …`, if TLS.
    pub(crate) fn tls_summary(&self) -> Option<&str> {
        self.conversation.tls_summary()
    }

    /// What is known of the peer, if TLS.
    pub(crate) fn standing(&self) -> Option<&Standing> {
        self.conversation.standing()
    }

    /// What the peer offers.
    pub(crate) fn capabilities(&self) -> &Capabilities {
        self.conversation.capabilities()
    }

    /// Says QUIT and closes; the answer is not waited for.
    pub(crate) async fn quit(mut self) {
        self.halt = Halt::default();
        self.conversation.quit(Instant::now());
        let _ = time::timeout(QUIT_PATIENCE, self.turn(&mut io::empty())).await;
    }

    /// The same, and waits until the peer has closed, too.
    pub(crate) async fn quit_and_wait(mut self) {
        self.halt = Halt::default();
        self.conversation.quit(Instant::now());
        let over = async {
            while let Step::Write(bytes) = self.conversation.next(Instant::now()) {
                self.write(&bytes, Instant::now(), &mut None).await;
            }
            self.see_closed().await;
        };
        let _ = time::timeout(QUIT_PATIENCE, over).await;
    }

    /// Lets the conversation run until a transaction can begin, has ended, or the connection is
    /// closed.
    async fn turn(&mut self, content: &mut (dyn Read + Send)) -> End {
        let end = self.turn_watched(content, None).await;
        self.close();
        end
    }

    fn close(&mut self) {
        if self.conversation.is_closed() {
            self.stream = None;
        }
    }

    /// Until the peer has closed, too: only then it counts one connection less.
    async fn see_closed(&mut self) {
        let mut buffer = [0; READ];
        if let Some(stream) = &mut self.stream
            && stream.shutdown().await.is_ok()
        {
            while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
        }
    }

    async fn turn_watched(
        &mut self,
        content: &mut (dyn Read + Send),
        mut silence: Option<Silence<'_>>,
    ) -> End {
        loop {
            let now = Instant::now();
            match self.conversation.next(now) {
                Step::Ended(end) => {
                    if let Some(silence) = &mut silence {
                        silence.awaits(None);
                    }
                    return end;
                }
                Step::Content => self.conversation.feed(content, limits::PIECE, now),
                Step::Write(bytes) => self.write(&bytes, now, &mut silence).await,
                Step::Read => {
                    self.read(now, &mut silence).await;
                    if let Some(silence) = &mut silence {
                        silence.arrived(self.conversation.delivered());
                    }
                }
            }
        }
    }

    async fn write(&mut self, bytes: &[u8], now: Instant, silence: &mut Option<Silence<'_>>) {
        let deadline = self.conversation.deadline(now);
        let (since, in_doubt) = self.conversation.awaits();
        let cut = give_up(silence, since.unwrap_or(now), in_doubt);
        let Some(stream) = &mut self.stream else {
            return;
        };
        let written = tokio::select! {
            written = time::timeout_at(deadline.into(), stream.write_all(bytes)) => written,
            () = self.halt.reached() => return self.interrupted(),
            () = cut => return self.cut(),
        };
        if let Err(error) = written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            // What the peer said before it closed is a better reason than that it closed.
            let mut buffer = [0; READ];
            let read = time::timeout(LAST_WORDS, stream.read(&mut buffer)).await;
            if let Ok(Ok(count @ 1..)) = read {
                let wire = buffer.get(..count).unwrap_or_default();
                self.conversation.received(wire, Instant::now());
            }
            self.conversation.failed(&error, Instant::now());
        }
    }

    async fn read(&mut self, now: Instant, silence: &mut Option<Silence<'_>>) {
        let deadline = self.conversation.deadline(now);
        let (since, in_doubt) = self.conversation.awaits();
        let cut = give_up(silence, since.unwrap_or(now), in_doubt);
        let mut buffer = [0; READ];
        let read = match &mut self.stream {
            Some(stream) => tokio::select! {
                // What has come counts.
                biased;
                read = time::timeout_at(deadline.into(), stream.read(&mut buffer)) => {
                    read.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                }
                () = self.halt.reached() => return self.interrupted(),
                () = cut => return self.cut(),
            },
            None => Ok(0),
        };
        let now = Instant::now();
        match read {
            Ok(count) => {
                let wire = buffer.get(..count).unwrap_or_default();
                self.conversation.received(wire, now);
            }
            Err(error) => self.conversation.failed(&error, now),
        }
    }

    fn interrupted(&mut self) {
        let why = self.halt.failure();
        self.conversation.interrupted(why, Instant::now());
    }

    fn cut(&mut self) {
        self.cut = true;
        self.conversation
            .interrupted(relay::delivery::cut(), Instant::now());
    }
}

/// Returns when others are to have the connection, if they are; what is awaited since when is the
/// conversation's.
async fn give_up(silence: &mut Option<Silence<'_>>, since: Instant, in_doubt: bool) {
    match silence {
        Some(silence) => silence.is_cut(since, in_doubt).await,
        None => future::pending().await,
    }
}

/// Opens one connection; small writes go out at once.
async fn connect(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let connected = time::timeout(timeout, TcpStream::connect(address)).await;
    let stream = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
