//! Storms of mail on one machine: the same ten thousand times, many at once, many recipients, large
//! bodies, and kill -9 in the middle.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use tests::{
    agent::{Agent, CRON, CRON_ARGUMENTS, as_user, config, pipe},
    peers,
    sink::{Received, Sink},
    wait::until_true,
};

/// How many messages a received one tells of: a digest says it in its subject.
fn told(message: &Received) -> usize {
    let subject = message.field("Subject");
    let count = subject
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(" more]"));
    count.map_or(1, |(count, _)| count.parse().unwrap())
}

fn all_told(sink: &Sink) -> usize {
    sink.journal().messages().iter().map(told).sum()
}

/// A program's session with the agent over its socket.
struct Submission(BufReader<UnixStream>);

impl Submission {
    fn open(machine: &Agent) -> Self {
        let socket = machine.directory().join("submit.sock");
        let mut session = Self(BufReader::new(UnixStream::connect(socket).unwrap()));
        assert!(session.say("HELO test\r\n", 2).starts_with("250 "));
        session
    }

    /// A message, which must be taken.
    fn send(&mut self, recipient: &str, message: &str) {
        let commands = format!("MAIL FROM:<root@example.org>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n");
        self.say(&commands, 3);
        let stuffed = message.replace('\n', "\r\n").replace("\r\n.", "\r\n..");
        let taken = self.say(&format!("{stuffed}.\r\n"), 1);
        assert!(taken.starts_with("250 "), "{taken}");
    }

    /// The last of so many replies.
    fn say(&mut self, text: &str, replies: usize) -> String {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
        let mut line = String::new();
        for _ in 0..replies {
            line.clear();
            self.0.read_line(&mut line).unwrap();
        }
        line
    }
}

/// The cron mail of one run: it differs from the next one's in its numbers.
fn run_of_cron(number: usize) -> String {
    format!("{CRON}run {number} at 12:00:{:02}\n", number % 60)
}

#[test]
fn of_ten_thousand_cron_mails_one_is_sent_a_digest_counts_the_others_and_nobody_else_waits() {
    const MAILS: usize = 10_000;
    const SUBMITTERS: usize = 8;
    /// Mebibytes that the agent may take; each mail of the storm held in memory would take more.
    const PEAK: u64 = 40;
    let sink = Sink::start();
    let mut machine = Agent::prepare(&config(&sink.nexthop(), "collapse = { window = \"1h\" }\n"));
    machine.open_to_all();
    machine.run();
    // Sent at the same time as the first, others would be sent too.
    let mut session = Submission::open(&machine);
    session.send("root@vm1.example.test", &run_of_cron(0));
    session.send("root@vm1.example.test", &run_of_cron(1));
    let taken = AtomicUsize::new(2);
    thread::scope(|scope| {
        for submitter in 0..SUBMITTERS {
            let (machine, taken) = (&machine, &taken);
            scope.spawn(move || {
                let mut session = Submission::open(machine);
                for number in (2 + submitter..MAILS).step_by(SUBMITTERS) {
                    session.send("root@vm1.example.test", &run_of_cron(number));
                    taken.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        until_true("the storm blows", || {
            taken.load(Ordering::SeqCst) > MAILS / 10
        });
        let mut sendmail = machine.public("sendmail");
        sendmail.arg("somebody@example.net");
        if peers::root() && peers::find("setpriv").is_some() {
            sendmail = as_user("64002", &sendmail);
        }
        let output = pipe(&mut sendmail, b"Subject: by another user\n\nx\n");
        assert!(output.status.success(), "{output:?}");
        let sent = sink.journal().wait_for(2);
        assert_eq!(sent[1].field("Subject"), "by another user");
    });
    machine.send(&["root"], "Subject: by hand\n\nalike\n");
    machine.send(&["root"], "Subject: by hand\n\nalike\n");
    let sent = sink.journal().wait_for(4);
    assert_eq!(sent.iter().filter(|m| told(m) == 1).count(), 4);
    let listing = machine.wait_for_mailq("one message, whatever it stands for", |listing| {
        listing.contains("1 Request")
    });
    assert!(
        listing.contains(&format!("stands for {} messages", MAILS - 1)),
        "{listing}"
    );

    // The administrator does not want to wait for the end of the window.
    assert!(machine.admin(&["queue", "flush"]).status.success());
    let digest = sink.journal().wait_for(5).pop().unwrap();
    assert_eq!(told(&digest), MAILS - 1);
    assert_eq!(digest.recipients, ["admins@example.org"]);
    assert!(
        digest.text().contains("backup: nothing to do"),
        "{}",
        digest.text()
    );
    machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
    let peak = machine.daemon().peak_memory();
    let _ = writeln!(
        std::io::stderr(),
        "a storm of {MAILS}: the agent took {peak} MiB at most"
    );
    assert!(peak <= PEAK, "{peak} MiB");
}

#[test]
fn a_mail_that_came_twice_is_sent_as_it_is_when_the_window_ends() {
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink.nexthop(), "collapse = { window = \"1s\" }\n"));
    machine.send(&CRON_ARGUMENTS, run_of_cron(1));
    machine.send(&CRON_ARGUMENTS, run_of_cron(2));
    let received = sink.journal().wait_for(2);
    assert_eq!(received[0].field("Subject"), received[1].field("Subject"));
    assert!(received[1].text().contains("run 2 at"));
}

/// What was accepted is sent, queued or counted in a digest, whenever the agent is killed.
#[test]
fn a_storm_is_counted_to_the_last_mail_although_the_agent_is_killed_again_and_again() {
    const KILLS: usize = 5;
    let sink = Sink::start();
    let mut machine = Agent::start(&config(
        &sink.nexthop(),
        "collapse = { window = \"2s\" }\n[retry]\nminimal = \"1s\"\nmaximal = \"1s\"\n",
    ));
    let (accepted, enough) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (program, file) = (
        machine.program("sendmail").get_program().to_owned(),
        machine.config(),
    );
    thread::scope(|scope| {
        for sender in 0..3usize {
            let (accepted, enough, program, file) = (&accepted, &enough, &program, &file);
            scope.spawn(move || {
                for number in (sender..).step_by(3) {
                    if enough.load(Ordering::SeqCst) {
                        return;
                    }
                    let mut command = std::process::Command::new(program);
                    command
                        .env("SENDMAIL_SHIM_CONFIG", file)
                        .args(CRON_ARGUMENTS);
                    let output = pipe(&mut command, run_of_cron(number).as_bytes());
                    accepted.fetch_add(usize::from(output.status.success()), Ordering::SeqCst);
                }
            });
        }
        for _ in 0..KILLS {
            let target = accepted.load(Ordering::SeqCst) + 15;
            until_true("mail is accepted", || {
                accepted.load(Ordering::SeqCst) >= target
            });
            machine.kill();
            machine.run();
        }
        enough.store(true, Ordering::SeqCst);
    });
    machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
    let (accepted, told) = (accepted.load(Ordering::SeqCst), all_told(&sink));
    // A crash may repeat what was sent in the last second, and a mail whose sender was killed with
    // the agent may count.
    assert!(
        told >= accepted,
        "{accepted} accepted, {told} sent or counted"
    );
    // While no agent runs, sendmail brings each mail to the relayhost itself.
    assert!(told > sink.journal().len(), "digests came");
}

/// A thousand different mails of so many submitters at once.
fn a_thousand_different_mails(submitters: usize) {
    const MAILS: usize = 1000;
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink.nexthop(), "collapse = { window = \"1h\" }\n"));
    thread::scope(|scope| {
        for submitter in 0..submitters {
            let machine = &machine;
            scope.spawn(move || {
                let mut session = Submission::open(machine);
                for number in (submitter..MAILS).step_by(submitters) {
                    session.send(
                        "b@example.net",
                        &format!("Subject: mail {number}\n\ntext\n"),
                    );
                }
            });
        }
    });
    machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
    let received = sink.journal().messages();
    let mut subjects: Vec<_> = received.iter().map(|m| m.field("Subject")).collect();
    let mut expected: Vec<_> = (0..MAILS).map(|number| format!("mail {number}")).collect();
    subjects.sort_unstable();
    expected.sort_unstable();
    assert_eq!(subjects, expected);
}

