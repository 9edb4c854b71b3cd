//! What administrators ask about queued mail, alike in both programs: a question or an order, and
//! which messages it is about.
//!
//! Contract: an order is a row of [`Order`]; command lines, help and answers are made from it. A
//! [`Selection`] that names nothing selects nothing: everything has to be said with `all`.

use std::fmt;

use mail::{address::Domain, clock::Timestamp, envelope::Recipient, outcome::Outcome};
use serde::{Deserialize, Serialize};

use crate::{
    listing::Row,
    summary::{By, Summary},
};

/// What can be done to a message in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    Flush,
    Hold,
    Release,
    Delete,
    Bounce,
}

impl Order {
    pub const ALL: [Self; 5] = [
        Self::Flush,
        Self::Hold,
        Self::Release,
        Self::Delete,
        Self::Bounce,
    ];

    /// As it is typed, what it does, and how it is told when it is done.
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Flush => (
                "flush",
                "Try messages now, even if their destination is suspended; without ids, all of them",
                "to be tried now",
            ),
            Self::Hold => ("hold", "Keep messages without trying them", "held"),
            Self::Release => ("release", "Try held messages again", "released"),
            Self::Delete => (
                "delete",
                "Delete messages without telling anybody (a delivery in progress may still succeed)",
                "deleted",
            ),
            Self::Bounce => (
                "bounce",
                "Return messages to their senders",
                "to be returned",
            ),
        }
    }

    pub const fn word(self) -> &'static str {
        self.words().0
    }

    /// A sentence of help.
    pub const fn about(self) -> &'static str {
        self.words().1
    }

    /// `held`, as in `2 messages held`.
    pub const fn done(self) -> &'static str {
        self.words().2
    }
}

/// Which messages: those with one of the ids, or with none given all, for which everything else
/// that is said holds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// Queue ids, as typed.
    pub ids: Vec<String>,
    /// The whole queue.
    pub all: bool,
    /// Part of the sender's address; `<>` is the null sender.
    pub sender: Option<String>,
    /// Part of the address of a recipient that waits.
    pub recipient: Option<String>,
    /// The domain of a recipient that waits.
    pub destination: Option<String>,
    /// Part of the name or the address of where it came from.
    pub client: Option<String>,
    /// At least so many seconds old.
    pub older: Option<u64>,
    /// At most so many seconds old.
    pub newer: Option<u64>,
    /// Part of the reason why it waits.
    pub reason: Option<String>,
    /// On hold.
    pub held: bool,
}

impl Selection {
    pub fn all() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    pub fn ids(ids: Vec<String>) -> Self {
        Self {
            ids,
            ..Self::default()
        }
    }

    /// Whether it means the whole queue, whatever the messages are.
    pub fn is_everything(&self) -> bool {
        let said = Self {
            all: false,
            ..self.clone()
        };
        said == Self::default()
    }

    /// Whether it says which messages are meant.
    pub fn names_something(&self) -> bool {
        self.all || !self.is_everything()
    }

    /// Whether a message is meant, its id apart.
    pub fn matches(&self, row: &Row, now: Timestamp) -> bool {
        // An empty text, as a script gives that has no value, means no message rather than all.
        let has = |text: &str, part: &str| {
            !part.is_empty() && text.to_lowercase().contains(&part.to_lowercase())
        };
        let sender = |part: &str| match part {
            "<>" => row.sender.is_empty(),
            part => has(&row.sender, part),
        };
        let recipient = |part: &str| {
            row.recipients
                .iter()
                .any(|recipient| has(&recipient.address, part))
        };
        let destination = |domain: &str| {
            let domain = domain.strip_prefix('@').unwrap_or(domain);
            // However it is written; a name may end with its dot.
            let form = |domain: &str| Domain::parse(domain.strip_suffix('.').unwrap_or(domain));
            let wanted = form(domain);
            row.recipients.iter().any(|recipient| {
                let (_, own) = recipient.address.rsplit_once('@').unwrap_or_default();
                wanted.is_ok() && form(own) == wanted
            })
        };
        let reason = |part: &str| {
            row.recipients
                .iter()
                .any(|recipient| has(&recipient.delay_reason, part))
        };
        let age = now.since(row.arrival).as_secs();
        let holds =
            |said: &Option<String>, is: &dyn Fn(&str) -> bool| said.as_deref().is_none_or(is);
        holds(&self.sender, &sender)
            && holds(&self.recipient, &recipient)
            && holds(&self.destination, &destination)
            && holds(&self.client, &|part| has(&row.origin, part))
            && holds(&self.reason, &reason)
            && (!self.held || row.queue_name == "hold")
            && self.older.is_none_or(|least| age >= least)
            && self.newer.is_none_or(|most| age <= most)
    }
}

