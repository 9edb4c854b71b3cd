//! The last attempts, for whoever follows a message: `sendmail-shim test`.
//!
//! Contract: bounded; a message whose attempts are forgotten has been followed by nobody. Each
//! attempt has a number, so that nobody hears of one twice.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use mail::{
    envelope::{Envelope, Recipient},
    outcome::Outcome,
};
use spool::QueueId;

use crate::queue::AttemptRow;

/// How many are remembered.
const KEPT: usize = 256;

/// The last attempts of all messages.
#[derive(Default)]
pub(super) struct Attempts {
    last: Mutex<Last>,
    told: Condvar,
}

#[derive(Default)]
struct Last {
    number: u64,
    attempts: VecDeque<Attempted>,
}

struct Attempted {
    id: QueueId,
    /// Who submitted the message.
    uid: Option<u32>,
    row: AttemptRow,
}

impl Attempts {
    /// One attempt for one recipient is over.
    pub(super) fn tell(
        &self,
        id: QueueId,
        envelope: &Envelope,
        recipient: &Recipient,
        outcome: &Outcome,
    ) {
        let (status, relay, text) = match outcome {
            Outcome::Delivered(delivery) => {
                ("sent", Some(delivery.relay.clone()), delivery.reply.clone())
            }
            Outcome::Deferred(failure) => ("deferred", failure.relay.clone(), failure.log_text()),
            Outcome::Failed(failure) => ("bounced", failure.relay.clone(), failure.log_text()),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.number = last.number.saturating_add(1);
        let row = AttemptRow {
            number: last.number,
            recipient: recipient.address.to_string(),
            status: status.to_owned(),
            relay,
            text,
        };
        if last.attempts.len() >= KEPT {
            last.attempts.pop_front();
        }
        last.attempts.push_back(Attempted {
            id,
            uid: envelope.uid,
            row,
        });
        self.told.notify_all();
    }

    /// The attempts for a message after that number, that this user may hear of (`None`: all);
    /// waits for one, at most that long.
    pub(super) fn after(
        &self,
        id: QueueId,
        number: u64,
        uid: Option<u32>,
        most: Duration,
    ) -> Vec<AttemptRow> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |attempted: &&Attempted| {
            attempted.id == id
                && attempted.row.number > number
                && (uid.is_none() || attempted.uid == uid)
        };
        let (last, _) = self
            .told
            .wait_timeout_while(last, most, |last| !last.attempts.iter().any(|a| wanted(&a)))
            .unwrap_or_else(PoisonError::into_inner);
        let found = last.attempts.iter().filter(wanted);
        found.map(|attempted| attempted.row.clone()).collect()
    }
}
