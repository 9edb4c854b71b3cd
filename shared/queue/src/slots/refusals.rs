//! Whose mail a destination refuses as mail of this machine, and whose waits for it.

use std::{hash::Hash, sync::Arc};

use mail::{
    clock::Timestamp,
    outcome::{Blame, Failure, Outcome, Stage},
};

use super::{Destinations, Underway};
use crate::{
    crowd::Whose,
    destination::Job,
    site::{Site, Suspension},
};

/// What a delivery says of whose mail its destination refuses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Judged {
    /// Nothing that was not known.
    Nothing,
    /// That of this sender.
    Refused,
    /// That of this sender and of others, who were turned away as well.
    TurnedAway(Failure),
    /// Nobody's any more, for whom a pause was.
    Resumed,
}

impl<D: Eq + Hash, O: Copy + Ord + Hash> Destinations<D, O> {
    /// The suspension of a destination, if mail of this sender is not to wait for it among the
    /// jobs: that of its hosts, unless mail stays there all the same, or the pause of those whom it
    /// has refused.
    pub(crate) fn suspension(&self, to: &D, sender: u64, now: Timestamp) -> Option<Suspension> {
        let site = self.sites.get(&self.known.get(to)?.site)?;
        let suspended = site.suspended.as_ref();
        let suspended = suspended.filter(|it| it.until > now && !self.settings.back_off.stays);
        suspended.cloned().or_else(|| self.refusal(to, sender, now))
    }

    /// The pause of those whom a destination has refused, if this sender is one of them, or why he
    /// waits for what comes of a probe.
    pub(crate) fn refusal(&self, to: &D, sender: u64, now: Timestamp) -> Option<Suspension> {
        let destination = self.known.get(to)?;
        let site = self.sites.get(&destination.site)?;
        let (refused, after) = (&destination.refused, self.settings.back_off.first);
        if destination.probes(site.speaking(), now) {
            return None;
        }
        refused.wait_of(sender, now.after(after), now)
    }

    /// A delivery ended so: what that says of whose mail its destination refuses.
    pub(crate) fn judged(&mut self, underway: &Underway<D, O>, outcomes: &[Outcome]) -> Judged {
        let Some(destination) = self.known.get_mut(&underway.destination) else {
            return Judged::Nothing;
        };
        let sender = underway.job.sender;
        let taken = |outcome: &Outcome| matches!(outcome, Outcome::Delivered(_));
        if outcomes.iter().any(taken) {
            return if destination.refused.take(sender) {
                Judged::Resumed
            } else {
                Judged::Nothing
            };
        }
        if outcomes.iter().any(is_of_this_machine) {
            destination.refused.refuse(sender);
            return Judged::Refused;
        }
        match outcomes.iter().find_map(turned_away) {
            Some(failure) if destination.refused.turn_away(sender, underway.job.id) => {
                Judged::TurnedAway(failure.clone())
            }
            Some(_) => Judged::Refused,
            None => Judged::Nothing,
        }
    }

    /// What is known of the recipients of a delivery under way that hear of too many connections.
    pub(crate) fn hears_of_a_crowd(&mut self, ticket: u64, recipients: Vec<u64>) {
        if let Some(underway) = self.underway.get_mut(&ticket) {
            underway.crowded = recipients;
        }
    }

    /// What a delivery shows of how many connections the hosts of its destination take. Whether
    /// they have taught that now.
    pub(crate) fn crowded(
        &mut self,
        underway: &Underway<D, O>,
        outcomes: &[Outcome],
        now: Timestamp,
    ) -> bool {
        let Some(site) = self.site_of(&underway.destination) else {
            return false;
        };
        let taken = |outcome: &Outcome| matches!(outcome, Outcome::Delivered(_));
        if outcomes.iter().any(taken) {
            return site.takes(underway.began, now);
        }
        let stages = outcomes
            .iter()
            .filter_map(Outcome::crowded)
            .map(|it| it.stage);
        let recipients = match stages.max() {
            Some(Stage::Mail) => Vec::new(),
            // Who they are is not known.
            Some(_) if underway.crowded.is_empty() => return false,
            Some(_) => underway.crowded.clone(),
            None => return false,
        };
        let sender = underway.job.sender;
        site.says_crowded(Whose { sender, recipients }, now);
        false
    }

    fn site_of(&mut self, to: &D) -> Option<&mut Site<D>> {
        self.sites.get_mut(&self.known.get(to)?.site)
    }

    /// The pause that begins for those whom a destination has refused, if it does.
    pub(crate) fn pause_refused(
        &mut self,
        to: &Arc<D>,
        failure: &Failure,
        random: u32,
        now: Timestamp,
    ) -> Option<Suspension> {
        let refused = &mut self.known.get_mut(to)?.refused;
        let pause = refused.begin_pause(failure, self.settings.back_off, random, now);
        pause.cloned()
    }

    /// Whose mail was refused lately: how many senders.
    pub(crate) fn refused_senders(&self, to: &D) -> usize {
        let destination = self.known.get(to);
        destination.map_or(0, |it| it.refused.count())
    }

    /// In such a pause: the jobs that have to wait for its end, taken out.
    pub(crate) fn extract_refused(&mut self, to: &D, now: Timestamp) -> Vec<Job> {
        let destination = self.known.get_mut(to);
        let paused = destination.filter(|it| it.refused.running(now).is_some());
        let Some(destination) = paused else {
            return Vec::new();
        };
        let refused = std::mem::take(&mut destination.refused);
        let jobs = destination.extract(|job| refused.last(job.sender).is_some());
        destination.refused = refused;
        jobs
    }
}

/// Whether a reply within a transaction refuses this machine.
fn is_of_this_machine(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Deferred(failure)
        if failure.stage >= Stage::Mail
            && failure.reply.is_some()
            && (failure.blame == Blame::Us || failure.remedy.is_some()))
}

/// Why a sender was turned away, if he was.
fn turned_away(outcome: &Outcome) -> Option<&Failure> {
    match outcome {
        Outcome::Deferred(failure) if failure.turns_sender_away() => Some(failure),
        _ => None,
    }
}
