//! `sendmail-shim check`, `pin` and `test`: what an administrator sees is what is so, and names the
//! remedy where it is not.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    fs::{self, OpenOptions},
    process::{Output, Stdio},
};

use serde_json::Value;
use tests::{
    agent::{Agent, pipe},
    identity::Identity,
    installation::Installation,
    session::Session,
    sink::{Script, Sink, nexthop},
    smarthost::Smarthost,
};

fn pin_of(node: &Agent, identity: &Identity, name: &str) -> String {
    identity.write(node.directory(), name);
    let file = node.directory().join(format!("{name}.pem"));
    relay::tls::pins_of_file(&file).unwrap().pin().to_string()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Level and text of the first finding about a subject.
fn finding(checked: &Output, subject: &str) -> (String, String) {
    let whole: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let findings = whole["findings"].as_array().unwrap();
    let about = findings.iter().find(|f| f["subject"] == subject);
    let about = about.unwrap_or_else(|| panic!("nothing about {subject}: {whole}"));
    let word = |key: &str| about[key].as_str().unwrap().to_owned();
    (word("level"), word("text"))
}

#[test]
fn a_test_message_is_followed_until_the_relayhost_has_it_and_a_rollover_of_its_key_is_logged_once()
{
    let (today, next) = (
        Identity::new("relay.example.test"),
        Identity::new("relay.example.test"),
    );
    let sink = Sink::with(Script::with_tls(today.server()));
    let mut node = Agent::prepare("");
    let pins = [pin_of(&node, &today, "today"), pin_of(&node, &next, "next")];
    node.configure(&format!(
        "relayhost = \"{}\"\npins = {pins:?}\nadmin = \"admins@example.test\"\n",
        sink.nexthop()
    ));
    node.run();
    let sent = node.admin(&["test"]);
    assert_eq!(sent.status.code(), Some(0), "{}", text(&sent));
    let told = text(&sent);
    assert!(
        told.contains("queued as") && told.contains("<admins@example.test> sent by"),
        "{told}"
    );
    assert!(told.contains("250 2.0.0 Ok: taken"), "{told}");
    assert!(!node.daemon().log().contains("now has key"));

    sink.play(Script::with_tls(next.server()));
    node.kill();
    node.run();
    for _ in 0..2 {
        assert_eq!(node.admin(&["test"]).status.code(), Some(0));
    }
    let log = node.daemon().log();
    assert_eq!(log.matches("now has key 2 of 2").count(), 1, "{log}");
    node.kill();
    node.run();
    assert_eq!(node.admin(&["test"]).status.code(), Some(0));
    assert!(!node.daemon().log().contains("now has key"));
    sink.journal().wait_for(4);
}

#[test]
fn a_check_tells_ok_warning_and_critical_apart_and_sends_nothing() {
    let (today, wrong) = (
        Identity::new("relay.example.test"),
        Identity::new("relay.example.test"),
    );
    let sink = Sink::with(Script::with_tls(today.server()));
    let mut node = Agent::prepare("");
    let pins = [
        pin_of(&node, &wrong, "wrong"),
        pin_of(&node, &today, "today"),
    ];
    let with_pins = |pins: &[String]| {
        format!(
            "relayhost = \"{}\"\npins = {pins:?}\nadmin = \"admins@example.test\"\n",
            sink.nexthop()
        )
    };
    node.configure(&with_pins(&pins));
    let stopped = node.admin(&["check", "--json"]);
    assert_eq!(stopped.status.code(), Some(2), "no agent answers");
    assert_eq!(finding(&stopped, "agent").0, "critical");

    node.run();
    let checked = node.admin(&["check", "--json"]);
    assert_eq!(checked.status.code(), Some(1), "{}", text(&checked));
    assert_eq!(finding(&checked, "agent").0, "ok");
    assert_eq!(finding(&checked, "queue").1, "empty");
    assert_eq!(finding(&checked, "recipient").0, "ok");
    let (level, key) = finding(&checked, "key");
    assert!(level == "warning" && key.contains("2 of 2"), "{key}");

    assert_eq!(finding(&checked, "settings").0, "ok");

    node.configure(&with_pins(&pins[..1]));
    let checked = node.admin(&["check", "--json"]);
    let (level, settings) = finding(&checked, "settings");
    assert!(
        level == "warning" && settings.contains("pins is"),
        "{settings}"
    );
    assert_eq!(finding(&checked, "recipient").0, "ok", "the agent has both");
    let checked = node.admin(&["check"]);
    let table = text(&checked);
    assert_eq!(checked.status.code(), Some(2), "{table}");
    assert!(
        table.contains("FAIL  tls") && table.contains("-> see what it presents: sendmail-shim pin"),
        "{table}"
    );
    assert!(sink.journal().is_empty(), "a check sends no mail");

    let shown = text(&node.admin(&["pin"]));
    assert!(
        shown.contains(&pins[1]) && shown.contains("NOT in pins"),
        "{shown}"
    );
}

/// Each of two relayhosts has its pin, and none of them is one too many.
#[test]
fn two_relayhosts_with_a_pin_each_are_all_right_in_any_order() {
    let name = "relay.example.test";
    let (one, two) = (Identity::new(name), Identity::new(name));
    let relays = [
        Sink::with(Script::with_tls(one.server())),
        Sink::with(Script::with_tls(two.server())),
    ];
    let mut node = Agent::prepare("");
    let (first, second) = (pin_of(&node, &one, "one"), pin_of(&node, &two, "two"));
    let next = format!("sha256:{}", "ab".repeat(32));
    for pins in [
        vec![&first, &second],
        vec![&second, &first],
        vec![&first, &next, &second],
    ] {
        node.configure(&format!(
            "relayhost = [\"{}\", \"{}\"]\npins = {pins:?}\nadmin = \"admins@example.test\"\n",
            relays[0].nexthop(),
            relays[1].nexthop()
        ));
        node.run();
        let checked = node.admin(&["check", "--json"]);
        let told = text(&checked);
        assert_eq!(told.matches("\"pinned").count(), 2, "{told}");
        assert!(!told.contains("remove those"), "{told}");
        assert_eq!(finding(&checked, "key").0, "ok", "{told}");
        node.kill();
    }
}

#[test]
fn a_test_message_that_cannot_leave_stays_and_the_reason_is_told() {
    let node = Agent::start(&format!(
        "relayhost = \"[127.0.0.1]:{}\"\ntls = \"none\"\n",
        tests::wait::free_address().port()
    ));
    let sent = node.admin(&["test", "someone@example.org"]);
    assert_eq!(sent.status.code(), Some(75));
    let told = text(&sent);
    assert!(
        told.contains("waits in the queue") && told.contains("Connection refused"),
        "{told}"
    );
    assert!(node.mailq().contains("someone@example.org"));
}

/// Monitoring runs `check` every five minutes; nothing that an administrator tries is kept for a
/// digest or by the budget of automatic mail.
#[test]
fn check_costs_nothing_of_the_limit_and_both_end_with_the_reason_when_it_is_used_up() {
    let sink = Sink::start();
    let relay = Smarthost::start(&format!(
        "limits = {{ per_client = [\"2/day\"] }}\nrelayhost = \"{}\"\n",
        sink.nexthop()
    ));
    let node = Agent::start(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\nadmin = \"admins@example.test\"\ncollapse = {{ window = \"1h\" }}\nbudget = \"1/day\"\n",
        nexthop(relay.address())
    ));
    // More often than monitoring does in an hour.
    for round in 0..15 {
        let checked = node.admin(&["check", "--json"]);
        let (level, told) = finding(&checked, "recipient");
        assert_eq!(level, "ok", "{round}: {told}");
    }
    // In clear text nothing says that it is a test: it counts.
    for _ in 0..2 {
        let sent = node.admin(&["test"]);
        assert_eq!(sent.status.code(), Some(0), "{}", text(&sent));
    }
    sink.journal().wait_for(2);
    let refused = node.admin(&["test"]);
    assert_eq!(refused.status.code(), Some(75), "{}", text(&refused));
    for told in [text(&refused), text(&node.admin(&["check"]))] {
        assert!(told.contains("too much mail"), "{told}");
    }
}

