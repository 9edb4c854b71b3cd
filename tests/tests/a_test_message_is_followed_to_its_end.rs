//! `smarthost test`: a message to an administrator, and what became of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Output;

use tests::{
    sink::{Script, Sink},
    smarthost::Smarthost,
};

fn said(output: &Output) -> String {
    let all = [&*output.stdout, &output.stderr].concat();
    String::from_utf8(all).unwrap()
}

fn answering(to: &str, reply: &str) -> Sink {
    Sink::with(Script {
        answers: vec![(to.to_owned(), reply.to_owned())],
        ..Script::default()
    })
}

fn relay(sink: &Sink, more: &str) -> Smarthost {
    Smarthost::start(&format!(
        "hostname = \"mail.example.test\"\nrelayhost = \"{}\"\nlimits = {{ per_client = \"1/day\", per_stranger = \"1/day\" }}\n\
         admins = [\"admins@example.test\", \"ops@example.test\"]\n{more}",
        sink.nexthop()
    ))
}

/// A row of the next hop's words, one of the reason, and an exit status for each end.
#[test]
fn it_tells_where_the_message_went_and_what_was_said_there_and_costs_no_limit() {
    let sink = Sink::start();
    let smarthost = relay(&sink, "");
    for _ in 0..3 {
        let sent = smarthost.admin(&["test", "bob@far.example"]);
        let told = said(&sent);
        assert_eq!(sent.status.code(), Some(0), "{told}");
        assert!(
            told.contains("<bob@far.example> sent by 127.0.0.1[127.0.0.1]:")
                && told.contains("250 2.0.0 Ok: taken"),
            "{told}"
        );
    }
    let message = sink.journal().first();
    assert_eq!(
        message.field("Subject"),
        "Test message from mail.example.test"
    );
    assert!(
        message
            .text()
            .contains("smarthost on mail.example.test can send mail")
    );
    let limits = said(&smarthost.admin(&["limits", "list"]));
    assert!(!limits.contains("127.0.0.1"), "{limits}");
    // Without an address: whom troubles are told to.
    let sent = smarthost.admin(&["test"]);
    let told = said(&sent);
    assert_eq!(sent.status.code(), Some(0), "{told}");
    for admin in ["<admins@example.test> sent", "<ops@example.test> sent"] {
        assert!(told.contains(admin), "{told}");
    }
}

#[test]
fn it_ends_with_the_reason_where_the_message_waits_or_is_refused() {
    let later = answering("RCPT", "451 4.7.1 come again in an hour");
    let never = answering("RCPT", "550 5.7.1 not from you");
    for (sink, exit, words) in [
        (&later, 75, "451 4.7.1 come again in an hour"),
        (&never, 69, "550 5.7.1 not from you"),
    ] {
        let smarthost = relay(sink, "");
        let sent = smarthost.admin(&["test", "bob@far.example"]);
        let told = said(&sent);
        assert_eq!(sent.status.code(), Some(exit), "{told}");
        assert!(told.contains(words), "{told}");
        let waits = told.contains("waits in the queue") && told.contains("smarthost queue delete");
        assert_eq!(waits, exit == 75, "{told}");
    }
    // Nobody is there: nothing is queued.
    let sink = Sink::start();
    let mut smarthost = relay(&sink, "maildir = \"none\"\n");
    let sent = smarthost.admin(&["test", "nobody@mail.example.test"]);
    let told = said(&sent);
    assert_eq!(sent.status.code(), Some(69), "{told}");
    assert!(told.contains("User unknown"), "{told}");
    let list = said(&smarthost.admin(&["queue", "list"]));
    assert!(
        list.contains("is empty") && sink.journal().is_empty(),
        "{list}"
    );
    let wrong = smarthost.admin(&["test", "no address"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    smarthost.daemon().stop();
    let away = smarthost.admin(&["test"]);
    assert_eq!(away.status.code(), Some(69), "{away:?}");
    assert!(said(&away).contains("is not running"), "{away:?}");
}

#[test]
fn mail_that_rests_is_told_with_its_reason_at_once() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::prepare("relayhots = 1");
    smarthost.run();
    let sent = smarthost.admin(&["test", "bob@far.example"]);
    let told = said(&sent);
    assert_eq!(sent.status.code(), Some(75), "{told}");
    assert!(told.contains("the configuration is wrong"), "{told}");
    assert!(sink.journal().is_empty());
    let local = Smarthost::start("hostname = \"mail.example.test\"\nmaildir = \"$DIR/box\"\n");
    let sent = local.admin(&["test", "ann@mail.example.test"]);
    let told = said(&sent);
    assert_eq!(sent.status.code(), Some(0), "{told}");
    assert!(told.contains("<ann@mail.example.test> sent"), "{told}");
}
