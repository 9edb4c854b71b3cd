//! Whom a message is from and for, as far as it is counted by that. It is kept in memory: whoever
//! counts a million messages cannot read each envelope from the disk.
//!
//! Contract: each text is kept once, however many messages have it, and no longer than the last of
//! them.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{collections::HashSet, sync::Arc};

use mail::{
    address::Sender,
    envelope::{Envelope, Recipient},
};

/// Whom a message is from and for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parties {
    /// Empty for the null sender.
    pub sender: Arc<str>,
    /// Where it came from, as in [`Envelope::origin`].
    pub origin: Arc<str>,
    domains: Domains,
}

/// Of its recipients, in the order of the envelope.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Domains {
    /// All have the same, as hardly any mail has it otherwise.
    One(Arc<str>),
    Each(Box<[Arc<str>]>),
}

impl Default for Domains {
    fn default() -> Self {
        Self::One(Arc::default())
    }
}

impl Parties {
    pub(super) fn of(envelope: &Envelope) -> Self {
        let sender = match &envelope.sender {
            Sender::Null => Arc::default(),
            Sender::Address(address) => address.as_str().into(),
        };
        let domain = |to: &Recipient| to.address.written_domain().to_lowercase();
        let mut domains = envelope.recipients.iter().map(domain);
        let first = domains.next().unwrap_or_default();
        let domains = if domains.all(|domain| domain == first) {
            Domains::One(first.into())
        } else {
            let domains = envelope.recipients.iter().map(domain);
            Domains::Each(domains.map(Arc::from).collect())
        };
        Self {
            sender,
            origin: envelope.origin.as_str().into(),
            domains,
        }
    }

    /// The domain of a recipient, by its index in the envelope; in lower case.
    pub fn domain(&self, recipient: u32) -> &str {
        let at = usize::try_from(recipient).ok();
        match &self.domains {
            Domains::One(domain) => domain,
            Domains::Each(domains) => at.and_then(|at| domains.get(at)).map_or("", |it| it),
        }
    }

    /// The same with texts that are kept already.
    pub(super) fn intern(&mut self, texts: &mut Texts) {
        let one = [&mut self.sender, &mut self.origin].into_iter();
        let domains = match &mut self.domains {
            Domains::One(domain) => std::slice::from_mut(domain),
            Domains::Each(domains) => domains,
        };
        for text in one.chain(domains) {
            *text = texts.intern(text);
        }
    }
}

/// Texts that many messages have, each kept once: a thousand messages wait for the same reason.
#[derive(Default)]
pub(super) struct Texts {
    known: HashSet<Arc<str>>,
    /// Unused ones are dropped when there are so many.
    sweep_at: usize,
}

impl Texts {
    pub(super) fn intern(&mut self, text: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.known.get(text) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.sweep_at = self.known.len().saturating_mul(2).max(64);
        }
        self.known.insert(Arc::clone(text));
        Arc::clone(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::address::Address;

    fn envelope(recipients: &[&str]) -> Envelope {
        let recipient = |address: &&str| Recipient::from(Address::parse(address).unwrap());
        Envelope {
            sender: Sender::Address(Address::parse("cron@vm1.example").unwrap()),
            recipients: recipients.iter().map(recipient).collect(),
            origin: "vm1.example[10.0.0.7]".to_owned(),
            ..Envelope::default()
        }
    }

    #[test]
    fn the_domain_of_each_recipient_is_known_by_its_number() {
        let one = Parties::of(&envelope(&["a@One.example", "b@one.example"]));
        assert_eq!(
            (one.domain(0), one.domain(1)),
            ("one.example", "one.example")
        );
        assert_eq!(one.domains, Domains::One("one.example".into()));
        let two = Parties::of(&envelope(&[
            "a@one.example",
            "b@two.example",
            "c@one.example",
        ]));
        let domains = [0, 1, 2, 3].map(|number| two.domain(number));
        assert_eq!(domains, ["one.example", "two.example", "one.example", ""]);
    }

    #[test]
    fn a_text_is_kept_once_and_no_longer_than_the_last_message_that_has_it() {
        let mut texts = Texts::default();
        let mut kept = Vec::new();
        for number in 0..1000u32 {
            let to = format!("a@d{}.example", number % 10);
            let mut parties = Parties::of(&envelope(&[&to]));
            parties.intern(&mut texts);
            kept.push(parties);
        }
        // Ten domains, a sender, an origin.
        assert_eq!(texts.known.len(), 12);
        assert!(Arc::ptr_eq(&kept[0].sender, &kept[999].sender));
        kept.clear();
        for number in 0..1000u32 {
            let mut gone = Parties::of(&envelope(&[&format!("a@gone{number}.example")]));
            gone.intern(&mut texts);
        }
        assert!(texts.known.len() <= 128, "{}", texts.known.len());
    }
}
