//! What waits in the spool, by the time it is due and by whose it is.

use std::collections::{BTreeMap, BTreeSet};

use mail::clock::Timestamp;
use spool::QueueId;

use crate::turns::Turns;

/// Messages with waiting recipients that are not held, by when the first is due.
#[derive(Debug)]
pub(crate) struct Timetable<O> {
    owners: BTreeMap<O, BTreeSet<(Timestamp, QueueId)>>,
    /// When the first of each owner is due.
    firsts: BTreeSet<(Timestamp, O)>,
    turns: Turns<O>,
}

impl<O: Copy + Ord> Timetable<O> {
    pub(crate) fn new(first: Option<O>) -> Self {
        Self {
            owners: BTreeMap::new(),
            firsts: BTreeSet::new(),
            turns: Turns::new(first),
        }
    }

    pub(crate) fn insert(&mut self, owner: O, due: Timestamp, id: QueueId) {
        self.change(owner, |own| own.insert((due, id)));
    }

    pub(crate) fn remove(&mut self, owner: O, due: Timestamp, id: QueueId) {
        self.change(owner, |own| own.remove(&(due, id)));
    }

    fn change(
        &mut self,
        owner: O,
        change: impl FnOnce(&mut BTreeSet<(Timestamp, QueueId)>) -> bool,
    ) {
        let own = self.owners.entry(owner).or_default();
        let first = |own: &BTreeSet<_>| own.first().map(|&(due, _)| due);
        let before = first(own);
        change(own);
        let after = first(own);
        if own.is_empty() {
            self.owners.remove(&owner);
        }
        if before != after {
            if let Some(before) = before {
                self.firsts.remove(&(before, owner));
            }
            self.firsts.extend(after.map(|after| (after, owner)));
        }
    }

    /// The message whose turn it is, if one is due; it is taken out.
    pub(crate) fn take(&mut self, now: Timestamp) -> Option<QueueId> {
        self.earliest().filter(|due| *due <= now)?;
        let is_due = |own: &BTreeSet<_>| own.first().is_some_and(|(due, _)| *due <= now);
        let owner = self.turns.next(&self.owners, |_, own| is_due(own))?;
        let &(due, id) = self.owners.get(&owner)?.first()?;
        self.remove(owner, due, id);
        Some(id)
    }

    /// Whether one of this owner is due.
    pub(crate) fn has_due(&self, owner: O, now: Timestamp) -> bool {
        let own = self.owners.get(&owner).and_then(BTreeSet::first);
        own.is_some_and(|(due, _)| *due <= now)
    }

    /// When the first one is due.
    pub(crate) fn earliest(&self) -> Option<Timestamp> {
        self.firsts.first().map(|(due, _)| *due)
    }
}
