//! The hosts behind destinations: known only once they were looked up, and who shares them.

use std::{hash::Hash, sync::Arc};

use mail::clock::Timestamp;

use super::Destinations;
use crate::{Lesson, Transport, place::Place, site::Key, sites::Wait};

/// Hosts remembered behind one destination, by name and address.
const HOSTS: usize = 64;

impl<D: Eq + Hash, O: Copy + Ord + Hash> Destinations<D, O> {
    pub(crate) fn lessons(&self, now: Timestamp) -> Vec<Lesson> {
        self.sites.lessons(now)
    }

    /// What the hosts of a destination have taught.
    pub(crate) fn lesson(&self, to: &D) -> Option<Lesson> {
        self.sites.lesson(&self.known.get(to)?.site)
    }

    pub(crate) fn teach(&mut self, lesson: Lesson) {
        let transport = Transport::unnamed(&self.settings.slots);
        self.sites.teach(lesson, &transport);
    }

    /// The hosts behind a destination are known now. Whether the delivery may go on: `false` where
    /// others with these hosts have taken their places.
    pub(crate) fn shares(
        &mut self,
        ticket: u64,
        to: &Arc<D>,
        hosts: &[Arc<str>],
        now: Timestamp,
    ) -> bool {
        let Some(destination) = self.known.get(to) else {
            return true;
        };
        let mut names = hosts.to_vec();
        names.sort_unstable();
        names.dedup();
        let key = Key::Hosts(destination.transport.name.clone(), names.into());
        self.move_to(to, key, Some(ticket), now);
        let Some(destination) = self.known.get(to) else {
            return true;
        };
        let site = self.sites.get(&destination.site);
        site.is_none_or(|site| {
            // The delivery that asks is one of them.
            !site.has_too_many(&destination.transport, now) && !site.rests(now)
        }) && self.question_fits(ticket, now)
    }

    /// What deliveries under way leave of the connections that its hosts may have.
    pub(crate) fn spare(&self, to: &D, now: Timestamp) -> usize {
        let destination = self.known.get(to);
        let spare = destination.and_then(|it| {
            let site = self.sites.get(&it.site)?;
            Some(site.spare(&it.transport, now))
        });
        spare.unwrap_or(0)
    }

    /// Its hosts are others. Deliveries that have connections to those of before count there until
    /// they end; with whoever `asks` go those that know none yet.
    pub(super) fn move_to(&mut self, to: &Arc<D>, key: Key<D>, asks: Option<u64>, now: Timestamp) {
        let Some(destination) = self.known.get_mut(to).filter(|it| it.site != key) else {
            return;
        };
        let from = std::mem::replace(&mut destination.site, key.clone());
        let mut moved = 0;
        let none = matches!(from, Key::Alone(_));
        for (ticket, underway) in &mut self.underway {
            let goes = none || asks == Some(*ticket);
            if goes && underway.destination == *to && underway.site == from {
                underway.site = key.clone();
                moved += usize::from(underway.place != Place::None);
            }
        }
        let transport = Arc::clone(&destination.transport);
        let asking = self.move_questions(to, (&from, &key), asks);
        let moved = (moved, asking);
        self.sites.join(to, Some(&from), &key, moved, &transport);
        self.stuck = false;
        let free = self.sites.free(&Wait::Site(from));
        self.unblock(free, now);
    }

    /// The addresses behind a destination are known now. Whether the delivery may go on: `false`
    /// where one of them has its part of the places.
    pub(crate) fn admits(&mut self, to: &Arc<D>, hosts: &[Arc<str>], now: Timestamp) -> bool {
        let key = self.known.get(to).map(|destination| &destination.site);
        let Some(site) = key.and_then(|key| self.sites.get_mut(key)) else {
            return true;
        };
        let mut known = hosts.to_vec();
        known.sort_unstable();
        known.dedup();
        let before = std::mem::replace(&mut site.hosts, known);
        if site.works(now) {
            return true;
        }
        let census = self.census(now);
        // The delivery that asks is one of them.
        let most = self.settings.slots.unproven_host + 1;
        let key = self.known.get(to).map(|destination| &destination.site);
        let Some(site) = key.and_then(|key| self.sites.get_mut(key)) else {
            return true;
        };
        let admitted = !census.has_full(site, most);
        if !admitted {
            site.doubtful = true;
            // Where names lead to other hosts each time, it waits for all of those that were seen.
            let room = HOSTS.saturating_sub(site.hosts.len());
            site.hosts.extend(before.into_iter().take(room));
            site.hosts.sort_unstable();
            site.hosts.dedup();
        }
        admitted
    }
}
