//! Greylisting, block lists that cannot be believed, and recipients that the next hop is asked for.
//! Rows A6, A7, B10.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;

use tests::{
    resolver::{Record, Resolver},
    session::Session,
    sink::{Received, Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nx\r\n";
const STRANGER: &str = "127.0.0.66";

fn server(relayhost: &str, resolver: &Resolver, more: &str) -> Smarthost {
    Smarthost::prepare(&format!(
        "networks = [\"127.0.0.1/32\"]\nrelayhost = \"{relayhost}\"\ndomains = {{ relay = [\"example.net\"] }}\nmaildir = \"none\"\n\
         admins = [\"admin@mail.example.test\"]\naliases = [\"$DIR/aliases\"]\nresolver = \"{}\"\n{more}\n",
        resolver.address()
    ))
}

fn run(mut smarthost: Smarthost) -> Smarthost {
    smarthost.file("aliases", "admin: \\admin@admins.example\n");
    smarthost.run();
    smarthost
}

fn rcpt_from(client: &str, server: &Smarthost, recipient: &str) -> String {
    let client: IpAddr = client.parse().unwrap();
    let mut session = Session::connect_from(client, server.address()).ehlo();
    session.say("MAIL FROM:<a@ham.example>");
    let reply = session.say(&format!("RCPT TO:<{recipient}>"));
    format!("{} {}", reply.code, reply.text())
}

fn rcpt(server: &Smarthost, recipient: &str) -> String {
    rcpt_from(STRANGER, server, recipient)
}

/// Waits until the state database has this text, and kills the daemon and starts it again.
fn killed_with(server: &mut Smarthost, text: &str) {
    let state = server.directory().join("state");
    until_true("it is written", || {
        ["state.sqlite", "state.sqlite-wal"].iter().any(|name| {
            let bytes = std::fs::read(state.join(name)).unwrap_or_default();
            bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        })
    });
    server.daemon().kill();
    server.run();
}

fn status(server: &Smarthost) -> String {
    let output = server.admin(&["status"]);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Row B10.
#[test]
fn only_clients_that_something_speaks_against_have_to_come_again_and_then_are_known() {
    let sink = Sink::start();
    let resolver = Resolver::anywhere(|name| {
        Some(match name {
            "66.0.0.127.in-addr.arpa" | "68.0.0.127.in-addr.arpa" => {
                vec![Record::Ptr("clean.example".to_owned())]
            }
            "clean.example" => vec![
                Record::A([127, 0, 0, 66].into()),
                Record::A([127, 0, 0, 68].into()),
            ],
            "68.0.0.127.bl.example" => vec![Record::A([127, 0, 0, 2].into())],
            _ => return None,
        })
    });
    let mut smarthost = run(server(
        &sink.nexthop(),
        &resolver,
        "restrictions = [\"permit_mynetworks\", \"reject_unauth_destination\", \"greylist\"]\n\
         dnsbl = { lists = [\"bl.example\"] }\ngreylist = { delay = \"1s\", only = \"listed\" }",
    ));
    assert!(
        rcpt_from("127.0.0.66", &smarthost, "r@example.net").starts_with("250"),
        "clean"
    );
    let grey =
        "450 4.2.0 <r@example.net>: Recipient address rejected: Greylisted, try again in 1 seconds";
    assert_eq!(
        rcpt_from("127.0.0.68", &smarthost, "r@example.net"),
        grey,
        "listed"
    );
    assert_eq!(
        rcpt_from("127.0.9.67", &smarthost, "r@example.net"),
        grey,
        "without a name"
    );
    assert!(
        rcpt_from("127.0.0.1", &smarthost, "r@example.net").starts_with("250"),
        "ours"
    );
    until_true("who comes again passes", || {
        rcpt_from("127.0.0.68", &smarthost, "r@example.net").starts_with("250")
    });
    // Its whole network is known now, and so after a restart and a kill.
    assert!(rcpt_from("127.0.0.99", &smarthost, "other@example.net").starts_with("250"));
    // The network's row, with the beginning of its time: rows of first tries go on with a blank.
    killed_with(&mut smarthost, "127.0.0.0/2417");
    assert!(rcpt_from("127.0.0.100", &smarthost, "third@example.net").starts_with("250"));
}

#[test]
fn a_list_that_refuses_us_is_switched_off_with_an_alarm_and_its_key_is_nowhere() {
    let sink = Sink::start();
    let resolver = Resolver::anywhere(|name| {
        Some(match name {
            "66.0.0.127.s3cret.zen.example" => vec![
                Record::A([127, 255, 255, 254].into()),
                Record::Txt("Error: open resolver s3cret".to_owned()),
            ],
            "67.0.0.127.s3cret.zen.example" => vec![Record::A([127, 0, 0, 4].into())],
            "69.0.0.127.k2.other.example" => vec![
                Record::A([127, 0, 0, 4].into()),
                Record::Txt("ask https://other.example/k2/127.0.0.69".to_owned()),
            ],
            "1.0.0.127.all.example" | "70.0.0.127.all.example" => {
                vec![Record::A([127, 0, 0, 2].into())]
            }
            _ => return None,
        })
    });
    let mut smarthost = server(
        &sink.nexthop(),
        &resolver,
        "restrictions = [\"reject_rbl_client ${DQS}.zen.example=127.0.0.[2..11]\", \"reject_rbl_client ${K2}.other.example\", \
         \"reject_rbl_client all.example\"]\ndnsbl = { keys = \"dnsbl.keys\" }",
    );
    smarthost.file("dnsbl.keys", "# keys\nDQS = s3cret\nK2 k2\n");
    let keys = smarthost.directory().join("dnsbl.keys");
    std::fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    smarthost = run(smarthost);
    smarthost
        .daemon()
        .wait_for_log("block list all.example is switched off");
    assert!(rcpt_from("127.0.0.70", &smarthost, "r@example.net").starts_with("250"));
    let listed = rcpt_from("127.0.0.67", &smarthost, "r@example.net");
    assert_eq!(
        listed,
        "554 5.7.1 Service unavailable; Client host [127.0.0.67] blocked using zen.example"
    );
    let other = rcpt_from("127.0.0.69", &smarthost, "r@example.net");
    assert_eq!(
        other,
        "554 5.7.1 Service unavailable; Client host [127.0.0.69] blocked using other.example"
    );
    assert!(rcpt_from("127.0.0.66", &smarthost, "r@example.net").starts_with("250"));
    let log = smarthost
        .daemon()
        .wait_for_log("block list zen.example is switched off: it answers 127.255.255.254");
    assert!(
        rcpt_from("127.0.0.67", &smarthost, "r@example.net").starts_with("250"),
        "off"
    );
    let status = status(&smarthost);
    assert!(
        status.contains("block list zen.example is off since"),
        "{status}"
    );
    let mails = sink.journal().wait_for(2);
    let told: Vec<_> = mails.iter().map(Received::text).collect();
    assert!(
        told.iter()
            .any(|text| text.contains("the block list zen.example is switched off")),
        "{told:?}"
    );
    for text in told.iter().chain([&log, &status]) {
        assert!(
            !text.contains("s3cret") && !text.contains("Error: open resolver"),
            "{text}"
        );
    }
}

/// A list that does not answer.
#[test]
fn a_silent_list_refuses_nobody_and_all_lists_are_asked_at_once() {
    let sink = Sink::start();
    let resolver =
        Resolver::anywhere(|name| (name.contains("silent")).then(|| vec![Record::Silence]));
    let smarthost = run(server(
        &sink.nexthop(),
        &resolver,
        "restrictions = [\"reject_rbl_client silent1.example\", \"reject_rbl_client silent2.example\", \"reject_rbl_client silent3.example\", \
         \"reject_rbl_client silent4.example\"]",
    ));
    let began = std::time::Instant::now();
    assert!(rcpt(&smarthost, "r@example.net").starts_with("250"));
    let took = began.elapsed().as_secs();
    assert!(took < 15, "{took} s: one after another would be twenty");
}

/// A primary that knows some people.
fn knows(gone: &[&str], grey: &[&str]) -> Script {
    let reply = |text: &'static str| move |to: &&str| ((*to).to_owned(), text.to_owned());
    let gone = gone.iter().map(reply("550 5.1.1 no such user"));
    Script {
        recipients: gone
            .chain(grey.iter().map(reply("450 4.2.0 come again")))
            .collect(),
        ..Script::default()
    }
}

/// Rows A6, A7.
#[test]
fn a_backup_asks_the_primary_for_recipients_and_remembers_what_it_said() {
    let primary = Sink::with(knows(&["gone@example.net"], &["grey@example.net"]));
    let resolver = Resolver::anywhere(|_| None);
    let mut smarthost = run(server(
        &primary.nexthop(),
        &resolver,
        "restrictions = [\"permit_mynetworks\", \"reject_unauth_destination\", \"reject_unverified_recipient\"]",
    ));
    assert!(rcpt(&smarthost, "known@example.net").starts_with("250"));
    let gone = rcpt(&smarthost, "gone@example.net");
    assert!(
        gone.starts_with(
            "550 5.1.1 <gone@example.net>: Recipient address rejected: undeliverable address: "
        ) && gone.contains("no such user"),
        "{gone}"
    );
    let grey = rcpt(&smarthost, "grey@example.net");
    assert!(
        grey.starts_with(
            "450 4.1.1 <grey@example.net>: Recipient address rejected: unverified address: "
        ),
        "{grey}"
    );
    assert!(rcpt(&smarthost, "victim@elsewhere.example").contains("Relay access denied"));
    // It takes any other name, which is told.
    smarthost.daemon().wait_for_log("takes every name");
    assert!(status(&smarthost).contains("verification says nothing for example.net"));
    assert!(primary.journal().is_empty(), "nothing was ever sent");
    // What it said is known after a kill, whatever it would say now.
    primary.play(knows(&["known@example.net"], &[]));
    primary.hang_up();
    killed_with(&mut smarthost, "gone@example.net");
    assert!(rcpt(&smarthost, "gone@example.net").starts_with("550"));
    assert!(rcpt(&smarthost, "known@example.net").starts_with("250"));
}

/// Row A7: nobody has to switch anything.
#[test]
fn while_the_primary_is_down_who_is_known_gets_mail_and_when_it_is_back_everybody_is_asked_for_again()
 {
    let resolver = Resolver::anywhere(|_| None);
    let address = free_address();
    let primary = Sink::on(address, Script::default());
    let mut smarthost = run(server(
        &nexthop(address),
        &resolver,
        "restrictions = [\"reject_unauth_destination\", \"reject_unverified_recipient\"]\n\
         verify = { trouble = \"1s\" }\nretry = { minimal = \"1s\" }",
    ));
    assert!(rcpt(&smarthost, "known@example.net").starts_with("250"));
    drop(primary);
    until("the outage is noticed", || {
        let new = rcpt(&smarthost, "new@example.net");
        new.starts_with(
            "450 4.1.1 <new@example.net>: Recipient address rejected: unverified address: ",
        )
        .then_some(())
    });
    let mut session = Session::connect_from(STRANGER.parse().unwrap(), smarthost.address()).ehlo();
    session.delivers("a@ham.example", &["known@example.net"], MESSAGE);
    let alarm = status(&smarthost);
    assert!(
        alarm.contains("verification: ") && alarm.contains("does not answer since"),
        "{alarm}"
    );
    let back = Sink::on(address, Script::default());
    until_true("the next question is asked", || {
        rcpt(&smarthost, "new@example.net").starts_with("250")
    });
    assert!(!status(&smarthost).contains("does not answer since"));
    let log = smarthost.daemon().wait_for_log("answers again");
    assert_eq!(
        log.matches("does not answer:").count(),
        1,
        "told once\n{log}"
    );
    // What waited, and one mail for the administrators.
    let mails = back.journal().wait_for(2);
    let told = mails
        .iter()
        .filter(|mail| mail.text().contains("recipients cannot be verified"));
    assert_eq!(told.count(), 1);
}

/// A primary that refuses the backup itself says nothing of recipients.
#[test]
fn a_primary_that_refuses_us_is_an_outage_and_no_answer() {
    let primary = Sink::with(Script {
        answers: vec![("MAIL".to_owned(), "550 5.7.1 you are on a list".to_owned())],
        ..Script::default()
    });
    let resolver = Resolver::anywhere(|_| None);
    let settings = "restrictions = [\"reject_unauth_destination\", \"reject_unverified_recipient\"]\n\
                    verify = { outage = \"accept-all\" }";
    let smarthost = run(server(&primary.nexthop(), &resolver, settings));
    // What would be taken would be refused there.
    let waits = rcpt(&smarthost, "a@example.net");
    assert!(waits.starts_with("450"), "{waits}");
    let alarm = status(&smarthost);
    assert!(alarm.contains("refuses us since"), "{alarm}");

    // Silence is another thing.
    let nobody = format!("[127.0.0.1]:{}", free_address().port());
    let smarthost = run(server(&nobody, &resolver, settings));
    assert!(
        rcpt(&smarthost, "a@example.net").starts_with("250"),
        "accept-all"
    );
    let client: IpAddr = STRANGER.parse().unwrap();
    let mut session = Session::connect_from(client, smarthost.address()).ehlo();
    assert_eq!(
        session.say("MAIL FROM:<a@ham.example> SIZE=5000000").code,
        250
    );
    let large = session.say("RCPT TO:<b@example.net>");
    assert!(
        large.code == 450 && large.text().contains("only small mail"),
        "{large:?}"
    );
}
