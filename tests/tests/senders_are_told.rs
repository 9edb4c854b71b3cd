//! What a sender hears of a message: its arrival where NOTIFY asks for it, its delay once, its end.

use tests::{
    agent::Agent,
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
    wait::until,
};

fn config(nexthop: &str) -> String {
    format!(
        "networks = [\"127.0.0.0/8\"]\nmaildir = \"$DIR/Maildir\"\nrelayhost = \"{nexthop}\"\n\
         retry = {{ minimal = \"1s\", maximal = \"1s\", warning = \"2s\" }}\n"
    )
}

/// Sends one message; the sender's own mail ends in the smarthost's Maildir.
fn send(smarthost: &Smarthost, recipient: &str) {
    let mut session = Session::greeted(smarthost.address());
    let mail = session.say("MAIL FROM:<app@mail.example.test> ENVID=Q1");
    assert_eq!(mail.code, 250, "{mail:?}");
    assert_eq!(session.say(&format!("RCPT TO:{recipient}")).code, 250);
    assert_eq!(session.say("DATA").code, 354);
    assert_eq!(session.say("Subject: test\r\n\r\ntext\r\n.").code, 250);
}

/// Reports with this action in the sender's mailbox.
fn reports(smarthost: &Smarthost, action: &str) -> Vec<String> {
    let mut reports = smarthost.maildir("Maildir");
    reports.retain(|message| message.contains(&format!("\nAction: {action}\n")));
    reports
}

/// RFC 3461 §5.2.6.
#[test]
fn a_sender_who_asks_is_told_of_the_delivery() {
    let sink = Sink::start();
    let smarthost = Smarthost::start(&config(&sink.nexthop()));
    send(&smarthost, "<user@mail.example.test> NOTIFY=SUCCESS");
    let told = until("the report is there", || {
        reports(&smarthost, "delivered").pop()
    });
    for line in [
        "\nFinal-Recipient: rfc822; user@mail.example.test\n",
        "\nOriginal-Envelope-Id: Q1\n",
        "\nReturn-Path: <>\n",
    ] {
        assert!(format!("\n{told}").contains(line), "{line} in {told}");
    }
    send(&smarthost, "<other@mail.example.test>");
    smarthost.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
    assert_eq!(smarthost.maildir("Maildir").len(), 3, "nobody else is told");
}

#[test]
fn a_sender_is_warned_of_a_delay_once_also_over_a_restart() {
    let sink = Sink::with(Script {
        after_message: "450 4.2.0 try later".to_owned(),
        ..Script::default()
    });
    let mut smarthost = Smarthost::start(&config(&sink.nexthop()));
    send(&smarthost, "<user@example.net>");
    let warning = until("the warning is there", || {
        reports(&smarthost, "delayed").pop()
    });
    assert!(
        warning.contains("Will-Retry-Until: ") && warning.contains("450 4.2.0 try later"),
        "{warning}"
    );
    smarthost.daemon().stop();
    smarthost.run();
    for _ in 0..2 {
        let before = smarthost.daemon().log().matches("status=deferred").count();
        until("it is tried again", || {
            (smarthost.daemon().log().matches("status=deferred").count() > before).then_some(())
        });
    }
    assert_eq!(reports(&smarthost, "delayed").len(), 1);
}

/// RFC 3461 §5.2.2: a relayhost without DSN tells nobody, so the machine says that it relayed the
/// mail.
#[test]
fn a_machine_tells_its_sender_that_the_mail_was_relayed_where_the_relayhost_cannot() {
    for (dsn, reports) in [(false, 1), (true, 0)] {
        let mut script = Script::default();
        script.extensions.retain(|word| dsn || word != "DSN");
        let sink = Sink::with(script);
        let machine = Agent::start(&format!(
            "relayhost = \"{}\"\ntls = \"none\"\n",
            sink.nexthop()
        ));
        let arguments = ["-N", "success", "-f", "me@example.org", "b@example.net"];
        machine.send(&arguments, "Subject: hello\n\nhello\n");
        sink.journal().wait_for(1 + reports);
        machine.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
        let received = sink.journal().messages();
        let told = received
            .iter()
            .filter(|message| message.recipients == ["me@example.org"])
            .map(tests::sink::Received::text)
            .collect::<Vec<_>>();
        assert_eq!(told.len(), reports, "{told:?}");
        assert!(
            told.iter()
                .all(|text| text.contains("\nAction: relayed\r\n"))
        );
    }
}

