//! What past deliveries teach the next one: who did not answer, who had no turn, and who refuses
//! this machine.
//!
//! Contract: bounded; what is forgotten costs patience, never mail. An address that was silent is
//! tried after all others for [`SILENCE`]; one that took commands and then did not answer, or went
//! away, for [`UNANSWERED`].
//! One that went away in the midst of a list of recipients is given shorter ones for a day.
//! A next hop that refuses different senders in the same way refuses this machine; one message's
//! refusal stops no other.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{Host, Place, fault::Refusal};

/// How long an address that did not answer is tried last.
pub(super) const SILENCE: Duration = Duration::from_mins(10);
/// The same where a message waits for an answer: longer than its pause to the next attempt, so that
/// this goes elsewhere.
pub(super) const UNANSWERED: Duration = Duration::from_mins(90);
/// How long it is remembered how many recipients a host takes at once: longer than any pause
/// between two attempts.
const SHORT_LISTS: Duration = Duration::from_hours(24);
/// Most that is remembered.
const MOST: usize = 1024;

/// Shared by all deliveries of a program.
#[derive(Debug, Default)]
pub struct Memory {
    /// Until when an address is tried last.
    silent: HashMap<Place, Instant>,
    refusals: HashMap<String, (Refusal, String, bool)>,
    /// How many recipients at once a host takes that went away in the midst of more, and until when
    /// this is believed.
    takes: HashMap<String, (usize, Instant)>,
    /// The first host of many, and the one that a delivery did not get to any more.
    untried: HashMap<String, Host>,
}

impl Memory {
    pub(super) fn was_silent(&self, place: &Place, now: Instant) -> bool {
        self.silent.get(place).is_some_and(|until| *until > now)
    }

    pub(super) fn silent(&mut self, place: Place, pause: Duration, now: Instant) {
        if self.silent.len() >= MOST {
            self.silent.retain(|_, until| *until > now);
        }
        if self.silent.len() < MOST {
            self.silent.insert(place, now + pause);
        }
    }

    /// A message waits for an answer there; others go elsewhere, if they can.
    pub(crate) fn stalls(&mut self, place: Place, now: Instant) {
        self.silent(place, UNANSWERED, now);
    }

    pub(super) fn answered(&mut self, place: &Place) {
        self.silent.remove(place);
    }

    /// A host went away in the midst of a list, behind so many recipients.
    pub(super) fn takes(&mut self, host: &str, most: usize, now: Instant) {
        if self.takes.len() >= MOST {
            self.takes.retain(|_, (_, until)| *until > now);
        }
        let most = most.min(self.most(host, now));
        if self.takes.len() < MOST || self.takes.contains_key(host) {
            let until = now + SHORT_LISTS;
            self.takes.insert(host.to_owned(), (most, until));
        }
    }

    /// How many recipients a host takes at once, as far as is known.
    pub(super) fn most(&self, host: &str, now: Instant) -> usize {
        let known = self.takes.get(host).filter(|(_, until)| *until > now);
        known.map_or(usize::MAX, |(most, _)| *most)
    }

    /// A delivery to these hosts, of which this one is the first, had enough before this one's turn
    /// came.
    pub(super) fn left_off(&mut self, first: &Host, next: &Host) {
        if self.untried.len() < MOST || self.untried.contains_key(&first.name) {
            self.untried.insert(first.name.clone(), next.clone());
        }
    }

    /// With which of its hosts the next delivery begins.
    pub(super) fn begin_with(&mut self, first: &Host, hosts: &[Host]) -> usize {
        let next = self.untried.remove(&first.name);
        let found = next.and_then(|next| hosts.iter().position(|host| *host == next));
        found.unwrap_or_default()
    }

    /// A host refuses this machine with this sender: whether it has refused another one, too.
    pub(super) fn refused(&mut self, host: &str, refusal: Refusal, sender: &str) -> bool {
        if let Some((known, first, shared)) = self.refusals.get_mut(host)
            && *known == refusal
        {
            *shared |= first != sender;
            return *shared;
        }
        if self.refusals.len() < MOST || self.refusals.contains_key(host) {
            let first = (refusal, sender.to_owned(), false);
            self.refusals.insert(host.to_owned(), first);
        }
        false
    }

    pub(super) fn accepted(&mut self, host: &str) {
        self.refusals.remove(host);
    }
}
