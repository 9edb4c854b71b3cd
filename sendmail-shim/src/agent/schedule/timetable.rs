//! The messages that wait: by the time they are due, by age, and by user.
//!
//! Contract: users take turns, however much mail each of them has; root goes first, but after [`ROOT_TURNS`] turns in a row
//! somebody else has one.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Excluded, Unbounded},
};

use mail::clock::Timestamp;
use spool::QueueId;

/// Root's messages in a row while others wait.
const ROOT_TURNS: u32 = 4;
const ROOT: u32 = 0;

/// A message that waits.
#[derive(Clone, Copy, Debug)]
pub(in crate::agent) struct Ticket {
    pub(in crate::agent) id: QueueId,
    pub(in crate::agent) user: u32,
    pub(in crate::agent) arrival: Timestamp,
    pub(in crate::agent) due: Timestamp,
}

/// All that wait.
#[derive(Debug, Default)]
pub(in crate::agent) struct Timetable {
    due: BTreeSet<(Timestamp, QueueId)>,
    ages: BTreeSet<(Timestamp, QueueId)>,
    users: BTreeMap<u32, BTreeSet<(Timestamp, QueueId)>>,
    /// Who had the last turn, root apart.
    last: u32,
    root_turns: u32,
}

impl Timetable {
    pub(in crate::agent) fn insert(&mut self, ticket: Ticket) {
        let Ticket {
            id,
            user,
            arrival,
            due,
        } = ticket;
        self.due.insert((due, id));
        self.ages.insert((arrival, id));
        self.users.entry(user).or_default().insert((due, id));
    }

    pub(in crate::agent) fn remove(&mut self, ticket: Ticket) {
        let Ticket {
            id,
            user,
            arrival,
            due,
        } = ticket;
        self.due.remove(&(due, id));
        self.ages.remove(&(arrival, id));
        if let Some(own) = self.users.get_mut(&user) {
            own.remove(&(due, id));
            if own.is_empty() {
                self.users.remove(&user);
            }
        }
    }

    /// The message whose turn it is, if one is due; it had its turn then.
    pub(in crate::agent) fn take_turn(&mut self, now: Timestamp) -> Option<QueueId> {
        self.earliest().filter(|due| *due <= now)?;
        let of_root = self.users.get(&ROOT).and_then(|own| first_due(own, now));
        if of_root.is_some() && self.root_turns < ROOT_TURNS {
            self.root_turns = self.root_turns.saturating_add(1);
            return of_root;
        }
        self.root_turns = 0;
        let after = self.users.range((Excluded(self.last), Unbounded));
        let mut others = after
            .chain(self.users.range(..=self.last))
            .filter(|(user, _)| **user != ROOT);
        match others.find_map(|(user, own)| Some((*user, first_due(own, now)?))) {
            Some((user, id)) => {
                self.last = user;
                Some(id)
            }
            None => of_root,
        }
    }

    /// Whether at least so many messages are due.
    pub(in crate::agent) fn are_due(&self, count: usize, now: Timestamp) -> bool {
        let due = self.due.iter().take_while(|(due, _)| *due <= now);
        due.take(count).count() == count
    }

    /// When the first one is due.
    pub(in crate::agent) fn earliest(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The one that arrived first, and when.
    pub(in crate::agent) fn oldest(&self) -> Option<(Timestamp, QueueId)> {
        self.ages.first().copied()
    }

    /// All of them.
    pub(in crate::agent) fn ids(&self) -> Vec<QueueId> {
        self.due.iter().map(|(_, id)| *id).collect()
    }
}

fn first_due(own: &BTreeSet<(Timestamp, QueueId)>, now: Timestamp) -> Option<QueueId> {
    let (due, id) = own.first()?;
    (*due <= now).then_some(*id)
}
