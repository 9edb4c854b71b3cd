//! A real process, killed with SIGKILL while it accepts mail.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    time::Duration,
};

use super::*;

/// Row D8: kill -9 at any moment loses no message whose acceptance was told.
#[test]
fn no_accepted_message_is_lost_when_the_process_is_killed_at_a_random_moment() {
    let directory = tempfile::tempdir().unwrap();
    let (mut accepted, mut settling) = (BTreeSet::new(), BTreeSet::new());
    for lines in [1usize, 40, 333, 120, 700] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "tests::kill::accept_until_killed",
                "--ignored",
                "--nocapture",
            ])
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

        let (spool, recovery) = open(&directory.path().join("spool"));
        assert_eq!(recovery.quarantined, 0);
        let queued: BTreeSet<QueueId> = spool.entries().into_iter().map(|entry| entry.id).collect();
        let lost: Vec<_> = accepted
            .iter()
            .filter(|id| !queued.contains(id) && !settling.contains(id))
            .collect();
        assert!(lost.is_empty(), "{lost:?} of {}", accepted.len());
        for id in queued {
            check_content(&spool, id);
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
    let options = Options {
        segment: 256 * 1024,
        linger: Duration::from_millis(5),
        ..QUIET
    };
    let (spool, _) = Spool::open(Path::new("spool"), options).unwrap();
    // Ends what the test runner has written of its own line.
    say("");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for number in 0usize.. {
                    let id = accept(&spool, 1, 100 + number % 50 * 100).unwrap();
                    say(&format!("+{id}"));
                    if number % 3 == 0 {
                        // Said first: from here on it may be gone.
                        say(&format!("-{id}"));
                        spool.record(id, settled(0));
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
