//! A real process, killed with SIGKILL while it accepts mail. Not among the unit tests: what is
//! forked there would hold their locks.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use mail::{
    address::{Address, Sender},
    envelope::Envelope,
};
use spool::{Event, Options, QueueId, Settlement, Spool};

const OPTIONS: Options = Options {
    segment: 256 * 1024,
    minimum_free: 0,
    linger: Duration::from_millis(5),
};

/// A message that says its own id over and over, so that any mix-up shows.
fn accept(spool: &Spool, size: usize) -> QueueId {
    let address = |text| Address::parse(text).unwrap();
    let envelope = Envelope {
        sender: Sender::Address(address("sender@example.org")),
        recipients: vec![address("recipient@example.org").into()],
        ..Envelope::default()
    };
    let mut draft = spool.draft().unwrap();
    let id = draft.id();
    draft.write(&body(id, size)).unwrap();
    let header = format!("Subject: {id}\r\n");
    spool.accept(draft, &envelope, header.as_bytes()).unwrap()
}

fn body(id: QueueId, size: usize) -> Vec<u8> {
    let line = format!("{id}\r\n").into_bytes();
    line.into_iter().cycle().take(size).collect()
}

/// That the content is what was accepted.
fn check(spool: &Spool, id: QueueId) {
    let stored = spool.load(id).unwrap().unwrap();
    assert_eq!(stored.header, format!("Subject: {id}\r\n").into_bytes());
    let mut content = Vec::new();
    stored.reader().unwrap().read_to_end(&mut content).unwrap();
    let head = stored.header.len() + 2;
    assert_eq!(content[head..], body(id, content.len() - head));
}

/// Row D8: kill -9 at any moment loses no message whose acceptance was told.
#[test]
fn no_accepted_message_is_lost_when_the_process_is_killed_at_a_random_moment() {
    let directory = tempfile::tempdir().unwrap();
    let (mut accepted, mut settling) = (BTreeSet::new(), BTreeSet::new());
    for lines in [1usize, 40, 333, 120, 700] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "accept_until_killed", "--ignored", "--nocapture"])
            .current_dir(directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut note = |line: String| {
            let (sign, id) = line.split_at_checked(1)?;
            let id = QueueId::parse(id)?;
            Some(if sign == "+" {
                accepted.insert(id)
            } else {
                settling.insert(id)
            })
        };
        assert_eq!(
            told.by_ref().filter_map(&mut note).take(lines).count(),
            lines,
            "the child ended early"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        told.filter_map(&mut note).for_each(drop);

        let (spool, recovery) = Spool::open(&directory.path().join("spool"), OPTIONS).unwrap();
        assert_eq!(recovery.quarantined, 0);
        let queued: BTreeSet<QueueId> = spool.entries().into_iter().map(|entry| entry.id).collect();
        let lost: Vec<_> = accepted
            .iter()
            .filter(|id| !queued.contains(id) && !settling.contains(id))
            .collect();
        assert!(lost.is_empty(), "{lost:?} of {}", accepted.len());
        for id in queued {
            check(&spool, id);
        }
    }
    assert!(
        accepted.len() > 500 && settling.len() > 50,
        "{} {}",
        accepted.len(),
        settling.len()
    );
}

#[test]
#[ignore = "the process that the test above starts and kills"]
fn accept_until_killed() {
    let (spool, _) = Spool::open(Path::new("spool"), OPTIONS).unwrap();
    // Ends what the test runner has written of its own line.
    say("");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for number in 0usize.. {
                    let id = accept(&spool, 100 + number % 50 * 100);
                    say(&format!("+{id}"));
                    if number % 3 == 0 {
                        // Said first: from here on it may be gone.
                        say(&format!("-{id}"));
                        spool.record(
                            id,
                            Event::Settled {
                                recipient: 0,
                                settlement: Settlement::Delivered,
                            },
                        );
                    }
                }
            });
        }
    });
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}
