//! The agent's sockets are open to every user of the machine: who asks is known, and a hostile user
//! harms only himself.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use tests::{
    agent::{Agent, as_user, pipe},
    peers,
    sink::{Script, Sink, nexthop},
    wait::{free_address, until_true},
};

/// Two users whom nobody has told the agent about.
const HOSTILE: &str = "64001";
const MODEST: &str = "64002";

const PYTHON: &str = "/usr/bin/python3";

/// Opens more connections than one user may, leaves each in another state, tells how many were
/// turned away, and stays.
const FLOOD: &str = r#"
import socket, sys, time
submit, control = sys.argv[1:]
message = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
states = [
    (submit, b""), (submit, b"EHL"), (submit, b"NOOP\r\n" * 10000), (submit, b"x" * 1000000),
    (submit, message + b"DATA\r\nSubject: half"), (submit, message + b"DATA\r\n" + b"x: y\r\n" * 200000),
    (submit, message + b"BDAT 18446744073709551615\r\n" + b"x" * 500000),
    (control, b"{\"List\":"), (control, b"[" * 1000000), (control, b"\xff\x00\n" * 1000),
]
kept, turned_away = [], 0
for number in range(500):
    path, bytes = states[number % len(states)]
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(0.03)
    try:
        connection.connect(path)
        connection.sendall(bytes)
    except OSError:
        pass
    if number % 7 == 0:
        connection.close()
        continue
    try:
        turned_away += connection.recv(100).startswith(b"421 4.7.0 too many")
    except OSError:
        pass
    kept.append(connection)
print(turned_away, flush=True)
sys.stdin.read()
"#;

/// A child that ends with the test.
struct Running(Child);
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn machine(sink: &Sink) -> Agent {
    Agent::prepare(&format!(
        "relayhost = \"{}\"\ndomain = \"example.test\"\ntls = \"none\"\n",
        sink.nexthop()
    ))
}

#[test]
fn a_user_who_floods_the_sockets_keeps_nobody_else_from_sending() {
    if !peers::root() || peers::find("setpriv").is_none() {
        return;
    }
    // Another python3 in PATH may lie where other users cannot look.
    if !Path::new(PYTHON).exists() {
        return peers::skip("no /usr/bin/python3");
    }
    let sink = Sink::start();
    let mut agent = machine(&sink);
    agent.open_to_all();
    agent.run();

    let mut flood = Command::new(PYTHON);
    flood.args(["-c", FLOOD]);
    flood.args([
        agent.directory().join("submit.sock"),
        agent.directory().join("control.sock"),
    ]);
    let mut hostile = as_user(HOSTILE, &flood);
    let child = hostile.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut hostile = Running(child.unwrap());
    let mut told = String::new();
    let mut out = BufReader::new(hostile.0.stdout.take().unwrap());
    out.read_line(&mut told).unwrap();
    let turned_away: u32 = told.trim().parse().unwrap();
    assert!(turned_away > 0, "500 connections of one user are too many");

    let send = |agent: &Agent, user| {
        let mut sendmail = agent.public("sendmail");
        sendmail.arg("admin@example.test");
        let output = pipe(&mut as_user(user, &sendmail), b"Subject: x\n\nx\n");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    };
    send(&agent, MODEST);
    agent.daemon().wait_for_log(&format!(", uid {MODEST}"));
    let listing = pipe(&mut as_user(MODEST, &agent.public("mailq")), b"");
    assert!(listing.status.success(), "{listing:?}");
    sink.journal().wait_for(1);
    let peak = agent.daemon().peak_memory();
    assert!(peak < 64, "{peak} MiB for one hostile user");

    drop(hostile);
    until_true("the flood is over", || {
        send(&agent, HOSTILE);
        agent.daemon().log().contains(&format!(", uid {HOSTILE}"))
    });
}

