//! An agent that systemd starts for a connection ends when it is idle; whoever comes just then is
//! served all the same.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::OpenOptionsExt as _, net::UnixStream},
    thread,
};

use rustix::{
    fs::OFlags,
    process::{Pid, Signal, kill_process},
};

use tests::{
    activation::Activation,
    agent::Agent,
    daemon::Daemon,
    installation::hermetic,
    peers,
    sink::{Sink, nexthop},
    wait::{PATIENCE, free_address, until, until_true},
};

fn machine(relayhost: &str) -> Agent {
    Agent::prepare(&format!(
        "relayhost = \"{relayhost}\"\ndomain = \"example.test\"\ntls = \"none\"\nretry = {{ minimal = \"1s\", maximal = \"2s\" }}\n"
    ))
}

fn arrived(sink: &Sink) -> BTreeSet<String> {
    let messages = sink.journal().messages();
    messages.iter().map(|it| it.field("Subject")).collect()
}

/// Between two programs in one process nobody handles signals.
#[test]
fn a_reload_in_the_moment_in_which_it_starts_anew_does_not_end_it() {
    let sink = Sink::start();
    let mut machine = machine(&sink.nexthop());
    machine.run();
    until_true("it has started anew ten times", || {
        for _ in 0..200 {
            assert_eq!(machine.daemon().ended(), None);
            machine.daemon().signal(Signal::HUP);
        }
        let log = machine.daemon().log();
        log.matches("listening on ").count() > 10
    });
    machine.send(&["somebody@example.net"], "Subject: still here\n\nbody\n");
    until_true("it has come", || arrived(&sink).contains("still here"));
    assert_eq!(machine.daemon().ended(), None);
}

/// Each message is aimed at the moment at which the one before it has gone: the agent that sent it
/// is about to end.
#[test]
fn what_comes_while_the_agent_ends_is_taken_and_sent_although_nobody_comes_afterwards() {
    let sink = Sink::start();
    let machine = machine(&sink.nexthop());
    let systemd = Activation::of(&machine, &["--idle", "0s"]);
    let mut expected = BTreeSet::new();
    for round in 0..20 {
        let subjects: Vec<_> = (0..7).map(|nth| format!("message {round}.{nth}")).collect();
        thread::scope(|scope| {
            for subject in &subjects {
                let machine = &machine;
                scope.spawn(move || {
                    let text = format!("Subject: {subject}\n\nbody\n");
                    let output = machine.sendmail(&["somebody@example.net"], text);
                    assert_eq!(output.status.code(), Some(0), "{subject}: {output:?}");
                });
            }
        });
        expected.extend(subjects);
        until_true("all that was taken has come", || arrived(&sink) == expected);
    }
    assert!(
        systemd.started() > 5,
        "the agent ended {} times",
        systemd.started()
    );
    systemd.end();
}

/// A session that was accepted is served to its end, however slow it is.
#[test]
fn an_agent_does_not_end_under_a_session_that_it_has_accepted() {
    let sink = Sink::start();
    let machine = machine(&sink.nexthop());
    let systemd = Activation::of(&machine, &["--idle", "0s"]);
    for round in 0..10 {
        let stream = UnixStream::connect(machine.directory().join("submit.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (mut replies, mut writer) = (BufReader::new(&stream), &stream);
        let mut hear = |code: &str| {
            let mut line = String::new();
            while !line.starts_with(code) {
                line.clear();
                assert!(replies.read_line(&mut line).unwrap() > 0, "closed");
            }
        };
        hear("220 ");
        // Whatever the agent does when it is idle, it has time for it between two commands.
        thread::yield_now();
        for (command, code) in [
            ("HELO x\r\n".to_owned(), "250 "),
            ("MAIL FROM:<a@example.test>\r\n".to_owned(), "250 "),
            ("RCPT TO:<b@example.net>\r\n".to_owned(), "250 "),
            ("DATA\r\n".to_owned(), "354 "),
            (
                format!("Subject: slow {round}\r\n\r\nbody\r\n.\r\n"),
                "250 ",
            ),
        ] {
            writer.write_all(command.as_bytes()).unwrap();
            hear(code);
        }
        drop(replies);
        drop(stream);
        let subject = format!("slow {round}");
        until_true("it has come", || arrived(&sink).contains(&subject));
    }
    systemd.end();
}

/// What is queued keeps its process, however long nobody connects.
#[test]
fn an_agent_with_mail_in_its_queue_stays_until_the_relayhost_is_back() {
    let address = free_address();
    let machine = machine(&nexthop(address));
    let systemd = Activation::of(&machine, &["--idle", "0s"]);
    machine.send(&["somebody@example.net"], "Subject: patient\n\nbody\n");
    machine.wait_for_mailq("the reason", |listing| listing.contains("refused"));
    let sink = Sink::on(address, tests::sink::Script::default());
    until_true("it has come", || arrived(&sink).contains("patient"));
    systemd.end();
}

/// The kernel keeps from the first process of a container every signal that it does not wait for:
/// it waits from the first moment on. Here it still reads its configuration, out of a pipe into
/// which nobody writes.
#[test]
fn the_first_process_of_a_container_ends_when_it_is_told_to_while_it_still_starts() {
    if !peers::root() || peers::find("mkfifo").is_none() {
        return;
    }
    let machine = machine("relay.example");
    fs::remove_file(machine.config()).unwrap();
    let made = hermetic("mkfifo").arg(machine.config()).status().unwrap();
    assert!(made.success());
    let agent = machine.admin_command();
    let mut command = hermetic("unshare");
    command.args(["--pid", "--fork", "--kill-child"]);
    command
        .arg(agent.get_program())
        .args(agent.get_args())
        .arg("agent");
    let mut daemon = Daemon::start("agent", &mut command);
    let children = format!("/proc/{0}/task/{0}/children", daemon.pid());
    let _writer = until("the agent reads its configuration", || {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let mut file = fs::OpenOptions::new();
        file.write(true)
            .custom_flags(flags)
            .open(machine.config())
            .ok()
    });
    let child = fs::read_to_string(children).unwrap();
    let child = Pid::from_raw(child.trim().parse().unwrap()).unwrap();
    kill_process(child, Signal::TERM).unwrap();
    let status = until("it ends", || daemon.ended());
    assert!(status.success(), "{status}: {}", daemon.log());
}
