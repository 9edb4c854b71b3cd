//! Who gets a queued message now: local names are looked up again when it is sent, so that aliases
//! and `admin` count that were set after it was queued.
//!
//! Contract: pure. Each name is expanded once for as long as the rules are the same, however many
//! recipients came from it. Where a recorded address still is among those that its name stands for,
//! it stays alone: the others have records of their own. Where it is not, whoever the name stands
//! for takes its place, unless he has the message already, or waits for it.
//! Failures: a name that cannot be resolved now keeps the address that it had.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mail::{
    address::{LocalPart, Mailbox},
    envelope::{Envelope, Rcpt, Recipient},
    limits,
    message::rewrite::{self, Rules},
};

/// Whom names stand for, as they were asked for.
#[derive(Default)]
pub(super) struct Names(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// What it was found by.
    rules: Option<Rules>,
    expansions: HashMap<String, Arc<Expansion>>,
    /// Of all expansions together.
    recipients: usize,
    /// So many names were expanded.
    #[cfg(test)]
    expanded: usize,
}

/// Whom a name stands for; nobody if it cannot be resolved.
struct Expansion {
    recipients: Vec<Recipient>,
    /// Where in `recipients` an address stands.
    places: HashMap<String, usize>,
}

/// Who takes the place of a message's recipients.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Replacement {
    pub(super) recipients: Vec<Recipient>,
    /// So many of them, the first, were settled before.
    pub(super) settled: usize,
}

impl Names {
    /// Whether anybody of these, named by their index, is no longer who his name stands for.
    pub(super) fn have_changed(&self, envelope: &Envelope, indexes: &[u32], rules: &Rules) -> bool {
        indexes.iter().any(|&index| {
            let recorded = usize::try_from(index).ok();
            let recorded = recorded.and_then(|at| envelope.recipients.get(at));
            recorded.is_some_and(|recorded| self.changed(recorded, rules).is_some())
        })
    }

    /// A message's recipients as they are now; `waiting`: all that are not settled, by their index.
    /// `None` if there would be too many.
    pub(super) fn replaced(
        &self,
        envelope: &Envelope,
        waiting: &HashSet<u32>,
        rules: &Rules,
    ) -> Option<Replacement> {
        let (mut settled, mut waits) = (Vec::new(), Vec::new());
        let mut has = HashSet::new();
        let mut named: HashMap<_, Arc<Expansion>> = HashMap::new();
        for (index, recorded) in (0u32..).zip(&envelope.recipients) {
            if let Some(name) = rewrite::local_name(recorded, rules) {
                let expansion = || self.expansion(&name, rules);
                named.entry(name.clone()).or_insert_with(expansion);
            }
            if !waiting.contains(&index) {
                has.insert(recorded.address.key());
                settled.push(recorded.clone());
                continue;
            }
            let changed = self.changed(recorded, rules);
            if changed.is_none() {
                has.insert(recorded.address.key());
            }
            waits.push((recorded, changed));
        }
        let before = settled.len();
        let mut all = settled;
        for (recorded, changed) in waits {
            let Some(changed) = changed else {
                all.push(recorded.clone());
                continue;
            };
            // Another name of the message still stands for that address.
            let still = named.values().find_map(|other| other.get(recorded));
            for now in still.into_iter().chain(&changed.recipients) {
                if has.insert(now.address.key()) {
                    all.push(Recipient {
                        notify: recorded.notify,
                        orcpt: recorded.orcpt.clone(),
                        ..now.clone()
                    });
                }
            }
        }
        (all.len() <= limits::EXPANDED).then_some(Replacement {
            recipients: all,
            settled: before,
        })
    }

    /// Whom the name of a recorded recipient stands for now, if he is not among these.
    fn changed(&self, recorded: &Recipient, rules: &Rules) -> Option<Arc<Expansion>> {
        let expansion = self.expansion(&rewrite::local_name(recorded, rules)?, rules);
        let is_same = expansion.recipients.is_empty() || expansion.get(recorded).is_some();
        (!is_same).then_some(expansion)
    }

