//! The places that deliveries have, and give up: one among all, one at their site and of their
//! transport.

use std::{hash::Hash, sync::Arc};

use mail::clock::Timestamp;

use super::{Destinations, Underway, turn::SLOW};
use crate::{
    Transport, destination::Destination, place::Place, settings::BESIDE, site::Key, sites::Ended,
};

impl<D: Eq + Hash, O: Copy + Ord + Hash> Destinations<D, O> {
    /// A delivery has ended.
    pub(crate) fn end(&mut self, ticket: u64, now: Timestamp) -> Option<Underway<D, O>> {
        let underway = self.underway.remove(&ticket)?;
        if let Some(due) = underway.silent {
            self.silences.remove(&(due, ticket));
        }
        if underway.place == Place::Full {
            let on_trust = is_on_trust(&underway, now);
            self.give_place(underway.owner);
            self.free_place(&underway.site, &underway.transport, on_trust, now);
            return Some(underway);
        }
        self.beside = self.beside.saturating_sub(1);
        if underway.place == Place::Silent
            && let Some(site) = self.sites.get_mut(&underway.site)
        {
            site.silent = site.silent.saturating_sub(1);
        }
        if underway.place != Place::None {
            let free = self
                .sites
                .end(&underway.site, &underway.transport, Ended::Delivery, now);
            self.unblock(free, now);
        }
        Some(underway)
    }

    /// A delivery waits for what is no connection: all its places are free for others. Of one site
    /// as many do so as have places there.
    pub(crate) fn stalls(&mut self, ticket: u64, now: Timestamp) {
        let Some(known) = self.underway.get(&ticket) else {
            return;
        };
        let all = self.underway.values();
        let there = all.filter(|it| it.place == Place::None && it.site == known.site);
        if there.count() >= known.transport.at_once() || !self.steps_aside(ticket, Place::None) {
            return;
        }
        let Some(underway) = self.underway.get(&ticket) else {
            return;
        };
        let (to, site) = (Arc::clone(&underway.destination), underway.site.clone());
        let free = self.sites.end(
            &site,
            &Arc::clone(&underway.transport),
            Ended::Delivery,
            now,
        );
        self.unblock(free, now);
        self.list(&to, now);
    }

    /// A program takes its time: its place among all is free for others.
    pub(crate) fn runs(&mut self, ticket: u64) {
        if self.beside < self.settings.slots.total {
            self.steps_aside(ticket, Place::Program);
        }
    }

    /// It gives up its place among all, where not too many have; whether it did.
    pub(super) fn steps_aside(&mut self, ticket: u64, place: Place) -> bool {
        let is_full = self.beside >= self.settings.slots.total.saturating_mul(BESIDE);
        let underway = self.underway.get_mut(&ticket);
        let Some(underway) = underway.filter(|it| it.place == Place::Full && !is_full) else {
            return false;
        };
        underway.place = place;
        let owner = underway.owner;
        self.beside += 1;
        self.give_place(owner);
        self.stuck = false;
        self.trusts = self.settings.slots.trusted > 0;
        true
    }

    /// Deliveries, with places or without.
    pub(crate) fn underway(&self) -> usize {
        self.underway.len()
    }

    /// Places among all that are taken.
    pub(super) fn taken(&self) -> usize {
        let deliveries = self.underway.len().saturating_sub(self.beside);
        deliveries.saturating_add(self.questions.under_way.len())
    }

    /// So many jobs must wait for each delivery under way before another one begins beside it. One
    /// that waits in silence is no connection that others could use next.
    pub(super) fn backlog(&self, destination: &Destination<D, O>) -> usize {
        if self.beside > 0 || !destination.mute.is_empty() {
            0
        } else {
            self.settings.slots.backlog
        }
    }

    /// A delivery begins: an owner has one place more.
    pub(super) fn take_place(&mut self, underway: &Underway<D, O>) {
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
        let free = self.sites.end(site, transport, Ended::Delivery, now);
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
