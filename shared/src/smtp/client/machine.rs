//! Which reply answers which command, and what follows from it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    attempt::{Attempt, refused, temporary},
    commands,
    event::{Action, Event, Transaction},
    settings::{Protocol, Security, Settings},
};
use crate::{
    limits,
    outcome::{Blame, Failure, Outcome, Stage},
    smtp::{
        capability::Capabilities,
        reply::{Parser, Reply},
    },
    status::{EnhancedStatus, Severity},
};

/// Most commands that are on their way unanswered, so that neither side fills the other's buffers (RFC 2920 §3.1).
const WINDOW: usize = 100;

/// What the next reply answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expect {
    Greeting,
    /// EHLO or LHLO.
    Hello,
    /// HELO, where EHLO is not known.
    Helo,
    StartTls,
    Reset,
    Mail,
    Recipient(usize),
    Data,
    /// The end of a message for which nobody was accepted (RFC 2920 §3.1).
    EmptyEnd,
    /// The end of the message.
    End,
    /// The end of the message, for one recipient (RFC 2033 §4.2).
    EndFor(usize),
}

impl Expect {
    fn stage(self) -> Stage {
        match self {
            Self::Greeting => Stage::Greeting,
            Self::Hello | Self::Helo => Stage::Helo,
            Self::StartTls => Stage::Tls,
            Self::Reset | Self::Mail => Stage::Mail,
            Self::Recipient(_) => Stage::Recipient,
            Self::Data => Stage::Data,
            Self::EmptyEnd | Self::End | Self::EndFor(_) => Stage::Message,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Not connected.
    New,
    /// Up to the first `Ready`.
    Hello,
    /// The driver makes the TLS handshake.
    Handshake,
    /// Ready for a transaction.
    Idle,
    /// From MAIL to the answer to DATA.
    Envelope,
    /// The message goes out.
    Body,
    /// The message is out; its fate is not known.
    End,
    Closed,
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    phase: Phase,
    capabilities: Capabilities,
    encrypted: bool,
    /// EHLO goes out with the first transaction.
    hello_due: bool,
    /// The peer has a transaction open, to be ended by RSET before the next.
    dirty: bool,
    parser: Parser,
    /// Replies that are due, in order.
    expected: VecDeque<Expect>,
    /// Commands of the transaction that are not sent yet.
    commands: VecDeque<(Expect, Vec<u8>)>,
    attempt: Option<Attempt>,
    actions: VecDeque<Action>,
    /// The last progress: what is awaited is awaited from here on.
    since: Option<Instant>,
}

impl Client {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            phase: Phase::New,
            capabilities: Capabilities::default(),
            encrypted: false,
            hello_due: false,
            dirty: false,
            parser: Parser::default(),
            expected: VecDeque::new(),
            commands: VecDeque::new(),
            attempt: None,
            actions: VecDeque::new(),
            since: None,
        }
    }

    /// Takes one event; drain [`Client::next_action`] after it. An event that does not fit the state is ignored.
    pub fn handle(&mut self, event: Event<'_>, now: Instant) {
        match (event, self.phase) {
            (Event::Begin(transaction), Phase::Closed) => self.refuse_closed(&transaction),
            (_, Phase::Closed) => {}
            (Event::Lost(failure), Phase::New | Phase::Handshake) => self.fail(failure),
            (Event::Lost(failure), _) => self.cut(Failure {
                stage: self.stage(),
                ..failure
            }),
            (Event::TimedOut, _) => self.cut(self.failure(
                Blame::Network,
                EnhancedStatus::new(4, 4, 2),
                "conversation timed out",
            )),
            (Event::Received(bytes), _) => self.received(bytes, now),
            (Event::Connected, Phase::New) => self.connected(now),
            (Event::TlsStarted, Phase::Handshake) => self.tls_started(now),
            (Event::Begin(transaction), Phase::Idle) => self.begin(&transaction, now),
            (Event::Body(piece), Phase::Body) => self.body(piece, now),
            (Event::BodyEnd, Phase::Body) => self.body_end(now),
            (Event::BodyFailed(failure), Phase::Body) => self.abandon(&failure.outcome()),
            (Event::Quit, phase) => self.quit(phase),
            _ => {}
        }
    }

