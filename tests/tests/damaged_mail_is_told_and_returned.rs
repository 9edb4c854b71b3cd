//! A message that the disk gives back otherwise than it was written: it is not delivered, who looks
//! after the machine hears of it once, and its sender gets back what can be read.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::Path,
    process::Output,
};

use tests::{
    agent::{Agent, config},
    session::Session,
    sink::{Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until_true},
};

const FORGED: &[u8] = b"pay to another account";
const QUICK: &str = "retry = { minimal = \"1s\", maximal = \"1s\" }\n";
/// As soon as an attempt has failed.
const OLD: &str = "retry = { minimal = \"1s\", maximal = \"1s\", lifetime = \"2s\" }\n";

/// With lines that end as its reader wants it.
fn large(end: &str) -> String {
    let line = format!("in lines of forty bytes with their ends{end}");
    format!("Subject: large{end}{end}{}", line.repeat(10_000))
}

/// In the only message that has a file of its own.
fn damage(spool: &Path) {
    let mut bodies = fs::read_dir(spool.join("bodies")).unwrap();
    let path = bodies.next().unwrap().unwrap().path();
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(FORGED, 200_000).unwrap();
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// The subjects of what has arrived that hold this.
fn told(sink: &Sink, what: &str) -> usize {
    let messages = sink.journal().messages();
    let subjects = messages.iter().map(|it| it.field("Subject"));
    subjects.filter(|subject| subject.contains(what)).count()
}

/// By `status` and `check`.
fn is_told(admin: impl Fn(&[&str]) -> Output) {
    until_true("status and check tell of it", || {
        let told =
            |command| said(&admin(&[command])).contains("1 messages are damaged on the disk");
        told("status") && told("check")
    });
}

/// Its sender has its header back, and the reason; nobody has what the disk has made of it.
fn is_returned(sink: &Sink, to: &str) {
    let is_bounce = |it: &tests::sink::Received| it.sender.is_empty() && it.recipients == [to];
    until_true("its sender gets it back", || {
        let messages = sink.journal().messages();
        messages.iter().any(|it| {
            let text = it.text();
            is_bounce(it) && text.contains("Subject: large") && text.contains("damaged")
        })
    });
    let messages = sink.journal().messages();
    let forged = |it: &tests::sink::Received| it.text().contains(str::from_utf8(FORGED).unwrap());
    assert!(!messages.iter().any(forged));
    assert_eq!(told(sink, "messages in the queue are damaged"), 1);
}

#[test]
fn a_smarthost_tells_once_of_a_message_that_the_disk_has_damaged_and_returns_it_when_it_is_old() {
    let relay = free_address();
    let set = |retry: &str| {
        format!(
            "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nadmins = \"admins@example.test\"\n{retry}",
            nexthop(relay)
        )
    };
    let mut smarthost = Smarthost::start(&set(QUICK));
    let mut session = Session::greeted(smarthost.address());
    let text = large("\r\n");
    session.delivers("a@example.net", &["b@example.net"], text.as_bytes());
    // Nothing reads it then.
    smarthost.daemon().wait_for_log("status=deferred");
    damage(&smarthost.directory().join("spool"));
    let sink = Sink::on(relay, Script::default());
    until_true("the administrators are told", || {
        told(&sink, "messages in the queue are damaged") == 1
    });
    is_told(|words| smarthost.admin(words));
    // Also after a start, and no second time by mail.
    smarthost.daemon().stop();
    smarthost.run();
    is_told(|words| smarthost.admin(words));
    smarthost.daemon().stop();
    smarthost.configure(&set(OLD));
    smarthost.run();
    is_returned(&sink, "a@example.net");
    smarthost.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
}

#[test]
fn an_agent_tells_once_of_a_message_that_the_disk_has_damaged_and_returns_it_when_it_is_old() {
    let relay = free_address();
    let mut machine = Agent::start(&config(&nexthop(relay), QUICK));
    let arguments = ["-f", "me@example.org", "b@example.net"];
    machine.send(&arguments, large("\n"));
    machine
        .daemon()
        .wait_for_log("the relayhost cannot be used");
    damage(&machine.directory().join("spool"));
    let sink = Sink::on(relay, Script::default());
    until_true("the administrators are told", || {
        told(&sink, "messages in the queue are damaged") == 1
    });
    is_told(|words| machine.admin(words));
    machine.daemon().stop();
    machine.run();
    is_told(|words| machine.admin(words));
    machine.daemon().stop();
    machine.configure(&config(&nexthop(relay), OLD));
    machine.run();
    is_returned(&sink, "me@example.org");
    machine.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
}

/// In the record of the only message, which is whole but for that.
fn damage_record(spool: &Path, text: &[u8]) {
    let segments = fs::read_dir(spool.join("segments")).unwrap();
    let mut paths = segments.map(|it| it.unwrap().path());
    let found = paths.find_map(|path| {
        let bytes = fs::read(&path).unwrap();
        let at = bytes.windows(text.len()).position(|it| it == text)?;
        Some((path, at as u64))
    });
    let (path, at) = found.unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(b"#", at).unwrap();
}

#[test]
fn a_message_whose_record_was_damaged_while_nobody_looked_stays_in_the_queue_until_it_is_deleted_or_returned()
 {
    let relay = free_address();
    let settings = format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nadmins = \"admins@example.test\"\n{QUICK}",
        nexthop(relay)
    );
    let mut smarthost = Smarthost::start(&settings);
    for text in ["the first of two", "the other one"] {
        let message = format!("Subject: small\r\n\r\n{text}\r\n");
        let mut session = Session::greeted(smarthost.address());
        session.delivers("a@example.net", &["b@example.net"], message.as_bytes());
    }
    smarthost.daemon().stop();
    let spool = smarthost.directory().join("spool");
    for text in ["the first of two", "the other one"] {
        damage_record(&spool, text.as_bytes());
    }
    let sink = Sink::on(relay, Script::default());
    let listed = |smarthost: &Smarthost| {
        let listed = said(&smarthost.admin(&["queue", "list"]));
        let lines = listed.lines().filter(|it| it.contains("a@example.net"));
        let ids = lines.filter_map(|it| it.split_whitespace().next());
        // One that is being tried has a mark.
        let ids = ids.map(|id| id.trim_end_matches('*').to_owned());
        ids.collect::<Vec<_>>()
    };
    for _ in 0..2 {
        smarthost.run();
        until_true("status and check tell of both", || {
            let told = |command| {
                said(&smarthost.admin(&[command])).contains("2 messages are damaged on the disk")
            };
            told("status") && told("check")
        });
        assert_eq!(listed(&smarthost).len(), 2);
        smarthost.daemon().stop();
    }
    smarthost.run();
    let ids = listed(&smarthost);
    let ordered = said(&smarthost.admin(&["queue", "bounce", &ids[0]]));
    let deleted = said(&smarthost.admin(&["queue", "delete", &ids[1]]));
    until_true("the first goes back", || {
        let messages = sink.journal().messages();
        messages
            .iter()
            .any(|it| it.recipients == ["a@example.net"] && it.text().contains("Subject: small"))
    });
    smarthost.wait_for_mailq(&format!("nothing: {ordered}{deleted}"), |text| {
        text.contains("Mail queue is empty")
    });
    smarthost.daemon().stop();
    smarthost.run();
    assert_eq!(listed(&smarthost), Vec::<String>::new());
    let messages = sink.journal().messages();
    let delivered = |it: &tests::sink::Received| it.recipients == ["b@example.net"];
    assert!(
        !messages.iter().any(delivered),
        "nobody gets what is damaged"
    );
}
