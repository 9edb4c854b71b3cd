//! Deliveries that end, and those whose peer takes its time: these give up their places, up to
//! three times as many as there are places; beyond that, peers get little time up to the final dot.
//! A message at which its destination fell silent before
//! has none, and is tried on its own schedule; a next hop of the administrator's counts as one that
//! fails only where different messages have met silence, and it has answered nobody between them.

use std::{hash::Hash, sync::Arc};

use mail::{clock::Timestamp, outcome::Failure};

use super::{Destinations, Underway, turn::SLOW};
use crate::{Transport, destination::Destination, site::Key};

/// So many times more than there are places may stall, also of one site.
const STALLING: usize = 3;

impl<D: Eq + Hash, O: Copy + Ord + Hash> Destinations<D, O> {
    /// A delivery has ended.
    pub(crate) fn end(&mut self, ticket: u64, now: Timestamp) -> Option<Underway<D, O>> {
        let underway = self.underway.remove(&ticket)?;
        if underway.stalls {
            self.stalling = self.stalling.saturating_sub(1);
            if underway.runs {
                let free = self.sites.end(&underway.site, &underway.transport, now);
                self.unblock(free, now);
            }
            self.list_mute(now);
        } else {
            let on_trust = is_on_trust(&underway, now);
            self.give_place(underway.owner);
            self.free_place(&underway.site, &underway.transport, on_trust, now);
        }
        Some(underway)
    }

    /// A delivery may take long: its place is free for another one.
    pub(crate) fn stalls(&mut self, ticket: u64, now: Timestamp) {
        let Some(known) = self.underway.get(&ticket).filter(|it| !it.stalls) else {
            return;
        };
        let most = known.transport.at_once().saturating_mul(STALLING);
        let is_full = self.stalling >= self.settings.slots.total.saturating_mul(STALLING)
            || self.stalling_at(&known.site) >= most;
        let Some(underway) = self.underway.get_mut(&ticket).filter(|_| !is_full) else {
            return;
        };
        underway.stalls = true;
        self.stalling += 1;
        let (site, transport) = (underway.site.clone(), Arc::clone(&underway.transport));
        let to = Arc::clone(&underway.destination);
        let (on_trust, owner) = (is_on_trust(underway, now), underway.owner);
        self.give_place(owner);
        self.free_place(&site, &transport, on_trust, now);
        self.list(&to, now);
    }

    /// The same of a program: of its own sort there are no more for that.
    pub(crate) fn runs(&mut self, ticket: u64) {
        let is_full = self.stalling >= self.settings.slots.total;
        let underway = self.underway.get_mut(&ticket);
        let Some(underway) = underway.filter(|it| !it.stalls && !is_full) else {
            return;
        };
        (underway.stalls, underway.runs) = (true, true);
        let owner = underway.owner;
        self.stalling += 1;
        self.give_place(owner);
        self.stuck = false;
        self.trusts = self.settings.slots.trusted > 0;
    }

    /// Whether one more delivery of a message at which this destination fell silent may begin: as
    /// many as it has places.
    pub(super) fn goes_apart(&self, destination: &Destination<D, O>) -> bool {
        destination.mute.is_empty()
            || self.stalling < self.settings.slots.total
                && self.stalling_at(&destination.site) < destination.transport.at_once()
    }

    /// Whether one more delivery there may find too many that have given up their places, and keep
    /// its own while nothing is said to it: then it is waited for only shortly, so that others get
    /// in.
    pub(super) fn is_hurried(&self, to: &D) -> bool {
        let Some(known) = self.known.get(to).filter(|_| self.stalling > 0) else {
            return false;
        };
        let most = known.transport.at_once().saturating_mul(STALLING);
        let there = self.underway.values().filter(|it| it.site == known.site);
        self.underway.len() >= self.settings.slots.total.saturating_mul(STALLING)
            || there.count() >= most
    }

    fn stalling_at(&self, site: &Key<D>) -> usize {
        let stalling = self.underway.values().filter(|it| it.stalls);
        stalling.filter(|it| it.site == *site).count()
    }

    /// Messages at which their destination fell silent may be tried again.
    fn list_mute(&mut self, now: Timestamp) {
        let mute = self.known.iter().filter(|(_, it)| !it.mute.is_empty());
        for to in mute.map(|(to, _)| Arc::clone(to)).collect::<Vec<_>>() {
            self.list(&to, now);
        }
    }

    /// A delivery ended without an answer to anybody, or with one: what that says of its message.
    /// Whether silence is about this message alone, as far as is known.
    pub(crate) fn heard(&mut self, underway: &Underway<D, O>, silence: Option<&Failure>) -> bool {
        let Some(destination) = self.known.get_mut(&underway.destination) else {
            return false;
        };
        let id = underway.job.id;
        if !silence.is_some_and(Failure::falls_silent) {
            destination.mute.remove(id);
            return false;
        }
        destination.mute.insert(id);
        if underway.hurried {
            // In so little time it says nothing of others.
            return true;
        }
        let site = self.sites.get_mut(&destination.site);
        site.is_some_and(|site| site.falls_silent(id, underway.began))
    }

    /// Deliveries, with places or without.
    pub(crate) fn underway(&self) -> usize {
        self.underway.len()
    }

    /// Places that are taken.
    pub(super) fn taken(&self) -> usize {
        self.underway.len().saturating_sub(self.stalling)
    }

    /// So many jobs must wait for each delivery under way before another one begins beside it. One
    /// that waits in silence is no connection that others could use next.
    pub(super) fn backlog(&self, destination: &Destination<D, O>) -> usize {
        if self.stalling > 0 || !destination.mute.is_empty() {
            0
        } else {
            self.settings.slots.backlog
        }
    }

    /// A delivery begins: an owner has one place more, unless it needs none.
    pub(super) fn take_place(&mut self, underway: &Underway<D, O>) {
        if underway.stalls {
            self.stalling += 1;
            return;
        }
        self.sites.begin(&underway.site, &underway.transport);
        let owner = underway.owner;
        let slots = self.settings.slots;
        let taken = self.owners.entry(owner).or_default();
        *taken += 1;
        if slots.owner < slots.total && *taken >= slots.owner {
            self.hog = Some(owner);
        }
    }

    /// And one less.
    fn give_place(&mut self, owner: O) {
        if let Some(taken) = self.owners.get_mut(&owner) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                self.owners.remove(&owner);
            }
        }
        self.hog.take_if(|hog| *hog == owner);
    }

    fn free_place(&mut self, site: &Key<D>, transport: &Transport, on_trust: bool, now: Timestamp) {
        // Those that work, or were trusted to, have no part in what the others share: looking
        // through all that wait, a thousand silent ones, after each of their deliveries would be
        // most of the work.
        let doubtful = self.sites.get(site).is_none_or(|it| !it.works(now));
        let free = self.sites.end(site, transport, now);
        if doubtful && (!on_trust || self.hosts_full || !self.trusts) {
            self.stuck = false;
            self.trusts = self.settings.slots.trusted > 0;
        }
        self.unblock(free, now);
    }
}

/// Whether it has no part in what is shared by those that are not known to work.
fn is_on_trust<D, O>(underway: &Underway<D, O>, now: Timestamp) -> bool {
    underway.on_trust && underway.began.after(SLOW) > now
}
