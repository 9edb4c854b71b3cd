//! Deliveries that end, and those whose peer takes its time: these give up their places, as many as
//! there are places.

use std::{hash::Hash, sync::Arc};

use mail::clock::Timestamp;

use super::{Destinations, Underway};
use crate::{Transport, site::Key};

impl<D: Eq + Hash, O: Copy + Ord + Hash> Destinations<D, O> {
    /// A delivery has ended.
    pub(crate) fn end(&mut self, ticket: u64, now: Timestamp) -> Option<Underway<D, O>> {
        let underway = self.underway.remove(&ticket)?;
        if underway.stalls {
            self.stalling = self.stalling.saturating_sub(1);
        } else {
            self.free_place(&underway.site, &underway.transport, now);
        }
        Some(underway)
    }

    /// A delivery may take long: its place is free for another one.
    pub(crate) fn stalls(&mut self, ticket: u64, now: Timestamp) {
        let is_full = self.stalling >= self.settings.slots.total;
        let underway = self.underway.get_mut(&ticket);
        let Some(underway) = underway.filter(|it| !it.stalls && !is_full) else {
            return;
        };
        underway.stalls = true;
        self.stalling += 1;
        let (site, transport) = (underway.site.clone(), Arc::clone(&underway.transport));
        let to = Arc::clone(&underway.destination);
        self.free_place(&site, &transport, now);
        self.list(&to, now);
    }

    /// Places that are taken.
    pub(super) fn taken(&self) -> usize {
        self.underway.len().saturating_sub(self.stalling)
    }

    fn free_place(&mut self, site: &Key<D>, transport: &Transport, now: Timestamp) {
        // Those that work have no part in what the others share: looking through all that wait, a
        // thousand silent ones, after each of their deliveries would be most of the work.
        let had_part = self.sites.get(site).is_none_or(|it| !it.works(now));
        let free = self.sites.end(site, transport, now);
        if had_part {
            self.stuck = false;
        }
        self.unblock(free, now);
    }
}
