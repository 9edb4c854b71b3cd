//! What becomes of messages: accepted or recovered, loaded, delivered.

use std::{hash::Hash, sync::Arc, time::Duration};

use mail::{
    clock::Timestamp,
    outcome::{Blame, Failure, Outcome},
};
use spool::{QueueId, Settlement};

use crate::{
    Action, Origin, Queue, Recovered, Routed, Waiting,
    destination::Job,
    gathered::Gathered,
    message::{Message, Pending, State},
    site::Suspension,
    slots::{Setback, Underway},
};

/// A delivery that got no reply after so long has met silence, not a connection that broke.
const SILENCE: Duration = Duration::from_secs(8);
/// Among so many failures one alike is looked for.
const ALIKE: usize = 100;

impl<D: Eq + Hash, O: Copy + Ord + Hash> Queue<D, O> {
    pub(crate) fn recovered(&mut self, found: Recovered<O>, now: Timestamp) {
        let id = found.id;
        if self.messages.contains_key(&id) || found.waiting.is_empty() {
            return;
        }
        // What is returned waits for nobody.
        let until = |waiting: &Waiting| waiting.until.filter(|_| !found.returned);
        let pending = found.waiting.iter().map(|waiting| Pending {
            recipient: waiting.recipient,
            // What was not tried yet is due, also where it came by a clock that was ahead.
            state: State::Waiting(until(waiting).unwrap_or(found.arrival.min(now))),
            lifetime: None,
        });
        let mut message = Message::new(found.owner, found.arrival, now, pending.collect());
        message.held = found.held;
        if found.returned {
            message.news().returned = Some(Failure::by_order(None));
        }
        message.warned = found.warned;
        message.kept = found.kept;
        // Whoever wrote these times may have had a clock that was ahead.
        message.bound(message.longest_wait(self.longest_wait()), now);
        self.messages.insert(id, message);
        self.settle(id, now);
    }

    pub(crate) fn accepted(
        &mut self,
        id: QueueId,
        arrival: Timestamp,
        origin: Origin<O>,
        routed: Vec<Routed<D>>,
        now: Timestamp,
    ) {
        if self.messages.contains_key(&id) || routed.is_empty() {
            return;
        }
        if self.settings.back_off.stays {
            let destinations = routed.iter().filter_map(|it| it.destination.as_ref().ok());
            destinations.for_each(|to| self.destinations.hurry(to, origin.sender));
        }
        // Behind what its owner has in the spool; one relayhost takes all of it in its order.
        let behind = self.settings.back_off.stays && self.has_due(origin.owner, now);
        let state = if behind {
            State::Waiting(now)
        } else {
            State::Loading
        };
        let pending = routed.iter().map(|routed| Pending {
            recipient: routed.recipient,
            state,
            lifetime: None,
        });
        let mut message = Message::new(origin.owner, arrival, arrival, pending.collect());
        message.unreturnable = origin.unreturnable;
        self.messages.insert(id, message);
        self.fresh.insert(id);
        if behind {
            self.settle(id, now);
        } else {
            self.distribute(id, (routed, origin.sender), false, now);
        }
    }

    /// Whether mail of this owner is due that is not among the jobs yet.
    fn has_due(&self, owner: O, now: Timestamp) -> bool {
        let is_its = |id: &QueueId| {
            self.messages
                .get(id)
                .is_some_and(|message| message.owner == owner)
        };
        self.due.has_due(owner, now) || self.loading.iter().any(is_its)
    }

    pub(crate) fn loaded(
        &mut self,
        id: QueueId,
        origin: Origin<O>,
        routed: Vec<Routed<D>>,
        now: Timestamp,
    ) {
        if !self.loading.remove(&id) {
            return;
        }
        if let Some(message) = self.messages.get_mut(&id) {
            message.owner = origin.owner;
            message.unreturnable = origin.unreturnable;
        }
        self.distribute(id, (routed, origin.sender), true, now);
    }

