//! Connections in both directions: how many one client may have, and how few a next hop sees.

use std::net::IpAddr;

use rustix::process::Signal;
use tests::{
    agent::{Agent, CRON, CRON_ARGUMENTS},
    session::Session,
    sink::{Fault, Received, Script, Sink},
    smarthost::Smarthost,
    wait::{until, until_true},
};

const MESSAGE: &[u8] = b"Subject: test\r\n\r\ntext\r\n";

#[test]
fn one_client_cannot_take_all_sessions() {
    let smarthost = Smarthost::start(
        "networks = [\"127.0.0.0/8\"]\nconcurrency = { client = 2, sessions = 3 }\n",
    );
    let from = |address: &str| {
        let address: IpAddr = address.parse().unwrap();
        Session::connect_from(address, smarthost.address())
    };
    let (first, second) = (from("127.0.0.7").ehlo(), from("127.0.0.7").ehlo());
    let refused = from("127.0.0.7").reply();
    assert_eq!(
        (refused.code, refused.text()),
        (
            421,
            "4.7.0 mail.example.test Error: too many connections from 127.0.0.7".to_owned()
        )
    );
    let third = from("127.0.0.8").ehlo();
    assert_eq!(
        from("127.0.0.6").reply().code,
        421,
        "three sessions altogether"
    );
    drop((first, second, third));
}

#[test]
fn many_messages_to_one_relay_share_few_connections() {
    let sink = Sink::start();
    let smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nconcurrency = {{ destination = 2 }}\n",
        sink.nexthop()
    ));
    let mut session = Session::greeted(smarthost.address());
    for _ in 0..30 {
        session.delivers("a@example.org", &["b@example.net"], MESSAGE);
    }
    sink.journal().wait_for(30);
    assert!(
        sink.connections() <= 2,
        "{} connections for 30 messages",
        sink.connections()
    );
}

/// Postfix' bounce in our words: the sender learns who refused whom, and why, in the relay's words.
#[test]
fn a_refused_recipient_bounces_to_the_sender_and_the_others_get_the_mail() {
    let sink = Sink::with(Script {
        recipients: vec![(
            "gone@example.net".to_owned(),
            "550 5.1.1 no such user here".to_owned(),
        )],
        ..Script::default()
    });
    let smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nmaildir = \"$DIR/Maildir\"\ndomains = {{ local = [\"example.org\"] }}\n",
        sink.nexthop()
    ));
    let mut session = Session::greeted(smarthost.address());
    let reply = session
        .mail(
            "www@example.org",
            &["gone@example.net", "there@example.net"],
            MESSAGE,
        )
        .unwrap();
    assert_eq!(reply.code, 250);
    let received = sink.journal().wait_for(1).remove(0);
    assert_eq!(received.recipients, ["there@example.net"]);
    let bounce = until("the bounce is delivered", || {
        smarthost.maildir("Maildir").pop()
    });
    for part in [
        "Return-Path: <>\n",
        "Delivered-To: www@example.org\n",
        "multipart/report",
        "Final-Recipient: rfc822; gone@example.net",
        "Diagnostic-Code: smtp; 550 5.1.1 no such user here",
        "Subject: test",
    ] {
        assert!(bounce.contains(part), "{part} is missing in:\n{bounce}");
    }
    smarthost.wait_for_mailq("nothing", |listing| listing.contains("Mail queue is empty"));
}

/// A peer that ends an idle connection may speak at the very moment when the next message begins;
/// the reply is about no mail.
#[test]
fn the_last_words_of_a_kept_connection_bounce_nobodys_mail() {
    for farewell in [
        "554 5.4.2 idle too long, closing",
        "550 5.1.1 who are you?",
        "421 4.4.2 timeout",
        "250 2.0.0 still there",
        "",
    ] {
        let sink = Sink::with(Script {
            farewell: Some(farewell.to_owned()),
            ..Script::default()
        });
        let mut smarthost = Smarthost::start(&format!(
            "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\n",
            sink.nexthop()
        ));
        let mut machine = Agent::start(&format!(
            "relayhost = \"{}\"\ntls = \"none\"\n",
            sink.nexthop()
        ));
        let mut session = Session::greeted(smarthost.address());
        for sent in [2, 4, 6] {
            session.delivers("a@example.org", &["b@example.net"], MESSAGE);
            machine.send(&CRON_ARGUMENTS, CRON);
            sink.journal().wait_for(sent);
        }
        for log in [smarthost.daemon().log(), machine.daemon().log()] {
            assert!(
                !log.contains("status=bounced") && !log.contains("status=deferred"),
                "{farewell}: {log}"
            );
        }
    }
}

