//! One destination: the jobs that wait for it, and in whose turn.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use spool::QueueId;

use crate::{Patience, Transport, site::Key, turns::Turns};

/// Recipients of one message to one destination.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: QueueId,
    pub(crate) epoch: u32,
    pub(crate) recipients: Vec<u32>,
    /// It came by a load, of which only so many are in memory.
    pub(crate) loaded: bool,
}

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
}

#[derive(Debug)]
pub(crate) struct Destination<D, O> {
    pub(crate) jobs: BTreeMap<O, VecDeque<Job>>,
    pub(crate) turns: Turns<O>,
    pub(crate) listed: Option<Listed>,
    pub(crate) site: Key<D>,
    pub(crate) transport: Arc<Transport>,
}

impl<D, O: Copy + Ord> Destination<D, O> {
    pub(crate) fn new(site: Key<D>, transport: Arc<Transport>, first: Option<O>) -> Self {
        Self {
            jobs: BTreeMap::new(),
            turns: Turns::new(first),
            listed: None,
            site,
            transport,
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

    /// The next job in turn of an owner whose next job is allowed.
    pub(crate) fn take(&mut self, allowed: impl Fn(&O, &Job) -> bool) -> Option<(O, Job)> {
        let ready =
            |owner: &O, own: &VecDeque<Job>| own.front().is_some_and(|job| allowed(owner, job));
        let owner = self.turns.next(&self.jobs, ready)?;
        let own = self.jobs.get_mut(&owner)?;
        let job = own.pop_front()?;
        if own.is_empty() {
            self.jobs.remove(&owner);
        }
        Some((owner, job))
    }

    /// Jobs for which `which` holds, taken out.
    pub(crate) fn extract(&mut self, which: impl Fn(&Job) -> bool) -> Vec<Job> {
        let mut taken = Vec::new();
        self.jobs.retain(|_, own| {
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
