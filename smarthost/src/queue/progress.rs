//! What becomes of messages: accepted or recovered, loaded, delivered, deferred, bounced.

use std::sync::Arc;

use mail::{
    clock::Timestamp,
    outcome::{Failure, Outcome},
    status::EnhancedStatus,
};
use spool::{self, QueueId, Settlement};

use crate::{
    destination::Destination,
    queue::{
        Action, Queue, Routed, Waiting,
        lane::{Job, Setback, Suspension},
        machine::Flight,
        message::{Message, Pending, State},
    },
};

/// Recipients of one transaction (RFC 5321 §4.5.3.1.8: every server takes 100).
const TRANSACTION: usize = 100;

impl Queue {
    pub(super) fn recovered(
        &mut self,
        id: QueueId,
        arrival: Timestamp,
        held: bool,
        waiting: &[Waiting],
    ) {
        if self.messages.contains_key(&id) || waiting.is_empty() {
            return;
        }
        let pending = waiting.iter().map(|waiting| {
            let state = State::Waiting(waiting.until.unwrap_or(arrival));
            Pending {
                recipient: waiting.recipient,
                state,
            }
        });
        self.messages
            .insert(id, Message::new(arrival, held, pending.collect()));
        self.settle(id);
    }

    pub(super) fn accepted(
        &mut self,
        id: QueueId,
        arrival: Timestamp,
        routed: Vec<Routed>,
        now: Timestamp,
    ) {
        if self.messages.contains_key(&id) || routed.is_empty() {
            return;
        }
        let pending = routed.iter().map(|routed| Pending {
            recipient: routed.recipient,
            state: State::Loading,
        });
        self.messages
            .insert(id, Message::new(arrival, false, pending.collect()));
        self.distribute(id, routed, false, now);
    }

    pub(super) fn loaded(&mut self, id: QueueId, routed: Vec<Routed>, now: Timestamp) {
        if self.loading.remove(&id) {
            self.distribute(id, routed, true, now);
        }
    }

    pub(super) fn load_failed(&mut self, id: QueueId, failure: Failure, now: Timestamp) {
        if self.loading.remove(&id) {
            let recipients = self.loading_recipients(id);
            self.defer(id, recipients, failure, None, now);
            self.settle(id);
        }
    }

    pub(super) fn gone(&mut self, id: QueueId) {
        self.loading.remove(&id);
        if let Some(message) = self.messages.remove(&id)
            && let Some(due) = message.due
        {
            self.due.remove(&(due, id));
        }
    }

    fn loading_recipients(&mut self, id: QueueId) -> Vec<u32> {
        let message = self.messages.get_mut(&id);
        message
            .map(|m| m.shift(|state| state == State::Loading, State::Loading))
            .unwrap_or_default()
    }

    /// Puts the recipients that were being loaded into the lanes of their destinations.
    fn distribute(&mut self, id: QueueId, routed: Vec<Routed>, loaded: bool, now: Timestamp) {
        let mut asked = self.loading_recipients(id);
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        if message.held {
            message.set(&asked, State::Waiting(now));
            self.settle(id);
            return;
        }
        let flushed = std::mem::take(&mut message.flushed);
        let mut jobs: Vec<(Arc<Destination>, Vec<u32>)> = Vec::new();
        for Routed {
            recipient,
            destination,
        } in routed
        {
            let Some(place) = asked.iter().position(|asked| *asked == recipient) else {
                continue;
            };
            asked.swap_remove(place);
            match destination {
                Ok(destination) => match jobs
                    .iter_mut()
                    .find(|(to, list)| *to == destination && list.len() < TRANSACTION)
                {
                    Some((_, recipients)) => recipients.push(recipient),
                    None => jobs.push((destination, vec![recipient])),
                },
                Err(failure) => self.outcome(id, vec![recipient], failure, now),
            }
        }
        let missing = Failure::local(
            EnhancedStatus::new(4, 3, 0),
            "the recipient could not be read from the queue file",
        );
        self.defer(id, asked, missing, None, now);
        for (destination, recipients) in jobs {
            let suspension = self.lanes.suspension(&destination, now).cloned();
            match suspension.filter(|_| !flushed) {
                Some(suspension) => self.defer_suspended(id, recipients, &suspension, now),
                None => self.enqueue(id, &destination, recipients, loaded, now),
            }
        }
        self.settle(id);
    }

