//! A destination that refuses mail of this machine, as far as it was seen: what that means for mail
//! of others.

use std::hash::Hash;

use mail::{
    clock::Timestamp,
    outcome::{Blame, Outcome, Stage},
};

use super::{Destinations, Underway};
use crate::site::Suspension;

impl<D: Eq + Hash, O: Copy + Ord + Hash> Destinations<D, O> {
    /// The suspension of a destination, if it is suspended now for mail of this sender. One that
    /// refuses mail of this machine, as far as it was seen, may take that of a sender whom it has
    /// not refused: he waits for the first pause only, and those that it has refused for a fifth
    /// more, so that others come before them.
    pub(crate) fn suspension(&self, to: &D, sender: u64, now: Timestamp) -> Option<Suspension> {
        let destination = self.known.get(to)?;
        let suspension = self.sites.get(&destination.site)?.suspended.as_ref()?;
        let mut until = suspension.until;
        if suspension.failure.blame == Blame::Us {
            let refused = &destination.refused;
            if refused.last(sender).is_some() {
                until = until.after(until.since(now) / 5);
            } else if !refused.is_everybody() {
                until = until.min(suspension.failed.after(self.settings.back_off.first));
            }
        }
        (until > now).then(|| Suspension {
            until,
            ..suspension.clone()
        })
    }

    /// A delivery ended so: whether its sender's mail is refused as this machine's.
    pub(crate) fn judged(&mut self, underway: &mut Underway<D, O>, outcomes: &[Outcome]) {
        let Some(destination) = self.known.get_mut(&underway.destination) else {
            return;
        };
        let sender = underway.job.sender;
        let taken = |outcome: &Outcome| matches!(outcome, Outcome::Delivered(_));
        if outcomes.iter().any(taken) {
            destination.refused.take(sender);
        } else if outcomes.iter().any(is_of_this_machine) {
            underway.job.refused = destination.refused.refuse(sender);
        }
    }
}

/// Whether a reply within a transaction refuses this machine.
fn is_of_this_machine(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Deferred(failure)
        if failure.stage >= Stage::Mail
            && failure.reply.is_some()
            && (failure.blame == Blame::Us || failure.remedy.is_some()))
}
