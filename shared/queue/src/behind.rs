//! Mail that waits behind a destination that is suspended: what is due while it still is need not
//! be read from the disk only to be put off again.
//!
//! Contract: what is skipped waits as what is read and put off would, and nothing is recorded of
//! it. Read all the same is whatever more can be said of than that: mail that is too old, whose
//! sender is to be warned, or that somebody has flushed or returned; and all mail after [`SKIPS`]
//! times, because its way may be another one by then.

use std::{hash::Hash, sync::Arc};

use mail::clock::Timestamp;
use spool::QueueId;

use crate::{
    Queue,
    message::{Behind, Message, State},
};

/// How often in a row it is skipped at most.
const SKIPS: u8 = 4;

impl<D: Eq + Hash, O: Copy + Ord + Hash> Queue<D, O> {
    /// It was put off because its destination is suspended.
    pub(crate) fn stands_behind(&mut self, id: QueueId, to: &Arc<D>, sender: u64) {
        let message = self.messages.get(&id);
        if message.is_some_and(|message| message.recipients.len() == 1) {
            let behind = Behind {
                destination: Arc::clone(to),
                sender,
                skips: SKIPS,
            };
            self.behind.insert(id, behind);
        }
    }

    /// Puts off what is due where its destination is still suspended; `false`: it must be read.
    pub(crate) fn skip(&mut self, id: QueueId, now: Timestamp) -> bool {
        let Some(until) = self.skipped_until(id, now) else {
            self.behind.remove(&id);
            return false;
        };
        if let Some(message) = self.messages.get_mut(&id) {
            message.due = None;
            message.kept = false;
            message.shift(|_| true, State::Waiting(until));
        }
        self.settle(id, now);
        true
    }

    fn skipped_until(&mut self, id: QueueId, now: Timestamp) -> Option<Timestamp> {
        let message = self.messages.get(&id)?;
        let behind = self.behind.get_mut(&id)?;
        let (to, sender) = (&behind.destination, behind.sender);
        let suspension = self.destinations.suspension(to, sender, now)?;
        let [pending] = message.recipients.as_slice() else {
            return None;
        };
        let warned = message.warned
            || self
                .settings
                .warning
                .is_none_or(|it| !message.late(it, &self.settings.schedule, now));
        let expired = message.expired(
            pending.recipient,
            &self.settings.schedule,
            suspension.failed,
        );
        let plain = matches!(pending.state, State::Waiting(_)) && is_plain(message);
        behind.skips = behind.skips.checked_sub(1)?;
        (plain && warned && !expired).then(|| self.until_after(&suspension, now))
    }
}

/// Whether nobody has ordered anything about it.
fn is_plain<O>(message: &Message<O>) -> bool {
    !message.flushed && message.returned().is_none() && message.deleted.is_none()
}
