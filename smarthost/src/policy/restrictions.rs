//! The restrictions, one function each, and the chains they stand in.

use mail::{address::Address, limits::HOPS, status::EnhancedStatus};
use smtp::reply::Reply;

use crate::{
    limits::Decision,
    policy::{Answer, Facts, Policy, Query, chain::Answers},
};

/// What a restriction thinks.
pub(super) enum Opinion {
    /// Nothing against it; the next one is asked.
    Pass,
    Refuse(Reply),
    /// It depends on the answers to these; called again with them.
    Ask(Vec<Query>),
}

/// A named restriction.
#[derive(Debug)]
pub(super) struct Restriction {
    pub(super) name: &'static str,
    pub(super) judge: fn(&Policy, &Facts, &Answers) -> Opinion,
    /// What it asks changes nothing in the world: it may be asked before the restrictions in front have decided.
    pub(super) looks_up: bool,
}

impl Restriction {
    const fn new(name: &'static str, judge: fn(&Policy, &Facts, &Answers) -> Opinion) -> Self {
        Self {
            name,
            judge,
            looks_up: false,
        }
    }
}

pub(super) const NONE: &[Restriction] = &[];
pub(super) const MAIL: &[Restriction] = &[Restriction::new("client_limit", message_limit)];
pub(super) const RECIPIENT: &[Restriction] = &[
    Restriction::new("reject_unauth_destination", reject_unauth_destination),
    Restriction::new("reject_unlisted_recipient", reject_unlisted_recipient),
    Restriction::new("alias_expansion", alias_expansion),
    Restriction::new("client_limit", recipient_limit),
];
pub(super) const MESSAGE: &[Restriction] = &[Restriction::new("hop_limit", hop_limit)];

/// Row A4: so many messages a client and day.
fn message_limit(_: &Policy, facts: &Facts, answers: &Answers) -> Opinion {
    limit(Query::Message(facts.session.address), answers)
}

/// What is over a limit of recipients waits at the client; the others are delivered.
fn recipient_limit(_: &Policy, facts: &Facts, answers: &Answers) -> Opinion {
    limit(Query::Recipient(facts.session.address), answers)
}

fn limit(query: Query, answers: &Answers) -> Opinion {
    match answers.get(query) {
        None => Opinion::Ask(vec![query]),
        Some(Answer::Limit(Decision::Over(excess))) => Opinion::Refuse(excess.reply()),
        Some(Answer::Limit(Decision::Unlimited | Decision::Within { .. })) => Opinion::Pass,
    }
}

/// Clients in our networks may send anywhere, all others only to our own domains, and there without routing of their own.
fn reject_unauth_destination(policy: &Policy, facts: &Facts, _: &Answers) -> Opinion {
    let Some(recipient) = &facts.transaction.recipient else {
        return denied("");
    };
    if policy.may_relay(facts.session.address) {
        return Opinion::Pass;
    }
    let ours = policy.router().is_local(recipient) || policy.router().is_relayed(recipient);
    if ours && !is_source_routed(recipient) {
        Opinion::Pass
    } else {
        denied(recipient.as_str())
    }
}

fn denied(recipient: &str) -> Opinion {
    let text = format!("<{recipient}>: Relay access denied");
    Opinion::Refuse(Reply::new(554, EnhancedStatus::new(5, 7, 1), text))
}

/// `user%elsewhere@ours`, `elsewhere!user@ours`, `"user@elsewhere"@ours`: a host behind us might follow it.
fn is_source_routed(recipient: &Address) -> bool {
    recipient.local_name().contains(['%', '!', '@'])
}

/// Row B3: without mailboxes, only aliases receive.
fn reject_unlisted_recipient(policy: &Policy, facts: &Facts, _: &Answers) -> Opinion {
    match &facts.transaction.recipient {
        Some(recipient)
            if policy.router().is_local(recipient) && !policy.router().is_known(recipient) =>
        {
            let text = format!(
                "<{recipient}>: Recipient address rejected: User unknown in local recipient table"
            );
            Opinion::Refuse(Reply::new(550, EnhancedStatus::new(5, 1, 1), text))
        }
        _ => Opinion::Pass,
    }
}

/// An alias that cannot be expanded: the client keeps the mail until the table is mended. Strangers are not told why.
fn alias_expansion(policy: &Policy, facts: &Facts, _: &Answers) -> Opinion {
    let Some(recipient) = &facts.transaction.recipient else {
        return Opinion::Pass;
    };
    match policy.router().expand(&recipient.clone().into()) {
        Ok(_) => Opinion::Pass,
        Err(failure) if failure.status.class() == 5 => {
            let text = format!(
                "<{recipient}>: Recipient address rejected: {}",
                failure.text
            );
            Opinion::Refuse(Reply::new(550, failure.status, text))
        }
        Err(failure) => {
            let why = if policy.may_relay(facts.session.address) {
                &failure.text
            } else {
                "Temporary lookup failure"
            };
            let text = format!("<{recipient}>: Recipient address rejected: {why}");
            Opinion::Refuse(Reply::new(451, failure.status, text))
        }
    }
}

fn hop_limit(_: &Policy, facts: &Facts, _: &Answers) -> Opinion {
    if facts.message.hops > HOPS {
        return Opinion::Refuse(Reply::literal("554 5.4.0 Error: too many hops"));
    }
    Opinion::Pass
}
