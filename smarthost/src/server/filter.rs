//! The tokio driver of [`milter::Dialog`]: one filter and one client's session.
//!
//! Contract: at most one connection, opened when there is something to tell and closed with the
//! session. A filter that hangs holds up its own session. Edits are handed out only when the filter
//! has nothing against the message.
//! Failures: one line in the log, with what is done meanwhile.

use std::{
    io,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use mail::{limits, message::intake::Intake};
use spool::Draft;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::block_in_place,
    time,
};

use super::standings::Standings;
use crate::{
    link::{Stream, local},
    maillog,
    milter::{
        Action, Dialog, Edit, EditedHeader, Event, Macros, Milter, Outcome, Stage, packet::PAYLOAD,
    },
    policy::endpoint::Endpoint,
};

/// What is sent together at most, bytes.
const TOGETHER: usize = 128 * 1024;
/// Read buffer, bytes.
const BUFFER: usize = 16 * 1024;
/// Wishes about one message.
const EDITS: usize = 10_000;
/// Longest wait for a filter to take a last word.
const GOODBYE: Duration = Duration::from_secs(5);

/// What filters are told of a session.
pub(super) struct Known {
    /// The client's name, or its address in brackets.
    pub(super) name: String,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) helo: Option<String>,
    pub(super) macros: Macros,
}

/// A filter.
pub(super) struct Filter {
    pub(super) milter: Milter,
    standings: Arc<Standings>,
    dialog: Dialog,
    stream: Option<Stream>,
    outgoing: Vec<u8>,
    edits: Vec<Edit>,
    /// Bytes of them.
    size: usize,
    /// What replaces the body, and the place for it.
    body: Option<NewBody>,
    /// Why its wishes cannot be carried out.
    unusable: Option<String>,
    /// Why the message is to be kept on hold.
    pub(super) hold: Option<String>,
}

/// A body that a filter sends.
struct NewBody {
    draft: Draft,
    lines: Intake,
    most: u64,
    ascii: bool,
    begun: bool,
}

/// What a filter wants of a message that it has nothing against.
#[derive(Default)]
pub(super) struct Edits {
    pub(super) wishes: Vec<Edit>,
    /// Values of fields have their blank.
    pub(super) leading_blank: bool,
    /// The body that replaces the old one, and whether it is ASCII.
    pub(super) body: Option<(Draft, bool)>,
}

impl Filter {
    pub(super) fn new(milter: Milter, standings: Arc<Standings>) -> Self {
        Self {
            dialog: Dialog::new(&milter, Instant::now()),
            milter,
            standings,
            stream: None,
            outgoing: Vec::new(),
            edits: Vec::new(),
            size: 0,
            body: None,
            unusable: None,
            hold: None,
        }
    }

    /// Tells it, and waits for its answer.
    pub(super) async fn tell(&mut self, stage: Stage<'_>, known: &Known) -> Outcome {
        if let Stage::Mail(_) = stage {
            self.dialog.renew();
        }
        self.listen(matches!(stage, Stage::Mail(_) | Stage::Helo(_)));
        if self.dialog.is_closed() {
            self.open(stage, known).await;
        }
        self.run(Event::Tell(stage, &known.macros)).await
    }

