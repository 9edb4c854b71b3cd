//! `trace`: the way of one message over the agent, the smarthost and its bounce; and `mailq` where
//! both programs run on one machine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::{self, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    process::{Output, Stdio},
    sync::mpsc,
    thread,
};

use serde_json::Value;
use tests::{
    agent::{Agent, as_user},
    peers,
    session::{Session, heard},
    shown,
    sink::{Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until},
};

const MESSAGE: &str = "Subject: backup\nMessage-ID: <backup.1@vm1.example.test>\n\nnothing to do\n";

/// A machine, its relay, and the world behind it, which refuses one and puts off another.
struct Site {
    machine: Agent,
    relay: Smarthost,
    sink: Sink,
}

impl Site {
    fn start(more: &str) -> Self {
        let sink = Sink::with(Script {
            recipients: vec![
                (
                    "no@far.example".to_owned(),
                    "550 5.1.1 no such \u{1b}[2J user".to_owned(),
                ),
                (
                    "late@far.example".to_owned(),
                    "450 4.2.0 greylisted".to_owned(),
                ),
            ],
            after_message: "250 2.0.0 Ok: queued as 4bXk2LzQ9aB".to_owned(),
            ..Script::default()
        });
        let relay = Smarthost::start(&format!(
            "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nlimits = {{ per_client = [\"100/day\"] }}\n{more}",
            sink.nexthop()
        ));
        let machine = Agent::start(&format!(
            "relayhost = \"{}\"\ndomain = \"example.org\"\npins = [\"{}\"]\nsmarthost_control = \"{}\"\n",
            relay.nexthop(),
            relay.pin(),
            relay.directory().join("control.sock").display()
        ));
        Self {
            machine,
            relay,
            sink,
        }
    }

    fn send(&mut self) {
        let to = [
            "-f",
            "cron@example.org",
            "ok@far.example",
            "no@far.example",
            "late@far.example",
        ];
        self.machine.send(&to, MESSAGE);
        self.sink.journal().wait_for(2);
        self.machine.daemon().wait_for_log(": removed");
        let log = self
            .relay
            .daemon()
            .wait_for_log("non-delivery notification");
        assert!(
            log.contains("message-id=<backup.1@vm1.example.test>"),
            "{log}"
        );
        until("the bounce has gone, and the rest waits", || {
            let log = self.relay.daemon().log();
            (log.contains(": removed") && log.contains("status=deferred")).then_some(())
        });
    }

