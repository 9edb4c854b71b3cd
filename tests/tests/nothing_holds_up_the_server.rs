//! An administrator's question, a list with many members, a table on a disk that does not answer:
//! whoever else has mail is served meanwhile, and afterwards.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    net::IpAddr,
    path::Path,
    process::{Command, Output},
};

use tests::{
    daemon::Daemon,
    installation::hermetic,
    login::{self, plain},
    peers,
    resolver::{Record, Resolver},
    session::{Session, heard},
    sink::Sink,
    smarthost::Smarthost,
    wait::until,
};

const STRANGER: &str = "127.0.0.66";

fn relay(sink: &Sink, resolver: &Resolver, rest: &str) -> Smarthost {
    Smarthost::prepare(&format!(
        "networks = [\"127.0.0.1/32\"]\nrelayhost = \"{}\"\nresolver = \"{}\"\ngreet_wait = \"0s\"\n\
         domains = {{ local = [\"example.org\"], relay = [\"public.example\"] }}\nmaildir = \"none\"\n\
         limits = {{ exempt = [\"127.0.0.0/8\"] }}\n{rest}",
        sink.nexthop(),
        resolver.address()
    ))
}

fn from(client: &str, smarthost: &Smarthost) -> Session {
    let client: IpAddr = client.parse().unwrap();
    Session::connect_from(client, smarthost.address())
}

/// The name server's client was begun by whoever asked first, and ended with him.
#[test]
fn names_are_still_found_after_an_administrator_has_asked_for_an_explanation() {
    let known = |name: &str| (name == "ham.example").then(|| vec![Record::Mx("mx.ham.example")]);
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(known));
    let rules = "restrictions = [\"reject_unknown_sender_domain\"]\n";
    let mut smarthost = relay(&sink, &resolver, rules);
    smarthost.run();
    let client = [
        "explain",
        "--client",
        "192.0.2.25",
        "--from",
        "a@ham.example",
        "--to",
        "x@public.example",
    ];
    for question in [client.as_slice(), &["explain", "x@ham.example"]] {
        for _ in 0..2 {
            let told = smarthost.admin(question);
            assert!(told.status.success(), "{told:?}");
        }
        for (sender, code) in [("a@ham.example", "250"), ("a@gone.example", "550")] {
            let said = heard(
                smarthost.address(),
                STRANGER,
                "ham.example",
                sender,
                "x@public.example",
            );
            assert!(said.starts_with(code), "{sender}: {said}");
        }
    }
    let log = smarthost.daemon().log();
    assert!(!log.contains("panicked"), "{log}");
}

/// A packet of RCPTs, each of which costs as much as all members of a list.
#[test]
fn strangers_who_name_a_long_list_again_and_again_hold_up_nobody() {
    const COMMANDS: usize = 1000;
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(|_| None));
    let mut smarthost = relay(&sink, &resolver, "aliases = [\"lists\"]\n");
    let mut lists = "root: r@far.example\nteam:".to_owned();
    for member in 0..300 {
        write!(lists, " m{member}@far.example,").unwrap();
    }
    smarthost.file("lists", &format!("{lists} last@far.example\n"));
    smarthost.run();
    // The name is another one each time, so that nothing of it is known yet.
    let flood: String = (0..COMMANDS)
        .map(|number| format!("RCPT TO:<team+{number}@example.org>\r\n"))
        .collect::<Vec<_>>()
        .concat();
    let mut strangers: Vec<_> = ["127.0.0.66", "127.0.0.67", "127.0.0.68", "127.0.0.69"]
        .into_iter()
        .map(|client| from(client, &smarthost).ehlo())
        .collect();
    for stranger in &mut strangers {
        assert_eq!(stranger.say("MAIL FROM:<a@ham.example>").code, 250);
    }
    for stranger in &mut strangers {
        stranger.send(flood.as_bytes()).unwrap();
    }
    for _ in 0..3 {
        let mut own = from("127.0.0.1", &smarthost).ehlo();
        own.delivers(
            "a@example.org",
            &["b@far.example"],
            b"Subject: x\r\n\r\nx\r\n",
        );
    }
    // Whatever the machine can do: the others were served before any of these was through.
    for stranger in &mut strangers {
        assert!(
            stranger.arrived() < COMMANDS,
            "it was served before the others"
        );
    }
    for stranger in &mut strangers {
        assert_eq!(stranger.reply().code, 250);
    }
    sink.journal().wait_for(3);
}

/// Those of its threads that are held by a tracer.
fn held_threads(pid: u32) -> BTreeSet<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let threads = tasks.filter_map(|task| Some(task.ok()?.path().join("stat")));
    let held = threads.filter_map(|stat| {
        let text = fs::read_to_string(stat).ok()?;
        let (id, state) = (text.split(' ').next()?, text.rsplit(')').next()?);
        state.starts_with(" t").then(|| id.to_owned())
    });
    held.collect()
}

/// As on a disk that is away: whoever opens this file waits for so long, and where all do, whoever
/// only looks at it too. `times`: who of them.
fn away(strace: &Path, file: &Path, (seconds, times): (u32, &str)) -> Command {
    let mut command = hermetic(strace);
    let calls = if times == "1" { "openat" } else { "%file" };
    command.args(["-f", "-o", "/dev/null", "-e"]);
    command.args([&format!("trace={calls}"), "-e"]);
    command.arg(format!(
        "inject={calls}:delay_enter={seconds}s:when={times}"
    ));
    command.args(["-P", peers::text(file)]);
    command
}

