//! Mail is queued whatever the configuration says: both programs go on with the last good one, or
//! else queue, and take the mended file by themselves.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use tests::{
    agent::{Agent, CRON, CRON_ARGUMENTS},
    identity::Identity,
    session::Session,
    sink::{Received, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

/// What administrators type; each makes the whole file wrong.
const MISTAKES: [&str; 10] = [
    "adminn = 1",
    "relayhost = ",
    "relayhost = \"[b\"",
    "tls = \"ssl\"",
    "pins = [\"abc\"]",
    "this is no TOML at all",
    "retry = { minimal = \"2h\", maximal = \"1h\" }",
    "connections = -1",
    "certificate = \"missing.pem\"",
    "admin = \"a@example.test\"\nadmin = \"b@example.test\"",
];

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn subjects(sink: &Sink) -> Vec<String> {
    let journal = sink.journal();
    let messages = journal.messages();
    messages.iter().map(|it| it.field("Subject")).collect()
}

#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
fn private(file: &Path) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

fn good(sink: &Sink) -> String {
    format!(
        "relayhost = \"{}\"\ntls = \"none\"\nadmin = \"admins@example.test\"\naliases = \"none\"",
        sink.nexthop()
    )
}

#[test]
fn with_a_typo_the_agent_sends_by_its_last_good_configuration_and_says_so_once() {
    let sink = Sink::start();
    let mut machine = Agent::start(&good(&sink));
    machine.daemon().stop();
    for round in 0..2 {
        machine.configure("adminn = 1\nconnections = \"many\"\nhostname = \"a b\"");
        machine.run();
        machine.send(&CRON_ARGUMENTS, CRON);
        sink.journal().wait_for(2 + round);
        let log = machine.daemon().log();
        let first = "config.toml:8:1: unknown setting `adminn`; did you mean `admin`? (and 2 more)";
        assert!(
            log.contains("the last good configuration stays in force")
                && log.contains(first)
                && !log.contains("many"),
            "{log}"
        );
        machine.daemon().stop();
    }
    let told = subjects(&sink);
    let of_the_fault = |subject: &str| subject.contains("configuration of the mail agent");
    let faults = told.iter().filter(|subject| of_the_fault(subject));
    assert_eq!(faults.count(), 1, "{told:?}");
    assert_eq!(told.len(), 3, "{told:?}");
    let messages = sink.journal().messages();
    let mut messages = messages.iter();
    let fault = messages.find(|it| of_the_fault(&it.field("Subject")));
    let fault = fault.map(Received::text).unwrap_or_default();
    for place in [
        "config.toml:8:1: ",
        "config.toml:9:15: ",
        "config.toml:10:12: ",
    ] {
        assert!(fault.contains(place), "{place}: {fault}");
    }
}

#[test]
fn an_agent_that_never_had_a_good_configuration_queues_until_the_file_is_mended() {
    for mistake in MISTAKES {
        let sink = Sink::start();
        let mut machine = Agent::prepare(mistake);
        machine.run();
        let output = machine.sendmail(&CRON_ARGUMENTS, CRON);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{mistake}: {}",
            stderr(&output)
        );
        machine.wait_for_mailq(mistake, |listing| {
            listing.contains("configuration is wrong")
        });
        machine.configure(&good(&sink));
        machine.daemon().wait_for_log("starting anew");
        until("the cron mail arrives", || {
            subjects(&sink)
                .iter()
                .any(|subject| subject.starts_with("Cron"))
                .then_some(())
        });
        machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
    }
}

/// It is on its way to a start anew, where nobody would hear of it any more.
#[test]
fn an_agent_that_is_told_to_end_while_it_starts_anew_ends() {
    let sink = Sink::start();
    for _ in 0..5 {
        let mut machine = Agent::prepare(MISTAKES[0]);
        machine.run();
        machine.configure(&good(&sink));
        machine.daemon().wait_for_log("starting anew");
        machine.daemon().stop();
    }
}

/// What makes the place of the queue unknown.
const NO_PLACE: [&str; 2] = ["spool = 5", "spool = \"/cut off"];

