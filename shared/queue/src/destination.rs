//! One destination: the jobs that wait for it, and in whose turn.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use mail::clock::Timestamp;
use spool::QueueId;

use crate::{Patience, Transport, recent::Recent, refused::Refused, site::Key, turns::Turns};

/// Recipients of one message to one destination.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: QueueId,
    pub(crate) epoch: u32,
    pub(crate) recipients: Vec<u32>,
    /// It came by a load, of which only so many are in memory.
    pub(crate) loaded: bool,
    /// As [`crate::Origin::sender`].
    pub(crate) sender: u64,
}

/// Where some senders were refused, so many jobs of an owner are looked at for one of another.
const LOOKED: usize = 1000;

/// Turns in a row of others, while some wait whose senders were refused: they are not forgotten,
/// and one alone of a row is no reason to try nothing more.
const OTHERS: u32 = 4;

/// Where a destination stands that has something to deliver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Listed {
    /// Among those that could begin a delivery, and are known to work.
    Working,
    /// Among those that could begin a delivery.
    Unproven,
    /// Among those that wait for a place of their site or transport.
    Blocked,
    /// Among those whose mail is all of the owner who has as many places as one may have.
    Owned,
}

/// A delivery that may begin.
pub(crate) struct Turn<D, O> {
    pub(crate) destination: Arc<D>,
    pub(crate) owner: O,
    pub(crate) job: Job,
    pub(crate) patience: Patience,
    /// That it works is not known, but trusted.
    pub(crate) on_trust: bool,
    /// It has one of the places that are kept for first deliveries.
    pub(crate) first: bool,
}

#[derive(Debug)]
pub(crate) struct Destination<D, O> {
    pub(crate) jobs: BTreeMap<O, VecDeque<Job>>,
    pub(crate) turns: Turns<O>,
    pub(crate) listed: Option<Listed>,
    pub(crate) site: Key<D>,
    pub(crate) transport: Arc<Transport>,
    /// Whose mail it has refused as mail of this machine.
    pub(crate) refused: Refused,
    /// At which messages it fell silent, while it may well take others.
    pub(crate) mute: Recent<QueueId>,
    /// Turns of others since the last one of theirs.
    others: u32,
}

impl<D, O: Copy + Ord> Destination<D, O> {
    pub(crate) fn new(site: Key<D>, transport: Arc<Transport>, first: Option<O>) -> Self {
        Self {
            jobs: BTreeMap::new(),
            turns: Turns::new(first),
            listed: None,
            site,
            transport,
            refused: Refused::default(),
            mute: Recent::default(),
            others: 0,
        }
    }

    /// Whether all that waits is this owner's.
    pub(crate) fn is_all_of(&self, owner: O) -> bool {
        self.jobs.keys().all(|it| *it == owner)
    }

    pub(crate) fn push(&mut self, owner: O, job: Job) {
        self.jobs.entry(owner).or_default().push_back(job);
    }

    /// A job whose delivery was not made: it is the next of its owner again. `in_order`: behind
    /// older ones that came back, too, and who goes first does so again.
    pub(crate) fn give_back(&mut self, owner: O, job: Job, in_order: bool) {
        if in_order {
            self.turns.restart();
        }
        let own = self.jobs.entry(owner).or_default();
        let older = own.iter().take_while(|it| in_order && it.id < job.id);
        own.insert(older.count(), job);
    }

    /// The next job in turn of an owner whose next job is allowed; those of senders that were
    /// refused behind some of others, and only if there are `probes`; those of messages at which it
    /// fell silent only if they may: `mutes`.
    pub(crate) fn take(
        &mut self,
        probes: bool,
        mutes: bool,
        allowed: impl Fn(&O, &Job) -> bool,
    ) -> Option<(O, Job)> {
        let (looked, refused, mute) = (self.looked(), &self.refused, &self.mute);
        let allowed =
            |owner: &O, job: &Job| (mutes || !mute.contains(job.id)) && allowed(owner, job);
        let place = |own: &VecDeque<Job>| {
            let mut first = own.iter().take(looked);
            first.position(|job| {
                refused.last(job.sender).is_none() && (mutes || !mute.contains(job.id))
            })
        };
        let ready = |owner: &O, own: &VecDeque<Job>| {
            let job = place(own).and_then(|place| own.get(place));
            job.is_some_and(|job| allowed(owner, job))
        };
        let was_long = probes && self.others >= OTHERS;
        let waits = was_long.then(|| self.longest_refused(allowed)).flatten();
        let mut others = || {
            let owner = self.turns.next(&self.jobs, ready)?;
            Some((owner, place(self.jobs.get(&owner)?)?))
        };
        let next = if waits.is_some() { None } else { others() };
        self.others = match next {
            // That was for nothing: it is not searched for again at once.
            Some(_) if was_long => 1,
            Some(_) if !self.refused.is_empty() => self.others + 1,
            _ => 0,
        };
        let (owner, place) = next.or(waits).or_else(|| {
            let all = probes.then(|| self.longest_refused(allowed));
            all.flatten()
        })?;
        let own = self.jobs.get_mut(&owner)?;
        let job = own.remove(place)?;
        if own.is_empty() {
            self.jobs.remove(&owner);
        }
        Some((owner, job))
    }

