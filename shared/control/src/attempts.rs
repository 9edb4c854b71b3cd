//! The last attempts, for whoever follows a message: `sendmail-shim test`, `smarthost test`.
//!
//! Contract: bounded; a message whose attempts are forgotten has been followed by nobody. Each
//! attempt has a number, so that nobody hears of one twice.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use mail::{envelope::Recipient, outcome::Outcome};
use spool::QueueId;

use crate::order::AttemptRow;

/// How many are remembered.
const KEPT: usize = 256;
/// Messages that are followed at once.
const FOLLOWED: usize = 16;

/// The last attempts of all messages, or of those that somebody follows.
#[derive(Debug, Default)]
pub struct Attempts {
    /// Of all messages: few go that way.
    of_all: bool,
    last: Mutex<Last>,
    told: Condvar,
}

#[derive(Debug, Default)]
struct Last {
    number: u64,
    followed: VecDeque<QueueId>,
    attempts: VecDeque<Attempted>,
}

#[derive(Debug)]
struct Attempted {
    id: QueueId,
    /// Who submitted the message.
    uid: Option<u32>,
    row: AttemptRow,
}

impl Attempts {
    /// Remembers those of every message.
    pub fn of_all() -> Self {
        Self {
            of_all: true,
            ..Self::default()
        }
    }

    /// From now on those of this message are remembered.
    pub fn follow(&self, id: QueueId) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.followed.len() >= FOLLOWED {
            last.followed.pop_front();
        }
        last.followed.push_back(id);
    }

    /// One attempt for one recipient is over.
    pub fn tell(&self, id: QueueId, uid: Option<u32>, recipient: &Recipient, outcome: &Outcome) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.of_all && !last.followed.contains(&id) {
            return;
        }
        last.number = last.number.saturating_add(1);
        let row = AttemptRow::new(last.number, recipient, outcome);
        if last.attempts.len() >= KEPT {
            last.attempts.pop_front();
        }
        last.attempts.push_back(Attempted { id, uid, row });
        self.told.notify_all();
    }

    /// The attempts for a message after that number, that this user may hear of (`None`: all);
    /// waits for one, at most that long.
    pub fn after(
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

#[cfg(test)]
mod tests {
    use mail::{address::Address, outcome::Failure};

    use super::*;

    #[test]
    fn only_what_is_followed_is_remembered_and_of_that_the_last_attempts() {
        let [one, other] = ["0000000000001", "0000000000002"].map(|id| QueueId::parse(id).unwrap());
        let recipient = Recipient::from(Address::parse("a@x.example").unwrap());
        let outcome = Failure::ours("not now").outcome();
        let attempts = Attempts::default();
        attempts.tell(one, None, &recipient, &outcome);
        attempts.follow(one);
        for _ in 0..2 * KEPT {
            attempts.tell(one, None, &recipient, &outcome);
            attempts.tell(other, None, &recipient, &outcome);
        }
        let heard = |id, after| attempts.after(id, after, None, Duration::ZERO).len();
        assert_eq!((heard(one, 0), heard(other, 0)), (KEPT, 0));
        let last = attempts.after(one, 0, None, Duration::ZERO).pop().unwrap();
        assert_eq!(
            (last.status.as_str(), heard(one, last.number)),
            ("deferred", 0)
        );
        assert_eq!(attempts.after(one, 0, Some(5), Duration::ZERO), []);
        for number in 0..FOLLOWED {
            attempts.follow(QueueId::parse(&format!("00000000001{number:02}")).unwrap());
        }
        attempts.tell(one, None, &recipient, &outcome);
        assert_eq!(heard(one, last.number), 0, "it is followed no more");
    }
}