/// The relayhost is away, and a program sends in a loop: what it may have in the queue is bounded,
/// and only for its user.
#[test]
fn a_user_who_fills_his_share_of_the_queue_leaves_room_for_others_and_may_send_again_when_it_has_gone()
 {
    const SHARE: usize = 20;
    if !peers::root() || peers::find("setpriv").is_none() {
        return;
    }
    let relay = free_address();
    let mut agent = Agent::prepare(&format!(
        "relayhost = \"{}\"\ndomain = \"example.test\"\ntls = \"none\"\nshare = {{ recipients = {SHARE}, size = \"300KiB\" }}\n",
        nexthop(relay)
    ));
    agent.open_to_all();
    agent.run();
    let send = |agent: &Agent, user: &str, recipients: &[&str], text: &str| {
        let mut sendmail = agent.public("sendmail");
        sendmail.args(recipients);
        pipe(&mut as_user(user, &sendmail), text.as_bytes())
    };
    let few = |agent: &Agent, user| send(agent, user, &["admin@example.test"], "Subject: x\n\nx\n");
    let refused = |output: &Output| {
        let told = String::from_utf8_lossy(&output.stderr);
        output.status.code() == Some(75) && told.contains("your share of the queue is used up")
    };
    assert!(few(&agent, HOSTILE).status.success());
    let large = "0123456789abcdef\n".repeat(20_000);
    let output = send(&agent, HOSTILE, &["admin@example.test"], &large);
    assert!(refused(&output), "340,000 bytes: {output:?}");
    let many: Vec<_> = (0..SHARE)
        .map(|n| format!("user{n}@example.test"))
        .collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let output = send(&agent, HOSTILE, &many, "Subject: x\n\nx\n");
    assert!(refused(&output), "one to {SHARE} more: {output:?}");
    let taken = (1..100).take_while(|_| few(&agent, HOSTILE).status.success());
    assert_eq!(1 + taken.count(), SHARE);

    // Only his; and a restart counts what is there.
    agent.kill();
    agent.run();
    let output = few(&agent, HOSTILE);
    assert!(refused(&output), "{output:?}");
    assert!(few(&agent, MODEST).status.success());
    agent.send(&many, "Subject: from root\n\nx\n");
    agent.send(&many, "Subject: from root\n\nx\n");

    let sink = Sink::on(relay, Script::default());
    assert!(agent.admin(&["queue", "flush"]).status.success());
    sink.journal().wait_for(SHARE + 3);
    until_true("he may send again", || {
        few(&agent, HOSTILE).status.success()
    });
}

/// It would let him write a From that is not his where `from_override` is off.
#[test]
fn only_root_may_say_that_a_message_was_queued_elsewhere() {
    if !peers::root() || peers::find("setpriv").is_none() {
        return;
    }
    let sink = Sink::start();
    let mut agent = machine(&sink);
    agent.open_to_all();
    agent.run();
    let dialog = b"EHLO x\r\nMAIL FROM:<a@b.example> XQUEUED\r\nQUIT\r\n";
    for (user, reply) in [
        (HOSTILE, "550 5.7.1 XQUEUED is for root"),
        ("0", "250 2.1.0"),
    ] {
        let mut sendmail = agent.public("sendmail");
        sendmail.arg("-bs");
        let output = pipe(&mut as_user(user, &sendmail), dialog);
        let replies = String::from_utf8(output.stdout).unwrap();
        assert!(replies.contains(reply), "{user}: {replies}");
    }
}

/// A container that has the socket mounted submits too: its processes have no pid in the agent's
/// eyes, but a user id.
#[test]
fn a_program_in_another_pid_namespace_submits_and_lists_its_mail() {
    if !peers::root() {
        return;
    }
    let sink = Sink::start();
    let mut agent = machine(&sink);
    agent.in_pid_namespace();
    agent.run();
    agent.send(
        &["admin@example.test"],
        "Subject: out of a container\n\nx\n",
    );
    agent.daemon().wait_for_log(", uid 0");
    sink.journal().wait_for(1);
    agent.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
}

/// The relayhost's words name whose mail it refused.
#[test]
fn what_the_relayhost_says_of_anothers_mail_is_told_to_nobody_but_administrators() {
    if !peers::root() || peers::find("setpriv").is_none() {
        return;
    }
    let words = "<secret@example.test>: secret must log in";
    let sink = Sink::with(Script {
        answers: vec![("MAIL".to_owned(), format!("530 5.7.0 {words}"))],
        ..Script::default()
    });
    let mut agent = machine(&sink);
    agent.open_to_all();
    agent.run();
    let run = |user: &str, program: &str, words: &[&str], input: &str| {
        let mut command = agent.public(program);
        command.args(words);
        let output = pipe(&mut as_user(user, &command), input.as_bytes());
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    run(
        HOSTILE,
        "sendmail",
        &["bob@example.net"],
        "Subject: x\n\nx\n",
    );
    until_true("the administrator reads it", || {
        let status = agent.admin(&["status"]);
        String::from_utf8_lossy(&status.stdout).contains(words)
    });
    let told = run(MODEST, "sendmail-shim", &["status"], "");
    assert!(
        told.contains("530 5.7.0 (in reply to MAIL FROM command)"),
        "{told}"
    );
    for asked in [
        &["status"][..],
        &["status", "--json"],
        &["queue", "summary"],
        &["queue", "list"],
    ] {
        let told = run(MODEST, "sendmail-shim", asked, "");
        assert!(!told.contains("secret"), "{asked:?}: {told}");
    }
}