#[test]
fn what_an_agent_queues_while_nothing_says_where_its_queue_is_arrives_when_the_file_is_mended() {
    for mistake in NO_PLACE {
        let sink = Sink::start();
        let mut machine = Agent::prepare(mistake);
        machine.run();
        let send = |machine: &Agent, subject: &str| {
            machine.send(&["a@example.net"], format!("Subject: {subject}\n\ntext\n"));
        };
        send(&machine, "one");
        machine.wait_for_mailq(mistake, |listing| {
            listing.contains("configuration is wrong")
        });
        machine.daemon().kill();
        machine.run();
        send(&machine, "two");
        machine.configure(&good(&sink));
        machine.daemon().wait_for_log("are taken over");
        until("it listens again", || {
            let log = machine.daemon().log();
            let since = log.rsplit("are taken over").next()?;
            since.contains("listening on").then_some(())
        });
        machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
        machine.daemon().stop();
        // The next time the last good configuration is known there.
        machine.configure(mistake);
        machine.run();
        send(&machine, "three");
        machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
        let mut told = subjects(&sink);
        told.retain(|subject| !subject.contains("configuration"));
        assert_eq!(told, ["one", "two", "three"], "{mistake}");
    }
}

#[test]
fn what_a_smarthost_queues_while_nothing_says_where_its_queue_is_arrives_when_the_file_is_mended() {
    for mistake in NO_PLACE {
        let sink = Sink::start();
        let good = format!("relayhost = \"{}\"", sink.nexthop());
        let mut smarthost = Smarthost::prepare(&format!("state = 5\n{mistake}"));
        smarthost.run();
        let mut session = Session::greeted(smarthost.address());
        session.delivers(
            "a@example.net",
            &["b@example.net"],
            b"Subject: x\r\n\r\ntext\r\n",
        );
        smarthost.wait_for_mailq(mistake, |listing| listing.contains("b@example.net"));
        assert!(sink.journal().messages().is_empty());
        smarthost.configure(&good);
        smarthost.daemon().wait_for_log("are taken over");
        sink.journal().wait_for(1);
        smarthost.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
    }
}

#[test]
fn sendmail_finds_the_agent_whatever_is_wrong_in_the_file_and_without_it_fails_for_now() {
    let sink = Sink::start();
    let machine = Agent::start(&good(&sink));
    for mistake in MISTAKES {
        machine.configure(mistake);
        machine.send(&["a@example.net"], "Subject: x\n\ntext\n");
    }
    sink.journal().wait_for(MISTAKES.len());
    // Each waits a while for an agent: all at once.
    let send = |machine: &Agent| machine.sendmail(&["a@example.net"], "Subject: x\n\ntext\n");
    std::thread::scope(|scope| {
        for mistake in MISTAKES {
            scope.spawn(move || {
                let output = send(&Agent::prepare(mistake));
                let told = stderr(&output);
                assert_eq!(output.status.code(), Some(75), "{mistake}: {told}");
                assert!(told.contains("config.toml"), "{mistake}: {told}");
            });
        }
        scope.spawn(|| {
            let machine = Agent::prepare("");
            fs::remove_file(machine.config()).unwrap();
            let output = send(&machine);
            assert_eq!(output.status.code(), Some(75), "{}", stderr(&output));
        });
    });
}

#[test]
fn a_smarthost_with_a_typo_goes_on_with_its_last_good_configuration_and_takes_the_mended_one() {
    let (sink, other) = (Sink::start(), Sink::start());
    let with = |sink: &Sink| {
        format!(
            "relayhost = \"{}\"\nadmins = \"admins@example.test\"",
            sink.nexthop()
        )
    };
    let mut smarthost = Smarthost::start(&with(&sink));
    smarthost.daemon().stop();
    smarthost.configure("relayhots = 1\nnetworks = [\"10.0.0.0/8\", \"::/0\"]");
    smarthost.run();
    smarthost
        .daemon()
        .wait_for_log("did you mean `relayhost`? (and one more)");
    let mut session = Session::greeted(smarthost.address());
    session.delivers(
        "a@example.net",
        &["b@example.net"],
        b"Subject: x\r\n\r\ntext\r\n",
    );
    sink.journal().wait_for(2);
    let told = subjects(&sink);
    assert!(
        told.iter()
            .any(|subject| subject.contains("configuration of smarthost is wrong")),
        "{told:?}"
    );
    let status = smarthost.admin(&["status"]);
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(
        status.contains("last good configuration") && status.contains("config.toml:8:1"),
        "{status}"
    );
    let reload = smarthost.admin(&["reload"]);
    assert_eq!(
        reload.status.code(),
        Some(1),
        "a reload of a wrong file fails"
    );
    let told = stderr(&reload);
    assert!(
        told.contains("relayhots") && told.contains("config.toml:9:27: ::/0 is the whole"),
        "{told}"
    );

    smarthost.configure(&with(&other));
    smarthost.daemon().wait_for_log("reloaded ");
    session.delivers(
        "a@example.net",
        &["c@example.net"],
        b"Subject: x\r\n\r\ntext\r\n",
    );
    other.journal().wait_for(1);
}

