//! What the command says holds: for whoever is inside a message, for orders meanwhile, and of what
//! stays.

use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tests::{
    session::Session,
    sink::{Script, nexthop},
    smarthost::Smarthost,
    wait::until,
};

use super::pair::{Gate, Pair, balance, count, delivered_here, later, listed, send};

/// Nothing that is said is missed.
fn started(mut command: Command) -> Child {
    command.spawn().unwrap()
}

fn status(smarthost: &Smarthost) -> String {
    String::from_utf8(smarthost.admin(&["status"]).stdout).unwrap()
}

#[test]
fn a_client_that_is_inside_a_message_is_waited_for_and_no_other_begins_one() {
    let pair = Pair::start(later(), "");
    send(&pair.old, 1);
    let inside = |more: &str| {
        let mut session = Session::greeted(pair.old.address());
        for line in ["MAIL FROM:<a@example.org>", "RCPT TO:<b@example.net>", more] {
            assert!(session.say(line).code < 400, "{line}");
        }
        session
    };
    let (mut before_data, mut at_data) = (inside("NOOP"), inside("DATA"));
    let mut another = Session::greeted(pair.old.address());
    assert_eq!(another.say("MAIL FROM:<a@example.org>").code, 250);
    at_data.send(b"Subject: late\r\n\r\nfirst\r\n").unwrap();

    let mut command = started(pair.drain_over(pair.new.address()));
    until("it is told who is waited for", || {
        let told = status(&pair.old);
        (told.contains("1 moved to") && told.contains("; 1 client is inside a message"))
            .then_some(())
    });
    assert!(command.try_wait().unwrap().is_none(), "it is not over");
    let refused = before_data.say("DATA");
    assert_eq!(refused.code, 421, "{refused:?}");
    assert!(refused.text().contains("is being emptied into"));
    assert_eq!(another.say("RCPT TO:<b@example.net>").code, 421);
    at_data.send(b"last\r\n.\r\n").unwrap();
    assert_eq!(at_data.reply().code, 250);

    let output = command.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let balance = balance(&output);
    let parts = ["came", "moved", "left", "inside"];
    assert_eq!(parts.map(|it| count(&balance, it)), [2, 2, 0, 0]);
    assert_eq!(listed(&pair.new).len(), 2);
    assert!(pair.old.mailq().contains("Mail queue is empty"));
}

/// A message is given up, and the other server has not heard of it: where the connection has to be
/// cut for that is learned from a message that moves before it. Those that follow meet silence.
fn given_up_and_not_known(pair: &Pair, gate: &Gate) -> Child {
    send(&pair.old, 1);
    let command = started(pair.drain_over(gate.address));
    gate.pass(u64::MAX);
    let all = gate.pass(u64::MAX);
    assert!(command.wait_with_output().unwrap().status.success());
    loop {
        assert!(pair.old.admin(&["drain", "--stop"]).status.success());
        send(&pair.old, 1);
        let mut command = started(pair.drain_over(gate.address));
        gate.pass(u64::MAX);
        // Each connection a little longer than the one before, which was cut too early.
        for before_the_end in (0..=220).rev().step_by(25) {
            gate.pass(all - before_the_end);
            let cut = until("it comes again, or is done", || {
                let cut = gate.has_come();
                (cut || command.try_wait().unwrap().is_some()).then_some(cut)
            });
            if !cut {
                // It had nothing to say any more.
                break;
            }
            if pair.old.mailq().contains("(it is on ") {
                return command;
            }
        }
        command.wait().unwrap();
    }
}

#[test]
fn no_order_keeps_a_message_on_hold_for_ever_that_the_other_server_has_already() {
    let mut pair = Pair::start(later(), "");
    let gate = Gate::before(pair.new.address());
    let command = given_up_and_not_known(&pair, &gate);
    let row: Value = serde_json::from_str(listed(&pair.old).first().unwrap()).unwrap();
    let id = row["queue_id"].as_str().unwrap();
    for order in ["delete", "bounce", "hold", "release", "flush"] {
        let output = pair.old.admin(&["queue", order, id]);
        assert_eq!(output.status.code(), Some(1), "{order}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("goes from here once that is known there"),
            "{order}: {said}"
        );
    }
    gate.open(u64::MAX);
    let output = command.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let moved = ["came", "moved", "left"].map(|it| count(&balance(&output), it));
    assert_eq!(moved, [1, 1, 0]);
    assert!(!pair.new.mailq().contains("it comes from"));
    assert!(!pair.old.daemon().log().contains("more than once"));
    let shown = pair.old.admin(&["queue", "show", id]);
    let said = String::from_utf8(shown.stderr).unwrap();
    assert!(said.contains("it may have moved to "), "{said}");
    let deleted = pair.new.admin(&["queue", "delete", id]);
    assert!(deleted.status.success(), "{deleted:?}");
    assert!(!pair.new.mailq().contains(id), "it was no one's any more");
}