    fn enqueue(
        &mut self,
        id: QueueId,
        to: &Arc<Destination>,
        recipients: Vec<u32>,
        loaded: bool,
        now: Timestamp,
    ) {
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        message.set(&recipients, State::Queued);
        self.window += usize::from(loaded);
        self.lanes.push(
            to,
            Job {
                id,
                epoch: message.epoch,
                recipients,
                loaded,
            },
            now,
        );
    }

    pub(super) fn finished(&mut self, ticket: u64, outcomes: Vec<Outcome>, now: Timestamp) {
        let Some(flight) = self.flying.remove(&ticket) else {
            return;
        };
        self.judge(&flight.destination, &outcomes, now);
        let Flight { id, recipients, .. } = flight;
        if self.removed_in_flight(id, &recipients, &outcomes) {
            return;
        }
        let mut deferred: Vec<(Failure, Vec<u32>)> = Vec::new();
        let mut outcomes = outcomes.into_iter();
        for recipient in recipients {
            match outcomes.next().unwrap_or_else(unknown) {
                Outcome::Delivered(_) => self.settled(id, &[recipient], Settlement::Delivered),
                Outcome::Failed(failure) => self.fail(id, &[recipient], &failure),
                Outcome::Deferred(failure) => {
                    match deferred.iter_mut().find(|(other, _)| *other == failure) {
                        Some((_, recipients)) => recipients.push(recipient),
                        None => deferred.push((failure, vec![recipient])),
                    }
                }
            }
        }
        for (failure, recipients) in deferred {
            self.defer(id, recipients, failure, None, now);
        }
        self.settle(id);
    }

    /// What a delivery says about its destination.
    fn judge(&mut self, destination: &Arc<Destination>, outcomes: &[Outcome], now: Timestamp) {
        let drained = match outcomes
            .iter()
            .find_map(setback)
            .filter(|_| !outcomes.iter().any(delivered))
        {
            None => self
                .lanes
                .worked(destination, outcomes.iter().any(answered)),
            Some(failure) => match self.lanes.failed(destination, failure, now) {
                Setback::Slower => false,
                Setback::Suspended(suspension, jobs) => {
                    self.actions.push_back(Action::Suspended {
                        destination: Arc::clone(destination),
                        until: suspension.until,
                        reason: suspension.failure.log_text().into(),
                    });
                    for job in jobs {
                        self.window -= usize::from(job.loaded);
                        if self
                            .messages
                            .get(&job.id)
                            .is_some_and(|message| message.epoch == job.epoch)
                        {
                            self.defer_suspended(job.id, job.recipients, &suspension, now);
                            self.settle(job.id);
                        }
                    }
                    true
                }
            },
        };
        if drained {
            self.actions
                .push_back(Action::Drained(Arc::clone(destination)));
        }
    }

    /// Recipients that wait because their destination is suspended: until a little after its end.
    fn defer_suspended(
        &mut self,
        id: QueueId,
        recipients: Vec<u32>,
        suspension: &Suspension,
        now: Timestamp,
    ) {
        let spread = suspension.until.since(now) / 5;
        let until = suspension
            .until
            .after(spread.saturating_mul(self.random.next() % 1000) / 1000);
        let wait = Some((until, Arc::clone(&suspension.reason)));
        self.defer(id, recipients, suspension.failure.clone(), wait, now);
    }

    /// A failure without an attempt: for good or not, as its status says.
    fn outcome(&mut self, id: QueueId, recipients: Vec<u32>, failure: Failure, now: Timestamp) {
        match failure.outcome() {
            Outcome::Failed(failure) => self.fail(id, &recipients, &failure),
            Outcome::Deferred(failure) => self.defer(id, recipients, failure, None, now),
            Outcome::Delivered(_) => {}
        }
    }

