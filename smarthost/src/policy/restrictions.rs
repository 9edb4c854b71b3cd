//! What each restriction thinks of the facts. Replies are Postfix's.

use mail::{limits::HOPS, status::EnhancedStatus};
use smtp::reply::Reply;

use super::{
    Answer, Effect, Query, access, names,
    rule::{Restriction as R, Rule, Subject},
    service,
    verify::{self, Verified},
    view::{Opinion, View},
    world,
};
use crate::{limits::Decision, route::Fate, srs::Wrong};

impl R {
    /// What it asks changes nothing in the world: it may be asked before the restrictions in front
    /// have decided.
    pub(super) fn looks_up(&self) -> bool {
        matches!(
            self,
            R::RejectUnknownHelo
                | R::RejectUnknownDomain(_)
                | R::RejectUnknownClient
                | R::RejectUnknownReverseClient
                | R::CheckAccess(..)
                | R::RejectRbl(_)
                | R::PermitDnswl(_)
                | R::RejectRhsbl(..)
                | R::RejectDnsblScore
        )
    }
}

pub(super) fn judge(rule: &Rule, see: &View<'_>) -> Opinion {
    let session = &see.facts.session;
    let permit_if = |it: bool| if it { Opinion::Permit } else { Opinion::Pass };
    match &rule.restriction {
        R::Permit => Opinion::Permit,
        R::Reject => see.recipient_rejected(554, (5, 7, 1), "Access denied"),
        R::Defer => see.recipient_rejected(450, (4, 3, 2), "Try again later"),
        R::DeferIfPermit => {
            let text = "defer_if_permit requested";
            Opinion::DeferIfPermit(see.rejection(Subject::Recipient, 450, (4, 7, 0), text))
        }
        R::PermitMynetworks => permit_if(see.is_own()),
        R::PermitSaslAuthenticated => permit_if(session.login.is_some()),
        R::PermitTlsClientcerts => permit_if(session.pinned.is_some()),
        R::PermitAuthDestination => permit_if(see.is_ours()),
        R::RelayPermission => relay_permission(see),
        R::RejectUnlistedRecipient => reject_unlisted_recipient(see),
        R::RejectUnauthPipelining if session.sent_ahead => {
            let text = "Improper use of SMTP command pipelining";
            see.recipient_rejected(503, (5, 5, 0), text)
        }
        R::RejectMultiRecipientBounce if see.is_bounce_to_many() => {
            see.recipient_rejected(550, (5, 5, 3), "Multi-recipient bounce")
        }
        R::RejectPlaintextSession if session.tls.is_none() => {
            Opinion::Refuse(Reply::literal("450 4.7.1 Session encryption is required"))
        }
        R::RejectUnauthPipelining | R::RejectMultiRecipientBounce | R::RejectPlaintextSession => {
            Opinion::Pass
        }
        R::CheckAccess(subject, table) => access::check(see, *subject, table),
        R::Greylist => world::greylist(see),
        R::RejectUnverifiedRecipient => verified(see),
        R::CheckPolicyService(endpoint) => service::check(see, endpoint),
        R::RejectInvalidHelo => names::invalid_helo(see),
        R::RejectNonFqdnHelo => names::non_fqdn_helo(see),
        R::RejectNonFqdn(subject) => names::non_fqdn(see, *subject),
        R::RejectUnknownHelo => world::unknown_helo(see),
        R::RejectUnknownDomain(subject) => world::unknown_domain(see, *subject),
        R::RejectUnknownClient => world::unknown_client(see),
        R::RejectUnknownReverseClient => world::unknown_reverse_client(see),
        R::RejectRbl(list) => world::listed_address(see, list, false),
        R::PermitDnswl(list) => world::listed_address(see, list, true),
        R::RejectRhsbl(subject, list) => world::listed_name(see, *subject, list),
        R::RejectDnsblScore => world::score(see),
        R::AliasExpansion => alias_expansion(see),
        R::Deferral => see.deferral.cloned().map_or(Opinion::Pass, Opinion::Refuse),
        R::MessageLimit => limit(see, Query::Message(session.peer())),
        R::RecipientLimit => limit(see, Query::Recipient(session.peer())),
        R::UnverifiedSize => size_of_unverified(see),
        R::HopLimit if see.facts.message.hops > HOPS => {
            Opinion::Refuse(Reply::literal("554 5.4.0 Error: too many hops"))
        }
        // Permission to relay was decided before the chain.
        R::HopLimit | R::RejectUnauthDestination => Opinion::Pass,
    }
}