    /// The next thing to do; drain until `None` after each event.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to say `TimedOut` at the latest; `None` while nothing of the peer is awaited.
    pub fn deadline(&self) -> Option<Instant> {
        let timeouts = &self.settings.timeouts;
        let patience = match (self.phase, self.expected.front()) {
            (Phase::New | Phase::Idle | Phase::Closed, _) => return None,
            (Phase::Body, _) => timeouts.piece,
            (_, Some(Expect::Data)) => timeouts.data,
            (_, Some(Expect::End | Expect::EndFor(_) | Expect::EmptyEnd)) => timeouts.message,
            _ => timeouts.reply,
        };
        self.since.map(|since| {
            since
                .checked_add(patience)
                .unwrap_or(since + Duration::from_hours(1))
        })
    }

    /// What the peer offers, after EHLO.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn connected(&mut self, now: Instant) {
        self.expected.push_back(Expect::Greeting);
        self.since = Some(now);
        self.encrypted = self.settings.security == Security::Wrapped;
        match &self.settings.known {
            Some(known) if self.settings.security == Security::None => {
                self.capabilities = known.clone();
                self.hello_due = true;
                self.ready();
            }
            _ => self.phase = Phase::Hello,
        }
    }

    fn received(&mut self, bytes: &[u8], now: Instant) {
        let mut input = bytes;
        while self.phase != Phase::Closed {
            if self.phase == Phase::Handshake && !input.is_empty() {
                return self.injected();
            }
            match self.parser.next(&mut input) {
                Ok(Some(reply)) => {
                    self.since = Some(now);
                    self.replied(&reply, input.is_empty(), now);
                }
                Ok(None) => return,
                Err(error) => {
                    return self.cut(self.failure(
                        Blame::Peer,
                        EnhancedStatus::new(4, 5, 0),
                        &error.to_string(),
                    ));
                }
            }
        }
    }

    /// One reply; `alone`: no byte has come behind it.
    fn replied(&mut self, reply: &Reply, alone: bool, now: Instant) {
        if reply.code.value() == 421 {
            return self.fail(temporary(self.stage(), reply));
        }
        let Some(expect) = self.expected.pop_front() else {
            return self.unasked(reply);
        };
        let severity = reply.code.severity();
        match (expect, severity) {
            (Expect::Greeting, Severity::Success) if self.settings.known.is_some() => {}
            (Expect::Greeting, Severity::Success) => self.hello(now),
            (Expect::Hello | Expect::Helo, Severity::Success) => return self.greeted(reply, now),
            (Expect::Hello, Severity::Permanent)
                if self.phase == Phase::Hello && self.settings.protocol == Protocol::Smtp =>
            {
                return self.fall_back(now);
            }
            (Expect::StartTls, Severity::Success) if alone => {
                self.phase = Phase::Handshake;
                self.actions.push_back(Action::StartTls);
            }
            (Expect::StartTls, Severity::Success) => self.injected(),
            (Expect::StartTls, _) if self.settings.security == Security::Opportunistic => {
                self.ready()
            }
            (Expect::Reset, Severity::Success) => self.dirty = false,
            (
                Expect::Greeting | Expect::Hello | Expect::Helo | Expect::StartTls | Expect::Reset,
                _,
            ) => {
                return self.fail(temporary(expect.stage(), reply));
            }
            (Expect::Data, Severity::Intermediate) => return self.go_ahead(now),
            (Expect::Data, Severity::Success) => {
                return self.cut(self.failure(
                    Blame::Peer,
                    EnhancedStatus::new(4, 5, 0),
                    "the peer answered DATA with success before the message",
                ));
            }
            _ => self.answered(expect, reply),
        }
        self.proceed(now);
    }

    /// A reply of the transaction that only concerns its recipients.
    fn answered(&mut self, expect: Expect, reply: &Reply) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        match (expect, reply.code.severity()) {
            (Expect::Recipient(index), _) => attempt.answered(index, reply),
            (Expect::End, _) => attempt.all_ended(reply),
            (Expect::EndFor(index), _) => attempt.ended(index, reply),
            (Expect::Mail, Severity::Success) => self.dirty = true,
            (Expect::Mail, Severity::Intermediate) => {
                attempt.settle_rest(&Outcome::Deferred(temporary(Stage::Mail, reply)))
            }
            (Expect::Mail | Expect::Data, _) => {
                attempt.settle_rest(&refused(expect.stage(), reply).outcome())
            }
            _ => {}
        }
        if matches!(expect, Expect::End | Expect::EndFor(_) | Expect::EmptyEnd) {
            self.dirty = false;
        }
    }

    /// A reply while none is due: the peer goes away, or is confused.
    fn unasked(&mut self, reply: &Reply) {
        match (self.phase, reply.code.severity()) {
            // The peer has seen enough of the message; what it says is its answer.
            (Phase::Body, Severity::Transient | Severity::Permanent) => {
                self.abandon(&refused(Stage::Message, reply).outcome())
            }
            _ => {
                let text = format!(
                    "the peer sent a reply that nobody asked for: {}",
                    reply.text()
                );
                self.cut(self.failure(Blame::Peer, EnhancedStatus::new(4, 5, 0), &text));
            }
        }
    }
}