    /// Both logs, as files.
    fn logs(&mut self) -> [String; 2] {
        let (machine, relay) = (self.machine.daemon().log(), self.relay.daemon().log());
        self.relay.file("machine.log", &machine);
        self.relay.file("relay.log", &relay);
        ["machine.log", "relay.log"]
            .map(|name| self.relay.directory().join(name).display().to_string())
    }
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stories(output: &Output) -> Vec<Value> {
    let text = text(output);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn ids(stories: &[Value]) -> Vec<&str> {
    stories
        .iter()
        .map(|story| story["id"].as_str().unwrap())
        .collect()
}

fn traced(relay: &Smarthost, words: &[&str], logs: &[&str]) -> Output {
    relay.admin(&[&["trace"], words, logs].concat())
}

fn has_event(story: &Value, part: &str) -> bool {
    let mut events = story["events"].as_array().unwrap().iter();
    events.any(|event| event["text"].as_str().unwrap().contains(part))
}

fn tls(story: &Value) -> String {
    let mut events = story["events"].as_array().unwrap().iter();
    let found = events.find_map(|event| event["tls"].as_str().map(str::to_owned));
    found.unwrap()
}

/// Address, state and reply of each recipient.
fn ends(story: &Value) -> Vec<[&str; 3]> {
    let recipients = story["recipients"].as_array().unwrap().iter();
    recipients
        .map(|it| ["address", "state", "reply"].map(|key| it[key].as_str().unwrap()))
        .collect()
}

/// Row C10.
#[test]
fn a_message_is_told_from_the_program_that_sent_it_to_the_end_of_each_recipient() {
    let mut site = Site::start("");
    site.send();
    let [machine, relay] = site.logs();
    let logs = ["--log", &machine, "--log", &relay];
    let words = ["<backup.1@vm1.example.test>", "--json"];
    let all = stories(&traced(&site.relay, &words, &logs));
    assert_eq!(
        all.len(),
        3,
        "at the machine, at the relay, and the bounce: {all:#?}"
    );
    let (first, second, bounce) = (&all[0], &all[1], &all[2]);
    let programs = (&first["program"], &second["program"]);
    assert_eq!(programs, (&"sendmail-shim".into(), &"smarthost".into()));
    assert_eq!(second["client"], "unknown[127.0.0.1]");
    assert!(
        has_event(second, "counted as 127.0.0.1: 1 of 100 in a day"),
        "{second:#}"
    );
    assert!(
        tls(first).starts_with("Verified TLS connection: TLSv1.3"),
        "{first:#}"
    );
    assert!(tls(second).contains("TLSv1.3"), "{second:#}");
    let [late, no, ok] = ends(second).try_into().unwrap();
    assert_eq!(late[..2], ["late@far.example", "waits"]);
    assert!(late[2].contains("450 4.2.0 greylisted"), "{late:?}");
    assert_eq!(no[..2], ["no@far.example", "bounced"]);
    assert!(no[2].contains("550 5.1.1 no such \\x1b[2J user"), "{no:?}");
    assert_eq!(ok[..2], ["ok@far.example", "delivered"]);
    assert!(second["recipients"][0]["next_attempt"].is_string() && second["queue"] == "deferred");
    assert_eq!(ends(bounce)[0][..2], ["cron@example.org", "delivered"]);
}

#[test]
fn whatever_is_known_of_a_message_and_whichever_program_is_asked_its_way_is_the_same() {
    let mut site = Site::start("");
    site.send();
    let [machine, relay] = site.logs();
    let logs = ["--log", &machine, "--log", &relay];
    let words = ["<backup.1@vm1.example.test>", "--json"];
    let all = stories(&traced(&site.relay, &words, &logs));
    let known = ids(&all);
    let others = [
        "no@far.example",
        "cron@example.org",
        "backup.1@vm1.example.test",
        "127.0.0.1",
    ];
    for word in known.iter().copied().chain(others) {
        let told = stories(&traced(&site.relay, &[word, "--json"], &logs));
        assert_eq!(ids(&told), known, "{word}");
        let asked = [&["trace", word, "--json"], &logs[..]].concat();
        let told = stories(&site.machine.admin(&asked));
        assert_eq!(ids(&told), known, "{word}");
    }
    // A log alone tells its part, and the queue what waits even without any.
    let part = stories(&traced(
        &site.relay,
        &[known[1], "--json"],
        &["--log", &machine],
    ));
    assert_eq!(ids(&part), known[..2], "{part:#?}");
    assert_eq!(ends(&part[1])[0][1], "waits");
    let shown = text(&traced(&site.relay, &[known[0]], &logs));
    assert!(
        shown.contains(&format!("→ goes on as: {}", known[1])),
        "{shown}"
    );
    assert!(!shown.contains('\u{1b}'), "{shown}");
    assert!(
        shown.contains("= late@far.example: waits, next attempt"),
        "{shown}"
    );
    for (words, status) in [
        (&["nobody@far.example", "--log", &relay][..], 1),
        (&["x@y", "--log", "/dev/zero"], 1),
        (&["x@y", "--log", "/nonexistent"], 1),
        (&[], 2),
    ] {
        assert_eq!(
            traced(&site.relay, words, &[]).status.code(),
            Some(status),
            "{words:?}"
        );
    }
    // Without the daemon the log tells what it can, and the missing queue is named.
    site.relay.kill();
    let output = traced(&site.relay, &[known[1], "--json"], &logs);
    assert_eq!(ends(&stories(&output)[1])[0][1], "deferred");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("the queue could not be asked"), "{told}");
}

#[test]
fn it_is_told_alike_from_syslog_and_with_postfixs_names_in_the_log() {
    let mut site = Site::start("log = { format = \"postfix\" }\n");
    site.send();
    let [machine, relay] = site.logs();
    let log = fs::read_to_string(&relay).unwrap();
    assert!(log.contains(" postfix/smtp["), "{log}");
    let syslog: String = log
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(stamp, line)| Some(format!("Nov 29 {} {line}\n", stamp.get(11..19)?)))
        .collect();
    site.relay.file("syslog", &syslog);
    let syslog = site.relay.directory().join("syslog").display().to_string();
    for relay in [relay, syslog] {
        let words = [
            "trace",
            "backup.1@vm1.example.test",
            "--json",
            "--log",
            &machine,
            "--log",
            &relay,
        ];
        let told = stories(&site.relay.admin(&words));
        assert_eq!(told.len(), 3, "{told:#?}");
        let states = told
            .iter()
            .flat_map(|story| story["recipients"].as_array().unwrap());
        let mut states: Vec<_> = states.map(|it| it["state"].as_str().unwrap()).collect();
        states.sort_unstable();
        assert_eq!(
            states,
            [
                "bounced",
                "delivered",
                "delivered",
                "delivered",
                "delivered",
                "delivered",
                "waits"
            ]
        );
    }
}

