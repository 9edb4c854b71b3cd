//! Mail that must come and does not is told.

use std::process::Output;

use tests::{
    http,
    session::Session,
    sink::{Received, Sink},
    smarthost::Smarthost,
    wait::{free_address, until},
};

fn text(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn listed(smarthost: &Smarthost) -> String {
    text(&smarthost.admin(&["expected", "list", "--json"]))
}

fn backup(smarthost: &Smarthost, subject: &str) {
    let message = format!("Subject: {subject}\r\n\r\nx\r\n");
    let mut session = Session::greeted(smarthost.address());
    session.delivers("root@vm7.example", &["a@example.org"], message.as_bytes());
}

#[test]
fn a_backup_that_does_not_come_is_told_and_forgotten_by_no_kill() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::start(&format!(
        "admins = [\"admin@here.example\"]\nrelayhost = \"{}\"\n\
         expected = [{{ client = \"127.0.0.1\", subject = \"backup*\", every = \"5s\", grace = \"1s\" }}]\n",
        sink.nexthop()
    ));
    backup(&smarthost, "=?utf-8?q?Backup_of_4_disks?=");
    until("it has come", || {
        listed(&smarthost).contains("\"count\":1").then_some(())
    });
    let add = [
        "expected",
        "add",
        "--sender",
        "*@VM7.example",
        "--every",
        "31d",
    ];
    let added = text(&smarthost.admin(&add));
    assert!(added.contains("mail from *@VM7.example"), "{added}");
    backup(&smarthost, "accounts");
    until("the administrators are told", || {
        let messages = sink.journal().messages();
        let mut texts = messages.iter().map(Received::text);
        texts.find(|text| {
            text.contains("\"backup*\" of 127.0.0.1 has not come: ")
                && text.contains("smarthost expected list")
        })
    });
    smarthost
        .daemon()
        .wait_for_log("notice: expected mail has not come");
    let missing = listed(&smarthost);
    assert!(missing.contains("\"missing\":true"), "{missing}");
    smarthost.daemon().kill();
    smarthost.run();
    let after = listed(&smarthost);
    assert!(
        after.contains("\"missing\":true") && after.contains("\"sender\":\"*@VM7.example\""),
        "{after}"
    );
    let count = |row: &str| after.lines().filter(|line| line.contains(row)).count();
    assert_eq!(
        (count("\"configured\":true"), after.lines().count()),
        (1, 2)
    );
    backup(&smarthost, "BACKUP of 5 disks");
    until("it has come again", || {
        let row = listed(&smarthost);
        let row = row
            .lines()
            .find(|line| line.contains("backup*"))?
            .to_owned();
        row.contains("\"count\":2").then_some(())
    });
    let number = |row: &str| {
        row.split_once("\"number\":")?
            .1
            .split(',')
            .next()?
            .parse::<u32>()
            .ok()
    };
    let ours = after
        .lines()
        .find(|line| line.contains("VM7"))
        .and_then(number);
    let forget = ["expected", "forget", &ours.unwrap().to_string()];
    assert!(text(&smarthost.admin(&forget)).contains("is no longer expected"));
    assert!(!listed(&smarthost).contains("VM7"));
    assert_eq!(
        text(&smarthost.admin(&["expected", "list", "--learned"])).trim(),
        "nothing is proposed"
    );
}

#[test]
fn mail_that_is_missing_is_in_the_status_in_check_in_the_health_and_in_the_metrics() {
    let page = free_address();
    let smarthost = Smarthost::start(&format!(
        "web = \"{page}\"\n\
         expected = [{{ client = \"127.0.0.1\", subject = \"backup*\", every = \"2s\", grace = \"1s\" }}]\n"
    ));
    let metric = |value: u32| {
        let metrics = http::get(page, "/metrics").body;
        metrics.contains(&format!("smarthost_alarms {value}\n"))
    };
    let told = until("it is missing", || {
        let status = text(&smarthost.admin(&["status"]));
        status
            .contains("expected mail is missing")
            .then_some(status)
    });
    assert!(told.contains("\"backup*\" of 127.0.0.1"), "{told}");
    let checked = smarthost.admin(&["check"]);
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        checked.contains("\"backup*\" of 127.0.0.1 is missing since"),
        "{checked}"
    );
    assert_eq!(checked.matches("backup*").count(), 1, "once: {checked}");
    until("it is counted", || metric(1).then_some(()));
    let health = http::get(page, "/health");
    assert_eq!(health.code, 200, "{health:?}");
    assert!(health.body.contains("\"what\":\"alarm\""), "{health:?}");
}

#[test]
fn what_makes_no_sense_is_not_expected() {
    let smarthost = Smarthost::start(
        "expected = { client = \"vm7\", subject = \"backup*\", every = \"1d\" }\n",
    );
    until("the configuration counts", || {
        listed(&smarthost)
            .contains("\"grace\":\"3h\"")
            .then_some(())
    });
    for wrong in [
        &["expected", "add", "--every", "1d"][..],
        &["expected", "add", "--client", "vm7"],
        &["expected", "add", "--client", "a b", "--every", "1d"],
        &["expected", "add", "--subject", "x", "--every", "0s"],
        &["expected", "add", "--learned", "1"],
        &["expected", "add", "--learned", "1", "--every", "1d"],
        &["expected", "forget", "99"],
        &["expected", "forget", "1"],
    ] {
        assert!(!smarthost.admin(wrong).status.success(), "{wrong:?}");
    }
}

#[test]
fn what_is_expected_is_shown_as_it_is_written_and_nothing_in_it_is_obeyed() {
    let smarthost = Smarthost::start("");
    for (subject, shown) in [
        ("Größe*", "\"Größe*\""),
        ("a \\* \"b\"", "\"a \\* \"b\"\""),
        ("\u{202e}evil", "\"?evil\""),
    ] {
        let added = smarthost.admin(&["expected", "add", "--subject", subject, "--every", "1d"]);
        assert!(text(&added).contains(shown), "{}", text(&added));
    }
}
