//! The daily limit of each client: what it counts, whom it spares, and that nothing makes it
//! forget.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use tests::{
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

const MESSAGE: &[u8] = b"Subject: flood\r\n\r\nbuy now\r\n";

struct Setup {
    sink: Sink,
    smarthost: Smarthost,
    second_port: SocketAddr,
}

fn setup(limit: &str) -> Setup {
    let sink = Sink::start();
    let second_port = free_address();
    let mut smarthost = Smarthost::prepare("");
    let (first, nexthop) = (smarthost.address(), sink.nexthop());
    smarthost.configure(&format!(
        "networks = [\"127.0.0.0/8\"]\nlimits = {{ per_client = [\"{limit}\"], exempt = [\"127.0.0.9\"] }}\n\
         listen = [\"{first}\", \"{second_port}\"]\nrelayhost = \"{nexthop}\"\n"
    ));
    smarthost.run();
    Setup {
        sink,
        smarthost,
        second_port,
    }
}

/// Sends so many messages over one session and gives the codes of the replies.
fn send(client: &str, server: SocketAddr, count: usize) -> Vec<u16> {
    let client: IpAddr = client.parse().unwrap();
    let mut session = Session::connect_from(client, server).ehlo();
    (0..count)
        .map(|_| {
            session
                .mail("app@example.org", &["user@example.net"], MESSAGE)
                .unwrap()
                .code
        })
        .collect()
}

/// Row A4.
#[test]
fn the_hundred_and_first_message_of_a_day_waits_over_all_ports_and_after_kill_and_restart() {
    let Setup {
        sink,
        mut smarthost,
        second_port,
    } = setup("100/day");
    let mut codes = send("127.0.0.5", smarthost.address(), 60);
    codes.extend(send("127.0.0.5", second_port, 40));
    assert_eq!(codes, vec![250; 100]);

    let mut session =
        Session::connect_from("127.0.0.5".parse().unwrap(), smarthost.address()).ehlo();
    let refused = session
        .mail("app@example.org", &["user@example.net"], MESSAGE)
        .unwrap();
    assert_eq!(refused.code, 450, "{refused:?}");
    assert!(
        refused.text().starts_with("4.7.1 ")
            && refused.text().contains("too much mail from 127.0.0.5"),
        "{refused:?}"
    );

    smarthost.kill();
    smarthost.run();
    assert_eq!(
        send("127.0.0.5", second_port, 1),
        [450],
        "a restart is no amnesty"
    );
    assert_eq!(
        send("127.0.0.6", smarthost.address(), 1),
        [250],
        "another client has a budget of its own"
    );
    assert_eq!(
        send("127.0.0.9", smarthost.address(), 110),
        vec![250; 110],
        "an exempt client has none"
    );
    // The kill may repeat a delivery, never lose one.
    until("all 211 messages arrive", || {
        let ids: HashSet<_> = sink
            .journal()
            .messages()
            .iter()
            .flat_map(|message| message.fields("Message-ID"))
            .collect();
        (ids.len() == 211).then_some(())
    });
}

/// Row A4: the daemon dies in the moment in which it has said 250, each time after another number
/// of messages, so that each time another write would be the one that is lost.
#[test]
fn a_kill_at_the_very_moment_of_a_250_forgets_no_message() {
    let Setup {
        sink,
        mut smarthost,
        second_port,
    } = setup("100/day");
    let mut sent = 0;
    for part in [1, 2, 7, 13, 1, 26, 49, 1] {
        assert_eq!(
            send("127.0.0.5", smarthost.address(), part),
            vec![250; part],
            "after {sent} messages"
        );
        smarthost.kill();
        smarthost.run();
        sent += part;
    }
    assert_eq!(sent, 100);
    assert_eq!(send("127.0.0.5", second_port, 1), [450]);
    assert!(sink.journal().wait_for(sent).len() >= sent);
}

/// Row A4: many sessions at once, and the daemon dies while they send: whatever was answered 250 is
/// counted, so that all lives together allow no more than one did.
#[test]
fn a_kill_amid_many_sessions_gives_no_client_more_than_its_limit() {
    const KILLS: usize = 4;
    const SESSIONS: usize = 10;
    let Setup { mut smarthost, .. } = setup("100/day");
    let address = smarthost.address();
    let accepted = AtomicUsize::new(0);
    for kill in 1..=KILLS {
        thread::scope(|scope| {
            for _ in 0..SESSIONS {
                scope.spawn(|| send_to_the_end(address, &accepted));
            }
            until("messages are answered", || {
                (accepted.load(Ordering::Acquire) >= 12 * kill).then_some(())
            });
            smarthost.kill();
        });
        smarthost.run();
    }
    send_to_the_end(address, &accepted);
    let accepted = accepted.into_inner();
    assert!(accepted <= 100, "{accepted} messages were answered 250");
    // What was on its way at a kill may have been counted without an answer.
    assert!(
        accepted >= 100 - KILLS * SESSIONS,
        "only {accepted} messages were answered 250"
    );
}

/// Sends until the server refuses or is gone, and counts what it answered 250.
fn send_to_the_end(server: SocketAddr, accepted: &AtomicUsize) {
    let Ok(mut session) = Session::try_greeted(server) else {
        return;
    };
    while let Ok(reply) = session.mail("app@example.org", &["user@example.net"], MESSAGE) {
        if reply.code != 250 {
            return assert_eq!(reply.code, 450, "{reply:?}");
        }
        accepted.fetch_add(1, Ordering::AcqRel);
    }
}

