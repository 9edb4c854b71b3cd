//! The machine's face, and the order of what is due.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use mail::clock::Timestamp;
use spool::QueueId;

use crate::{
    destination::Destination,
    queue::{
        Action, Delivery, Event, Settings,
        lane::{Job, Lanes},
        message::{Message, State},
        random::Random,
    },
};

/// Envelopes that are being read at once.
const LOADS: usize = 32;
/// Jobs from loads that wait in lanes: beyond it, what is due stays in the spool.
const WINDOW: usize = 1000;

/// The queue.
#[derive(Debug)]
pub struct Queue {
    pub(super) settings: Settings,
    pub(super) random: Random,
    pub(super) messages: HashMap<QueueId, Message>,
    /// Messages with waiting recipients, that are not held, by when the first is due.
    pub(super) due: BTreeSet<(Timestamp, QueueId)>,
    pub(super) loading: HashSet<QueueId>,
    pub(super) lanes: Lanes,
    /// Jobs from loads in lanes.
    pub(super) window: usize,
    pub(super) flying: HashMap<u64, Flight>,
    pub(super) tickets: u64,
    pub(super) actions: VecDeque<Action>,
}

/// A delivery on its way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) id: QueueId,
    pub(super) recipients: Vec<u32>,
    pub(super) destination: Arc<Destination>,
}

impl Queue {
    /// `seed`: randomness for jitter.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            random: Random::new(seed),
            messages: HashMap::new(),
            due: BTreeSet::new(),
            loading: HashSet::new(),
            lanes: Lanes::new(settings),
            window: 0,
            flying: HashMap::new(),
            tickets: 0,
            actions: VecDeque::new(),
        }
    }

    /// Takes one event. Events about messages that are not known are ignored.
    pub fn handle(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Recovered {
                id,
                arrival,
                held,
                warned,
                waiting,
            } => {
                self.recovered(id, arrival, held, &waiting);
                self.set_warned(id, warned);
            }
            Event::Accepted {
                id,
                arrival,
                recipients,
            } => self.accepted(id, arrival, recipients, now),
            Event::Loaded { id, recipients } => self.loaded(id, recipients, now),
            Event::LoadFailed { id, failure } => self.load_failed(id, failure, now),
            Event::Gone { id } => self.gone(id),
            Event::Finished { ticket, outcomes } => self.finished(ticket, outcomes, now),
            Event::Bounced { id } => self.bounced(id),
            Event::BounceFailed { id } => self.bounce_failed(id, now),
            Event::Warned { id } => self.warned(id),
            Event::WarnFailed { id } => self.set_warned(id, false),
            Event::FlushAll => self.flush_all(now),
            Event::Flush { id } => self.flush(id, now),
            Event::Hold { id } => self.hold(id, now),
            Event::Release { id } => self.release(id),
            Event::Remove { id } => self.remove(id),
            Event::TimedOut => {}
        }
        self.load_due(now);
        self.dispatch();
    }

    /// The next thing to do; drain until `None` after each event.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What is to be recorded so far, in order. It may go ahead of all other actions.
    pub fn take_records(&mut self) -> Vec<(QueueId, spool::Event)> {
        let mut records = Vec::new();
        self.actions.retain(|action| {
            let Action::Record { id, event } = action else {
                return true;
            };
            records.push((*id, event.clone()));
            false
        });
        records
    }

    /// When to say `TimedOut` at the latest.
    pub fn deadline(&self) -> Option<Timestamp> {
        // While the window is full, the end of a load or of a delivery goes on with what is due.
        if self.may_load() {
            self.due.first().map(|(due, _)| *due)
        } else {
            None
        }
    }

    /// Whether a delivery of this message is scheduled or in flight now (`*` in `mailq`).
    pub fn is_active(&self, id: QueueId) -> bool {
        let on_its_way = |state| matches!(state, State::Loading | State::Queued | State::Flying);
        self.messages
            .get(&id)
            .is_some_and(|message| message.any(on_its_way))
    }

    /// Whether it is known.
    pub fn contains(&self, id: QueueId) -> bool {
        self.messages.contains_key(&id)
    }

    /// All messages, in no order.
    pub fn ids(&self) -> Vec<QueueId> {
        self.messages.keys().copied().collect()
    }

    /// Messages in the queue.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Deliveries in flight.
    pub fn in_flight(&self) -> usize {
        self.flying.len()
    }

    fn may_load(&self) -> bool {
        self.loading.len() < LOADS && self.window < WINDOW
    }

    /// Asks for the envelopes of what is due, oldest first.
    fn load_due(&mut self, now: Timestamp) {
        while self.may_load() {
            let Some(&(due, id)) = self.due.first() else {
                return;
            };
            if due > now {
                return;
            }
            self.due.pop_first();
            let Some(message) = self.messages.get_mut(&id) else {
                continue;
            };
            message.due = None;
            let recipients = message.shift(
                |state| matches!(state, State::Waiting(at) if at <= now),
                State::Loading,
            );
            self.loading.insert(id);
            self.actions.push_back(Action::Load { id, recipients });
        }
    }

    /// Starts deliveries as long as the limits allow, destinations in turns.
    fn dispatch(&mut self) {
        while self.flying.len() < self.settings.deliveries {
            let Some((destination, job)) = self.lanes.next() else {
                return;
            };
            self.window -= usize::from(job.loaded);
            let Some(message) = self
                .messages
                .get_mut(&job.id)
                .filter(|m| m.epoch == job.epoch)
            else {
                if self.lanes.void(&destination) {
                    self.actions.push_back(Action::Drained(destination));
                }
                continue;
            };
            message.set(&job.recipients, State::Flying);
            self.tickets += 1;
            let flight = Flight {
                id: job.id,
                recipients: job.recipients.clone(),
                destination: Arc::clone(&destination),
            };
            self.flying.insert(self.tickets, flight);
            let Job { id, recipients, .. } = job;
            self.actions.push_back(Action::Deliver(Delivery {
                ticket: self.tickets,
                id,
                recipients,
                destination,
            }));
        }
    }

    /// After any change of a message: its place among what is due, its bounce, its end.
    pub(super) fn settle(&mut self, id: QueueId) {
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        if let Some(due) = message.due.take() {
            self.due.remove(&(due, id));
        }
        let on_its_way =
            message.any(|state| matches!(state, State::Loading | State::Queued | State::Flying));
        if message.recipients.is_empty() {
            let deleted = message.deleted.unwrap_or_default();
            self.messages.remove(&id);
            self.actions.push_back(Action::Ended { id, deleted });
            return;
        }
        if !message.late.is_empty() && !on_its_way {
            let late = std::mem::take(&mut message.late);
            message.warned = true;
            self.actions.push_back(Action::Warn { id, late });
        }
        if !message.failed.is_empty() && !on_its_way && message.bouncing.is_empty() {
            let failed = std::mem::take(&mut message.failed);
            message.bouncing = failed.iter().map(|(recipient, _)| *recipient).collect();
            let expired = std::mem::take(&mut message.expired);
            self.actions.push_back(Action::Bounce {
                id,
                failed,
                expired,
            });
        }
        if !message.held && !self.loading.contains(&id) {
            message.due = message.first_due();
            self.due.extend(message.due.map(|due| (due, id)));
        }
    }
}
