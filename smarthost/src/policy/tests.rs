use std::{path::Path, sync::Arc};

use mail::{address::Mailbox, maps::Table};
use queue::rate::Window;
use smtp::session::{Mail, Question, Rcpt, Verdict};

use super::{Answer, Facts, Policy, Query, Step};
use crate::{
    config::Config,
    limits::{Decision, Limits, Rules},
};

const CONFIG: &str = "
networks = [\"192.0.2.0/24\", \"2001:db8::/32\"]
domains = { local = [\"example.org\"], relay = [\"backup.example\", \".backup.example\"] }
relayhost = \"[10.0.0.1]\"
";

fn policy(config: &str) -> Policy {
    let config =
        Config::parse(Path::new("c"), config, "mail.example.org").unwrap_or_else(|e| panic!("{e}"));
    let (aliases, _) = Table::aliases(
        "aliases".into(),
        "root: admins@elsewhere.example\nlist: \"|/bin/x\"\n",
    );
    Policy::new(&config, Arc::new(aliases))
}

fn rcpt(recipient: &str) -> Question {
    Question::Recipient(Rcpt::from(Mailbox::parse(recipient).unwrap()))
}

/// Runs a question that needs nothing of the world; the verdict as a reply line.
fn verdict(policy: &Policy, client: &str, question: &Question, hops: usize) -> String {
    let facts = Facts {
        client: client.parse().unwrap(),
        hops,
    };
    match policy.evaluate(&facts, question).step() {
        Step::Done(ruling) => match ruling.verdict {
            Verdict::Accept => "accept".to_owned(),
            Verdict::Refuse(reply) => format!("{} [{}]", reply.text(), ruling.restriction.unwrap()),
            other => panic!("{other:?}"),
        },
        Step::Ask(query) => panic!("asks {query:?} before relay permission"),
    }
}

#[test]
fn strangers_may_write_to_our_domains_only_and_our_networks_to_anybody() {
    let policy = policy(CONFIG);
    let (ours, stranger) = ("192.0.2.7", "203.0.113.9");
    for (client, to, expected) in [
        (ours, "u@elsewhere.example", "accept"),
        ("::ffff:192.0.2.7", "u@elsewhere.example", "accept"),
        ("2001:db8:5::1", "u@elsewhere.example", "accept"),
        (stranger, "root@example.org", "accept"),
        (stranger, "Root+x@EXAMPLE.org", "accept"),
        (stranger, "anybody@backup.example", "accept"),
        (stranger, "anybody@sub.backup.example", "accept"),
        (
            stranger,
            "u@elsewhere.example",
            "554 5.7.1 <u@elsewhere.example>: Relay access denied [reject_unauth_destination]",
        ),
        (
            "::ffff:203.0.113.9",
            "u@elsewhere.example",
            "554 5.7.1 <u@elsewhere.example>: Relay access denied [reject_unauth_destination]",
        ),
        (
            stranger,
            "u@notbackup.example",
            "554 5.7.1 <u@notbackup.example>: Relay access denied [reject_unauth_destination]",
        ),
        (
            stranger,
            "u@[192.0.2.1]",
            "554 5.7.1 <u@[192.0.2.1]>: Relay access denied [reject_unauth_destination]",
        ),
    ] {
        assert_eq!(
            verdict(&policy, client, &rcpt(to), 0),
            expected,
            "{client} to {to}"
        );
    }
}

#[test]
fn a_domain_is_ours_however_it_is_written() {
    let policy = policy(
        "domains = { local = [\"b\u{fc}cher.example\"], relay = [\"xn--strae-oqa.example\", \".M\u{dc}NCHEN.example\"] }",
    );
    for to in [
        "root@b\u{fc}cher.example",
        "root@bu\u{308}cher.example",
        "root@XN--BCHER-KVA.example",
        "u@stra\u{df}e.example",
        "u@xn--strae-oqa.EXAMPLE",
        "u@mx.m\u{fc}nchen.example",
        "u@mx.mu\u{308}nchen.example",
        "u@mx.xn--mnchen-3ya.example",
    ] {
        assert_eq!(
            verdict(&policy, "203.0.113.9", &rcpt(to), 0),
            "accept",
            "{to}"
        );
    }
    for to in [
        "root@bucher.example",
        "u@m\u{fc}nchen.example",
        "u@strasse.example",
    ] {
        let answer = verdict(&policy, "203.0.113.9", &rcpt(to), 0);
        assert!(answer.starts_with("554 5.7.1"), "{to}: {answer}");
    }
}

#[test]
fn no_way_of_writing_an_address_makes_an_open_relay() {
    let policy = policy(CONFIG);
    for to in [
        "victim%elsewhere.example@example.org",
        "victim%elsewhere.example@backup.example",
        "elsewhere.example!victim@example.org",
        "elsewhere.example!victim@backup.example",
        "\"victim@elsewhere.example\"@example.org",
        "\"victim@elsewhere.example\"@backup.example",
        "root%elsewhere.example@localhost",
    ] {
        let answer = verdict(&policy, "203.0.113.9", &rcpt(to), 0);
        assert!(
            answer.starts_with("554 5.7.1") && answer.contains("Relay access denied"),
            "{to}: {answer}"
        );
    }
}

/// Row B3.
#[test]
fn where_there_are_no_mailboxes_an_unknown_recipient_is_refused_at_rcpt() {
    let policy = policy(CONFIG);
    for client in ["203.0.113.9", "192.0.2.7"] {
        assert_eq!(
            verdict(&policy, client, &rcpt("user@example.org"), 0),
            "550 5.1.1 <user@example.org>: Recipient address rejected: User unknown in local recipient table \
             [reject_unlisted_recipient]"
        );
    }
    let with_mailboxes = self::policy("domains = { local = [\"example.org\"] }");
    assert_eq!(
        verdict(&with_mailboxes, "203.0.113.9", &rcpt("user@example.org"), 0),
        "accept"
    );
}

#[test]
fn an_alias_that_cannot_be_expanded_leaves_the_mail_with_the_client() {
    let policy = policy(CONFIG);
    let answer = verdict(&policy, "192.0.2.7", &rcpt("list@example.org"), 0);
    assert!(
        answer.starts_with("451 4.3.5") && answer.contains("/bin/x"),
        "{answer}"
    );
    let answer = verdict(&policy, "203.0.113.9", &rcpt("list@example.org"), 0);
    assert!(
        answer.starts_with("451 4.3.5") && !answer.contains("/bin/x"),
        "a stranger learns nothing: {answer}"
    );
}

#[test]
fn a_message_that_loops_is_refused_after_50_hops() {
    let policy = policy(CONFIG);
    let question = Question::Message { size: 1 };
    assert_eq!(verdict(&policy, "192.0.2.7", &question, 50), "accept");
    assert_eq!(
        verdict(&policy, "192.0.2.7", &question, 51),
        "554 5.4.0 Error: too many hops [hop_limit]"
    );
}

/// Row A4.
#[test]
fn each_mail_command_asks_the_limit_and_one_over_it_is_deferred() {
    let policy = policy(CONFIG);
    let question = Question::Mail(Mail::default());
    let client = "192.0.2.7".parse().unwrap();
    let window = Window {
        limit: 1,
        span: std::time::Duration::from_hours(24),
    };
    let mut limits = Limits::new(Rules {
        per_client: vec![window],
        ..Rules::default()
    });
    let mut replies = Vec::new();
    for _ in 0..2 {
        let mut evaluation = policy.evaluate(&Facts { client, hops: 0 }, &question);
        assert_eq!(evaluation.step(), Step::Ask(Query::Limit(client)));
        let decision = limits.count(client, mail::clock::Timestamp::from_secs(1_000_000));
        evaluation.answer(Answer::Limit(decision));
        let Step::Done(ruling) = evaluation.step() else {
            panic!("asks twice")
        };
        replies.push(ruling.verdict);
    }
    assert_eq!(replies[0], Verdict::Accept);
    let Verdict::Refuse(reply) = &replies[1] else {
        panic!("{replies:?}")
    };
    let text = reply.text();
    assert!(
        text.starts_with(
            "450 4.7.1 Error: too much mail from 192.0.2.7 (2 of 1 in a day; next slot at "
        ),
        "{text}"
    );
    let mut unlimited = policy.evaluate(&Facts { client, hops: 0 }, &question);
    unlimited.step();
    unlimited.answer(Answer::Limit(Decision::Unlimited));
    assert!(matches!(unlimited.step(), Step::Done(ruling) if ruling.verdict == Verdict::Accept));
}
