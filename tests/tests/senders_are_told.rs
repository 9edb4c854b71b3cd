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

/// RFC 3461 §5.2.2: a relayhost without DSN tells nobody, so the machine says that it relayed the mail.
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
