//! Peers that say nothing while they owe an answer: how long they are waited for, and what that
//! says of the message and of the destination.
//!
//! Contract: a silent connection is one of those that its site may have, from its first byte to
//! its end. Where others wait for it, it is cut once it has been silent for some seconds, the one
//! that has been so for longest first; but not once the whole message is out, for it may have been
//! taken (RFC 5321 §4.5.3.2.6). A message at which its destination fell silent before is tried on
//! its own schedule, is given more time, and such messages have half of the places of a site
//! together. A site counts as one that fails only where different messages have met silence for
//! minutes, and it has answered nobody between them.

use std::{hash::Hash, sync::Arc, time::Duration};

use mail::{clock::Timestamp, outcome::Failure};

use super::{Destinations, Underway};
use crate::{
    Silence,
    destination::Destination,
    hashed::Set,
    place::Place,
    site::{Key, Site},
    sites::Wait,
};

/// How long a peer may stay silent while others wait, after the driver has told of it: one that the
/// administrator named, one of others, and either at a message at which it did so before. One that
/// is slow at every message has this time for it at the second attempt.
const NAMED: Duration = Duration::from_secs(3);
const OTHERS: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_mins(1);
/// Where there is one place, so many others have their turn before a message at which the
/// destination fell silent.
const TURNS: u32 = 4;

impl<D: Eq + Hash, O: Copy + Ord + Hash> Destinations<D, O> {
    /// The peer of a delivery owes an answer and says nothing.
    pub(crate) fn falls_silent(&mut self, ticket: u64, silence: Silence, now: Timestamp) {
        self.speaks(ticket);
        let Some(underway) = self.underway.get_mut(&ticket) else {
            return;
        };
        if !silence.in_doubt {
            let time = match silence.named {
                _ if underway.mute => AGAIN,
                true => NAMED,
                false => OTHERS,
            };
            let due = now.after(time);
            underway.silent = Some(due);
            self.silences.insert((due, ticket));
        }
        if silence.named && self.steps_aside(ticket, Place::Silent) {
            self.falls_silent_there(ticket, now);
        }
    }

    /// Its place is no more one of those that try what the site bears.
    fn falls_silent_there(&mut self, ticket: u64, now: Timestamp) {
        let Some(underway) = self.underway.get(&ticket) else {
            return;
        };
        let (to, key) = (Arc::clone(&underway.destination), underway.site.clone());
        if let Some(site) = self.sites.get_mut(&key) {
            site.silent += 1;
        }
        let free = self.sites.free(&Wait::Site(key));
        self.unblock(free, now);
        self.list(&to, now);
    }

    /// It goes on.
    pub(crate) fn speaks(&mut self, ticket: u64) {
        if let Some(underway) = self.underway.get_mut(&ticket) {
            underway.cut = false;
            if let Some(due) = underway.silent.take() {
                self.silences.remove(&(due, ticket));
            }
        }
    }

    /// Deliveries to be cut now.
    pub(crate) fn cuts(&mut self, now: Timestamp) -> Vec<u64> {
        self.looked = now;
        let ripe = self.silences.iter().take_while(|(due, _)| *due <= now);
        let ripe: Vec<(Timestamp, u64)> = ripe.copied().collect();
        let mut cut = Vec::new();
        for (due, ticket) in ripe {
            if self.is_waited_for(ticket, now)
                && let Some(underway) = self.underway.get_mut(&ticket)
            {
                underway.cut = true;
                self.silences.remove(&(due, ticket));
                cut.push(ticket);
            }
        }
        cut.extend(self.question_cuts(now));
        cut
    }

    /// When it is to be looked again whether somebody waits for a silent one.
    pub(super) fn next_cut(&self) -> Option<Timestamp> {
        let mut dues = self.silences.iter().map(|(due, _)| *due);
        dues.find(|due| *due > self.looked)
    }

    /// The wall clock was set back.
    pub(super) fn bound_silences(&mut self, now: Timestamp) {
        self.looked = self.looked.min(now);
        for (due, ticket) in std::mem::take(&mut self.silences) {
            let due = due.min(now.after(AGAIN));
            if let Some(underway) = self.underway.get_mut(&ticket) {
                underway.silent = Some(due);
                self.silences.insert((due, ticket));
            }
        }
    }