    /// Recipients wait (`wait`: until when and why, if not as the schedule and the failure say), or are given up if they waited too long.
    pub(super) fn defer(
        &mut self,
        id: QueueId,
        recipients: Vec<u32>,
        failure: Failure,
        wait: Option<(Timestamp, Arc<str>)>,
        now: Timestamp,
    ) {
        let Some(message) = self
            .messages
            .get_mut(&id)
            .filter(|_| !recipients.is_empty())
        else {
            return;
        };
        if self.settings.schedule.expired(message.arrival, now) {
            message.expired = true;
            self.fail(id, &recipients, &failure.expired());
            return;
        }
        let late = |warning| now.since(message.arrival) >= warning;
        if !message.warned && self.settings.warning.is_some_and(late) {
            let told = recipients
                .iter()
                .map(|&recipient| (recipient, failure.clone()));
            message.late.extend(told);
        }
        let (until, reason) = wait.unwrap_or_else(|| {
            let until = self
                .settings
                .schedule
                .next(message.arrival, now, self.random.next());
            (until, failure.log_text().into())
        });
        message.set(&recipients, State::Waiting(until));
        self.actions.push_back(Action::Record {
            id,
            event: spool::Event::Deferred {
                recipients,
                until,
                reason,
            },
        });
    }

    fn fail(&mut self, id: QueueId, recipients: &[u32], failure: &Failure) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.set(recipients, State::Failed);
            message.failed.extend(
                recipients
                    .iter()
                    .map(|recipient| (*recipient, failure.clone())),
            );
        }
    }

    fn settled(&mut self, id: QueueId, recipients: &[u32], settlement: Settlement) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.settle(recipients);
            for &recipient in recipients {
                let event = spool::Event::Settled {
                    recipient,
                    settlement,
                };
                self.actions.push_back(Action::Record { id, event });
            }
        }
    }

    pub(super) fn bounced(&mut self, id: QueueId) {
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        let recipients = std::mem::take(&mut message.bouncing);
        if message.deleted.is_some() {
            message.settle(&recipients);
        } else {
            self.settled(id, &recipients, Settlement::Bounced);
        }
        self.settle(id);
    }

    /// The recipients are tried again later: they fail again, and then there may be room for the bounce.
    pub(super) fn bounce_failed(&mut self, id: QueueId, now: Timestamp) {
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        let recipients = std::mem::take(&mut message.bouncing);
        if let Some(deleted) = &mut message.deleted {
            *deleted += recipients.len();
            message.settle(&recipients);
            self.settle(id);
            return;
        }
        let until = now.after(self.settings.schedule.minimal);
        let reason = "undeliverable, but the bounce could not be queued".into();
        message.set(&recipients, State::Waiting(until));
        if !recipients.is_empty() {
            self.actions.push_back(Action::Record {
                id,
                event: spool::Event::Deferred {
                    recipients,
                    until,
                    reason,
                },
            });
        }
        self.settle(id);
    }

    /// The sender was warned: once for each message, restarts included.
    pub(super) fn warned(&mut self, id: QueueId) {
        if self.messages.contains_key(&id) {
            self.actions.push_back(Action::Record {
                id,
                event: spool::Event::Warned,
            });
        }
    }

    pub(super) fn set_warned(&mut self, id: QueueId, warned: bool) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.warned = warned;
        }
    }
}

/// The driver owes an outcome for each recipient.
fn unknown() -> Outcome {
    let text = "the delivery ended without an outcome";
    Failure::local(EnhancedStatus::new(4, 3, 0), text).outcome()
}

fn delivered(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Delivered(_))
}

/// Whether the destination took part: it delivered, or replied.
fn answered(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Delivered(_) => true,
        Outcome::Deferred(failure) | Outcome::Failed(failure) => failure.reply.is_some(),
    }
}

/// The failure, if it speaks against trying the destination again now.
fn setback(outcome: &Outcome) -> Option<&Failure> {
    let Outcome::Deferred(failure) = outcome else {
        return None;
    };
    failure.stops_destination().then_some(failure)
}
