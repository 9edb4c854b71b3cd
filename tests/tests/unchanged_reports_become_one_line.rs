//! A job's report that says the same as its last one becomes a line of a digest (`unchanged`), for
//! senders that the administrator names: nothing is thrown away unseen, whenever the agent dies.

use std::fs;

use tests::{
    agent::{Agent, CRON, CRON_ARGUMENTS, config},
    sink::{Received, Sink, nexthop},
    wait::{free_address, until_true},
};

/// Whoever runs the tests is listed.
fn unchanged(digest: &str) -> String {
    format!("unchanged = {{ senders = \"*\", digest = \"{digest}\" }}\n")
}

/// What a job's cron reports.
fn report(machine: &Agent, job: &str, text: &str) {
    machine.send(
        &CRON_ARGUMENTS,
        CRON.replace("/usr/sbin/backup", job)
            .replace("nothing to do", text),
    );
}

fn is_digest(message: &Received) -> bool {
    message.field("Subject").contains("nothing new")
}

/// Whether that was sent in full.
fn has_come(sink: &Sink, text: &str) -> bool {
    let messages = sink.journal().messages();
    let mut messages = messages.iter().filter(|message| !is_digest(message));
    messages.any(|message| message.text().contains(text))
}

/// That it was sent in full, and that the agent knows so.
fn wait_for(machine: &mut Agent, sink: &Sink, text: &str) {
    until_true(text, || has_come(sink, text));
    settled(machine);
}

/// The agent knows that what was sent last has arrived.
fn settled(machine: &mut Agent) {
    until_true("what was sent has left the queue", || {
        let log = machine.daemon().log();
        let mut sent = log.lines().filter(|line| line.contains("status=sent"));
        let id = sent.next_back().and_then(|line| line.split(": ").nth(1));
        id.is_some_and(|id| log.contains(&format!("{id}: removed")))
    });
}

/// How many digests have come.
fn count(sink: &Sink) -> usize {
    sink.journal()
        .messages()
        .iter()
        .filter(|message| is_digest(message))
        .count()
}

/// Whether a digest has a line with that.
fn is_told(sink: &Sink, text: &str) -> bool {
    let messages = sink.journal().messages();
    let mut digests = messages.iter().filter(|message| is_digest(message));
    digests.any(|digest| digest.text().contains(text))
}

fn waiting(listing: &str) -> Vec<String> {
    let words = listing.lines().filter_map(|line| line.split(' ').next());
    words
        .filter_map(|word| Some(word.strip_suffix('!')?.to_owned()))
        .collect()
}

#[test]
fn the_same_report_waits_through_kill_9_and_a_change_is_sent_at_once() {
    let sink = Sink::start();
    let mut machine = Agent::start(&config(&sink.nexthop(), &unchanged("1d")));
    report(&machine, "one", "1234 files, 0 errors");
    wait_for(&mut machine, &sink, "1234 files, 0 errors");
    report(&machine, "one", "1235 files, 0 errors");
    let listing = machine.mailq();
    assert_eq!(waiting(&listing).len(), 1, "{listing}");
    assert!(
        listing.contains("(says the same as on ") && listing.contains("; its digest is due "),
        "{listing}"
    );
    machine.daemon().wait_for_log("waits for the digest");

    // What was said last is known to the next agent, and so is why a report waits.
    machine.kill();
    machine.run();
    report(&machine, "one", "1236 files, 0 errors");
    let listing = machine.mailq();
    assert_eq!(waiting(&listing).len(), 2, "{listing}");
    assert_eq!(
        listing.matches("says the same as on").count(),
        2,
        "{listing}"
    );

    report(&machine, "one", "1236 files, 7 errors");
    wait_for(&mut machine, &sink, "7 errors");
    report(&machine, "one", "1236 files, 8 errors");
    report(&machine, "one", "1236 files, 0 errors");
    wait_for(&mut machine, &sink, "1236 files, 0 errors");
    report(&machine, "one", "1236 files, 0 errors, too late");
    wait_for(&mut machine, &sink, "too late");
    machine.send(&["root"], "Subject: by hand\n\nx\n");
    machine.send(&["root"], "Subject: by hand\n\nx\n");
    until_true("people's mail never waits", || {
        let messages = sink.journal().messages();
        let by_hand = |message: &&Received| message.field("Subject") == "by hand";
        messages.iter().filter(by_hand).count() == 2
    });
    let ids = waiting(&machine.mailq());
    assert_eq!(ids.len(), 3);
    assert!(!has_come(&sink, "1235 files") && !has_come(&sink, "8 errors"));

    // The administrator sees one, and lets it go.
    let shown = machine.admin(&["queue", "show", &ids[0]]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("Cron <root@vm1> test -x one"), "{shown}");
    let output = machine.admin(&["queue", "release", &ids[0]]);
    assert!(output.status.success(), "{output:?}");
    wait_for(&mut machine, &sink, "1235 files");

    // Without the setting, nothing waits for it.
    machine.configure(&config(&sink.nexthop(), ""));
    machine.kill();
    machine.run();
    wait_for(&mut machine, &sink, "8 errors");
    machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
    assert!(!sink.journal().messages().iter().any(is_digest));
}