/// Greeting, EHLO, STARTTLS.
impl Client {
    fn hello(&mut self, now: Instant) {
        self.send(Expect::Hello, self.hello_command(), now);
    }

    fn hello_command(&self) -> Vec<u8> {
        let verb = if self.settings.protocol == Protocol::Lmtp {
            "LHLO"
        } else {
            "EHLO"
        };
        commands::hello(verb, &self.settings.helo)
    }

    /// EHLO is not known here: without it there is no STARTTLS (RFC 5321 §3.2).
    fn fall_back(&mut self, now: Instant) {
        if self.settings.security == Security::StartTls && !self.encrypted {
            return self.tls_missing();
        }
        self.send(
            Expect::Helo,
            commands::hello("HELO", &self.settings.helo),
            now,
        );
    }

    fn greeted(&mut self, reply: &Reply, now: Instant) {
        self.capabilities = Capabilities::parse(reply);
        if self.phase != Phase::Hello {
            return self.proceed(now);
        }
        match self.settings.security {
            Security::StartTls | Security::Opportunistic
                if !self.encrypted && self.capabilities.starttls =>
            {
                self.send(Expect::StartTls, b"STARTTLS\r\n".to_vec(), now);
            }
            Security::StartTls if !self.encrypted => self.tls_missing(),
            _ => self.ready(),
        }
    }

    fn tls_missing(&mut self) {
        self.fail(Failure::new(
            Blame::Peer,
            Stage::Tls,
            EnhancedStatus::new(4, 7, 4),
            "TLS is required, but was not offered",
        ));
    }

    fn injected(&mut self) {
        let text = "bytes came between the answer to STARTTLS and the handshake: somebody in between forges replies, or the peer is broken";
        self.fail(Failure::new(
            Blame::Peer,
            Stage::Tls,
            EnhancedStatus::new(4, 7, 0),
            text,
        ));
    }

    /// What was said in clear text counts no more (RFC 3207 §4.2).
    fn tls_started(&mut self, now: Instant) {
        self.encrypted = true;
        self.parser = Parser::default();
        self.capabilities = Capabilities::default();
        self.phase = Phase::Hello;
        self.hello(now);
    }

    fn ready(&mut self) {
        self.phase = Phase::Idle;
        self.actions.push_back(Action::Ready);
    }
}

/// Transactions.
impl Client {
    fn begin(&mut self, transaction: &Transaction, now: Instant) {
        let named = transaction.envelope.recipients.len();
        let mut attempt = Attempt::new(named.saturating_add(transaction.unqualified.len()));
        let mail = match self.check(transaction) {
            Ok(mail) => mail,
            Err(failure) => {
                attempt.settle_rest(&failure.outcome());
                Vec::new()
            }
        };
        if self.dirty {
            self.commands
                .push_back((Expect::Reset, b"RSET\r\n".to_vec()));
        }
        self.commands.push_back((Expect::Mail, mail));
        for (index, recipient) in transaction.envelope.recipients.iter().enumerate() {
            self.commands.push_back((
                Expect::Recipient(index),
                commands::recipient(recipient, &self.capabilities),
            ));
        }
        for (index, (name, notify)) in (named..).zip(&transaction.unqualified) {
            match commands::unqualified_recipient(name, *notify, &self.capabilities) {
                Some(command) => self.commands.push_back((Expect::Recipient(index), command)),
                None => attempt.settle(
                    index,
                    not_a_name(Stage::Recipient, EnhancedStatus::new(5, 1, 3), name).outcome(),
                ),
            }
        }
        self.commands
            .push_back((Expect::Data, b"DATA\r\n".to_vec()));
        if !attempt.is_open() {
            self.commands.clear();
        } else if std::mem::take(&mut self.hello_due) {
            self.commands
                .push_front((Expect::Hello, self.hello_command()));
        }
        self.attempt = Some(attempt);
        self.phase = Phase::Envelope;
        self.since = Some(now);
        self.proceed(now);
    }