    /// The whole message, from its first field to the verdict; the client waits since then.
    pub(super) async fn examine(
        &mut self,
        header: &EditedHeader,
        body: &Draft,
        most: u64,
        known: &Known,
        since: Instant,
    ) -> Outcome {
        self.dialog.ended(since);
        self.body = Some(NewBody {
            draft: body.again(),
            lines: Intake::of_body(),
            most,
            ascii: true,
            begun: false,
        });
        self.listen(false);
        for field in header.visible() {
            let (name, value) = (field.name(), field.body());
            match self.content(Stage::Header { name, value }, known).await {
                Outcome::Pass => {}
                Outcome::Enough => break,
                refused => return refused,
            }
        }
        match self.content(Stage::EndOfHeader, known).await {
            Outcome::Pass | Outcome::Enough => {}
            refused => return refused,
        }
        let (mut offset, mut piece) = (0, vec![0; PAYLOAD]);
        while self.dialog.hears_body() {
            let count = match block_in_place(|| body.read(offset, &mut piece)) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => return self.run(unread(&error)).await,
            };
            offset = offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            let piece = piece.get(..count).unwrap_or_default();
            match self.content(Stage::Body(piece), known).await {
                Outcome::Pass => {}
                Outcome::Enough => break,
                refused => return refused,
            }
        }
        self.content(Stage::EndOfMessage, known).await
    }

    async fn content(&mut self, stage: Stage<'_>, known: &Known) -> Outcome {
        let outcome = self.run(Event::Tell(stage, &known.macros)).await;
        if self.outgoing.len() > TOGETHER {
            self.flush().await;
            self.drain();
        }
        outcome
    }

    /// What it wants of the message, once it has nothing against it.
    pub(super) fn edits(&mut self) -> Result<Edits, String> {
        let body = self.body.take().filter(|body| body.begun);
        Ok(Edits {
            wishes: std::mem::take(&mut self.edits),
            leading_blank: self.dialog.leading_blank(),
            body: body.map(NewBody::finish).transpose()?,
        })
    }

    /// What it wants cannot be done.
    pub(super) async fn cannot(&mut self, why: String) -> Outcome {
        self.run(Event::Unusable(why)).await
    }

    /// The message is over.
    pub(super) async fn message_over(&mut self) {
        self.forget();
        self.hold = None;
        self.dialog.handle(Event::MessageOver, Instant::now());
        self.say_last().await;
    }

    /// The session is over.
    pub(super) async fn quit(&mut self) {
        self.dialog.handle(Event::Quit, Instant::now());
        self.say_last().await;
        if let Some(mut stream) = self.stream.take() {
            let _ = time::timeout(GOODBYE, stream.shutdown()).await;
        }
    }

    async fn say_last(&mut self) {
        self.drain();
        if !self.outgoing.is_empty() {
            self.flush().await;
            self.drain();
        }
    }

    /// Notices that it hung up, or says what nobody asked. `fresh`: nothing of a message is lost
    /// with the connection.
    fn listen(&mut self, fresh: bool) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        let mut buffer = [0; 256];
        match stream.news(&mut buffer) {
            None => return,
            Some(0) if fresh => {
                self.stream = None;
                self.outgoing.clear();
                return self.dialog.reset();
            }
            Some(0) => self.lost(hung_up()),
            Some(count) => {
                let said = buffer.get(..count).unwrap_or_default();
                self.dialog.handle(Event::Received(said), Instant::now());
            }
        }
        self.drain();
        if fresh {
            self.dialog.renew();
        }
    }

    /// Connects, and tells what it missed.
    async fn open(&mut self, stage: Stage<'_>, known: &Known) {
        let patience = self.dialog.connect_timeout();
        let event = match time::timeout(patience, connect(&self.milter.endpoint)).await {
            Ok(Ok(stream)) => {
                self.stream = Some(stream);
                Event::Opened
            }
            Ok(Err(error)) => Event::Lost(error.to_string()),
            Err(_) => Event::Lost(format!("no connection in {} seconds", patience.as_secs())),
        };
        self.run(event).await;
        if matches!(stage, Stage::Connect { .. }) {
            return;
        }
        let connect = Stage::Connect {
            name: &known.name,
            address: known.address,
            port: known.port,
        };
        self.run(Event::Tell(connect, &known.macros)).await;
        if let (Some(helo), false) = (&known.helo, matches!(stage, Stage::Helo(_))) {
            self.run(Event::Tell(Stage::Helo(helo), &known.macros))
                .await;
        }
    }

    /// From an event to its outcome.
    async fn run(&mut self, event: Event<'_>) -> Outcome {
        self.dialog.handle(event, Instant::now());
        loop {
            match self.dialog.next_action() {
                Some(Action::Done(outcome)) => {
                    let Some(why) = self.unusable.take() else {
                        // What failed has no connection.
                        if self.stream.is_some() {
                            self.standings.answers(&self.milter.endpoint);
                        }
                        return outcome;
                    };
                    self.dialog.handle(Event::Unusable(why), Instant::now());
                }
                Some(action) => self.act(action),
                // What cannot be done need not be heard to its end.
                None => match self.unusable.take() {
                    Some(why) => self.dialog.handle(Event::Unusable(why), Instant::now()),
                    None => self.exchange().await,
                },
            }
        }
    }

    fn drain(&mut self) {
        while let Some(action) = self.dialog.next_action() {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send(bytes) => self.outgoing.extend_from_slice(&bytes),
            Action::Hold(reason) => drop(self.hold.get_or_insert(reason)),
            Action::Failed(why) => {
                self.stream = None;
                self.outgoing.clear();
                self.forget();
                self.standings.fails(&self.milter.endpoint, &why);
                maillog::milter_failed(&self.milter, &why);
            }
            Action::Edit(edit) if self.unusable.is_none() => self.unusable = self.keep(edit).err(),
            // Too late, or there was no question.
            Action::Edit(_) | Action::Done(_) => {}
        }
    }

    fn lost(&mut self, why: String) {
        self.dialog.handle(Event::Lost(why), Instant::now());
    }

    fn forget(&mut self) {
        self.edits.clear();
        self.size = 0;
        self.body = None;
        self.unusable = None;
    }

    fn keep(&mut self, edit: Edit) -> Result<(), String> {
        if let Edit::Body(piece) = edit {
            return self.body.as_mut().map_or(Ok(()), |body| body.add(&piece));
        }
        self.size = self.size.saturating_add(edit.size());
        if self.edits.len() >= EDITS || self.size > limits::HEADER {
            return Err("it asks for more changes than a message can have".to_owned());
        }
        self.edits.push(edit);
        Ok(())
    }

    /// Sends what is due and waits for an answer.
    async fn exchange(&mut self) {
        if !self.flush().await {
            return;
        }
        let (Some(deadline), Some(stream)) = (self.dialog.deadline(), &mut self.stream) else {
            return self.lost("there is no connection".to_owned());
        };
        let mut buffer = vec![0; BUFFER];
        let read = time::timeout_at(deadline.into(), stream.read(&mut buffer)).await;
        let now = Instant::now();
        match read {
            Ok(Ok(count)) if count > 0 => {
                let said = buffer.get(..count).unwrap_or_default();
                self.dialog.handle(Event::Received(said), now);
            }
            Ok(Ok(_)) => self.lost(hung_up()),
            Ok(Err(error)) => self.lost(error.to_string()),
            Err(_) => self.dialog.handle(Event::TimedOut, now),
        }
    }

    /// False if that was the end of the connection.
    async fn flush(&mut self) -> bool {
        let patience = self
            .dialog
            .deadline()
            .unwrap_or_else(|| Instant::now() + GOODBYE);
        let Some(stream) = &mut self.stream else {
            self.outgoing.clear();
            return true;
        };
        let sent = time::timeout_at(patience.into(), async {
            stream.write_all(&self.outgoing).await?;
            stream.flush().await
        })
        .await;
        self.outgoing.clear();
        match sent {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => self.lost(error.to_string()),
            Err(_) if self.dialog.deadline().is_some() => {
                self.dialog.handle(Event::TimedOut, Instant::now());
            }
            Err(_) => self.lost("it does not read what it is told".to_owned()),
        }
        false
    }
}