    pub(crate) fn load_failed(
        &mut self,
        id: QueueId,
        failure: Failure,
        damaged: bool,
        now: Timestamp,
    ) {
        if self.loading.remove(&id) {
            let recipients = self.loading_recipients(id);
            if damaged {
                self.defer(id, recipients, failure, now);
            } else {
                self.put_off(id, recipients, failure, now);
            }
            self.settle(id, now);
        }
    }

    pub(crate) fn gone(&mut self, id: QueueId) {
        self.loading.remove(&id);
        self.behind.remove(&id);
        if let Some(message) = self.messages.remove(&id)
            && let Some(due) = message.due
        {
            self.due.remove(message.owner, due, id);
        }
    }

    fn loading_recipients(&mut self, id: QueueId) -> Vec<u32> {
        let message = self.messages.get_mut(&id);
        message
            .map(|m| m.shift(|state| state == State::Loading, State::Loading))
            .unwrap_or_default()
    }

    /// Puts the recipients that were being loaded among the jobs of their destinations.
    fn distribute(
        &mut self,
        id: QueueId,
        (routed, sender): (Vec<Routed<D>>, u64),
        loaded: bool,
        now: Timestamp,
    ) {
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        if message.held {
            message.shift(|it| it == State::Loading, State::Waiting(now));
            self.settle(id, now);
            return;
        }
        if let Some(failure) = message.returned().cloned() {
            let asked = self.loading_recipients(id);
            self.fail(id, &asked, &failure);
            self.settle(id, now);
            return;
        }
        let flushed = std::mem::take(&mut message.flushed);
        let mut gathered = Gathered::default();
        let mut unrouted: Vec<(Failure, Vec<u32>)> = Vec::new();
        for Routed {
            recipient,
            destination,
            lifetime,
        } in routed
        {
            if !message.leaves(recipient, lifetime) {
                continue;
            }
            match destination {
                Ok(to) => {
                    let most = |to: &Arc<D>| self.destinations.transport(to).recipients;
                    gathered.add(to, recipient, most);
                }
                Err(failure) => add(&mut unrouted, failure, recipient),
            }
        }
        let unread = self.loading_recipients(id);
        for (failure, recipients) in unrouted {
            self.unrouted(id, recipients, failure, now);
        }
        let missing = Failure::ours("the recipient could not be read from the queue file");
        self.put_off(id, unread, missing, now);
        for (destination, recipients) in gathered.jobs {
            let job = Job {
                id,
                epoch: 0,
                recipients,
                loaded,
                sender,
            };
            self.enqueue(&destination, job, flushed, now);
        }
        self.settle(id, now);
    }

    fn enqueue(&mut self, to: &Arc<D>, job: Job, flushed: bool, now: Timestamp) {
        let suspension = self.destinations.suspension(to, job.sender, now);
        if let Some(suspension) = suspension.filter(|_| !flushed) {
            self.stands_behind(job.id, to, job.sender);
            self.defer_suspended(job.id, job.recipients, &suspension, now);
            return;
        }
        if flushed {
            self.destinations.resume_one(to, now);
        }
        let Some(message) = self.messages.get_mut(&job.id) else {
            return;
        };
        message.set(&job.recipients, State::Queued);
        self.window += usize::from(job.loaded);
        let owner = message.owner;
        let epoch = message.epoch;
        self.destinations.push(to, owner, Job { epoch, ..job }, now);
    }

    pub(crate) fn finished(&mut self, ticket: u64, outcomes: Vec<Outcome>, now: Timestamp) {
        let Some(underway) = self.destinations.end(ticket, now) else {
            return;
        };
        self.judge(&underway, &outcomes, now);
        let took = now.since(underway.began);
        let is_silent = underway.cut || took >= SILENCE;
        let setback = setback(&outcomes, is_silent).cloned();
        let alone = self.destinations.heard(&underway, setback.as_ref(), now);
        if let Some(failure) = setback.filter(|_| !alone) {
            if failure.refuses_mail() {
                return self.refused(underway, &failure, outcomes, now);
            }
            let stays = self.settings.back_off.stays && outcomes.iter().all(stops);
            return self.set_back(underway, &failure, (!stays).then_some(outcomes), now);
        }
        let well = outcomes.iter().any(answered);
        if self.destinations.worked(&underway.destination, well, now) {
            let back = Arc::clone(&underway.destination);
            self.actions.push_back(Action::Resumed(back));
        }
        self.crowded(&underway, &outcomes, now);
        self.conclude(underway.job.id, underway.job.recipients, outcomes, now);
    }

