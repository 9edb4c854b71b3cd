//! Files of the spool that are removed, or replaced, while the program runs.
#![expect(clippy::disallowed_methods, reason = "an administrator moves files so")]

use std::fs;

use super::{ledger::Ledger, *};
use mail::limits;

fn segments(directory: &Path) -> std::path::PathBuf {
    directory.join("segments")
}

/// A copy of each file comes in its place, as `rsync` and `cp --remove-destination` do it.
fn restore(directory: &Path) {
    for name in names(directory, "segments") {
        let path = segments(directory).join(name);
        let copy = path.with_extension("new");
        fs::copy(&path, &copy).unwrap();
        fs::rename(&copy, &path).unwrap();
    }
}

fn remove(directory: &Path) {
    for name in names(directory, "segments") {
        fs::remove_file(segments(directory).join(name)).unwrap();
    }
}

/// They are moved to where there is more room.
fn link(directory: &Path) {
    let aside = directory.join("aside");
    fs::create_dir(&aside).unwrap();
    for name in names(directory, "segments") {
        let (path, to) = (segments(directory).join(&name), aside.join(&name));
        fs::rename(&path, &to).unwrap();
        std::os::unix::fs::symlink(&to, &path).unwrap();
    }
}

fn swap(directory: &Path) {
    let aside = directory.join("aside");
    fs::rename(segments(directory), &aside).unwrap();
    fs::create_dir(segments(directory)).unwrap();
}

type Change = fn(&Path);
const CHANGES: [Change; 4] = [restore, remove, link, swap];

#[test]
fn mail_that_is_taken_after_segments_were_removed_or_replaced_is_there_after_a_restart() {
    for change in CHANGES {
        for orderly in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let (spool, _) = open(directory.path());
            let mut ledger = Ledger::default();
            let sizes = [10, 500, limits::INLINE_BODY + 1];
            let before: Vec<_> = sizes
                .iter()
                .map(|size| ledger.accept(&spool, 2, *size).unwrap())
                .collect();
            ledger.record(&spool, before[0], settled(0));
            let gone = ledger.accept(&spool, 1, 100).unwrap();
            ledger.record(&spool, gone, settled(0));
            ledger.flush(&spool);
            change(directory.path());
            let id = ledger.accept(&spool, 1, 700).unwrap();
            ledger.record(&spool, before[1], settled(1));
            ledger.flush(&spool);
            let alarms = spool.alarms().join("\n");
            assert!(alarms.contains("removed or replaced"), "{alarms}");
            for id in before.iter().chain([&id]) {
                check_content(&spool, *id);
            }
            assert!(spool.has_room(0).is_ok());
            let after = if orderly {
                spool.close();
                directory.path().to_owned()
            } else {
                // What it has open is the process's, which lives on.
                let after = directory.path().join("after");
                copied(&segments(directory.path()), &segments(&after));
                copied(&directory.path().join("bodies"), &after.join("bodies"));
                after
            };
            let (spool, recovery) = open(&after);
            assert_eq!(
                (recovery.quarantined, recovery.lost, recovery.unopened),
                (0, 0, 0),
                "{recovery:?}"
            );
            ledger.check_running(&spool);
            check_content(&spool, id);
        }
    }
}

#[test]
fn what_was_queued_is_written_anew_with_no_new_mail_as_soon_as_it_is_to_be_read_or_at_the_end() {
    for change in CHANGES {
        for read in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let (spool, _) = open(directory.path());
            let mut ledger = Ledger::default();
            let id = ledger.accept(&spool, 2, 500).unwrap();
            change(directory.path());
            if read {
                check_content(&spool, id);
                assert!(!spool.is_damaged(id));
            }
            spool.close();
            let (spool, _) = open(directory.path());
            ledger.check_running(&spool);
            check_content(&spool, id);
        }
    }
}

#[test]
fn messages_of_older_segments_that_were_removed_are_told_as_damaged_and_whole_when_they_are_back() {
    for is_linked in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let (spool, _) = open(directory.path());
        let old = accept(&spool, 1, 10_000).unwrap();
        // Of another segment.
        let new = accept(&spool, 1, 10_000).unwrap();
        let first = &names(directory.path(), "segments")[0];
        let (path, aside) = (
            segments(directory.path()).join(first),
            directory.path().join(first),
        );
        fs::rename(&path, &aside).unwrap();
        restore(directory.path());
        if is_linked {
            std::os::unix::fs::symlink(&aside, &path).unwrap();
        }
        let later = accept(&spool, 1, 10).unwrap();
        spool.flush().unwrap();
        assert_eq!(spool.damaged(), [old]);
        for id in [new, later] {
            check_content(&spool, id);
        }
        assert!(spool.load(old).is_err_and(|error| error.is_damage()));
        fs::rename(&aside, &path).unwrap();
        check_content(&spool, old);
        assert_eq!(spool.damaged(), []);
        spool.close();
        check_content(&open(directory.path()).0, old);
    }
}

#[test]
fn a_large_message_whose_directory_was_swapped_is_not_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let bodies = directory.path().join("bodies");
    let draft = || {
        let mut draft = spool.draft().unwrap();
        let body = body_of(draft.id(), limits::INLINE_BODY + 1);
        draft.write(&body).unwrap();
        draft
    };
    // It has its name, and the commit has to wait.
    spool.open.committer.lead();
    let waiting = draft();
    let id = waiting.id();
    let other = spool.clone();
    let thread = std::thread::spawn(move || other.accept(waiting, &envelope(1), &header_of(id)));
    while names(directory.path(), "bodies").is_empty() {
        std::thread::yield_now();
    }
    fs::rename(&bodies, directory.path().join("aside")).unwrap();
    fs::create_dir(&bodies).unwrap();
    while lock(&spool.open.committer.intake).items.is_empty() {
        std::thread::yield_now();
    }
    spool.open.committer.release();
    let error = thread.join().unwrap().unwrap_err().to_string();
    assert!(error.contains("removed or replaced"), "{error}");
    assert!(spool.is_empty());
    // The next one lies in the directory that is there.
    let next = draft();
    let id = spool.accept(next, &envelope(1), b"Subject: x\r\n").unwrap();
    assert!(spool.load(id).unwrap().is_some());
}

#[test]
fn nothing_is_written_to_another_directory_and_mail_goes_on_when_the_own_one_is_back() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("spool");
    let (spool, _) = open(&directory);
    let mut ledger = Ledger::default();
    ledger.accept(&spool, 1, 500).unwrap();
    let aside = place.path().join("aside");
    fs::rename(&directory, &aside).unwrap();
    fs::create_dir_all(directory.join("segments")).unwrap();
    let error = accept(&spool, 1, 500).unwrap_err().to_string();
    assert!(error.contains("put it back, or restart"), "{error}");
    let alarms = spool.alarms().join("\n");
    assert!(alarms.contains("removed, renamed or replaced"), "{alarms}");
    assert!(names(&directory, "segments").is_empty());
    fs::remove_dir_all(&directory).unwrap();
    fs::rename(&aside, &directory).unwrap();
    while ledger.accept(&spool, 1, 500).is_none() {
        std::thread::yield_now();
    }
    spool.close();
    ledger.check_running(&open(&directory).0);
}
