//! `smarthost clients`: which machines bring mail, how much each day, and which have fallen silent.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use tests::{agent::Agent, session::Session, shown, sink::Sink, smarthost::Smarthost, wait::until};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nx\r\n";

fn clients(relay: &Smarthost, words: &[&str]) -> Vec<Value> {
    let output = relay.admin(&[&["clients", "--json"], words].concat());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn text(relay: &Smarthost, words: &[&str]) -> String {
    let output = relay.admin(&[&["clients"], words].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn relay(sink: &Sink) -> Smarthost {
    Smarthost::start(&format!(
        "networks = [\"127.0.0.1\", \"127.0.0.7\"]\nrelayhost = \"{}\"\ndomains.relay = [\"example.net\"]\n\
         limits = {{ per_client = [\"100/day\"] }}\ngreet_wait = \"0s\"\n",
        sink.nexthop()
    ))
}

fn send(relay: &Smarthost, client: &str, count: usize) {
    let mut session = Session::connect_from(client.parse().unwrap(), relay.address()).ehlo();
    for _ in 0..count {
        session.delivers("a@example.org", &["b@example.net"], MESSAGE);
    }
}

/// Row C6.
#[test]
fn each_machine_is_known_with_its_name_counts_last_message_and_version_of_its_agent() {
    let sink = Sink::start();
    let mut relay = relay(&sink);
    assert_eq!(text(&relay, &[]), "no client has sent mail\n");
    let machine = Agent::start(&format!(
        "relayhost = \"{}\"\ndomain = \"example.org\"\npins = [\"{}\"]\n",
        relay.nexthop(),
        relay.pin()
    ));
    machine.send(&["b@example.net"], "Subject: x\n\nx\n");
    sink.journal().wait_for(1);
    send(&relay, "127.0.0.7", 3);
    send(&relay, "127.0.0.66", 2);
    // At any moment after its 250.
    relay.kill();
    let all = clients(&relay, &[]);
    assert_eq!(all.len(), 2, "a stranger is none of them: {all:#?}");
    let (agent, other) = (&all[0], &all[1]);
    assert_eq!(
        (&agent["client"], &agent["known_by"]),
        (&"127.0.0.1".into(), &"address".into())
    );
    assert_eq!(agent["name"], "vm1.example.test");
    assert_eq!(agent["agent"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        (&other["client"], &other["agent"]),
        (&"127.0.0.7".into(), &Value::Null)
    );
    assert_eq!(other["name"], "client.example.test");
    for key in ["today", "last_7_days", "last_30_days", "messages"] {
        assert_eq!((&agent[key], &other[key]), (&1.into(), &3.into()), "{key}");
    }
    assert_eq!(other["by_day"].as_object().unwrap().len(), 1);

    relay.run();
    send(&relay, "127.0.0.7", 1);
    assert_eq!(clients(&relay, &["--silent-for", "1h"]), [Value::Null; 0]);
    assert!(
        text(&relay, &["--silent-for", "1h"])
            .starts_with("no client that sent mail before has been silent for 1h")
    );
    let silent = until("they have been silent for a second", || {
        let silent = clients(&relay, &["--silent-for", "1s"]);
        (silent.len() == 2).then_some(silent)
    });
    assert_eq!(silent[1]["messages"], 4, "counted on after kill -9");

    let csv = text(&relay, &["--csv"]);
    let lines: Vec<_> = csv.split("\r\n").collect();
    assert!(
        lines[0].starts_with("client,name,address,known_by,agent,first,last,messages,20"),
        "{csv}"
    );
    assert_eq!(lines[0].split(',').count(), 8 + 30);
    assert!(
        lines[2].starts_with("127.0.0.7,client.example.test,127.0.0.7,address,,")
            && lines[2].ends_with(",0,4"),
        "{csv}"
    );
    assert_eq!(lines.len(), 4, "{csv}");
    let wrong = relay.admin(&["clients", "--silent-for", "yesterday"]);
    assert_eq!(wrong.status.code(), Some(2));

    // The manual shows this.
    let last = |at: usize| silent[at]["last"].as_str().unwrap().to_owned();
    let (one, two) = (last(0), last(1));
    let then = "2026-11-22T07:51:52+01:00";
    shown::compare(
        "clients",
        &format!("$ smarthost clients\n{}", text(&relay, &[])),
        &[
            (&one, then),
            (&two, then),
            ("127.0.0.", "192.0.2."),
            ("client.example.test", "printer.example.org"),
            ("vm1.example.test   ", "vm1.example.org    "),
        ],
    );
}

#[test]
fn a_client_cannot_forge_the_version_of_another_or_a_line_of_the_list() {
    let sink = Sink::start();
    let relay = relay(&sink);
    let mut session = Session::greeted(relay.address());
    for field in [
        "Received: (from root, uid 0)\r\n\tby vm1 (sendmail-shim \u{1b}[2J) with local id 1; x\r\n",
        "X: by vm1 (sendmail-shim 9.9) with local id 1; x\r\n",
        "Received: from (sendmail-shim 9.9) with local id 1 by x; x\r\nReceived: by vm1 (sendmail-shim 9.9) with local id 1; x\r\n",
    ] {
        let content = format!("{field}Subject: x\r\n\r\nx\r\n");
        session.delivers("a@example.org", &["b@example.net"], content.as_bytes());
    }
    let all = until("it is kept", || {
        let all = clients(&relay, &[]);
        (all.first()?["messages"] == 3).then_some(all)
    });
    assert_eq!(all[0]["agent"], Value::Null, "{all:?}");
    assert!(
        text(&relay, &[])
            .chars()
            .all(|c| c == '\n' || !c.is_control())
    );
}