    /// What is known before anything is sent (RFC 1870 §6.1, RFC 6531 §3.5); the command that begins the transaction.
    fn check(&self, transaction: &Transaction) -> Result<Vec<u8>, Failure> {
        let peer = &self.capabilities;
        if let Some(limit) = peer
            .size
            .filter(|limit| *limit > 0 && transaction.size > *limit)
        {
            let text = format!(
                "message size {} exceeds size limit {limit} of the peer",
                transaction.size
            );
            return Err(Failure::new(
                Blame::Peer,
                Stage::Mail,
                EnhancedStatus::new(5, 3, 4),
                &text,
            ));
        }
        if commands::needs_utf8(transaction) && !peer.smtputf8 {
            let text = "SMTPUTF8 is required, but was not offered";
            return Err(Failure::new(
                Blame::Peer,
                Stage::Mail,
                EnhancedStatus::new(5, 6, 7),
                text,
            ));
        }
        let sender = transaction
            .unqualified_sender
            .as_deref()
            .unwrap_or_default();
        commands::mail(transaction, peer)
            .ok_or_else(|| not_a_name(Stage::Mail, EnhancedStatus::new(5, 1, 7), sender))
    }

    /// Sends what can be sent now; when all is answered, the transaction is over.
    fn proceed(&mut self, now: Instant) {
        if self.phase != Phase::Envelope && self.phase != Phase::End {
            return;
        }
        if self
            .attempt
            .as_ref()
            .is_some_and(|attempt| !attempt.is_open())
        {
            self.commands.clear();
        }
        if self
            .expected
            .iter()
            .all(|expect| *expect == Expect::Greeting)
        {
            let count = if self.capabilities.pipelining {
                WINDOW
            } else {
                1
            };
            let batch: Vec<_> = self
                .commands
                .drain(..count.min(self.commands.len()))
                .collect();
            let mut bytes = Vec::new();
            for (expect, command) in batch {
                self.expected.push_back(expect);
                bytes.extend_from_slice(&command);
            }
            if !bytes.is_empty() {
                self.since = Some(now);
                self.actions.push_back(Action::Send(bytes));
            }
        }
        let greeting_only = self
            .expected
            .iter()
            .all(|expect| *expect == Expect::Greeting);
        if greeting_only && self.commands.is_empty() {
            self.conclude();
        }
    }

    fn conclude(&mut self) {
        self.finish(&Outcome::Deferred(self.failure(
            Blame::Local,
            EnhancedStatus::new(4, 3, 0),
            "the transaction ended without an answer",
        )));
        self.ready();
    }

    /// The peer waits for the message.
    fn go_ahead(&mut self, now: Instant) {
        let wanted = self
            .attempt
            .as_ref()
            .is_some_and(|attempt| attempt.accepted().next().is_some());
        if wanted {
            self.phase = Phase::Body;
            self.actions.push_back(Action::WantBody);
        } else if self.settings.protocol == Protocol::Smtp {
            self.send(Expect::EmptyEnd, b".\r\n".to_vec(), now);
        } else {
            // LMTP answers the end of a message once for each accepted recipient: not at all.
            let text = "the peer asked for a message for nobody";
            self.cut(self.failure(Blame::Peer, EnhancedStatus::new(4, 5, 0), text));
        }
    }

