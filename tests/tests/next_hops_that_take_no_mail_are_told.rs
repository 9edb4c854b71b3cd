//! Who takes no mail is told by `status`, the page and `/health`, whatever it is that is asked.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use serde_json::Value;
use tests::{
    agent::{Agent, config},
    http,
    session::Session,
    sink::{Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until},
};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `/health` warns of, the page's state and the failing services of `status`.
fn looked_at(page: SocketAddr, relay: &Smarthost) -> (Vec<String>, bool, Vec<String>) {
    let token = text(&relay.admin(&["web", "token"]).stdout);
    let token = format!("Authorization: Bearer {}\r\n", token.trim());
    let health = http::request(page, "GET", "/health/ready", &token, "");
    assert_eq!(health.code, 200, "it does its work: {health:?}");
    let told: Value = serde_json::from_str(&health.body).unwrap();
    let named = |one: &Value, parts: [&str; 2]| {
        let parts = parts.map(|part| one[part].as_str().unwrap());
        format!("{}: {}", parts[0], parts[1])
    };
    let warnings = told["warnings"].as_array().unwrap().iter();
    let warnings = warnings.map(|it| named(it, ["what", "text"])).collect();
    let overview = http::request(page, "GET", "/", &token, "");
    assert_eq!(overview.code, 200, "{overview:?}");
    let is_good = overview
        .body
        .contains("<p class=\"state\">Takes and sends mail</p>");
    let output = relay.admin(&["status", "--json"]);
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    let services = status["services"].as_array().unwrap().iter();
    let failing = services.filter(|it| it["works"] == false);
    let failing = failing.map(|it| {
        let kind = it["kind"].as_str().unwrap();
        format!("{kind} {}", named(it, ["name", "text"]))
    });
    (warnings, is_good, failing.collect())
}

/// The only relayhost is down, and the way of one domain.
#[test]
fn next_hops_that_take_no_mail_are_told_by_status_health_and_page_until_they_do() {
    let (page, relayhost, route) = (free_address(), free_address(), free_address());
    let mut relay = Smarthost::start(&format!(
        "web = \"{page}\"\nrelayhost = \"{}\"\n\
         routes = {{ \"near.example\" = \"{}\" }}\n",
        nexthop(relayhost),
        nexthop(route)
    ));
    let unused = text(&relay.admin(&["status"]).stdout);
    let told = format!(
        "ok    relayhost {}: not used since the start",
        nexthop(relayhost)
    );
    assert!(unused.contains(&told), "{unused}");
    assert_eq!(looked_at(page, &relay), (Vec::new(), true, Vec::new()));

    let mut session = Session::greeted(relay.address());
    let mail = b"Subject: x\r\n\r\nx\r\n";
    session.delivers("a@one.example", &["b@far.example", "c@near.example"], mail);
    let both = |told: &[String]| {
        let of = |name: &str, port: u16| {
            let port = port.to_string();
            let is_it = |it: &&String| it.starts_with(name) && it.contains(&port);
            told.iter()
                .find(is_it)
                .is_some_and(|it| it.contains("refused"))
        };
        of("relayhost ", relayhost.port()) && of("next hop smtp:", route.port())
    };
    let bad = |(warnings, is_good, failing): &(Vec<String>, bool, Vec<String>)| {
        both(warnings) && both(failing) && !is_good && warnings == failing
    };
    until("both are told", || {
        Some(looked_at(page, &relay)).filter(bad)
    });
    // A restart has not mended it.
    drop(session);
    relay.kill();
    relay.run();
    until("both are told again", || {
        Some(looked_at(page, &relay)).filter(bad)
    });

    let _sinks = [relayhost, route].map(|it| Sink::on(it, Script::default()));
    let flushed = relay.admin(&["queue", "flush", "--all"]);
    assert!(flushed.status.success(), "{flushed:?}");
    until("all is well", || {
        Some(looked_at(page, &relay)).filter(|it| *it == (Vec::new(), true, Vec::new()))
    });
    let well = text(&relay.admin(&["status"]).stdout);
    let told = format!("ok    relayhost {}: works", relayhost.ip());
    assert!(
        well.contains(&told) || well.contains(": works, last connected "),
        "{well}"
    );
}

