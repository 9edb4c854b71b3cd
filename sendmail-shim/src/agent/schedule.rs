//! Which message is tried when: the agent's scheduler, without clock, thread or file.
//!
//! Contract: `handle` one event, then `next_action` until `None`; `deadline` says when to ask `next_action` again at the latest. Every message
//! that is known is waiting, active or held; an active one comes back by [`Event::Finished`]. Connections grow from one to the
//! limit only while messages wait for them. A relayhost that does not answer is probed with one message, at first after
//! seconds, then less and less often; mail that arrives, and `flush`, bring the next probe forward.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use shared::{clock::Timestamp, retry::Schedule, spool::QueueId};

/// Waiting messages a connection must have before another one is opened beside it.
const PER_CONNECTION: usize = 4;
/// First pause after a relayhost did not answer, and the least between two attempts to reach it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause between two attempts to reach the relayhost.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A message is in the spool, to be tried at `due` (now, if it is new).
    Arrived {
        id: QueueId,
        arrival: Timestamp,
        due: Timestamp,
        held: bool,
    },
    /// What [`Action::Deliver`] or [`Action::Expire`] came to.
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
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waiting(Timestamp),
    /// `held`: the administrator said so meanwhile. `returned`: it is too old, and no relayhost is asked.
    Active {
        held: bool,
        returned: bool,
    },
    Held,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    arrival: Timestamp,
    state: State,
}

/// The relayhost, as far as we know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Relay {
    Up,
    /// Not before `until`; `failures` in a row, the last one at `last`.
    Down {
        until: Timestamp,
        last: Timestamp,
        failures: u32,
    },
}

/// The queue's timetable.
#[derive(Debug)]
pub struct Scheduler {
    retry: Schedule,
    limit: usize,
    messages: HashMap<QueueId, Message>,
    due: BTreeSet<(Timestamp, QueueId)>,
    ages: BTreeSet<(Timestamp, QueueId)>,
    relay: Relay,
    active: usize,
}

impl Scheduler {
    /// `limit`: connections at once.
    pub fn new(retry: Schedule, limit: usize) -> Self {
        Self {
            retry,
            limit,
            messages: HashMap::new(),
            due: BTreeSet::new(),
            ages: BTreeSet::new(),
            relay: Relay::Up,
            active: 0,
        }
    }

