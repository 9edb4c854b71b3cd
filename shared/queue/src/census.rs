//! The deliveries under way to destinations that are not known to work, counted by what they share.

use std::{hash::Hash, sync::Arc};

use mail::clock::Timestamp;
use spool::QueueId;

use crate::{
    Slots,
    destination::{Destination, Job},
    hashed::{Map, Set},
    site::Site,
};

/// Deliveries under way to destinations that are not known to work.
#[derive(Debug)]
pub(crate) struct Census<O> {
    pub(crate) total: usize,
    /// With those that are trusted to work, and those under way for long.
    pub(crate) doubtful: usize,
    pub(crate) owners: Map<O, usize>,
    pub(crate) messages: Map<QueueId, usize>,
    /// Those that have one of the places for first deliveries, and whose they are.
    pub(crate) firsts: usize,
    pub(crate) first_owners: Map<O, usize>,
    pub(crate) first_messages: Map<QueueId, usize>,
    pub(crate) hosts: Map<Arc<str>, usize>,
    /// Hosts behind destinations that work.
    pub(crate) working: Set<Arc<str>>,
    /// When the next of them counts among those that are under way for long.
    pub(crate) slows: Option<Timestamp>,
}

impl<O> Default for Census<O> {
    fn default() -> Self {
        Self {
            total: 0,
            doubtful: 0,
            owners: Map::default(),
            messages: Map::default(),
            firsts: 0,
            first_owners: Map::default(),
            first_messages: Map::default(),
            hosts: Map::default(),
            working: Set::default(),
            slows: None,
        }
    }
}

impl<O: Copy + Ord + Hash> Census<O> {
    /// The next job of a destination that is not known to work and has no full host, if it may be
    /// tried now, and whether it has a place for first deliveries.
    pub(crate) fn take<D: Eq + Hash>(
        &self,
        destination: &mut Destination<D, O>,
        site: &Site<D>,
        (slots, mute): (Slots, bool),
        now: Timestamp,
    ) -> Option<(O, Job, bool)> {
        if site.speaking() > 0 && self.total.saturating_mul(2) >= slots.unproven {
            return None;
        }
        let below = |there: Option<&usize>, most| there.is_none_or(|there| *there < most);
        let probes = destination.probes(site.speaking(), now);
        if self.total < slots.unproven {
            let taken = destination.take(probes, mute, |owner, job| {
                below(self.owners.get(owner), slots.unproven_owner)
                    && below(self.messages.get(&job.id), slots.unproven_message)
            });
            if let Some((owner, job)) = taken {
                return Some((owner, job, false));
            }
        }
        if self.firsts >= slots.fresh || !site.is_fresh() {
            return None;
        }
        let taken = destination.take(probes, mute, |owner, job| {
            below(self.first_owners.get(owner), slots.fresh_owner)
                && below(self.first_messages.get(&job.id), slots.fresh_message)
        });
        taken.map(|(owner, job)| (owner, job, true))
    }

    /// Whether one of its hosts has as many places as this, and none is known to work.
    pub(crate) fn has_full<D>(&self, site: &Site<D>, places: usize) -> bool {
        let full = |host| self.hosts.get(host).is_some_and(|there| *there >= places);
        site.hosts.iter().any(full) && !site.hosts.iter().any(|host| self.working.contains(host))
    }
}
