//! A stop or a crash in the middle of a delivery: what recipients were answered by then stands.

use std::fs;

use tests::{
    agent::Agent,
    binaries::write_program,
    session::Session,
    sink::{SILENCE, Script, Sink},
    smarthost::Smarthost,
    wait::until,
};

const MESSAGE: &[u8] = b"Subject: test\r\n\r\ntext\r\n";

/// Says what became of two, and then nothing more.
fn half_mute() -> Script {
    let settled = [
        ("u1@lists.example", "250 2.0.0 saved"),
        ("u2@lists.example", "550 5.1.1 gone"),
        ("u3@lists.example", SILENCE),
    ];
    Script {
        lmtp: true,
        settled: settled
            .map(|(to, reply)| (to.to_owned(), reply.to_owned()))
            .to_vec(),
        ..Script::default()
    }
}

fn hearty() -> Script {
    Script {
        lmtp: true,
        ..Script::default()
    }
}

fn with_lmtp(sink: &Sink) -> Smarthost {
    Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\ndomains = {{ local = [\"example.org\"] }}\nmaildir = \"$DIR/Maildir\"\n\
         routes = {{ \"lists.example\" = \"lmtp:{}\" }}\n",
        sink.nexthop()
    ))
}

const FOUR: [&str; 4] = [
    "u1@lists.example",
    "u2@lists.example",
    "u3@lists.example",
    "u4@lists.example",
];

/// The file server (Dovecot) that is slow while the machine is restarted.
#[test]
fn a_mailbox_that_has_the_mail_already_does_not_get_it_again_after_a_restart() {
    let sink = Sink::with(half_mute());
    let mut smarthost = with_lmtp(&sink);
    Session::greeted(smarthost.address()).delivers("a@example.org", &FOUR, MESSAGE);
    sink.journal().wait_for(1);
    sink.play(hearty());
    assert!(smarthost.daemon().stop().success());
    let log = smarthost.daemon().log();
    assert!(
        log.contains("to=<u1@lists.example>") && log.contains("status=sent (250 2.0.0 saved)"),
        "{log}"
    );
    smarthost.run();
    let second = sink.journal().wait_for(2).remove(1);
    assert_eq!(second.recipients, ["u3@lists.example", "u4@lists.example"]);
    let bounce = until("the bounce is delivered", || {
        smarthost.maildir("Maildir").pop()
    });
    assert!(bounce.contains("Final-Recipient: rfc822; u2@lists.example"));
    assert!(!bounce.contains("Final-Recipient: rfc822; u1@"), "{bounce}");
    smarthost.wait_for_mailq("nothing", |it| it.contains("Mail queue is empty"));
}

/// What the mailbox said is on disk before all have answered.
#[test]
fn a_mailbox_that_has_the_mail_does_not_get_it_again_after_a_crash_while_others_are_awaited() {
    let sink = Sink::with(half_mute());
    let mut smarthost = with_lmtp(&sink);
    let mut session = Session::greeted(smarthost.address());
    session.delivers("a@example.org", &FOUR, MESSAGE);
    smarthost.daemon().wait_for_log("to=<u1@lists.example>");
    // The next commit has it.
    session.delivers("a@example.org", &["x@example.org"], MESSAGE);
    sink.play(hearty());
    smarthost.daemon().kill();
    let log = smarthost.daemon().log();
    assert_eq!(log.matches("to=<u1@lists.example>").count(), 1, "{log}");
    smarthost.run();
    let second = sink.journal().wait_for(2).remove(1);
    assert_eq!(second.recipients, FOUR[1..]);
    smarthost.wait_for_mailq("nothing", |it| it.contains("Mail queue is empty"));
    assert_eq!(sink.journal().len(), 2);
}

#[test]
fn mail_that_is_returned_by_hand_while_it_is_delivered_is_not_reported_as_failed_where_it_arrived()
{
    let sink = Sink::with(half_mute());
    let mut smarthost = with_lmtp(&sink);
    Session::greeted(smarthost.address()).delivers("a@example.org", &FOUR, MESSAGE);
    sink.journal().wait_for(1);
    let returned = smarthost.admin(&["queue", "bounce", "--all"]);
    assert!(returned.status.success(), "{returned:?}");
    assert!(smarthost.daemon().stop().success());
    smarthost.run();
    smarthost.wait_for_mailq("nothing", |it| it.contains("Mail queue is empty"));
    let bounces = until("the bounces are delivered", || {
        let bounces = smarthost.maildir("Maildir").concat();
        FOUR[1..]
            .iter()
            .all(|to| bounces.contains(&format!("Final-Recipient: rfc822; {to}")))
            .then_some(bounces)
    });
    assert!(!bounces.contains("rfc822; u1@lists.example"), "{bounces}");
    assert_eq!(sink.journal().wait_for(1).len(), 1, "not sent again");
}

/// Each name of an alias has a run of its own, one after the other.
#[test]
fn a_program_that_has_run_for_a_recipient_does_not_run_for_him_again_after_a_restart() {
    let mut smarthost = Smarthost::prepare(
        "networks = [\"127.0.0.0/8\"]\ndomains = { local = [\"lists.example\"] }\nmaildir = \"none\"\n\
         aliases = [\"$DIR/aliases\"]\n",
    );
    let program = smarthost.directory().join("deliver");
    let ran = smarthost.directory().join("ran");
    let goes_on = smarthost.directory().join("goes-on");
    let text = format!(
        "#!/bin/sh\ncat >/dev/null\necho $RECIPIENT >> {}\n[ -e {} ] || [ $LOCAL != u2 ] || exec sleep 600\n",
        ran.display(),
        goes_on.display()
    );
    write_program(&program, &text);
    let alias = |n| format!("u{n}: \"|{}\"\n", program.display());
    smarthost.file("aliases", &(1..=4).map(alias).collect::<String>());
    smarthost.run();
    Session::greeted(smarthost.address()).delivers("a@example.org", &FOUR, MESSAGE);
    let runs = || fs::read_to_string(&ran).unwrap_or_default();
    until("it hangs at the second", || {
        (runs().lines().count() == 2).then_some(())
    });
    assert!(smarthost.daemon().stop().success());
    smarthost.file("goes-on", "");
    smarthost.run();
    smarthost.wait_for_mailq("nothing", |it| it.contains("Mail queue is empty"));
    let runs = runs();
    let expected = [FOUR[0], FOUR[1], FOUR[1], FOUR[2], FOUR[3]];
    assert_eq!(runs.lines().collect::<Vec<_>>(), expected);
}

/// The agent's relayhost, which takes a hundred recipients at once: the second hundred meets
/// silence.
#[test]
fn a_machines_mail_to_many_is_not_sent_again_to_those_whom_the_relayhost_took() {
    let all: Vec<String> = (0..150).map(|n| format!("u{n}@example.net")).collect();
    let sink = Sink::with(Script {
        recipients: vec![(all[149].clone(), SILENCE.to_owned())],
        ..Script::default()
    });
    let mut machine = Agent::start(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\n",
        sink.nexthop()
    ));
    let arguments: Vec<&str> = all.iter().map(String::as_str).collect();
    machine.send(&arguments, b"Subject: test\n\ntext\n");
    let first = sink.journal().wait_for(1).remove(0);
    assert_eq!(first.recipients.len(), 100);
    until("the last one is asked for", || {
        (sink.journal().times_asked_for(&all[149]) == 1).then_some(())
    });
    assert!(machine.daemon().stop().success());
    sink.play(Script::default());
    machine.run();
    let second = sink.journal().wait_for(2).remove(1);
    assert_eq!(second.recipients, all[100..]);
}