#[test]
fn the_first_tests_of_a_day_cost_nothing_of_the_limit_and_no_other_mail_passes_for_one() {
    let sink = Sink::start();
    let mut relay = Smarthost::start(&format!(
        "limits = {{ per_client = [\"20/day\"] }}\nrelayhost = \"{}\"\n",
        sink.nexthop()
    ));
    let used = |relay: &Smarthost| {
        let shown = text(&relay.admin(&["limits", "show", "127.0.0.1"]));
        let count = shown.split(" of 20 ").next().unwrap_or_default();
        count.rsplit(' ').next().unwrap_or_default().to_owned()
    };
    let node = Agent::start(&format!(
        "relayhost = \"{}\"\npins = [\"{}\"]\nadmin = \"admins@example.test\"\n",
        relay.nexthop(),
        relay.pin()
    ));
    for (round, counted) in ["0", "0", "1"].into_iter().enumerate() {
        assert_eq!(node.admin(&["test"]).status.code(), Some(0), "{round}");
        assert_eq!(used(&relay), counted, "{round}: {}", relay.daemon().log());
        if round == 1 {
            // Not by a restart either.
            relay.kill();
            relay.run();
        }
    }
    // Whoever calls large or manifold mail a test pays for it, on another day too.
    let reset = relay.admin(&["limits", "reset", "127.0.0.1"]);
    assert!(reset.status.success());
    let test = "Sendmail-Shim-Writer: test=yes\r\nSubject: x\r\n\r\n";
    let large = format!("{test}{}", "more of it\r\n".repeat(500));
    let mut session = Session::greeted(relay.address());
    session.delivers("a@here.example", &["b@example.test"], large.as_bytes());
    let both = ["b@example.test", "c@example.test"];
    session.delivers("a@here.example", &both, test.as_bytes());
    assert_eq!(used(&relay), "2");
    session.delivers("a@here.example", &both[..1], test.as_bytes());
    assert_eq!(used(&relay), "2");
    let arrived = sink.journal().wait_for(6);
    let marked = arrived.iter().filter(|it| it.text().contains("Writer"));
    assert_eq!(marked.count(), 0, "the mark stays here");
}