#[test]
fn a_smarthost_that_never_had_a_good_configuration_queues_and_sends_later() {
    for mistake in [
        "relayhots = 1",
        "no TOML",
        "relay_tls = { pins = [\"x\"] }",
        "aliases = \"missing\"",
        "transport = \"missing\"",
        "virtual = \"missing\"",
        "restrictions = \"check_client_access missing\"",
        "tls = { certificate = \"missing\", key = \"missing\" }",
    ] {
        let sink = Sink::start();
        let mut smarthost = Smarthost::prepare(mistake);
        smarthost.run();
        let mut session = Session::greeted(smarthost.address());
        session.delivers(
            "a@example.net",
            &["b@example.net"],
            b"Subject: x\r\n\r\ntext\r\n",
        );
        smarthost.wait_for_mailq(mistake, |listing| {
            listing.contains("b@example.net") && listing.contains("(the configuration is wrong: ")
        });
        assert!(sink.journal().messages().is_empty());
        smarthost.configure(&format!("relayhost = \"{}\"", sink.nexthop()));
        smarthost.daemon().wait_for_log("starting anew");
        sink.journal().wait_for(1);
    }
}

/// Whatever kind of file a configuration names: without it mail is taken all the same.
#[test]
fn a_smarthost_one_of_whose_files_is_gone_at_its_start_takes_mail() {
    for (settings, name, content) in [
        (
            "restrictions = [\"check_recipient_access t\"]",
            "t",
            "x@example.org OK\n",
        ),
        (
            "restrictions = [\"check_client_access cidr:t\"]",
            "t",
            "192.0.2.0/24 OK\n",
        ),
        (
            "dnsbl = { keys = \"./t\", lists = [\"a.${KEY}.example\"] }",
            "t",
            "KEY = y\n",
        ),
        (
            "relay_tls = { certificate = \"relay.pem\", key = \"relay.key\" }",
            "relay.pem",
            "",
        ),
        ("tls_out = { ca_file = \"relay.pem\" }", "relay.pem", ""),
        ("tls_policy = [\"t\"]", "t", "example.org may\n"),
    ] {
        let sink = Sink::start();
        let mut smarthost =
            Smarthost::prepare(&format!("relayhost = \"{}\"\n{settings}\n", sink.nexthop()));
        Identity::new("relay.example.test").write(smarthost.directory(), "relay");
        let file = smarthost.directory().join(name);
        if !content.is_empty() {
            smarthost.file(name, content);
            private(&file);
        }
        smarthost.run();
        let deliver = |smarthost: &Smarthost| {
            let mut session = Session::greeted(smarthost.address());
            session.delivers(
                "a@example.net",
                &["b@example.net"],
                b"Subject: x\r\n\r\ntext\r\n",
            );
        };
        deliver(&smarthost);
        sink.journal().wait_for(1);
        smarthost.daemon().stop();
        let content = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        smarthost.run();
        deliver(&smarthost);
        smarthost.file(name, &content);
        private(&file);
        sink.journal().wait_for(2);
    }
}