    /// Whether mail of senders that were refused may be tried, beside so many deliveries to its
    /// hosts: not in a pause, and after it one probe at a time.
    pub(crate) fn probes(&self, delivering: usize, now: Timestamp) -> bool {
        !self.refused.has_paused() || (self.refused.running(now).is_none() && delivering == 0)
    }

    /// Whether mail of a sender waits who was not refused.
    pub(crate) fn has_others(&self) -> bool {
        let is_other = |job: &Job| self.refused.last(job.sender).is_none();
        let mut all = self.jobs.values();
        all.any(|own| own.iter().take(LOOKED).any(is_other))
    }

    /// Jobs, up to so many, of messages that never met silence here.
    pub(crate) fn unmuted(&self, most: usize) -> usize {
        let first = self.jobs.values().flat_map(|own| own.iter().take(LOOKED));
        let unmuted = first.filter(|job| !self.mute.contains(job.id));
        unmuted.take(most).count()
    }

    /// So many jobs of an owner are looked at for the next one.
    fn looked(&self) -> usize {
        if self.refused.is_empty() && self.mute.is_empty() {
            1
        } else {
            LOOKED
        }
    }

    /// Of jobs of refused senders the one of whoever waits longest since then.
    fn longest_refused(&self, allowed: impl Fn(&O, &Job) -> bool) -> Option<(O, usize)> {
        let all = self.jobs.iter().flat_map(|(owner, own)| {
            let first = own.iter().take(self.looked()).enumerate();
            first.map(move |(place, job)| (owner, place, job))
        });
        let refused = all.filter_map(|(owner, place, job)| {
            let number = self.refused.last(job.sender)?;
            allowed(owner, job).then_some((number, *owner, place))
        });
        let first = refused.min_by_key(|(number, ..)| *number)?;
        Some((first.1, first.2))
    }

    /// Jobs for which `which` holds, taken out.
    pub(crate) fn extract(&mut self, which: impl Fn(&Job) -> bool) -> Vec<Job> {
        let mut taken = Vec::new();
        self.jobs.retain(|_, own| {
            // Most have none.
            if !own.iter().any(&which) {
                return true;
            }
            let (out, rest): (VecDeque<_>, VecDeque<_>) = own.drain(..).partition(|job| which(job));
            *own = rest;
            taken.extend(out);
            !own.is_empty()
        });
        taken
    }

    /// Whether at least so many jobs wait.
    pub(crate) fn waits(&self, count: usize) -> bool {
        let mut left = count;
        left == 0
            || self.jobs.values().any(|own| {
                left = left.saturating_sub(own.len());
                left == 0
            })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::{Slots, simulation::id};

    /// Jobs of a refused sender whose owner has as many places as one may have.
    #[test]
    fn jobs_of_refused_senders_are_not_looked_through_at_every_turn() {
        let to = Arc::new("relay".to_owned());
        let transport = Arc::new(Transport::unnamed(&Slots::of_one(2, 4)));
        let mut destination = Destination::new(Key::Alone(to), transport, None);
        destination.refused.refuse(1);
        let mut push = |owner, sender, number| {
            let job = Job {
                id: id(number),
                epoch: 0,
                recipients: vec![0],
                loaded: false,
                sender,
            };
            destination.push(owner, job);
        };
        for number in 0..500 {
            push('A', 1, number);
            push('B', 2, 1000 + number);
        }
        let looked = Cell::new(0);
        for turn in 0..100 {
            let taken = destination.take(true, true, |owner, _| {
                looked.set(looked.get() + 1);
                *owner == 'B'
            });
            assert!(taken.is_some_and(|(_, job)| job.sender == 2), "{turn}");
        }
        assert!((1..=500 * 25 + 200).contains(&looked.get()), "{looked:?}");
    }
}