#[test]
fn a_stop_tells_what_is_still_on_its_way_to_a_silent_server_and_that_is_delivered_here_soon() {
    let pair = Pair::start(later(), "");
    send(&pair.old, 1);
    until("it is deferred", || {
        pair.old.mailq().contains("later").then_some(())
    });
    let gate = Gate::before(pair.new.address());
    let mut command = started(pair.drain_over(gate.address));
    gate.pass(u64::MAX);
    until("it is under way", || gate.has_come().then_some(()));
    let flushed = pair.old.admin(&["queue", "flush"]);
    assert_eq!(flushed.status.code(), Some(1), "{flushed:?}");
    let elsewhere = nexthop(pair.new.address());
    let refused = pair
        .old
        .admin(&["drain", "--to", &elsewhere, "--pin", &pair.new.pin()]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("smarthost drain --stop, then the new one"),
        "{said}"
    );

    pair.sink.play(Script::default());
    let stopped = pair.old.admin(&["drain", "--stop"]);
    let said = String::from_utf8(stopped.stdout).unwrap();
    assert!(said.contains("1 of those left are on their way"), "{said}");
    command.wait().unwrap();
    delivered_here(&pair);
    until("it is forgotten", || {
        let stopped = pair.old.admin(&["drain", "--stop"]);
        let said = String::from_utf8(stopped.stdout).unwrap();
        said.contains("there was no drain to stop").then_some(())
    });
}

/// An order that waits at the gate, with what it says.
fn asks(pair: &Pair, gate: &Gate) -> Child {
    let mut command = pair.drain_over(gate.address);
    command.stderr(Stdio::piped());
    let child = started(command);
    until("the other server is asked", || {
        gate.has_come().then_some(())
    });
    child
}

#[test]
fn one_order_to_empty_a_server_is_given_at_a_time_and_can_be_stopped_before_it_begins() {
    let pair = Pair::start(later(), "");
    let gate = Gate::before(pair.new.address());
    send(&pair.old, 1);
    let first = asks(&pair, &gate);
    let second = pair.drain();
    let why = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{why}");
    assert!(
        why.contains(&format!("is asking {}", nexthop(gate.address))),
        "{why}"
    );

    let stopped = pair.old.admin(&["drain", "--stop"]);
    let told = String::from_utf8_lossy(&stopped.stdout).into_owned();
    assert!(told.contains("was stopped before it began"), "{told}");
    let first = first.wait_with_output().unwrap();
    let why = String::from_utf8_lossy(&first.stderr).into_owned();
    assert_eq!(first.status.code(), Some(1), "{why}");
    assert!(why.contains("--stop has ended this"), "{why}");
    assert!(!status(&pair.old).contains("draining"));
    send(&pair.old, 1);

    // The next order is the only one.
    let output = pair.drain();
    assert!(output.status.success(), "{output:?}");
    let balance = balance(&output);
    assert_eq!(
        ["came", "moved", "left"].map(|it| count(&balance, it)),
        [2, 2, 0]
    );
}

#[test]
fn an_order_to_empty_a_server_ends_with_whoever_gave_it_and_waits_for_the_answer() {
    let pair = Pair::start(later(), "");
    let gate = Gate::before(pair.new.address());
    let mut first = asks(&pair, &gate);
    first.kill().unwrap();
    first.wait().unwrap();
    gate.open(u64::MAX);
    let wrong = format!("sha256:{}", "0".repeat(64));
    let to = nexthop(pair.new.address());
    until("it is over", || {
        let other = pair.old.admin(&["drain", "--to", &to, "--pin", &wrong]);
        let why = String::from_utf8_lossy(&other.stderr).into_owned();
        assert_eq!(other.status.code(), Some(1), "{why}");
        assert!(!why.contains("is being emptied"), "{why}");
        (!why.contains("another drain is asking")).then_some(())
    });
    assert!(!status(&pair.old).contains("draining"));
    send(&pair.old, 1);
}
