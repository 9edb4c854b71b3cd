//! Mail grows old in the queue; it is given up only when an attempt has failed by then, and the
//! bounce says why.

use std::{
    fs,
    os::unix::fs::symlink,
    time::{Duration, Instant},
};

use tests::{
    agent::Agent,
    session::Session,
    sink::{Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until_true},
};

const LIFETIME: Duration = Duration::from_secs(3);

fn machine(relayhost: &str) -> Agent {
    Agent::start(&format!(
        "relayhost = \"{relayhost}\"\ntls = \"none\"\nretry = {{ minimal = \"1s\", maximal = \"1s\", lifetime = \"3s\" }}\n"
    ))
}

fn subjects(sink: &Sink) -> Vec<String> {
    let messages = sink.journal().messages();
    let mut subjects: Vec<_> = messages.iter().map(|it| it.field("Subject")).collect();
    subjects.sort_unstable();
    subjects
}

#[test]
fn mail_that_grew_old_while_nothing_ran_is_sent_when_the_relayhost_is_back() {
    let address = free_address();
    let mut machine = machine(&nexthop(address));
    for number in 0..3 {
        let text = format!("Subject: old {number}\n\nbody\n");
        machine.send(&["-f", "me@example.org", "b@example.net"], text);
    }
    let queued = Instant::now();
    machine.kill();
    until_true("the mail is too old", || queued.elapsed() > 2 * LIFETIME);
    let sink = Sink::on(address, Script::default());
    machine.run();
    sink.journal().wait_for(3);
    machine.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
    assert_eq!(subjects(&sink), ["old 0", "old 1", "old 2"]);
}

/// The same reason whether the relayhost defers to the end, or is away when the time is over.
#[test]
fn the_bounce_of_what_is_given_up_names_what_the_relayhost_said_last() {
    let defers = || Script {
        recipients: vec![(
            "b@example.net".to_owned(),
            "450 4.2.0 the mailbox is busy".to_owned(),
        )],
        ..Script::default()
    };
    for goes_away in [false, true] {
        let address = free_address();
        let sink = Sink::on(address, defers());
        let machine = machine(&nexthop(address));
        machine.send(
            &["-f", "me@example.org", "b@example.net"],
            "Subject: late\n\nthe only copy\n",
        );
        machine.wait_for_mailq("the reason", |text| text.contains("the mailbox is busy"));
        let sink = if goes_away {
            drop(sink);
            machine.wait_for_mailq("the bounce", |text| text.contains("MAILER-DAEMON"));
            Sink::on(address, Script::default())
        } else {
            sink
        };
        let bounce = sink.journal().first();
        assert_eq!(bounce.recipients, ["me@example.org"], "{}", bounce.text());
        let text = bounce.text().replace("\r\n ", " ");
        assert!(text.contains("the mailbox is busy"), "{text}");
        assert!(text.contains("the only copy"), "{text}");
    }
}

#[test]
fn a_relay_gives_the_same_reason_as_a_machine() {
    let script = Script {
        recipients: vec![(
            "b@example.net".to_owned(),
            "450 4.2.0 the mailbox is busy".to_owned(),
        )],
        ..Script::default()
    };
    let sink = Sink::with(script);
    let smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nrelay_tls = {{ level = \"none\" }}\n\
         retry = {{ minimal = \"1s\", maximal = \"1s\", lifetime = \"3s\", warning = \"1h\" }}\n",
        sink.nexthop()
    ));
    Session::greeted(smarthost.address()).delivers(
        "me@example.org",
        &["b@example.net"],
        b"Subject: late\r\n\r\nthe only copy\r\n",
    );
    let bounce = sink.journal().first();
    let text = bounce.text().replace("\r\n ", " ");
    assert_eq!(bounce.recipients, ["me@example.org"], "{text}");
    assert!(
        text.contains("the mailbox is busy") && text.contains("the only copy"),
        "{text}"
    );
}

