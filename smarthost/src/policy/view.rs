//! What restrictions see, and what they may think of it.

use mail::{address::Address, status::EnhancedStatus};
use smtp::reply::Reply;

use super::{
    Answer, ClientName, Effect, Facts, Policy, Query,
    rule::{Rule, Subject},
    trace::{Notes, Thought},
};
use crate::route::Router;

/// What a restriction thinks.
#[derive(Debug)]
pub(super) enum Opinion {
    /// Nothing against it; the next one is asked.
    Pass,
    /// The chain ends here.
    Permit,
    Refuse(Reply),
    /// Something of ours is broken: administrators are told what, and the client to come again.
    Broken(Reply, String),
    /// A yes of the others becomes this.
    DeferIfPermit(Reply),
    /// Nothing against it, and something to be done.
    Note(Effect),
    /// These decide in its place.
    Apply(Vec<Rule>),
    /// It depends on the answers to these; called again with them.
    Ask(Vec<Query>),
}

impl Opinion {
    /// For who wants to know; `None`: it is only asking.
    pub(super) fn thought(&self, warn: bool) -> Option<Thought> {
        Some(match self {
            Self::Ask(_) => return None,
            Self::Pass => Thought::Pass,
            Self::Permit => Thought::Permit,
            Self::Refuse(reply) | Self::DeferIfPermit(reply) if warn => {
                Thought::Warn(reply.clone())
            }
            Self::Refuse(reply) | Self::Broken(reply, _) => Thought::Refuse(reply.clone()),
            Self::DeferIfPermit(reply) => Thought::DeferIfPermit(reply.clone()),
            Self::Note(effect) => Thought::Note(effect.clone()),
            Self::Apply(rules) => Thought::Apply(rules.iter().map(ToString::to_string).collect()),
        })
    }
}

/// What restrictions see.
pub(super) struct View<'a> {
    pub(super) policy: &'a Policy,
    pub(super) facts: &'a Facts,
    pub(super) answers: &'a Answers,
    /// The trouble that a restriction before had.
    pub(super) deferral: Option<&'a Reply>,
    /// Where they write down why.
    pub(super) notes: &'a Notes,
}

/// What the world has answered so far.
#[derive(Debug, Default)]
pub(super) struct Answers(pub(super) Vec<(Query, Answer)>);

impl Answers {
    pub(super) fn get(&self, query: &Query) -> Option<&Answer> {
        let found = self.0.iter().find(|(asked, _)| asked == query);
        found.map(|(_, answer)| answer)
    }
}

impl View<'_> {
    /// What the world said to this, if it was asked.
    pub(super) fn answer(&self, query: &Query) -> Option<&Answer> {
        let answer = self.answers.get(query)?;
        self.notes.asked(query, answer);
        Some(answer)
    }

    pub(super) fn recipient(&self) -> Option<&Address> {
        self.facts.transaction.recipient.as_ref()
    }

    pub(super) fn sender(&self) -> Option<&Address> {
        self.facts
            .transaction
            .sender
            .as_ref()
            .and_then(|sender| sender.address())
    }

    /// The address of the sender or the recipient.
    pub(super) fn address(&self, subject: Subject) -> Option<&Address> {
        match subject {
            Subject::Sender => self.sender(),
            Subject::Recipient => self.recipient(),
            Subject::Client | Subject::Helo => None,
        }
    }

    /// As replies show what was looked at.
    pub(super) fn shown(&self, subject: Subject) -> String {
        match subject {
            Subject::Client => self.facts.session.address.to_string(),
            Subject::Helo => self.facts.session.helo.clone().unwrap_or_default(),
            Subject::Sender | Subject::Recipient => self
                .address(subject)
                .map(ToString::to_string)
                .unwrap_or_default(),
        }
    }

    /// The same, with the client's name.
    pub(super) fn named(&self, subject: Subject) -> String {
        if subject != Subject::Client {
            return self.shown(subject);
        }
        let name = self.client_name().ok().and_then(ClientName::confirmed);
        format!(
            "{}[{}]",
            name.unwrap_or("unknown"),
            self.facts.session.address
        )
    }

    /// `<x>: Sender address rejected: text`
    pub(super) fn rejection(
        &self,
        subject: Subject,
        code: u16,
        (class, of, detail): (u8, u16, u16),
        text: &str,
    ) -> Reply {
        let text = format!(
            "<{}>: {} rejected: {text}",
            self.shown(subject),
            subject.words()
        );
        Reply::new(code, EnhancedStatus::new(class, of, detail), text)
    }

    pub(super) fn recipient_rejected(
        &self,
        code: u16,
        status: (u8, u16, u16),
        text: &str,
    ) -> Opinion {
        Opinion::Refuse(self.rejection(Subject::Recipient, code, status, text))
    }

    /// Whether the recipient is in a domain that we take mail for from anybody.
    pub(super) fn is_ours(&self) -> bool {
        let router = self.policy.router();
        self.recipient()
            .is_some_and(|recipient| is_ours(router, recipient))
    }

    /// The recipient's address asks for a route of its own.
    pub(super) fn is_source_routed(&self) -> bool {
        self.recipient().is_some_and(is_source_routed)
    }

    /// In `networks`, as far as that is known.
    pub(super) fn is_own(&self) -> bool {
        let session = &self.facts.session;
        !session.unnamed && self.policy.may_relay(session.address)
    }

    pub(super) fn is_bounce_to_many(&self) -> bool {
        let transaction = &self.facts.transaction;
        transaction.sender.is_some() && self.sender().is_none() && transaction.recipients > 0
    }
}

/// Whether anybody may send mail to it. What we have signed ourselves leads where it says.
pub(crate) fn is_ours(router: &Router, recipient: &Address) -> bool {
    let returns = || router.sender_behind(recipient).is_some();
    router.class(recipient).is_some() && (!is_source_routed(recipient) || returns())
}

/// `user%elsewhere@ours`, `elsewhere!user@ours`, `"user@elsewhere"@ours`: a host behind us might
/// follow it.
fn is_source_routed(recipient: &Address) -> bool {
    recipient.local_name().contains(['%', '!', '@'])
}