    fn expansion(&self, name: &LocalPart, rules: &Rules) -> Arc<Expansion> {
        if let Some(known) = self.known(rules).expansions.get(name.as_str()) {
            return Arc::clone(known);
        }
        // Not locked: it may be long, and others wait for other names.
        let expansion = Arc::new(Expansion::of(name, rules));
        let mut known = self.known(rules);
        if known.recipients > limits::EXPANDED {
            known.expansions.clear();
            known.recipients = 0;
        }
        known.recipients += expansion.recipients.len().max(1);
        let name = name.as_str().to_owned();
        known.expansions.insert(name, Arc::clone(&expansion));
        #[cfg(test)]
        {
            known.expanded += 1;
        }
        expansion
    }

    /// What was found by these rules; locked for a moment.
    fn known(&self, rules: &Rules) -> MutexGuard<'_, Known> {
        // Every change under it is whole, whoever has panicked.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.rules.as_ref().is_some_and(|of| are_same(of, rules)) {
            *known = Known {
                rules: Some(rules.clone()),
                #[cfg(test)]
                expanded: known.expanded,
                ..Known::default()
            };
        }
        known
    }
}

/// Whether names stand for the same by both.
fn are_same(one: &Rules, other: &Rules) -> bool {
    Arc::ptr_eq(&one.aliases, &other.aliases)
        && (&one.hostname, &one.nodename) == (&other.hostname, &other.nodename)
        && (&one.domain, &one.admin) == (&other.domain, &other.admin)
}

impl Expansion {
    fn of(name: &LocalPart, rules: &Rules) -> Self {
        let rcpt = Rcpt::from(Mailbox::Local(name.clone()));
        let recipients = rewrite::resolve(&rcpt, rules).unwrap_or_default();
        let places = recipients.iter().zip(0..);
        let places = places.map(|(recipient, place)| (recipient.address.key(), place));
        Self {
            places: places.collect(),
            recipients,
        }
    }

