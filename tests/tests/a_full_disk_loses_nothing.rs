//! A spool on a disk that fills up: refused before acceptance, what was taken is delivered, and
//! room makes it take mail again.

use std::path::PathBuf;

use tests::{
    disk::fill,
    peers,
    session::Session,
    sink::{Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

const MESSAGE: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";

#[test]
fn on_a_full_disk_mail_is_refused_and_what_was_taken_is_delivered() {
    if !peers::mounts() {
        return;
    }
    let relay = free_address();
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.0/8\"]\nlimits = {{ exempt = [\"127.0.0.0/8\"] }}\nrelayhost = \"{}\"\n\
         admins = [\"admins@example.net\"]\n",
        nexthop(relay)
    ));
    smarthost
        .in_mount_namespace("mkdir -p $DIR/spool && mount -t tmpfs -o size=300m tmpfs $DIR/spool");
    smarthost.run();
    let mut session = Session::greeted(smarthost.address());
    let mut send = move || {
        session
            .mail("a@example.org", &["b@example.net"], MESSAGE)
            .unwrap()
    };
    for _ in 0..5 {
        assert_eq!(send().code, 250);
    }

    // The daemon's file system, seen through the daemon's eyes.
    let pid = smarthost.daemon().pid();
    let filler = PathBuf::from(format!(
        "/proc/{pid}/root{}/spool/filler",
        smarthost.directory().display()
    ));
    fill(&filler);
    let refused = until("the full disk is noticed", || {
        Some(send()).filter(|reply| reply.code != 250)
    });
    assert_eq!(refused.code, 452, "{refused:?}");

    let taken = smarthost.mailq().matches("b@example.net").count();
    assert!(taken >= 5);
    let sink = Sink::on(relay, Script::default());
    // The mail to the administrators that tells of it may come among them, and its first attempt
    // may fail after an order to flush.
    until_true("deliveries go on without room", || {
        assert!(smarthost.admin(&["queue", "flush"]).status.success());
        let all = sink.journal().messages();
        all.iter()
            .filter(|it| it.recipients == ["b@example.net"])
            .count()
            >= taken
    });

    std::fs::remove_file(&filler).unwrap();
    until_true("mail is taken again", || send().code == 250);
    until_true("the administrators are told that none could be", || {
        let all = sink.journal().messages();
        let mut subjects = all.iter().map(|it| it.field("Subject"));
        subjects.any(|subject| subject.contains("no mail can be taken"))
    });
}

/// An order that the next start would not know is answered as one.
#[test]
fn an_order_about_limits_that_finds_no_room_says_that_it_is_not_on_disk() {
    if !peers::mounts() {
        return;
    }
    let mut smarthost = Smarthost::prepare(
        "networks = [\"127.0.0.0/8\"]\nlimits = { per_client = [\"100/day\"] }\nrelayhost = \"[127.0.0.1]:9\"\n",
    );
    smarthost
        .in_mount_namespace("mkdir -p $DIR/state && mount -t tmpfs -o size=100m tmpfs $DIR/state");
    smarthost.run();
    let pid = smarthost.daemon().pid();
    let control = format!("/proc/{pid}/root{}/state", smarthost.directory().display());
    let filler = PathBuf::from(control).join("filler");
    fill(&filler);
    let blocks = ["limits", "raise", "127.0.0.5", "0", "--until", "7d"];
    let answered = smarthost.admin(&blocks);
    let told = String::from_utf8_lossy(&answered.stderr).into_owned();
    assert_eq!(answered.status.code(), Some(1), "{told}");
    assert!(told.contains("not on disk"), "{told}");
    std::fs::remove_file(&filler).unwrap();
    until_true("it is kept", || smarthost.admin(&blocks).status.success());
}
