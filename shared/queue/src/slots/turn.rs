//! Whose turn it is: those that work and those that are not known to alternate.

use std::{hash::Hash, sync::Arc, time::Duration};

use mail::clock::Timestamp;

use super::{Destinations, Room};
use crate::{
    Patience,
    census::Census,
    destination::{Listed, Turn},
    hashed::Map,
    place::Place,
    site::Site,
};

/// A delivery that is under way for so long waits for a peer that takes its time.
pub(super) const SLOW: Duration = Duration::from_secs(30);

impl<D: Eq + Hash, O: Copy + Ord + Hash> Destinations<D, O> {
    /// The next job in turn, and where it goes.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<Turn<D, O>> {
        if self.taken() >= self.settings.slots.total {
            return None;
        }
        self.wake(now);
        self.turn = !self.turn;
        // The second may move some to the list of the first.
        if self.turn {
            self.next_working(now)
                .or_else(|| self.next_unproven(now))
                .or_else(|| self.next_working(now))
        } else {
            self.next_unproven(now)
                .or_else(|| self.next_working(now))
                .or_else(|| self.next_unproven(now))
        }
    }

    fn next_working(&mut self, now: Timestamp) -> Option<Turn<D, O>> {
        loop {
            let one_more = self.free_owned(now);
            let next = self.next_listed(now);
            if next.is_some() || !one_more {
                return next;
            }
        }
    }

    /// Whether a destination that waited for the places of one owner waits for them no more. One at
    /// a time: looking through hundreds of them after each delivery would be most of the work.
    fn free_owned(&mut self, now: Timestamp) -> bool {
        let to = if self.hog.is_some() {
            None
        } else {
            self.owned.pop_front()
        };
        let Some(to) = to else {
            return false;
        };
        if self.is_listed(&to, Listed::Owned)
            && let Some(destination) = self.known.get_mut(&to)
        {
            destination.listed = None;
            self.list(&to, now);
        }
        true
    }

    fn next_listed(&mut self, now: Timestamp) -> Option<Turn<D, O>> {
        let slots = self.settings.slots;
        // For one destination alone none are kept free.
        let many =
            slots.trusted > 0 && self.taken().saturating_mul(4) > slots.total.saturating_mul(3);
        let mut underway = None;
        for _ in 0..self.working.len() {
            let to = self.working.pop_front()?;
            if !self.is_listed(&to, Listed::Working) {
                continue;
            }
            let free = self.unlist_unless(&to, Listed::Working, now);
            let Some(on_trust) = self.on_trust(&to, now).filter(|_| free) else {
                continue;
            };
            let doubtful = if on_trust {
                *underway.get_or_insert_with(|| self.doubtful(now))
            } else {
                0
            };
            let crowded = many || doubtful.saturating_mul(2) > slots.trusted;
            let known = self.known.get(&to);
            let mute = known.is_some_and(|it| self.takes_mute(it, now));
            let Some(destination) = self.known.get_mut(&to) else {
                continue;
            };
            destination.listed = None;
            if on_trust && doubtful >= slots.trusted {
                self.trusts = false;
                self.list(&to, now);
                continue;
            }
            let hog = self.hog;
            let site = self.sites.get(&destination.site);
            let probes = destination.probes(site.map_or(0, Site::speaking), now);
            let taken = destination.take(probes, mute, |owner, _| hog != Some(*owner));
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
                    on_trust,
                    first: false,
                });
            }
            self.list(&to, now);
        }
        None
    }

    /// Whether a delivery would begin on trust; `None`: it is not known.
    fn on_trust(&self, to: &D, now: Timestamp) -> Option<bool> {
        let site = self.sites.get(&self.known.get(to)?.site)?;
        Some(!site.works(now))
    }

    /// Deliveries under way to what does not work at this moment, as far as they may be too many.
    fn doubtful(&self, now: Timestamp) -> usize {
        if self.taken().saturating_mul(2) <= self.settings.slots.trusted {
            return 0;
        }
        let underway = self.underway.values().filter(|it| it.place == Place::Full);
        let sites = underway.filter_map(|it| self.sites.get(&it.site));
        sites.filter(|site| !site.works(now)).count()
    }

    /// Whether anything could begin if there was a place among all.
    pub(super) fn has_listed(&self) -> bool {
        let mut working = self.working.iter();
        let mut unproven = self.unproven.iter();
        working.any(|to| self.is_listed(to, Listed::Working))
            || unproven.any(|to| self.is_listed(to, Listed::Unproven))
    }

    fn is_listed(&self, to: &D, listed: Listed) -> bool {
        let destination = self.known.get(to);
        destination.is_some_and(|it| it.listed == Some(listed))
    }

    /// Whether it still belongs on that list; otherwise it is put where it belongs.
    fn unlist_unless(&mut self, to: &Arc<D>, listed: Listed, now: Timestamp) -> bool {
        let Some(destination) = self.known.get(to) else {
            return false;
        };
        let works = self.works(destination, now);
        if works == (listed == Listed::Working) && self.room(destination, now) == Room::Free {
            return true;
        }
        if let Some(destination) = self.known.get_mut(to) {
            destination.listed = None;
        }
        self.list(to, now);
        false
    }

    fn next_unproven(&mut self, now: Timestamp) -> Option<Turn<D, O>> {
        let slowed = self.slows.is_some_and(|then| then <= now);
        if self.unproven.is_empty() || (self.stuck && !slowed) {
            return None;
        }
        let slots = self.settings.slots;
        let census = self.census(now);
        self.slows = census.slows;
        let leaves_none = slots.trusted > 0 && census.doubtful >= slots.trusted;
        if leaves_none || (census.total >= slots.unproven && census.firsts >= slots.fresh) {
            self.stuck = true;
            self.trusts &= !leaves_none;
            return None;
        }
        self.hosts_full = false;
        self.full.clear();
        let (mut passed, mut found) = (Vec::new(), None);
        while let Some(to) = if self.newest {
            self.unproven.pop_back()
        } else {
            self.unproven.pop_front()
        } {
            if !self.is_listed(&to, Listed::Unproven)
                || !self.unlist_unless(&to, Listed::Unproven, now)
            {
                continue;
            }
            let known = self.known.get(&to);
            let mute = known.is_some_and(|it| self.takes_mute(it, now));
            let Some(destination) = self.known.get_mut(&to) else {
                continue;
            };
            let site = self.sites.get(&destination.site);
            let full = site.is_some_and(|site| census.has_full(site, slots.unproven_host));
            self.hosts_full |= full;
            if let Some(site) = site.filter(|_| full && destination.unmuted(1) > 0) {
                self.full.extend(site.hosts.iter().cloned());
            }
            let taken = site
                .filter(|_| !full)
                .and_then(|site| census.take(destination, site, (slots, mute), now));
            if let Some((owner, job, first)) = taken {
                destination.listed = None;
                let many = (census.total + 1) * 2 > slots.unproven;
                let crowded = first || (many && slots.unproven <= slots.total);
                found = Some(Turn {
                    destination: to,
                    owner,
                    job,
                    patience: if crowded {
                        Patience::Short
                    } else {
                        Patience::Full
                    },
                    on_trust: false,
                    first,
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

    /// Peers that take a message and are silent would have the few places for ten minutes: those
    /// that are under way for long count no more, up to a number that leaves room for destinations
    /// that work.
    pub(super) fn census(&self, now: Timestamp) -> Census<O> {
        let mut census = Census::default();
        let mut slow: Map<O, usize> = Map::default();
        for underway in self.underway.values().filter(|it| it.place == Place::Full) {
            let Some(site) = self.sites.get(&underway.site) else {
                continue;
            };
            let hosts = site.hosts.iter().cloned();
            if site.works(now) {
                census.working.extend(hosts);
                continue;
            }
            census.doubtful += 1;
            for host in hosts {
                *census.hosts.entry(host).or_default() += 1;
            }
            let slows = underway.began.after(SLOW);
            if slows <= now {
                *slow.entry(underway.owner).or_default() += 1;
                continue;
            }
            if underway.on_trust {
                continue;
            }
            census.slows = Some(census.slows.map_or(slows, |first| first.min(slows)));
            let (owner, id) = (underway.owner, underway.job.id);
            if underway.first {
                census.firsts += 1;
                *census.first_owners.entry(owner).or_default() += 1;
                *census.first_messages.entry(id).or_default() += 1;
                continue;
            }
            census.total += 1;
            *census.owners.entry(owner).or_default() += 1;
            *census.messages.entry(id).or_default() += 1;
        }
        let slots = self.settings.slots;
        let mut all = 0;
        for (owner, there) in slow {
            *census.owners.entry(owner).or_default() += there.saturating_sub(slots.slow_owner);
            all += there;
        }
        census.total += all.saturating_sub(slots.slow);
        census
    }
}
