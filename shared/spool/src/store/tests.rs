use super::*;

/// A delivery that ends just now leads a commit while the threads end, and more is recorded
/// meanwhile.
#[test]
fn what_is_recorded_while_the_spool_closes_is_kept_and_keeps_nobody_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(directory.path(), Options::default()).unwrap();
    let draft = spool.draft().unwrap();
    let envelope = Envelope {
        recipients: vec![
            mail::address::Address::parse("a@example.org")
                .unwrap()
                .into(),
        ],
        ..Envelope::default()
    };
    let id = spool.accept(draft, &envelope, b"Subject: x\r\n").unwrap();
    let committer = &spool.open.committer;
    committer.stop();
    committer.reclaim.stop();
    for thread in std::mem::take(&mut *lock(&spool.open.threads)) {
        thread.join().unwrap();
    }
    committer.lead();
    spool.record(id, Event::Held);
    committer.release();
    spool.close();
    let (spool, _) = Spool::open(directory.path(), Options::default()).unwrap();
    assert_eq!(spool.entry(id).unwrap().hold, Hold::Held);
}

#[test]
fn a_disk_that_fails_is_not_said_to_be_a_directory_that_was_removed() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(directory.path(), Options::default()).unwrap();
    let (lock, segments) = (
        &spool.open.committer.layout.lock,
        &spool.open.committer.layout.segments,
    );
    std::fs::remove_file(lock).unwrap();
    rustix::fs::rename(segments, segments.with_extension("old")).unwrap();
    let gone = spool.has_room(0).unwrap_err().to_string();
    assert!(gone.contains("removed, renamed or replaced"), "{gone}");
    // It cannot be told whether it is there.
    std::os::unix::fs::symlink(lock, lock).unwrap();
    let failing = spool.has_room(0).unwrap_err().to_string();
    assert!(
        failing.contains("cannot look for") && !failing.contains("removed"),
        "{failing}"
    );
    // And it is.
    std::fs::remove_file(lock).unwrap();
    rustix::fs::rename(segments.with_extension("old"), segments).unwrap();
    assert!(spool.has_room(0).is_ok());
}