/// What a sender loses by a bounce, that is told to him: the whole mail while it is small, unless
/// he wants the header alone.
#[test]
fn a_machine_returns_the_whole_mail_unless_its_sender_wants_the_header_alone() {
    let refusing = Script {
        recipients: vec![(
            "gone@example.net".to_owned(),
            "550 5.1.1 no such user".to_owned(),
        )],
        ..Script::default()
    };
    let sink = Sink::with(refusing);
    let machine = Agent::start(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\n",
        sink.nexthop()
    ));
    for (wish, count, whole) in [
        (None, 1, true),
        (Some("full"), 2, true),
        (Some("hdrs"), 3, false),
    ] {
        let wish = wish.map(|wish| ["-R", wish]);
        let mut arguments = vec!["-f", "me@example.org"];
        arguments.extend(wish.iter().flatten());
        arguments.push("gone@example.net");
        machine.send(&arguments, "Subject: precious\n\nthe only copy\n");
        let bounce = sink.journal().wait_for(count).pop().unwrap();
        assert_eq!(bounce.recipients, ["me@example.org"]);
        let text = bounce.text();
        assert!(text.contains("Subject: precious"), "{wish:?}: {text}");
        assert_eq!(text.contains("the only copy"), whole, "{wish:?}: {text}");
    }
}

/// What nobody can be told of is kept, with its reason, and the administrators hear of it once.
#[test]
fn a_bounce_that_the_relayhost_refuses_is_kept_and_told_to_root_and_loses_nothing() {
    let script = Script {
        answers: vec![("RCPT".to_owned(), "554 5.7.0 not wanted here".to_owned())],
        ..Script::default()
    };
    let sink = Sink::with(script);
    let mut machine = Agent::start(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\nadmin = \"ops@example.org\"\n",
        sink.nexthop()
    ));
    for number in 0..3 {
        let text = format!("Subject: {number}\n\ncopy {number}\n");
        machine.send(&["-f", "me@example.org", "b@example.net"], text);
    }
    machine.daemon().wait_for_log("kept on hold");
    // Three bounces, and the one notice, which is refused as well.
    machine.wait_for_mailq("four that are kept", |listing| {
        listing.matches("not wanted here").count() == 4 && listing.matches('!').count() == 4
    });
    // Who looks hears of it, although the notice itself reached nobody.
    let checked = machine.admin(&["check"]);
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        told.contains("bounces or notices that nobody takes: 4, the first of "),
        "{told}"
    );
    assert!(
        told.contains("queue release --held --sender '<>'"),
        "{told}"
    );
    // So it is after a restart.
    machine.daemon().stop();
    machine.run();
    sink.play(Script::default());
    let released = machine.admin(&["queue", "release", "--all"]);
    assert!(released.status.success(), "{released:?}");
    let received = sink.journal().wait_for(4);
    let all: String = received.iter().map(tests::sink::Received::text).collect();
    for number in 0..3 {
        assert!(all.contains(&format!("copy {number}")), "{all}");
    }
    assert_eq!(
        all.matches("a bounce cannot be delivered and is kept")
            .count(),
        1
    );
}

/// Root's programs send as others: `-f daemon`. The domain is that of the whole site.
#[test]
fn a_bounce_to_an_account_in_whose_name_another_one_sent_is_local_mail() {
    let refused = "550 5.1.1 no such user".to_owned();
    let sink = Sink::with(Script {
        recipients: vec![("gone@elsewhere.example".to_owned(), refused)],
        ..Script::default()
    });
    let mut machine = Agent::prepare(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\nhostname = \"vm1.relays.example\"\ndomain = \"relays.example\"\n\
         aliases = \"$DIR/aliases\"\nrevaliases = \"$DIR/revaliases\"\nadmin = \"admins@elsewhere.example\"\n",
        sink.nexthop()
    ));
    machine.file("aliases", "daemon: ops@elsewhere.example\n");
    machine.file("revaliases", "shop: shop@elsewhere.example\n");
    machine.run();
    for (sender, told) in [
        ("daemon", "ops@elsewhere.example"),
        ("daemon@localhost", "ops@elsewhere.example"),
        ("daemon@vm1.relays.example", "ops@elsewhere.example"),
        ("backup", "admins@elsewhere.example"),
        // Not accounts of this machine.
        ("daemon@relays.example", "daemon@relays.example"),
        ("shop", "shop@elsewhere.example"),
    ] {
        let before = sink.journal().len();
        machine.send(
            &["-f", sender, "gone@elsewhere.example"],
            "Subject: x\n\nx\n",
        );
        let bounce = sink.journal().wait_for(before + 1).remove(before);
        let bounce = (bounce.sender.as_str(), bounce.recipients.join(", "));
        assert_eq!(bounce, ("", told.to_owned()), "{sender}");
    }
}