#[test]
fn a_thousand_different_mails_from_one_submitter_arrive_once_each() {
    a_thousand_different_mails(1);
}

#[test]
fn a_thousand_different_mails_from_eight_submitters_arrive_once_each() {
    a_thousand_different_mails(8);
}

fn a_thousand_addresses() -> Vec<String> {
    (1000..2000)
        .map(|n| format!("user{n}@example.net"))
        .collect()
}

/// Who got what, when all of it has gone.
fn reached(machine: &Agent, sink: &Sink) -> Vec<String> {
    machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
    let received = sink.journal().messages();
    let mut reached: Vec<_> = received.into_iter().flat_map(|m| m.recipients).collect();
    reached.sort_unstable();
    reached
}

#[test]
fn a_thousand_recipients_named_in_the_header_get_one_copy_each() {
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink.nexthop(), ""));
    let recipients = a_thousand_addresses();
    let (to, bcc) = recipients.split_at(500);
    machine.send(
        &["-t"],
        format!(
            "To: {}\nBcc: {}\nSubject: many\n\nx\n",
            to.join(",\n "),
            bcc.join(",\n ")
        ),
    );
    assert_eq!(reached(&machine, &sink), recipients);
}

#[test]
fn a_mail_of_ten_mebibytes_to_a_thousand_recipients_arrives_byte_by_byte_once_each() {
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink.nexthop(), ""));
    let recipients = a_thousand_addresses();
    let mut arguments = vec!["-i", "-B8BITMIME"];
    arguments.extend(recipients.iter().map(String::as_str));
    // Every byte but those that end lines or messages, in lines of all lengths, some of them dots.
    let bytes = (1..=u8::MAX).filter(|byte| !b"\r\n".contains(byte)).cycle();
    let mut body = Vec::new();
    for (length, bytes) in (0..200).cycle().zip(std::iter::repeat(bytes)) {
        body.extend(bytes.skip(body.len() % 251).take(length));
        body.extend(if length % 50 == 0 {
            &b"\r\n.\r\n"[..]
        } else {
            b"\r\n"
        });
        if body.len() > 10 * 1024 * 1024 {
            break;
        }
    }
    let mut message = b"Subject: large\n\n".to_vec();
    message.extend(body.iter().filter(|byte| **byte != b'\r'));
    machine.send(&arguments, message);
    assert_eq!(reached(&machine, &sink), recipients);
    for received in sink.journal().messages() {
        let end = received
            .content
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap()
            + 4;
        assert!(received.content[end..] == body, "the body came changed");
    }
}