impl NewBody {
    fn add(&mut self, piece: &[u8]) -> Result<(), String> {
        self.begun = true;
        if piece.contains(&0) {
            return Err(
                "its body holds a NUL, which no mail may (RFC 5321 section 4.5.2)".to_owned(),
            );
        }
        let mut lines = Vec::with_capacity(piece.len().saturating_add(2));
        self.lines.feed(piece, &mut lines);
        self.write(&lines)
    }

    fn finish(mut self) -> Result<(Draft, bool), String> {
        let mut lines = Vec::new();
        std::mem::take(&mut self.lines).finish(&mut lines);
        self.write(&lines)?;
        Ok((self.draft, self.ascii))
    }

    fn write(&mut self, lines: &[u8]) -> Result<(), String> {
        self.ascii &= lines.is_ascii();
        let length = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        if self.draft.size().saturating_add(length) > self.most {
            return Err("it makes the message larger than message_size".to_owned());
        }
        block_in_place(|| self.draft.write(lines))
            .map_err(|error| format!("its body cannot be kept: {error}"))
    }
}

fn hung_up() -> String {
    "it closed the connection".to_owned()
}

fn unread(error: &io::Error) -> Event<'static> {
    Event::Unusable(format!("the message cannot be read back: {error}"))
}

async fn connect(endpoint: &Endpoint) -> io::Result<Stream> {
    Ok(match endpoint {
        Endpoint::Inet(place) => {
            let stream = TcpStream::connect(place).await?;
            // Without it each question waits for the acknowledgement of the one before; nothing
            // else depends on it.
            let _ = stream.set_nodelay(true);
            Stream::Tcp(stream)
        }
        Endpoint::Unix(path) => Stream::Unix(local::connect(path).await?),
    })
}
