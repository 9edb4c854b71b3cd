//! `check_*_access`: what a table says of client, HELO name, sender or recipient, and what its
//! actions lead to.
//!
//! Contract: the first key that has an entry decides (access(5)); `DUNNO` ends the search in that
//! table.
//! Failures: an entry that is no action defers the mail and is told when the table is read.

use mail::{address::Sender, status::EnhancedStatus};
use smtp::reply::Reply;

use super::{
    Effect,
    action::Action,
    rule::Subject,
    view::{Opinion, View},
};
use crate::lookup::{TableName, access};

/// What the table says.
pub(super) fn check(see: &View<'_>, subject: Subject, name: &TableName) -> Opinion {
    let Some(table) = see.policy.table(name) else {
        return fault(see, subject);
    };
    let delimiter = see.policy.delimiter();
    let session = &see.facts.session;
    let keys = match subject {
        Subject::Client if table.has_names => match see.client_name() {
            Err(query) => return Opinion::Ask(vec![query]),
            Ok(name) => {
                access::client(Some(name.confirmed().unwrap_or("unknown")), session.address)
            }
        },
        Subject::Client => access::client(None, session.address),
        Subject::Helo => match &session.helo {
            Some(name) => access::host(name),
            None => return Opinion::Pass,
        },
        Subject::Sender => match &see.facts.transaction.sender {
            Some(sender) => access::sender(sender, delimiter),
            None => return Opinion::Pass,
        },
        Subject::Recipient => match see.recipient() {
            Some(recipient) => access::sender(&Sender::Address(recipient.clone()), delimiter),
            None => return Opinion::Pass,
        },
    };
    let Some(found) = table.table.first(&keys) else {
        see.notes.say(|| {
            let keys: Vec<_> = keys.iter().map(|key| key.text.as_str()).collect();
            format!("no entry in {name} for {}", keys.join(", "))
        });
        return Opinion::Pass;
    };
    see.notes.entry(&found);
    match Action::parse(&found.value) {
        Ok(action) => carry_out(see, subject, action),
        Err(_) => fault(see, subject),
    }
}

/// What an action leads to.
pub(super) fn carry_out(see: &View<'_>, subject: Subject, action: Action) -> Opinion {
    let shown = see.named(subject);
    match action {
        // A host behind us might follow the routing in such an address.
        Action::Ok if subject == Subject::Recipient && see.is_source_routed() => Opinion::Pass,
        Action::Ok => Opinion::Permit,
        Action::Dunno => Opinion::Pass,
        Action::Refuse(refusal) => Opinion::Refuse(refusal.reply(subject, &shown)),
        Action::DeferIfPermit(refusal) => Opinion::DeferIfPermit(refusal.reply(subject, &shown)),
        Action::Warn(text) => Opinion::Note(Effect::Warn(text)),
        Action::Info(text) => Opinion::Note(Effect::Info(text)),
        Action::Hold(text) => {
            let text = if text.is_empty() {
                "triggers HOLD action"
            } else {
                &text
            };
            let words = subject.words();
            Opinion::Note(Effect::Hold(format!("<{shown}>: {words} {text}")))
        }
        Action::Prepend(field) => Opinion::Note(Effect::Prepend(field)),
        Action::Apply(rules) => Opinion::Apply(rules),
    }
}

/// The table, or what it says, cannot be used.
fn fault(see: &View<'_>, subject: Subject) -> Opinion {
    let shown = see.named(subject);
    let text = format!(
        "<{shown}>: {} rejected: Server configuration error",
        subject.words()
    );
    Opinion::Refuse(Reply::new(451, EnhancedStatus::new(4, 3, 5), text))
}
