//! One submission session: the shared SMTP session machine, driven by a thread over a unix socket.
//!
//! Contract: the caller is who the kernel says (`SO_PEERCRED`), whatever the session claims. A slow
//! or silent client costs one of its user's connections, never more than the machine's deadline,
//! and little where these are nearly all in use. 250 to a message means: on disk. An agent that
//! ends says 421, to a message that is coming only if that takes too long.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use mail::{limits, message::rewrite::Caller};
use smtp::{
    reply::Reply,
    session::{Action, Event, Question, Session, Settings, Verdict},
};

use super::{
    maillog,
    presence::{Committing, Connection},
    state::Agent,
    transaction::Transaction,
    writer,
};
use crate::identity;

/// Waiting for a command of a local program, or for the next bytes of its message (RFC 5321
/// §4.5.3.2.7); less where connections are scarce.
const COMMAND: Duration = Duration::from_mins(5);
/// How often is looked whether they are.
const LOOK: Duration = Duration::from_secs(5);
/// How far a wait may be overrun.
const SLACK: Duration = Duration::from_secs(1);
/// The shortest wait.
const SHORTEST: Duration = Duration::from_millis(1);
/// A client that does not read its replies.
const WRITE: Duration = Duration::from_secs(30);

/// Serves until the client is done.
pub(super) fn serve(agent: &Agent, connection: &Connection) -> io::Result<()> {
    let Connection { stream, uid, .. } = connection;
    let now = Instant::now();
    stream.set_write_timeout(Some(WRITE))?;
    let settings = Settings {
        hostname: agent.settings.hostname.to_string(),
        max_size: agent.settings.message_size,
        local: true,
        // As many as aliases may make of one. The relayhost gets them in several transactions.
        max_recipients: limits::EXPANDED,
        command_timeout: COMMAND,
        ..Settings::default()
    };
    let mut driver = Driver {
        agent,
        connection,
        stream,
        uid: *uid,
        caller: None,
        unit: None,
        session: Session::new(settings, now),
        transaction: None,
        out: Vec::new(),
        committing: None,
        leaves: false,
    };
    driver.run(now)
}

struct Driver<'a> {
    agent: &'a Agent,
    connection: &'a Connection,
    stream: &'a UnixStream,
    uid: u32,
    /// Looked up at the first MAIL.
    caller: Option<Caller>,
    /// The caller's.
    unit: Option<String>,
    session: Session,
    transaction: Option<Transaction<'a>>,
    out: Vec<u8>,
    /// From a message's commit until its reply is written.
    committing: Option<Committing>,
    /// It is told that the agent ends.
    leaves: bool,
}

impl Driver<'_> {
    fn run(&mut self, now: Instant) -> io::Result<()> {
        self.session.handle(Event::Connected, now);
        let mut buffer = vec![0; limits::PIECE];
        let mut armed = Duration::ZERO;
        while self.drain()? {
            let now = Instant::now();
            self.session.hurry(self.connection.is_one_of_too_many());
            let deadline = self.session.deadline().unwrap_or(now + COMMAND);
            // Zero would mean for ever.
            let wait = deadline.saturating_duration_since(now);
            let wait = wait.clamp(SHORTEST, LOOK);
            // What is armed already will do if it is nearly that: it saves a system call a read.
            if armed > wait + SLACK || armed + SLACK < wait {
                self.stream.set_read_timeout(Some(wait))?;
                armed = wait;
            }
            let between = self.transaction.is_none();
            let (connection, mut stream) = (self.connection, self.stream);
            connection.set_idle(between);
            let read = if connection.is_to_leave(between) {
                Ok(0)
            } else {
                stream.read(&mut buffer)
            };
            connection.set_idle(false);
            let event = match read {
                _ if connection.is_to_leave(between) => {
                    self.leaves = true;
                    self.session.handle(Event::Shutdown, Instant::now());
                    // If a message is coming, it was waited for long enough.
                    Event::TimedOut
                }
                Ok(0) => Event::Closed,
                Ok(count) => Event::Received(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if Instant::now() < deadline {
                        continue;
                    }
                    Event::TimedOut
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.session.handle(event, Instant::now());
        }
        Ok(())
    }

    /// Does all that the machine asks; false when the session is over.
    fn drain(&mut self) -> io::Result<bool> {
        while let Some(action) = self.session.next_action() {
            match action {
                Action::Send(bytes) => self.out.extend_from_slice(&bytes),
                Action::Ask(question) => {
                    // What is then on disk must be answered, even if the agent is told to stop.
                    if matches!(question, Question::Message { .. }) {
                        let connection = self.connection;
                        self.committing
                            .get_or_insert_with(|| connection.committing());
                    }
                    self.decide(&question);
                }
                Action::Body(piece) => {
                    if let Some(transaction) = &mut self.transaction {
                        transaction.body(&piece);
                    }
                }
                Action::Abort => self.transaction = None,
                Action::Refused { follows: true, .. } => {}
                // Nothing of his is refused.
                Action::Refused { .. } if self.leaves && self.transaction.is_none() => {}
                Action::Refused { reply, .. } => {
                    maillog::rejected(self.agent.owners(), self.uid, &reply);
                }
                // Never offered here.
                Action::StartTls | Action::Close => {
                    self.flush()?;
                    return Ok(false);
                }
            }
        }
        self.flush()?;
        Ok(true)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&mut &*self.stream).write_all(&self.out)?;
        self.out.clear();
        // The machine keeps replies only while it waits for a verdict, which comes at once.
        self.committing = None;
        Ok(())
    }

    fn decide(&mut self, question: &Question) {
        let verdict = self.verdict(question);
        self.session.handle(Event::Verdict(verdict), Instant::now());
    }

    fn verdict(&mut self, question: &Question) -> Verdict {
        match question {
            Question::Connect | Question::Helo { .. } => Verdict::Accept,
            // Logins are not offered: the kernel says who calls.
            Question::Auth | Question::Login(_) | Question::Client(_) | Question::Enroll(_) => {
                Verdict::Refuse(Reply::literal("535 5.7.8 Error: no logins here"))
            }
            Question::Mail(mail) if mail.queued && !self.agent.is_privileged(self.uid) => {
                Verdict::Refuse(Reply::literal("550 5.7.1 XQUEUED is for root"))
            }
            Question::Mail(mail) => {
                let uid = self.uid;
                let caller = self.caller.get_or_insert_with(|| identity::caller(uid));
                match Transaction::open(self.agent, self.uid, caller.clone(), mail.clone()) {
                    Ok(transaction) => {
                        let stream = self.stream;
                        let unit = self.unit.get_or_insert_with(|| writer::unit(stream));
                        let writer = || writer::writer(stream, &caller.user, unit);
                        self.transaction = Some(transaction.written_by(unit, writer));
                        Verdict::Accept
                    }
                    Err(reply) => Verdict::Refuse(reply),
                }
            }
            Question::Recipient(rcpt) => {
                if let Some(transaction) = &mut self.transaction {
                    // A fault is told at the end: it is one of the whole message.
                    transaction.recipient(rcpt);
                }
                Verdict::Accept
            }
            Question::Data => self
                .transaction
                .as_mut()
                .map_or(Verdict::Accept, Transaction::begin),
            Question::Message { .. } => match self.transaction.take() {
                Some(transaction) => transaction.finish(),
                None => Verdict::Refuse(Reply::literal("503 5.5.1 no transaction")),
            },
        }
    }
}
