//! Which message is tried when: the agent's scheduler, without clock, thread or file.
//!
//! Contract: `handle` one event, then `next_action` until `None`; `deadline` says when to ask `next_action` again at the latest. Every message
//! that is known is waiting, active or held; an active one comes back by [`Event::Finished`]. Connections grow from one to the
//! limit only while messages wait for them. A relayhost that does not answer is probed with one message, at first after
//! seconds, then less and less often; mail that arrives, and `flush`, bring the next probe forward. Users take turns.

use std::collections::{BTreeSet, HashMap};

use mail::clock::Timestamp;
use queue::retry::Schedule;
use spool::QueueId;

mod reach;
pub(in crate::agent) mod timetable;

use reach::Reach;
use timetable::{Ticket, Timetable};

/// Waiting messages a connection must have before another one is opened beside it.
const PER_CONNECTION: usize = 4;

/// The user of mail that is nobody's.
pub const NOBODY: u32 = u32::MAX;

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A message is in the spool, to be tried at `due` (now, if it is new).
    Arrived {
        id: QueueId,
        /// Whose it is; [`NOBODY`] if that is not known.
        user: u32,
        arrival: Timestamp,
        due: Timestamp,
        held: bool,
    },
    /// What an [`Action`] came to.
    Finished {
        id: QueueId,
        attempt: Attempt,
    },
    /// Try this message, or all, now.
    Flush(Option<QueueId>),
    /// By the administrator.
    Held(QueueId),
    Released(QueueId),
    Removed(QueueId),
    /// To be returned to its sender.
    Returned(QueueId),
}

/// The end of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attempt {
    /// It left the queue.
    Done,
    /// Some recipients wait until then.
    Deferred { until: Timestamp },
    /// No relayhost answered; nothing happened to the message.
    Unreached,
    /// Nobody can be told of its failure: it is kept, and not tried again.
    Held,
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Try to deliver it.
    Deliver(QueueId),
    /// Return it to its sender without another attempt: it is too old.
    Expire(QueueId),
    /// Return it to its sender without another attempt: the administrator said so.
    Bounce(QueueId),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waiting(Timestamp),
    /// `asks`: the relayhost is asked. `then`: what the administrator said meanwhile.
    Active {
        asks: bool,
        then: Then,
    },
    Held,
    /// Waits for its [`Action::Bounce`].
    Returning,
}

/// What becomes of a message that is still there after its attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    Wait,
    Hold,
    Return,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    user: u32,
    arrival: Timestamp,
    state: State,
}

/// The queue's timetable.
#[derive(Debug)]
pub struct Scheduler {
    retry: Schedule,
    limit: usize,
    messages: HashMap<QueueId, Message>,
    waiting: Timetable,
    returning: BTreeSet<QueueId>,
    relay: Reach,
    active: usize,
}

impl Scheduler {
    /// `limit`: connections at once.
    pub fn new(retry: Schedule, limit: usize) -> Self {
        Self {
            retry,
            limit,
            messages: HashMap::new(),
            waiting: Timetable::default(),
            returning: BTreeSet::new(),
            relay: Reach::Up,
            active: 0,
        }
    }

    /// Takes one event; `random` is any number, for jitter.
    pub fn handle(&mut self, event: Event, now: Timestamp, random: u32) {
        match event {
            Event::Arrived {
                id,
                user,
                arrival,
                due,
                held,
            } => {
                self.forget(id);
                let state = if held {
                    State::Held
                } else {
                    State::Waiting(due)
                };
                self.place(
                    id,
                    Message {
                        user,
                        arrival,
                        state,
                    },
                );
                self.relay.hurry(&self.retry);
            }
            Event::Finished { id, attempt } => self.finished(id, attempt, now, random),
            Event::Flush(None) => {
                self.relay = Reach::Up;
                for id in self.waiting.ids() {
                    self.set(id, State::Waiting(now));
                }
            }
            Event::Flush(Some(id)) => {
                if matches!(self.state(id), Some(State::Waiting(_))) {
                    self.relay = Reach::Up;
                    self.set(id, State::Waiting(now));
                }
            }
            Event::Held(id) => self.command(id, State::Held, Then::Hold),
            Event::Returned(id) => self.command(id, State::Returning, Then::Return),
            Event::Released(id) => match self.state(id) {
                Some(State::Active { .. }) => self.command(id, State::Held, Then::Wait),
                Some(State::Held) => self.set(id, State::Waiting(now)),
                _ => {}
            },
            Event::Removed(id) => match self.state(id) {
                // The attempt's end finds the message gone.
                Some(State::Active { .. }) | None => {}
                Some(_) => self.forget(id),
            },
        }
    }

