//! A configuration that names another `spool` leaves no mail in the old one: the next start moves
//! it, and where that fails, or before it, `check` and `status` tell what waits and where. Files of
//! the queue that another takes away, or puts copies in place of, cost no mail either.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Output,
};

use tests::{
    agent::{self, Agent},
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
    wait::{free_address, until_true},
};

fn said(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(said).unwrap()
}

/// Its mail waits for a relay that is not there yet.
fn smarthost(relay: SocketAddr, more: &str) -> String {
    format!(
        "aliases = [\"machine.aliases\"]\nadmins = \"a@example.net\"\nrelayhost = \"[{}]:{}\"\n{more}",
        relay.ip(),
        relay.port()
    )
}

fn with_two_messages(relay: SocketAddr) -> (Smarthost, PathBuf) {
    let daemon = Smarthost::start(&smarthost(relay, ""));
    let mut session = Session::greeted(daemon.address());
    for to in ["b@example.net", "c@example.net"] {
        session.delivers("a@example.net", &[to], b"Subject: s\r\n\r\nt\r\n");
    }
    let old = daemon.directory().join("spool");
    (daemon, old)
}

#[test]
fn what_was_queued_under_another_spool_is_moved_by_the_next_start_and_told_before_it() {
    let relay = free_address();
    let (mut daemon, old) = with_two_messages(relay);
    let waits = format!(
        "2 messages wait in {}, where the queue was before",
        old.display()
    );
    assert!(!said(&daemon.admin(&["check"])).contains(&waits));
    daemon.configure(&smarthost(relay, "spool = \"other\"\n"));
    let reloaded = said(&daemon.admin(&["reload"]));
    assert!(reloaded.contains("spool"), "{reloaded}");
    let told = said(&daemon.admin(&["check"]));
    assert!(told.contains(&waits), "while the old one is served: {told}");
    daemon.daemon().stop();
    let told = said(&daemon.admin(&["check"]));
    assert!(told.contains(&waits), "before the start: {told}");
    daemon.run();
    let log = daemon.daemon().log();
    let moved = format!(
        "2 messages that were queued in {} are taken over",
        old.display()
    );
    assert!(log.contains(&moved), "{log}");
    daemon.wait_for_mailq("both", |list| list.matches("@example.net").count() >= 4);
    assert!(!said(&daemon.admin(&["check"])).contains(&waits));
    let sink = Sink::on(relay, Script::default());
    daemon.admin(&["queue", "flush"]);
    assert_eq!(sink.recipients(2).len(), 2, "each once");
}

#[test]
fn an_old_spool_that_cannot_be_taken_over_is_an_alarm_until_a_start_can() {
    let relay = free_address();
    let (mut daemon, old) = with_two_messages(relay);
    daemon.daemon().stop();
    // As another program that has it open.
    let held = File::options().write(true).open(old.join("lock")).unwrap();
    held.lock().unwrap();
    daemon.configure(&smarthost(relay, "spool = \"other\"\n"));
    let waits = format!(
        "2 messages wait in {}, where an earlier configuration kept the queue",
        old.display()
    );
    for _ in 0..2 {
        daemon.run();
        for word in ["status", "check"] {
            let told = said(&daemon.admin(&[word]));
            assert_eq!(told.matches(&waits).count(), 1, "{word}: {told}");
            assert!(
                told.contains(&format!("spool = \"{}\"", old.display())),
                "{told}"
            );
        }
        daemon.daemon().stop();
    }
    drop(held);
    daemon.run();
    assert!(!said(&daemon.admin(&["status"])).contains(&waits));
    let sink = Sink::on(relay, Script::default());
    daemon.admin(&["queue", "flush"]);
    assert_eq!(sink.recipients(2).len(), 2, "each once");
}

/// Nobody knows where it was, but for the list in what the agent remembers.
#[test]
fn the_agent_takes_over_what_it_queued_under_another_spool() {
    let relay = free_address();
    let config = |more: &str| agent::config(&format!("[{}]:{}", relay.ip(), relay.port()), more);
    let mut machine = Agent::prepare(&config(""));
    machine.run();
    machine.send(&["b@example.net"], "Subject: s\n\nt\n");
    machine.daemon().stop();
    let old = machine.directory().join("spool");
    machine.configure(&config("spool = \"$DIR/other\"\n"));
    let told = said(&machine.admin(&["check"]));
    let waits = format!(
        "1 messages wait in {}, where the queue was before",
        old.display()
    );
    assert!(told.contains(&waits), "{told}");
    machine.run();
    assert!(machine.mailq().contains("b@example.net"));
    assert!(!said(&machine.admin(&["check"])).contains(&waits));
    // And back again.
    machine.daemon().stop();
    machine.configure(&config(""));
    machine.run();
    assert!(machine.mailq().contains("b@example.net"));
    let sink = Sink::on(relay, Script::default());
    machine.admin(&["queue", "flush"]);
    assert_eq!(sink.recipients(1), ["b@example.net"]);
}

/// Segments are removed, or a copy of each comes in its place.
#[expect(clippy::disallowed_methods, reason = "an administrator moves files so")]
fn take_away(spool: &Path, copied: bool) {
    for entry in fs::read_dir(spool.join("segments")).unwrap() {
        let path = entry.unwrap().path();
        if copied {
            fs::copy(&path, path.with_extension("new")).unwrap();
        }
        fs::remove_file(&path).unwrap();
        if copied {
            fs::rename(path.with_extension("new"), &path).unwrap();
        }
    }
}

const TAKEN: &str = "were removed or replaced while the program ran";

#[test]
fn a_copy_that_is_put_back_under_the_running_smarthost_loses_no_mail_that_comes_afterwards() {
    for copied in [false, true] {
        let relay = free_address();
        let (mut daemon, spool) = with_two_messages(relay);
        take_away(&spool, copied);
        let mut session = Session::greeted(daemon.address());
        session.delivers(
            "a@example.net",
            &["d@example.net"],
            b"Subject: s\r\n\r\nt\r\n",
        );
        for word in ["status", "check"] {
            until_true(&format!("{word} tells of it"), || {
                said(&daemon.admin(&[word])).contains(TAKEN)
            });
        }
        daemon.daemon().stop();
        daemon.run();
        assert!(!said(&daemon.admin(&["status"])).contains(TAKEN));
        let sink = Sink::on(relay, Script::default());
        daemon.admin(&["queue", "flush"]);
        let mut recipients = sink.recipients(3);
        recipients.sort();
        assert_eq!(
            recipients,
            ["b@example.net", "c@example.net", "d@example.net"]
        );
    }
}

#[test]
fn a_copy_that_is_put_back_under_the_running_agent_loses_no_mail_that_comes_afterwards() {
    let relay = free_address();
    let config = agent::config(&format!("[{}]:{}", relay.ip(), relay.port()), "");
    let mut machine = Agent::prepare(&config);
    machine.run();
    machine.send(&["b@example.net"], "Subject: s\n\nt\n");
    take_away(&machine.directory().join("spool"), true);
    machine.send(&["c@example.net"], "Subject: s\n\nt\n");
    until_true("check tells of it", || {
        said(&machine.admin(&["check"])).contains(TAKEN)
    });
    machine.daemon().stop();
    machine.run();
    let sink = Sink::on(relay, Script::default());
    machine.admin(&["queue", "flush"]);
    let mut recipients = sink.recipients(2);
    recipients.sort();
    assert_eq!(recipients, ["b@example.net", "c@example.net"]);
}
