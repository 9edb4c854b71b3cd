//! Who gets a queued message now: local names are looked up again when it is sent, so that aliases
//! and `admin` count that were set after it was queued.
//!
//! Contract: pure. Where the recorded address still is among those that the name stands for, it
//! stays alone: the others have records of their own.
//! Failures: a name that cannot be resolved now keeps the address that it had.

use std::collections::HashSet;

use mail::{
    address::Mailbox,
    envelope::{Envelope, Rcpt, Recipient},
    limits,
    message::rewrite::{self, Rules},
};

/// Who takes the place of those that wait, named by their index; `None` if they are the same.
pub(super) fn replaced(
    envelope: &Envelope,
    waiting: &[u32],
    rules: &Rules,
) -> Option<Vec<Recipient>> {
    let (mut changed, mut known, mut all) = (false, HashSet::new(), Vec::new());
    for index in waiting {
        let recorded = envelope.recipients.get(usize::try_from(*index).ok()?)?;
        let resolved = again(recorded, rules);
        changed |= resolved.is_some();
        let now = resolved.unwrap_or_else(|| vec![recorded.clone()]);
        all.extend(
            now.into_iter()
                .filter(|one| known.insert(one.address.key())),
        );
    }
    (changed && all.len() <= limits::EXPANDED).then_some(all)
}

/// Whom the name of a recorded recipient stands for now, if that is somebody else.
fn again(recorded: &Recipient, rules: &Rules) -> Option<Vec<Recipient>> {
    let rcpt = Rcpt {
        to: Mailbox::Local(rewrite::local_name(recorded, rules)?),
        notify: recorded.notify,
        orcpt: recorded.orcpt.clone(),
    };
    let resolved = rewrite::resolve(&rcpt, rules).ok()?;
    let same = |one: &Recipient| one.address.key() == recorded.address.key();
    (!resolved.is_empty() && !resolved.iter().any(same)).then_some(resolved)
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
        let mut envelope = queued(to);
        let waiting =
            |envelope: &Envelope| -> Vec<u32> { (0..).take(envelope.recipients.len()).collect() };
        if let Some(now) = replaced(&envelope, &waiting(&envelope), rules) {
            envelope.recipients = now;
            // What takes its place is not looked up without end.
            assert_eq!(replaced(&envelope, &waiting(&envelope), rules), None);
        }
        let recipients = envelope.recipients.iter();
        recipients
            .map(|recipient| recipient.address.to_string())
            .collect()
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
