//! Hosts that say to mail, not to a session, that they have too many connections: what they mean.
//!
//! It may be one sender, or one mailbox that takes few deliveries at once. Contract: their number
//! is meant where one delivery after the other met it within a minute, of senders and recipients of
//! which none is named twice, while nobody else's mail was taken; and only once mail is taken that
//! was under way beside them, for fewer work.

use std::time::Duration;

use mail::clock::Timestamp;

/// Deliveries in a row that show it, and within which time.
const ROW: usize = 3;
const WITHIN: Duration = Duration::from_mins(1);

/// Whose mail heard it, as far as the hosts know that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Whose {
    pub(crate) sender: u64,
    /// As [`crate::recipient`] has them; none where no recipient was named yet.
    pub(crate) recipients: Vec<u64>,
}

impl Whose {
    fn shares_nothing_with(&self, other: &Self) -> bool {
        let is_its = |recipient| other.recipients.contains(recipient);
        self.sender != other.sender && !self.recipients.iter().any(is_its)
    }
}

/// Deliveries in a row that heard it.
#[derive(Clone, Default, Debug)]
pub(crate) struct Crowd {
    row: Vec<Whose>,
    began: Timestamp,
    last: Timestamp,
    /// The fewest others that were under way.
    others: usize,
}

impl Crowd {
    /// A delivery has heard it while so many others were under way.
    pub(crate) fn hears(&mut self, whose: Whose, others: usize, now: Timestamp) {
        if now.since(self.began) > WITHIN {
            self.forget();
        }
        let mut row = self.row.iter();
        if others == 0 || !row.all(|other| whose.shares_nothing_with(other)) {
            return;
        }
        if self.row.is_empty() {
            (self.began, self.others) = (now, others);
        }
        self.last = now;
        self.others = self.others.min(others);
        if self.row.len() < ROW {
            self.row.push(whose);
        }
    }

    /// Mail was taken whose delivery began then: how many connections the hosts take, if that is
    /// known now.
    pub(crate) fn takes(&mut self, began: Timestamp) -> Option<usize> {
        let shows = self.row.len() >= ROW && began < self.last;
        let others = shows.then_some(self.others);
        self.forget();
        others
    }

    /// Nothing of it counts any more.
    pub(crate) fn forget(&mut self) {
        self.row.clear();
    }
}
