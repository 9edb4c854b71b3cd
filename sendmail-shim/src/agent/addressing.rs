//! Who gets a queued message now: local names are looked up again when it is sent, so that aliases
//! and `admin` count that were set after it was queued.
//!
//! Contract: pure. Each name is expanded once for as long as the rules are the same, however many
//! recipients came from it. Whoever a name stands for now gets the message as long as anybody of it
//! waits, unless he has it already, or waits for it; whoever it does not stand for any more does
//! not.
//! Failures: a name that cannot be resolved now keeps the address that it had; what an alias
//! refuses by now fails ([`Names::refusal`]).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mail::{
    address::{LocalPart, Mailbox},
    envelope::{Envelope, Rcpt, Recipient},
    limits,
    message::rewrite::{self, RewriteError, Rules},
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
    /// An alias says that there is no mail for it: why.
    refused: Option<String>,
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
        let recorded = indexes.iter().filter_map(|&index| {
            let at = usize::try_from(index).ok()?;
            envelope.recipients.get(at)
        });
        let mut grown: HashMap<LocalPart, Arc<Expansion>> = HashMap::new();
        for recorded in recorded {
            let Some(name) = rewrite::local_name(recorded, rules) else {
                continue;
            };
            let expansion = self.expansion(&name, rules);
            if expansion.lacks(recorded) {
                return true;
            }
            if expansion.recipients.len() > 1 {
                grown.insert(name, expansion);
            }
        }
        if grown.is_empty() {
            return false;
        }
        let has = keys(&envelope.recipients);
        grown.values().any(|now| now.other_than(&has).is_some())
    }

    /// Why mail for a recorded recipient is refused by now; no other name of the message stands for
    /// him.
    pub(super) fn refusal(
        &self,
        envelope: &Envelope,
        recorded: &Recipient,
        rules: &Rules,
    ) -> Option<String> {
        let name = rewrite::local_name(recorded, rules)?;
        let why = self.expansion(&name, rules).refused.clone()?;
        let others = envelope.recipients.iter();
        let mut others = others.filter_map(|other| rewrite::local_name(other, rules));
        // A list stands for what its members refuse, too, so that it is told.
        let stands = |other| {
            let expansion = self.expansion(&other, rules);
            let now = expansion.get(recorded);
            now.is_some_and(|now| rewrite::local_name(now, rules).as_ref() != Some(&name))
        };
        (!others.any(stands)).then_some(why)
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
        let (mut lists, mut listed) = (Vec::new(), HashSet::new());
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
                if let Some(name) = rewrite::local_name(recorded, rules)
                    && let Some(list) = named.get(&name)
                    && listed.insert(name)
                {
                    lists.push((recorded, Arc::clone(list)));
                }
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
            let now = still.into_iter().chain(&changed.recipients);
            all.extend(added(recorded, now, &mut has));
        }
        for (recorded, list) in lists {
            all.extend(added(recorded, &list.recipients, &mut has));
        }
        (all.len() <= limits::EXPANDED).then_some(Replacement {
            recipients: all,
            settled: before,
        })
    }

    /// Whom the name of a recorded recipient stands for now, if he is not among these.
    fn changed(&self, recorded: &Recipient, rules: &Rules) -> Option<Arc<Expansion>> {
        let expansion = self.expansion(&rewrite::local_name(recorded, rules)?, rules);
        expansion.lacks(recorded).then_some(expansion)
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

fn keys(recipients: &[Recipient]) -> HashSet<String> {
    recipients.iter().map(|it| it.address.key()).collect()
}

/// Those of `now` who have no record yet, with the wishes of the one that they come from.
fn added<'a>(
    recorded: &'a Recipient,
    now: impl IntoIterator<Item = &'a Recipient>,
    has: &mut HashSet<String>,
) -> Vec<Recipient> {
    let mut new: Vec<_> = now.into_iter().cloned().collect();
    new.retain(|now| has.insert(now.address.key()));
    for now in &mut new {
        now.notify = recorded.notify;
        now.orcpt.clone_from(&recorded.orcpt);
    }
    new
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
        let (recipients, refused) = match rewrite::resolve(&rcpt, rules) {
            Ok(recipients) => (recipients, None),
            Err(RewriteError::Refused(why)) => (Vec::new(), Some(why)),
            Err(_) => (Vec::new(), None),
        };
        let places = recipients.iter().zip(0..);
        let places = places.map(|(recipient, place)| (recipient.address.key(), place));
        Self {
            places: places.collect(),
            recipients,
            refused,
        }
    }

    /// Whether a recipient that came from this name is none of them any more.
    fn lacks(&self, recorded: &Recipient) -> bool {
        !self.recipients.is_empty() && self.get(recorded).is_none()
    }

    /// One of them who has none of these addresses.
    fn other_than(&self, has: &HashSet<String>) -> Option<&Recipient> {
        let mut all = self.recipients.iter();
        all.find(|now| !has.contains(&now.address.key()))
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
    fn a_member_that_a_list_has_gained_gets_what_still_waits_for_another_one() {
        let [ann, bob, new] = ["ann@d.example", "bob@d.example", "new@d.example"];
        let both = rules(None, &format!("team: {ann}, {bob}\nroot: {bob}\n"));
        let grown = rules(
            None,
            &format!("team: {ann}, {bob}, {new}\nroot: {bob}, deputy@d.example\n"),
        );
        let queued = queued_by(&["team"], &both);
        assert_eq!(now(&queued, 0, &grown).1, [ann, bob, new]);
        let one = now(&queued, 1, &grown);
        assert_eq!(
            one,
            (vec![ann.to_owned()], vec![bob.to_owned(), new.to_owned()])
        );
        let queued = queued_by(&["root"], &both);
        assert_eq!(now(&queued, 0, &grown).1, [bob, "deputy@d.example"]);
        // He is named in another way, and has it.
        let queued = queued_by(&[new, "team"], &both);
        let has = now(&queued, 1, &grown);
        assert_eq!(
            has,
            (vec![new.to_owned()], vec![ann.to_owned(), bob.to_owned()])
        );
    }

    #[test]
    fn mail_for_a_name_that_is_refused_by_now_fails_unless_another_name_stands_for_its_recipient() {
        let ann = "ann@d.example";
        let before = rules(None, &format!("team: {ann}\nops: {ann}\n"));
        let after = rules(None, &format!("team: :fail: closed\nops: {ann}\n"));
        let refusal = |to: &[&str]| {
            let queued = queued_by(to, &before);
            let names = Names::default();
            assert!(!names.have_changed(&queued, &[0], &after));
            names.refusal(&queued, &queued.recipients[0], &after)
        };
        assert_eq!(refusal(&["team"]).unwrap(), "`team`: closed");
        let list = rules(None, "gone: :fail: closed\nmix: gone, ann@d.example\n");
        let queued = queued_by(&["mix"], &list);
        let names = Names::default();
        let refused = |at: usize| names.refusal(&queued, &queued.recipients[at], &list);
        assert_eq!((refused(0), refused(1).is_some()), (None, true));
        assert_eq!(refusal(&["ops"]), None);
        assert_eq!(refusal(&[ann]), None);
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
        assert!(names.have_changed(&envelope, &batches[1..100], &changed));
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
        // A refusal or a loop now names nobody else.
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