/// What would become of a message, with the file and line of each reason; nothing is sent or kept.
#[test]
fn explain_names_the_file_and_line_behind_each_change_and_touches_nothing() {
    let sink = Sink::start();
    let node = Agent::start(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\ndomain = \"example.org\"\naliases = \"$DIR/aliases\"\nrevaliases = \"$DIR/revaliases\"\n",
        sink.nexthop()
    ));
    node.file("aliases", "# roles\nroot: admins@example.org\n");
    node.file("revaliases", "www-data:web@example.org\n");
    let message = "To: root\nBcc: hidden@example.net\nSubject: x\nDate: Sun, 22 Nov 2026 07:51:52 +0100\nMessage-ID: <1@x>\n\nbody\n";
    let mut command = node.program("sendmail-shim");
    command.args(["explain", "--user", "www-data", "-t"]);
    let output = pipe(&mut command, message.as_bytes());
    assert!(output.status.success(), "{output:?}");
    let told = text(&output)
        .replace(&node.directory().display().to_string(), "$DIR")
        .replace(&sink.address().port().to_string(), "PORT");
    // Who runs the test, and when, is not in the file.
    let varies = |line: &&str| line.contains("uid ") || line.contains("with local id");
    let told: String = told
        .split_inclusive('\n')
        .filter(|line| !varies(line))
        .collect();
    assert_eq!(told, include_str!("../data/explained"));
    assert!(node.mailq().contains("Mail queue is empty") && sink.journal().is_empty());
}

/// A configuration is named from anywhere, and what it says of places starts where it lies.
#[test]
fn a_relative_configuration_is_the_same_one_in_every_command_of_both_programs() {
    let relay = Smarthost::start("control = \"c.sock\"\n");
    let node = Agent::start(
        "tls = \"none\"\nrelayhost = \"[127.0.0.1]:9\"\ncontrol = \"control.sock\"\nspool = \"spool\"\n",
    );
    let binaries = tests::binaries::binaries();
    for (program, directory, commands) in [
        (
            &binaries.smarthost,
            relay.directory(),
            &[
                "status",
                "queue list",
                "queue flush",
                "limits list",
                "reload",
                "config",
                "check",
            ][..],
        ),
        (
            &binaries.sendmail_shim,
            node.directory(),
            &["queue list", "queue flush", "config", "check"],
        ),
    ] {
        let name = directory.file_name().unwrap();
        let file = std::path::Path::new(name).join("config.toml");
        for words in commands {
            let mut command = tests::installation::hermetic(program);
            command.current_dir(directory.parent().unwrap());
            command.arg("--config").arg(&file).args(words.split(' '));
            let output = command.output().unwrap();
            let told = text(&output);
            // The relayhost of the agent does not run.
            let reached = output.status.success() || *words == "check";
            assert!(reached, "{program:?} {words}: {told}");
            assert!(!told.contains("older ones"), "{words}: {told}");
        }
    }
}

/// Nobody waits for a daemon that stands still, and its start is not what is missing.
#[test]
fn a_daemon_that_is_stopped_is_told_from_one_that_does_not_run() {
    let mut relay = Smarthost::start("");
    let mut node = Agent::start("tls = \"none\"\nrelayhost = \"[127.0.0.1]:9\"\n");
    for daemon in [relay.daemon(), node.daemon()] {
        daemon.signal(rustix::process::Signal::STOP);
    }
    let pids = [relay.daemon().pid(), node.daemon().pid()];
    let mailq = || node.program("mailq").output().unwrap();
    for (pid, asked) in [
        (pids[0], relay.admin(&["queue", "list"])),
        (pids[0], relay.admin(&["limits", "list"])),
        (pids[1], node.admin(&["queue", "flush"])),
        (pids[1], mailq()),
    ] {
        let told = text(&asked);
        assert_eq!(asked.status.code(), Some(69), "{told}");
        assert!(told.contains(&format!("kill -CONT {pid}")), "{told}");
        assert!(!told.contains("start"), "{told}");
    }
    let pid = relay.daemon().pid();
    relay.daemon().signal(rustix::process::Signal::CONT);
    assert!(relay.admin(&["queue", "list"]).status.success(), "{pid}");
    relay.kill();
    let told = text(&relay.admin(&["queue", "list"]));
    assert!(told.contains("systemctl start smarthost"), "{told}");
    node.daemon().signal(rustix::process::Signal::CONT);
}

