//! A long queue is gone through piece by piece.

use super::{Event, accept, envelope, open};

#[test]
fn a_walk_meets_each_message_once_and_ends_at_what_was_the_newest_when_it_began() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let ids: Vec<_> = (0..2500).map(|_| accept(&spool, 2, 10).unwrap()).collect();
    assert_eq!(spool.walk_ids().collect::<Vec<_>>(), ids);
    let mut met = Vec::new();
    for id in spool.walk_ids() {
        // As an order that bounces everything: what it makes is not for it, and what has left is
        // met no more.
        if met.len().is_multiple_of(100) {
            accept(&spool, 1, 10).unwrap();
            spool.record(ids[2400], Event::Removed);
        }
        met.push(id);
    }
    assert_eq!(met[..2400], ids[..2400]);
    assert_eq!(met[2400..], ids[2401..], "one has left");
    assert_eq!(spool.walk_ids().count(), spool.len());
    let (empty, _) = open(&directory.path().join("other"));
    assert_eq!(empty.walk_entries().count(), 0);
}

#[test]
fn whom_a_message_is_from_and_for_is_known_without_reading_it_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    for recipients in 1..=3 {
        accept(&spool, recipients, 10).unwrap();
    }
    let known = |spool: &super::Spool| {
        let all = spool.walk().map(|(entry, parties)| {
            assert_eq!(spool.entry(entry.id), Some(entry.clone()));
            (entry.id, parties)
        });
        all.collect::<Vec<_>>()
    };
    let before = known(&spool);
    assert_eq!(before.len(), 3);
    assert!(before.iter().all(|(_, parties)| {
        (&*parties.sender, parties.domain(0)) == ("sender@example.org", "example.org")
    }));
    assert_eq!(envelope(1).origin, *before[0].1.origin);
    spool.close();
    drop(spool);
    assert_eq!(known(&open(directory.path()).0), before);
}
