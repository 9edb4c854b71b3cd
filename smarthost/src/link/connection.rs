//! The tokio driver of [`smtp::client`]: moves bytes, keeps deadlines, makes handshakes; decides nothing.
//!
//! Contract: what the machine sends between two waits goes out in as few writes as possible, at most [`FLUSH`] bytes are held;
//! every wait ends at the machine's deadline.
//! Failures: each becomes an event of the machine, which knows the stage; a reply that came before the connection broke is still read.

use std::{
    io::Read,
    path::PathBuf,
    time::{Duration, Instant},
};

use mail::{
    limits,
    outcome::{Blame, Failure, Outcome, Stage},
    status::EnhancedStatus,
};
use relay::tls::ClientTls;
use smtp::client::{Action, Client, Event, Transaction};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time,
};

use super::{Stream, dial};

mod opening;
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

impl Peer {
    /// Whether clear text is as good as a handshake that fails: not where a key or a name must be shown.
    fn takes_clear_text(&self) -> bool {
        match self {
            Self::Tcp { tls: Some(tls), .. } => tls.clear_text_is_as_good,
            Self::Tcp { tls: None, .. } | Self::Unix(_) => true,
        }
    }
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
    /// Sends one message; one outcome for each recipient, in order.
    pub(crate) async fn send(
        &mut self,
        transaction: Transaction,
        content: &mut (dyn Read + Send),
    ) -> Vec<Outcome> {
        let count = transaction.recipients.len();
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
                Event::BodyFailed(Failure::local(EnhancedStatus::new(4, 3, 0), &text))
            }
        };
        self.machine.handle(event, Instant::now());
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
