//! Recipe B: a relay association with one central server.

use std::fs;

use tests::{
    agent::{Agent, CRON},
    binaries::write_program,
    milter::{self, Answer, Milter, Packet, go_on},
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::until,
};
use toml::Value;

use crate::site::{
    LISTED, arrived, front, hears, of_relay, of_sink, pin, recipe, session_of, shipped, stranger,
    table_of_the_guide, with,
};

/// The central server of recipe B. What takes a way of its own goes to these two; the filter has
/// mail of clients of ill repute come again.
fn central_of_relays(outside: &Sink, slow: &Sink, filter: &Milter) -> Smarthost {
    let mut table = shipped("smarthost-relay-association");
    let ways = table["routes"].as_table_mut().unwrap();
    for (_, way) in ways.iter_mut() {
        if let Some(transport @ ("slow" | "yahoo")) = way.as_str() {
            *way = Value::from(format!("{transport}:{}", slow.nexthop()));
        }
    }
    let answering = &mut table["transports"]["donations"]["command"][0];
    *answering = Value::from("$DIR/donations");
    let mut relay = Smarthost::prepare(&with(
        table,
        &[
            ("relayhost", of_sink(outside)),
            ("aliases", Value::from(vec!["$DIR/machine.aliases"])),
            ("milters", Value::from(vec![filter.endpoint()])),
            front(),
        ],
    ));
    relay.file(
        "machine.aliases",
        "encrypted-list: list@encrypted.example\n",
    );
    write_program(
        &relay.directory().join("donations"),
        "#!/bin/sh\n{ echo \"$1\"; cat; echo end; } > ${0%donations}answered\n",
    );
    relay.run();
    relay
}

/// Rows B1, B3, B9, B10, B13, B14, B18.
#[test]
fn a_node_of_the_relay_association_reaches_the_encrypted_list_and_only_aliases_and_an_answer_receive()
 {
    let (outside, slow) = (Sink::start(), Sink::start());
    let filter = Milter::start(|packet, before| {
        let client = |it: &Packet| it.letter == b'C' && it.strings().concat().contains(LISTED);
        if packet.letter == b'E' && before.iter().any(client) {
            return Answer::Bytes(milter::packet('y', "451 4.7.1 Try again later\0"));
        }
        go_on()
    });
    let relay = central_of_relays(&outside, &slow, &filter);
    let mut node = Agent::prepare(&recipe(
        "sendmail-shim-relay-node",
        &[
            ("relayhost", of_relay(&relay)),
            ("pins", pin(&relay)),
            ("aliases", Value::from("$DIR/machine.aliases")),
        ],
    ));
    let aliases = table_of_the_guide("root: encrypted-list@relays.example");
    node.file("machine.aliases", &aliases);
    node.run();
    for (number, to) in (1..).zip(["root", "daemon"]) {
        node.send(&[to], CRON);
        let mail = arrived(&outside, number);
        assert_eq!(mail.recipients, ["list@encrypted.example"]);
        assert_eq!(mail.field("From"), "\"Cron Daemon\" <root@relays.example>");
    }
    let friend = "friend@elsewhere.example";
    for (to, expected) in [
        ("nobody@relays.example", "550 5.1.1"),
        ("daemon@mail.relays.example.org", "550 5.1.1"),
        ("encrypted-list+x@relays.example.net", "250"),
        ("dons@relays.example", "250"),
        ("dons@relays.example.net", "550 5.1.1"),
        ("x@orange.example", "554 5.7.1"),
    ] {
        let told = hears(&relay, friend, to);
        assert!(told.starts_with(expected), "{told}");
    }
    let message = b"Subject: x\r\n\r\nhow can I donate?\r\n";
    let mut greylisted = session_of(LISTED, &relay);
    let to = ["spenden@relays.example"];
    assert_eq!(greylisted.mail(friend, &to, message).unwrap().code, 451);
    stranger(&relay).delivers(friend, &to, message);
    let answered = until("the auto-responder has it", || {
        let text = fs::read_to_string(relay.directory().join("answered")).ok();
        text.filter(|text| text.ends_with("end\n"))
    });
    assert!(
        answered.starts_with(friend) && answered.contains("how can I donate?"),
        "{answered}"
    );
    let mut own = Session::greeted(relay.address());
    let to: Vec<_> = (0..5).map(|it| format!("u{it}@yahoo.co.uk")).collect();
    let mut to: Vec<_> = to.iter().map(String::as_str).collect();
    to.extend(["a@orange.example", "b@orange.example"]);
    own.delivers("root@relays.example", &to, message);
    let parts = slow.journal().wait_for(4);
    let mut parts: Vec<_> = parts.iter().map(|it| it.recipients.len()).collect();
    parts.sort_unstable();
    assert_eq!(parts, [1, 2, 2, 2], "as few as they take at a time");
}