    /// What the administrator says about a message; one that is being tried comes back first.
    fn command(&mut self, id: QueueId, now: State, later: Then) {
        match self.state(id) {
            Some(State::Active { asks, .. }) => self.set(id, State::Active { asks, then: later }),
            Some(_) => self.set(id, now),
            None => {}
        }
    }

    /// The next thing to do; ask until `None`.
    pub fn next_action(&mut self, now: Timestamp) -> Option<Action> {
        if self.startable(now)
            && let Some(id) = self.waiting.take_turn(now)
        {
            self.start(id, true);
            return Some(Action::Deliver(id));
        }
        if self.active >= self.limit {
            return None;
        }
        if let Some(&id) = self.returning.first() {
            self.start(id, false);
            return Some(Action::Bounce(id));
        }
        let (arrival, id) = self.waiting.oldest()?;
        // One that is due and can be tried gets its last attempt instead.
        if self.retry.expired(arrival, now) {
            self.start(id, false);
            return Some(Action::Expire(id));
        }
        None
    }

    /// When something falls due next; `None` while the end of an attempt decides that.
    pub fn deadline(&self) -> Option<Timestamp> {
        if self.active > 0 {
            return None;
        }
        let due = self.waiting.earliest()?;
        let due = match self.relay {
            Reach::Down { until, .. } => until.max(due),
            Reach::Up => due,
        };
        let (arrival, _) = self.waiting.oldest()?;
        Some(due.min(arrival.after(self.retry.lifetime)))
    }

    /// Messages being tried.
    pub fn active(&self) -> usize {
        self.active
    }

    /// Whether one more attempt may start now.
    fn startable(&self, now: Timestamp) -> bool {
        match self.relay {
            // A probe is one message alone.
            Reach::Down { until, .. } => until <= now && self.active == 0,
            Reach::Up if self.active == 0 => true,
            Reach::Up => {
                let enough = self.active.saturating_mul(PER_CONNECTION);
                self.active < self.limit && self.waiting.are_due(enough, now)
            }
        }
    }

    fn start(&mut self, id: QueueId, asks: bool) {
        let then = Then::Wait;
        self.set(id, State::Active { asks, then });
    }

    fn finished(&mut self, id: QueueId, attempt: Attempt, now: Timestamp, random: u32) {
        let Some(State::Active { asks, then }) = self.state(id) else {
            return;
        };
        if attempt == Attempt::Unreached {
            self.relay.failed(&self.retry, now, random);
        } else if asks {
            self.relay = Reach::Up;
        }
        match (attempt, then) {
            (Attempt::Done, _) => self.forget(id),
            (_, Then::Return) => self.set(id, State::Returning),
            (Attempt::Held, _) | (_, Then::Hold) => self.set(id, State::Held),
            (Attempt::Deferred { until }, Then::Wait) => self.set(id, State::Waiting(until)),
            (Attempt::Unreached, Then::Wait) => self.set(id, State::Waiting(now)),
        }
    }

    fn state(&self, id: QueueId) -> Option<State> {
        self.messages.get(&id).map(|message| message.state)
    }

    fn set(&mut self, id: QueueId, state: State) {
        if let Some(message) = self.forget_message(id) {
            self.place(id, Message { state, ..message });
        }
    }

    fn place(&mut self, id: QueueId, message: Message) {
        match message.state {
            State::Waiting(due) => self.waiting.insert(ticket(id, &message, due)),
            State::Active { .. } => self.active = self.active.saturating_add(1),
            State::Returning => {
                self.returning.insert(id);
            }
            State::Held => {}
        }
        self.messages.insert(id, message);
    }

    fn forget(&mut self, id: QueueId) {
        self.forget_message(id);
    }

    fn forget_message(&mut self, id: QueueId) -> Option<Message> {
        let message = self.messages.remove(&id)?;
        match message.state {
            State::Waiting(due) => self.waiting.remove(ticket(id, &message, due)),
            State::Active { .. } => self.active = self.active.saturating_sub(1),
            State::Returning => {
                self.returning.remove(&id);
            }
            State::Held => {}
        }
        Some(message)
    }
}

fn ticket(id: QueueId, message: &Message, due: Timestamp) -> Ticket {
    Ticket {
        id,
        user: message.user,
        arrival: message.arrival,
        due,
    }
}

#[cfg(test)]
mod tests;
