//! Recipe A: a hosting association with two servers.

use std::{collections::HashSet, sync::Mutex};

use tests::{
    agent::{Agent, CRON, CRON_ARGUMENTS},
    policy::{converse, policy_server},
    sink::{Received, Sink},
    smarthost::Smarthost,
    wait::until,
};
use toml::{Table, Value};

use crate::site::{
    arrived, front, hears, names, of_relay, of_sink, pin, recipe, shipped, stranger,
    table_of_the_guide, with,
};

/// The first server of recipe A, which does not run yet.
fn first_of_hosting(way_out: &(&'static str, Value)) -> Smarthost {
    let first = Smarthost::prepare(&recipe("smarthost-hosting", std::slice::from_ref(way_out)));
    first.file(
        "machine.aliases",
        &table_of_the_guide("admins: operator@elsewhere.example"),
    );
    first
}

/// The second server of recipe A, which asks the first one by its address and a postgrey that has
/// everybody come once more to somebody new.
fn backup_of(first: &Smarthost, way_out: &(&'static str, Value)) -> String {
    let exchanger = Table::from_iter([("hosting.example".to_owned(), of_relay(first))]);
    let table = shipped("smarthost-hosting-backup");
    let seen = Mutex::new(HashSet::new());
    let postgrey = policy_server(move |stream| {
        converse(stream, |request| {
            let whom = request.lines().find(|it| it.starts_with("recipient="));
            let new = seen.lock().unwrap().insert(whom.unwrap().to_owned());
            let answer = if new {
                "DEFER_IF_PERMIT Greylisted"
            } else {
                "DUNNO"
            };
            format!("action={answer}\n\n")
        });
    });
    let rules = table["restrictions"].as_array().unwrap().iter();
    let rules: Vec<_> = rules
        .map(|it| {
            let rule = it.as_str().unwrap();
            rule.replace("127.0.0.1:10023", &postgrey.to_string())
        })
        .collect();
    // A test has no minutes.
    let mut retry = table["retry"].as_table().unwrap().clone();
    for pause in ["minimal", "maximal"] {
        retry.insert(pause.to_owned(), Value::from("1s"));
    }
    let others = [
        way_out.clone(),
        front(),
        ("restrictions", Value::from(rules)),
        ("routes", Value::from(exchanger)),
        ("retry", Value::from(retry)),
        (
            "resolver",
            names(&[], &["hosting.example", "elsewhere.example"]),
        ),
    ];
    with(table, &others)
}

/// Rows A1, A2, A6.
#[test]
fn machines_of_the_hosting_association_and_the_relays_themselves_reach_the_operator_also_after_an_outage()
 {
    let operator = Sink::start();
    let way_out = ("relayhost", of_sink(&operator));
    let mut first = first_of_hosting(&way_out);
    first.run();
    let second = Smarthost::start(&backup_of(&first, &way_out));
    let relays = [
        (
            "relayhost",
            Value::from(vec![of_relay(&first), of_relay(&second)]),
        ),
        ("pins", Value::from(vec![pin(&first), pin(&second)])),
    ];
    // The relay is a machine too; its own programs come from 127.0.0.1.
    let machines = ["vm7.hosting.example", "mx1.hosting.example"].map(|hostname| {
        let config = recipe("sendmail-shim-hosting", &relays);
        let mut machine = Agent::prepare(&format!("hostname = \"{hostname}\"\n{config}"));
        machine.file("machine.revaliases", &table_of_the_guide("*: admins"));
        machine.run();
        machine
    });
    for (number, machine) in (1..).zip(&machines) {
        machine.send(&CRON_ARGUMENTS, CRON);
        let mail = arrived(&operator, number);
        assert_eq!(mail.recipients, ["operator@elsewhere.example"]);
        assert!(mail.field("From").contains("admins@hosting.example"));
        assert!(mail.text().contains("backup: nothing to do"));
        let checked = machine.admin(&["check"]);
        let told = String::from_utf8_lossy(&checked.stdout).into_owned();
        // Both relays take it; what else the machine of the test has is not asked.
        assert_eq!(told.matches(": 250 2.1.5 Ok").count(), 2, "{told}");
        assert!(!told.contains("FAIL"), "{told}");
    }
    // The first one is away: the second keeps the mail, and brings it back.
    first.kill();
    machines[0].send(&["root"], "Subject: in the outage\n\nx\n");
    second.wait_for_mailq("what waits for the first", |listing| {
        listing.contains("admins@hosting.example")
    });
    first.run();
    assert!(second.admin(&["queue", "flush"]).status.success());
    // Killed, the first one may send twice what it had sent.
    let back = until("the mail of the outage arrives", || {
        let all = operator.journal().messages();
        all.into_iter()
            .find(|mail| mail.field("Subject") == "in the outage")
    });
    assert_eq!(back.recipients, ["operator@elsewhere.example"]);
}

/// Rows A5, A6, A7. As the Internet sees it.
#[test]
fn what_strangers_write_while_the_first_server_is_away_waits_at_the_second_and_comes_back_by_itself()
 {
    let operator = Sink::start();
    let way_out = ("relayhost", of_sink(&operator));
    let mut first = first_of_hosting(&way_out);
    first.run();
    let mut second = Smarthost::start(&backup_of(&first, &way_out));
    // Of whom the first one tells while it is there.
    for to in ["presidency", "abuse"] {
        let to = format!("{to}@hosting.example");
        let later = hears(&second, "friend@elsewhere.example", &to);
        assert!(
            later.starts_with("450 4.7.1 ") && later.contains("Greylisted"),
            "{later}"
        );
    }
    let mut session = stranger(&second);
    let foreign = session.say("MAIL FROM:<friend@elsewhere.example>").code;
    for (to, expected) in [
        (
            "nobody-here@hosting.example",
            "550 5.1.1 <nobody-here@hosting.example>: Recipient address rejected: undeliverable address",
        ),
        (
            "other@elsewhere.example",
            "554 5.7.1 <other@elsewhere.example>: Relay access denied",
        ),
    ] {
        let refused = session.say(&format!("RCPT TO:<{to}>"));
        let told = format!("{} {}", refused.code, refused.text());
        assert!(foreign == 250 && told.starts_with(expected), "{told}");
    }
    first.kill();
    session.say("RSET");
    for to in ["presidency", "abuse"] {
        let message = format!("Subject: to {to}\r\n\r\nthe text\r\n");
        let to = format!("{to}@hosting.example");
        session.delivers("friend@elsewhere.example", &[&to], message.as_bytes());
    }
    // The others come again, or are known as nobody.
    for (to, expected) in [("treasurer", "450 4.1.1"), ("nobody-here", "550 5.1.1")] {
        let told = hears(
            &second,
            "friend@elsewhere.example",
            &format!("{to}@hosting.example"),
        );
        assert!(told.starts_with(expected), "{told}");
    }
    let waits = |listing: &str| {
        let all = ["presidency", "abuse"].iter();
        all.clone().all(|it| listing.contains(it)) && listing.matches("refused").count() == 2
    };
    second.wait_for_mailq("both with their reason", waits);
    // A restart in the outage forgets nothing.
    second.kill();
    second.run();
    // The operator has heard of it, and nobody else has heard of anything.
    let all = operator.journal().messages();
    let of_outage = |it: &Received| it.text().contains("recipients cannot be verified");
    assert!(all.iter().all(of_outage), "{all:?}");
    // Meanwhile an office is given up.
    first.file(
        "machine.aliases",
        &table_of_the_guide("admins: operator@elsewhere.example").replace("abuse: admins\n", ""),
    );
    first.run();
    until("all have come to their ends", || {
        let all = operator.journal().messages();
        let to = |to: &str| all.iter().any(|it| it.recipients.iter().any(|it| it == to));
        let people = ["alice", "bob", "friend"];
        let people = people.map(|name| to(&format!("{name}@elsewhere.example")));
        people.iter().all(|it| *it).then_some(())
    });
    second.wait_for_mailq("nothing any more", |listing| listing.contains("is empty"));
    let all = operator.journal().messages();
    let is_bounce = |it: &&Received| it.recipients == ["friend@elsewhere.example"];
    let told = all.iter().find(is_bounce).unwrap().text();
    assert!(
        told.contains("abuse@hosting.example") && !told.contains("the text"),
        "a stranger gets the header of what he wrote: {told}"
    );
}
