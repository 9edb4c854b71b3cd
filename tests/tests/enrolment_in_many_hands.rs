//! What several hands do to one machine's enrolment: commands at once, keys that one relay believes
//! no more, files that are damaged, lines that are pasted as they came.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Output, Stdio},
};

use relay::tls::{ClientTls, Trust};
use tests::{
    agent::{Agent, pipe},
    enrolment::{
        NOTE, bare, enrolled, key_file, line, listed, machine, pin, relay, relay_config, use_line,
        words,
    },
    session::Session,
    sink::{Received, Sink},
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

/// Commands of one machine, all at once.
fn at_once(machine: &Agent, commands: &[&[&str]]) -> Vec<Output> {
    let begun: Vec<_> = commands
        .iter()
        .map(|arguments| {
            let mut command = machine.admin_command();
            command.arg("enroll").args(*arguments);
            let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
            command.stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let ended = begun.into_iter().map(|it| it.wait_with_output().unwrap());
    ended.collect()
}

fn mode(machine: &Agent, file: &str, mode: u32) {
    let file = machine.directory().join(file);
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

/// A session that shows the machine's key.
fn session(relay: &Smarthost, machine: &Agent) -> Session {
    let file = key_file(machine);
    let pair = Some((file.as_path(), file.as_path()));
    let tls = ClientTls::with_identity(&Trust::Opportunistic, pair).unwrap();
    Session::connect(relay.address())
        .ehlo()
        .starttls(tls.config)
}

#[test]
fn commands_at_once_leave_one_key_and_the_relay_knows_it() {
    let sink = Sink::start();
    let relay = relay(&sink, "");
    for number in 0..4 {
        let machine = bare();
        let name = format!("vm{number}");
        let known = || {
            let rows = listed(&relay);
            let mut rows = rows.iter().filter(|row| row["name"] == *name);
            let row = rows.find(|row| row["state"] == "enrolled").unwrap().clone();
            assert_eq!(row["used_twice"], 0, "{row}");
            let key = pin(&key_file(&machine));
            let keys = [&row["key"], &row["next_key"]];
            assert!(keys.iter().any(|known| **known == *key), "{key}: {row}");
        };
        let one = line(&relay, &name);
        machine.file("enroll", &one);
        mode(&machine, "enroll", 0o600);
        let provided: &[&str] = &["--provided"];
        for output in at_once(&machine, &[&[&one], &[&one], provided]) {
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        }
        known();
        for output in at_once(&machine, &[&["--roll"], &["--roll"]]) {
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        }
        known();
        let other = line(&relay, &name);
        for output in at_once(&machine, &[&["--roll"], &["--new-key", &other]]) {
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        }
        known();
        machine.send(&[&format!("{name}@example.net")], NOTE);
        let journal = sink.journal();
        until_true("it goes", || {
            journal.times_asked_for(&format!("{name}@example.net")) > 0
        });
    }
}

#[test]
fn a_relay_that_believes_a_machines_key_no_more_is_told_though_another_one_takes_the_mail() {
    let sink = Sink::start();
    let (first, second) = (relay(&sink, ""), relay(&sink, ""));
    let mut machine = bare();
    let output = machine.admin(&["enroll", &line(&first, "vm7"), &line(&second, "vm7")]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = first.admin(&["enroll", "revoke", "vm7"]);
    assert!(output.status.success(), "{output:?}");
    machine.send(&["b@example.net"], NOTE);
    let journal = sink.journal();
    until_true("it goes by the other", || {
        journal.times_asked_for("b@example.net") == 1
    });
    let told = until("root is told", || {
        let messages = journal.messages();
        let texts = messages.iter().map(Received::text);
        texts
            .into_iter()
            .find(|text| text.contains("refuses mail of this machine"))
    });
    for what in ["5.7.13", "sendmail-shim enroll --new-key LINE"] {
        assert!(told.contains(what), "{what}: {told}");
    }
    let status = words(&machine.admin(&["status"]));
    let at = first.address().to_string();
    let of_first = status
        .lines()
        .find(|it| it.contains(&at) && it.contains("5.7.13"));
    assert!(of_first.is_some(), "{status}");
    machine
        .daemon()
        .wait_for_log("this key of vm7 is believed no more");
}

#[test]
fn a_revoked_machine_comes_back_with_no_hand() {
    let sink = Sink::start();
    let (relay, other) = (relay(&sink, ""), relay(&sink, ""));
    let machine = bare();
    let provided = |lines: &[String], more: &[&str]| {
        machine.file("enroll", &lines.join("\n"));
        mode(&machine, "enroll", 0o600);
        machine.admin(&[&["enroll", "--provided"], more].concat())
    };
    let lines = || [line(&relay, "vm7"), line(&other, "vm7")];
    assert_eq!(provided(&lines(), &[]).status.code(), Some(0));
    let first = pin(&key_file(&machine));
    let output = relay.admin(&["enroll", "revoke", "vm7"]);
    assert!(output.status.success(), "{output:?}");
    let output = provided(&lines(), &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let second = pin(&key_file(&machine));
    assert_ne!(second, first);
    assert_eq!(enrolled(&relay)["key"], second);
    assert_eq!(
        enrolled(&other)["next_key"],
        second,
        "told under the old one"
    );
    for relay in [&relay, &other] {
        assert_eq!(enrolled(relay)["used_twice"], 0);
        assert_eq!(
            session(relay, &machine)
                .say("MAIL FROM:<a@example.org>")
                .code,
            250
        );
    }
    assert!(!machine.directory().join("enroll").exists());
    // A credential stays there, and counts when it is a new line of this machine.
    let credentials = machine.directory().join("credentials");
    fs::create_dir(&credentials).unwrap();
    let by_credential = |line: &str| {
        tests::identity::write(&credentials.join("enroll"), line);
        let mut command = machine.admin_command();
        command.args(["enroll", "--provided"]);
        let output = command.env("CREDENTIALS_DIRECTORY", &credentials).output();
        (output.unwrap().status.code(), pin(&key_file(&machine)))
    };
    assert_eq!(
        by_credential(&line(&relay, "vm8")),
        (Some(0), second.clone())
    );
    let output = relay.admin(&["enroll", "revoke", "vm7"]);
    assert!(output.status.success(), "{output:?}");
    let new = line(&relay, "vm7");
    let (code, third) = by_credential(&new);
    assert_eq!(code, Some(0));
    assert_ne!(third, second);
    assert_eq!(enrolled(&relay)["key"], third);
    assert_eq!(by_credential(&new), (Some(0), third));
    let output = provided(&lines(), &["--new-key"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_ne!(pin(&key_file(&machine)), second);
    machine.send(&["b@example.net"], NOTE);
    sink.journal().wait_for(1);
}

#[test]
fn no_mail_is_taken_once_its_machine_was_revoked_however_far_it_had_come() {
    let sink = Sink::start();
    let relay = relay(&sink, "");
    let machine = machine(&relay, "vm7");
    let begun = || {
        let mut session = session(&relay, &machine);
        assert_eq!(session.say("MAIL FROM:<a@example.org>").code, 250);
        assert_eq!(session.say("RCPT TO:<b@example.net>").code, 250);
        session
    };
    let (mut data, mut chunks) = (begun(), begun());
    assert_eq!(data.say("DATA").code, 354);
    data.send(b"Subject: late\r\n\r\nx\r\n").unwrap();
    assert_eq!(chunks.say("BDAT 15\r\nSubject: late").code, 250);
    let output = relay.admin(&["enroll", "revoke", "vm7"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(data.say(".").code, 421);
    assert_eq!(chunks.say("BDAT 3 LAST\r\nx").code, 421);
    let output = relay.admin(&["enroll", "revoke", "vm7"]);
    let told = words(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("vm7 has been revoked since "), "{told}");
    assert!(relay.mailq().contains("empty"), "{}", relay.mailq());
    assert_eq!(sink.journal().len(), 0);
}

#[test]
fn a_revoked_key_is_believed_nowhere_and_one_of_client_pins_is_no_next_one() {
    let sink = Sink::start();
    let mut relay = relay(&sink, "");
    let (machine, other) = (machine(&relay, "vm7"), bare());
    let revoked = pin(&key_file(&machine));
    let output = relay.admin(&["enroll", "revoke", "vm7"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        use_line(&other, &line(&relay, "vm8")).status.code(),
        Some(0)
    );
    let named = format!("sha256:{}", "ab".repeat(32));
    let pins = format!("client_pins = {{ \"{revoked}\" = \"old\", \"{named}\" = \"printer\" }}\n");
    relay.kill();
    relay.configure(&relay_config(&sink, &pins));
    relay.run();
    let mut session_of_it = session(&relay, &machine);
    let refused = session_of_it.say("MAIL FROM:<a@example.org>");
    assert_eq!(refused.code, 550, "{refused:?}");
    for told in [
        words(&relay.admin(&["check"])),
        words(&relay.admin(&["status"])),
    ] {
        assert!(
            told.contains("is in client_pins, as that of old: it is refused there, too"),
            "{told}"
        );
    }
    let mut session = session(&relay, &other);
    let refused = session.say(&format!("XENROLL NEXT={named}"));
    assert_eq!(refused.code, 550);
    assert!(
        refused.text().contains("stands in client_pins, as printer"),
        "{refused:?}"
    );
    let explained = ["explain", "--client", "vm8", "--to", "b@example.net"];
    let explained = words(&relay.admin(&explained));
    assert!(explained.contains("250 "), "{explained}");
    // One that nobody knows comes from nowhere.
    let unknown = ["explain", "--client", "vm99", "--to", "b@example.net"];
    let unknown = relay.admin(&unknown);
    assert!(!unknown.status.success(), "{unknown:?}");
    let told = words(&unknown);
    assert!(told.contains("no machine is known here as vm99"), "{told}");
}

/// The same command would never go on.
#[test]
fn where_a_line_cannot_be_good_the_command_ends_and_says_what_helps() {
    let sink = Sink::start();
    let relay = relay(&sink, "");
    let machine = machine(&relay, "vm7");
    let good = line(&relay, "vm7");
    // As long as anybody is known there, machines are asked for their keys.
    line(&relay, "vm9");
    machine.send(&["a@example.net"], NOTE);
    sink.journal().wait_for(1);
    let output = relay.admin(&["enroll", "forget", "vm7"]);
    assert!(output.status.success(), "{output:?}");
    machine.send(&["b@example.net"], NOTE);
    let queue = machine.wait_for_mailq("why it waits", |text| text.contains("Relay access denied"));
    assert!(
        queue.contains("sendmail-shim enroll --new-key LINE"),
        "{queue}"
    );
    let used = |machine: &Agent, line: &str, code: i32, what: &str| {
        let output = use_line(machine, line);
        let told = words(&output);
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(what), "{what}: {told}");
    };
    let output = relay.admin(&["enroll", "forget", "vm9"]);
    assert!(output.status.success(), "{output:?}");
    // Nothing is known there of anybody.
    assert_eq!(listed(&relay).len(), 0);
    used(&machine, &good, 1, "a new one: smarthost enroll vm7");
    let rolled = machine.admin(&["enroll", "--roll"]);
    assert_eq!(rolled.status.code(), Some(1), "{rolled:?}");
    let told = words(&rolled);
    assert!(told.contains("run smarthost enroll NAME there"), "{told}");
    let good = line(&relay, "vm7");
    let mixed = good.replace(",starttls,", ",wrapped,");
    assert_ne!(mixed, good);
    used(
        &machine,
        &mixed,
        75,
        "you need a new line: run smarthost enroll NAME there",
    );
    let names = machine.admin(&["enroll", &good, &good.replace("vm7", "vm8")]);
    assert_eq!(names.status.code(), Some(2), "{names:?}");
    assert!(words(&names).contains("for two machines, vm7 and vm8"));
    let (begin, end) = good.split_at(100);
    let mut command = machine.admin_command();
    let pasted = format!("sendmail-shim enroll \"{begin}\n  {end}\"\n");
    let output = pipe(command.args(["enroll", "-"]), pasted.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    sink.journal().wait_for(2);

    let mx = free_address();
    let other = Smarthost::prepare(&relay_config(&sink, ""));
    let listen = format!("listen = [{{ address = \"{mx}\", submission = false }}]\n");
    other.configure(&relay_config(&sink, &listen));
    let mut other = other;
    other.run();
    let mut fields: Vec<_> = good.split(',').map(str::to_owned).collect();
    (fields[3], fields[5]) = (mx.port().to_string(), other.pin());
    used(
        &machine,
        &fields.join(","),
        1,
        "it enrols no machines at this port",
    );
}

#[test]
fn damaged_files_name_the_command_that_helps_and_it_helps() {
    let sink = Sink::start();
    let relay = relay(&sink, "");
    let machine = machine(&relay, "vm7");
    let spool = machine.directory().join("spool");
    let settings = spool.join("enrolled.toml");
    tests::identity::write(&settings, "relayhost = [");
    let told = words(&machine.admin(&["check"]));
    assert!(
        told.contains("to write it again, run sendmail-shim enroll"),
        "{told}"
    );
    let used = line(&relay, "vm7");
    let output = use_line(&machine, &used);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    mode(&machine, "spool/identity.pem", 0o644);
    let told = words(&machine.admin(&["check"]));
    assert!(
        told.contains("everybody on this machine may read this key (mode 0644): chmod 600"),
        "{told}"
    );
    tests::identity::write(&key_file(&machine), "-----BEGIN CERTIFICATE-----\nx\n");
    for arguments in [&["enroll"] as &[&str], &["check"], &["enroll", "--roll"]] {
        let told = words(&machine.admin(arguments));
        assert!(
            told.contains("sendmail-shim enroll --new-key LINE"),
            "{arguments:?}: {told}"
        );
    }
    let output = machine.admin(&["enroll", "--new-key", &used]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(words(&output).contains("was used already, with the present key"));
    assert_eq!(enrolled(&relay)["used_twice"], 0, "no alarm");
    let output = machine.admin(&["enroll", "--new-key", &line(&relay, "vm7")]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    machine.send(&["b@example.net"], NOTE);
    sink.journal().wait_for(1);
    let own = machine.directory().join("own.pem");
    fs::copy(key_file(&machine), &own).unwrap();
    machine.configure(&format!("certificate = {own:?}\n"));
    let rolled = machine.admin(&["enroll", "--roll"]);
    assert_eq!(rolled.status.code(), Some(1), "{rolled:?}");
    let told = words(&rolled);
    assert!(
        told.contains("overrides the key of enrolment: remove it there"),
        "{told}"
    );
}
