//! All destinations, and who may begin a delivery.
//!
//! Contract: destinations that answered a moment ago may use every place. Those that are not known to work share a few, of which one owner, one
//! message and one host have a part each, so that neither many silent destinations nor one message to many of them hold up others. Places are given
//! in turn, one to a destination that works and one to another; among the latter the newest and the oldest alternate. When half of
//! the few are taken, or most of all, peers get little time ([`Patience::Short`]).

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::Arc,
    time::Duration,
};

use mail::{clock::Timestamp, outcome::Failure};

use crate::{
    Patience, Settings,
    census::Census,
    clock::Step,
    destination::{Destination, Job, Listed, Suspension},
};

/// Idle destinations remembered, before old ones are forgotten.
const REMEMBERED: usize = 4096;
/// Hosts remembered behind one destination, by name and address.
const HOSTS: usize = 64;
/// How long an idle destination that has nothing bad about it is remembered when there are so many.
const MEMORY: Duration = Duration::from_hours(1);

/// A delivery that may begin.
pub(crate) struct Turn<D, O> {
    pub(crate) destination: Arc<D>,
    pub(crate) owner: O,
    pub(crate) job: Job,
    pub(crate) patience: Patience,
}

/// A delivery under way.
#[derive(Debug)]
pub(crate) struct Underway<D, O> {
    pub(crate) destination: Arc<D>,
    pub(crate) owner: O,
    pub(crate) job: Job,
    pub(crate) began: Timestamp,
}

/// What a failed connection led to.
pub(crate) enum Setback {
    /// Fewer connections from now on.
    Slower,
    /// Nothing until then.
    Suspended(Suspension),
}

/// All destinations.
#[derive(Debug)]
pub(crate) struct Destinations<D, O> {
    known: HashMap<Arc<D>, Destination<O>>,
    /// Those that could begin a delivery.
    working: VecDeque<Arc<D>>,
    unproven: VecDeque<Arc<D>>,
    underway: HashMap<u64, Underway<D, O>>,
    settings: Settings<O>,
    /// How many may be known before idle ones are looked for.
    most: usize,
    turn: bool,
    newest: bool,
    /// No unproven destination may begin a delivery until something changes.
    stuck: bool,
}

impl<D: Eq + Hash, O: Copy + Ord + Hash> Destinations<D, O> {
    pub(crate) fn new(settings: Settings<O>) -> Self {
        Self {
            known: HashMap::new(),
            working: VecDeque::new(),
            unproven: VecDeque::new(),
            underway: HashMap::new(),
            settings,
            most: REMEMBERED,
            turn: false,
            newest: false,
            stuck: false,
        }
    }

    /// The suspension of a destination, if it is suspended now.
    pub(crate) fn suspension(&self, destination: &D, now: Timestamp) -> Option<&Suspension> {
        let suspension = self.known.get(destination)?.suspended.as_ref()?;
        (suspension.until > now).then_some(suspension)
    }

    pub(crate) fn underway(&self) -> usize {
        self.underway.len()
    }

    /// A job waits. `fresh`: its message has not been tried yet.
    pub(crate) fn push(&mut self, to: &Arc<D>, owner: O, job: Job, fresh: bool, now: Timestamp) {
        if !self.known.contains_key(to) {
            self.forget_idle(now);
            let new = Destination::new(self.settings.slots.destination, self.settings.first);
            self.known.insert(Arc::clone(to), new);
        }
        if let Some(destination) = self.known.get_mut(to) {
            destination.push(owner, job);
            if fresh && self.settings.back_off.stays {
                destination.hurry(self.settings.back_off.first);
            }
        }
        self.list(to, now);
    }

