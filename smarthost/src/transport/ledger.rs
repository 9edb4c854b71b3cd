//! Who has a message, written down before its delivery ends.
//!
//! Contract: a server that dies while others are still awaited, or programs still run, does not
//! bring it once more to those who have it. The log tells of each once.
//! The last recipient is left to the queue, with whom the message may end, and so is one whose
//! sender wants to hear of it: the report is queued first.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mail::{
    clock::{self, Timestamp},
    envelope::Recipient,
    outcome::Outcome,
};
use spool::{Event, QueueId, Settlement, Stored};

use crate::dispatch::{Delivery, Dispatch};

pub(crate) struct Ledger {
    dispatch: Arc<Dispatch>,
    id: QueueId,
    arrival: Timestamp,
    last: Option<u32>,
    /// `None`: the delivery has ended.
    arrived: Mutex<Option<BTreeMap<u32, Outcome>>>,
}

impl Ledger {
    pub(crate) fn new(dispatch: &Arc<Dispatch>, stored: &Stored, delivery: &Delivery) -> Self {
        Self {
            dispatch: Arc::clone(dispatch),
            id: stored.id,
            arrival: stored.arrival,
            last: delivery.recipients.last().copied(),
            arrived: Mutex::new(Some(BTreeMap::new())),
        }
    }

    /// Who has it, by number; nothing more is written down: the queue goes on from here.
    pub(crate) fn close(&self) -> BTreeMap<u32, Outcome> {
        self.known().take().unwrap_or_default()
    }

    pub(super) fn arrived(&self, number: u32, recipient: &Recipient, outcome: &Outcome) {
        let is_left = self.last == Some(number) || recipient.notify.success;
        if is_left || !matches!(outcome, Outcome::Delivered(_)) {
            return;
        }
        let mut known = self.known();
        let Some(known) = known.as_mut().filter(|it| !it.contains_key(&number)) else {
            return;
        };
        let event = Event::Settled {
            recipient: number,
            settlement: Settlement::Delivered,
        };
        self.dispatch.spool().record(self.id, event);
        let age = clock::now().since(self.arrival);
        self.dispatch.attempted(self.id, recipient, age, outcome);
        known.insert(number, outcome.clone());
    }

    fn known(&self) -> MutexGuard<'_, Option<BTreeMap<u32, Outcome>>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