/// Greylisting, rate limits and counts of unknown users see each message once, whether the
/// connection is a new one or not.
#[test]
fn what_a_next_hop_says_over_a_kept_connection_is_not_asked_for_again() {
    for refusal in ["450 4.2.0 greylisted", "550 5.1.1 nobody of that name"] {
        let sink = Sink::with(Script {
            recipients: vec![("later@example.net".to_owned(), refusal.to_owned())],
            ..Script::default()
        });
        let mut machine = Agent::start(&format!(
            "relayhost = \"{}\"\ntls = \"none\"\n",
            sink.nexthop()
        ));
        machine.send(&["-f", "a@example.org", "b@example.net"], CRON);
        sink.journal().wait_for(1);
        // A bounce would be on a connection of its own.
        let later = ["-N", "never", "-f", "a@example.org", "later@example.net"];
        machine.send(&later, CRON);
        machine.daemon().wait_for_log(refusal);
        // The bounce may come before this one.
        machine.send(&["-f", "a@example.org", "c@example.net"], CRON);
        let arrived = |message: &Received| message.recipients == ["c@example.net"];
        until("the next message", || {
            sink.journal().messages().iter().any(arrived).then_some(())
        });
        let asked = sink.journal().times_asked_for("later@example.net");
        assert_eq!(asked, 1, "{refusal}");
    }
}

/// Whom to believe is asked anew after a reload: a connection made before it carries no mail after
/// it.
#[test]
fn after_a_reload_no_mail_goes_over_a_connection_of_before() {
    let sink = Sink::start();
    let relay = format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\n",
        sink.nexthop()
    );
    let mut smarthost = Smarthost::start(&relay);
    let mut session = Session::greeted(smarthost.address());
    session.delivers("a@example.org", &["b@example.net"], MESSAGE);
    sink.journal().wait_for(1);

    let pin = "9f".repeat(32);
    smarthost.configure(&format!(
        "{relay}relay_tls = {{ pins = [\"sha256:{pin}\"] }}\n"
    ));
    smarthost.daemon().signal(Signal::HUP);
    smarthost.daemon().wait_for_log("reloaded");
    session.delivers("a@example.org", &["b@example.net"], MESSAGE);
    smarthost.wait_for_mailq("that TLS is missing", |text| text.contains("TLS"));
    assert_eq!(sink.journal().len(), 1, "in clear text");
}

/// Services of one address are known by their ports: one that takes connections and says
/// nothing holds up its own mail, and not that of its neighbours.
#[test]
fn a_silent_service_holds_up_no_other_on_the_same_address() {
    let mute = |lmtp| {
        Sink::with(Script {
            lmtp,
            fault: Fault::Mute,
            ..Script::default()
        })
    };
    for lmtp in [true, false] {
        let (silent, healthy) = (
            mute(lmtp),
            Sink::with(Script {
                lmtp,
                ..Script::default()
            }),
        );
        let by = if lmtp { "lmtp:" } else { "" };
        let smarthost = Smarthost::start(&format!(
            "networks = [\"127.0.0.0/8\"]\nroutes = {{ \"lists.example\" = \"{by}{}\", \"h.example\" = \"{by}{}\" }}\n",
            silent.nexthop(),
            healthy.nexthop()
        ));
        let mut session = Session::greeted(smarthost.address());
        for number in 0..12 {
            let to = format!("u{number}@lists.example");
            session.delivers("a@example.org", &[&to], MESSAGE);
        }
        until_true("the silent one has all that it gets", || {
            silent.connections() >= 5
        });
        session.delivers("a@example.org", &["u@h.example"], MESSAGE);
        assert_eq!(healthy.journal().first().recipients, ["u@h.example"]);
        assert_eq!(silent.connections(), 5, "no more than its part");
    }
}
