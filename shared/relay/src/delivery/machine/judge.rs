//! What one answer means for its recipient, and where that leads.

use std::time::Instant;

use mail::outcome::{Blame, Failure, Outcome};
use smtp::client::is_retraction;

use super::{Delivery, Verdict};
use crate::delivery::{
    Dial, Memory, Spot,
    crowd::Crowd,
    fault::{Refusal, about_address, about_us, is_taken_perhaps, with_remedy},
    interface::Candidate,
};

/// Refusals of parameters in one delivery, before it waits.
pub const RETRACTIONS: usize = 4;

/// Recipients at which the session broke off that are left out, for the others.
const LEFT_OUT: usize = 4;

impl Delivery {
    pub(super) fn judge(
        &mut self,
        dial: &Dial,
        mut outcome: Outcome,
        crowd: &Crowd,
        memory: &mut Memory,
        now: Instant,
    ) -> (Outcome, Verdict) {
        if let Outcome::Deferred(failure) | Outcome::Failed(failure) = &mut outcome {
            failure.named = dial.host.named;
        }
        let failure = match &outcome {
            Outcome::Delivered(_) => return (outcome, Verdict::Stands),
            Outcome::Deferred(failure) | Outcome::Failed(failure) => failure,
        };
        if is_retraction(failure) {
            self.retractions = self.retractions.saturating_add(1);
            let verdict = if self.retractions <= RETRACTIONS {
                Verdict::Again
            } else {
                Verdict::NextHost
            };
            return (outcome, verdict);
        }
        if let Some(refusal) = about_us(failure, dial.host.named) {
            let (host, at) = (&dial.host, Spot::of(dial));
            let again = self.refused.replace(at.clone()) != Some(at.clone());
            let refusals = &mut memory.refusals;
            let shared = refusals.refused(host, refusal, &self.sender, again);
            let (fails, lasts) = (again && refusals.fails(host), again && refusals.lasts(host));
            let failure = Failure {
                blame: if shared { Blame::Us } else { failure.blame },
                of_sender: refusal == Refusal::Sender && !shared,
                ..with_remedy(failure.clone(), dial.host.named).for_now()
            };
            if fails && dial.host.named {
                self.fails((at, &dial.host), &failure.log_text(), memory, now);
            } else {
                // The next message may be welcome: no connection to another host is kept for it.
                self.passed_by(at);
            }
            if lasts && dial.host.named {
                memory.refuses(&dial.host, &failure);
            }
            return (failure.outcome(), Verdict::NextAddress);
        }
        let verdict = match &outcome {
            Outcome::Failed(failure) if failure.reply.is_none() && failure.blame == Blame::Peer => {
                Verdict::NextHost
            }
            Outcome::Failed(failure) if dial.place.is_ipv6() && about_address(failure) => {
                self.over_ipv4(dial)
            }
            Outcome::Failed(failure) if crowd.is_reason(failure) => Verdict::Again,
            Outcome::Failed(_) => Verdict::Stands,
            _ if failure.blame == Blame::Local || is_taken_perhaps(failure) => Verdict::Stands,
            _ if failure.reply.is_none_or(|code| code.value() == 421) => Verdict::NextAddress,
            _ if crowd.is_reason(failure) => Verdict::Again,
            _ => Verdict::NextHost,
        };
        (outcome, verdict)
    }

    /// Nobody else can be asked: the others are tried once more without this one.
    pub(super) fn leaves_out(&mut self, at: usize, now: Instant) -> bool {
        let no_need = self.others_are_left() || self.elsewhere.len() < 2;
        if no_need || self.left_out >= LEFT_OUT || self.is_spent(now) {
            return false;
        }
        self.left_out = self.left_out.saturating_add(1);
        self.elsewhere.retain(|index| *index != at);
        true
    }

    /// Refused for an address of ours in IPv6: IPv4 has another.
    fn over_ipv4(&mut self, dial: &Dial) -> Verdict {
        // Over a kept connection nobody has asked for addresses yet.
        if self.way.is_none() {
            return Verdict::OverIpv4;
        }
        let is_other = |it: &Candidate| it.host == dial.host && it.place.is_ipv4();
        if self.addresses.iter().chain(&self.postponed).any(is_other) {
            self.addresses.retain(is_other);
            Verdict::NextAddress
        } else {
            Verdict::Stands
        }
    }
}