#[test]
fn a_smarthost_that_never_had_a_good_configuration_refuses_nobody_for_good() {
    let smarthost = &mut Smarthost::prepare("networks = \"127.0.0.9\"\nrelayhots = 1");
    smarthost.run();
    let mut session = Session::greeted(smarthost.address());
    assert_eq!(session.say("MAIL FROM:<a@example.net>").code, 250);
    let reply = session.say("RCPT TO:<b@example.net>");
    assert_eq!(reply.code, 451, "{reply:?}");
    smarthost.configure("networks = \"127.0.0.9\"");
    until("the daemon has started anew", || {
        let log = smarthost.daemon().log();
        (log.matches(" listens on ").count() == 2).then_some(())
    });
    let mut session = Session::greeted(smarthost.address());
    assert_eq!(session.say("MAIL FROM:<a@example.net>").code, 250);
    let reply = session.say("RCPT TO:<b@example.net>");
    assert_eq!(reply.code, 554, "{reply:?}");
}

/// Right in its form, wrong in its sense.
#[test]
fn an_agent_whose_mail_waits_takes_the_file_that_was_changed_for_it() {
    let nowhere = free_address();
    let relay = |sink: &Sink| format!("relayhost = \"{}\"", sink.nexthop());
    let wrong: [&dyn Fn(&Sink) -> String; 4] = [
        &|sink| good(sink).replace(&relay(sink), ""),
        &|sink| {
            good(sink).replace(
                &relay(sink),
                &format!("relayhost = \"{}\"", nexthop(nowhere)),
            )
        },
        &|sink| {
            format!(
                "{}\nauth = {{ user = \"u\", password_file = \"./missing\" }}",
                good(sink)
            )
        },
        &|sink| good(sink).replace("tls = \"none\"", "tls = \"starttls\""),
    ];
    for wrong in wrong {
        let sink = Sink::start();
        let mut machine = Agent::start(&wrong(&sink));
        machine.send(&["b@example.net"], "Subject: waits\n\ntext\n");
        machine
            .daemon()
            .wait_for_log("the relayhost cannot be used");
        // One that is wrong in its form changes nothing.
        machine.configure("relayhost = ");
        machine.configure(&good(&sink));
        machine.daemon().wait_for_log("starting anew");
        // A password that cannot be read is told by mail besides.
        until_true("it arrives", || {
            subjects(&sink).iter().any(|it| it == "waits")
        });
    }
}

#[test]
fn a_reload_that_leaves_the_relay_without_its_password_is_refused_until_it_is_there() {
    let sink = Sink::start();
    let plain = format!("relayhost = \"{}\"\n", sink.nexthop());
    let mut smarthost = Smarthost::start(&plain);
    smarthost.configure(&format!(
        "{plain}relay_tls = {{ level = \"starttls\" }}\nrelay_auth = {{ user = \"u\", password_file = \"password\" }}\n"
    ));
    let reload = smarthost.admin(&["reload"]);
    assert!(!reload.status.success());
    let told = stderr(&reload);
    assert!(
        told.contains("config.toml:") && told.contains("password"),
        "{told}"
    );
    smarthost.file("password", "secret\n");
    private(&smarthost.directory().join("password"));
    smarthost.daemon().wait_for_log("reloaded ");
}

/// What the file said of places is in the copy that they go on with.
#[test]
fn whoever_asks_finds_a_daemon_and_an_agent_that_go_on_without_their_configuration() {
    let mut relay = Smarthost::prepare("");
    let mut node = Agent::prepare("tls = \"none\"\nrelayhost = \"[127.0.0.1]:9\"\n");
    // Where the copy is found though the file names nothing any more.
    let beside = |file: std::path::PathBuf, kind: &str| {
        let mut name = file.file_name().unwrap().to_owned();
        name.push(kind);
        fs::create_dir(file.with_file_name(name)).unwrap();
    };
    beside(relay.config(), ".state");
    beside(node.config(), ".spool");
    relay.run();
    node.run();
    for broken in [Some("state = \n[[["), None] {
        for file in [relay.config(), node.config()] {
            match broken {
                Some(text) => tests::identity::write(&file, text),
                None => fs::remove_file(&file).unwrap(),
            }
        }
        for restarted in [false, true] {
            if restarted {
                relay.daemon().stop();
                relay.run();
                node.daemon().stop();
                node.run();
            }
            for asked in [
                relay.admin(&["status"]),
                relay.admin(&["queue", "list"]),
                node.admin(&["status"]),
                node.admin(&["queue", "list"]),
            ] {
                assert!(asked.status.success(), "{broken:?} {restarted}: {asked:?}");
            }
        }
    }
}
