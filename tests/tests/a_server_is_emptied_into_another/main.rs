//! `smarthost drain`: what is queued moves to another server as it is, and each message is
//! delivered by one of the two.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod copies;
mod pair;
mod promises;

use std::{
    collections::BTreeSet,
    process::{Child, Stdio},
};

use serde_json::Value;
use tests::{
    http,
    identity::write,
    login::anybody,
    session::Session,
    sink::{Script, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until},
};

use pair::{Pair, balance, count, cutting, delivered_here, later, listed, send};

fn run(pair: &Pair) -> Child {
    let mut command = pair.old.command();
    let quiet = [Stdio::null(), Stdio::null(), Stdio::null()];
    let [input, output, errors] = quiet;
    command.args(pair.arguments()).stdin(input);
    command.stdout(output).stderr(errors).spawn().unwrap()
}

/// A bounce to one and to several, with wishes, and a body that is a file of its own.
fn send_some_of_each(smarthost: &Smarthost) {
    let mut session = Session::greeted(smarthost.address());
    for recipients in [1, 3] {
        assert_eq!(session.say("MAIL FROM:<> RET=HDRS ENVID=e1").code, 250);
        for number in 0..recipients {
            let rcpt = format!(
                "RCPT TO:<r{number}@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;was{number}@example.net"
            );
            assert_eq!(session.say(&rcpt).code, 250);
        }
        assert_eq!(session.say("DATA").code, 354);
        session.send(b"Subject: x\r\n\r\n..y\r\n.\r\n").unwrap();
        assert_eq!(session.reply().code, 250);
    }
    let body = format!("Subject: large\r\n\r\n{}", "line\r\n".repeat(60_000));
    session.delivers("a@example.org", &["b@example.net"], body.as_bytes());
}

/// Age, id, client, reasons, holds and wishes are the same there.
#[test]
fn queued_mail_moves_as_it_is() {
    let mut pair = Pair::start(later(), "");
    send_some_of_each(&pair.old);
    let before = until("all are deferred", || {
        let before = listed(&pair.old);
        let deferred = |line: &String| line.contains("later");
        (before.len() == 3 && before.iter().all(deferred)).then_some(before)
    });
    let first = before.first().unwrap();
    let id = serde_json::from_str::<Value>(first).unwrap()["queue_id"].clone();
    assert!(
        pair.old
            .admin(&["queue", "hold", id.as_str().unwrap()])
            .status
            .success()
    );
    let before = listed(&pair.old);
    let held = |lines: &BTreeSet<String>| lines.iter().filter(|it| it.contains("\"hold\"")).count();
    assert_eq!(held(&before), 1);

    let output = pair.drain();
    assert!(output.status.success(), "{output:?}");
    let balance = balance(&output);
    assert_eq!(
        ["came", "moved", "left"].map(|it| count(&balance, it)),
        [3, 3, 0]
    );
    assert!(pair.old.mailq().contains("Mail queue is empty"));
    assert_eq!(listed(&pair.new), before);
    pair.new.daemon().wait_for_log("moved from the queue of");
    pair.old.daemon().wait_for_log(", where it has the same id");

    let traced = |smarthost: &mut Smarthost, id: &str| {
        let log = smarthost.directory().join("log");
        write(&log, smarthost.daemon().log());
        let output = smarthost.admin(&["trace", id, "--log", log.to_str().unwrap()]);
        String::from_utf8(output.stdout).unwrap()
    };
    let told = traced(&mut pair.old, id.as_str().unwrap());
    assert!(told.contains(": moved to another server"), "{told}");
    let told = traced(&mut pair.new, id.as_str().unwrap());
    assert!(
        told.contains("moved from the queue of unknown[127.0.0.1]"),
        "{told}"
    );

    // Also after a restart; and the next hop hears the same wishes.
    pair.new.kill();
    pair.new.run();
    assert_eq!(listed(&pair.new), before);
    let extensions = vec!["DSN".to_owned(), "8BITMIME".to_owned()];
    pair.sink.play(Script {
        extensions,
        ..Script::default()
    });
    assert!(
        pair.new
            .admin(&["queue", "release", "--all"])
            .status
            .success()
    );
    assert!(pair.new.admin(&["queue", "flush"]).status.success());
    let arrived = pair.sink.journal().wait_for(3);
    let large = arrived
        .iter()
        .find(|it| it.field("subject") == "large")
        .unwrap();
    assert_eq!(large.body(), "line\r\n".repeat(60_000));
    let dotted = arrived
        .iter()
        .find(|it| it.field("subject") == "x")
        .unwrap();
    assert_eq!(dotted.body(), ".y\r\n");
    pair.new
        .wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
}

