//! The administrator's orders: flush, hold, release, return, remove.

use std::hash::Hash;

use mail::{
    clock::Timestamp,
    outcome::{Failure, Outcome},
};
use spool::QueueId;

use crate::{Action, Queue, message::State};

impl<D: Eq + Hash, O: Copy + Ord + Hash> Queue<D, O> {
    pub(crate) fn flush_all(&mut self, now: Timestamp) {
        self.destinations.resume(now);
        for id in self.ids() {
            self.make_due(id, now);
        }
    }

    /// This message alone: where its destination is suspended, one attempt is made all the same.
    pub(crate) fn flush(&mut self, id: QueueId, now: Timestamp) {
        let mut ready = false;
        if let Some(message) = self.messages.get_mut(&id) {
            message.flushed =
                message.any(|state| matches!(state, State::Waiting(_) | State::Loading));
            ready = message.any(|state| state == State::Queued);
        }
        if ready && self.settings.back_off.stays {
            self.destinations.resume(now);
        }
        self.make_due(id, now);
    }

    fn make_due(&mut self, id: QueueId, now: Timestamp) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.shift(
                |state| matches!(state, State::Waiting(at) if at > now),
                State::Waiting(now),
            );
            self.settle(id, now);
        }
    }

    pub(crate) fn hold(&mut self, id: QueueId, now: Timestamp) {
        let Some(message) = self.messages.get_mut(&id).filter(|message| !message.held) else {
            return;
        };
        message.news().returned = None;
        self.actions.push_back(Action::Record {
            id,
            event: spool::Event::Held,
        });
        self.park(id, now);
    }

    /// It is held, as recorded.
    pub(crate) fn park(&mut self, id: QueueId, now: Timestamp) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.held = true;
            message.epoch = message.epoch.wrapping_add(1);
            message.shift(|state| state == State::Queued, State::Waiting(now));
            self.settle(id, now);
        }
    }

    /// Whoever waits is given up at once, held mail too; who is being delivered to, if that fails.
    pub(crate) fn return_to_sender(
        &mut self,
        id: QueueId,
        failure: Failure,
        null_sender: bool,
        now: Timestamp,
    ) {
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        // Of what was not read since the start nobody else knows it.
        message.unreturnable |= null_sender;
        message.news().returned = Some(failure.clone());
        message.held = false;
        message.epoch = message.epoch.wrapping_add(1);
        // A crash before it has gone forgets nothing of it.
        let event = spool::Event::Returned;
        self.actions.push_back(Action::Record { id, event });
        let waits = |state| matches!(state, State::Waiting(_) | State::Loading | State::Queued);
        let waiting = message.shift(waits, State::Failed);
        self.loading.remove(&id);
        self.fail(id, &waiting, &failure);
        self.settle(id, now);
    }

    pub(crate) fn release(&mut self, id: QueueId, now: Timestamp) {
        let Some(message) = self.messages.get_mut(&id).filter(|message| message.held) else {
            return;
        };
        message.held = false;
        self.actions.push_back(Action::Record {
            id,
            event: spool::Event::Released,
        });
        self.settle(id, now);
    }

    /// What is in flight may still be delivered, and what is being bounced bounced; all else goes
    /// at once.
    pub(crate) fn remove(&mut self, id: QueueId, now: Timestamp) {
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        if message.deleted.is_none() {
            self.actions.push_back(Action::Record {
                id,
                event: spool::Event::Removed,
            });
        }
        message.epoch = message.epoch.wrapping_add(1);
        let before = message.recipients.len();
        let bouncing = message.take_bouncing();
        message.recipients.retain(|pending| {
            pending.state == State::Delivering || bouncing.contains(&pending.recipient)
        });
        let news = message.news();
        (news.failed, news.late) = (Vec::new(), Vec::new());
        news.bouncing = bouncing;
        *message.deleted.get_or_insert_default() += before - message.recipients.len();
        self.loading.remove(&id);
        self.settle(id, now);
    }

    /// It has gone as a whole, and nobody is told.
    pub(crate) fn moved(&mut self, id: QueueId) {
        let Some(message) = self.messages.remove(&id) else {
            return;
        };
        if let Some(due) = message.due {
            self.due.remove(message.owner, due, id);
        }
        self.loading.remove(&id);
        self.behind.remove(&id);
        let event = spool::Event::Removed;
        self.actions.push_back(Action::Record { id, event });
    }

    /// Whether the message was removed while this delivery was on its way; then nothing more is
    /// recorded of it.
    pub(crate) fn removed_in_flight(
        &mut self,
        id: QueueId,
        recipients: &[u32],
        outcomes: &[Outcome],
        now: Timestamp,
    ) -> bool {
        let Some(message) = self.messages.get_mut(&id) else {
            return false;
        };
        let delivered = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Delivered(_)))
            .count();
        let Some(deleted) = &mut message.deleted else {
            return false;
        };
        *deleted += recipients.len().saturating_sub(delivered);
        if delivered > 0 {
            message.note_delivered();
        }
        message.settle(recipients);
        self.settle(id, now);
        true
    }
}