type Ask<'a> = &'a dyn Fn(&[&str]) -> Output;

/// Row D7: what differs from the default, with file and line; what is printed can be put into a
/// file, and means the same.
#[test]
fn what_differs_from_the_default_is_printed_with_its_place_and_can_be_pasted_back() {
    let smarthost = Smarthost::prepare(
        "networks = [\"192.0.2.0/24\"]\n[limits]\nper_client = \"7/day\"\n[routes]\n\"x.example\" = \"[mx.example]:26\"\n",
    );
    let machine = Agent::prepare("relayhost = \"relay.example\"\nretry = { minimal = \"7s\" }\n");
    let smarthosts = |words: &[&str]| smarthost.admin(words);
    let machines = |words: &[&str]| machine.admin(words);
    let rows: [(Ask<'_>, &Installation, &[&str]); 2] = [
        (
            &smarthosts,
            &smarthost,
            &["networks", "limits.per_client", "routes.\"x.example\""],
        ),
        (&machines, &machine, &["relayhost", "retry.minimal"]),
    ];
    for (ask, installation, keys) in rows {
        let file = installation.config();
        let shown = text(&ask(&["config"]));
        assert_eq!(shown, text(&ask(&["config", "--changed"])));
        for key in keys {
            let begins = format!("{key} = ");
            let mut lines = shown.lines().zip(shown.lines().skip(1));
            let pair = lines.find(|(_, line)| line.starts_with(&begins));
            let (line, _) = pair.unwrap_or_else(|| panic!("no {key}: {shown}"));
            let place = line.rsplit(':').next().unwrap();
            let number: usize = place.parse().unwrap_or_else(|_| panic!("no place: {line}"));
            let written = fs::read_to_string(&file).unwrap();
            let there = written.lines().nth(number - 1).unwrap();
            let name = key.rsplit('.').next().unwrap().trim_matches('"');
            assert!(
                line.starts_with(&format!("# {}:", file.display())),
                "{line}"
            );
            assert!(
                name == "example" || there.contains(name),
                "{key} in {there}"
            );
        }
        assert!(!shown.contains("# default"), "{shown}");
        let all = text(&ask(&["config", "--all"]));
        assert!(all.contains("\n# default\n"), "{all}");
        for pasted in [&shown, &all] {
            installation.file("config.toml", pasted);
            let values = |text: &str| -> Vec<String> {
                let lines = text.lines().filter(|line| !line.starts_with('#'));
                lines.map(str::to_owned).collect()
            };
            assert_eq!(values(&text(&ask(&["config"]))), values(&shown));
        }
    }
}

/// An answer that does not reach the disk must not pass for a whole one, nor a password that
/// nobody has seen be the new one.
#[test]
fn an_answer_that_cannot_be_written_is_a_failure_and_changes_nothing() {
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let node = Agent::start("relayhost = \"[127.0.0.1]:1\"\n");
    let relay = Smarthost::start("auth = { users = \"users\" }\n");
    let users = relay.directory().join("users");
    let known = relay.admin(&["passwd", "known", "--generate"]);
    assert!(known.status.success(), "{}", text(&known));
    let before = fs::read(&users).unwrap();
    for (mut command, arguments) in [
        (relay.command(), ["status"].as_slice()),
        (relay.command(), &["config", "--all"]),
        (relay.command(), &["queue", "list"]),
        (relay.command(), &["limits", "list"]),
        (relay.command(), &["passwd", "known", "--generate"]),
        (relay.command(), &["passwd", "new", "--generate"]),
        (node.admin_command(), &["config", "--all"]),
        (node.admin_command(), &["status"]),
        (node.program("mailq"), &[]),
        (node.program("sendmail"), &["-bp"]),
    ] {
        command.args(arguments).stdin(Stdio::null()).stdout(full());
        let output = command.output().unwrap();
        let told = text(&output);
        assert!(!output.status.success(), "{arguments:?}: {told}");
        assert!(told.contains("standard output"), "{arguments:?}: {told}");
    }
    assert_eq!(fs::read(&users).unwrap(), before);
}