#[test]
fn a_server_that_is_emptied_takes_no_mail_until_that_is_stopped() {
    let mut pair = Pair::start(later(), "");
    send(&pair.old, 1);
    let mut before = Session::greeted(pair.old.address());
    assert!(pair.drain().status.success());
    let refused = Session::connect(pair.old.address()).reply();
    assert_eq!(refused.code, 421);
    assert!(
        refused.text().contains("is being emptied into"),
        "{refused:?}"
    );
    let pipelined = b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n";
    before.send(pipelined).unwrap();
    assert_eq!(before.reply().code, 421);
    let log = pair.old.daemon().log();
    let refused = log.matches("reject: MAIL from").count();
    assert_eq!(refused, log.matches(" reject: ").count() - 1, "{log}");
    let status = pair.old.admin(&["status"]);
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("1 came: 1 moved to"), "{status}");

    pair.old.kill();
    pair.old.run();
    assert_eq!(Session::connect(pair.old.address()).reply().code, 421);
    assert!(pair.old.admin(&["drain", "--stop"]).status.success());
    pair.sink.play(Script::default());
    send(&pair.old, 1);
    pair.sink.journal().wait_for(1);
}

/// 500 messages, and each of the servers is killed again and again while they move.
#[test]
fn each_message_is_delivered_once_however_often_either_server_is_killed() {
    const COUNT: usize = 500;
    let mut pair = Pair::start(later(), "");
    send(&pair.old, COUNT);
    let mut kills_in_the_middle = 0;
    for round in 0..8 {
        let mut command = run(&pair);
        let moved = |pair: &mut Pair| pair.new.daemon().log().matches("moved from").count();
        let seen = moved(&mut pair);
        until("some move", || {
            let all = listed(&pair.new).len() == COUNT;
            (moved(&mut pair) > seen + round * 7 || all).then_some(())
        });
        if round % 2 == 0 {
            pair.old.kill();
            pair.old.run();
        } else {
            pair.new.kill();
            pair.new.run();
        }
        kills_in_the_middle += usize::from(!pair.old.mailq().contains("is empty"));
        let _ = command.kill();
        command.wait().unwrap();
    }
    let output = pair.drain();
    assert!(output.status.success(), "{output:?}");
    let balance = balance(&output);
    let parts = ["came", "moved", "delivered", "bounced", "removed", "left"];
    assert_eq!(
        parts.map(|it| count(&balance, it)),
        [500, 500, 0, 0, 0, 0],
        "{balance}"
    );
    assert!(
        kills_in_the_middle > 1,
        "only {kills_in_the_middle} kills came in time"
    );
    assert_eq!(listed(&pair.new).len(), COUNT);
    pair.sink.play(Script::default());
    delivered_once(&pair, COUNT);
}

/// The next hop takes mail by now.
fn delivered_once(pair: &Pair, count: usize) {
    until("the queue is empty", || {
        // What is in delivery just now may still meet the next hop as it was.
        assert!(pair.new.admin(&["queue", "flush"]).status.success());
        pair.new
            .mailq()
            .contains("Mail queue is empty")
            .then_some(())
    });
    let messages = pair.sink.journal().messages();
    let subjects: BTreeSet<_> = messages.iter().map(|it| it.field("subject")).collect();
    assert_eq!((subjects.len(), messages.len()), (count, count));
}

