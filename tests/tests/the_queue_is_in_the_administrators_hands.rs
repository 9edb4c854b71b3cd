//! The agent's queue: looked at, held, released, deleted, flushed; and what becomes of mail that nobody takes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Stdio;

use tests::{
    agent::Agent,
    sink::{Script, Sink, nexthop},
    wait::free_address,
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
    let listing = machine.wait_for_mailq("the dead bounce", |listing| {
        listing.contains("no such user")
    });
    assert!(
        listing.contains('!') && listing.contains("1 Request"),
        "{listing}"
    );
    assert_eq!(sink.journal().len(), 2);
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

#[test]
fn programs_that_speak_smtp_to_sendmail_bs_reach_the_queue() {
    let sink = Sink::start();
    let machine = Agent::start(&config(&format!("{:?}", sink.nexthop())));
    let dialog = "EHLO test\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n\
                  Subject: spoken\r\n\r\ntext\r\n.\r\nQUIT\r\n";
    let output = machine.sendmail(&["-bs"], dialog);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.contains("queued as") && said.contains("221 "),
        "{said}"
    );
    assert_eq!(sink.journal().first().field("Subject"), "spoken");
}
