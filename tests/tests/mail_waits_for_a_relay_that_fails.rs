//! A relay that is down, mute, rude or overloaded: the mail stays, its reason can be read, and it
//! arrives once when the relay is well again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tests::{
    agent::{Agent, CRON, CRON_ARGUMENTS},
    resolver::{Record, Resolver},
    session::Session,
    sink::{Fault, SILENCE, Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until_true},
};

const MESSAGE: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";

fn relay_to(nexthop: &str) -> Smarthost {
    let smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nlimits = {{ exempt = [\"127.0.0.0/8\"] }}\nrelayhost = \"{nexthop}\"\n"
    ));
    let reply = Session::greeted(smarthost.address())
        .mail("a@example.org", &["b@example.net"], MESSAGE)
        .unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    smarthost
}

fn machine_with(nexthop: &str) -> Agent {
    let machine = Agent::start(&format!("relayhost = \"{nexthop}\"\ntls = \"none\"\n"));
    machine.send(&CRON_ARGUMENTS, CRON);
    machine
}

/// What is said once the sender is named, 421 and "too many connections" with it, may be about that
/// mail alone, as 451 would be.
#[test]
fn a_message_that_the_relayhost_turns_away_holds_up_no_other() {
    const CROWD: &str = "421 4.7.0 too many connections from you";
    let said = |of: &str, reply: &str| vec![(of.to_owned(), reply.to_owned())];
    let to_recipient = |reply| Script {
        recipients: said("bad@example.net", reply),
        ..Script::default()
    };
    let to_sender = |reply| Script {
        answers: said("MAIL FROM:<bad@example.org>", reply),
        ..Script::default()
    };
    let to_message = |reply| Script {
        settled: said("bad@example.net", reply),
        ..Script::default()
    };
    for (script, reply) in [
        (
            to_sender("421 4.7.0 sender blocked"),
            "421 4.7.0 sender blocked",
        ),
        (to_sender(CROWD), CROWD),
        (to_recipient("421 4.3.2 bye"), "421 4.3.2 bye"),
        (to_recipient(CROWD), CROWD),
        (to_message(CROWD), CROWD),
    ] {
        let sink = Sink::with(script);
        let retry = "retry = { minimal = \"1h\", maximal = \"2h\" }";
        let smarthost = Smarthost::start(&format!(
            "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\n{retry}\n",
            sink.nexthop()
        ));
        let machine = Agent::start(&format!(
            "relayhost = \"{}\"\ntls = \"none\"\nfrom_override = true\n{retry}\n",
            sink.nexthop()
        ));
        let mut session = Session::greeted(smarthost.address());
        for number in 0..3 {
            for name in ["bad", "good"] {
                let from = format!("{name}@example.org");
                let to = format!("{name}@example.net");
                session.delivers(&from, &[&to], MESSAGE);
                machine.send(&["-f", &from, &to], "Subject: hello\n\nhello\n");
            }
            until_true("the mail of others goes", || {
                let all = sink.journal().messages();
                let good = all
                    .iter()
                    .filter(|it| it.recipients == ["good@example.net"]);
                good.count() == 2 * (number + 1)
            });
        }
        smarthost.wait_for_mailq("the reason", |text| text.contains(reply));
        machine.wait_for_mailq("the reason", |text| text.contains(reply));
    }
}

/// Silence at a recipient, or after a message, may be about that mail alone: it keeps no place from
/// others, although six of them are more than a machine has connections.
#[test]
fn messages_at_which_the_relayhost_falls_silent_hold_up_no_other() {
    let silence = vec![("bad@example.net".to_owned(), SILENCE.to_owned())];
    let at_recipient = Script {
        recipients: silence.clone(),
        ..Script::default()
    };
    let at_the_end = Script {
        settled: silence,
        ..Script::default()
    };
    for script in [at_recipient, at_the_end] {
        let sink = Sink::with(script);
        let smarthost = relay_to(&sink.nexthop());
        let machine = machine_with(&sink.nexthop());
        let mut session = Session::greeted(smarthost.address());
        let good = |count: usize| {
            until_true("the mail of others goes", || {
                let all = sink.journal().messages();
                let good = all
                    .iter()
                    .filter(|it| it.recipients == ["good@example.net"]);
                good.count() >= count
            });
        };
        for _ in 0..6 {
            session.delivers("a@example.org", &["bad@example.net"], MESSAGE);
            machine.send(&["bad@example.net"], "Subject: hello\n\nhello\n");
        }
        for number in 1..=4 {
            session.delivers("a@example.org", &["good@example.net"], MESSAGE);
            machine.send(&["good@example.net"], "Subject: hello\n\nhello\n");
            good(2 * number);
        }
    }
}

/// Whose connection is cut for others over which mail has gone before: that is about this message,
/// and the relayhost works.
#[test]
fn a_message_whose_kept_connection_is_cut_for_others_waits_alone() {
    let sink = Sink::with(Script {
        recipients: vec![("bad@example.net".to_owned(), SILENCE.to_owned())],
        ..Script::default()
    });
    let relayhost = sink.nexthop();
    let mut machine = Agent::start(&format!(
        "relayhost = \"{relayhost}\"\ntls = \"none\"\nconnections = 1\n"
    ));
    let send = |to| machine.send(&[to], "Subject: hello\n\nhello\n");
    send("good@example.net");
    sink.journal().wait_for(1);
    send("bad@example.net");
    send("good@example.net");
    sink.journal().wait_for(2);
    machine.wait_for_mailq("its own reason", |text| {
        text.contains("timed out early, for other mail waited")
    });
    let log = machine.daemon().log();
    assert!(!log.contains("the relayhost cannot be used"), "{log}");
}

/// Row C7.
#[test]
fn too_many_connections_says_the_provider_and_the_queue_shows_it_and_keeps_the_mail() {
    let greeting =
        "421 4.7.0 sink.example.test Error: too many connections from your address".to_owned();
    let sink = Sink::with(Script {
        greeting,
        ..Script::default()
    });
    let smarthost = relay_to(&sink.nexthop());
    smarthost.wait_for_mailq("the provider's words", |text| {
        text.contains("421") && text.contains("too many connections")
    });
    assert!(sink.connections() < 5, "the queue backs off");

    sink.play(Script::default());
    assert!(smarthost.admin(&["queue", "flush"]).status.success());
    assert_eq!(sink.journal().first().recipients, ["b@example.net"]);
    smarthost.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
}

/// Row C7, on the machine.
#[test]
fn the_machine_too_keeps_what_its_relay_defers() {
    let greeting = "421 4.7.0 too many connections".to_owned();
    let sink = Sink::with(Script {
        greeting,
        ..Script::default()
    });
    let machine = machine_with(&sink.nexthop());
    machine.wait_for_mailq("the relay's words", |text| {
        text.contains("too many connections")
    });
    sink.play(Script::default());
    assert!(machine.sendmail(&["-q"], "").status.success());
    sink.journal().wait_for(1);
    machine.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
}

#[test]
fn mail_waits_for_a_relay_that_is_down() {
    let address = free_address();
    let smarthost = relay_to(&nexthop(address));
    let machine = machine_with(&nexthop(address));
    smarthost.wait_for_mailq("that nobody listens", |text| text.contains("refused"));
    machine.wait_for_mailq("that nobody listens", |text| text.contains("refused"));

    let sink = Sink::on(address, Script::default());
    assert!(smarthost.admin(&["queue", "flush"]).status.success());
    assert!(machine.sendmail(&["-q"], "").status.success());
    assert_eq!(sink.journal().wait_for(2).len(), 2);
    until_true("both queues are empty", || {
        [smarthost.mailq(), machine.mailq()]
            .iter()
            .all(|text| text.contains("Mail queue is empty"))
    });
}

#[test]
fn mail_waits_for_a_relay_that_answers_garbage() {
    let sink = Sink::with(Script {
        fault: Fault::Garbage,
        ..Script::default()
    });
    let (smarthost, machine) = (relay_to(&sink.nexthop()), machine_with(&sink.nexthop()));
    for listing in [
        smarthost.wait_for_mailq("a reason", |text| {
            text.contains("127.0.0.1") && text.contains('(')
        }),
        machine.wait_for_mailq("a reason", |text| {
            text.contains("127.0.0.1") && text.contains('(')
        }),
    ] {
        assert!(
            listing
                .bytes()
                .all(|b| b == b'\n' || (b' '..=b'~').contains(&b)),
            "the relay's bytes must not reach the terminal: {listing:?}"
        );
    }
}

#[test]
fn mail_waits_for_a_mute_relay_and_nobody_is_kept_waiting() {
    let sink = Sink::with(Script {
        fault: Fault::Mute,
        ..Script::default()
    });
    // Both return at once, though the relay will never answer; the mail is theirs.
    let (smarthost, machine) = (relay_to(&sink.nexthop()), machine_with(&sink.nexthop()));
    until_true("both have called the relay", || sink.connections() >= 2);
    assert!(smarthost.mailq().contains("b@example.net"));
    assert!(machine.mailq().contains("root@"));
}

/// Every byte at which a relay may close: before the 250 the mail is kept, and nothing is ever lost
/// or shown as delivered.
#[test]
fn a_relay_that_closes_at_any_byte_loses_nothing() {
    let sink = Sink::with(Script {
        fault: Fault::CloseAfterReading(1),
        ..Script::default()
    });
    let smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nlimits = {{ exempt = [\"127.0.0.0/8\"] }}\nrelayhost = \"{}\"\n",
        sink.nexthop()
    ));
    let reply = Session::greeted(smarthost.address())
        .mail("a@example.org", &["b@example.net"], MESSAGE)
        .unwrap();
    assert_eq!(reply.code, 250);
    let faults = (1..400)
        .step_by(13)
        .map(Fault::CloseAfterReading)
        .chain((1..360).step_by(11).map(Fault::CloseAfterWriting));
    for fault in faults {
        let before = sink.connections();
        sink.play(Script {
            fault,
            ..Script::default()
        });
        let empty = || smarthost.mailq().contains("Mail queue is empty");
        until_true("the message is tried again", || {
            assert!(smarthost.admin(&["queue", "flush"]).status.success());
            sink.connections() > before || empty()
        });
        if let Fault::CloseAfterReading(_) = fault {
            assert!(!empty(), "{fault:?}");
        } else if empty() {
            break;
        }
    }
    sink.play(Script::default());
    until_true("the message is delivered", || {
        let _ = smarthost.admin(&["queue", "flush"]);
        smarthost.mailq().contains("Mail queue is empty")
    });
    assert!(!sink.journal().is_empty());
}

/// Addresses that no connection can be made to (link-local, multicast, none at all) are dead hosts;
/// and the sixth host has its turn.
#[test]
fn all_hosts_of_a_relayhost_are_tried_whatever_the_others_are() {
    let busy = Script {
        answers: vec![("RCPT".to_owned(), "451 4.3.0 busy".to_owned())],
        ..Script::default()
    };
    let port = free_address().port();
    let on = |last: u8, script: &Script| Sink::on(([127, 0, 0, last], port).into(), script.clone());
    let well = on(7, &Script::default());
    let _busy: Vec<Sink> = (1..7).map(|last| on(last, &busy)).collect();
    let resolver = Resolver::anywhere(|name| {
        let busy = [
            "127.0.0.1",
            "127.0.0.2",
            "127.0.0.3",
            "127.0.0.4",
            "127.0.0.5",
            "127.0.0.6",
        ];
        let unusable = ["fe80::1", "ff02::1", "255.255.255.255", "::"];
        let hosts = match name {
            "many.example" => busy
                .iter()
                .chain(&["127.0.0.7"])
                .copied()
                .collect::<Vec<_>>(),
            "odd.example" => unusable.iter().chain(&["127.0.0.7"]).copied().collect(),
            _ => return None,
        };
        Some(hosts.into_iter().map(Record::Mx).collect())
    });
    for (count, domain) in [(1, "odd.example"), (2, "many.example")] {
        let smarthost = Smarthost::start(&format!(
            "networks = [\"127.0.0.0/8\"]\nresolver = \"{}\"\nrelayhost = \"{domain}:{port}\"\nrelay_tls = {{ level = \"none\" }}\n",
            resolver.address()
        ));
        Session::greeted(smarthost.address()).delivers(
            "a@example.org",
            &["b@example.net"],
            MESSAGE,
        );
        until_true("it is delivered", || {
            assert!(smarthost.admin(&["queue", "flush"]).status.success());
            well.journal().messages().len() == count
        });
    }
}

/// A relay that takes messages and says nothing to their last dot; whoever asks hears how many.
fn says_nothing_to_the_end() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, taken) = (
        listener.local_addr().unwrap(),
        Arc::new(AtomicUsize::new(0)),
    );
    let count = Arc::clone(&taken);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            let count = Arc::clone(&count);
            std::thread::spawn(move || {
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let mut content = false;
                let _ = stream.write_all(b"220 slow ESMTP\r\n");
                for line in lines.map_while(Result::ok) {
                    if content && line == "." {
                        count.fetch_add(1, Ordering::SeqCst);
                    } else if !content {
                        content = line == "DATA";
                        let reply = if content { "354 go\r\n" } else { "250 ok\r\n" };
                        let _ = stream.write_all(reply.as_bytes());
                    }
                }
            });
        }
    });
    (address, taken)
}

#[test]
fn a_first_relayhost_that_leaves_a_message_in_doubt_keeps_no_other_from_the_second() {
    let ((slow, taken), second) = (says_nothing_to_the_end(), Sink::start());
    let machine = Agent::start(&format!(
        "relayhost = [\"{}\", \"{}\"]\ntls = \"none\"\n",
        nexthop(slow),
        second.nexthop()
    ));
    for number in 0..12 {
        machine.send(&["b@example.net"], format!("Subject: {number}\n\ntext\n"));
    }
    // What is in doubt waits for its answer, everything else is there.
    until_true("all others are sent", || {
        let doubtful = taken.load(Ordering::SeqCst);
        doubtful > 0 && second.journal().len() + doubtful == 12
    });
    machine.send(&["b@example.net"], "Subject: late\n\ntext\n");
    until_true("later mail goes there at once", || {
        let messages = second.journal().messages();
        messages.iter().any(|it| it.field("Subject") == "late")
    });
}