/// An answer that was lost is given again, and means the same.
#[test]
fn each_message_is_delivered_once_wherever_connections_are_cut() {
    const COUNT: usize = 30;
    for replies in [true, false] {
        let mut pair = Pair::start(later(), "");
        send(&pair.old, COUNT);
        let to = nexthop(cutting(pair.new.address(), replies));
        let pin = pair.new.pin();
        let output = until("all have moved", || {
            let output = pair
                .old
                .admin(&["drain", "--json", "--to", &to, "--pin", &pin]);
            output.status.success().then_some(output)
        });
        let balance = balance(&output);
        assert_eq!(
            ["came", "moved", "left"].map(|it| count(&balance, it)),
            [30, 30, 0]
        );
        assert_eq!(listed(&pair.new).len(), COUNT);
        let log = pair.old.daemon().log();
        assert!(log.matches("warning: drain to").count() > 3, "{log}");
        pair.sink.play(Script::default());
        delivered_once(&pair, COUNT);
    }
}

/// What the other server has, and was not given, stays there on hold; what was given goes on there.
#[test]
fn a_drain_that_is_stopped_in_the_middle_delivers_each_message_once() {
    const COUNT: usize = 30;
    for replies in [true, false] {
        let pair = Pair::start(later(), "");
        send(&pair.old, COUNT);
        let to = nexthop(cutting(pair.new.address(), replies));
        let pin = pair.new.pin();
        let mut command = pair.old.command();
        command.args(["drain", "--to", &to, "--pin", &pin]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut command = command.spawn().unwrap();
        until("some are there", || {
            (!listed(&pair.new).is_empty()).then_some(())
        });
        assert!(pair.old.admin(&["drain", "--stop"]).status.success());
        command.wait().unwrap();
        pair.sink.play(Script::default());
        let held = |line: &String| line.contains("\"hold\"");
        until("all are delivered", || {
            for smarthost in [&pair.old, &pair.new] {
                assert!(smarthost.admin(&["queue", "flush"]).status.success());
            }
            let done = listed(&pair.old).is_empty() && listed(&pair.new).iter().all(held);
            done.then_some(())
        });
        let messages = pair.sink.journal().messages();
        let subjects: BTreeSet<_> = messages.iter().map(|it| it.field("subject")).collect();
        assert_eq!((subjects.len(), messages.len()), (COUNT, COUNT));
    }
}

#[test]
fn nothing_leaves_for_another_key_or_for_a_server_that_does_not_want_it() {
    let pair = Pair::start(later(), "");
    send(&pair.old, 1);
    let refused = |from: &Smarthost, to: &Smarthost| {
        let to = nexthop(to.address());
        let refused = from.admin(&["drain", "--to", &to, "--pin", &pair.old.pin()]);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        String::from_utf8(refused.stderr).unwrap()
    };
    let said = refused(&pair.old, &pair.new);
    assert!(said.contains("pin"), "{said}");
    // The other way round: the first server does not name the second.
    send(&pair.new, 1);
    let said = refused(&pair.new, &pair.old);
    assert!(said.contains("`drain_from`"), "{said}");
    // Both take mail and deliver it as before.
    send(&pair.old, 1);
    send(&pair.new, 1);
    assert_eq!((listed(&pair.old).len(), listed(&pair.new).len()), (2, 2));
}

#[test]
fn a_stranger_and_clear_text_cannot_move_mail() {
    let pair = Pair::start(later(), "");
    let unknown = |reply: tests::session::Reply| {
        assert_eq!(reply.code, 555, "{reply:?}");
    };
    let offered = |session: &mut Session| session.say("EHLO x").text().contains("XMOVE");
    // Named, but in clear text.
    let mut named = Session::greeted(pair.new.address());
    assert!(!offered(&mut named));
    unknown(named.say("MAIL FROM:<> XMOVE"));
    let mut named = Session::greeted(pair.new.address()).starttls(anybody());
    assert!(offered(&mut named));
    assert_eq!(named.say("MAIL FROM:<> XMOVE").code, 250);
    // Not named.
    let stranger = Session::connect_from([127, 0, 0, 2].into(), pair.new.address());
    let mut stranger = stranger.ehlo().starttls(anybody());
    assert!(!offered(&mut stranger));
    unknown(stranger.say("MAIL FROM:<> XMOVE"));
}

#[test]
fn what_the_other_server_finds_too_large_stays_with_that_reason() {
    let mut pair = Pair::start(later(), "message_size = \"500 KiB\"\n");
    send(&pair.old, 3);
    let mut session = Session::greeted(pair.old.address());
    let large = format!("Subject: large\r\n\r\n{}", "0123456789\r\n".repeat(100_000));
    session.delivers("a@example.org", &["b@example.net"], large.as_bytes());
    let output = pair.drain();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let balance = balance(&output);
    assert_eq!(
        ["came", "moved", "left"].map(|it| count(&balance, it)),
        [4, 3, 1]
    );
    let said = balance["refused"].to_string();
    assert!(said.contains("bytes are more than"), "{said}");
    pair.old.daemon().wait_for_log(": not moved to ");
    let status = pair.old.admin(&["status"]);
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("1 stays: its "), "{status}");
    // Mended there, it goes with the same command at once.
    let config = format!("{}drain_from = [\"127.0.0.1\"]\n", pair.config);
    pair.new.configure(&config);
    assert!(pair.new.admin(&["reload"]).status.success());
    let output = pair.drain();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(listed(&pair.new).len(), 4);
}

