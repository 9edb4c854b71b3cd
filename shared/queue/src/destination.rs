//! One destination: the jobs that wait for it, how many deliveries it gets at once, and its back-off.
//!
//! The limit starts at [`FIRST_LIMIT`], grows by one with each delivery that worked, up to the configured one, and falls to what still works when a
//! connection fails beside working ones. When none works the destination is suspended: each further time twice as long, at most the
//! longest pause; afterwards one delivery at a time probes.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use mail::{clock::Timestamp, outcome::Failure};
use spool::QueueId;

use crate::{BackOff, turns::Turns};

/// Deliveries at once to a destination that nothing is known of.
const FIRST_LIMIT: usize = 5;
/// How long a destination that answered counts as one that works.
const WORKING: Duration = Duration::from_secs(30);

/// Recipients of one message to one destination.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: QueueId,
    pub(crate) epoch: u32,
    pub(crate) recipients: Vec<u32>,
    /// It came by a load, of which only so many are in memory.
    pub(crate) loaded: bool,
}

/// Why and until when nothing is tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Suspension {
    pub(crate) until: Timestamp,
    /// When the attempt failed that led to it.
    pub(crate) failed: Timestamp,
    pub(crate) reason: Arc<str>,
    pub(crate) failure: Failure,
}

/// In which list of those that could begin a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Listed {
    Working,
    Unproven,
}

#[derive(Debug)]
pub(crate) struct Destination<O> {
    pub(crate) jobs: BTreeMap<O, VecDeque<Job>>,
    pub(crate) turns: Turns<O>,
    /// Deliveries under way.
    pub(crate) delivering: usize,
    pub(crate) limit: usize,
    pub(crate) listed: Option<Listed>,
    /// Suspensions without a success between them.
    pub(crate) failures: u32,
    pub(crate) suspended: Option<Suspension>,
    /// When it last took part in a delivery.
    pub(crate) answered: Option<Timestamp>,
    /// The hosts behind it, once they are known.
    pub(crate) hosts: Vec<Arc<str>>,
}

impl<O: Copy + Ord> Destination<O> {
    pub(crate) fn new(most: usize, first: Option<O>) -> Self {
        Self {
            jobs: BTreeMap::new(),
            turns: Turns::new(first),
            delivering: 0,
            limit: FIRST_LIMIT.min(most).max(1),
            listed: None,
            failures: 0,
            suspended: None,
            answered: None,
            hosts: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, owner: O, job: Job) {
        self.jobs.entry(owner).or_default().push_back(job);
    }

    /// A job whose delivery was not made: it is the next of its owner again.
    pub(crate) fn give_back(&mut self, owner: O, job: Job) {
        self.jobs.entry(owner).or_default().push_front(job);
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
        self.jobs.is_empty() == (count == 0)
            || self.jobs.values().any(|own| {
                left = left.saturating_sub(own.len());
                left == 0
            })
    }

    /// Whether it answered a moment ago.
    pub(crate) fn works(&self, now: Timestamp) -> bool {
        self.failures == 0 && self.answered.is_some_and(|then| now.since(then) <= WORKING)
    }

    /// Whether one more delivery may begin, as far as this destination alone decides.
    pub(crate) fn has_room(&self, backlog: usize, stays: bool, now: Timestamp) -> bool {
        // Where mail does not stay, only what the administrator flushed is here during a suspension.
        let suspended = self.suspended.as_ref().filter(|_| stays);
        !self.jobs.is_empty()
            && self.delivering < self.limit
            && suspended.is_none_or(|suspension| suspension.until <= now)
            && self.waits(self.delivering.saturating_mul(backlog))
    }

    /// A delivery has ended well, or failed for a reason that is not the destination's.
    /// Whether it was suspended and is not any more.
    pub(crate) fn worked(&mut self, well: bool, most: usize, now: Timestamp) -> bool {
        if !well {
            return false;
        }
        self.answered = Some(now);
        self.failures = 0;
        self.limit = (self.limit + 1).min(most).max(1);
        self.suspended.take().is_some()
    }

    /// A connection failed while no other one worked: nothing until the suspension is over.
    pub(crate) fn suspend(
        &mut self,
        failure: &Failure,
        back_off: BackOff,
        random: u32,
        now: Timestamp,
    ) -> Suspension {
        self.limit = 1;
        let suspended = self.suspended.as_ref().map(|suspension| suspension.until);
        // An attempt out of turn, by the administrator's order, makes nobody else wait longer.
        let until = suspended.filter(|until| *until > now).unwrap_or_else(|| {
            let pause = back_off.first.saturating_mul(1 << self.failures.min(16));
            self.failures = self.failures.saturating_add(1);
            let pause = pause.min(back_off.longest);
            // Machines that lost the same relayhost do not come back together.
            let pause = if back_off.stays {
                pause.saturating_mul(8000 + random % 4001) / 10_000
            } else {
                pause
            };
            now.after(pause.max(Duration::from_millis(1)))
        });
        let suspension = Suspension {
            until,
            failed: now,
            reason: format!("delivery temporarily suspended: {}", failure.log_text()).into(),
            failure: failure.clone(),
        };
        self.suspended = Some(suspension.clone());
        suspension
    }

    /// New mail may be what brings the news that it is back.
    pub(crate) fn hurry(&mut self, first: Duration) {
        if let Some(suspension) = &mut self.suspended {
            suspension.until = suspension.until.min(suspension.failed.after(first));
        }
    }

    /// The wall clock was set back, or is wrong by more than any pause: nothing waits longer than `longest`.
    pub(crate) fn bound(&mut self, longest: Duration, now: Timestamp) {
        if let Some(suspension) = &mut self.suspended {
            suspension.until = suspension.until.min(now.after(longest));
            suspension.failed = suspension.failed.min(now);
        }
        self.answered = self.answered.map(|then| then.min(now));
    }
}