    /// Whether somebody waits for a place that the end of this delivery would free, and for whom
    /// none is being freed yet.
    fn is_waited_for(&self, ticket: u64, now: Timestamp) -> bool {
        let Some(underway) = self.underway.get(&ticket) else {
            return false;
        };
        let Some(site) = self.sites.get(&underway.site) else {
            return false;
        };
        let transport = &underway.transport;
        let is_full = match underway.place {
            Place::Silent => !site.may_open(transport, now) && site.may_try(transport, now),
            _ => !site.has_room(transport, now),
        };
        let there = |it: &Underway<D, O>| it.site == underway.site;
        if is_full && self.want(&Wait::Site(underway.site.clone()), there) {
            return true;
        }
        if let Some(name) = transport
            .name
            .as_ref()
            .filter(|_| self.sites.is_busy(transport))
        {
            let by = |it: &Underway<D, O>| it.transport.name == transport.name;
            if self.want(&Wait::Transport(Arc::clone(name)), by) {
                return true;
            }
        }
        if self.waits_for_hosts(site) {
            return true;
        }
        let mut cut = self.underway.values().filter(|it| it.cut);
        underway.place == Place::Full
            && self.taken() >= self.settings.slots.total
            && !cut.any(|it| it.place == Place::Full)
            && self.has_listed()
    }

    /// Whether somebody waits because one of these hosts, not known to work, has as many deliveries
    /// as it may, of which none is cut yet.
    fn waits_for_hosts(&self, site: &Site<D>) -> bool {
        let is_full = |host: &&Arc<str>| self.full.contains(*host);
        let full: Vec<_> = site.hosts.iter().filter(is_full).collect();
        let cut = self.underway.values().filter(|it| it.cut);
        let mut cut = cut.filter_map(|it| self.sites.get(&it.site));
        !full.is_empty() && !cut.any(|it| it.hosts.iter().any(|host| full.contains(&host)))
    }

    /// Whether more wait for that than deliveries are cut which have it.
    pub(super) fn want(&self, wait: &Wait<D>, has_it: impl Fn(&Underway<D, O>) -> bool) -> bool {
        let waiting: Set<&Arc<D>> = self.sites.waiting(wait).iter().collect();
        if waiting.is_empty() {
            return false;
        }
        let cut = self.underway.values().filter(|it| it.cut && has_it(it));
        let mut cut = cut.count();
        let waiting = waiting.into_iter().filter_map(|to| self.known.get(to));
        waiting.into_iter().any(|destination| {
            let count = destination.unmuted(cut + 1);
            let more = count > cut;
            cut = cut.saturating_sub(count);
            more
        })
    }

    /// Whether one more delivery of a message at which this destination fell silent may begin.
    pub(super) fn takes_mute(&self, destination: &Destination<D, O>, now: Timestamp) -> bool {
        let site = self.sites.get(&destination.site);
        let Some(site) = site.filter(|_| !destination.mute.is_empty()) else {
            return true;
        };
        let places = site.places(&destination.transport, now);
        if places < 2 {
            return site.others >= TURNS || destination.unmuted(1) == 0;
        }
        self.mute_at(&destination.site) < places / 2
    }

    fn mute_at(&self, site: &Key<D>) -> usize {
        let mute = self.underway.values().filter(|it| it.mute);
        mute.filter(|it| it.site == *site).count()
    }

    /// A delivery ended without an answer to anybody, or with one: what that says of its message.
    /// Whether silence is about this message alone, as far as is known.
    pub(crate) fn heard(
        &mut self,
        underway: &Underway<D, O>,
        silence: Option<&Failure>,
        now: Timestamp,
    ) -> bool {
        let Some(destination) = self.known.get_mut(&underway.destination) else {
            return false;
        };
        let id = underway.job.id;
        if !silence.is_some_and(Failure::falls_silent) {
            destination.mute.remove(id);
            return false;
        }
        destination.mute.insert(id);
        let site = self.sites.get_mut(&destination.site);
        site.is_some_and(|site| site.falls_silent(id, underway.began, now))
    }
}
