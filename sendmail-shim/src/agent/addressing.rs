//! Who gets a queued message now: local names are looked up again when it is sent, so that aliases and `admin` count that were set after it
//! was queued.
//!
//! Contract: pure. Each recipient of the envelope has at least one address; two that lead to one address are one RCPT. Where the recorded
//! address still is among those that the name stands for, it stays alone: the others have records of their own.
//! Failures: a name that cannot be resolved now keeps the address that it had.

use std::collections::HashMap;

use mail::{
    address::Mailbox,
    envelope::{Envelope, Rcpt, Recipient},
    message::rewrite::{self, Rules},
    outcome::Outcome,
};

/// The addresses of a delivery, and whom they stand for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Addressing {
    pub(super) recipients: Vec<Recipient>,
    /// For each recipient of the envelope that was asked for, where in `recipients` its addresses are.
    places: Vec<Vec<usize>>,
}

impl Addressing {
    /// For these recipients of an envelope, by index.
    pub(super) fn of(envelope: &Envelope, waiting: &[u32], rules: &Rules) -> Self {
        let mut addressing = Self::default();
        let mut known = HashMap::new();
        for index in waiting {
            let recorded = usize::try_from(*index).ok();
            let recorded = recorded.and_then(|index| envelope.recipients.get(index));
            let mut places = Vec::new();
            for recipient in recorded.map(|it| now(it, rules)).unwrap_or_default() {
                let all = &mut addressing.recipients;
                let place = *known.entry(recipient.address.key()).or_insert(all.len());
                if place == all.len() {
                    all.push(recipient);
                }
                places.push(place);
            }
            addressing.places.push(places);
        }
        addressing
    }

    /// Names in the envelope the addresses that have taken the place of recorded ones, where each is one.
    pub(super) fn name(&self, envelope: &mut Envelope, waiting: &[u32]) {
        for (index, places) in waiting.iter().zip(&self.places) {
            let recorded = usize::try_from(*index).ok();
            let recorded = recorded.and_then(|index| envelope.recipients.get_mut(index));
            if let (Some(recorded), [place]) = (recorded, places.as_slice())
                && let Some(now) = self.recipients.get(*place)
            {
                recorded.address.clone_from(&now.address);
            }
        }
    }

    /// What became of each recipient of the envelope: delivered if all its addresses have it, and not final while one of them waits.
    pub(super) fn outcomes(&self, of_addresses: &[Outcome]) -> Vec<Outcome> {
        let rank = |outcome: &&Outcome| match outcome {
            Outcome::Deferred(_) => 0,
            Outcome::Failed(_) => 1,
            Outcome::Delivered(_) => 2,
        };
        let outcome = |places: &Vec<usize>| {
            let outcomes = places.iter().filter_map(|place| of_addresses.get(*place));
            outcomes.min_by_key(rank).cloned()
        };
        self.places.iter().filter_map(outcome).collect()
    }
}

fn now(recorded: &Recipient, rules: &Rules) -> Vec<Recipient> {
    let again = || {
        let rcpt = Rcpt {
            to: Mailbox::Local(rewrite::local_name(recorded, rules)?),
            notify: recorded.notify,
            orcpt: recorded.orcpt.clone(),
        };
        let resolved = rewrite::resolve(&rcpt, rules).ok()?;
        let same = resolved.iter().any(|one| one.address == recorded.address);
        (!same && !resolved.is_empty()).then_some(resolved)
    };
    again().unwrap_or_else(|| vec![recorded.clone()])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mail::{
        address::{Address, Domain},
        maps::Table,
        outcome::{Delivery, Failure, Handover},
        status::EnhancedStatus,
    };

    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn rules(admin: Option<&str>, aliases: &str) -> Rules {
        Rules {
            hostname: Domain::name("vm1.example.org").unwrap(),
            domain: Domain::name("vm1.example.org").unwrap(),
            admin: admin.map(address),
            revaliases: Arc::default(),
            aliases: Table::client_aliases("aliases".into(), aliases).0.into(),
            from_override: false,
        }
    }

    /// A message to these names and addresses, queued under rules that name nobody.
    fn queued(to: &[&str]) -> Envelope {
        let recipients = to.iter().flat_map(|to| {
            let rcpt = Rcpt::from(Mailbox::parse(to).unwrap());
            rewrite::resolve(&rcpt, &rules(None, "")).unwrap()
        });
        Envelope {
            recipients: recipients.collect(),
            ..Envelope::default()
        }
    }

    fn addresses(to: &[&str], rules: &Rules) -> Vec<String> {
        let envelope = queued(to);
        let waiting: Vec<u32> = (0..).take(to.len()).collect();
        let addressing = Addressing::of(&envelope, &waiting, rules);
        let recipients = addressing.recipients.iter();
        recipients
            .map(|recipient| recipient.address.to_string())
            .collect()
    }

    #[test]
    fn mail_that_was_queued_before_anybody_was_named_goes_to_whoever_is_named_now() {
        let to = [
            "root",
            "cron@localhost",
            "root@vm1.example.org",
            "bob@elsewhere.example",
        ];
        let (root, bob) = ("root@vm1.example.org", "bob@elsewhere.example");
        assert_eq!(
            addresses(&to, &rules(None, "")),
            [root, "cron@vm1.example.org", bob]
        );
        let admin = rules(Some("ops@example.net"), "");
        assert_eq!(
            addresses(&["root", "cron@localhost", bob], &admin),
            ["ops@example.net", bob]
        );
        let aliased = rules(
            None,
            "root: a@example.net, b@example.net\n*: c@example.net\n",
        );
        assert_eq!(
            addresses(&["root", "cron@localhost", bob], &aliased),
            ["a@example.net", "b@example.net", "c@example.net", bob]
        );
        // What had an address when it was queued keeps it, whatever it is.
        assert_eq!(addresses(&[root], &admin), [root]);
        // A refusal or a loop now is no reason to lose what was taken.
        assert_eq!(
            addresses(&["root"], &rules(None, "root: :fail: gone\n")),
            [root]
        );
        // The machine has another name now.
        let renamed = Rules {
            hostname: Domain::name("new.example.org").unwrap(),
            domain: Domain::name("example.org").unwrap(),
            ..admin
        };
        assert_eq!(
            addresses(&["cron@localhost"], &renamed),
            ["ops@example.net"]
        );
    }

    #[test]
    fn a_name_with_several_addresses_is_done_when_all_of_them_are() {
        let envelope = queued(&["root", "news"]);
        let rules = rules(
            None,
            "root: a@example.net, b@example.net\nnews: b@example.net\n",
        );
        let addressing = Addressing::of(&envelope, &[0, 1], &rules);
        let delivered = Outcome::Delivered(Delivery {
            relay: "r".into(),
            reply: "250 Ok".into(),
            handover: Handover::Promised,
        });
        let failed = |class| Failure::local(EnhancedStatus::new(class, 2, 0), "no").outcome();
        for (of_a, of_b, of_root) in [
            (delivered.clone(), delivered.clone(), delivered.clone()),
            (delivered.clone(), failed(5), failed(5)),
            (failed(5), failed(4), failed(4)),
        ] {
            let outcomes = addressing.outcomes(&[of_a, of_b.clone()]);
            assert_eq!(outcomes, [of_root, of_b]);
        }
    }
}
