//! The restrictions, one function each, and the chains they stand in.

use std::net::IpAddr;

use mail::{address::Address, limits::HOPS, status::EnhancedStatus};
use smtp::reply::Reply;

use crate::{
    limits::Decision,
    policy::{Answer, Policy, Query},
};

/// What a restriction looks at.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) client: IpAddr,
    /// At RCPT.
    pub(super) recipient: Option<Address>,
    pub(super) hops: usize,
}

/// What a restriction thinks.
pub(super) enum Opinion {
    /// Nothing against it; the next one is asked.
    Pass,
    Refuse(Reply),
    /// It depends on the answer to this; called again with it.
    Ask(Query),
}

/// A named restriction.
#[derive(Debug)]
pub(super) struct Restriction {
    pub(super) name: &'static str,
    pub(super) judge: fn(&Policy, &Subject, Option<Answer>) -> Opinion,
}

pub(super) const NONE: &[Restriction] = &[];
pub(super) const MAIL: &[Restriction] = &[Restriction {
    name: "client_limit",
    judge: client_limit,
}];
pub(super) const RECIPIENT: &[Restriction] = &[
    Restriction {
        name: "reject_unauth_destination",
        judge: reject_unauth_destination,
    },
    Restriction {
        name: "reject_unlisted_recipient",
        judge: reject_unlisted_recipient,
    },
    Restriction {
        name: "alias_expansion",
        judge: alias_expansion,
    },
];
pub(super) const MESSAGE: &[Restriction] = &[Restriction {
    name: "hop_limit",
    judge: hop_limit,
}];

/// Row A4: so many messages a client and day.
fn client_limit(_: &Policy, subject: &Subject, answer: Option<Answer>) -> Opinion {
    match answer {
        None => Opinion::Ask(Query::Limit(subject.client)),
        Some(Answer::Limit(Decision::Over(excess))) => Opinion::Refuse(excess.reply()),
        Some(Answer::Limit(Decision::Unlimited | Decision::Within { .. })) => Opinion::Pass,
    }
}

/// Clients in our networks may send anywhere, all others only to our own domains, and there without routing of their own.
fn reject_unauth_destination(policy: &Policy, subject: &Subject, _: Option<Answer>) -> Opinion {
    let Some(recipient) = &subject.recipient else {
        return denied("");
    };
    if policy.may_relay(subject.client) {
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
fn reject_unlisted_recipient(policy: &Policy, subject: &Subject, _: Option<Answer>) -> Opinion {
    match &subject.recipient {
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
fn alias_expansion(policy: &Policy, subject: &Subject, _: Option<Answer>) -> Opinion {
    let Some(recipient) = &subject.recipient else {
        return Opinion::Pass;
    };
    match policy.router().expand(&recipient.clone().into()) {
        Ok(_) => Opinion::Pass,
        Err(failure) => {
            let why = if policy.may_relay(subject.client) {
                &failure.text
            } else {
                "Temporary lookup failure"
            };
            let text = format!("<{recipient}>: Recipient address rejected: {why}");
            Opinion::Refuse(Reply::new(451, failure.status, text))
        }
    }
}

fn hop_limit(_: &Policy, subject: &Subject, _: Option<Answer>) -> Opinion {
    if subject.hops > HOPS {
        return Opinion::Refuse(Reply::literal("554 5.4.0 Error: too many hops"));
    }
    Opinion::Pass
}
