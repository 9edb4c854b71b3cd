//! Which reply answers which command, and what follows from it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    attempt::{Attempt, Purpose, refused, temporary, told},
    event::{Action, Event},
    parameters::retraction,
    settings::{Protocol, Security, Settings},
};
use crate::{
    capability::Capabilities,
    reply::{Parser, Reply},
    sasl::{Exchange, Repeated},
};
use mail::{
    outcome::{Blame, Failure, Outcome, Stage},
    status::{EnhancedStatus, ReplyCode, Severity},
};

/// What the next reply answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expect {
    Greeting,
    /// EHLO or LHLO.
    Hello,
    /// HELO, where EHLO is not known.
    Helo,
    StartTls,
    /// AUTH, and each of our responses.
    Auth,
    /// XENROLL.
    Enroll,
    Reset,
    /// QUIT behind a transaction: the replies before it were in step.
    Proof,
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
    pub(super) fn stage(self) -> Stage {
        match self {
            Self::Greeting => Stage::Greeting,
            Self::Hello | Self::Helo => Stage::Helo,
            Self::StartTls => Stage::Tls,
            Self::Auth => Stage::Auth,
            Self::Enroll => Stage::Enroll,
            Self::Reset | Self::Proof | Self::Mail => Stage::Mail,
            Self::Recipient(_) => Stage::Recipient,
            Self::Data => Stage::Data,
            Self::EmptyEnd | Self::End | Self::EndFor(_) => Stage::Message,
        }
    }

    /// Whether a code can be the answer. A code that goes on and belongs to another command shows
    /// that the peer is out of step, or not what it should be: such a "success" means nothing.
    /// Unknown codes count by their first digit (RFC 5321 §4.3.2).
    fn may_be(self, code: ReplyCode) -> bool {
        let own: &[u16] = match self {
            Self::Greeting | Self::StartTls => &[220],
            Self::Hello | Self::Helo | Self::Enroll | Self::Reset | Self::Mail => &[250],
            Self::Proof => &[221],
            Self::Auth => &[235, 334],
            Self::Data => &[354],
            Self::Recipient(_) | Self::EmptyEnd | Self::End | Self::EndFor(_) => &[250, 251, 252],
        };
        let (challenges, succeeds) = match self {
            Self::Auth => (true, true),
            Self::Data => (false, false),
            _ => (false, true),
        };
        match code.severity() {
            _ if own.contains(&code.value()) => true,
            _ if KNOWN.contains(&code.value()) => false,
            Severity::Success => succeeds,
            Severity::Intermediate => challenges,
            Severity::Transient | Severity::Permanent => true,
        }
    }
}

/// Codes that go on, and mean something of their own (RFC 5321 §4.2.3, RFC 4954 §6).
const KNOWN: [u16; 10] = [211, 214, 220, 221, 235, 250, 251, 252, 334, 354];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
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
    pub(super) settings: Settings,
    pub(super) phase: Phase,
    /// What the peer's EHLO says.
    pub(super) offered: Capabilities,
    /// The same without what it refused when it was asked for.
    pub(super) capabilities: Capabilities,
    pub(super) encrypted: bool,
    /// What no reply is kept with.
    secret: Option<Repeated>,
    /// AUTH under way.
    pub(super) exchange: Option<Exchange>,
    /// A response that was too long to go with AUTH.
    pub(super) initial: Option<String>,
    /// EHLO goes out with the first transaction.
    pub(super) hello_due: bool,
    /// The peer has a transaction open, to be ended by RSET before the next.
    pub(super) dirty: bool,
    pub(super) parser: Parser,
    /// Replies that are due, in order.
    pub(super) expected: VecDeque<Expect>,
    /// Commands of the transaction that are not sent yet.
    pub(super) commands: VecDeque<(Expect, Vec<u8>)>,
    pub(super) attempt: Option<Attempt>,
    /// Replies to the transaction are not proved to be in step:
    /// [`Transaction::kept`](super::Transaction::kept).
    pub(super) doubt: bool,
    /// The transaction is about mail that moves as it is (XMOVE).
    pub(super) moved: bool,
    /// Recipients of the last transaction that the peer had accepted when it ended without the
    /// message.
    pub(super) accepted: usize,
    /// The transaction's own, up to the end of the message.
    pub(super) patience: Option<Duration>,
    pub(super) actions: VecDeque<Action>,
    /// Why the connection is of no use any more, if nobody has been told of it with a transaction.
    pub(super) why_closed: Option<Failure>,
    /// The last progress: what is awaited is awaited from here on.
    pub(super) since: Option<Instant>,
}