/// A policy server and verification that nobody had to ask yet stand in the list as milters do.
#[test]
fn whoever_is_to_be_asked_is_told_before_the_first_question() {
    let relay = Smarthost::start(
        "restrictions = [\"reject_unauth_destination\", \"reject_unverified_recipient\", \
         \"check_policy_service inet:127.0.0.1:9\"]\n",
    );
    let told = text(&relay.admin(&["status"]).stdout);
    for service in [
        "ok    policy server inet:127.0.0.1:9: not asked yet",
        "ok    verification recipients: not asked yet",
    ] {
        assert!(told.contains(service), "{service}: {told}");
    }
}

/// They are there, so that no connection fails.
#[test]
fn next_hops_that_say_later_to_all_mail_are_told_until_they_take_some() {
    let (page, relayhost, route) = (free_address(), Sink::start(), Sink::start());
    let later = |text: &str| Script {
        answers: vec![("RCPT".to_owned(), text.to_owned())],
        ..Script::default()
    };
    let broken = "451 4.3.0 Temporary lookup failure";
    relayhost.play(later(broken));
    // A mailbox that is full is nobody else's.
    route.play(later("452 4.2.2 mailbox full"));
    let relay = Smarthost::start(&format!(
        "web = \"{page}\"\nrelayhost = \"{}\"\n\
         routes = {{ \"near.example\" = \"{}\" }}\n",
        relayhost.nexthop(),
        route.nexthop()
    ));
    let mut session = Session::greeted(relay.address());
    let mail = b"Subject: x\r\n\r\nx\r\n";
    for _ in 0..2 {
        session.delivers("a@one.example", &["b@far.example", "c@near.example"], mail);
    }
    // Both tell how long and how often it fails, which an attempt between them changes.
    let (warnings, ..) = until("the relayhost is told, by all in the same words", || {
        let looked = looked_at(page, &relay);
        Some(looked).filter(|(warnings, is_good, failing)| !is_good && warnings == failing)
    });
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("relayhost ") && warnings[0].contains(broken),
        "{warnings:?}"
    );
    relayhost.play(Script::default());
    route.play(Script::default());
    until("all is well", || {
        // An attempt that was on its way may still end with what was said before.
        assert!(relay.admin(&["queue", "flush", "--all"]).status.success());
        Some(looked_at(page, &relay)).filter(|it| *it == (Vec::new(), true, Vec::new()))
    });
}

/// It answers, and no connection fails: status, check and mail to root tell of it as of one that is
/// gone, and no more once it has taken a message.
#[test]
fn a_relayhost_that_says_later_to_all_mail_of_a_machine_is_told_until_it_takes_some() {
    let relayhost = Sink::start();
    let broken = "451 4.3.0 Temporary lookup failure";
    relayhost.play(Script {
        answers: vec![("RCPT".to_owned(), broken.to_owned())],
        ..Script::default()
    });
    let retry = "retry = { minimal = \"1s\", maximal = \"1s\", warning = \"1s\" }\n";
    let machine = Agent::start(&config(&relayhost.nexthop(), retry));
    for _ in 0..2 {
        machine.send(&["b@far.example"], "Subject: x\n\nx\n");
    }
    let told = |command: &str, text_of_it: &str| {
        let said = text(&machine.admin(&[command]).stdout);
        let mut lines = said.lines();
        lines.any(|line| line.contains(text_of_it) && line.contains(broken))
    };
    until("status and check tell of it", || {
        let both = told("status", "FAIL  relayhost ") && told("check", "WARN  agent");
        both.then_some(())
    });
    // Besides what tells the sender of each message that it waits.
    machine.wait_for_mailq("the notice, and why each message waits", |text| {
        text.matches("admins@example.org").count() > 2 && text.contains(broken)
    });
    relayhost.play(Script::default());
    until("root hears of it, and all is well", || {
        assert!(machine.admin(&["queue", "flush"]).status.success());
        let messages = relayhost.journal().messages();
        let mut subjects = messages.iter().map(|it| it.field("Subject"));
        let heard = subjects.any(|it| it.contains("the relayhost has taken no mail since"));
        let well = !told("status", "FAIL  relayhost ") && !told("check", "WARN  agent");
        (heard && well).then_some(())
    });
}
