//! `check` of both programs says what can be known of a daemon that does not answer; `pin` and
//! `check` go by the key that a running one presents; `sendmail` waits for an agent that starts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, os::unix::net::UnixListener, process::Output};

use rustix::{fs::rename, process::Signal};
use tests::{
    activation::Activation,
    agent::{self, Agent},
    identity::Identity,
    session::Session,
    sink::{Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until},
};

fn said(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(said).unwrap()
}

fn smarthost(more: &str) -> Smarthost {
    let smarthost = Smarthost::prepare(&format!(
        "aliases = [\"aliases\"]\nadmins = \"a@example.net\"\n{more}"
    ));
    smarthost.file("aliases", "");
    smarthost
}

/// Level and text of what `check --json` says of this; and its exit status.
fn found(smarthost: &Smarthost, subject: &str) -> (Option<i32>, Vec<(String, String)>) {
    let output = smarthost.admin(&["check", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = json["findings"].as_array().unwrap().iter();
    let text = |it: &serde_json::Value, key: &str| it[key].as_str().unwrap().to_owned();
    let found = findings.filter(|it| it["subject"] == subject);
    let found = found.map(|it| (text(it, "level"), text(it, "text")));
    (output.status.code(), found.collect())
}

/// The one thing that it says of the daemon, which works or does not.
fn of_daemon(smarthost: &Smarthost, expected: (i32, &str, &str)) {
    let (code, found) = found(smarthost, "daemon");
    assert_eq!(found.len(), 1, "{expected:?}: {found:?}");
    let (level, text) = found.first().unwrap();
    let is = (code.unwrap(), level.as_str());
    assert_eq!(is, (expected.0, expected.1), "{text}");
    assert!(text.contains(expected.2), "{expected:?}: {text}");
}

#[test]
fn check_fails_while_the_smarthost_is_stopped_or_dead_and_where_none_ever_ran_it_does_not() {
    let mut smarthost = smarthost("");
    let (code, nothing) = found(&smarthost, "daemon");
    assert_eq!((code, nothing), (Some(0), vec![]));
    smarthost.run();
    of_daemon(&smarthost, (0, "ok", "runs, process"));
    smarthost.daemon().signal(Signal::STOP);
    let advice = format!("kill -CONT {}", smarthost.daemon().pid());
    of_daemon(&smarthost, (1, "critical", &advice));
    assert!(said(&smarthost.admin(&["check"])).contains("FAIL  daemon "));
    smarthost.daemon().signal(Signal::CONT);
    of_daemon(&smarthost, (0, "ok", "runs, process"));
    smarthost.kill();
    of_daemon(&smarthost, (1, "critical", "was killed or crashed"));
    smarthost.run();
    smarthost.daemon().stop();
    of_daemon(&smarthost, (0, "warning", "does not run"));
}

#[test]
fn check_fails_where_mail_waits_and_no_daemon_runs_that_delivers_it() {
    let mut smarthost = smarthost(&format!("relayhost = \"[{}]:1\"\n", free_address().ip()));
    smarthost.run();
    for _ in 0..3 {
        Session::greeted(smarthost.address()).delivers(
            "a@example.net",
            &["b@example.net"],
            b"Subject: s\r\n\r\nt\r\n",
        );
    }
    smarthost.daemon().stop();
    of_daemon(
        &smarthost,
        (1, "critical", "does not run, and 3 messages wait in "),
    );
    smarthost.run();
    smarthost.kill();
    of_daemon(
        &smarthost,
        (1, "critical", "does not run, and 3 messages wait in "),
    );
    // Who only looked has changed nothing.
    smarthost.run();
    smarthost.wait_for_mailq("all three", |list| {
        list.matches("b@example.net").count() == 3
    });
}

/// A process that hangs, whose socket takes whatever comes.
#[test]
fn check_fails_where_the_control_socket_takes_questions_and_answers_none() {
    let smarthost = smarthost("");
    let _silent = UnixListener::bind(smarthost.directory().join("control.sock")).unwrap();
    of_daemon(&smarthost, (1, "critical", "no answer in "));
}

#[test]
fn sendmail_shims_check_says_of_a_stopped_agent_what_wakes_it_and_of_a_dead_one_what_waits() {
    let sink = Sink::start();
    let down = free_address();
    let mut machine = Agent::prepare(&agent::config(
        &format!("[{}]:{}", down.ip(), down.port()),
        "",
    ));
    machine.run();
    let pid = machine.daemon().pid();
    machine.daemon().signal(Signal::STOP);
    let told = said(&machine.admin(&["check"]));
    assert!(told.contains("FAIL  agent "), "{told}");
    assert!(told.contains(&format!("kill -CONT {pid}")), "{told}");
    machine.daemon().signal(Signal::CONT);
    machine.send(&["a@example.net"], "Subject: s\n\nt\n");
    fs::remove_file(machine.directory().join("control.sock")).unwrap();
    let told = said(&machine.admin(&["check"]));
    assert!(
        told.contains("FAIL  agent         takes mail, and no orders"),
        "{told}"
    );
    machine.daemon().stop();
    let told = said(&machine.admin(&["check"]));
    assert!(
        told.contains("FAIL  queue         1 messages wait in "),
        "{told}"
    );
    machine.configure(&agent::config(&sink.nexthop(), ""));
    machine.run();
    sink.recipients(1);
    until("nothing is told any more", || {
        let told = said(&machine.admin(&["check"]));
        (!told.contains("FAIL")).then_some(())
    });
}

/// systemd has its sockets, and starts it.
#[test]
fn sendmail_shims_check_finds_nothing_wrong_with_an_agent_that_has_ended_for_it_had_nothing_to_do()
{
    let sink = Sink::start();
    let machine = Agent::prepare(&agent::config(&sink.nexthop(), ""));
    let systemd = Activation::of(&machine, &["--idle", "0s"]);
    for _ in 0..3 {
        let told = said(&machine.admin(&["check"]));
        assert!(told.contains("ok    agent"), "{told}");
        assert!(!told.contains("FAIL"), "{told}");
    }
    assert!(systemd.started() > 0);
    systemd.end();
}

fn key_files(smarthost: &Smarthost) -> [std::path::PathBuf; 2] {
    ["key.pem", "cert.pem"].map(|name| smarthost.directory().join("state").join(name))
}

#[test]
fn pin_prints_what_the_running_daemon_presents_though_its_key_is_gone_and_makes_no_other() {
    let mut smarthost = smarthost("");
    smarthost.run();
    let presented = smarthost.pin();
    assert!(found(&smarthost, "certificate").1.is_empty());
    for file in key_files(&smarthost) {
        fs::remove_file(file).unwrap();
    }
    let output = said(&smarthost.admin(&["pin"]));
    assert!(output.contains("key.pem is gone"), "{output}");
    assert_eq!(smarthost.pin(), presented);
    assert!(key_files(&smarthost).iter().all(|file| !file.exists()));
    let told = || found(&smarthost, "certificate").1;
    let [(level, text)] = &told()[..] else {
        panic!("{:?}", told());
    };
    assert_eq!(level, "warning");
    assert!(
        text.contains(&presented) && text.contains("is gone"),
        "{text}"
    );

    // Nobody can say then what it presents.
    smarthost.daemon().signal(Signal::STOP);
    let output = smarthost.admin(&["pin"]);
    assert!(!output.status.success(), "{}", said(&output));
    assert!(key_files(&smarthost).iter().all(|file| !file.exists()));
    smarthost.daemon().signal(Signal::CONT);
    smarthost.daemon().stop();
    assert_ne!(smarthost.pin(), presented, "a key is made where none runs");
}

#[test]
fn pin_and_check_tell_both_keys_where_the_files_have_another_one_than_the_daemon() {
    let mut smarthost = smarthost("");
    smarthost.run();
    let presented = smarthost.pin();
    let [key, certificate] = key_files(&smarthost);
    let other = Identity::new("mail.example.test");
    other.write(smarthost.directory(), "other");
    fs::copy(smarthost.directory().join("other.key"), &key).unwrap();
    fs::copy(smarthost.directory().join("other.pem"), &certificate).unwrap();
    let output = said(&smarthost.admin(&["pin"]));
    let pins = output
        .lines()
        .find(|line| line.starts_with("pins = ["))
        .unwrap();
    assert!(
        pins.contains(&format!("[\"{presented}\", \"sha256:")),
        "{output}"
    );
    let told = found(&smarthost, "certificate").1;
    assert!(
        told.iter()
            .any(|(level, text)| level == "warning" && text.contains(&presented)),
        "{told:?}"
    );
    let reloaded = smarthost.admin(&["reload"]);
    assert!(reloaded.status.success(), "{}", said(&reloaded));
    assert!(found(&smarthost, "certificate").1.is_empty());
    assert!(pins.contains(&smarthost.pin()), "the second one: {pins}");
}

/// Under an init system without socket activation, or after a crash, nobody listens for a moment.
#[test]
fn an_agent_that_is_just_starting_is_waited_for_where_there_is_no_other_way() {
    let nowhere = nexthop(free_address());
    for relayhost in [
        String::new(),
        format!("relayhost = {nowhere:?}\ntls = \"none\"\n"),
    ] {
        let machine = Agent::start(&relayhost);
        let [socket, away] =
            ["submit.sock", "away.sock"].map(|name| machine.directory().join(name));
        rename(&socket, &away).unwrap();
        let crashing = UnixListener::bind(&socket).unwrap();
        std::thread::scope(|scope| {
            let sent = scope.spawn(|| machine.sendmail(&["root@example.net"], agent::CRON));
            // It was there, it goes in the middle of it all, and another one starts.
            drop(crashing.accept().unwrap());
            drop(crashing);
            rename(&away, &socket).unwrap();
            let output = sent.join().unwrap();
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        });
        machine.wait_for_mailq("the message", |list| list.contains("root@example.net"));
        rename(&socket, &away).unwrap();
        std::thread::scope(|scope| {
            let session = scope.spawn(|| machine.sendmail(&["-bs"], "QUIT\r\n"));
            rename(&away, &socket).unwrap();
            let output = session.join().unwrap();
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        });
    }
}
