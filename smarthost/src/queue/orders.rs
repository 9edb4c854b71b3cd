//! The administrator's orders: flush, hold, release, remove.

use shared::{
    clock::Timestamp,
    spool::{self, QueueId},
};

use crate::queue::{Action, Queue, message::State};

impl Queue {
    pub(super) fn flush_all(&mut self, now: Timestamp) {
        self.lanes.resume();
        for id in self.ids() {
            self.make_due(id, now);
        }
    }

    /// Also ends all suspensions: the one message could not be tried otherwise.
    pub(super) fn flush(&mut self, id: QueueId, now: Timestamp) {
        self.lanes.resume();
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

    /// What is in flight may still be delivered; then the rest goes.
    pub(super) fn remove(&mut self, id: QueueId) {
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        message.removing = true;
        message.epoch = message.epoch.wrapping_add(1);
        let never = State::Waiting(Timestamp::from_millis(u64::MAX));
        message.shift(
            |state| matches!(state, State::Queued | State::Loading),
            never,
        );
        self.loading.remove(&id);
        self.settle(id);
    }
}
