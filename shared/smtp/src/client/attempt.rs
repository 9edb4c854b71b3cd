//! One message on its way: what became of each recipient.
//!
//! Contract: an outcome once decided does not change; [`Attempt::finish`] gives exactly one for
//! each recipient.

use super::parameters::Asked;
use crate::{data::Encoder, reply::Reply};
use mail::{
    outcome::{Delivery, Failure, Handover, MAX_TEXT, Outcome, Stage, escape},
    status::{EnhancedStatus, Severity},
};

/// What a transaction is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    Deliver,
    /// To learn whether the recipients would be accepted.
    Probe,
}

#[derive(Debug)]
pub(super) struct Attempt {
    purpose: Purpose,
    recipients: Vec<Progress>,
    /// What MAIL and each RCPT ask beyond the address.
    pub(super) asked: Asked,
    /// What the peer's 250 will mean for NOTIFY=SUCCESS.
    pub(super) handover: Handover,
    /// The message on its way out.
    pub(super) encoder: Encoder,
    /// Encoded, not yet sent.
    pub(super) buffer: Vec<u8>,
}

#[derive(Debug)]
enum Progress {
    /// RCPT is not answered yet.
    Waiting,
    /// RCPT was accepted.
    Accepted,
    Done(Outcome),
}

impl Attempt {
    pub(super) fn new(recipients: usize, purpose: Purpose, asked: Asked) -> Self {
        Self {
            purpose,
            recipients: (0..recipients).map(|_| Progress::Waiting).collect(),
            asked,
            handover: Handover::default(),
            encoder: Encoder::default(),
            buffer: Vec::new(),
        }
    }

    /// The answer to RCPT.
    pub(super) fn answered(&mut self, index: usize, reply: &Reply) {
        if let Some(progress @ Progress::Waiting) = self.recipients.get_mut(index) {
            *progress = match reply.code.severity() {
                Severity::Success if self.purpose == Purpose::Probe => {
                    Progress::Done(Outcome::Delivered(taken(reply, self.handover)))
                }
                Severity::Success => Progress::Accepted,
                Severity::Intermediate | Severity::Transient | Severity::Permanent => {
                    Progress::Done(refused_recipient(reply).outcome())
                }
            };
        }
    }

    /// What is known of one recipient that waits for its answer.
    pub(super) fn settle(&mut self, index: usize, outcome: Outcome) {
        if let Some(progress @ Progress::Waiting) = self.recipients.get_mut(index) {
            *progress = Progress::Done(outcome);
        }
    }

    /// Whether RCPT is still to be answered.
    pub(super) fn is_waiting(&self, index: usize) -> bool {
        matches!(self.recipients.get(index), Some(Progress::Waiting))
    }

    /// The answer to the end of the message, for one recipient (LMTP).
    pub(super) fn ended(&mut self, index: usize, reply: &Reply) {
        if let Some(progress @ Progress::Accepted) = self.recipients.get_mut(index) {
            *progress = Progress::Done(end(reply, self.handover));
        }
    }

    /// The answer to the end of the message, for all (SMTP).
    pub(super) fn all_ended(&mut self, reply: &Reply) {
        for index in 0..self.recipients.len() {
            self.ended(index, reply);
        }
    }

    /// Who has it, in order, with what the peer said of it.
    pub(super) fn delivered(&self) -> impl Iterator<Item = (usize, Outcome)> {
        let all = self.recipients.iter().enumerate();
        all.filter_map(|(index, progress)| match progress {
            Progress::Done(outcome @ Outcome::Delivered(_)) => Some((index, outcome.clone())),
            _ => None,
        })
    }

    /// What concerns all that are not decided.
    pub(super) fn settle_rest(&mut self, outcome: &Outcome) {
        for progress in &mut self.recipients {
            if !matches!(progress, Progress::Done(_)) {
                *progress = Progress::Done(outcome.clone());
            }
        }
    }

    /// What was answered means nothing: the answers were not in step.
    pub(super) fn forget(&mut self) {
        for progress in &mut self.recipients {
            *progress = Progress::Waiting;
        }
    }

    /// Recipients that the peer has accepted, in order.
    pub(super) fn accepted(&self) -> impl Iterator<Item = usize> + '_ {
        self.recipients
            .iter()
            .enumerate()
            .filter(|(_, progress)| matches!(progress, Progress::Accepted))
            .map(|(index, _)| index)
    }

    /// Whether a recipient may still be delivered to.
    pub(super) fn is_open(&self) -> bool {
        self.recipients
            .iter()
            .any(|progress| !matches!(progress, Progress::Done(_)))
    }

    /// One outcome for each; whoever is still undecided gets `rest`.
    pub(super) fn finish(mut self, rest: &Outcome) -> Vec<Outcome> {
        self.settle_rest(rest);
        self.recipients
            .into_iter()
            .filter_map(|progress| match progress {
                Progress::Done(outcome) => Some(outcome),
                Progress::Waiting | Progress::Accepted => None,
            })
            .collect()
    }
}

/// A reply that refuses (4yz or 5yz).
pub(super) fn refused(stage: Stage, reply: &Reply) -> Failure {
    Failure::replied(stage, reply.code, reply.status, &reply.text())
}

/// A reply after which the peer is of no use for now, whatever its first digit says.
pub(super) fn temporary(stage: Stage, reply: &Reply) -> Failure {
    let failure = refused(stage, reply);
    if failure.status.class() == 4 {
        failure
    } else {
        Failure {
            status: EnhancedStatus::new(4, 3, 0),
            ..failure
        }
    }
}

/// The same, with what its status says beyond its first digit.
pub(super) fn told(stage: Stage, reply: &Reply) -> Failure {
    let failure = temporary(stage, reply);
    let status = reply.status.filter(|status| status.class() != 2);
    let status = status.map(EnhancedStatus::for_now);
    Failure {
        status: status.unwrap_or(failure.status),
        ..failure
    }
}

/// RCPT refused; a 552 that means "too many recipients" is temporary (RFC 5321 §4.5.3.1.10).
fn refused_recipient(reply: &Reply) -> Failure {
    let too_many = reply.code.value() == 552
        && reply
            .status
            .is_none_or(|status| status == EnhancedStatus::new(5, 5, 3));
    if too_many {
        Failure {
            status: EnhancedStatus::new(4, 5, 3),
            ..refused(Stage::Recipient, reply)
        }
    } else {
        refused(Stage::Recipient, reply)
    }
}

/// What the answer to the end of the message means.
fn end(reply: &Reply, handover: Handover) -> Outcome {
    match reply.code.severity() {
        Severity::Success => Outcome::Delivered(taken(reply, handover)),
        Severity::Intermediate | Severity::Transient | Severity::Permanent => {
            refused(Stage::Message, reply).outcome()
        }
    }
}

/// The driver adds the relay's name.
fn taken(reply: &Reply, handover: Handover) -> Delivery {
    Delivery {
        relay: String::new(),
        reply: escape(reply.text().as_bytes(), MAX_TEXT),
        handover,
    }
}