/// Clients in our networks, known by login or known by key may send anywhere; all others only to
/// our own domains, and there without routing of their own. Nothing else lets anybody relay.
fn relay_permission(see: &View<'_>) -> Opinion {
    let session = &see.facts.session;
    let known = session.is_known();
    let recipient = see.shown(Subject::Recipient);
    let own = see.is_own();
    let may = known || own || see.is_ours();
    see.notes.say(|| {
        let class = see.recipient().and_then(|it| see.policy.router().class(it));
        let of = match class {
            Some(class) => format!("the recipient's domain is {}", class.word()),
            None => "the recipient's domain is not ours".to_owned(),
        };
        match (&session.login, &session.pinned) {
            (Some(login), _) => format!("logged in as {login}; {of}"),
            (None, Some(name)) => format!("known by its key as {name}; {of}"),
            (None, None) if own => format!("{} is in networks; {of}", session.address),
            (None, None) if session.unnamed => {
                format!(
                    "{} does not say who connects through it; {of}",
                    session.address
                )
            }
            (None, None) => format!("{} is not in networks; {of}", session.address),
        }
    });
    if may && !recipient.is_empty() {
        return Opinion::Pass;
    }
    if let Some(why) = see.facts.transaction.returns_nowhere {
        return leads_nowhere(see, why);
    }
    // What was a machine's here, and was forgotten, or is one's that was never enrolled here.
    let key = if see.facts.session.strange_key {
        "; this key is not known here: smarthost enroll NAME makes a line for it"
    } else {
        ""
    };
    let text = format!("<{recipient}>: Relay access denied{key}");
    Opinion::Refuse(Reply::new(554, EnhancedStatus::new(5, 7, 1), text))
}

/// A rewritten sender to whom nothing comes back.
fn leads_nowhere(see: &View<'_>, why: Wrong) -> Opinion {
    let (code, class) = if why.is_temporary() {
        (450, 4)
    } else {
        (550, 5)
    };
    see.recipient_rejected(code, (class, 7, 1), why.words())
}

/// What is over a limit waits at the client. Row A4: so many messages a client and day; of
/// recipients, the others are delivered.
fn limit(see: &View<'_>, query: Query) -> Opinion {
    match see.answer(&query) {
        Some(Answer::Limit(Decision::Over(excess))) => Opinion::Refuse(excess.reply()),
        Some(_) => Opinion::Pass,
        None => Opinion::Ask(vec![query]),
    }
}

/// Rows A6, A7: only for our own domains, or strangers could have third parties asked.
fn verified(see: &View<'_>) -> Opinion {
    let Some(recipient) = see.recipient().filter(|_| see.is_ours()) else {
        return Opinion::Pass;
    };
    let query = Query::RecipientKnown((see.facts.session.address, see.is_own()), recipient.clone());
    let unsure =
        |why: &str| see.recipient_rejected(450, (4, 1, 1), &format!("unverified address: {why}"));
    match see.answer(&query) {
        None => Opinion::Ask(vec![query]),
        Some(Answer::Verified(Verified::No(why))) => {
            let text = format!("undeliverable address: {why}");
            see.recipient_rejected(550, (5, 1, 1), &text)
        }
        Some(Answer::Verified(Verified::Unsure(why))) => unsure(why),
        Some(Answer::Verified(Verified::Unverified)) => {
            if see
                .facts
                .transaction
                .size
                .is_some_and(|size| size > verify::CAP)
            {
                return unsure("only small mail is taken until it can be verified");
            }
            Opinion::Note(Effect::Unverified)
        }
        Some(_) => Opinion::Pass,
    }
}

/// Nothing large is taken for recipients that nobody could ask for.
fn size_of_unverified(see: &View<'_>) -> Opinion {
    if see.facts.transaction.unverified && see.facts.message.size > verify::CAP {
        let text = "452 4.3.1 Error: only small mail is taken until the recipient can be verified";
        return Opinion::Refuse(Reply::literal(text));
    }
    Opinion::Pass
}

/// Row B3: without mailboxes, only aliases receive; in a virtual domain, only what has an entry.
fn reject_unlisted_recipient(see: &View<'_>) -> Opinion {
    if let Some(why) = see.facts.transaction.returns_nowhere {
        return leads_nowhere(see, why);
    }
    let router = see.policy.router();
    match see
        .recipient()
        .and_then(|recipient| router.unlisted(recipient))
    {
        Some(table) => {
            let text = format!("User unknown in {table}");
            see.recipient_rejected(550, (5, 1, 1), &text)
        }
        None => Opinion::Pass,
    }
}

/// Where a recipient leads to that nobody takes mail for, by its route (transport(5), `error`), it
/// is refused with what stands there; one whose domain stands for another, where nobody has its
/// name, as it would be there. An alias that cannot be expanded, or leads to nobody: the client
/// keeps the mail until the table is mended. Why is for the log: it names files.
fn alias_expansion(see: &View<'_>) -> Opinion {
    let Some(recipient) = see.recipient() else {
        return Opinion::Pass;
    };
    let failure = match see.policy.router().fate(recipient) {
        Fate::Taken => return Opinion::Pass,
        Fate::Broken(failure) => failure,
        Fate::Refused(failure) => {
            let code = if failure.status.class() == 5 {
                550
            } else {
                450
            };
            let text = format!(
                "<{recipient}>: Recipient address rejected: {}",
                failure.text
            );
            return Opinion::Refuse(Reply::new(code, failure.status, text));
        }
    };
    see.notes.say(|| failure.text.clone());
    let says = |code, why: &str| {
        let text = format!("<{recipient}>: Recipient address rejected: {why}");
        Reply::new(code, failure.status, text)
    };
    if failure.status.class() == 5 {
        return Opinion::Refuse(says(550, &failure.text));
    }
    let why = if see.is_own() {
        "its alias cannot be expanded; the log of this server says why"
    } else {
        "Temporary lookup failure"
    };
    Opinion::Broken(says(451, why), failure.text)
}
