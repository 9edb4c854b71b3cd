//! A copy that has come, and whose server has not given it up: who may, and what an administrator
//! is told of it.

use std::net::Ipv4Addr;

use mail::{
    address::Address,
    clock::{self, Timestamp},
    envelope::{Envelope, Recipient},
};
use serde_json::json;
use smarthost::drain::told::{Facts, Told, Wait};
use tests::{
    identity::write,
    login::anybody,
    session::{Reply, Session},
    sink::{Script, nexthop},
    smarthost::Smarthost,
};

use super::pair::{Pair, later, listed};

const ID: &str = "9KGMDJZD1M1M0";
const MESSAGE: &[u8] = b"Subject: by hand\r\n\r\nx\r\n";

/// A server that speaks by hand.
fn giver(client: Ipv4Addr, name: &str, smarthost: &Smarthost) -> Session {
    let session = Session::connect_from(client.into(), smarthost.address());
    let mut session = session.ehlo().starttls(anybody());
    assert!(
        session
            .say(&format!("EHLO {name}"))
            .text()
            .contains("XMOVE")
    );
    session
}

fn moves(session: &mut Session, told: &Told, content: &[u8]) -> Reply {
    for line in [
        "MAIL FROM:<> XMOVE",
        "RCPT TO:<postmaster@mx0.example>",
        "DATA",
    ] {
        let reply = session.say(line);
        assert!(reply.code < 400, "{line}: {reply:?}");
    }
    session.send(&told.line()).unwrap();
    session.send(content).unwrap();
    session.say(".")
}

/// As a server tells it whose clock says that.
fn message(now: Timestamp) -> Told {
    let (header, _) = MESSAGE.split_at(MESSAGE.len() - "\r\nx\r\n".len());
    Told::Message(Box::new(Facts {
        id: ID.to_owned(),
        now,
        arrival: now,
        held: false,
        warned: false,
        envelope: Envelope {
            recipients: vec![Recipient::from(Address::parse("b@example.net").unwrap())],
            ..Envelope::default()
        },
        waiting: vec![Wait {
            until: None,
            reason: None,
        }],
        header: header.len() as u64,
        size: MESSAGE.len() as u64,
    }))
}

fn given_up() -> Told {
    Told::GivenUp(vec![ID.to_owned()])
}

#[test]
fn a_copy_is_let_go_by_its_own_server_alone_also_while_this_one_is_emptied() {
    let mut pair = Pair::start(Script::default(), "");
    pair.new
        .configure(&format!("{}drain_from = [\"127.0.0.0/8\"]\n", pair.config));
    assert!(pair.new.admin(&["reload"]).status.success());
    let mut own = giver(Ipv4Addr::LOCALHOST, "mx0.example", &pair.new);
    assert_eq!(moves(&mut own, &message(clock::now()), MESSAGE).code, 250);
    let mut other = giver(Ipv4Addr::new(127, 0, 0, 2), "mx9.example", &pair.new);
    let refused = moves(&mut other, &given_up(), b"");
    assert!(
        refused.text().contains("came from another server"),
        "{refused:?}"
    );

    // Also after a restart it is known whose it is, and what to do if that never comes.
    pair.new.kill();
    pair.new.run();
    let held = pair.new.admin(&["queue", "list", "--held"]);
    let held = String::from_utf8(held.stdout).unwrap();
    assert!(
        held.contains("it comes from mx0.example[127.0.0.1]"),
        "{held}"
    );
    let refused = pair.new.admin(&[
        "drain",
        "--to",
        &nexthop(pair.old.address()),
        "--pin",
        &pair.old.pin(),
    ]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    for told in [ID, "mx0.example[127.0.0.1]", "smarthost queue release ID"] {
        assert!(said.contains(told), "{said}");
    }

    // It had begun to be emptied in the very moment in which the copy came.
    pair.new.kill();
    let drain = json!({
        "to": nexthop(pair.old.address()), "pin": pair.old.pin(), "since": clock::now(),
        "came": 1, "delivered": 0, "bounced": 0, "removed": 0, "stopped": false,
    });
    let file = pair.new.directory().join("state/drain");
    write(&file, drain.to_string());
    pair.new.run();
    let stranger = Session::connect_from([127, 0, 0, 2].into(), pair.new.address());
    let mut client = stranger.ehlo();
    assert_eq!(client.say("MAIL FROM:<a@example.org>").code, 421);
    let mut own = giver(Ipv4Addr::LOCALHOST, "mx0.example", &pair.new);
    let refused = moves(&mut own, &message(clock::now()), MESSAGE);
    assert_eq!(refused.code, 451);
    assert!(
        refused.text().contains("is itself being emptied into"),
        "{refused:?}"
    );
    assert_eq!(moves(&mut own, &given_up(), b"").code, 250);
    assert!(!pair.new.mailq().contains("it comes from"));
    assert!(pair.new.admin(&["drain", "--stop"]).status.success());
    let arrived = pair.sink.journal().wait_for(1);
    assert_eq!(arrived[0].field("subject"), "by hand");
}

#[test]
fn nothing_moves_between_servers_whose_clocks_are_apart() {
    let pair = Pair::start(later(), "");
    let mut own = giver(Ipv4Addr::LOCALHOST, "mx0.example", &pair.new);
    let hours = std::time::Duration::from_hours(2);
    let now = clock::now();
    for told in [now.after(hours), Timestamp::from_secs(now.as_secs() - 7200)] {
        let refused = moves(&mut own, &message(told), MESSAGE);
        assert_eq!(refused.code, 451);
        assert!(
            refused.text().contains("the clocks of the two servers"),
            "{refused:?}"
        );
    }
    assert!(listed(&pair.new).is_empty());
}

#[test]
fn nothing_moves_over_a_proxy_whatever_address_it_names() {
    let pair = Pair::start(later(), "proxy = [\"127.0.0.9\"]\n");
    let proxy = [127, 0, 0, 9].into();
    let mut session = Session::connect_from(proxy, pair.new.address());
    session
        .send(b"PROXY TCP4 127.0.0.1 127.0.0.1 1234 25\r\n")
        .unwrap();
    let mut session = session.ehlo().starttls(anybody());
    assert!(!session.say("EHLO mx0.example").text().contains("XMOVE"));
    assert_eq!(session.say("MAIL FROM:<> XMOVE").code, 555);
}

#[test]
fn a_server_is_not_emptied_into_itself() {
    let pair = Pair::start(later(), "");
    let to = nexthop(pair.new.address());
    let refused = pair
        .new
        .admin(&["drain", "--to", &to, "--pin", &pair.new.pin()]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("this is the very server that asks"), "{said}");
    assert_eq!(Session::connect(pair.new.address()).reply().code, 220);
}