#[test]
fn what_stays_is_delivered_from_here_once_that_is_stopped() {
    let pair = Pair::start(later(), "message_size = \"500 KiB\"\n");
    let mut session = Session::greeted(pair.old.address());
    let large = format!("Subject: large\r\n\r\n{}", "0123456789\r\n".repeat(100_000));
    session.delivers("a@example.org", &["b@example.net"], large.as_bytes());
    assert_eq!(pair.drain().status.code(), Some(1));
    // It is delivered from here once that is stopped.
    pair.sink.play(Script::default());
    assert!(pair.old.admin(&["drain", "--stop"]).status.success());
    delivered_here(&pair);
}

/// Clients hear 421, so nothing that tells how it goes may say that all is well.
#[test]
fn a_server_that_was_emptied_says_everywhere_that_it_takes_no_mail() {
    let mut pair = Pair::start(Script::default(), "");
    let web = free_address();
    pair.old
        .configure(&format!("{}web = \"{web}\"\n", pair.config));
    pair.old.daemon().stop();
    pair.old.run();
    let ready = || http::get(web, "/health/ready").code;
    assert_eq!(ready(), 200);
    assert!(pair.drain().status.success());
    let to = nexthop(pair.new.address());
    let moves = format!("the queue moves to {to}");
    until("the page knows", || (ready() == 503).then_some(()));
    let told = http::get(web, "/health/ready").body;
    assert!(told.contains("\"drain\"") && !told.contains(&to), "{told}");
    let metrics = http::get(web, "/metrics").body;
    assert!(metrics.contains("\nsmarthost_ready 0"), "{metrics}");
    for command in [
        &["check"][..],
        &["status"],
        &["top", "--once"],
        &["explain", "b@example.net"],
    ] {
        let output = pair.old.admin(command);
        let told = [&output.stdout[..], &output.stderr[..]].concat();
        let told = String::from_utf8(told).unwrap();
        assert!(told.contains(&moves), "{command:?}: {told}");
        assert!(command != ["check"] || !output.status.success(), "{told}");
    }
    let client = ["explain", "--client", "127.0.0.1", "--to", "b@example.net"];
    let told = String::from_utf8(pair.old.admin(&client).stdout).unwrap();
    assert!(
        told.contains("refused: the client hears\n  421 4.3.2"),
        "{told}"
    );
    let token = String::from_utf8(pair.old.admin(&["web", "token"]).stdout).unwrap();
    let asked = format!(
        "GET / HTTP/1.1\r\nHost: {web}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        token.trim()
    );
    let page = http::raw(web, asked.as_bytes());
    assert!(
        page.contains("Takes no mail") && page.contains(&to),
        "{page}"
    );
    assert!(pair.old.admin(&["drain", "--stop"]).status.success());
    until("it is ready again", || (ready() == 200).then_some(()));
}