    fn body(&mut self, piece: &[u8], now: Instant) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        if attempt.encoder.encode(piece, &mut attempt.buffer).is_err() {
            return self.bare_line_end();
        }
        if attempt.buffer.len() >= limits::PIECE {
            self.actions
                .push_back(Action::Send(std::mem::take(&mut attempt.buffer)));
        }
        self.since = Some(now);
        self.actions.push_back(Action::WantBody);
    }

    fn body_end(&mut self, now: Instant) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        if attempt.encoder.finish(&mut attempt.buffer).is_err() {
            return self.bare_line_end();
        }
        match self.settings.protocol {
            Protocol::Smtp => self.expected.push_back(Expect::End),
            Protocol::Lmtp => self.expected.extend(attempt.accepted().map(Expect::EndFor)),
        }
        self.actions
            .push_back(Action::Send(std::mem::take(&mut attempt.buffer)));
        self.phase = Phase::End;
        self.since = Some(now);
    }

    fn bare_line_end(&mut self) {
        let text = "the message has a CR or an LF that stands alone and cannot be sent";
        self.abandon(&Outcome::Failed(Failure::new(
            Blame::Local,
            Stage::Local,
            EnhancedStatus::new(5, 6, 0),
            text,
        )));
    }
}

/// Ways out.
impl Client {
    fn send(&mut self, expect: Expect, bytes: Vec<u8>, now: Instant) {
        self.expected.push_back(expect);
        self.since = Some(now);
        self.actions.push_back(Action::Send(bytes));
    }

    /// What is being done, for a failure.
    fn stage(&self) -> Stage {
        match (self.expected.front(), self.phase) {
            (Some(expect), _) => expect.stage(),
            (None, Phase::New) => Stage::Connect,
            (None, Phase::Handshake) => Stage::Tls,
            (None, Phase::Body | Phase::End) => Stage::Message,
            (None, _) => Stage::Mail,
        }
    }

    fn failure(&self, blame: Blame, status: EnhancedStatus, text: &str) -> Failure {
        Failure::new(blame, self.stage(), status, text)
    }

    /// The connection ends without the peer having said so: if the message was out already, the peer may have taken it.
    fn cut(&mut self, failure: Failure) {
        let text = match self.phase {
            Phase::End => format!("message may be sent more than once: {}", failure.text),
            _ => failure.text,
        };
        self.fail(Failure { text, ..failure });
    }

    /// The connection is of no use any more; never a reason to give up a recipient.
    fn fail(&mut self, failure: Failure) {
        let failure = if failure.status.class() == 4 {
            failure
        } else {
            Failure {
                status: EnhancedStatus::new(4, 4, 0),
                ..failure
            }
        };
        if self.attempt.is_some() {
            self.finish(&Outcome::Deferred(failure));
        } else {
            self.actions.push_back(Action::Failed(failure));
        }
        self.close();
    }

    /// The transaction cannot be brought to an end that the peer would understand.
    fn abandon(&mut self, outcome: &Outcome) {
        self.finish(outcome);
        self.close();
    }

    fn finish(&mut self, rest: &Outcome) {
        self.commands.clear();
        if let Some(attempt) = self.attempt.take() {
            self.actions
                .push_back(Action::Finished(attempt.finish(rest)));
        }
    }

    fn refuse_closed(&mut self, transaction: &Transaction) {
        let failure = Failure::new(
            Blame::Local,
            Stage::Connect,
            EnhancedStatus::new(4, 4, 2),
            "the connection is closed already",
        );
        let recipients = transaction
            .envelope
            .recipients
            .len()
            .saturating_add(transaction.unqualified.len());
        self.actions.push_back(Action::Finished(
            Attempt::new(recipients).finish(&Outcome::Deferred(failure)),
        ));
    }

    fn quit(&mut self, phase: Phase) {
        if phase == Phase::Idle && !self.hello_due {
            self.actions.push_back(Action::Send(b"QUIT\r\n".to_vec()));
        }
        self.close();
    }

    fn close(&mut self) {
        self.phase = Phase::Closed;
        self.expected.clear();
        self.actions.push_back(Action::Close);
    }
}

fn not_a_name(stage: Stage, status: EnhancedStatus, name: &str) -> Failure {
    Failure::new(
        Blame::Local,
        stage,
        status,
        &format!("\"{name}\" cannot be an address"),
    )
}