impl Client {
    pub fn new(settings: Settings) -> Self {
        Self {
            secret: settings.credentials.as_ref().map(Repeated::new),
            settings,
            phase: Phase::New,
            offered: Capabilities::default(),
            capabilities: Capabilities::default(),
            encrypted: false,
            exchange: None,
            initial: None,
            hello_due: false,
            dirty: false,
            parser: Parser::default(),
            expected: VecDeque::new(),
            commands: VecDeque::new(),
            attempt: None,
            doubt: false,
            moved: false,
            accepted: 0,
            patience: None,
            actions: VecDeque::new(),
            why_closed: None,
            since: None,
        }
    }

    /// Takes one event; drain [`Client::next_action`] after it. An event that does not fit the
    /// state is ignored.
    pub fn handle(&mut self, event: Event<'_>, now: Instant) {
        match (event, self.phase) {
            (Event::Begin(transaction) | Event::Probe(transaction), Phase::Closed) => {
                self.refuse_closed(&transaction);
            }
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
            (Event::Begin(transaction), Phase::Idle) => {
                self.begin(&transaction, Purpose::Deliver, now);
            }
            (Event::Probe(transaction), Phase::Idle) => {
                self.begin(&transaction, Purpose::Probe, now);
            }
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
        let at_most = |full: Duration| self.patience.map_or(full, |most| full.min(most));
        let patience = match (self.phase, self.expected.front()) {
            (Phase::New | Phase::Idle | Phase::Closed, _) => return None,
            (Phase::Hello | Phase::Handshake, _) => timeouts.opening,
            (Phase::Body, _) => at_most(timeouts.piece),
            (_, Some(Expect::Data)) => at_most(timeouts.data),
            (_, Some(Expect::End | Expect::EndFor(_) | Expect::EmptyEnd)) => timeouts.message,
            _ => at_most(timeouts.reply),
        };
        self.since.map(|since| {
            since
                .checked_add(patience)
                .unwrap_or(since + Duration::from_hours(1))
        })
    }

    /// Since when what the peer owes is awaited.
    pub fn waits_since(&self) -> Option<Instant> {
        self.since
    }

    /// Whether the whole message is out: the peer may have taken it.
    pub fn is_out(&self) -> bool {
        self.phase == Phase::End
    }

    /// Who has the message by now, where the peer answers for each and others are not answered yet
    /// (LMTP).
    pub fn delivered(&self) -> impl Iterator<Item = (usize, Outcome)> {
        let is_known = self.phase == Phase::End && self.settings.protocol == Protocol::Lmtp;
        let attempt = self.attempt.as_ref().filter(|_| is_known && !self.doubt);
        attempt.into_iter().flat_map(Attempt::delivered)
    }

    /// What the peer offers, after EHLO; without what it then refused.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// How many recipients of the last transaction the peer had accepted when it ended without the
    /// message.
    pub fn accepted(&self) -> usize {
        self.accepted
    }

    fn connected(&mut self, now: Instant) {
        self.expected.push_back(Expect::Greeting);
        self.since = Some(now);
        self.encrypted = self.settings.security == Security::Wrapped;
        match &self.settings.known {
            Some(known) if self.settings.security == Security::None => {
                self.offered = known.clone();
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
                Ok(Some(mut reply)) => {
                    self.since = Some(now);
                    // Its words are kept and told to people, but for what it can do and a
                    // challenge.
                    let told = !matches!(self.expected.front(), Some(Expect::Hello | Expect::Helo));
                    if told
                        && reply.code.value() != 334
                        && let Some(secret) = &self.secret
                    {
                        secret.hide_in(&mut reply.lines);
                    }
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
        if !expect.may_be(reply.code) {
            return self.out_of_step(expect, reply);
        }
        let severity = reply.code.severity();
        match (expect, severity) {
            (Expect::Greeting, Severity::Success) if self.settings.known.is_some() => {}
            (Expect::Greeting, Severity::Success) => self.hello(now),
            (Expect::Hello | Expect::Helo, Severity::Success) => return self.greeted(reply, now),
            (Expect::Hello, Severity::Permanent)
                if self.phase == Phase::Hello
                    && self.settings.protocol == Protocol::Smtp
                    // HELO offers nothing that it could be said by.
                    && self.settings.enroll.is_none() =>
            {
                return self.fall_back(now);
            }
            (Expect::Auth, _) => return self.challenged(reply, now),
            (Expect::Enroll, Severity::Success) => self.ready(),
            (Expect::Enroll, _) => return self.fail(told(expect.stage(), reply)),
            (Expect::StartTls, Severity::Success) if alone => {
                self.phase = Phase::Handshake;
                self.actions.push_back(Action::StartTls);
            }
            (Expect::StartTls, Severity::Success) => self.injected(),
            (Expect::StartTls, _) if self.settings.security == Security::Opportunistic => {
                self.authenticate(now);
            }
            (Expect::Reset, Severity::Success) => self.dirty = false,
            (Expect::Proof, _) => return self.proved(expect, reply),
            (
                Expect::Greeting | Expect::Hello | Expect::Helo | Expect::StartTls | Expect::Reset,
                _,
            ) => {
                return self.fail(temporary(expect.stage(), reply));
            }
            (Expect::Data, Severity::Intermediate) => return self.go_ahead(now),
            _ => self.answered(expect, reply),
        }
        self.proceed(now);
    }

    /// A reply of the transaction that only concerns its recipients.
    fn answered(&mut self, expect: Expect, reply: &Reply) {
        let retracted = self.retracts(expect, reply);
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        match (expect, reply.code.severity()) {
            (Expect::Mail, _) if retracted => {
                attempt.settle_rest(&retraction(Stage::Mail, reply));
            }
            (Expect::Recipient(index), _) if retracted => {
                attempt.settle(index, retraction(Stage::Recipient, reply));
            }
            (Expect::Recipient(index), _) => attempt.answered(index, reply),
            (Expect::End, _) => attempt.all_ended(reply),
            (Expect::EndFor(index), _) => attempt.ended(index, reply),
            (Expect::Mail, Severity::Success) => self.dirty = true,
            (Expect::Mail | Expect::Data, _) => {
                attempt.settle_rest(&refused(expect.stage(), reply).outcome());
            }
            _ => {}
        }
        if matches!(expect, Expect::End | Expect::EndFor(_) | Expect::EmptyEnd) {
            self.dirty = false;
        }
    }

    /// QUIT is answered.
    fn proved(&mut self, expect: Expect, reply: &Reply) {
        if reply.code.value() != 221 {
            return self.out_of_step(expect, reply);
        }
        self.doubt = false;
        self.finish(&self.unanswered());
        self.close();
    }

    fn out_of_step(&mut self, expect: Expect, reply: &Reply) {
        let text = format!("{} is no answer to what was asked", reply.text());
        self.cut(Failure {
            stage: expect.stage(),
            ..self.failure(Blame::Peer, EnhancedStatus::new(4, 5, 0), &text)
        });
    }

    /// A reply while none is due: the peer goes away, or is confused.
    fn unasked(&mut self, reply: &Reply) {
        if self.phase == Phase::Body && reply.code.value() >= 400 {
            // The peer has seen enough of the message; what it says is its answer.
            return self.abandon(&refused(Stage::Message, reply).outcome());
        }
        let text = format!(
            "the peer sent a reply that nobody asked for: {}",
            reply.text()
        );
        self.cut(self.failure(Blame::Peer, EnhancedStatus::new(4, 5, 0), &text));
    }
}