    /// Takes one event; `random` is any number, for jitter.
    pub fn handle(&mut self, event: Event, now: Timestamp, random: u32) {
        match event {
            Event::Arrived {
                id,
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
                self.place(id, Message { arrival, state });
                self.hurry();
            }
            Event::Finished { id, attempt } => self.finished(id, attempt, now, random),
            Event::Flush(None) => {
                self.relay = Relay::Up;
                let waiting: Vec<_> = self.due.iter().map(|&(_, id)| id).collect();
                for id in waiting {
                    self.set(id, State::Waiting(now));
                }
            }
            Event::Flush(Some(id)) => {
                if matches!(self.state(id), Some(State::Waiting(_))) {
                    self.relay = Relay::Up;
                    self.set(id, State::Waiting(now));
                }
            }
            Event::Held(id) => match self.state(id) {
                Some(State::Active { returned, .. }) => {
                    self.set(
                        id,
                        State::Active {
                            held: true,
                            returned,
                        },
                    );
                }
                Some(_) => self.set(id, State::Held),
                None => {}
            },
            Event::Released(id) => match self.state(id) {
                Some(State::Active { returned, .. }) => {
                    self.set(
                        id,
                        State::Active {
                            held: false,
                            returned,
                        },
                    );
                }
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

    /// The next thing to do; ask until `None`.
    pub fn next_action(&mut self, now: Timestamp) -> Option<Action> {
        let startable = self.startable(now);
        if startable
            && let Some(&(due, id)) = self.due.first()
            && due <= now
        {
            self.set(
                id,
                State::Active {
                    held: false,
                    returned: false,
                },
            );
            return Some(Action::Deliver(id));
        }
        let &(arrival, id) = self.ages.first()?;
        // One that is due and can be tried gets its last attempt instead.
        if self.retry.expired(arrival, now) && self.active < self.limit {
            self.set(
                id,
                State::Active {
                    held: false,
                    returned: true,
                },
            );
            return Some(Action::Expire(id));
        }
        None
    }

    /// When something falls due next; `None` while the end of an attempt decides that.
    pub fn deadline(&self) -> Option<Timestamp> {
        if self.active > 0 {
            return None;
        }
        let (due, _) = self.due.first()?;
        let due = match self.relay {
            Relay::Down { until, .. } => until.max(*due),
            Relay::Up => *due,
        };
        let expiry = self
            .ages
            .first()
            .map(|(arrival, _)| arrival.after(self.retry.lifetime));
        Some(expiry.map_or(due, |expiry| expiry.min(due)))
    }

    /// Whether the relayhost did not answer when it was last asked.
    pub fn is_down(&self) -> bool {
        self.relay != Relay::Up
    }

    /// Messages being tried.
    pub fn active(&self) -> usize {
        self.active
    }

    /// Whether one more attempt may start now.
    fn startable(&self, now: Timestamp) -> bool {
        match self.relay {
            // A probe is one message alone.
            Relay::Down { until, .. } => until <= now && self.active == 0,
            Relay::Up if self.active == 0 => true,
            Relay::Up => {
                let enough = self.active.saturating_mul(PER_CONNECTION);
                self.active < self.limit
                    && self
                        .due
                        .iter()
                        .take_while(|(due, _)| *due <= now)
                        .take(enough)
                        .count()
                        == enough
            }
        }
    }

    fn finished(&mut self, id: QueueId, attempt: Attempt, now: Timestamp, random: u32) {
        let Some(State::Active { held, returned }) = self.state(id) else {
            return;
        };
        if attempt == Attempt::Unreached {
            self.unreached(now, random);
        } else if !returned {
            self.relay = Relay::Up;
        }
        match attempt {
            Attempt::Done => self.forget(id),
            Attempt::Held => self.set(id, State::Held),
            Attempt::Deferred { .. } | Attempt::Unreached if held => self.set(id, State::Held),
            Attempt::Deferred { until } => self.set(id, State::Waiting(until)),
            Attempt::Unreached => self.set(id, State::Waiting(now)),
        }
    }

    /// Doubles the pause, with ±20 % jitter.
    fn unreached(&mut self, now: Timestamp, random: u32) {
        let failures = match self.relay {
            Relay::Up => 0,
            // Several connections failed together: that is one failure.
            Relay::Down {
                until, failures, ..
            } if until > now => failures.saturating_sub(1),
            Relay::Down { failures, .. } => failures,
        };
        let pause = self
            .first_pause()
            .saturating_mul(1 << failures.min(10))
            .min(LONGEST_PAUSE)
            .min(self.retry.maximal);
        let pause = pause.saturating_mul(8000 + random % 4001) / 10_000;
        self.relay = Relay::Down {
            until: now.after(pause),
            last: now,
            failures: failures.saturating_add(1),
        };
    }

    fn first_pause(&self) -> Duration {
        FIRST_PAUSE.min(self.retry.minimal)
    }

    /// New mail may be what brings the news that the relayhost is back.
    fn hurry(&mut self) {
        let pause = self.first_pause();
        if let Relay::Down { until, last, .. } = &mut self.relay {
            *until = (*until).min(last.after(pause));
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
            State::Waiting(due) => {
                self.due.insert((due, id));
                self.ages.insert((message.arrival, id));
            }
            State::Active { .. } => self.active = self.active.saturating_add(1),
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
            State::Waiting(due) => {
                self.due.remove(&(due, id));
                self.ages.remove(&(message.arrival, id));
            }
            State::Active { .. } => self.active = self.active.saturating_sub(1),
            State::Held => {}
        }
        Some(message)
    }
}

#[cfg(test)]
mod tests;
