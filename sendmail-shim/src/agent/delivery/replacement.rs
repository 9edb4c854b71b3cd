//! A queued message whose local names stand for others by now: a message to all who wait for it
//! takes its place.
//!
//! Contract: the message is the caller's alone ([`Turn::Replace`](crate::agent::turns::Turn)), so
//! that all of it is replaced, and of its recipients none is served but those that are settled.
//! These stay known in the new one: none of them gets it again. It is as old as the first.
//! Failures: a message that cannot be queued leaves the first as it was.

use std::collections::HashSet;

use mail::{
    clock,
    envelope::{Envelope, Recipient},
    outcome::{Blame, Delivery, Failure, Handover, Outcome, Stage},
    status::EnhancedStatus,
};
use spool::{Entry, SpoolError, Stored, Waiting};
use system::log::life;

use crate::agent::{addressing::Replacement, state::Agent};

/// Why a delivery is not made while another one of its message is.
pub(super) const WAIT: &str = "its local names stand for others by now: who they are is looked up when other deliveries of the message have ended";

/// Whether aliases or `admin` name others by now than some of these, named by their index.
pub(super) fn is_due(agent: &Agent, envelope: &Envelope, recipients: &[u32]) -> bool {
    agent.with_rules(|rules| agent.expanded.have_changed(envelope, recipients, rules))
}

/// Why mail for one of a message's recipients is refused by now; `None`: it goes.
pub(super) fn refused(
    agent: &Agent,
    envelope: &Envelope,
    recipient: &Recipient,
) -> Option<Outcome> {
    let why = agent.with_rules(|rules| agent.expanded.refusal(envelope, recipient, rules))?;
    let status = EnhancedStatus::new(5, 1, 1);
    let text = format!("an alias refuses mail for {why}");
    let failure = Failure::new(Blame::Policy, Stage::Recipient, status, &text);
    Some(failure.outcome())
}

/// Puts a message to those whom they name now in its place, and ends it; `None` if they would be
/// too many.
pub(super) fn replace(
    agent: &Agent,
    stored: &Stored,
    entry: &Entry,
) -> Option<Result<(), SpoolError>> {
    let waiting: HashSet<u32> = entry.waiting.iter().map(|it| it.recipient).collect();
    let replaced =
        agent.with_rules(|rules| agent.expanded.replaced(&stored.envelope, &waiting, rules))?;
    Some(queue(agent, stored, entry, replaced))
}

fn queue(
    agent: &Agent,
    stored: &Stored,
    entry: &Entry,
    replaced: Replacement,
) -> Result<(), SpoolError> {
    let waiting = (0u32..).take(replaced.recipients.len());
    let waiting = waiting.skip(replaced.settled).map(|recipient| Waiting {
        recipient,
        until: None,
        reason: None,
    });
    let envelope = Envelope {
        recipients: replaced.recipients,
        ..stored.envelope.clone()
    };
    let waiting = waiting.collect();
    let new = agent
        .dispatch
        .replace((stored, entry), &envelope, waiting)?;
    if let Some(reports) = &agent.reports {
        match new {
            Some(new) => reports.goes_on_as(stored.id, new),
            None => reports.left(stored.id, true),
        }
    }
    let became = new.map_or_else(
        || "whoever they stand for has the message".to_owned(),
        |new| format!("forwarded as {new}"),
    );
    let outcome = Outcome::Delivered(Delivery {
        relay: "local".to_owned(),
        reply: format!("local names were looked up again: {became}"),
        handover: Handover::Replaced,
    });
    let age = clock::now().since(stored.arrival);
    let numbers: Vec<_> = entry.waiting.iter().map(|it| it.recipient).collect();
    for recipient in &stored.envelope.with_numbers(&numbers).recipients {
        life::attempt(stored.id, recipient, age, &outcome);
        let uid = stored.envelope.uid;
        agent.attempts.tell(stored.id, uid, recipient, &outcome);
    }
    life::ended(stored.id, 0, false);
    Ok(())
}