#[test]
fn when_it_is_due_one_mail_tells_of_all_of_a_user_with_the_lines_that_differ() {
    let sink = Sink::start();
    let mut machine = Agent::start(&config(&sink.nexthop(), &unchanged("4s")));
    for job in ["one", "two"] {
        report(&machine, job, &format!("{job}: 10 files\nof 3 disks"));
        wait_for(&mut machine, &sink, &format!("{job}: 10 files"));
    }
    for (job, text) in [
        ("one", "one: 11 files\nof 3 disks"),
        ("two", "two: 10 files\nof 3 disks"),
        ("one", "one: 12 files\nof 3 disks"),
    ] {
        report(&machine, job, text);
    }
    let digest = sink.journal().wait_for(3).pop().unwrap();
    assert_eq!(
        digest.field("Subject"),
        "vm1.example.test: 3 reports say nothing new"
    );
    assert_eq!(digest.recipients, ["admins@example.org"]);
    assert_eq!(digest.field("Auto-Submitted"), "auto-generated");
    let text = digest.text();
    let lines: Vec<_> = text
        .lines()
        .skip_while(|line| !line.is_empty())
        .filter(|line| line.contains("as on") || line.starts_with("  >"))
        .map(|line| {
            line.split_once("Cron <root@vm1> ")
                .map_or(line, |(_, rest)| rest)
        })
        .map(|line| line.split_once(", as on").map_or(line, |(job, _)| job))
        .collect();
    assert_eq!(
        lines,
        [
            "test -x one",
            "  > backup: one: 11 files",
            "test -x two",
            "test -x one",
            "  > backup: one: 12 files",
        ],
        "{text}"
    );
    machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
    assert_eq!(sink.journal().len(), 3);
}

#[test]
fn nobody_who_is_not_named_has_a_report_that_waits() {
    let sink = Sink::start();
    let mut machine = Agent::start(&config(
        &sink.nexthop(),
        "unchanged = { senders = [\"nobody-of-this-name\", \"backup@*\"] }\n",
    ));
    for _ in 0..2 {
        report(&machine, "one", "10 files");
    }
    sink.journal().wait_for(2);
    // By its address one is.
    let message = "Auto-Submitted: auto-generated\nSubject: by address\n\n10 files\n";
    machine.send(&["-f", "backup@example.net", "root"], message);
    sink.journal().wait_for(3);
    settled(&mut machine);
    machine.send(&["-f", "backup@example.net", "root"], message);
    assert_eq!(waiting(&machine.mailq()).len(), 1);
}

#[test]
fn what_is_not_known_for_certain_is_sent() {
    let sink = Sink::start();
    let mut machine = Agent::start(&config(&sink.nexthop(), &unchanged("1d")));
    report(&machine, "one", "first");
    wait_for(&mut machine, &sink, "first");
    report(&machine, "one", "first");
    assert_eq!(waiting(&machine.mailq()).len(), 1);
    machine.kill();
    let table = machine.directory().join("spool/unchanged");
    let mut bytes = fs::read(&table).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    system::fs::replace(&table, &bytes, 0o600).unwrap();
    machine.run();
    let came = |machine: &mut Agent, count| {
        until_true("reports are sent", || {
            let messages = sink.journal().messages();
            let came = messages
                .iter()
                .filter(|message| message.text().contains("first"));
            came.count() == count
        });
        settled(machine);
    };
    came(&mut machine, 2);
    report(&machine, "one", "first");
    came(&mut machine, 3);
    report(&machine, "one", "first");
    assert_eq!(waiting(&machine.mailq()).len(), 1);
}

