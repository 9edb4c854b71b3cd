//! What is wrong with a smarthost is told by each tool that an administrator asks.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Output;

use tests::{
    agent::Agent,
    identity::Identity,
    session::Session,
    sink::{Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

fn said(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(said).unwrap()
}

/// The lines of `check` about a thing, with whether it found everything in order.
fn checked(smarthost: &Smarthost, subject: &str) -> (Option<i32>, Vec<String>) {
    let output = smarthost.admin(&["check"]);
    let text = said(&output);
    let of = |line: &&str| line.split_whitespace().nth(1) == Some(subject);
    let lines = text.lines().filter(of).map(str::to_owned).collect();
    (output.status.code(), lines)
}

fn fails(lines: &[String], what: &str) -> bool {
    let mut lines = lines.iter();
    lines.any(|line| line.starts_with("FAIL") && line.contains(what))
}

/// A rule that asks DNS lets no client through then, relayhost or not.
#[test]
fn check_fails_where_a_restriction_asks_a_name_server_that_does_not_answer() {
    let sink = Sink::start();
    let common = format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\naliases = [\"$DIR/machine.aliases\"]\n\
         admins = \"a@example.net\"\nresolver = \"{}\"\n",
        sink.nexthop(),
        free_address()
    );
    let asks = format!(
        "{common}restrictions = [\"reject_unknown_sender_domain\", \"permit_mynetworks\", \
         \"reject_unauth_destination\"]\n"
    );
    let smarthost = Smarthost::prepare(&asks);
    let (code, lines) = checked(&smarthost, "resolver");
    assert!(
        code == Some(1) && fails(&lines, "asked for the MX of"),
        "{lines:?}"
    );
    let told = said(&smarthost.admin(&["check"]));
    assert!(told.contains("reject_unknown_sender_domain"), "{told}");
    smarthost.configure(&common);
    let (_, lines) = checked(&smarthost, "resolver");
    assert!(lines.is_empty(), "nobody asks it: {lines:?}");
}

/// With the daemon running or not.
#[test]
fn an_expired_certificate_fails_the_check_whether_the_daemon_runs_or_not() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\naliases = [\"$DIR/machine.aliases\"]\n\
         tls = {{ certificate = \"old.pem\", key = \"old.key\" }}\n",
        sink.nexthop()
    ));
    Identity::expired("mail.example.test").write(smarthost.directory(), "old");
    let expired = |smarthost: &Smarthost| {
        let (code, lines) = checked(smarthost, "certificate");
        assert!(
            code == Some(1) && fails(&lines, "expired since 20"),
            "{lines:?}"
        );
    };
    expired(&smarthost);
    smarthost.run();
    expired(&smarthost);
    let told = said(&smarthost.admin(&["status"]));
    assert!(told.contains("has expired, since 20"), "{told}");
    let told = said(&smarthost.admin(&["top", "--once"]));
    assert!(told.contains("has expired, since 20"), "{told}");
}

/// A time that only says when others would be preferred is none.
#[test]
fn of_a_relayhost_that_stands_alone_no_later_time_is_told_than_the_queue_has() {
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nretry = {{ minimal = \"1s\", maximal = \"2s\" }}\n",
        nexthop(free_address())
    ));
    smarthost.run();
    let mut session = Session::greeted(smarthost.address());
    session.delivers(
        "a@example.net",
        &["b@example.net"],
        b"Subject: s\r\n\r\nt\r\n",
    );
    // After three failures its circuit would leave it alone for minutes.
    until("it has failed three times", || {
        let told = said(&smarthost.admin(&["status"]));
        let line = told.lines().find(|line| line.contains("FAIL  relayhost"))?;
        if let Some((_, again)) = line.split_once("it is tried again in ") {
            let seconds: u64 = again.split(' ').next()?.parse().ok()?;
            assert!(seconds <= 3, "{line}");
        }
        let (before, _) = line.split_once(" times")?;
        let times: u64 = before.rsplit(' ').next()?.parse().ok()?;
        (times >= 3).then_some(())
    });
}

#[test]
fn signals_that_mean_nothing_end_neither_daemon() {
    use rustix::process::Signal;
    let mut smarthost = Smarthost::start("networks = [\"127.0.0.0/8\"]\n");
    let mut agent = Agent::start(&tests::agent::config(&smarthost.nexthop(), ""));
    for daemon in [smarthost.daemon(), agent.daemon()] {
        for signal in [Signal::USR1, Signal::USR2, Signal::ALARM] {
            daemon.signal(signal);
        }
    }
    assert!(said(&smarthost.admin(&["status"])).contains("running for"));
    assert!(said(&agent.admin(&["status"])).contains("running for"));
    assert!(smarthost.daemon().ended().is_none() && agent.daemon().ended().is_none());
}

/// A wrong file changes nothing; a right one is in force though nothing waits.
#[test]
fn an_agent_that_is_sent_sighup_takes_its_file_as_it_is_now_and_goes_on() {
    let (first, second) = (Sink::start(), Sink::start());
    let mut agent = Agent::start(&tests::agent::config(&first.nexthop(), ""));
    agent.configure("relayhost = 5\n");
    agent.daemon().signal(rustix::process::Signal::HUP);
    let wrong = "SIGHUP: the configuration is wrong";
    agent.daemon().wait_for_log(wrong);
    agent.send(&["one@example.net"], "Subject: one\n\ntext\n");
    first.journal().wait_for(1);
    until_true("it was given up", || agent.mailq().contains("empty"));
    agent.configure(&tests::agent::config(&second.nexthop(), ""));
    agent.daemon().signal(rustix::process::Signal::HUP);
    agent
        .daemon()
        .wait_for_log("starting anew with the files as they are");
    until_true("it serves again", || {
        agent.daemon().log().matches("listening on").count() == 2
    });
    agent.send(&["two@example.net"], "Subject: two\n\ntext\n");
    second.journal().wait_for(1);
    assert!(agent.daemon().ended().is_none(), "the same process");
}