    /// The next job in turn, and where it goes.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<Turn<D, O>> {
        if self.underway.len() >= self.settings.slots.total {
            return None;
        }
        self.wake(now);
        self.turn = !self.turn;
        if self.turn {
            self.next_working(now).or_else(|| self.next_unproven(now))
        } else {
            self.next_unproven(now).or_else(|| self.next_working(now))
        }
    }

    /// The delivery of a turn begins.
    pub(crate) fn begin(&mut self, ticket: u64, turn: Turn<D, O>, now: Timestamp) {
        if let Some(destination) = self.known.get_mut(&turn.destination) {
            destination.delivering += 1;
        }
        self.list(&turn.destination, now);
        let underway = Underway {
            destination: turn.destination,
            owner: turn.owner,
            job: turn.job,
            began: now,
        };
        self.underway.insert(ticket, underway);
    }

    /// The job of a turn was void.
    pub(crate) fn skip(&mut self, turn: &Turn<D, O>, now: Timestamp) {
        self.list(&turn.destination, now);
    }

    /// A delivery has ended.
    pub(crate) fn end(&mut self, ticket: u64) -> Option<Underway<D, O>> {
        let underway = self.underway.remove(&ticket)?;
        if let Some(destination) = self.known.get_mut(&underway.destination) {
            destination.delivering = destination.delivering.saturating_sub(1);
        }
        self.stuck = false;
        Some(underway)
    }

    /// A delivery that has ended was not made: it is the next in turn again.
    pub(crate) fn give_back(&mut self, underway: Underway<D, O>, now: Timestamp) {
        if let Some(destination) = self.known.get_mut(&underway.destination) {
            destination.give_back(underway.owner, underway.job);
        }
        self.list(&underway.destination, now);
    }

    /// A delivery has ended well, or failed for a reason that is not the destination's. Whether the destination is back.
    pub(crate) fn worked(&mut self, to: &Arc<D>, well: bool, now: Timestamp) -> bool {
        let most = self.settings.slots.destination;
        let destination = self.known.get_mut(to);
        let back = destination.is_some_and(|destination| destination.worked(well, most, now));
        self.list(to, now);
        back
    }

    /// A connection failed.
    pub(crate) fn failed(
        &mut self,
        to: &Arc<D>,
        failure: &Failure,
        random: u32,
        now: Timestamp,
    ) -> Setback {
        let Some(destination) = self.known.get_mut(to) else {
            return Setback::Slower;
        };
        if destination.delivering > 0 {
            destination.limit = destination.delivering;
            self.list(to, now);
            return Setback::Slower;
        }
        let back_off = self.settings.back_off;
        Setback::Suspended(destination.suspend(failure, back_off, random, now))
    }

    /// Jobs that wait for a destination and for which `which` holds, taken out.
    pub(crate) fn extract(&mut self, to: &D, which: impl Fn(&Job) -> bool) -> Vec<Job> {
        let destination = self.known.get_mut(to);
        destination.map_or_else(Vec::new, |destination| destination.extract(which))
    }

    /// Administrator: try all destinations again now.
    pub(crate) fn resume(&mut self, now: Timestamp) {
        for destination in self.known.values_mut() {
            destination.suspended = None;
            destination.failures = 0;
        }
        self.relist(now);
    }

    /// Administrator: try this one again now.
    pub(crate) fn resume_one(&mut self, to: &Arc<D>, now: Timestamp) {
        if let Some(destination) = self.known.get_mut(to) {
            destination.suspended = None;
        }
        self.list(to, now);
    }

    /// The wall clock was set.
    pub(crate) fn stepped(&mut self, step: Step, longest: Duration, now: Timestamp) {
        for destination in self.known.values_mut() {
            if step.is_back() {
                destination.bound(longest, now);
            }
        }
        for underway in self.underway.values_mut() {
            underway.began = underway.began.min(now);
        }
        self.relist(now);
    }

    /// The hosts behind a destination are known now. Whether the delivery may go on: `false` where one of them has its part of the places.
    pub(crate) fn admits(&mut self, to: &Arc<D>, hosts: &[Arc<str>], now: Timestamp) -> bool {
        let Some(destination) = self.known.get_mut(to) else {
            return true;
        };
        let mut known = hosts.to_vec();
        known.sort_unstable();
        known.dedup();
        let before = std::mem::replace(&mut destination.hosts, known);
        if destination.works(now) {
            return true;
        }
        let census = self.census(now);
        let full = |host| {
            let there = census.hosts.get(host).copied().unwrap_or_default();
            // The delivery that asks is one of them.
            there > self.settings.slots.unproven_host
        };
        let works = hosts.iter().any(|host| census.working.contains(host));
        let admitted = works || !hosts.iter().any(full);
        if !admitted && let Some(destination) = self.known.get_mut(to) {
            // Where names lead to other hosts each time, it waits for all of those that were seen.
            let room = HOSTS.saturating_sub(destination.hosts.len());
            destination.hosts.extend(before.into_iter().take(room));
            destination.hosts.sort_unstable();
            destination.hosts.dedup();
        }
        admitted
    }

    /// When a suspended destination whose mail stays ready is asked again.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        if !self.settings.back_off.stays {
            return None;
        }
        let waiting = self
            .known
            .values()
            .filter(|it| it.delivering == 0 && !it.jobs.is_empty());
        waiting
            .filter_map(|it| it.suspended.as_ref().map(|it| it.until))
            .min()
    }

    /// Suspensions that are over.
    fn wake(&mut self, now: Timestamp) {
        if self.settings.back_off.stays {
            self.relist(now);
        }
    }

    fn relist(&mut self, now: Timestamp) {
        for to in self.known.keys().cloned().collect::<Vec<_>>() {
            self.list(&to, now);
        }
    }

    /// Puts a destination where it belongs, if it could begin a delivery.
    fn list(&mut self, to: &Arc<D>, now: Timestamp) {
        let Some(destination) = self.known.get_mut(to) else {
            return;
        };
        if !destination.has_room(
            self.settings.slots.backlog,
            self.settings.back_off.stays,
            now,
        ) {
            return;
        }
        let works = destination.works(now);
        match destination.listed {
            Some(Listed::Working) => {}
            Some(Listed::Unproven) if !works => {}
            _ if works => {
                destination.listed = Some(Listed::Working);
                self.working.push_back(Arc::clone(to));
            }
            _ => {
                destination.listed = Some(Listed::Unproven);
                self.stuck = false;
                if destination.answered.is_some() && destination.failures == 0 {
                    self.unproven.push_front(Arc::clone(to));
                } else {
                    self.unproven.push_back(Arc::clone(to));
                }
            }
        }
    }

    fn next_working(&mut self, now: Timestamp) -> Option<Turn<D, O>> {
        let (slots, stays) = (self.settings.slots, self.settings.back_off.stays);
        let crowded = self.underway.len().saturating_mul(4) > slots.total.saturating_mul(3);
        for _ in 0..self.working.len() {
            let to = self.working.pop_front()?;
            let Some(destination) = self.known.get_mut(&to) else {
                continue;
            };
            if destination.listed != Some(Listed::Working) {
                continue;
            }
            destination.listed = None;
            if !destination.works(now) {
                self.list(&to, now);
                continue;
            }
            if !destination.has_room(slots.backlog, stays, now) {
                continue;
            }
            let underway = &self.underway;
            let taken = destination.take(|owner, _| {
                slots.owner >= slots.total || count(underway, owner) < slots.owner
            });
            if let Some((owner, job)) = taken {
                let patience = if crowded {
                    Patience::Short
                } else {
                    Patience::Full
                };
                return Some(Turn {
                    destination: to,
                    owner,
                    job,
                    patience,
                });
            }
            self.list(&to, now);
        }
        None
    }

    fn next_unproven(&mut self, now: Timestamp) -> Option<Turn<D, O>> {
        if self.stuck || self.unproven.is_empty() {
            return None;
        }
        let (slots, stays) = (self.settings.slots, self.settings.back_off.stays);
        let census = self.census(now);
        if census.total >= slots.unproven {
            return None;
        }
        let (mut passed, mut found) = (Vec::new(), None);
        while let Some(to) = if self.newest {
            self.unproven.pop_back()
        } else {
            self.unproven.pop_front()
        } {
            let Some(destination) = self.known.get_mut(&to) else {
                continue;
            };
            if destination.listed != Some(Listed::Unproven) {
                continue;
            }
            if destination.works(now) || !destination.has_room(slots.backlog, stays, now) {
                destination.listed = None;
                self.list(&to, now);
                continue;
            }
            if let Some((owner, job)) = census.take(destination, slots) {
                destination.listed = None;
                let crowded =
                    (census.total + 1) * 2 > slots.unproven && slots.unproven <= slots.total;
                found = Some(Turn {
                    destination: to,
                    owner,
                    job,
                    patience: if crowded {
                        Patience::Short
                    } else {
                        Patience::Full
                    },
                });
                break;
            }
            passed.push(to);
        }
        for to in passed.into_iter().rev() {
            if self.newest {
                self.unproven.push_back(to);
            } else {
                self.unproven.push_front(to);
            }
        }
        self.stuck = found.is_none();
        if found.is_some() {
            self.newest = !self.newest;
        }
        found
    }

    fn census(&self, now: Timestamp) -> Census<O> {
        let mut census = Census::default();
        for underway in self.underway.values() {
            let Some(destination) = self.known.get(&underway.destination) else {
                continue;
            };
            let hosts = destination.hosts.iter().cloned();
            if destination.works(now) {
                census.working.extend(hosts);
                continue;
            }
            census.total += 1;
            *census.owners.entry(underway.owner).or_default() += 1;
            *census.messages.entry(underway.job.id).or_default() += 1;
            for host in hosts {
                *census.hosts.entry(host).or_default() += 1;
            }
        }
        census
    }

    fn forget_idle(&mut self, now: Timestamp) {
        if self.known.len() < self.most {
            return;
        }
        let keep = self.settings.back_off.longest;
        self.known.retain(|_, destination| {
            let suspension = destination.suspended.as_ref();
            let bad = suspension.is_some_and(|it| it.until.after(keep) > now);
            let good = destination
                .answered
                .is_some_and(|then| now.since(then) < MEMORY);
            destination.delivering > 0 || !destination.jobs.is_empty() || bad || good
        });
        // Looking at all of them is worth it only where some may have grown old.
        self.most = REMEMBERED.max(self.known.len().saturating_mul(2));
    }
}

fn count<D, O: PartialEq>(underway: &HashMap<u64, Underway<D, O>>, owner: &O) -> usize {
    underway.values().filter(|it| it.owner == *owner).count()
}