/// Row A4: the administrator sees who is over the limit, and can let it go on.
#[test]
fn the_administrator_sees_and_resets_a_clients_count() {
    let Setup { smarthost, .. } = setup("3/day");
    assert_eq!(
        send("127.0.0.5", smarthost.address(), 4),
        [250, 250, 250, 450]
    );
    let listed = smarthost.admin(&["limits", "list"]);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        text.lines()
            .any(|line| line.contains("127.0.0.5") && line.contains('3')),
        "limits list:\n{text}"
    );
    assert!(
        smarthost
            .admin(&["limits", "reset", "127.0.0.5"])
            .status
            .success()
    );
    assert_eq!(
        send("127.0.0.5", smarthost.address(), 4),
        [250, 250, 250, 450]
    );
}

/// What is deferred, refused or given up costs a machine nothing of its day, and a kill changes
/// nothing about that.
#[test]
fn a_message_that_is_never_taken_does_not_use_up_the_day_of_its_machine() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::prepare("");
    smarthost.file("aliases", "broken: /nonexistent/mailbox\n");
    smarthost.configure(&format!(
        "networks = [\"127.0.0.0/8\"]\nlimits.per_client = \"3/day\"\nrelayhost = \"{}\"\n\
         domains.local = [\"example.org\"]\naliases = [\"$DIR/aliases\"]\nmessage_size = \"1KiB\"\n",
        sink.nexthop()
    ));
    smarthost.run();
    let client: IpAddr = "127.0.0.5".parse().unwrap();
    let large = [b"Subject: x\r\n\r\n", &[b'x'; 2000][..], b"\r\n"].concat();
    let trouble = |smarthost: &mut Smarthost, times: usize| {
        let mut session = Session::connect_from(client, smarthost.address()).ehlo();
        for _ in 0..5 {
            let deferred = session.mail("app@example.org", &["broken@example.org"], MESSAGE);
            assert_eq!(deferred.unwrap().code, 451);
            let too_large = session.mail("app@example.org", &["u@example.net"], &large);
            assert_eq!(too_large.unwrap().code, 552);
            assert_eq!(session.say("MAIL FROM:<app@example.org>").code, 250);
            assert_eq!(session.say("RSET").code, 250);
        }
        session.say("MAIL FROM:<app@example.org>");
        drop(session);
        // What was begun holds a place until the daemon has seen that its client is gone.
        let ended = "lost connection after MAIL";
        until_true("the session is over", || {
            smarthost.daemon().log().matches(ended).count() >= times
        });
    };
    trouble(&mut smarthost, 1);
    assert_eq!(send("127.0.0.5", smarthost.address(), 2), [250, 250]);
    trouble(&mut smarthost, 2);
    smarthost.kill();
    smarthost.run();
    assert_eq!(send("127.0.0.5", smarthost.address(), 2), [250, 450]);
    let listed = smarthost.admin(&["limits", "show", "127.0.0.5"]);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(text.contains("3 of 3 in a day"), "{text}");
}

#[test]
fn strangers_have_limits_of_their_own_and_recipients_can_be_counted() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::prepare("");
    smarthost.configure(&format!(
        "networks = [\"127.0.0.5\"]\nrelayhost = \"{}\"\ndomains.relay = [\"example.net\"]\n\
         limits = {{ per_client = [\"100/day\", \"3 recipients/day\"], per_stranger = \"2/day\" }}\n",
        sink.nexthop()
    ));
    smarthost.run();
    assert_eq!(send("127.0.0.8", smarthost.address(), 3), [250, 250, 450]);
    assert_eq!(
        send("127.0.0.9", smarthost.address(), 1),
        [250],
        "another one"
    );
    let mut session =
        Session::connect_from("127.0.0.5".parse().unwrap(), smarthost.address()).ehlo();
    assert_eq!(session.say("MAIL FROM:<app@example.org>").code, 250);
    let codes: Vec<u16> = (0..5)
        .map(|n| session.say(&format!("RCPT TO:<u{n}@example.net>")).code)
        .collect();
    assert_eq!(
        codes,
        [250, 250, 250, 450, 450],
        "the rest waits at the client"
    );
    assert_eq!(session.say("DATA").code, 354);
    session.send(MESSAGE).unwrap();
    assert_eq!(session.say(".").code, 250);
    assert_eq!(session.say("MAIL FROM:<app@example.org>").code, 450);
    // An order for a stranger is taken back under the name that the listing shows.
    assert!(
        smarthost
            .admin(&["limits", "raise", "127.0.0.8", "5"])
            .status
            .success()
    );
    assert_eq!(
        send("127.0.0.8", smarthost.address(), 4),
        [250, 250, 250, 450]
    );
    let refused = smarthost.admin(&["limits", "show", "10.0.0.0/8"]);
    assert!(!refused.status.success(), "{refused:?}");
}

#[test]
fn that_a_session_is_ended_for_its_errors_is_in_the_log_however_many_lines_came_before() {
    let mut smarthost = Smarthost::start("");
    let mut session = Session::greeted(smarthost.address());
    // The last is answered with the end.
    let replies = std::iter::repeat_with(|| session.say("WHAT").code);
    let errors = replies.take_while(|code| *code == 500).count();
    assert_eq!(errors, 20);
    smarthost
        .daemon()
        .wait_for_log("too many errors after UNKNOWN from unknown[127.0.0.1]");
}