/// Row A5: a backup MX keeps its primary's mail long after all other mail of that age went back.
#[test]
fn mail_for_a_primary_that_is_down_stays_when_other_mail_of_its_age_goes_back() {
    let gone = nexthop(free_address());
    let home = Sink::start();
    let primary = free_address();
    let smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\ndomains = {{ relay = [\"primary.example\"] }}\n\
         routes = {{ \"primary.example\" = \"{}\", \"gone.example\" = \"{gone}\", \"home.example\" = \"{}\" }}\n\
         retry = {{ minimal = \"1s\", maximal = \"1s\", lifetime = \"2s\", relay_lifetime = \"30d\" }}\n",
        nexthop(primary),
        home.nexthop(),
    ));
    let mut session = Session::greeted(smarthost.address());
    let recipients = ["friend@primary.example", "friend@gone.example"];
    session.delivers(
        "me@home.example",
        &recipients,
        b"Subject: both\r\n\r\nx\r\n",
    );
    let bounce = home.journal().wait_for(1).remove(0);
    assert_eq!(bounce.recipients, ["me@home.example"]);
    let told = bounce.text();
    assert!(told.contains("friend@gone.example"), "{told}");
    assert!(!told.contains("friend@primary.example"), "{told}");
    smarthost.wait_for_mailq("the primary's mail alone", |text| {
        text.contains("friend@primary.example") && !text.contains("friend@gone.example")
    });

    let sink = Sink::on(primary, Script::default());
    let sent = sink.journal().wait_for(1).remove(0);
    assert_eq!(sent.recipients, ["friend@primary.example"]);
}

/// Somebody has tidied up under the queue.
#[test]
fn a_message_whose_body_was_removed_or_replaced_is_in_mailq_and_told_and_its_header_goes_back() {
    for replaced in [false, true] {
        let address = free_address();
        let config = |lifetime: &str| {
            format!(
                "relayhost = \"{}\"\ntls = \"none\"\nadmin = \"admins@example.org\"\n\
                 retry = {{ minimal = \"1s\", maximal = \"1s\", lifetime = \"{lifetime}\" }}\n",
                nexthop(address)
            )
        };
        let mut machine = Agent::start(&config("1h"));
        let text = format!("Subject: large\n\n{}", "a line of it\n".repeat(20_000));
        machine.send(&["-f", "me@example.org", "b@example.net"], text);
        machine.daemon().stop();
        let bodies = fs::read_dir(machine.directory().join("spool/bodies")).unwrap();
        let bodies: Vec<_> = bodies.map(|entry| entry.unwrap().path()).collect();
        let [body] = bodies.as_slice() else {
            panic!("{bodies:?}");
        };
        fs::remove_file(body).unwrap();
        if replaced {
            symlink("/dev/zero", body).unwrap();
        }
        let sink = Sink::on(address, Script::default());
        machine.run();
        let body = body.display().to_string();
        machine.wait_for_mailq("what is wrong, and where", |text| {
            text.contains(&body) && text.contains("is damaged")
        });
        let told = sink.journal().first();
        assert_eq!(told.recipients, ["admins@example.org"]);
        assert!(told.text().contains("damaged"), "{}", told.text());
        for command in [["check"], ["status"]] {
            let output = machine.admin(&command);
            let text = String::from_utf8_lossy(&output.stdout);
            let alarm = "1 messages are damaged on the disk";
            assert!(text.contains(alarm), "{command:?}: {text}");
        }
        machine.daemon().stop();
        machine.configure(&config("2s"));
        machine.run();
        until_true("the sender is told", || sink.journal().messages().len() > 1);
        machine.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
        let all = sink.journal().messages();
        assert_eq!(all.len(), 2, "{:?}", subjects(&sink));
        let bounce = &all[1];
        assert_eq!(bounce.recipients, ["me@example.org"], "{}", bounce.text());
        assert!(
            bounce.text().contains("Subject: large"),
            "{}",
            bounce.text()
        );
        assert!(!bounce.text().contains("a line of it"));
    }
}
