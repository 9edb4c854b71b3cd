//! What a delivery teaches later ones of the hosts that it met.
//!
//! Contract: a host that the administrator named, and that failed as a host, is passed over for a
//! while: it was not found, refused the connection, its greeting, TLS, its pin or the login failed,
//! it was silent, went away, said 421, or "not now" before it had heard of any recipient. A
//! stranger's is only where it was silent: it may well have another reason to refuse this mail.

use std::time::{Duration, Instant};

use mail::outcome::{Blame, Failure, Outcome};

use super::{Delivery, Over};
use crate::delivery::{
    Dial, Host, Memory, Spot,
    fault::{about_us, is_delivered, is_taken_perhaps, is_unanswered, speaks_of_host},
    memory::{SILENCE, UNANSWERED},
    reuse,
};

/// What fails without an answer only after so long is silence.
const SLOW: Duration = Duration::from_secs(4);
/// Spots that failed which a connection remembers.
const MOST_FAILED: usize = 64;

impl Delivery {
    /// Relayhosts whose addresses were not found lately come last.
    pub(super) fn pass_over_lost(&mut self, memory: &Memory, now: Instant) {
        let lost = |host: &Host| {
            let spot = Spot::Name(host.name.clone());
            (host.named && memory.passes_over(&spot, now)).then_some(spot)
        };
        let spots: Vec<_> = self.hosts.iter().filter_map(lost).collect();
        for spot in spots {
            self.passed_by(spot);
        }
        let hosts = self.hosts.make_contiguous();
        hosts.sort_by_key(|host| lost(host).is_some());
    }

    /// It would have been tried before the next one.
    pub(super) fn passed_by(&mut self, spot: Spot) {
        if self.failed.len() < MOST_FAILED && !self.failed.contains(&spot) {
            self.failed.push(spot);
        }
    }

    /// Enough for now; hosts that had no turn have it first next time.
    pub(super) fn leave_off(&mut self, memory: &mut Memory) {
        let first = self.way.as_ref().and_then(|way| way.hosts.first());
        if let (Some(first), Some(next)) = (first, self.hosts.front()) {
            memory.left_off(first, next);
        }
        self.state = super::State::Done;
    }

    /// A host that the administrator named failed as a host.
    pub(super) fn fails(
        &mut self,
        failed: (Spot, &Host),
        why: &str,
        memory: &mut Memory,
        now: Instant,
    ) {
        let took = |since| now.saturating_duration_since(since);
        let took = self.since.map(took).unwrap_or_default();
        self.passed_by(failed.0.clone());
        memory.fails(failed, took, why, now);
    }

    /// The addresses of a host were not found; a name that the administrator wrote may be known
    /// again.
    pub(super) fn not_found(
        &mut self,
        host: &Host,
        failure: Failure,
        memory: &mut Memory,
        now: Instant,
    ) -> Failure {
        if !host.named {
            return failure;
        }
        let spot = Spot::Name(host.name.clone());
        self.fails((spot, host), &failure.log_text(), memory, now);
        failure.for_now()
    }

    pub(super) fn was_slow(&self, now: Instant) -> bool {
        let waited = |since| now.saturating_duration_since(since);
        self.since.is_some_and(|since| waited(since) >= SLOW)
    }

    /// No session came about.
    pub(super) fn learn_unopened(
        &mut self,
        dial: &Dial,
        failure: &Failure,
        memory: &mut Memory,
        now: Instant,
    ) {
        let spot = Spot::of(dial);
        if dial.host.named {
            // A password that cannot be read is no fault of the host's.
            if failure.blame != Blame::Local {
                self.fails((spot, &dial.host), &failure.log_text(), memory, now);
            }
        } else if self.was_slow(now) && failure.reply.is_none() {
            memory.silent((spot, &dial.host), SILENCE, &failure.log_text(), now);
        }
    }

    /// How this peer answered; where it was silent, the next host has its turn before other
    /// addresses of this one.
    pub(super) fn learn(
        &mut self,
        over: &Over,
        outcomes: &[Outcome],
        memory: &mut Memory,
        now: Instant,
    ) {
        let Over { dial, kept } = over;
        let slow = self.was_slow(now);
        // A kept one that had ended already says nothing of the peer.
        let counts = slow || !kept;
        let spot = Spot::of(dial);
        match outcomes
            .iter()
            .find(|it| is_unanswered(it))
            .and_then(failure)
        {
            Some(failure) => {
                let why = failure.log_text();
                if counts && dial.host.named && !is_taken_perhaps(failure) {
                    self.fails((spot, &dial.host), &why, memory, now);
                } else if counts {
                    memory.silent((spot.clone(), &dial.host), UNANSWERED, &why, now);
                    self.passed_by(spot);
                }
                if slow && !self.hosts.is_empty() {
                    self.postponed.extend(self.addresses.drain(..));
                }
            }
            None => match self.complaint(over, outcomes) {
                None => memory.answered(&spot, now),
                Some(Complaint::Own(why, of_sender)) if counts => {
                    self.fails((spot.clone(), &dial.host), &why, memory, now);
                    if of_sender {
                        memory.turns_away(&spot);
                    }
                }
                // What a refusal means is judged then; it is not well.
                Some(_) => {}
            },
        }
    }

    /// What a relayhost says of itself or of us, and not of the mail; nothing, where it took some
    /// of it.
    fn complaint(&self, over: &Over, outcomes: &[Outcome]) -> Option<Complaint> {
        let Over { dial, kept } = over;
        if !dial.host.named || self.progress || outcomes.iter().any(is_delivered) {
            return None;
        }
        let fresh = |it: &&Outcome| !*kept || !reuse::is_stale(it, true);
        let mut said = outcomes.iter().filter(fresh).filter_map(failure);
        if let Some(own) = said.find(|it| speaks_of_host(it)) {
            let of_sender = own.turns_sender_away() && own.status.subject() != 3;
            return Some(Complaint::Own(own.log_text(), of_sender));
        }
        let is_about_us = |outcome: &Outcome| match outcome {
            Outcome::Deferred(failure) | Outcome::Failed(failure) => {
                about_us(failure, true).is_some()
            }
            Outcome::Delivered(_) => false,
        };
        outcomes
            .iter()
            .any(is_about_us)
            .then_some(Complaint::AboutUs)
    }
}

/// What a relayhost has that is not about the mail.
enum Complaint {
    /// It says so of itself, or turns this sender away.
    Own(String, bool),
    /// It refuses this machine.
    AboutUs,
}

fn failure(outcome: &Outcome) -> Option<&Failure> {
    match outcome {
        Outcome::Deferred(failure) => Some(failure),
        Outcome::Delivered(_) | Outcome::Failed(_) => None,
    }
}
