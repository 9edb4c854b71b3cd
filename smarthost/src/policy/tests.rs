use std::{path::Path, sync::Arc};

use mail::{address::Mailbox, maps::Table};
use queue::rate::Window;
use smtp::session::{Mail, Question, Rcpt, Verdict};

use super::{
    Answer, ClientName, Effect, Evaluation, Facts, Listing, MailDomain, Policy, Query, Sources,
    Step,
};
use crate::{
    config::Config,
    limits::{Decision, Limits, Rules},
    network::{Network, Networks},
    route::Router,
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
    let router = Router::new(&config, Arc::new(aliases), Arc::default());
    Policy::new(&config, router, Arc::new(Sources::default()))
}

fn rcpt(recipient: &str) -> Question {
    Question::Recipient(Rcpt::from(Mailbox::parse(recipient).unwrap()))
}

/// Runs a question that needs nothing of the world; the verdict as a reply line.
fn verdict(policy: &Policy, client: &str, question: &Question, hops: usize) -> String {
    let mut facts = Facts::of(client.parse().unwrap());
    facts.message.hops = hops;
    if let Question::Recipient(rcpt) = question {
        facts.transaction.recipient = rcpt.to.address().cloned();
    }
    let mut evaluation = policy.evaluate(facts, question);
    let mut step = evaluation.step();
    // Only after relay permission.
    if let Step::Ask(queries) = &step
        && let [query @ Query::Recipient(_)] = &queries[..]
    {
        evaluation.answer(query.clone(), Answer::Limit(Decision::Unlimited));
        step = evaluation.step();
    }
    match step {
        Step::Done(ruling) => match ruling.verdict {
            Verdict::Accept => "accept".to_owned(),
            Verdict::Refuse(reply) => format!("{} [{}]", reply.text(), ruling.restriction.unwrap()),
            other => panic!("{other:?}"),
        },
        Step::Ask(queries) => panic!("asks {queries:?} before relay permission"),
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
    for client in ["192.0.2.7", "203.0.113.9"] {
        let answer = verdict(&policy, client, &rcpt("list@example.org"), 0);
        assert!(
            answer.starts_with("451 4.3.5") && !answer.contains("/bin/x"),
            "{client} learns nothing of it: {answer}"
        );
    }
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
    let client: std::net::IpAddr = "192.0.2.7".parse().unwrap();
    let window = Window {
        limit: 1,
        span: std::time::Duration::from_hours(24),
    };
    let mut limits = Limits::new(Rules {
        networks: Networks(vec![Network::parse("192.0.2.0/24").unwrap()]),
        per_client: vec![window.into()],
        ..Rules::default()
    });
    let mut replies = Vec::new();
    for _ in 0..2 {
        let mut evaluation = policy.evaluate(Facts::of(client), &question);
        let query = Query::Message(client.into());
        assert_eq!(evaluation.step(), Step::Ask(vec![query.clone()]));
        let decision = limits.count(client, mail::clock::Timestamp::from_secs(1_000_000));
        evaluation.answer(query, Answer::Limit(decision));
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
    let mut unlimited = policy.evaluate(Facts::of(client), &question);
    unlimited.step();
    unlimited.answer(
        Query::Message(client.into()),
        Answer::Limit(Decision::Unlimited),
    );
    assert!(matches!(unlimited.step(), Step::Done(ruling) if ruling.verdict == Verdict::Accept));
}

/// At RCPT of a stranger; the queries of each round, and what it comes to.
fn decide(policy: &Policy, facts: Facts, world: &dyn Fn(&Query) -> Answer) -> (Vec<usize>, String) {
    let question = rcpt(facts.transaction.recipient.as_ref().unwrap().as_str());
    let mut evaluation: Evaluation = policy.evaluate(facts, &question);
    let mut rounds = Vec::new();
    loop {
        match evaluation.step() {
            Step::Ask(queries) => {
                rounds.push(queries.len());
                for query in queries {
                    let answer = world(&query);
                    evaluation.answer(query, answer);
                }
            }
            Step::Done(ruling) => {
                let warned = ruling.effects.iter().map(|effect| match effect {
                    Effect::WouldReject(reply) => format!("({})", reply.text()),
                    other => format!("{other:?}"),
                });
                let warned: String = warned.collect();
                let said = match ruling.verdict {
                    Verdict::Accept => "accept".to_owned(),
                    Verdict::Refuse(reply) | Verdict::Close(reply) => reply.text(),
                    Verdict::AcceptWith(_) => panic!("nothing is said"),
                };
                return (rounds, warned + &said);
            }
        }
    }
}

fn stranger(sender: &str, recipient: &str) -> Facts {
    let mut facts = Facts::of([198, 51, 100, 25].into());
    facts.session.helo = Some("ham.example".to_owned());
    let sender = (!sender.is_empty()).then(|| mail::address::Address::parse(sender).unwrap());
    facts.transaction.sender =
        Some(sender.map_or(mail::address::Sender::Null, mail::address::Sender::Address));
    facts.transaction.recipient = Some(mail::address::Address::parse(recipient).unwrap());
    facts
}

/// Nothing is wrong with anybody.
fn peaceful(query: &Query) -> Answer {
    match query {
        Query::Message(_) | Query::Recipient(_) => Answer::Limit(Decision::Unlimited),
        Query::MailDomain(_) => Answer::MailDomain(MailDomain::Found),
        Query::ClientName(_) => Answer::ClientName(ClientName::Confirmed("ham.example".into())),
        Query::Listed(..) => Answer::Listed(Listing::NotListed),
        Query::Greylist(..) => Answer::Greylist(super::greylist::Decision::Pass),
        Query::RecipientKnown(..) => Answer::Verified(super::verify::Verified::Yes),
        Query::Service(..) => Answer::Service(Some("DUNNO".to_owned())),
    }
}

/// Row C4.
#[test]
fn everything_that_is_only_looked_up_is_asked_at_once_and_limits_in_their_turn() {
    let policy = policy(
        "domains = { local = [\"example.org\"] }\nrestrictions = [\"reject_invalid_helo_hostname\", \"reject_non_fqdn_sender\", \
         \"reject_unknown_sender_domain\", \"permit_mynetworks\", \"reject_unauth_destination\", \
         \"reject_rbl_client a.example\", \"reject_rbl_client b.example\", \"warn_if_reject reject_rbl_client c.example\", \
         \"reject_rhsbl_sender d.example\"]",
    );
    let facts = stranger("a@ham.example", "root@example.org");
    assert_eq!(
        decide(&policy, facts, &peaceful),
        (vec![5, 1], "accept".to_owned())
    );
    // Nobody is asked about those who may not relay, nor about what our own networks are let
    // through before.
    let denied = stranger("a@ham.example", "u@elsewhere.example");
    let (rounds, said) = decide(&policy, denied, &peaceful);
    assert!(
        rounds.is_empty() && said.starts_with("554 5.7.1"),
        "{rounds:?} {said}"
    );
    let mut ours = stranger("a@ham.example", "u@elsewhere.example");
    ours.session.address = [127, 0, 0, 1].into();
    assert_eq!(
        decide(&policy, ours, &peaceful),
        (vec![1, 1], "accept".to_owned())
    );
}

#[test]
fn trouble_of_dns_defers_only_what_nothing_else_refuses() {
    let chain = |rules: &str| {
        policy(&format!(
            "domains = {{ local = [\"example.org\"] }}\nmaildir = \"none\"\nrestrictions = [{rules}]"
        ))
    };
    let trouble = |query: &Query| match query {
        Query::MailDomain(_) => Answer::MailDomain(MailDomain::Unknown),
        Query::Listed(..) => Answer::Listed(Listing::Listed(Some("see x".to_owned()))),
        other => peaceful(other),
    };
    let unsure = "450 4.1.8 <a@ham.example>: Sender address rejected: Domain not found";
    let listed = "554 5.7.1 Service unavailable; Client host [198.51.100.25] blocked using bl.example; see x";
    for (rules, to, expected) in [
        ("\"reject_unknown_sender_domain\"", "root@example.org", unsure.to_owned()),
        ("\"reject_unknown_sender_domain\", \"permit\"", "root@example.org", unsure.to_owned()),
        (
            "\"reject_unknown_sender_domain\", \"reject_rbl_client bl.example\"",
            "root@example.org",
            listed.to_owned(),
        ),
        (
            "\"reject_unknown_sender_domain\"",
            "nobody@example.org",
            "550 5.1.1 <nobody@example.org>: Recipient address rejected: User unknown in local recipient table".to_owned(),
        ),
        (
            "\"warn_if_reject reject_unknown_sender_domain\", \"warn_if_reject reject_rbl_client bl.example\"",
            "root@example.org",
            format!("({unsure})({listed})accept"),
        ),
    ] {
        let (_, said) = decide(&chain(rules), stranger("a@ham.example", to), &trouble);
        assert_eq!(said, expected, "{rules}");
    }
}

#[test]
fn a_permit_ends_the_chain_and_neither_permission_to_relay_nor_unknown_recipients() {
    let policy = policy(
        "domains = { local = [\"example.org\"] }\nmaildir = \"none\"\nrestrictions = [\"permit\", \"reject\"]",
    );
    for (to, expected) in [
        ("root@example.org", "accept"),
        ("nobody@example.org", "550 5.1.1"),
        (
            "u@elsewhere.example",
            "554 5.7.1 <u@elsewhere.example>: Relay access denied",
        ),
    ] {
        let (_, said) = decide(&policy, stranger("a@ham.example", to), &peaceful);
        assert!(said.starts_with(expected), "{to}: {said}");
    }
}

#[test]
fn lists_with_weights_refuse_from_their_threshold_on_and_name_who_said_so() {
    let policy = policy(
        "domains = { local = [\"example.org\"] }\nrestrictions = [\"reject_dnsbl_score\"]\n\
         dnsbl = { threshold = 3, lists = [\"a.example=127.0.0.2*2\", \"b.example*1\", \"good.example*-2\"] }",
    );
    let world = |listed: &'static [&'static str]| {
        move |query: &Query| match query {
            Query::Listed(list, _) if listed.contains(&list.name().as_str()) => {
                Answer::Listed(Listing::Listed(None))
            }
            other => peaceful(other),
        }
    };
    let says = |listed: &'static [&'static str]| {
        decide(
            &policy,
            stranger("a@ham.example", "root@example.org"),
            &world(listed),
        )
    };
    assert_eq!(says(&["a.example"]), (vec![3, 1], "accept".to_owned()));
    assert_eq!(
        says(&["a.example", "b.example", "good.example"]).1,
        "accept"
    );
    assert_eq!(
        says(&["a.example", "b.example"]).1,
        "554 5.7.1 Service unavailable; Client host [198.51.100.25] blocked using a.example, b.example"
    );
}
