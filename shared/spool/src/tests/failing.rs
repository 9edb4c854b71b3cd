//! A disk that fails for a while.

use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    faults::{BROKEN, switched},
    ledger::Ledger,
    simulation::{Luck, Operation, Sim, Verdict},
    *,
};

/// Files below a directory that are open, those without a name too. Other tests of this process
/// have theirs elsewhere.
fn descriptors(directory: &Path) -> usize {
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|file| file.starts_with(directory))
        .count()
}

/// Accepts until it works: what fails meanwhile is refused.
fn accept_at_last(spool: &Spool) -> QueueId {
    loop {
        if let Ok(id) = accept(spool, 1, 500) {
            return id;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_disk_that_fails_for_a_while_leaves_no_segments_and_no_open_files_behind() {
    for operation in [
        Operation::Sync,
        Operation::Write,
        Operation::SyncDirectory,
        Operation::Create,
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (disk, failing) = switched(directory.path(), operation, || BROKEN);
        let (spool, _) = Spool::open_on(Arc::clone(&disk) as _, directory.path(), QUIET).unwrap();
        let mut ledger = Ledger::default();
        let id = ledger.accept(&spool, 2, 12_000).unwrap();
        ledger.record(&spool, id, settled(1));
        failing.store(true, Ordering::SeqCst);
        // The next segment may have been made ready before.
        while accept(&spool, 1, 5000).is_ok() {}
        let before = descriptors(directory.path());
        assert!(before > 0, "{operation:?}: the spool has files open");
        for _ in 0..50 {
            assert!(accept(&spool, 1, 5000).is_err());
            // What fits in the segment that is there needs no new one.
            let fits = matches!(operation, Operation::Create | Operation::SyncDirectory);
            assert_eq!(spool.commit().is_ok(), fits, "{operation:?}");
        }
        let after = descriptors(directory.path());
        assert!(
            after <= before,
            "{operation:?}: {after} files, {before} before"
        );
        let left = names(directory.path(), "segments");
        assert!(left.len() <= 3, "{operation:?}: {left:?}");
        failing.store(false, Ordering::SeqCst);
        ledger.flush(&spool);
        while ledger.accept(&spool, 1, 500).is_none() {
            std::thread::yield_now();
        }
        let after = tempfile::tempdir().unwrap();
        disk.leave(Luck::Nothing, directory.path(), after.path());
        ledger.check_recovered(&open(after.path()).0);
    }
}

#[test]
fn while_the_disk_fails_it_is_not_asked_for_each_message_and_mail_is_taken_when_it_works_again() {
    let directory = tempfile::tempdir().unwrap();
    let (disk, failing) = switched(directory.path(), Operation::Sync, || BROKEN);
    let (spool, _) = Spool::open_on(Arc::clone(&disk) as _, directory.path(), QUIET).unwrap();
    accept(&spool, 1, 10).unwrap();
    failing.store(true, Ordering::SeqCst);
    // The pause has grown beyond the time that the next thousand take.
    while spool.open.committer.pause() < Duration::from_secs(2) {
        spool.record(spool.entries()[0].id, Event::Warned);
        assert!(spool.commit().is_err());
    }
    let before = disk.count();
    for _ in 0..1000 {
        let error = accept(&spool, 1, 10).unwrap_err();
        assert!(
            matches!(error, SpoolError::Io { .. }),
            "the reason is still told: {error}"
        );
    }
    assert!(disk.count() - before < 100, "{}", disk.count() - before);
    failing.store(false, Ordering::SeqCst);
    let id = accept_at_last(&spool);
    spool.close();
    let (spool, _) = open(directory.path());
    check_content(&spool, id);
}

#[test]
fn results_of_a_commit_that_failed_are_on_disk_later_with_nobody_asking() {
    let directory = tempfile::tempdir().unwrap();
    let (disk, failing) = switched(directory.path(), Operation::Sync, || BROKEN);
    let options = Options {
        linger: Duration::from_millis(5),
        ..QUIET
    };
    let (spool, _) = Spool::open_on(disk, directory.path(), options).unwrap();
    let id = accept(&spool, 1, mail::limits::INLINE_BODY + 1).unwrap();
    failing.store(true, Ordering::SeqCst);
    spool.record(id, settled(0));
    assert!(accept(&spool, 1, 10).is_err());
    failing.store(false, Ordering::SeqCst);
    // The body goes only after the result is on disk.
    while !names(directory.path(), "bodies").is_empty() {
        std::thread::yield_now();
    }
}

#[test]
fn a_reserve_that_cannot_be_made_is_told_as_what_it_is_and_made_as_soon_as_it_can_be() {
    let directory = tempfile::tempdir().unwrap();
    let (disk, failing) = switched(directory.path(), Operation::Create, || BROKEN);
    failing.store(true, Ordering::SeqCst);
    let (spool, _) = Spool::open_on(disk, directory.path(), QUIET).unwrap();
    for error in [
        spool.has_room(10).unwrap_err(),
        accept(&spool, 1, 10).unwrap_err(),
    ] {
        assert!(matches!(error, SpoolError::Io { .. }), "not full: {error}");
        assert!(!error.to_string().contains("full"), "{error}");
    }
    failing.store(false, Ordering::SeqCst);
    assert!(spool.has_room(10).is_ok());
    accept_at_last(&spool);
}

#[test]
fn what_was_ordered_is_on_disk_when_the_commit_is_confirmed() {
    let directory = tempfile::tempdir().unwrap();
    let (disk, _) = switched(directory.path(), Operation::Sync, || BROKEN);
    let (spool, _) = Spool::open_on(Arc::clone(&disk) as _, directory.path(), QUIET).unwrap();
    let ids: Vec<_> = (0..50).map(|_| accept(&spool, 1, 100).unwrap()).collect();
    for id in &ids {
        spool.record(*id, Event::Removed);
    }
    spool.commit().unwrap();
    let after = tempfile::tempdir().unwrap();
    disk.leave(Luck::Nothing, directory.path(), after.path());
    assert!(open(after.path()).0.is_empty());
}

/// What is settled in memory counts as needed until it is on disk; that is no damage.
#[test]
fn a_healthy_segment_is_given_back_although_results_were_not_on_disk_when_it_was_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let (mut staying, mut late) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        staying.push(accept(&spool, 1, 100).unwrap());
        late.push(accept(&spool, 1, 1500).unwrap());
        let passing = accept(&spool, 1, 12_000).unwrap();
        spool.record(passing, settled(0));
        spool.commit().unwrap();
    }
    for id in &late {
        spool.record(*id, settled(0));
    }
    spool.open.committer.reclaim();
    spool.flush().unwrap();
    let left = names(directory.path(), "segments").len();
    assert!(left < 12, "{left} segments for 40 small messages");
    for id in staying {
        check_content(&spool, id);
    }
}

/// Errors of any kind, at any operation, for as long as it takes to find out; then a crash.
#[test]
fn nothing_promised_is_lost_when_any_operation_fails_from_some_moment_on_for_a_while() {
    let errors = [
        rustix::io::Errno::IO,
        rustix::io::Errno::MFILE,
        rustix::io::Errno::ACCESS,
    ];
    for start in (1..120).step_by(3) {
        for length in [2, 9, 40] {
            let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
            let directory = directory.unwrap();
            let errno = errors[start % errors.len()].raw_os_error();
            let plan = move |count, _| {
                if (start..start + length).contains(&count) {
                    Verdict::Fail(errno)
                } else {
                    Verdict::Work
                }
            };
            let disk = Arc::new(Sim::new(directory.path(), plan));
            let mut ledger = Ledger::default();
            let opened = Spool::open_on(Arc::clone(&disk) as _, directory.path(), QUIET);
            let (spool, _) = opened.unwrap();
            crash::day(&spool, &mut ledger);
            while disk.count() < start + length {
                ledger.flush(&spool);
                ledger.accept(&spool, 1, 10);
            }
            ledger.flush(&spool);
            let after = tempfile::tempdir().unwrap();
            disk.leave(Luck::Nothing, directory.path(), after.path());
            let (recovered, recovery) = open(after.path());
            assert_eq!(recovery.quarantined + recovery.spoiled, 0, "{recovery:?}");
            ledger.check_recovered(&recovered);
        }
    }
}
