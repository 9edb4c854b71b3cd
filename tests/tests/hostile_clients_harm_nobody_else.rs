//! Clients that flood, stall or confuse the smarthost: the others are served, memory stays bounded,
//! and no state leaks into the next message.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, TcpStream},
    os::unix::net::UnixStream,
    thread,
};

use tests::{session::Session, sink::Sink, smarthost::Smarthost};

const HOSTILE: &str = "127.0.0.66";
const MODEST: &str = "127.0.0.7";
const MESSAGE: &[u8] = b"Subject: x\r\n\r\nx\r\n";
const ENVELOPE: &str = "EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n";

fn smarthost(sink: &Sink, more: &str) -> Smarthost {
    Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nlimits = {{ exempt = [\"127.0.0.0/8\"] }}\n\
         forbid_unauth_pipelining = false\n{more}",
        sink.nexthop()
    ))
}

fn from(client: &str, smarthost: &Smarthost) -> Session {
    let client: IpAddr = client.parse().unwrap();
    Session::connect_from(client, smarthost.address())
}

fn succeeds(smarthost: &Smarthost) {
    let mut session = from(MODEST, smarthost).ehlo();
    let reply = session.mail("a@example.org", &["b@example.net"], MESSAGE);
    assert_eq!(reply.unwrap().code, 250);
}

#[test]
fn a_client_that_opens_sessions_and_leaves_each_in_another_state_keeps_nobody_out() {
    let sink = Sink::start();
    let mut smarthost = smarthost(&sink, "");
    let many_noops = "NOOP\r\n".repeat(20_000);
    let long_line = "x".repeat(2_000_000);
    let endless_header = format!("{ENVELOPE}DATA\r\n{}", "x: y\r\n".repeat(200_000));
    let half_a_chunk = format!("{ENVELOPE}BDAT 40000000\r\n{}", "x".repeat(1_000_000));
    let states = [
        "",
        "EHL",
        "STARTTLS\r\nthis is no handshake, and none follows\r\n",
        &many_noops,
        &long_line,
        &endless_header,
        &half_a_chunk,
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    let mut kept = Vec::new();
    for state in states.iter().cycle().take(120) {
        let mut session = from(HOSTILE, &smarthost);
        // The server may have closed meanwhile; that is its right.
        let _ = session.try_reply();
        let _ = session.send(state.as_bytes());
        kept.push(session);
    }
    succeeds(&smarthost);
    sink.journal().wait_for(1);
    let peak = smarthost.daemon().peak_memory();
    assert!(peak < 96, "{peak} MiB for one hostile client");
    drop(kept);
    succeeds(&smarthost);
}

/// Postfix kept a history of BDAT commands that filled its memory.
#[test]
fn a_hundred_thousand_chunks_of_one_byte_keep_memory_flat() {
    let sink = Sink::start();
    let mut smarthost = smarthost(&sink, "");
    succeeds(&smarthost);
    let before = smarthost.daemon().peak_memory();
    let mut session = from(HOSTILE, &smarthost).ehlo();
    for command in ["MAIL FROM:<a@example.org>", "RCPT TO:<b@example.net>"] {
        assert_eq!(session.say(command).code, 250);
    }
    assert_eq!(session.say("BDAT 7\r\nx:y\r\n").code, 250, "header");
    let batch = "BDAT 1\r\nx".repeat(500);
    for _ in 0..200 {
        session.send(batch.as_bytes()).unwrap();
        for _ in 0..500 {
            assert_eq!(session.reply().code, 250);
        }
    }
    assert_eq!(session.say("BDAT 0 LAST").code, 250);
    let message = sink.journal().wait_for(2).pop().unwrap();
    let body = message.body().replace("=\r\n", "");
    assert!(body.contains(&"x".repeat(900)));
    let grown = smarthost.daemon().peak_memory() - before;
    assert!(grown < 16, "{grown} MiB for 100 kB of chunks");
}

/// What other servers got wrong in 2026: a state that outlives the transaction it belongs to.
#[test]
fn after_a_failed_chunk_or_a_refused_message_nothing_of_the_transaction_is_left() {
    let sink = Sink::start();
    let smarthost = smarthost(&sink, "message_size = \"8KiB\"\n");
    let mut session = from(HOSTILE, &smarthost).ehlo();
    let begin = |session: &mut Session| {
        assert_eq!(session.say("MAIL FROM:<a@example.org>").code, 250);
        assert_eq!(session.say("RCPT TO:<b@example.net>").code, 250);
    };

    begin(&mut session);
    assert_eq!(session.say("BDAT many").code, 501);
    // Nobody knows what would follow.
    assert!(session.try_reply().is_err());
    let mut session = from(HOSTILE, &smarthost).ehlo();

    begin(&mut session);
    assert_eq!(session.say("DATA").code, 354);
    let big = format!("{}\r\n.", "x".repeat(900)).repeat(10);
    assert_eq!(session.say(&big.replace("\r\n.x", "\r\nx")).code, 552);
    assert_eq!(session.say("RCPT TO:<b@example.net>").code, 503);
    assert_eq!(session.say("DATA").code, 503);

    begin(&mut session);
    assert_eq!(session.say("DATA").code, 354);
    let looping = "Received: from a by b; Sun, 22 Nov 2026 00:00:00 +0000\r\n".repeat(60);
    let reply = session.say(&format!("{looping}\r\nx\r\n."));
    assert!(reply.code >= 500, "{reply:?}");
    assert_eq!(session.say("RCPT TO:<b@example.net>").code, 503);

    assert!(session.say("VRFY \u{fc}@example.net").code < 600);
    assert_eq!(session.say("DATA").code, 503);
    let reply = session.mail("a@example.org", &["b@example.net"], MESSAGE);
    assert_eq!(reply.unwrap().code, 250, "the session is still good");
    sink.journal().wait_for(1);
}

/// A session that closes in the middle leaves neither mail nor files behind.
#[test]
fn a_client_that_closes_at_any_byte_leaves_nothing_behind() {
    let sink = Sink::start();
    let smarthost = smarthost(&sink, "");
    let whole = format!("{ENVELOPE}DATA\r\nSubject: x\r\n\r\nhalf a message\r\n.\r");
    for end in 0..whole.len() {
        let mut stream = TcpStream::connect(smarthost.address()).unwrap();
        let mut greeting = [0; 100];
        assert!(stream.read(&mut greeting).unwrap() > 0);
        stream.write_all(&whole.as_bytes()[..end]).unwrap();
    }
    succeeds(&smarthost);
    assert_eq!(sink.journal().wait_for(1).len(), 1);
    smarthost.wait_for_mailq("nothing", |listing| listing.contains("Mail queue is empty"));
    let bodies = fs::read_dir(smarthost.directory().join("spool/bodies")).unwrap();
    assert_eq!(bodies.count(), 0);
}

/// Idle strangers hold every place that strangers may have: clients in `networks` find theirs, and
/// the strangers are hurried.
#[test]
fn strangers_who_do_nothing_keep_no_client_of_ours_out_and_their_refusal_is_logged() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::start(&format!(
        "networks = [\"{MODEST}\"]\nrelayhost = \"{}\"\nconcurrency = {{ sessions = 8, client = 2 }}\n",
        sink.nexthop()
    ));
    let stranger = |n: usize| from(&format!("127.0.1.{n}"), &smarthost);
    let mut idle: Vec<_> = (1..=6).map(stranger).collect();
    for session in &mut idle {
        assert_eq!(session.reply().code, 220);
    }
    let mut refused = stranger(7);
    assert_eq!(refused.reply().code, 421);
    succeeds(&smarthost);
    let log = smarthost
        .daemon()
        .wait_for_log("NOQUEUE: reject: CONNECT from unknown[127.0.1.7]: 421 4.3.2 ");
    assert!(!log.contains("CONNECT from unknown[127.0.0.7]"), "{log}");
    // Long before the five minutes of quiet times.
    assert_eq!(idle[0].reply().code, 421);
    drop(idle);
}

#[test]
fn a_client_that_said_quit_finds_its_place_free_at_once() {
    let sink = Sink::start();
    let smarthost = smarthost(&sink, "concurrency = { client = 1 }\n");
    let mut closed = Vec::new();
    for _ in 0..50 {
        let mut session = from(MODEST, &smarthost).ehlo();
        assert_eq!(session.say("QUIT").code, 221);
        // The connection is still open on this side.
        closed.push(session);
    }
}

#[test]
fn commands_sent_ahead_where_that_is_forbidden_end_the_session_of_strangers_and_if_wished_not_of_ours()
 {
    let sink = Sink::start();
    let smarthost = Smarthost::start(&format!(
        "networks = [\"{MODEST}\"]\nrelayhost = \"{}\"\nforbid_unauth_pipelining = false\n\
         domains.relay = [\"example.net\"]\n",
        sink.nexthop()
    ));
    let last = |client: &str| {
        let mut session = from(client, &smarthost);
        assert_eq!(session.reply().code, 220);
        session.send(ENVELOPE.as_bytes()).unwrap();
        let mut codes = Vec::new();
        while codes.len() < 3 {
            match session.try_reply() {
                Ok(reply) => codes.push(reply.code),
                Err(_) => break,
            }
        }
        codes
    };
    assert_eq!(last(HOSTILE), [554]);
    assert_eq!(last(MODEST), [250, 250, 250]);
}

/// A client in a loop is told in some lines and counted in the others.
#[test]
fn a_client_that_is_refused_without_end_does_not_fill_the_log() {
    let sink = Sink::start();
    let mut smarthost = smarthost(&sink, "");
    thread::scope(|all| {
        for _ in 0..10 {
            all.spawn(|| {
                let mut session = from(HOSTILE, &smarthost).ehlo();
                for _ in 0..19 {
                    assert_eq!(session.say("EXPN x").code, 502);
                }
                session.say("QUIT");
            });
        }
    });
    let log = smarthost.daemon().log();
    let told = log.matches("reject: EXPN from unknown[127.0.0.66]").count();
    assert_eq!(told, 20, "{log}");
    assert!(log.contains("messages=0 refused=19"), "{log}");
}

#[test]
fn a_stranger_who_talks_before_the_greeting_is_refused_and_clients_of_ours_are_never_watched() {
    let sink = Sink::start();
    let start = |wait: &str| {
        Smarthost::start(&format!(
            "networks = [\"{MODEST}\"]\nrelayhost = \"{}\"\ngreet_wait = \"{wait}\"\n",
            sink.nexthop()
        ))
    };
    let mut smarthost = start("3s");
    for talk in ["EHLO x\r\n", "E", "GET / HTTP/1.1\r\n"] {
        let mut early = from(HOSTILE, &smarthost);
        early.send(talk.as_bytes()).unwrap();
        assert_eq!(early.reply().code, 521, "{talk}");
        assert!(early.line().is_err(), "closed");
    }
    smarthost
        .daemon()
        .wait_for_log("NOQUEUE: reject: CONNECT from unknown[127.0.0.66]: 521");
    let mut patient = from(HOSTILE, &smarthost).ehlo();
    assert_eq!(patient.say("QUIT").code, 221);
    assert!(!smarthost.daemon().log().contains("timeout after"));
    let at_once = |client: &str, smarthost: &Smarthost| {
        let mut session = from(client, smarthost);
        session.send(b"EHLO x\r\n").unwrap();
        assert_eq!(session.reply().code, 220, "{client}");
        assert_eq!(session.reply().code, 250, "{client}");
    };
    at_once(MODEST, &smarthost);
    at_once(HOSTILE, &start("0s"));
}

/// Connections to the administrators' socket that ask nothing, or not to the end.
#[test]
fn whoever_opens_the_control_socket_and_asks_nothing_keeps_no_administrator_waiting() {
    let sink = Sink::start();
    let smarthost = smarthost(&sink, "");
    let socket = smarthost.directory().join("control.sock");
    let begun: [&[u8]; 3] = [b"", b"{", b"{\"list\": "];
    let mut open = Vec::new();
    for part in begun.iter().cycle().take(500) {
        let mut stream = UnixStream::connect(&socket).unwrap();
        // The daemon may have closed it for the next one.
        let _ = stream.write_all(part);
        open.push(stream);
        if open.len() % 100 == 0 {
            let status = smarthost.admin(&["status"]);
            assert!(status.status.success(), "{status:?}");
        }
    }
    assert!(smarthost.admin(&["queue", "list"]).status.success());
}
