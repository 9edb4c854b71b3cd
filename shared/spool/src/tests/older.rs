//! A spool that version 0.1.0 wrote before body files had checksums: it opens, and all is there.
//!
//! In `older/`: its segments, once after a clean end and once after kill -9. The one large body is
//! not kept there: it repeats a line.

use std::{fs, sync::Arc};

use super::*;
use crate::{Entry, Repeats, Waiting};
use mail::clock::Timestamp;

/// What each message is called, and how long its body is.
const BODIES: [(&str, usize); 8] = [
    ("small", 100),
    ("three", 1000),
    ("two", 1000),
    ("large", 300_000),
    ("bounce", 0),
    ("over-budget", 10),
    ("many", 10),
    ("filler", 9000),
];

fn body(name: &str, size: usize) -> Vec<u8> {
    let line = format!("{name}\r\n").into_bytes();
    line.into_iter().cycle().take(size).collect()
}

/// The old spool in a directory of its own; `large`: the id of the message with a body file.
fn older(which: &str, large: &str) -> tempfile::TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/tests/older")
        .join(which);
    let directory = tempfile::tempdir().unwrap();
    for inside in ["segments", "bodies"] {
        fs::create_dir(directory.path().join(inside)).unwrap();
    }
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        fs::copy(&path, directory.path().join("segments").join(name)).unwrap();
    }
    let place = directory.path().join("bodies").join(large);
    system::fs::replace(&place, &body("large", 300_000), 0o600).unwrap();
    directory
}

fn check(spool: &Spool) -> Vec<Entry> {
    let entries = spool.entries();
    assert_eq!(entries.len(), BODIES.len());
    for (entry, (name, size)) in entries.iter().zip(BODIES) {
        let stored = spool.load(entry.id).unwrap().unwrap();
        assert_eq!(stored.header, format!("Subject: {name}\r\n").into_bytes());
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut stored.reader().unwrap(), &mut content).unwrap();
        assert_eq!(
            content[stored.header.len() + 2..],
            body(name, size),
            "{name}"
        );
        assert_eq!(stored.envelope.uid, Some(1000));
        assert_eq!(stored.envelope.sender == Sender::Null, name == "bounce");
    }
    let three = &entries[1];
    let later = Waiting {
        recipient: 1,
        until: Some(Timestamp::from_secs(1_900_000_000)),
        reason: Some(Arc::from("450 4.2.0 later")),
    };
    let fresh = Waiting {
        recipient: 2,
        until: None,
        reason: None,
    };
    assert_eq!(three.waiting, [later, fresh]);
    let two = spool.envelope(entries[2].id).unwrap().unwrap();
    assert_eq!(two.envid.as_deref(), Some("env+1"));
    assert!(two.recipients[1].notify.success && two.recipients[1].orcpt.is_some());
    assert_eq!((entries[2].hold, entries[2].warned), (Hold::Held, true));
    assert_eq!(entries[5].hold, Hold::OverBudget);
    let last = Timestamp::from_secs(1_800_000_000);
    assert_eq!(entries[6].repeats, Some(Repeats { count: 7, last }));
    entries
}

#[test]
fn a_spool_that_an_older_version_left_opens_and_all_its_mail_can_be_delivered() {
    for (which, large) in [("closed", "8yQkzFp0xHQ"), ("killed", "8yQkzGMYsYK")] {
        let directory = older(which, large);
        let (spool, recovery) = open(directory.path());
        assert!(recovery.alarms(directory.path()).is_empty(), "{recovery:?}");
        check(&spool);
        spool.close();
        let (spool, recovery) = open(directory.path());
        assert!(recovery.alarms(directory.path()).is_empty(), "{recovery:?}");
        for entry in check(&spool) {
            for waiting in entry.waiting {
                spool.record(entry.id, settled(waiting.recipient));
            }
        }
        spool.flush().unwrap();
        assert_eq!(names(directory.path(), "bodies"), [""; 0]);
        spool.close();
        assert!(open(directory.path()).0.is_empty());
    }
}
