//! Who the client is, and what is noted of it: of one of ours when it brings a message, of any when
//! it is refused.

use mail::{
    address::Address,
    clock::{self, Timestamp},
    message::{Header, trace},
    outcome::escape,
};

use super::{refused::is_of_message, session::Connection};
use crate::{
    machines::{By, Seen},
    maillog,
    notices::{self, Passed},
    policy::refusals::Refusal,
    provenance,
};

impl Connection {
    /// A refusal, for administrators who ask later; what is no mail is not worth it.
    pub(super) fn remember(&mut self, stage: &str, reply: &str, subject: &maillog::Subject) {
        let (rule, counted) = (self.rule.take(), self.over.take());
        if !is_of_message(stage) && !["MAIL", "RCPT"].contains(&stage) {
            return;
        }
        let now = clock::now();
        let refusal = |recipient: Option<&Address>| Refusal {
            client: self.name.clone(),
            helo: self.machine.helo().map(str::to_owned),
            sender: subject.sender.as_ref().map(ToString::to_string),
            recipient: recipient.map(ToString::to_string),
            stage: stage.to_owned(),
            rule: rule.clone(),
            counted: counted.as_ref().map(ToString::to_string),
            reply: reply.to_owned(),
            first: now,
            last: now,
            count: 0,
            accepted: None,
        };
        let about = self.about.as_ref().filter(|_| is_of_message(stage));
        let several = about.map_or(&[][..], |about| about.recipients.as_slice());
        let rows: Vec<_> = if several.len() > 1 {
            several.iter().map(|it| refusal(Some(it))).collect()
        } else {
            vec![refusal(subject.recipient.as_ref())]
        };
        let passed = Passed::Refused {
            rule: rule.clone().unwrap_or_else(|| "protocol".to_owned()),
            reply: escape(reply.as_bytes(), maillog::MAX_WORD),
        };
        let mut refusals = self.server.refusals();
        for row in rows {
            refusals.add(self.client, row, now);
        }
        drop(refusals);
        self.server.dispatch.activity().refused(now);
        let news = self.server.dispatch.news();
        news.tell(notices::Event::Passed(passed));
    }

    /// Where the message is from, and as whom its client is known: `unknown[192.0.2.1] as vm7`.
    pub(super) fn origin(&self) -> String {
        match (self.known_as(), self.name.strip_suffix(']')) {
            (Some(known), Some(name)) => [name, provenance::KNOWN_AS, known].concat(),
            (None, Some(name)) if self.unnamed => [name, provenance::OVER_PROXY].concat(),
            _ => self.name.clone(),
        }
    }

    /// Its network, its key or its login says that it is one of our clients.
    pub(super) fn is_ours(&self) -> bool {
        self.known_as().is_some() || !self.unnamed && self.setup.policy.may_relay(self.client)
    }

    /// The name of its key, else its login.
    pub(super) fn known_as(&self) -> Option<&str> {
        self.pinned.as_deref().or(self.machine.login())
    }

    /// Whether so much of its mail is dead and on hold that it may bring no more.
    pub(super) fn is_full_of_dead(&self) -> bool {
        let address = self.client.to_string();
        let client = self.known_as().unwrap_or(&address);
        self.server.dispatch.is_full_of_dead(client)
    }

    /// A client of ours brings a message, whose header has our own trace in front; `None`: a
    /// stranger does.
    pub(super) fn note_machine(&self, header: &Header) -> Option<(String, Timestamp)> {
        if !self.is_ours() {
            return None;
        }
        let address = self.client.to_canonical().to_string();
        let called = self.client_name.confirmed();
        let name = called.or(self.machine.helo()).unwrap_or_default();
        let seen = Seen {
            name: name.to_owned(),
            known_by: match (&self.pinned, self.machine.login()) {
                (Some(_), _) => By::Key,
                (None, Some(_)) => By::Login,
                (None, None) => By::Address,
            },
            agent: trace::agent(header),
            address: address.clone(),
        };
        let id = self.known_as().map_or(address, str::to_owned);
        let now = clock::now();
        self.server.machines().add(&id, seen, now);
        self.server.state.changed();
        Some((id, now))
    }

    /// The message could not be kept after all.
    pub(super) fn take_back(&self, noted: Option<(String, Timestamp)>) {
        if let Some((id, then)) = noted {
            self.server.machines().take_back(&id, then);
            self.server.state.changed();
        }
    }
}
