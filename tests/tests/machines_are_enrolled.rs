//! Machines that become known by a key of their own: one line, pasted once, and everything that
//! goes wrong with it.

use std::{fs, os::unix::fs::PermissionsExt as _};

use relay::tls::{ClientTls, Trust};
use serde_json::Value;
use tests::{
    agent::Agent,
    enrolment::{
        NOTE, bare, enrolled, key_file, line, line_with, listed, machine, pin, relay, relay_config,
        use_line, words,
    },
    installation::hermetic,
    login::{anybody, from, password, plain},
    peers,
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

/// From nothing: a machine without a relayhost and without permission.
#[test]
fn a_machine_is_let_in_by_a_line_and_counted_by_its_key_from_then_on() {
    let sink = Sink::start();
    let mut relay = relay(&sink, "");
    let machine = bare();
    machine.send(&["b@example.net"], NOTE);
    machine.wait_for_mailq("why it waits", |text| text.contains("no relayhost"));
    let line = line(&relay, "VM7");
    assert!(line.starts_with("enroll1,vm7,127.0.0.1,"), "{line}");
    assert_eq!(listed(&relay)[0]["state"], "open");

    let output = use_line(&machine, &line);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = words(&output);
    assert!(told.contains("vm7 is enrolled at [127.0.0.1]:"), "{told}");
    sink.journal().wait_for(1);
    let file = key_file(&machine);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let row = enrolled(&relay);
    assert_eq!(
        (&row["name"], &row["from"]),
        (&"vm7".into(), &"127.0.0.1".into())
    );
    assert_eq!(row["key"], pin(&file));
    let output = use_line(&machine, &line);
    assert_eq!(output.status.code(), Some(0), "the same again: {output:?}");
    assert_eq!(listed(&relay).len(), 1);
    let clients = relay.admin(&["clients", "--json"]);
    let client: Value = serde_json::from_slice(&clients.stdout).unwrap();
    assert_eq!(
        (&client["client"], &client["known_by"]),
        (&"vm7".into(), &"key".into())
    );
    assert_eq!(client["pins"][0], row["key"]);
    let limits = words(&relay.admin(&["limits", "list"]));
    assert!(
        limits.contains("vm7") && !limits.contains("127.0.0.1"),
        "{limits}"
    );
    let shown = words(&machine.admin(&["enroll"]));
    assert!(shown.contains(row["key"].as_str().unwrap()), "{shown}");
    let explained = [
        "explain",
        "--client",
        "192.0.2.1",
        "--pin",
        "vm7",
        "--to",
        "b@example.net",
    ];
    let explained = words(&relay.admin(&explained));
    assert!(explained.contains("250 "), "{explained}");

    let log = relay
        .daemon()
        .wait_for_log("vm7 is enrolled with the key sha256:");
    let secret = line.rsplit(',').next().unwrap();
    let kept = fs::read_to_string(relay.directory().join("state/enrolled")).unwrap();
    assert!(!log.contains(secret) && !kept.contains(secret));
    relay.kill();
    relay.run();
    machine.send(&["b@example.net"], NOTE);
    sink.journal().wait_for(2);
    assert_eq!(enrolled(&relay)["key"], row["key"]);
}

#[test]
fn a_line_that_is_used_by_two_machines_lets_one_in_and_administrators_are_told_once() {
    let (sink, admin) = (Sink::start(), Sink::start());
    let mut relay = relay(
        &sink,
        &format!(
            "admins = [\"admin@here.example\"]\nroutes = {{ \"here.example\" = \"{}\" }}\n",
            admin.nexthop()
        ),
    );
    let (first, second) = (bare(), bare());
    let line = line(&relay, "vm7");
    use_line(&first, &line);
    for _ in 0..3 {
        let output = use_line(&second, &line);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = words(&output);
        assert!(
            told.contains("was used already, with another key"),
            "{told}"
        );
    }
    assert!(!key_file(&second).exists());
    let mail = admin.journal().wait_for(1)[0].text();
    let key = pin(&key_file(&first));
    for what in [
        "the line of vm7 was used twice",
        &key,
        "smarthost enroll revoke vm7",
    ] {
        assert!(mail.contains(what), "{what}: {mail}");
    }
    relay
        .daemon()
        .wait_for_log("the line of vm7 was used twice: it has let in sha256:");
    let status = words(&relay.admin(&["status"]));
    assert!(
        status.contains("the line of vm7 is in two hands"),
        "{status}"
    );
    relay.kill();
    relay.run();
    use_line(&second, &line);
    assert_eq!(enrolled(&relay)["used_twice"], 4);
    assert_eq!(enrolled(&relay)["key"], key);
    use_line(&first, &line);
    assert_eq!(admin.journal().len(), 1, "it is told once");
}

#[test]
fn a_revoked_machines_mail_waits_with_the_remedy_and_goes_after_a_new_line() {
    let sink = Sink::start();
    let relay = relay(&sink, "");
    let machine = machine(&relay, "vm7");
    machine.send(&["b@example.net"], NOTE);
    sink.journal().wait_for(1);
    let revoked = relay.admin(&["enroll", "revoke", "vm7"]);
    assert!(revoked.status.success(), "{revoked:?}");
    // Over the connection that is still open, too.
    machine.send(&["c@example.net"], NOTE);
    let queue = machine.wait_for_mailq("why it waits", |text| text.contains("5.7.13"));
    for what in [
        "this key of vm7 is believed no more",
        "sendmail-shim enroll --new-key LINE",
    ] {
        assert!(queue.contains(what), "{what}: {queue}");
    }
    machine.wait_for_mailq("that root is told", |text| text.contains("root"));

    let line = line(&relay, "vm7");
    let told = words(&use_line(&machine, &line));
    assert!(told.contains("this key was revoked"), "{told}");
    let before = pin(&key_file(&machine));
    let output = machine.admin(&["enroll", "--new-key", &line]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let journal = sink.journal();
    until_true("what waited goes", || {
        journal.times_asked_for("c@example.net") == 1
    });
    let new = pin(&key_file(&machine));
    assert_ne!(new, before);
    let again = machine.admin(&["enroll", "--new-key", &line]);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert_eq!(
        pin(&key_file(&machine)),
        new,
        "for the same line the same key"
    );
    let states: Vec<_> = listed(&relay)
        .iter()
        .map(|row| row["state"].clone())
        .collect();
    assert_eq!(states, ["enrolled", "revoked"]);
    let forgotten = relay.admin(&["enroll", "forget", "vm7"]);
    assert!(forgotten.status.success() && listed(&relay).is_empty());
    let again = relay.admin(&["enroll", "revoke", "vm7"]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
}

#[test]
fn a_line_that_has_expired_lets_nobody_in_and_says_so() {
    let sink = Sink::start();
    let relay = relay(&sink, "");
    let machine = bare();
    let line = line_with(&relay, "vm7", &["--expires", "1s"]);
    until_true("it has expired", || listed(&relay)[0]["state"] == "expired");
    let output = use_line(&machine, &line);
    assert_eq!(output.status.code(), Some(1));
    let told = words(&output);
    assert!(told.contains("this line has expired"), "{told}");
    assert!(!key_file(&machine).exists());
}

/// Somebody in between learns nothing that is of use to him.
#[test]
fn a_relay_with_another_key_than_the_lines_never_hears_the_secret() {
    let sink = Sink::start();
    let (relay, other) = (relay(&sink, ""), relay(&sink, ""));
    // Machines are asked for keys there, too.
    line(&other, "vm9");
    let machine = bare();
    let line = line(&relay, "vm7");
    let port = |smarthost: &Smarthost| format!(",{},", smarthost.address().port());
    let astray = line.replace(&port(&relay), &port(&other));
    let output = use_line(&machine, &astray);
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    let told = words(&output);
    assert!(told.contains(&other.pin()), "what it has shown: {told}");
    assert_eq!(use_line(&machine, &line).status.code(), Some(0));
    assert_eq!(enrolled(&relay)["key"], pin(&key_file(&machine)));
}

/// Where nothing else is named, as on a real machine; the agent's user has the spool.
#[test]
fn root_enrols_a_machine_whose_agent_is_another_user() {
    if !peers::mounts() || peers::find("setpriv").is_none() {
        return;
    }
    let sink = Sink::start();
    let relay = relay(&sink, "");
    let machine = Agent::prepare("");
    machine.open_to_all();
    let script = "mount -t tmpfs tmpfs /var/spool && mount -t tmpfs tmpfs /run && \
         mkdir -m 700 /var/spool/sendmail-shim && mkdir -m 755 /run/sendmail-shim && \
         chown nobody /var/spool/sendmail-shim /run/sendmail-shim && \"$0\" enroll \"$1\" && \
         setpriv --reuid=nobody --clear-groups \"$0\" enroll && \"$0\" enroll \"$1\" && \
         stat -c '%U %a %n' /var/spool/sendmail-shim/* && \
         { setpriv --reuid=nobody --clear-groups \"$0\" agent & } && \
         until \"$0\" queue list; do kill -0 $!; done && kill $! && wait $! && \"$0\" config";
    let mut shell = hermetic("unshare");
    shell.args(["--mount", "sh", "-ec", script]);
    shell.arg(machine.public("sendmail-shim").get_program());
    let output = shell.arg(line(&relay, "vm7")).output().unwrap();
    let told = words(&output);
    assert!(output.status.success(), "{told}");
    for name in ["identity.pem", "enrolled.toml"] {
        let file = format!("nobody 600 /var/spool/sendmail-shim/{name}");
        assert!(told.contains(&file), "{told}");
    }
    assert!(!told.contains("identity.next.pem"), "{told}");
    let relayhost = format!("relayhost = \"{}\"", relay.nexthop());
    assert!(told.contains(&relayhost), "{told}");
    assert!(
        told.contains(&format!("pins = \"{}\"", relay.pin())),
        "{told}"
    );
    assert_eq!(listed(&relay).len(), 1);
}

#[test]
fn what_the_configuration_says_counts_more_and_is_told() {
    let sink = Sink::start();
    let relay = relay(&sink, "");
    let machine = Agent::prepare("relayhost = \"[127.0.0.1]:9\"\n");
    fs::create_dir(machine.directory().join("spool")).unwrap();
    let line = line(&relay, "vm7");
    let output = use_line(&machine, &line);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = words(&output);
    assert!(
        told.contains("config.toml overrides it. Remove there: relayhost;"),
        "{told}"
    );
    machine.configure("");
    assert_eq!(use_line(&machine, &line).status.code(), Some(0));
}

#[test]
fn hostile_lines_and_commands_are_refused_and_tried_only_so_often() {
    let sink = Sink::start();
    let mut relay = relay(&sink, "");
    let machine = machine(&relay, "vm7");
    for bad in ["", "x", "enroll1,vm7", "-x", &"x,".repeat(5000)] {
        let output = machine.admin(&["enroll", "--", bad]);
        assert_eq!(output.status.code(), Some(2), "{bad}: {output:?}");
    }
    for bad in ["10.0.0.7", "a b", "-x", "\u{e4}", &"x".repeat(64), "list,x"] {
        let output = relay.admin(&["enroll", "--", bad]);
        assert_eq!(output.status.code(), Some(2), "{bad}: {output:?}");
    }
    let none = relay.admin(&["enroll", "vm9", "--relay", "x y"]);
    assert_eq!(none.status.code(), Some(2), "{none:?}");

    let secret = "a".repeat(26);
    let said = format!("XENROLL NAME=vm7 SECRET={secret}");
    let mut clear = Session::connect(relay.address()).ehlo();
    assert_eq!(clear.say(&said).code, 538);
    let mut keyless = Session::connect(relay.address()).ehlo().starttls(anybody());
    assert_eq!(keyless.say(&said).code, 550, "no key was shown");

    let shown = |relay: &Smarthost| {
        let file = key_file(&machine);
        let pair = Some((file.as_path(), file.as_path()));
        let tls = ClientTls::with_identity(&Trust::Opportunistic, pair).unwrap();
        Session::connect(relay.address())
            .ehlo()
            .starttls(tls.config)
    };
    let mut session = shown(&relay);
    for bad in [
        "",
        "NAME=vm7",
        "NEXT=x",
        "NAME=vm7 SECRET=x",
        "NAME= SECRET=",
        "x",
    ] {
        assert_eq!(session.say(&format!("XENROLL {bad}")).code, 501, "{bad}");
    }
    let mut session = shown(&relay);
    for _ in 0..10 {
        assert_eq!(session.say(&said).code, 535);
    }
    // One a session from then on.
    for _ in 0..3 {
        let mut session = shown(&relay);
        assert_eq!(session.say(&said).code, 535);
        assert!(session.try_reply().is_err(), "it is over");
    }
    let log = relay
        .daemon()
        .wait_for_log("not enrolled: no such line of vm7");
    assert!(!log.contains(&secret));
}

/// Behind one address, as containers and offices are.
#[test]
fn whoever_guesses_lines_or_passwords_keeps_out_nobody_who_comes_with_the_other_or_a_right_line() {
    let sink = Sink::start();
    let relay = Smarthost::prepare(&relay_config(&sink, "auth = { users = \"users\" }\n"));
    let right = password(&relay, "printer");
    let mut relay = relay;
    relay.run();
    let first = line(&relay, "vm1");
    let guesser = machine(&relay, "vm2");
    let secret = first.rsplit(',').next().unwrap();
    let guess = first.replace(secret, &"a".repeat(secret.len()));
    for _ in 0..15 {
        let output = use_line(&guesser, &guess);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(words(&output).contains("is not known here"), "{output:?}");
    }
    let log_in = |password: &str| {
        let mut session = from(&relay, "127.0.0.1");
        plain(&mut session, "printer", password).code
    };
    assert_eq!(log_in(&right), 235);
    let vm1 = bare();
    assert_eq!(use_line(&vm1, &first).status.code(), Some(0));
    assert_eq!(use_line(&guesser, &first).status.code(), Some(1));
    let rows = listed(&relay);
    assert_eq!(rows[0]["used_twice"], 0, "nothing is written for guessers");
    assert_eq!(use_line(&vm1, &first).status.code(), Some(0));
    let closed = (0..12).map(|_| log_in("wrong")).filter(|code| *code == 454);
    assert!(closed.count() > 0);
    assert_eq!(log_in(&right), 454, "guessers of passwords are kept out");
    let output = use_line(&bare(), &line(&relay, "vm3"));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn what_lets_machines_in_besides_stays_and_other_ports_know_no_keys() {
    let sink = Sink::start();
    let mx = free_address();
    let relay = Smarthost::prepare(&relay_config(&sink, ""));
    relay.configure(&relay_config(
        &sink,
        &format!(
            "listen = [\"{}\", {{ address = \"{mx}\", submission = false }}]\n",
            relay.address()
        ),
    ));
    let mut relay = relay;
    relay.run();
    let refused = relay.admin(&["enroll", "vm7", "--relay", &mx.to_string()]);
    assert!(
        words(&refused).contains("machines cannot show a key at port"),
        "{refused:?}"
    );
    let machine = machine(&relay, "vm7");
    machine.send(&["b@example.net"], NOTE);
    sink.journal().wait_for(1);
    let output = relay.admin(&["enroll", "revoke", "vm7"]);
    assert!(output.status.success());
    let by_address = |client: &str| {
        let client = client.parse().unwrap();
        let mut session = Session::connect_from(client, relay.address()).ehlo();
        let mail = session.mail(
            "a@example.org",
            &["b@example.net"],
            b"Subject: x\r\n\r\nx\r\n",
        );
        mail.unwrap().code
    };
    assert_eq!(
        by_address("127.0.0.99"),
        250,
        "by its address, without a key"
    );
    assert_eq!(by_address("127.0.0.98"), 554);
    until("the refusal is known", || {
        machine.send(&["b@example.net"], NOTE);
        machine.mailq().contains("5.7.13").then_some(())
    });
}

#[test]
fn what_a_session_has_begun_ends_with_its_machines_key() {
    let sink = Sink::start();
    let relay = relay(&sink, "");
    let machine = machine(&relay, "vm7");
    let file = key_file(&machine);
    let tls = ClientTls::with_identity(&Trust::Opportunistic, Some((&file, &file))).unwrap();
    let begun = || {
        let mut session = Session::connect(relay.address())
            .ehlo()
            .starttls(tls.config.clone());
        assert_eq!(session.say("MAIL FROM:<a@example.org>").code, 250);
        session
    };
    let (mut early, mut late) = (begun(), begun());
    assert_eq!(late.say("RCPT TO:<b@example.net>").code, 250);
    let output = relay.admin(&["enroll", "revoke", "vm7"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(early.say("RCPT TO:<b@example.net>").code, 421);
    assert_eq!(late.say("DATA").code, 421);
}
