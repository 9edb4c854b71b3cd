//! The machine: what one filter is told in one client's session, and what it answers.
//!
//! Contract: [`Event::Tell`] ends in exactly one [`Action::Done`], and nothing else is told before
//! it. Answers are read in their order: what a filter says unasked is its failure.
//! [`Dialog::deadline`] moves with each packet, at most to
//! [`LONGEST`] after the question, or after the end of the message, whose time all filters share.
//! Failures: the connection is of no use any more, and the filter's [`OnFailure`] stands for its
//! answers until the message has ended;
//! [`Dialog::renew`] at the next one lets it be tried again.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use smtp::reply::Reply;

use super::{
    answer::{self, Said},
    edit::Edit,
    macros::Macros,
    options::{Options, Step},
    packet::{self, Fault, Reader},
    setting::{COMMAND, CONTENT, Milter, OnFailure},
    stage::Stage,
};

/// However often it says that it works on it: clients wait ten minutes (RFC 5321 §4.5.3.2.6).
const LONGEST: Duration = Duration::from_mins(9);
/// Packets about one message that neither answer a question nor bring a piece of a body.
const REMARKS: usize = 20_000;

/// What the driver says.
#[derive(Debug)]
pub enum Event<'a> {
    /// The connection is there. Ends in [`Action::Done`], as `Tell` does.
    Opened,
    /// The filter is to be told this.
    Tell(Stage<'a>, &'a Macros),
    Received(&'a [u8]),
    /// There is no connection, or it broke.
    Lost(String),
    TimedOut,
    /// At the end of a message: what it asked for cannot be done, for this reason.
    Unusable(String),
    /// The message is over, whatever became of it; nothing is answered.
    MessageOver,
    /// So is the session.
    Quit,
}

/// What the driver has to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    Send(Vec<u8>),
    /// To be carried out when the filter has nothing against the message.
    Edit(Edit),
    /// The message is to be kept on hold, for this reason.
    Hold(String),
    /// What is wrong with the filter, for the log; the connection is to be closed.
    Failed(String),
    Done(Outcome),
}

/// What a question came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Go on.
    Pass,
    /// It is not asked any more about this message, or wants no more of its body.
    Enough,
    Refuse(Reply),
    /// Refuse, and end the session.
    Close(Reply),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Closed,
    Negotiating,
    Ready,
    Waiting { step: Step, of_session: bool },
}

/// What it has decided for a while.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Standing {
    Asked,
    /// It has nothing against this message.
    AcceptedMessage,
    AcceptedSession,
    RefusedSession(Outcome),
    /// `spent`: a message has met it.
    Failed {
        spent: bool,
    },
}

/// One filter and one client's session.
#[derive(Debug)]
pub struct Dialog {
    on_failure: OnFailure,
    timeout: Option<Duration>,
    state: State,
    standing: Standing,
    options: Options,
    /// No more of these.
    skipped: Option<u8>,
    /// It was told of a message since the last abort.
    in_message: bool,
    reader: Reader,
    actions: VecDeque<Action>,
    asked: Instant,
    /// Since when the content of a message is told, to this filter or to one before it.
    content: Option<Instant>,
    /// [`REMARKS`] so far.
    remarks: usize,
    patience: Duration,
    deadline: Instant,
}

impl Dialog {
    pub fn new(milter: &Milter, now: Instant) -> Self {
        Self {
            on_failure: milter.on_failure,
            timeout: milter.timeout,
            state: State::Closed,
            standing: Standing::Asked,
            options: Options::default(),
            skipped: None,
            in_message: false,
            reader: Reader::default(),
            actions: VecDeque::new(),
            asked: now,
            content: None,
            remarks: 0,
            patience: COMMAND,
            deadline: now,
        }
    }

