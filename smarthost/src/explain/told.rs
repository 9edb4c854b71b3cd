//! Questions, answers and opinions in words.
//!
//! Contract: no key of a block list is in them.

use serde::Serialize;

use crate::{
    limits::Decision as Limit,
    policy::{
        Answer, ClientName, Effect, Listing, MailDomain, Query,
        greylist::Decision as Greylisted,
        trace::{Because, Thought},
        verify::Verified,
    },
};

/// Where something stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Place {
    pub file: String,
    /// From 1.
    pub line: u32,
}

impl From<crate::lookup::Place> for Place {
    fn from(place: crate::lookup::Place) -> Self {
        Self {
            file: place.path.display().to_string(),
            line: place.line,
        }
    }
}

/// An entry of a table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Entry {
    pub place: Place,
    pub value: String,
}

impl From<(crate::lookup::Place, String)> for Entry {
    fn from((place, value): (crate::lookup::Place, String)) -> Self {
        Self {
            place: place.into(),
            value,
        }
    }
}

/// What the world was asked, and what it said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Exchange {
    pub question: String,
    pub answer: String,
}

pub(super) fn entries(because: &Because) -> Vec<Entry> {
    because.entries.iter().cloned().map(Entry::from).collect()
}

/// `off`: why a list is not asked.
pub(super) fn exchanges<'a>(
    because: &Because,
    off: impl Fn(&Query) -> Option<&'a str>,
) -> Vec<Exchange> {
    let told = |(query, said): &(Query, Answer)| Exchange {
        question: question(query),
        answer: match off(query) {
            Some(why) => format!("{why}; it is ignored"),
            None => answer(said),
        },
    };
    because.asked.iter().map(told).collect()
}

/// In one word or two, with the reply or the text that belongs to it.
pub(super) fn verdict(thought: &Thought) -> (&'static str, Option<String>) {
    match thought {
        Thought::Pass => ("pass", None),
        Thought::Permit => ("permit", None),
        Thought::Refuse(reply) if reply.code.value() < 500 => ("defer", Some(reply.text())),
        Thought::Refuse(reply) => ("refuse", Some(reply.text())),
        Thought::Warn(reply) => ("only warn", Some(reply.text())),
        Thought::DeferIfPermit(reply) => ("defer if permitted", Some(reply.text())),
        Thought::Apply(rules) => ("apply", Some(rules.join(", "))),
        Thought::Note(effect) => match effect {
            Effect::WouldReject(reply) => ("only warn", Some(reply.text())),
            Effect::Warn(text) => ("warn", Some(text.clone())),
            Effect::Info(text) => ("info", Some(text.clone())),
            Effect::Hold(text) => ("hold", Some(text.clone())),
            Effect::Prepend(field) => ("prepend", Some(field.clone())),
            Effect::Unverified => ("pass", Some("taken unverified, small mail only".to_owned())),
        },
    }
}

fn question(query: &Query) -> String {
    match query {
        Query::Message(client) => format!("limits of {client}: one message more"),
        Query::Recipient(client) => format!("limits of {client}: one recipient more"),
        Query::MailDomain(domain) => format!("DNS: MX, A and AAAA of {domain}"),
        Query::ClientName(address) => format!("DNS: name of {address}, and whether it is its own"),
        Query::Listed(list, name) if list.keys().next().is_none() => format!("DNS: A of {name}"),
        // The name that is asked has its key in it.
        Query::Listed(list, _) => format!("DNS: block list {}", list.name()),
        Query::Greylist(client, sender, recipient) => {
            format!("greylist: {client}, <{sender}>, <{recipient}>")
        }
        Query::RecipientKnown(_, recipient) => format!("next hop: does <{recipient}> exist?"),
        Query::Service(endpoint, _) => format!("policy server {endpoint}"),
    }
}

fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Limit(Limit::Unlimited) => "no limit".to_owned(),
        Answer::Limit(Limit::Within {
            count,
            limit,
            window,
        }) => format!("with it {count} of {limit} in {}", window.words()),
        Answer::Limit(Limit::Over(excess)) => format!(
            "it would be number {} of {}, from {}",
            excess.count,
            excess.counted.words(),
            excess.client
        ),
        Answer::MailDomain(found) => match found {
            MailDomain::Found => "takes mail".to_owned(),
            MailDomain::NullMx => "takes no mail (null MX)".to_owned(),
            MailDomain::Missing => "does not exist".to_owned(),
            MailDomain::Unknown => "no answer".to_owned(),
        },
        Answer::ClientName(name) => match name {
            ClientName::Confirmed(name) => format!("{name}, confirmed"),
            ClientName::Unconfirmed(name) => format!("{name}, which is not its own"),
            ClientName::Doubtful(name) => format!("{name}; no answer whether it is its own"),
            ClientName::Missing => "none".to_owned(),
            ClientName::Unknown => "no answer".to_owned(),
        },
        Answer::Listed(listing) => match listing {
            Listing::Listed(Some(why)) => format!("listed: {why}"),
            Listing::Listed(None) => "listed".to_owned(),
            Listing::NotListed => "not listed".to_owned(),
            Listing::Unknown => "no answer that can be used".to_owned(),
        },
        Answer::Greylist(Greylisted::Pass) => "known, or came again".to_owned(),
        Answer::Greylist(Greylisted::Wait(wait)) => {
            format!("to come again in {} seconds", wait.as_secs().max(1))
        }
        Answer::Verified(verified) => match verified {
            Verified::Yes => "yes".to_owned(),
            Verified::No(why) => format!("no: {why}"),
            Verified::Unsure(why) => format!("nobody can say now: {why}"),
            Verified::Unverified => "nobody can say; small mail is accepted".to_owned(),
        },
        Answer::Service(Some(action)) => action.clone(),
        Answer::Service(None) => "no answer that can be used".to_owned(),
    }
}
