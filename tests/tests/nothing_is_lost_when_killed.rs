//! kill -9 of either daemon at random moments under load: what was answered 250, or exit 0,
//! arrives. Counted.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    process::{Command, Output},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use mail::clock::{self, Timestamp};
use tests::{
    agent::Agent,
    luck::random,
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
    wait::{until, until_true},
};

/// How often the daemon is killed.
const KILLS: usize = 6;
/// Most messages that are acknowledged between two kills; the number is drawn anew each time.
const BETWEEN: usize = 40;
const SENDERS: usize = 4;

/// Names of acknowledged messages.
#[derive(Default)]
struct Acknowledged {
    names: Mutex<BTreeSet<String>>,
    count: AtomicUsize,
    enough: AtomicBool,
}

impl Acknowledged {
    fn add(&self, name: String) {
        self.names.lock().unwrap().insert(name);
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    fn is_enough(&self) -> bool {
        self.enough.load(Ordering::SeqCst)
    }

    fn wait_for_some_more(&self) {
        let target = self.count.load(Ordering::SeqCst) + 1 + random(BETWEEN);
        until_true("messages are acknowledged", || {
            self.count.load(Ordering::SeqCst) >= target
        });
    }
}

/// Senders send, each with its number, until `story` is over.
fn under_load<S>(
    acknowledged: &Acknowledged,
    send: impl Fn(&Acknowledged, usize) + Sync,
    story: impl FnOnce() -> S,
) -> S {
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            let send = &send;
            scope.spawn(move || send(acknowledged, sender));
        }
        let told = story();
        acknowledged.enough.store(true, Ordering::SeqCst);
        told
    })
}

/// Every acknowledged message is in the sink; says which are not. A crash may repeat a delivery,
/// and that is counted too.
fn all_arrive(sink: &Sink, acknowledged: &Acknowledged) {
    let names = acknowledged.names.lock().unwrap().clone();
    assert!(names.len() > KILLS, "the test has sent something");
    until_true(
        &format!("all {} acknowledged messages arrive", names.len()),
        || {
            let arrived: BTreeSet<_> = sink
                .journal()
                .messages()
                .iter()
                .map(|m| m.field("subject"))
                .collect();
            names.is_subset(&arrived)
        },
    );
}

#[test]
fn what_the_smarthost_answered_250_is_delivered_after_any_number_of_kills() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nlimits = {{ exempt = [\"127.0.0.0/8\"] }}\nrelayhost = \"{}\"\nretry = {{ minimal = \"1s\", maximal = \"2s\" }}\n",
        sink.nexthop()
    ));
    let (acknowledged, server) = (Acknowledged::default(), smarthost.address());
    under_load(&acknowledged, sessions_with(server), || {
        for _ in 0..KILLS {
            acknowledged.wait_for_some_more();
            smarthost.kill();
            smarthost.run();
        }
    });
    all_arrive(&sink, &acknowledged);
    smarthost.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
}

