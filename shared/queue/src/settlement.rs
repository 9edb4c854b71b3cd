//! What an outcome means for its recipients: tried again, expired, returned to the sender, or dead;
//! and what of it is recorded.
//!
//! RFC 5321 §4.5.4.1, §6.1; RFC 3464 §2.3.3 (expiry is 4.4.7 or 5.4.7).

use std::{hash::Hash, sync::Arc, time::Duration};

use mail::{
    clock::Timestamp,
    outcome::{Failure, Outcome},
};
use spool::{QueueId, Settlement};

use crate::{
    Action, Queue,
    message::{Message, State},
    retry::Schedule,
    site::Suspension,
};

/// How often at most the administrators are told of dead mail.
const TOLD: Duration = Duration::from_hours(24);
/// What was found in the spool is tried for so many of the shortest retry steps before it expires:
/// whoever comes back after a long time may be back before his relay is.
const GRACE: u32 = 5;

impl<O> Message<O> {
    /// Whether a recipient is given up after an attempt that failed then.
    pub(crate) fn expired(&self, recipient: u32, schedule: &Schedule, failed: Timestamp) -> bool {
        let own = self.pending(recipient).and_then(|it| it.lifetime);
        let lifetime = own.map_or(schedule.lifetime, |it| Duration::from_secs(it.get().into()));
        let schedule = Schedule {
            lifetime,
            ..*schedule
        };
        schedule.expired(self.arrival, failed) && self.is_known(&schedule, lifetime, failed)
    }

    /// Whether its sender is to be warned after so long a time.
    pub(crate) fn late(&self, warning: Duration, schedule: &Schedule, now: Timestamp) -> bool {
        now.since(self.arrival) >= warning && self.is_known(schedule, warning, now)
    }

    /// Whether it was tried for long enough that its age counts; `of`: the age that matters.
    fn is_known(&self, schedule: &Schedule, of: Duration, now: Timestamp) -> bool {
        let grace = schedule.minimal.saturating_mul(GRACE).min(of);
        now.since(self.seen) >= grace
    }
}

impl<D: Eq + Hash, O: Copy + Ord + Hash> Queue<D, O> {
    /// An attempt has failed now: recipients wait as the schedule says, or are given up if they
    /// waited too long.
    pub(crate) fn defer(
        &mut self,
        id: QueueId,
        recipients: Vec<u32>,
        failure: Failure,
        now: Timestamp,
    ) {
        let wait = self.next_try(id, &failure, now);
        self.wait(id, recipients, failure, Some(now), wait, now);
    }

    /// A fault of this machine, and no attempt: recipients wait, however old they are.
    pub(crate) fn put_off(
        &mut self,
        id: QueueId,
        recipients: Vec<u32>,
        failure: Failure,
        now: Timestamp,
    ) {
        let wait = self.next_try(id, &failure, now);
        self.wait(id, recipients, failure, None, wait, now);
    }

    /// Until when to wait, and why.
    fn next_try(
        &mut self,
        id: QueueId,
        failure: &Failure,
        now: Timestamp,
    ) -> (Timestamp, Arc<str>) {
        let arrival = self
            .messages
            .get(&id)
            .map_or(now, |message| message.arrival);
        let schedule = self.settings.schedule;
        let until = schedule.next(arrival, now, self.random.next());
        (until, failure.log_text().into())
    }

    /// Recipients wait because their destination is suspended: until a little after its end. They
    /// are given up only if they were too old already when the attempt failed that led to it.
    pub(crate) fn defer_suspended(
        &mut self,
        id: QueueId,
        recipients: Vec<u32>,
        suspension: &Suspension,
        now: Timestamp,
    ) {
        let until = self.until_after(suspension, now);
        let wait = (until, Arc::clone(&suspension.reason));
        let failure = suspension.failure.clone();
        self.wait(id, recipients, failure, Some(suspension.failed), wait, now);
    }

    /// A little after the end of a suspension.
    pub(crate) fn until_after(&mut self, suspension: &Suspension, now: Timestamp) -> Timestamp {
        // Where there is one destination, what waits for it goes in its order.
        let spread = if self.settings.back_off.stays {
            Duration::ZERO
        } else {
            suspension.until.since(now) / 5
        };
        let until = suspension
            .until
            .after(spread.saturating_mul(self.random.next() % 1000) / 1000);
        until.min(now.after(self.longest_wait()))
    }

    /// A failure to find the way: for good or not, as its status says.
    pub(crate) fn unrouted(
        &mut self,
        id: QueueId,
        recipients: Vec<u32>,
        failure: Failure,
        now: Timestamp,
    ) {
        match failure.outcome() {
            Outcome::Failed(failure) => self.fail(id, &recipients, &failure),
            Outcome::Deferred(failure) => self.defer(id, recipients, failure, now),
            Outcome::Delivered(_) => {}
        }
    }