    pub(crate) fn unreached(&mut self, ticket: u64, failure: &Failure, now: Timestamp) {
        if let Some(underway) = self.destinations.end(ticket, now) {
            let count = underway.job.recipients.len();
            let outcomes = vec![failure.clone().outcome(); count];
            self.judge(&underway, &outcomes, now);
            if failure.refuses_mail() {
                return self.refused(underway, failure, outcomes, now);
            }
            let stays = self.settings.back_off.stays;
            self.set_back(underway, failure, (!stays).then_some(outcomes), now);
        }
    }

    /// The destination failed; without outcomes nothing happened to the message.
    fn set_back(
        &mut self,
        underway: Underway<D, O>,
        failure: &Failure,
        outcomes: Option<Vec<Outcome>>,
        now: Timestamp,
    ) {
        let to = Arc::clone(&underway.destination);
        let random = self.random.next();
        let setback = self.destinations.failed(&to, failure, random, now);
        if let Setback::Suspended(suspension) = &setback {
            self.tell_suspended(&to, suspension);
        }
        if failure.limits_connections() {
            self.learned(&to);
        }
        match outcomes {
            None => self.stay(underway, now),
            Some(outcomes) => {
                self.conclude(underway.job.id, underway.job.recipients, outcomes, now);
            }
        }
        if let Setback::Suspended(suspension) = &setback {
            self.interrupt(&to, suspension, now);
        }
    }

    pub(crate) fn tell_suspended(&mut self, to: &Arc<D>, suspension: &Suspension) {
        self.actions.push_back(Action::Suspended {
            destination: Arc::clone(to),
            until: suspension.until,
            reason: suspension.failure.log_text().into(),
        });
    }

    pub(crate) fn withdrawn(&mut self, ticket: u64, now: Timestamp) {
        match self.destinations.end(ticket, now) {
            Some(underway) => self.stay(underway, now),
            None => self.destinations.question_withdrawn(ticket, now),
        }
    }

    pub(crate) fn interrupted(
        &mut self,
        ticket: u64,
        outcomes: Vec<Option<Outcome>>,
        now: Timestamp,
    ) {
        let Some(underway) = self.destinations.end(ticket, now) else {
            return;
        };
        let (id, mut rest) = (underway.job.id, underway.job.recipients);
        let mut outcomes = outcomes.into_iter();
        let (mut answered, mut known) = (Vec::new(), Vec::new());
        rest.retain(|recipient| {
            let outcome = outcomes.next().flatten();
            answered.extend(outcome.is_some().then_some(*recipient));
            let is_open = outcome.is_none();
            known.extend(outcome);
            is_open
        });
        if !answered.is_empty() {
            self.conclude(id, answered, known, now);
        }
        if self.removed_in_flight(id, &rest, &[], now) {
            return;
        }
        // They are on their way no more, so that the sender hears of those that failed.
        match self.messages.get_mut(&id) {
            Some(message) => match message.returned().cloned() {
                Some(failure) => self.fail(id, &rest, &failure),
                None => message.set(&rest, State::Waiting(now)),
            },
            None => return,
        }
        self.settle(id, now);
    }

    /// Nothing happened to the message: it is the next one again.
    fn stay(&mut self, underway: Underway<D, O>, now: Timestamp) {
        let id = underway.job.id;
        if self.removed_in_flight(id, &underway.job.recipients, &[], now) {
            return;
        }
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        let recipients = &underway.job.recipients;
        if let Some(failure) = message.returned().cloned() {
            self.fail(id, recipients, &failure);
        } else if message.held || !self.destinations.is_its_way(&underway) {
            message.set(recipients, State::Waiting(now));
        } else if let Some(pause) =
            self.destinations
                .refusal(&underway.destination, underway.job.sender, now)
        {
            self.defer_suspended(id, underway.job.recipients, &pause, now);
        } else {
            message.set(recipients, State::Queued);
            self.window += usize::from(underway.job.loaded);
            let epoch = message.epoch;
            let job = Job {
                epoch,
                ..underway.job
            };
            self.destinations
                .give_back(Underway { job, ..underway }, now);
        }
        self.settle(id, now);
    }

