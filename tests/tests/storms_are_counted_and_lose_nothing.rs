//! Storms of mail on one machine: the same again and again, many at once, many recipients, large bodies, and kill -9 in the middle.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use tests::{
    agent::{Agent, CRON, CRON_ARGUMENTS},
    sink::{Received, Sink},
    wait::{until, until_true},
};

fn config(sink: &Sink, more: &str) -> String {
    format!(
        "relayhost = {:?}\ndomain = \"example.org\"\nadmin = \"admins@example.org\"\ntls = \"none\"\n{more}",
        sink.nexthop()
    )
}

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

/// The cron mail of one run: it differs from the next one's in its numbers.
fn run_of_cron(number: usize) -> String {
    format!("{CRON}run {number} at 12:00:{:02}\n", number % 60)
}

#[test]
fn of_the_same_cron_mail_again_and_again_one_is_sent_and_a_digest_counts_the_others() {
    const MAILS: usize = 100;
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink, "collapse = { window = \"1h\" }\n"));
    for number in 0..MAILS {
        machine.send(&CRON_ARGUMENTS, run_of_cron(number));
    }
    machine.send(&["root"], "Subject: by hand\n\nalike\n");
    machine.send(&["root"], "Subject: by hand\n\nalike\n");
    let sent = sink.journal().wait_for(3);
    assert_eq!(sent.iter().filter(|m| told(m) == 1).count(), 3);
    let listing = machine.mailq();
    assert!(
        listing.contains(&format!("stands for {} messages", MAILS - 1)),
        "{listing}"
    );
    assert!(
        listing.contains("1 Request"),
        "one message, whatever it stands for: {listing}"
    );

    // The administrator does not want to wait for the end of the window.
    assert!(machine.admin(&["queue", "flush"]).status.success());
    let digest = sink.journal().wait_for(4).pop().unwrap();
    assert_eq!(told(&digest), MAILS - 1);
    assert_eq!(digest.recipients, ["admins@example.org"]);
    assert!(
        digest.text().contains("backup: nothing to do"),
        "{}",
        digest.text()
    );
    machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
}

#[test]
fn a_mail_that_came_twice_is_sent_as_it_is_when_the_window_ends() {
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink, "collapse = { window = \"1s\" }\n"));
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
        &sink,
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
                    let output = tests::agent::pipe(&mut command, run_of_cron(number).as_bytes());
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
    // A crash may repeat what was sent in the last second, and a mail whose sender was killed with the agent may count.
    assert!(
        told >= accepted,
        "{accepted} accepted, {told} sent or counted"
    );
    // While no agent runs, sendmail brings each mail to the relayhost itself.
    assert!(told > sink.journal().len(), "digests came");
}

#[test]
fn a_thousand_different_mails_from_eight_submitters_arrive_once_each() {
    const SUBMITTERS: usize = 8;
    const EACH: usize = 125;
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink, "collapse = { window = \"1h\" }\n"));
    let socket = machine.directory().join("submit.sock");
    thread::scope(|scope| {
        for submitter in 0..SUBMITTERS {
            let socket = &socket;
            scope.spawn(move || {
                let mut stream = BufReader::new(UnixStream::connect(socket).unwrap());
                let mut say = |text: &str, replies: usize| {
                    stream.get_mut().write_all(text.as_bytes()).unwrap();
                    let mut line = String::new();
                    for _ in 0..replies {
                        line.clear();
                        stream.read_line(&mut line).unwrap();
                    }
                    line
                };
                assert!(say("HELO test\r\n", 2).starts_with("250 "));
                for number in 0..EACH {
                    say(
                        "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n",
                        3,
                    );
                    let taken = say(
                        &format!("Subject: mail {submitter}-{number}\r\n\r\ntext\r\n.\r\n"),
                        1,
                    );
                    assert!(taken.starts_with("250 "), "{taken}");
                }
            });
        }
    });
    let received = sink.journal().wait_for(SUBMITTERS * EACH);
    let subjects: std::collections::BTreeSet<_> =
        received.iter().map(|m| m.field("Subject")).collect();
    assert_eq!(subjects.len(), SUBMITTERS * EACH);
}

#[test]
fn a_mail_of_ten_mebibytes_to_a_thousand_recipients_arrives_whole() {
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink, ""));
    let recipients: Vec<_> = (0..1000).map(|n| format!("user{n}@example.net")).collect();
    let arguments: Vec<_> = recipients.iter().map(String::as_str).collect();
    let line = "0123456789abcdef".repeat(4) + "\n";
    let body = line.repeat(10 * 1024 * 1024 / line.len());
    machine.send(&arguments, format!("Subject: large\n\n{body}"));
    let reached = until("all recipients", || {
        let received = sink.journal().messages();
        let reached: std::collections::BTreeSet<_> = received
            .iter()
            .flat_map(|m| m.recipients.iter().cloned())
            .collect();
        (reached.len() == recipients.len()).then_some(received)
    });
    let whole = body.replace('\n', "\r\n");
    assert!(reached[0].text().ends_with(&whole));
}