    /// `failed`: when the attempt failed, if there was one. The last but one: until when they wait,
    /// and why.
    fn wait(
        &mut self,
        id: QueueId,
        recipients: Vec<u32>,
        failure: Failure,
        failed: Option<Timestamp>,
        (until, reason): (Timestamp, Arc<str>),
        now: Timestamp,
    ) {
        let until = until.min(now.after(self.longest_wait()));
        let message = self.messages.get_mut(&id);
        let Some(message) = message.filter(|_| !recipients.is_empty()) else {
            return;
        };
        if let Some(returned) = message.returned().cloned() {
            self.fail(id, &recipients, &returned);
            return;
        }
        let schedule = self.settings.schedule;
        let is_old = |recipient: &u32| {
            failed.is_some_and(|failed| message.expired(*recipient, &schedule, failed))
        };
        let (old, recipients): (Vec<_>, Vec<_>) = recipients.into_iter().partition(is_old);
        if !old.is_empty() {
            message.expired = true;
            self.fail(id, &old, &failure.expired());
        }
        let message = self.messages.get_mut(&id);
        let Some(message) = message.filter(|_| !recipients.is_empty()) else {
            return;
        };
        let late = |warning| message.late(warning, &schedule, now);
        if !message.warned && self.settings.warning.is_some_and(late) {
            let told = recipients
                .iter()
                .map(|&recipient| (recipient, failure.clone()));
            message.news().late.extend(told);
        }
        message.kept = false;
        message.set(&recipients, State::Waiting(until));
        self.record_deferred(id, recipients, until, reason);
    }

    fn record_deferred(
        &mut self,
        id: QueueId,
        recipients: Vec<u32>,
        until: Timestamp,
        reason: Arc<str>,
    ) {
        let event = spool::Event::Deferred {
            recipients,
            until,
            reason,
        };
        self.actions.push_back(Action::Record { id, event });
    }

    pub(crate) fn fail(&mut self, id: QueueId, recipients: &[u32], failure: &Failure) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.set(recipients, State::Failed);
            let failed = recipients.iter();
            let failed = failed.map(|recipient| (*recipient, failure.clone()));
            message.news().failed.extend(failed);
        }
    }

    pub(crate) fn settled(&mut self, id: QueueId, recipients: &[u32], settlement: Settlement) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.settle(recipients);
            message.bounced |= settlement == Settlement::Bounced;
            if settlement == Settlement::Delivered && !recipients.is_empty() {
                message.note_delivered();
            }
            for &recipient in recipients {
                let event = spool::Event::Settled {
                    recipient,
                    settlement,
                };
                self.actions.push_back(Action::Record { id, event });
            }
        }
    }

    /// No recipient is on its way: whoever must hear of those that failed or are late is told.
    pub(crate) fn notify(&mut self, id: QueueId, now: Timestamp) {
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        let Some(news) = message.some_news() else {
            return;
        };
        let late = std::mem::take(&mut news.late);
        let failed = match news.bouncing.as_slice() {
            [] => std::mem::take(&mut news.failed),
            _ => Vec::new(),
        };
        if !late.is_empty() {
            message.warned = true;
            let arrival = message.arrival;
            self.actions.push_back(Action::Warn { id, arrival, late });
        }
        if failed.is_empty() {
            return;
        }
        let expired = std::mem::take(&mut message.expired);
        if message.unreturnable {
            self.bury(id, failed, now);
            return;
        }
        message.news().bouncing = failed.iter().map(|(recipient, _)| *recipient).collect();
        self.actions.push_back(Action::Bounce {
            id,
            failed,
            expired,
        });
    }

    /// Dead mail: kept on hold with its reasons, for the administrators.
    fn bury(&mut self, id: QueueId, failed: Vec<(u32, Failure)>, now: Timestamp) {
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        message.held = true;
        message.news().returned = None;
        message.epoch = message.epoch.wrapping_add(1);
        let mut reasons: Vec<(String, Vec<u32>)> = Vec::new();
        for (recipient, failure) in &failed {
            let reason = failure.log_text();
            message.set(&[*recipient], State::Waiting(now));
            match reasons.iter_mut().find(|(other, _)| *other == reason) {
                Some((_, recipients)) => recipients.push(*recipient),
                None => reasons.push((reason, vec![*recipient])),
            }
        }
        for (reason, recipients) in reasons {
            self.record_deferred(id, recipients, now, reason.into());
        }
        let event = spool::Event::Held;
        self.actions.push_back(Action::Record { id, event });
        let tell = self.told.is_none_or(|told| now.since(told) >= TOLD);
        if tell {
            self.told = Some(now);
        }
        self.actions.push_back(Action::Dead { id, failed, tell });
    }

    pub(crate) fn bounced(&mut self, id: QueueId, now: Timestamp) {
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        let recipients = message.take_bouncing();
        if message.deleted.is_some() {
            message.settle(&recipients);
        } else {
            self.settled(id, &recipients, Settlement::Bounced);
        }
        self.settle(id, now);
    }

    /// The recipients are tried again later: they fail again, and then there may be room for the
    /// bounce.
    pub(crate) fn bounce_failed(&mut self, id: QueueId, now: Timestamp) {
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        let recipients = message.take_bouncing();
        if let Some(deleted) = &mut message.deleted {
            *deleted += recipients.len();
            message.settle(&recipients);
            self.settle(id, now);
            return;
        }
        let until = now.after(self.settings.schedule.minimal);
        message.set(&recipients, State::Waiting(until));
        if !recipients.is_empty() {
            let reason = "undeliverable, but the bounce could not be queued".into();
            self.record_deferred(id, recipients, until, reason);
        }
        self.settle(id, now);
    }

    /// The sender was warned: once for each message, restarts included.
    pub(crate) fn warned(&mut self, id: QueueId) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.warned = true;
            let event = spool::Event::Warned;
            self.actions.push_back(Action::Record { id, event });
        }
    }

    pub(crate) fn warn_failed(&mut self, id: QueueId) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.warned = false;
        }
    }
}