/// Messages of the client 127.0.0.1 as `smarthost limits` counts them.
fn counted(smarthost: &Smarthost) -> usize {
    let output = smarthost.admin(&["limits", "show", "127.0.0.1"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut words = text.split_whitespace();
    assert_eq!(words.next(), Some("127.0.0.1"), "{text}");
    words.next().unwrap().parse().unwrap()
}

/// Row A4. What is counted is written within 100 ms, and whenever an administrator changes
/// something: so there is a moment at which the test knows what must be on disk, while the load
/// goes on.
#[test]
fn a_client_does_not_get_its_messages_back_when_the_smarthost_is_killed() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nlimits = {{ per_client = [\"100000/day\"] }}\nrelayhost = \"{}\"\n",
        sink.nexthop()
    ));
    let server = smarthost.address();
    let mut before = 0;
    for kill in 0..3 {
        let acknowledged = Acknowledged::default();
        let certain = under_load(&acknowledged, sessions_with(server), || {
            acknowledged.wait_for_some_more();
            let certain = before + acknowledged.count.load(Ordering::SeqCst);
            let ordered = smarthost.admin(&["limits", "raise", "192.0.2.1", "7"]);
            assert!(ordered.status.success(), "{ordered:?}");
            smarthost.kill();
            certain
        });
        smarthost.run();
        let counted = counted(&smarthost);
        // Each sender may have had one message that was counted, and not yet answered.
        let most = before + acknowledged.count.load(Ordering::SeqCst) + SENDERS;
        assert!(
            (certain..=most).contains(&counted),
            "kill {kill}: {counted} counted, of {certain} to {most}"
        );
        before = counted;
    }
}

/// A relayhost that takes nothing now.
fn later() -> Sink {
    Sink::with(Script {
        answers: vec![("MAIL".to_owned(), "451 4.3.0 later".to_owned())],
        ..Script::default()
    })
}

#[test]
fn mail_that_was_returned_goes_back_when_the_daemon_is_killed_behind_the_answer() {
    let sink = later();
    let config = format!("relayhost = \"{}\"\n", sink.nexthop());
    let listed = |output: Output, what: &str| {
        let text = String::from_utf8(output.stdout).unwrap();
        text.matches(what).count()
    };
    let mut smarthost = Smarthost::start(&config);
    let mut session = Session::greeted(smarthost.address());
    for _ in 0..40 {
        session.delivers(
            "a@example.org",
            &["b@example.net"],
            b"Subject: x\r\n\r\nx\r\n",
        );
    }
    assert!(
        smarthost
            .admin(&["queue", "bounce", "--all"])
            .status
            .success()
    );
    smarthost.kill();
    smarthost.run();
    until_true("all go back", || {
        let list = || smarthost.admin(&["queue", "list"]);
        listed(list(), "b@example.net") == 0 && listed(list(), "a@example.org") >= 40
    });

    let mut machine = Agent::start(&format!(
        "{config}tls = \"none\"\ndomain = \"example.org\"\nadmin = \"a@example.org\"\n"
    ));
    for _ in 0..20 {
        machine.send(&["b@example.net"], "Subject: x\n\nx\n");
    }
    assert!(
        machine
            .admin(&["queue", "bounce", "--all"])
            .status
            .success()
    );
    machine.kill();
    machine.run();
    until_true("all go back", || {
        let list = || machine.admin(&["queue", "list"]);
        listed(list(), "b@example.net") == 0 && listed(list(), "a@example.org") >= 20
    });
}

/// What the relayhost has taken is recorded before the end, and not sent again.
#[test]
fn a_daemon_that_is_told_to_stop_when_the_relayhost_has_just_taken_a_message_sends_it_once() {
    let sink = Sink::start();
    let config = format!("relayhost = \"{}\"\n", sink.nexthop());
    let mut machine = Agent::prepare(&format!("{config}tls = \"none\"\n"));
    let mut smarthost = Smarthost::prepare(&config);
    for round in 1..=8 {
        machine.run();
        machine.send(&["b@example.net"], "Subject: x\n\nx\n");
        sink.journal().wait_for(2 * round - 1);
        machine.daemon().stop();
        smarthost.run();
        let mut session = Session::greeted(smarthost.address());
        session.delivers(
            "a@example.org",
            &["b@example.net"],
            b"Subject: x\r\n\r\nx\r\n",
        );
        sink.journal().wait_for(2 * round);
        smarthost.daemon().stop();
    }
    machine.run();
    smarthost.run();
    assert!(machine.mailq().contains("is empty") && smarthost.mailq().contains("is empty"));
    assert_eq!(sink.journal().len(), 16);
}

/// Waits until something that was recorded after that moment is on the daemon's disk; how late that
/// was, in milliseconds.
fn synced_after(moment: Timestamp, status: impl Fn() -> Output) -> u64 {
    until("what was recorded is on the disk", || {
        let status: serde_json::Value = serde_json::from_slice(&status().stdout).unwrap();
        let at = status["spool"]["last_sync"][0].as_u64();
        at.and_then(|at| at.checked_sub(moment.as_millis()))
    })
}

/// The next message is not needed for it: within a moment, nobody who pulls the plug makes a
/// message arrive twice.
#[test]
fn what_the_relayhost_has_taken_is_not_sent_again_when_the_daemon_is_killed_a_moment_later() {
    const STATUS: [&str; 2] = ["status", "--json"];
    let sink = Sink::start();
    let config = format!("relayhost = \"{}\"\n", sink.nexthop());
    let mut machine = Agent::start(&format!("{config}tls = \"none\"\n"));
    let mut smarthost = Smarthost::start(&config);
    let (mut least, mut least_there) = (u64::MAX, u64::MAX);
    for round in 1..=5 {
        machine.send(&["b@example.net"], "Subject: x\n\nx\n");
        sink.journal().wait_for(2 * round - 1);
        least = least.min(synced_after(clock::now(), || machine.admin(&STATUS)));
        machine.kill();
        machine.run();
        let mut session = Session::greeted(smarthost.address());
        session.delivers(
            "a@example.org",
            &["b@example.net"],
            b"Subject: x\r\n\r\nx\r\n",
        );
        sink.journal().wait_for(2 * round);
        least_there = least_there.min(synced_after(clock::now(), || smarthost.admin(&STATUS)));
        smarthost.kill();
        smarthost.run();
    }
    // A loaded machine is slower now and then, but not each time.
    assert!(
        least < 500 && least_there < 500,
        "{least} ms, {least_there} ms"
    );
    assert!(machine.mailq().contains("is empty") && smarthost.mailq().contains("is empty"));
    assert_eq!(sink.journal().len(), 10);
}

/// Session after session, each for as long as the server lives.
fn sessions_with(server: SocketAddr) -> impl Fn(&Acknowledged, usize) + Sync {
    move |acknowledged, sender| {
        let mut nth = 0;
        while !acknowledged.is_enough() {
            // A server that was killed refuses connections until it is back, and breaks those that
            // were open.
            let _ = Session::try_greeted(server)
                .map(|session| send_until_broken(session, sender, &mut nth, acknowledged));
        }
    }
}

fn send_until_broken(
    mut session: Session,
    sender: usize,
    nth: &mut usize,
    acknowledged: &Acknowledged,
) {
    while !acknowledged.is_enough() {
        *nth += 1;
        let name = format!("{sender}-{nth}");
        let message = format!("Subject: {name}\r\n\r\n{}\r\n", "x".repeat(random(3000)));
        match session.mail("a@example.org", &["b@example.net"], message.as_bytes()) {
            Ok(reply) if reply.code == 250 => acknowledged.add(name),
            Ok(_) | Err(_) => return,
        }
    }
}

#[test]
fn what_sendmail_took_with_exit_0_is_delivered_after_any_number_of_kills_of_the_agent() {
    let sink = Sink::start();
    let mut machine = Agent::start(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\nretry = {{ minimal = \"1s\", maximal = \"2s\" }}\n",
        sink.nexthop()
    ));
    let acknowledged = Acknowledged::default();
    let (config, sendmail) = (
        machine.config(),
        machine.program("sendmail").get_program().to_owned(),
    );
    let send = |acknowledged: &Acknowledged, sender| {
        for nth in 0.. {
            if acknowledged.is_enough() {
                return;
            }
            let name = format!("{sender}-{nth}");
            let mut command = Command::new(&sendmail);
            command
                .env("SENDMAIL_SHIM_CONFIG", &config)
                .args(["-i", "ops@example.net"]);
            let message = format!("Subject: {name}\n\nhello\n");
            let output = tests::agent::pipe(&mut command, message.as_bytes());
            // Anything else than 0 promises nothing.
            if output.status.success() {
                acknowledged.add(name);
            }
        }
    };
    under_load(&acknowledged, send, || {
        for _ in 0..KILLS {
            acknowledged.wait_for_some_more();
            machine.kill();
            machine.run();
        }
    });
    all_arrive(&sink, &acknowledged);
    machine.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
}