    /// Whether a connection has to be opened before it can be told anything.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed && self.standing == Standing::Asked
    }

    /// How long a connection may take.
    pub fn connect_timeout(&self) -> Duration {
        self.timeout.unwrap_or(COMMAND)
    }

    /// Values of its fields have their blank.
    pub fn leading_blank(&self) -> bool {
        self.options.leading_blank()
    }

    /// Whether it wants to hear of the body.
    pub fn hears_body(&self) -> bool {
        self.options.hears(Step::BODY)
    }

    /// The client waits for an answer to its message since then.
    pub fn ended(&mut self, since: Instant) {
        self.content = Some(since);
    }

    /// A new message begins: a failure that an earlier one has met is forgiven.
    pub fn renew(&mut self) {
        if matches!(self.standing, Standing::Failed { spent: true }) {
            self.reset();
        }
    }

    /// Forgets the connection: it is opened anew.
    pub fn reset(&mut self) {
        self.state = State::Closed;
        self.standing = Standing::Asked;
        self.options = Options::default();
        self.skipped = None;
        self.in_message = false;
        self.reader = Reader::default();
    }

    /// Takes one event.
    pub fn handle(&mut self, event: Event<'_>, now: Instant) {
        match event {
            Event::Opened => {
                let mut packet = Vec::new();
                Options::offer(&mut packet);
                self.actions.push_back(Action::Send(packet));
                self.state = State::Negotiating;
                self.wait(COMMAND, now);
            }
            Event::Tell(stage, macros) => self.tell(stage, macros, now),
            Event::Received(bytes) => self.receive(bytes, now),
            Event::Lost(why) => self.fail(Fault::new(why)),
            Event::TimedOut => self.fail(self.too_late()),
            Event::Unusable(why) => {
                self.lose(Fault::new(why));
                self.do_without();
            }
            Event::MessageOver => self.end_message(),
            Event::Quit => {
                if self.state == State::Ready {
                    self.send(b'Q');
                }
                self.state = State::Closed;
            }
        }
    }

    /// The next thing to do; drain until `None` after each event.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to say `TimedOut` at the latest, while an answer is awaited.
    pub fn deadline(&self) -> Option<Instant> {
        matches!(self.state, State::Negotiating | State::Waiting { .. }).then_some(self.deadline)
    }

    fn tell(&mut self, stage: Stage<'_>, macros: &Macros, now: Instant) {
        let step = stage.step();
        match &mut self.standing {
            Standing::Failed { .. } if stage.is_of_session() => return self.done(Outcome::Pass),
            Standing::Failed { spent } => {
                *spent = true;
                return self.do_without();
            }
            Standing::RefusedSession(outcome) => {
                let outcome = outcome.clone();
                return self.done(outcome);
            }
            Standing::AcceptedSession => return self.done(Outcome::Enough),
            Standing::AcceptedMessage if !stage.is_of_session() => {
                return self.done(Outcome::Enough);
            }
            Standing::AcceptedMessage | Standing::Asked => {}
        }
        if self.skipped == Some(step.letter) {
            return self.done(Outcome::Enough);
        }
        self.skipped = None;
        self.in_message |= !stage.is_of_session();
        let mut packets = Vec::new();
        if let Some(list) = step.list {
            let named = self.options.macros(list);
            macros.write(&mut packets, step.letter, list, named);
        }
        let hears = self.options.hears(step);
        if hears {
            stage.write(&mut packets, &self.options);
        }
        if !packets.is_empty() {
            self.actions.push_back(Action::Send(packets));
        }
        if !(hears && self.options.answers(step)) {
            return self.done(Outcome::Pass);
        }
        let of_session = stage.is_of_session();
        self.state = State::Waiting { step, of_session };
        if stage.is_content() {
            let since = *self.content.get_or_insert(now);
            self.wait(CONTENT, now);
            self.asked = since;
            self.extend(now);
        } else {
            self.wait(COMMAND, now);
        }
    }

    fn wait(&mut self, usual: Duration, now: Instant) {
        self.patience = self.timeout.unwrap_or(usual);
        self.asked = now;
        self.extend(now);
    }

    fn extend(&mut self, now: Instant) {
        let latest = self.asked.checked_add(LONGEST);
        let next = now.checked_add(self.patience);
        self.deadline = next.into_iter().chain(latest).min().unwrap_or(now);
    }

    fn too_late(&self) -> Fault {
        let all = self.asked.checked_add(LONGEST);
        Fault::new(if all.is_some_and(|all| self.deadline >= all) {
            format!(
                "no end of its answer in {} minutes, which is all that the filters of a message have together",
                LONGEST.as_secs() / 60
            )
        } else {
            format!("no answer in {} seconds", self.patience.as_secs())
        })
    }

    fn receive(&mut self, bytes: &[u8], now: Instant) {
        if self.state == State::Closed {
            return;
        }
        self.reader.feed(bytes);
        loop {
            let packet = match self.reader.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return,
                Err(fault) => return self.fail(fault),
            };
            if let Err(fault) = self.take(packet.0, &packet.1, now) {
                return self.fail(fault);
            }
        }
    }

    fn take(&mut self, letter: u8, payload: &[u8], now: Instant) -> Result<(), Fault> {
        let (step, of_session) = match self.state {
            State::Negotiating if letter == b'O' => {
                self.options = Options::parse(payload)?;
                return self.ready(Outcome::Pass);
            }
            State::Waiting { step, of_session } => (step, of_session),
            State::Negotiating | State::Ready | State::Closed => {
                return Err(Fault::new("it answers what it was not asked".to_owned()));
            }
        };
        let said = answer::read(letter, payload, step == Step::END_OF_MESSAGE)?;
        self.extend(now);
        self.count(&said)?;
        match said {
            Said::Progress => return Ok(()),
            Said::Quarantine(reason) => self.actions.push_back(Action::Hold(reason)),
            Said::Edit(edit) => self.actions.push_back(Action::Edit(edit)),
            Said::Continue => return self.ready(Outcome::Pass),
            Said::Skip => {
                self.skipped = Some(step.letter);
                return self.ready(Outcome::Enough);
            }
            Said::Accept => return self.accepted(of_session),
            Said::Discard if of_session => {
                let why = "it asks for a session to be discarded, which has no message";
                return Err(Fault::new(why.to_owned()));
            }
            Said::Discard => {
                let reason = "it asked for the message to be discarded".to_owned();
                self.actions.push_back(Action::Hold(reason));
                return self.accepted(of_session);
            }
            Said::Refuse(reply) if reply.code.value() == 421 => {
                return self.refused(Outcome::Close(reply), true);
            }
            Said::Refuse(reply) => return self.refused(Outcome::Refuse(reply), of_session),
            Said::Shutdown => {
                let reply = Reply::literal("421 4.7.0 Service unavailable - try again later");
                return self.refused(Outcome::Close(reply), true);
            }
        }
        Ok(())
    }

    /// Pieces of a body are bounded by its size.
    fn count(&mut self, said: &Said) -> Result<(), Fault> {
        let remark = match said {
            Said::Edit(Edit::Body(piece)) => piece.is_empty(),
            Said::Progress | Said::Quarantine(_) | Said::Edit(_) => true,
            _ => false,
        };
        self.remarks = self.remarks.saturating_add(usize::from(remark));
        if self.remarks > REMARKS {
            let why = format!("it says more than {REMARKS} things about one message");
            return Err(Fault::new(why));
        }
        Ok(())
    }

    fn accepted(&mut self, of_session: bool) -> Result<(), Fault> {
        self.standing = if of_session {
            Standing::AcceptedSession
        } else {
            Standing::AcceptedMessage
        };
        self.ready(Outcome::Enough)
    }

    fn refused(&mut self, outcome: Outcome, for_good: bool) -> Result<(), Fault> {
        if for_good {
            self.standing = Standing::RefusedSession(outcome.clone());
        }
        self.ready(outcome)
    }

    /// The question is answered; there must be nothing behind the answer.
    fn ready(&mut self, outcome: Outcome) -> Result<(), Fault> {
        if !self.reader.is_empty() {
            return Err(Fault::new("it says more than it was asked".to_owned()));
        }
        self.state = State::Ready;
        self.done(outcome);
        Ok(())
    }

    fn done(&mut self, outcome: Outcome) {
        self.actions.push_back(Action::Done(outcome));
    }

    /// What is said in the filter's place, is so of messages: a session goes on, and its first
    /// message hears of it.
    fn fail(&mut self, fault: Fault) {
        let state = self.state;
        self.lose(fault);
        match state {
            State::Ready => {}
            State::Waiting {
                of_session: false, ..
            } => self.do_without(),
            State::Closed | State::Negotiating | State::Waiting { .. } => self.done(Outcome::Pass),
        }
    }

    fn lose(&mut self, fault: Fault) {
        let spent = self.in_message || self.state == State::Ready;
        self.reset();
        self.standing = Standing::Failed { spent };
        self.actions.push_back(Action::Failed(fault.0));
    }

    /// In the filter's place.
    fn do_without(&mut self) {
        let outcome = match self.on_failure {
            OnFailure::Accept => Outcome::Enough,
            OnFailure::Tempfail => Outcome::Refuse(Reply::literal(
                "451 4.7.1 Service unavailable - try again later",
            )),
            OnFailure::Reject => Outcome::Refuse(Reply::literal("550 5.5.0 Service unavailable")),
            OnFailure::Quarantine => {
                let reason = "the milter gave no answer".to_owned();
                self.actions.push_back(Action::Hold(reason));
                Outcome::Enough
            }
        };
        self.done(outcome);
    }

    fn end_message(&mut self) {
        self.skipped = None;
        self.content = None;
        self.remarks = 0;
        if self.standing == Standing::AcceptedMessage {
            self.standing = Standing::Asked;
        }
        if std::mem::take(&mut self.in_message) && self.state == State::Ready {
            self.send(b'A');
        }
    }

    fn send(&mut self, letter: u8) {
        let mut packet = Vec::new();
        packet::write(&mut packet, letter, &[]);
        self.actions.push_back(Action::Send(packet));
    }
}