    /// Who of them has this recipient's address.
    fn get(&self, recipient: &Recipient) -> Option<&Recipient> {
        let place = self.places.get(&recipient.address.key())?;
        self.recipients.get(*place)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mail::{
        address::{Address, Domain},
        maps::Table,
    };

    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn rules(admin: Option<&str>, aliases: &str) -> Rules {
        Rules {
            hostname: Domain::name("vm1.example.org").unwrap(),
            nodename: None,
            domain: Domain::name("vm1.example.org").unwrap(),
            admin: admin.map(address),
            revaliases: Arc::default(),
            aliases: Table::client_aliases("aliases".into(), aliases).0.into(),
            from_override: false,
        }
    }

    /// A message to these names and addresses, queued under rules that name nobody.
    fn queued(to: &[&str]) -> Envelope {
        queued_by(to, &rules(None, ""))
    }

    /// Who has it, and who waits for it by these rules, of a message of which so many are settled.
    fn now(envelope: &Envelope, settled: u32, rules: &Rules) -> (Vec<String>, Vec<String>) {
        let names = Names::default();
        let count = u32::try_from(envelope.recipients.len()).unwrap();
        let waiting: Vec<u32> = (settled..count).collect();
        let (mut recipients, mut before) = (envelope.recipients.clone(), settled as usize);
        if names.have_changed(envelope, &waiting, rules) {
            let waiting = waiting.into_iter().collect();
            let replaced = names.replaced(envelope, &waiting, rules).unwrap();
            (recipients, before) = (replaced.recipients, replaced.settled);
            // What takes its place is not looked up without end.
            let envelope = Envelope {
                recipients: recipients.clone(),
                ..Envelope::default()
            };
            let waiting: Vec<u32> = (0..).take(recipients.len()).skip(before).collect();
            assert!(!names.have_changed(&envelope, &waiting, rules));
        }
        let text = |recipient: &Recipient| recipient.address.to_string();
        let (settled, waiting) = recipients.split_at(before);
        (
            settled.iter().map(text).collect(),
            waiting.iter().map(text).collect(),
        )
    }

    fn addresses(to: &[&str], rules: &Rules) -> Vec<String> {
        now(&queued(to), 0, rules).1
    }

    /// A message to these, queued under these rules.
    fn queued_by(to: &[&str], rules: &Rules) -> Envelope {
        let recipients = to.iter().flat_map(|to| {
            let rcpt = Rcpt::from(Mailbox::parse(to).unwrap());
            rewrite::resolve(&rcpt, rules).unwrap()
        });
        let mut known = HashSet::new();
        let recipients = recipients.filter(|it| known.insert(it.address.key()));
        Envelope {
            recipients: recipients.collect(),
            ..Envelope::default()
        }
    }

    #[test]
    fn whoever_has_the_mail_or_waits_for_it_does_not_get_it_again_when_an_alias_changes() {
        let [ann, bob, carl] = ["ann@d.example", "bob@d.example", "carl@d.example"];
        let both = rules(None, &format!("team: {ann}, {bob}\nops: {bob}\n"));
        // Ann has it, Bob waits, and Carl takes his place; then nobody does.
        let queued = queued_by(&["team"], &both);
        for (alias, waits) in [
            (format!("team: {ann}, {carl}\n"), vec![carl]),
            (format!("team: {ann}\n"), vec![]),
        ] {
            let now = now(&queued, 1, &rules(None, &alias));
            assert_eq!(
                now,
                (
                    vec![ann.to_owned()],
                    waits.iter().map(ToString::to_string).collect()
                )
            );
        }
        // Ann has it by her own address.
        let queued = queued_by(&[ann, "ops"], &both);
        let changed = rules(None, &format!("ops: {ann}\n"));
        assert_eq!(now(&queued, 1, &changed), (vec![ann.to_owned()], vec![]));
        // Nobody has it: all wait, each once, and who left one list stays for the other.
        let queued = queued_by(&["team", carl, "cron"], &both);
        let changed = rules(
            None,
            &format!("team: {carl}, new@d.example\ncron: {bob}, {carl}\n"),
        );
        assert_eq!(now(&queued, 0, &changed).1, ["new@d.example", bob, carl],);
    }

    #[test]
    fn a_list_is_expanded_once_however_many_deliveries_look_for_its_members() {
        let members = |first: u32| -> String {
            let all = (first..first + 3000).map(|n| format!("u{n}@d.example"));
            all.collect::<Vec<_>>().join(", ")
        };
        let list = rules(
            None,
            &format!("big: {}\nops: big, ops@d.example\n", members(0)),
        );
        let envelope = queued_by(&["big", "ops"], &list);
        let (names, count) = (Names::default(), envelope.recipients.len());
        let batches: Vec<u32> = (0..).take(count).collect();
        for _attempt in 0..3 {
            for batch in batches.chunks(100) {
                assert!(!names.have_changed(&envelope, batch, &list));
            }
        }
        assert_eq!(names.known(&list).expanded, 2);
        let changed = rules(
            None,
            &format!("big: {}\nops: big, ops@d.example\n", members(1)),
        );
        assert!(!names.have_changed(&envelope, &batches[1..100], &changed));
        assert!(names.have_changed(&envelope, &batches[..100], &changed));
        let waiting = batches.into_iter().collect();
        let replaced = names.replaced(&envelope, &waiting, &changed).unwrap();
        assert_eq!(replaced.recipients.len(), 3001);
        assert_eq!(names.known(&changed).expanded, 4);
    }

    #[test]
    fn mail_that_was_queued_before_anybody_was_named_goes_to_whoever_is_named_now() {
        let (root, bob) = ("root@vm1.example.org", "bob@elsewhere.example");
        let to = ["root", "cron@localhost", bob];
        assert_eq!(
            addresses(&to, &rules(None, "")),
            [root, "cron@vm1.example.org", bob]
        );
        let admin = rules(Some("ops@example.net"), "");
        assert_eq!(addresses(&to, &admin), ["ops@example.net", bob]);
        let aliased = rules(
            None,
            "root: a@example.net, b@example.net\n*: c@example.net\n",
        );
        assert_eq!(
            addresses(&to, &aliased),
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
}
