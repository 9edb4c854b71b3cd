//! The file of the password with which mail is handed over is gone, empty or open to others: both
//! programs go on with the password that was last good, say so, and take the mended file by
//! themselves. Where there never was a good one mail waits, and goes as soon as there is.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use tests::{
    agent::Agent,
    identity::write,
    login::{MESSAGE, password, server},
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::until,
};

const LOGIN: &str = "vm7@example.org";
const STANDS_IN: &str = "the password that was last good is used until it is mended";
const WAITS: &str = "mail that needs it waits until it is mended";

fn said(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&all).into_owned()
}

fn give(file: &Path, secret: &str, mode: u32) {
    write(file, secret);
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

/// A relay that takes mail of a login alone, and its password.
fn relay(sink: &Sink) -> (Smarthost, String) {
    let mut relay = server(sink, "auth = { users = \"users\" }\n");
    let secret = password(&relay, LOGIN);
    relay.run();
    (relay, secret)
}

/// What is done to a file, and what is told of it.
type Harm = (Box<dyn Fn()>, &'static str);

/// How a file goes wrong, and a word of what is told.
fn breaks(file: &Path, secret: &str) -> [Harm; 3] {
    let (one, two, three) = (file.to_owned(), file.to_owned(), file.to_owned());
    let secret = secret.to_owned();
    [
        (
            Box::new(move || fs::remove_file(&one).unwrap()),
            "No such file",
        ),
        (Box::new(move || give(&two, "", 0o600)), "no password in it"),
        (Box::new(move || give(&three, &secret, 0o644)), "mode 0644"),
    ]
}

fn subjects(sink: &Sink, part: &str) -> usize {
    let messages = sink.journal().messages();
    let all = messages.iter().map(|it| it.field("Subject"));
    all.filter(|subject| subject.contains(part)).count()
}

#[test]
fn a_smarthost_hands_over_mail_with_the_password_that_was_last_good() {
    let sink = Sink::start();
    let (relay, secret) = relay(&sink);
    let mut sender = Smarthost::prepare(&format!(
        "relayhost = \"{}\"\nrelay_tls = {{ pins = [\"{}\"] }}\nadmins = \"admins@example.test\"\n\
         relay_auth = {{ user = \"{LOGIN}\", password_file = \"secret\" }}\n",
        relay.nexthop(),
        relay.pin()
    ));
    let file = sender.directory().join("secret");
    sender.run();
    let status = |sender: &Smarthost| said(&sender.admin(&["status"]));
    let deliver = |sender: &Smarthost| {
        Session::greeted(sender.address()).delivers("a@example.org", &["b@example.net"], MESSAGE);
    };
    until("that it is missing is told", || {
        status(&sender).contains(WAITS).then_some(())
    });
    deliver(&sender);
    sender.wait_for_mailq("the reason", |queue| queue.contains("relay_auth"));
    give(&file, &secret, 0o600);
    sender.daemon().wait_for_log("what waits is tried at once");
    until("it goes", || (subjects(&sink, "hello") == 1).then_some(()));
    for (delivered, (go_wrong, told)) in (2..).zip(breaks(&file, &secret)) {
        until("what is right is taken", || {
            let status = status(&sender);
            (!status.contains("until it is mended")).then_some(())
        });
        sender.daemon().stop();
        go_wrong();
        sender.run();
        deliver(&sender);
        until("it goes with the password that was last good", || {
            (subjects(&sink, "hello") == delivered).then_some(())
        });
        until("the status tells", || {
            let status = status(&sender);
            (status.contains(told) && status.contains(STANDS_IN)).then_some(())
        });
        let check = said(&sender.admin(&["check"]));
        assert!(check.contains("FAIL  password"), "{check}");
        assert!(check.contains(told) && check.contains(STANDS_IN), "{check}");
        give(&file, &secret, 0o600);
        sender.daemon().wait_for_log("reloaded ");
    }
    until("the administrators are told", || {
        (subjects(&sink, "configuration of smarthost is wrong") >= 1).then_some(())
    });
}

#[test]
fn an_agent_hands_over_mail_with_the_password_that_was_last_good() {
    let sink = Sink::start();
    let (relay, secret) = relay(&sink);
    let mut machine = Agent::prepare(&format!(
        "relayhost = \"{}\"\npins = [\"{}\"]\nadmin = \"admins@example.org\"\n\
         auth = {{ user = \"{LOGIN}\", password_file = \"secret\" }}\n",
        relay.nexthop(),
        relay.pin()
    ));
    let file = machine.directory().join("secret");
    give(&file, &secret, 0o600);
    machine.run();
    let status = |machine: &Agent| said(&machine.admin(&["status"]));
    machine.send(&["b@example.net"], "Subject: hello\n\ntext\n");
    until("it goes", || (subjects(&sink, "hello") == 1).then_some(()));
    for (delivered, (go_wrong, told)) in (2..).zip(breaks(&file, &secret)) {
        machine.daemon().stop();
        go_wrong();
        machine.run();
        machine.send(&["b@example.net"], "Subject: hello\n\ntext\n");
        until("it goes with the password that was last good", || {
            (subjects(&sink, "hello") == delivered).then_some(())
        });
        let status = status(&machine);
        assert!(
            status.contains(told) && status.contains(STANDS_IN),
            "{status}"
        );
        until("root is told", || {
            (subjects(&sink, "password for the relayhost") == delivered - 1).then_some(())
        });
        give(&file, &secret, 0o600);
        until("what is right is taken", || {
            let status = said(&machine.admin(&["status"]));
            (!status.contains("until it is mended")).then_some(())
        });
    }
}

/// A configuration that is wrong names no password; that is no reason to forget it.
#[test]
fn a_password_that_was_good_outlives_a_configuration_that_is_wrong() {
    let sink = Sink::start();
    let (relay, secret) = relay(&sink);
    let config = format!(
        "relayhost = \"{}\"\nrelay_tls = {{ pins = [\"{}\"] }}\n\
         relay_auth = {{ user = \"{LOGIN}\", password_file = \"secret\" }}\n",
        relay.nexthop(),
        relay.pin()
    );
    let mut sender = Smarthost::prepare(&config);
    let file = sender.directory().join("secret");
    let state = sender.directory().join("state");
    give(&file, &secret, 0o600);
    sender.run();
    let deliver = |sender: &Smarthost| {
        Session::greeted(sender.address()).delivers("a@example.org", &["b@example.net"], MESSAGE);
    };
    deliver(&sender);
    until("it goes", || (subjects(&sink, "hello") == 1).then_some(()));
    until("it has a copy", || {
        let copies = fs::read_dir(state.join("passwords.last-good")).ok()?;
        copies.flatten().next()
    });
    sender.daemon().stop();
    sender.configure("relayhots = 1");
    for copies in [state, sender.directory().join("config.toml.state")] {
        fs::remove_file(copies.join("config.last-good")).unwrap();
    }
    fs::remove_file(&file).unwrap();
    sender.run();
    deliver(&sender);
    sender.wait_for_mailq("that it waits", |queue| {
        queue.contains("the configuration is wrong")
    });
    assert!(!sender.admin(&["reload"]).status.success());
    // It does not wait for the file of the password.
    sender.configure(&config);
    sender.daemon().wait_for_log("starting anew");
    until("it goes with the password that was last good", || {
        (subjects(&sink, "hello") == 2).then_some(())
    });
}