/// `collapse` masks numbers, too.
#[test]
fn what_is_new_is_sent_at_once_though_storms_are_counted() {
    let sink = Sink::start();
    let more = "collapse = { window = \"1h\" }\n";
    let settings = format!("{}{more}", unchanged("1d"));
    let mut machine = Agent::start(&config(&sink.nexthop(), &settings));
    let full = |count: usize, text: &str| {
        let messages = sink.journal().messages();
        let messages = messages.iter().filter(|message| !is_digest(message));
        messages
            .filter(|message| message.text().contains(text))
            .count()
            == count
    };
    for (text, count) in [
        ("0 failed disks", 1),
        ("0 failed disks", 1),
        ("1 failed disks", 1),
        ("7 failed disks", 0),
        ("0 failed disks", 2),
    ] {
        report(&machine, "one", text);
        until_true(text, || full(count, text));
        settled(&mut machine);
    }
    let listing = machine.mailq();
    assert_eq!(
        listing.matches("says the same as on").count(),
        2,
        "{listing}"
    );
    assert!(!listing.contains("kept for the digest"), "{listing}");
}

/// The relay is down, and somebody empties the queue.
#[test]
fn a_report_whose_full_copy_never_arrived_is_sent_and_not_told_as_known() {
    let sink = Sink::start();
    let mut machine = Agent::start(&config(&nexthop(free_address()), &unchanged("1d")));
    for _ in 0..2 {
        report(&machine, "one", "disk sda fails");
    }
    assert_eq!(
        waiting(&machine.mailq()),
        [""; 0],
        "both wait for the relay"
    );
    let deleted = machine.admin(&["queue", "delete", "--all"]);
    assert!(deleted.status.success(), "{deleted:?}");
    machine.configure(&config(&sink.nexthop(), &unchanged("1d")));
    machine.kill();
    machine.run();
    report(&machine, "one", "disk sda fails");
    wait_for(&mut machine, &sink, "disk sda fails");
    report(&machine, "one", "disk sda fails");
    assert_eq!(waiting(&machine.mailq()).len(), 1);
}

#[test]
fn what_an_administrator_holds_no_digest_removes_and_a_flush_says_that_it_does_nothing() {
    let sink = Sink::start();
    let mut machine = Agent::start(&config(&sink.nexthop(), &unchanged("4s")));
    report(&machine, "one", "10 files");
    wait_for(&mut machine, &sink, "10 files");
    report(&machine, "one", "11 files");
    report(&machine, "one", "12 files");
    let ids = waiting(&machine.mailq());
    let flushed = machine.admin(&["queue", "flush", &ids[0]]);
    let said = String::from_utf8_lossy(&flushed.stderr).into_owned();
    assert!(!flushed.status.success(), "{said}");
    assert!(
        said.contains("is on hold (says the same") && said.contains("queue release"),
        "{said}"
    );
    let held = machine.admin(&["queue", "hold", &ids[0]]);
    assert!(held.status.success(), "{held:?}");
    until_true("the digest of the other", || count(&sink) == 1);
    assert!(is_told(&sink, "12 files") && !is_told(&sink, "11 files"));
    until_true("the held one alone is left", || {
        waiting(&machine.mailq()) == [ids[0].clone()]
    });
}

/// Each report has a number of its own: it is sent, or a digest shows it.
#[test]
fn whenever_the_agent_is_killed_each_report_is_sent_or_told() {
    const KILLS: usize = 6;
    let sink = Sink::start();
    let mut machine = Agent::start(&config(
        &sink.nexthop(),
        &format!(
            "{}[retry]\nminimal = \"1s\"\nmaximal = \"1s\"\n",
            unchanged("2s")
        ),
    ));
    let mut number = 0;
    for kill in 0..KILLS {
        // The digests of the earlier ones are due meanwhile, so that it dies at any step of them.
        let (digests, before) = (count(&sink), number);
        while number < before + 12 {
            number += 1;
            report(
                &machine,
                ["one", "two"][number % 2],
                &format!("run <{number}>"),
            );
        }
        if kill % 2 == 0 {
            until_true("another digest comes", || count(&sink) > digests);
        }
        machine.kill();
        machine.run();
    }
    machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
    for number in 1..=number {
        let text = format!("run <{number}>");
        assert!(
            has_come(&sink, &text) || is_told(&sink, &text),
            "{text} is lost"
        );
    }
    let in_full = sink.journal().messages().into_iter();
    let in_full = in_full.filter(|message| !is_digest(message)).count();
    assert!(in_full < number, "{in_full} of {number} were sent in full");
}