#[test]
fn mail_that_was_refused_is_told_though_it_never_had_an_id() {
    let sink = Sink::start();
    let mut relay = Smarthost::start(&format!(
        "networks = [\"127.0.0.1\"]\nrelayhost = \"{}\"\n",
        sink.nexthop()
    ));
    let said = heard(
        relay.address(),
        "127.0.0.9",
        "h.example",
        "a@b.example",
        "c@d.example",
    );
    assert!(said.starts_with("554"), "{said}");
    let log = relay.daemon().wait_for_log("NOQUEUE: reject");
    relay.file("log", &log);
    let log = relay.directory().join("log").display().to_string();
    for word in ["c@d.example", "a@b.example", "127.0.0.9", "d.example"] {
        let told = text(&relay.admin(&["trace", word, "--log", &log]));
        assert!(
            told.contains("refused RCPT from unknown[127.0.0.9]: 554 5.7.1"),
            "{word}: {told}"
        );
    }
}

#[test]
fn a_destination_is_followed_live_from_the_first_line_of_each_message_on() {
    let relay = Smarthost::prepare("");
    relay.file("log", "");
    let path = relay.directory().join("log");
    let mut command = relay.command();
    command
        .args(["trace", "far.example", "--live", "--log"])
        .arg(&path);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (lines, heard) = mpsc::channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    let reader = thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    let mut log = OpenOptions::new().append(true).open(&path).unwrap();
    let mut number = 100_000;
    // It follows from some moment on.
    let first = until("it follows", || {
        number += 1;
        let line = |said| format!("2026-11-22T07:51:52Z smarthost[1]: AA{number}: {said}\n");
        // At once, so that none begins to follow between the two.
        let both = line("client=vm7[10.0.0.7]")
            + &line("to=<a@far.example>, relay=none, delay=1, dsn=4.4.1, status=deferred (x)");
        log.write_all(both.as_bytes()).unwrap();
        heard.try_recv().ok()
    });
    assert!(first.contains(": accepted from vm7[10.0.0.7]"), "{first}");
    writeln!(log, "2026-11-22T07:51:52Z smarthost[1]: BB0001: to=<a@other.example>, relay=none, delay=1, dsn=4.4.1, status=deferred (x)").unwrap();
    writeln!(
        log,
        "2026-11-22T07:51:52Z smarthost[1]: AA{number}: removed"
    )
    .unwrap();
    let last = format!("AA{number}: left the queue");
    let mut all = Vec::new();
    until("its end is told", || {
        all.extend(heard.try_iter());
        all.iter()
            .any(|line: &String| line.ends_with(&last))
            .then_some(())
    });
    assert!(all.iter().all(|line| line.contains(" AA")), "{all:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    // What followed the file for it ends with the next line that nobody reads.
    until("the reader is done", || {
        let _ = writeln!(log, "the end");
        reader.is_finished().then_some(())
    });
}

/// The manual shows this.
#[test]
fn the_manual_shows_what_trace_prints() {
    if !peers::root() {
        return;
    }
    let mut site = Site::start("");
    site.send();
    let [machine, relay] = site.logs();
    let logs = ["--log", &machine, "--log", &relay];
    let all = stories(&traced(&site.relay, &["cron@example.org", "--json"], &logs));
    let printed = text(&traced(&site.relay, &["cron@example.org"], &logs));
    let mut replaced: Vec<(String, String)> = Vec::new();
    let mut show = |part: &str, shown: &str| replaced.push((part.to_owned(), shown.to_owned()));
    // The length depends on where this test's program stands: it is who wrote the mail.
    let shown_ids = [
        ("9KGC4T42NNWHQ", 445),
        ("9KGC4T42PB3XD", 445),
        ("9KGC4T4309VZF", 2065),
    ];
    for (story, (id, bytes)) in all.iter().zip(shown_ids) {
        show(story["id"].as_str().unwrap(), id);
        show(
            &format!(", {} bytes", story["size"]),
            &format!(", {bytes} bytes"),
        );
        let events = story["events"].as_array().unwrap().iter();
        let recipients = story["recipients"].as_array().unwrap();
        for time in events
            .chain(recipients)
            .filter_map(|it| it["time"].as_str())
        {
            show(time, "2026-11-22T07:51:52+01:00");
        }
        for next in recipients
            .iter()
            .filter_map(|it| it["next_attempt"].as_str())
        {
            show(next, "2026-11-22T07:56:52+01:00");
        }
    }
    for (address, port) in [(site.sink.address(), 25), (site.relay.address(), 465)] {
        show(
            &format!("[127.0.0.1]:{}", address.port()),
            &format!("[127.0.0.1]:{port}"),
        );
    }
    show("unknown[127.0.0.1]", "vm7.example.org[10.0.0.7]");
    show("counted as 127.0.0.1", "counted as 10.0.0.7");
    show(
        &std::env::current_exe().unwrap().display().to_string(),
        "/usr/sbin/cron",
    );
    show("\\x1b[2J ", "");
    let replaced: Vec<_> = replaced
        .iter()
        .map(|(part, shown)| (part.as_str(), shown.as_str()))
        .collect();
    shown::compare(
        "trace",
        &format!("$ smarthost trace cron@example.org\n{printed}"),
        &replaced,
    );
}

/// Row D7: one look at everything that waits on a machine that is also the relay.
#[test]
fn where_both_programs_run_root_sees_both_queues_each_named_and_a_user_his_own_mail() {
    let away = nexthop(free_address());
    let relay = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{away}\"\n"
    ));
    let machine = Agent::start(&format!(
        "relayhost = \"{away}\"\ndomain = \"example.org\"\ntls = \"none\"\nsmarthost_control = \"{}\"\n",
        relay.directory().join("control.sock").display()
    ));
    machine.send(&["own@far.example"], "Subject: x\n\nx\n");
    Session::greeted(relay.address()).delivers(
        "a@b.example",
        &["relayed@far.example"],
        b"Subject: x\r\n\r\nx\r\n",
    );
    let listing = machine.wait_for_mailq("both queues", |listing| {
        listing.contains("own@far.example") && listing.contains("relayed@far.example")
    });
    let (own, relayed) = listing.split_once("\nsmarthost:\n").unwrap();
    assert!(
        own.starts_with("sendmail-shim:\n----Queue ID-----") && own.contains("own@far"),
        "{listing}"
    );
    assert!(
        relayed.contains("relayed@far") && !relayed.contains("own@far"),
        "{listing}"
    );
    assert_eq!(listing.matches("in 1 Request").count(), 2, "{listing}");
    let own = String::from_utf8_lossy(&machine.admin(&["queue", "list"]).stdout).into_owned();
    assert!(
        own.contains("own@far") && !own.contains("relayed@far"),
        "{own}"
    );
    let count = machine.program("sendmail").arg("-bP").output().unwrap();
    assert_eq!(text(&count).trim(), "2");
    if peers::root() {
        machine.open_to_all();
        fs::set_permissions(relay.directory(), fs::Permissions::from_mode(0o755)).unwrap();
        let users = as_user("64004", &machine.public("mailq")).output().unwrap();
        assert_eq!(text(&users), "Mail queue is empty\n");
        assert!(users.stderr.is_empty(), "{users:?}");
    }
    drop(relay);
    let alone = machine.program("mailq").output().unwrap();
    assert!(text(&alone).starts_with("----Queue ID-----"), "{alone:?}");
    assert!(
        String::from_utf8_lossy(&alone.stderr).contains("smarthost's queue is not shown")
            || alone.stderr.is_empty()
    );
}