    /// An attempt failed for all that wait for the destination: they are deferred, or, where they
    /// stay, given up if they are too old.
    fn interrupt(&mut self, to: &Arc<D>, suspension: &Suspension, now: Timestamp) {
        let stays = self.settings.back_off.stays;
        let (messages, settings) = (&self.messages, &self.settings);
        let jobs = self.destinations.extract(to, |job| {
            let message = messages.get(&job.id);
            let valid = message.filter(|message| message.epoch == job.epoch);
            !stays
                || valid.is_none_or(|it| {
                    let mut recipients = job.recipients.iter();
                    recipients.any(|one| it.expired(*one, &settings.schedule, now))
                })
        });
        for job in jobs {
            self.stands_behind(job.id, to, job.sender);
            self.put_back(job, suspension, now);
        }
    }

    /// A job that waited is deferred.
    pub(crate) fn put_back(&mut self, job: Job, suspension: &Suspension, now: Timestamp) {
        self.window -= usize::from(job.loaded);
        let message = self.messages.get(&job.id);
        if message.is_some_and(|message| message.epoch == job.epoch) {
            self.defer_suspended(job.id, job.recipients, suspension, now);
            self.settle(job.id, now);
        }
    }

    /// One outcome for each recipient.
    pub(crate) fn conclude(
        &mut self,
        id: QueueId,
        recipients: Vec<u32>,
        outcomes: Vec<Outcome>,
        now: Timestamp,
    ) {
        if self.removed_in_flight(id, &recipients, &outcomes, now) {
            return;
        }
        let mut delivered = Vec::new();
        let mut deferred: Vec<(Failure, Vec<u32>)> = Vec::new();
        let mut outcomes = outcomes.into_iter();
        for recipient in recipients {
            match outcomes.next().unwrap_or_else(unknown) {
                Outcome::Delivered(_) => delivered.push(recipient),
                Outcome::Failed(failure) => self.fail(id, &[recipient], &failure),
                Outcome::Deferred(failure) => add(&mut deferred, failure, recipient),
            }
        }
        self.settled(id, &delivered, Settlement::Delivered);
        for (failure, recipients) in deferred {
            self.defer(id, recipients, failure, now);
        }
        self.settle(id, now);
    }
}

/// Recipients that failed alike share what is told of it.
fn add(failed: &mut Vec<(Failure, Vec<u32>)>, failure: Failure, recipient: u32) {
    let mut lately = failed.iter_mut().rev().take(ALIKE);
    match lately.find(|(other, _)| *other == failure) {
        Some((_, recipients)) => recipients.push(recipient),
        None => failed.push((failure, vec![recipient])),
    }
}

/// The driver owes an outcome for each recipient.
fn unknown() -> Outcome {
    let text = "the delivery ended without an outcome";
    Failure::ours(text).outcome()
}

/// Whether it is about the destination alone: nothing happened to the message.
fn stops(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Deferred(failure) if failure.stops_destination())
}

/// Whether the destination took part: it delivered, or replied.
fn answered(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Delivered(_) => true,
        Outcome::Deferred(failure) | Outcome::Failed(failure) => failure.reply.is_some(),
    }
}

/// The failure that speaks against trying the destination again now: no session came about, it
/// refuses this machine, or met silence. `None` where anybody was delivered to.
fn setback(outcomes: &[Outcome], is_silent: bool) -> Option<&Failure> {
    let silent =
        |failure: &Failure| is_silent && failure.reply.is_none() && failure.blame == Blame::Network;
    if outcomes
        .iter()
        .any(|it| matches!(it, Outcome::Delivered(_)))
    {
        return None;
    }
    outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Deferred(failure) if failure.stops_destination() || silent(failure) => {
            Some(failure)
        }
        _ => None,
    })
}