/// A file changes, and the disk does not answer who opens it then; the thread that waits for it.
fn hung(
    strace: &Path,
    smarthost: &mut Smarthost,
    (name, text): (&str, &str),
    times: &str,
) -> (Daemon, String) {
    let (pid, file) = (smarthost.daemon().pid(), smarthost.directory().join(name));
    let mut command = away(strace, &file, (300, times));
    command.args(["-p", &pid.to_string()]);
    let strace = Daemon::start("strace", &mut command);
    strace.wait_for_log("attached");
    smarthost.file(name, text);
    // One thread is held for long; others only in passing.
    let (mut same, mut looks) = (BTreeSet::new(), 0);
    let reader = until("the file is being read", || {
        let held = held_threads(pid);
        let still: BTreeSet<_> = held.intersection(&same).cloned().collect();
        (same, looks) = if still.is_empty() {
            (held, 0)
        } else {
            (still, looks + 1)
        };
        same.first().filter(|_| looks >= 20).cloned()
    });
    (strace, reader)
}

/// Each thread that drives sockets would wait for the file, one by one.
#[test]
fn whoever_tries_to_log_in_or_asks_for_a_status_waits_for_no_file_and_holds_up_no_mail() {
    let Some(strace) = peers::find("strace").filter(|_| peers::root()) else {
        return;
    };
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(|_| None));
    let mut smarthost = relay(&sink, &resolver, "auth = { users = \"users\" }\n");
    smarthost.file("users", "# empty\n");
    smarthost.run();
    let pid = smarthost.daemon().pid();
    let (mut strace, reader) = hung(
        &strace,
        &mut smarthost,
        ("users", "# nobody\n# empty\n"),
        "1",
    );
    for client in ["127.0.0.66", "127.0.0.67", "127.0.0.68", "127.0.0.69"] {
        let said = plain(&mut login::from(&smarthost, client), "vm7", "guess");
        assert_eq!(said.code, 535, "{said:?}");
    }
    for client in [STRANGER, "127.0.0.1"] {
        assert!(smarthost.admin(&["status"]).status.success());
        let to = ["root@example.org"];
        from(client, &smarthost)
            .ehlo()
            .delivers("a@example.net", &to, login::MESSAGE);
    }
    assert!(
        held_threads(pid).contains(&reader),
        "it was still being read"
    );
    strace.kill();
    assert!(smarthost.daemon().stop().success());
}

#[test]
fn a_table_on_a_disk_that_does_not_answer_keeps_nobody_from_being_greeted_and_served() {
    let Some(strace) = peers::find("strace").filter(|_| peers::root()) else {
        return;
    };
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(|_| None));
    let mut smarthost = relay(&sink, &resolver, "aliases = [\"lists\"]\n");
    smarthost.file("lists", "root: r@far.example\nteam: a@far.example\n");
    smarthost.run();
    let pid = smarthost.daemon().pid();
    let text = "root: r@far.example\nteam: a@far.example\nnew: a@far.example\n";
    let (mut strace, reader) = hung(&strace, &mut smarthost, ("lists", text), "1");
    for client in [STRANGER, "127.0.0.1"] {
        let mut session = from(client, &smarthost).ehlo();
        session.delivers(
            "a@example.net",
            &["team@example.org"],
            b"Subject: x\r\n\r\nx\r\n",
        );
    }
    assert!(smarthost.admin(&["status"]).status.success());
    assert!(
        held_threads(pid).contains(&reader),
        "it was still being read"
    );
    strace.kill();
    let taken = |to: &str| heard(smarthost.address(), STRANGER, "x", "a@example.net", to);
    until("the new entry is known", || {
        taken("new@example.org").starts_with("250").then_some(())
    });
    assert!(smarthost.daemon().stop().success());
}

#[test]
fn a_table_on_a_disk_that_is_away_is_told_and_neither_reload_nor_check_waits_for_it_for_ever() {
    const SILENT: &str = "lists: cannot be read: it does not answer since";
    let Some(strace) = peers::find("strace").filter(|_| peers::root()) else {
        return;
    };
    let said = |output: &Output| {
        let (said, told) = (&output.stdout, &output.stderr);
        String::from_utf8_lossy(said).into_owned() + &String::from_utf8_lossy(told)
    };
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(|_| None));
    let mut smarthost = relay(&sink, &resolver, "aliases = [\"lists\"]\n");
    smarthost.file("lists", "root: r@far.example\n");
    smarthost.run();
    let text = "root: r@far.example\nteam: a@far.example\n";
    let (mut tracer, _) = hung(&strace, &mut smarthost, ("lists", text), "1+");
    let status = || said(&smarthost.admin(&["status"]));
    until("the status tells it", || {
        status().contains(SILENT).then_some(())
    });
    let reload = smarthost.admin(&["reload"]);
    assert!(!reload.status.success(), "{reload:?}");
    assert!(said(&reload).contains(SILENT), "{reload:?}");
    for client in [STRANGER, "127.0.0.1"] {
        let to = ["root@example.org"];
        let mut session = from(client, &smarthost).ehlo();
        session.delivers("a@example.net", &to, login::MESSAGE);
    }
    let plain = smarthost.command();
    let mut check = away(&strace, &smarthost.directory().join("lists"), (20, "1+"));
    check.arg(plain.get_program()).args(plain.get_args());
    let check = check.arg("check").output().unwrap();
    assert_eq!(check.status.code(), Some(1), "{check:?}");
    assert!(said(&check).contains(SILENT), "{check:?}");
    tracer.kill();
    let taken = |to: &str| heard(smarthost.address(), STRANGER, "x", "a@example.net", to);
    until("the new entry is known", || {
        taken("team@example.org").starts_with("250").then_some(())
    });
    until("the status tells it no more", || {
        (!status().contains(SILENT)).then_some(())
    });
    assert!(smarthost.admin(&["reload"]).status.success());
    assert!(smarthost.daemon().stop().success());
}