/// A question or an order about the queue.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The messages that the asker may see; a selection that names nothing is about all of them.
    List(Selection),
    /// The same messages, counted.
    Summary {
        by: By,
        selection: Selection,
    },
    /// One message: its row, then its header.
    Show {
        id: String,
    },
    Change {
        order: Order,
        selection: Selection,
    },
    /// What has been tried for this one after attempt number `after`; waits some seconds for the
    /// next. Ends with [`Answer::Changed`]: how many recipients still wait.
    Follow {
        id: String,
        after: u64,
    },
}

/// One attempt for one recipient.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AttemptRow {
    /// Counts up.
    pub number: u64,
    pub recipient: String,
    /// As in the log: `sent`, `deferred`, `bounced`.
    pub status: String,
    pub relay: Option<String>,
    /// The relay's words, or the reason.
    pub text: String,
}

/// Whom it was for, what came of it, and who said so.
impl fmt::Display for AttemptRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}> {}", self.recipient, self.status)?;
        if let Some(relay) = &self.relay {
            write!(f, " by {relay}")?;
        }
        write!(f, ": {}", self.text)
    }
}

impl AttemptRow {
    /// What came of it.
    pub fn new(number: u64, recipient: &Recipient, outcome: &Outcome) -> Self {
        let (status, relay, text) = outcome.told();
        Self {
            number,
            recipient: recipient.address.to_string(),
            status: status.to_owned(),
            relay: relay.map(str::to_owned),
            text,
        }
    }
}

/// One line of the answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Row(Row),
    Summary(Box<Summary>),
    /// Nothing yet, and not the end: much has to be looked at.
    Working,
    /// One attempt for one recipient.
    Attempt(Box<AttemptRow>),
    /// Header section of a message, escaped.
    Header(String),
    /// The order was carried out for the message with this id, which was named.
    Done(String),
    /// It was carried out for a message, and what comes of it is not what usually does.
    Noted(String),
    /// For so many messages it was carried out; the last line of the answer to an order.
    Changed(usize),
    /// Not done, and why.
    Refused(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::RecipientRow;

    fn row() -> Row {
        Row {
            queue_id: "A".into(),
            queue_name: "deferred".into(),
            arrival: Timestamp::from_secs(1000),
            size: 1,
            sender: "cron@vm1.example".into(),
            recipients: vec![RecipientRow {
                address: "bob@Elsewhere.example".into(),
                orig_address: None,
                delay_reason: "connect to mx[192.0.2.1]:25: Connection refused".into(),
            }],
            next_attempt: None,
            origin: "vm1[10.0.0.7]".into(),
        }
    }

    #[test]
    fn messages_are_selected_by_what_they_have_in_common() {
        let now = Timestamp::from_secs(5000);
        let said = |set: &dyn Fn(&mut Selection)| {
            let mut selection = Selection::default();
            set(&mut selection);
            assert!(selection.names_something(), "{selection:?}");
            selection.matches(&row(), now)
        };
        let some = |text: &str| Some(text.to_owned());
        for (sender, meant) in [("CRON@", true), ("<>", false), ("www", false)] {
            assert_eq!(said(&|it| it.sender = some(sender)), meant, "{sender}");
        }
        for (recipient, meant) in [("alice", false), ("bob", true), ("BOB@else", true)] {
            assert_eq!(said(&|it| it.recipient = some(recipient)), meant);
        }
        for (domain, meant) in [
            ("elsewhere.example", true),
            ("@elsewhere.example", true),
            ("where.example", false),
            ("Elsewhere.Example.", true),
            (".", false),
        ] {
            assert_eq!(said(&|it| it.destination = some(domain)), meant, "{domain}");
        }
        for (client, meant) in [("10.0.0.7", true), ("VM1", true), ("10.0.0.8", false)] {
            assert_eq!(said(&|it| it.client = some(client)), meant, "{client}");
        }
        for (age, older, newer) in [(3999, true, false), (4000, true, true), (4001, false, true)] {
            assert_eq!(said(&|it| it.older = Some(age)), older, "{age}");
            assert_eq!(said(&|it| it.newer = Some(age)), newer, "{age}");
        }
        assert!(!said(&|it| it.sender = some("")) && !said(&|it| it.destination = some("")));
        for (reason, meant) in [("refused", true), ("TLS", false)] {
            assert_eq!(said(&|it| it.reason = some(reason)), meant, "{reason}");
        }
        assert!(!said(
            &|it| (it.reason, it.sender) = (some("refused"), some("www"))
        ));
        assert!(said(&|it| it.all = true));
        assert!(!Selection::default().names_something());
    }
}
