//! The administrator's orders: flush, hold, release, remove.

use mail::{clock::Timestamp, outcome::Outcome};
use spool::{self, QueueId};

use crate::queue::{Action, Queue, message::State};

impl Queue {
    pub(super) fn flush_all(&mut self, now: Timestamp) {
        self.lanes.resume();
        for id in self.ids() {
            self.make_due(id, now);
        }
    }

    /// This message alone: where its destination is suspended, one attempt is made all the same.
    pub(super) fn flush(&mut self, id: QueueId, now: Timestamp) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.flushed =
                message.any(|state| matches!(state, State::Waiting(_) | State::Loading));
        }
        self.make_due(id, now);
    }

    fn make_due(&mut self, id: QueueId, now: Timestamp) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.shift(
                |state| matches!(state, State::Waiting(at) if at > now),
                State::Waiting(now),
            );
            self.settle(id);
        }
    }

    pub(super) fn hold(&mut self, id: QueueId, now: Timestamp) {
        let Some(message) = self.messages.get_mut(&id).filter(|message| !message.held) else {
            return;
        };
        message.held = true;
        message.epoch = message.epoch.wrapping_add(1);
        message.shift(|state| state == State::Queued, State::Waiting(now));
        self.actions.push_back(Action::Record {
            id,
            event: spool::Event::Held,
        });
        self.settle(id);
    }

    pub(super) fn release(&mut self, id: QueueId) {
        let Some(message) = self.messages.get_mut(&id).filter(|message| message.held) else {
            return;
        };
        message.held = false;
        self.actions.push_back(Action::Record {
            id,
            event: spool::Event::Released,
        });
        self.settle(id);
    }

    /// What is in flight may still be delivered, and what is being bounced bounced; all else goes at once.
    pub(super) fn remove(&mut self, id: QueueId) {
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
        message.failed.clear();
        message.late.clear();
        let before = message.recipients.len();
        let bouncing = std::mem::take(&mut message.bouncing);
        message.recipients.retain(|pending| {
            pending.state == State::Flying || bouncing.contains(&pending.recipient)
        });
        message.bouncing = bouncing;
        *message.deleted.get_or_insert_default() += before - message.recipients.len();
        self.loading.remove(&id);
        self.settle(id);
    }

    /// Whether the message was removed while this delivery was on its way; then nothing more is recorded of it.
    pub(super) fn removed_in_flight(
        &mut self,
        id: QueueId,
        recipients: &[u32],
        outcomes: &[Outcome],
    ) -> bool {
        let Some(message) = self.messages.get_mut(&id) else {
            return false;
        };
        let Some(deleted) = &mut message.deleted else {
            return false;
        };
        let delivered = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Delivered(_)));
        *deleted += recipients.len().saturating_sub(delivered.count());
        message.settle(recipients);
        self.settle(id);
        true
    }
}
