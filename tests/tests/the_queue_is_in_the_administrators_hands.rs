//! The agent's queue: looked at, held, released, deleted, flushed; and what becomes of mail that
//! nobody takes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::{Output, Stdio},
};

use tests::{
    agent::Agent,
    session::Session,
    sink::{Fault, Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until_true},
};

fn config(relayhost: &str) -> String {
    format!("relayhost = {relayhost}\ndomain = \"example.org\"\ntls = \"none\"\n")
}

/// The queue ids that `mailq` lists.
fn ids(machine: &Agent) -> Vec<String> {
    let output = machine.admin(&["queue", "list", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let field = |line: &str| {
        Some(
            line.split_once("\"queue_id\":")?
                .1
                .split('"')
                .nth(1)?
                .to_owned(),
        )
    };
    text.lines().filter_map(field).collect()
}

fn done(machine: &Agent, arguments: &[&str]) -> String {
    let output = machine.admin(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Rows C6 D6, on the machine.
#[test]
fn mail_is_listed_with_its_reason_held_released_deleted_and_pushed() {
    let address = free_address();
    let machine = Agent::start(&config(&format!("{:?}", nexthop(address))));
    machine.send(&["a@example.net"], "Subject: first\n\ntext\n");
    machine.send(&["b@example.net"], "Subject: second\n\ntext\n");
    let listing = machine.wait_for_mailq("the reason", |listing| listing.contains("refused"));
    assert!(
        listing.contains("a@example.net") && listing.contains("2 Requests"),
        "{listing}"
    );
    let ids = ids(&machine);
    let [first, second] = ids.as_slice() else {
        panic!("{ids:?}")
    };

    done(&machine, &["queue", "delete", first]);
    done(&machine, &["queue", "hold", second]);
    let sink = Sink::on(address, Script::default());
    done(&machine, &["queue", "flush"]);
    assert!(
        machine.mailq().contains(&format!("{second}!")),
        "{}",
        machine.mailq()
    );
    assert!(done(&machine, &["queue", "show", second]).contains("Subject: second"));
    assert!(sink.journal().is_empty());
    done(&machine, &["queue", "release", second]);
    assert_eq!(sink.journal().first().field("Subject"), "second");
    machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
    assert_eq!(sink.journal().len(), 1, "the deleted one is gone");
}

/// Row D6: why mail waits is known before the first attempt after a restart.
#[test]
fn the_reason_of_an_outage_is_shown_after_a_restart_and_the_administrator_is_told_of_it_once() {
    let address = free_address();
    let config = |relayhost: String| {
        format!(
            "{}admin = \"admins@example.org\"\n[retry]\nminimal = \"1s\"\nmaximal = \"2s\"\nwarning = \"1s\"\n",
            config(&format!("{relayhost:?}"))
        )
    };
    let mut machine = Agent::start(&config(nexthop(address)));
    machine.send(&["a@example.net"], "Subject: waits\n\ntext\n");
    machine.wait_for_mailq("the warning beside the message", |listing| {
        listing.contains("refused")
            && listing.contains("admins@example.org")
            && listing.contains("2 Requests")
    });
    machine.kill();
    // A relayhost that does not answer at all: no attempt ends before mailq is asked.
    let silent = Sink::with(Script {
        fault: Fault::Mute,
        ..Script::default()
    });
    machine.configure(&config(silent.nexthop()));
    machine.run();
    let listing = machine.mailq();
    assert!(listing.contains("refused"), "{listing}");

    machine.kill();
    let sink = Sink::start();
    machine.configure(&config(sink.nexthop()));
    machine.run();
    machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
    let received = sink.journal().messages();
    let warning = received
        .iter()
        .find(|message| message.recipients == ["admins@example.org"])
        .unwrap();
    assert_eq!(received.len(), 2, "the warning came once");
    assert!(
        warning.text().contains("refused") && warning.field("Subject").contains("vm1.example.test"),
        "{}",
        warning.text()
    );
}

#[test]
fn a_sender_is_warned_once_that_his_mail_is_late_also_when_the_agent_starts_again() {
    let later = ("slow@example.net".to_owned(), "450 4.2.0 later".to_owned());
    let sink = Sink::with(Script {
        recipients: vec![later],
        ..Script::default()
    });
    let mut machine = Agent::start(&format!(
        "{}[retry]\nminimal = \"1s\"\nmaximal = \"1s\"\nwarning = \"1s\"\n",
        config(&format!("{:?}", sink.nexthop()))
    ));
    machine.send(
        &["-f", "someone@example.net", "slow@example.net"],
        "Subject: x\n\ntext\n",
    );
    let warning = sink.journal().first();
    assert_eq!(warning.recipients, ["someone@example.net"]);
    assert!(
        warning.text().contains("Action: delayed") && warning.text().contains("450 4.2.0 later"),
        "{}",
        warning.text()
    );
    // Not killed: a crash may repeat what was done in the last second.
    machine.daemon().stop();
    machine.run();
    machine.daemon().wait_for_log("status=deferred");
    machine.kill();
    sink.play(Script::default());
    machine.run();
    machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
    assert_eq!(sink.journal().len(), 2, "one warning, and the mail");
}

#[test]
fn the_administrator_returns_mail_to_its_senders_and_names_all_messages_at_once() {
    let address = free_address();
    let machine = Agent::start(&config(&format!("{:?}", nexthop(address))));
    for number in 0..3 {
        machine.send(
            &["-f", "someone@example.net", "a@example.net"],
            format!("Subject: {number}\n\ntext\n"),
        );
    }
    machine.wait_for_mailq("the reason", |listing| listing.contains("refused"));
    assert_eq!(
        done(&machine, &["queue", "--json", "hold", "ALL"]).trim(),
        "{\"changed\":3}"
    );
    assert!(done(&machine, &["queue", "bounce", "ALL"]).contains("3 messages"));
    let listing = machine.wait_for_mailq("the bounces", |listing| {
        listing.matches("MAILER-DAEMON").count() == 3 && listing.contains("3 Requests")
    });
    assert_eq!(listing.matches("someone@example.net").count(), 3);
    let sink = Sink::on(address, Script::default());
    done(&machine, &["queue", "flush"]);
    let bounces = sink.journal().wait_for(3);
    assert!(
        bounces[0].text().contains("returned by order"),
        "{}",
        bounces[0].text()
    );
}

#[test]
fn an_agent_that_does_not_run_is_told_with_the_remedy() {
    let machine = Agent::prepare("");
    let output = machine
        .program("mailq")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("control.sock") && told.contains("systemctl start"),
        "{told}"
    );
}

#[test]
fn what_the_relay_refuses_comes_back_to_the_sender_and_a_refused_bounce_is_kept_on_hold() {
    let refused = |who: &str| (who.to_owned(), "550 5.1.1 no such user".to_owned());
    let sink = Sink::with(Script {
        recipients: vec![refused("nobody@example.net")],
        ..Script::default()
    });
    let machine = Agent::start(&config(&format!("{:?}", sink.nexthop())));
    machine.send(
        &[
            "-f",
            "someone@example.net",
            "good@example.net",
            "nobody@example.net",
        ],
        "Subject: x\n\ntext\n",
    );
    let received = sink.journal().wait_for(2);
    assert_eq!(received[0].recipients, ["good@example.net"]);
    let bounce = &received[1];
    assert_eq!(
        (
            bounce.sender.split(' ').next(),
            bounce.recipients.as_slice()
        ),
        (Some(""), &["someone@example.net".to_owned()][..])
    );
    assert!(
        bounce
            .text()
            .contains("Final-Recipient: rfc822; nobody@example.net"),
        "{}",
        bounce.text()
    );
    assert!(
        bounce.text().contains("550 5.1.1 no such user"),
        "{}",
        bounce.text()
    );
    machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));

    machine.send(
        &["-f", "nobody@example.net", "nobody@example.net"],
        "Subject: y\n\ntext\n",
    );
    // What tells root of it has gone by then.
    let listing = machine.wait_for_mailq("the dead bounce alone", |listing| {
        listing.contains("no such user") && listing.contains("1 Request")
    });
    assert!(listing.contains('!'), "{listing}");
    // Root is told of it, once.
    let told = sink.journal().wait_for(3).pop().unwrap();
    let subject = told.field("Subject");
    assert!(
        subject.contains("a bounce cannot be delivered and is kept"),
        "{subject}"
    );
    let text = told.text().replace("=\r\n", "");
    assert!(text.contains("sendmail-shim queue release"), "{text}");
    assert_eq!(sink.journal().len(), 3);
}

#[test]
fn the_next_relayhost_is_used_when_the_first_does_not_answer_and_one_connection_serves_many_messages()
 {
    let sink = Sink::start();
    let relayhosts = format!("[{:?}, {:?}]", nexthop(free_address()), sink.nexthop());
    let machine = Agent::start(&config(&relayhosts));
    for number in 0..10 {
        machine.send(&["a@example.net"], format!("Subject: {number}\n\ntext\n"));
    }
    assert_eq!(sink.journal().wait_for(10).len(), 10);
    assert!(
        sink.connections() <= 4,
        "{} connections",
        sink.connections()
    );
}

#[test]
fn explain_tells_each_change_with_its_place_and_sends_nothing() {
    let sink = Sink::start();
    let machine = Agent::start(&format!(
        "{}aliases = \"aliases\"\n",
        config(&format!("{:?}", sink.nexthop()))
    ));
    machine.file(
        "aliases",
        "# ours\npostmaster: root\nroot: admins@example.org\n",
    );
    let told = done(&machine, &["explain", "postmaster"]);
    assert!(
        told.contains("<admins@example.org>") && told.contains("aliases:2"),
        "{told}"
    );
    assert!(machine.mailq().contains("is empty") && sink.journal().is_empty());
}

/// One message waits; nothing of it can be read any more.
fn lost_in(directory: &Path, admin: &dyn Fn(&[&str]) -> Output) {
    let listing = || String::from_utf8(admin(&["queue", "list"]).stdout).unwrap();
    for segment in fs::read_dir(directory.join("spool/segments")).unwrap() {
        let path = segment.unwrap().path();
        let mut segment = File::options().write(true).open(path).unwrap();
        segment.write_all(&[0; 8192]).unwrap();
    }
    let listed = listing();
    for known in ["ann@example.org", "cannot be read: ", "@example.net"] {
        assert!(listed.contains(known), "{known}: {listed}");
    }
    let id = listed.lines().nth(1).unwrap().split([' ', '*']).next();
    let order = admin(&["queue", "bounce", id.unwrap()]);
    let told = String::from_utf8_lossy(&order.stdout).into_owned();
    let told = told + &String::from_utf8_lossy(&order.stderr);
    assert!(told.contains("returned with what is left of it"), "{told}");
    until_true("the bounce waits, and nothing else", || {
        let left = listing();
        left.contains("MAILER-DAEMON") && !left.contains(id.unwrap())
    });
}

#[test]
fn mail_that_the_disk_has_lost_is_listed_as_far_as_it_is_known_and_its_sender_is_told() {
    let (ann, bob) = ("ann@example.org", "bob@example.net");
    let relayhost = format!("{:?}", nexthop(free_address()));
    let machine = Agent::start(&config(&relayhost));
    let relay = Smarthost::start(&format!(
        "relayhost = {relayhost}\nnetworks = [\"127.0.0.0/8\"]\n"
    ));
    machine.send(&["-f", ann, bob], "Subject: x\n\nx\n");
    let message = b"Subject: x\r\n\r\nx\r\n";
    Session::greeted(relay.address()).delivers(ann, &[bob], message);
    lost_in(machine.directory(), &|words| machine.admin(words));
    lost_in(relay.directory(), &|words| relay.admin(words));
}
