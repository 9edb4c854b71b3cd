//! What cannot be read, or not be saved, today: it stays until it can.

use std::{fs, sync::Arc};

use super::{
    faults::{ten, write_at},
    ledger::{Ledger, deferred},
    simulation::{Operation, Sim, Verdict},
    *,
};
use mail::limits;
use rustix::io::Errno;

/// A disk on which the operation fails the n-th time that it is asked for.
fn failing_once(root: &Path, operation: Operation, nth: usize, errno: i32) -> Arc<Sim> {
    let seen = std::sync::atomic::AtomicUsize::new(0);
    Arc::new(Sim::new(root, move |_, asked| {
        let hit =
            asked == operation && seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == nth;
        if hit {
            Verdict::Fail(errno)
        } else {
            Verdict::Work
        }
    }))
}

/// Old mail of which half is delivered, and what happened later in segments of its own.
fn history(directory: &Path) -> (Ledger, Vec<QueueId>) {
    let mut ledger = Ledger::default();
    let (spool, _) = open(directory);
    let mut ids = Vec::new();
    for number in 0..16 {
        let size = if number % 5 == 0 {
            limits::INLINE_BODY + 1
        } else {
            4000
        };
        ids.push(ledger.accept(&spool, 2, size).unwrap());
    }
    for (place, id) in ids.iter().enumerate() {
        ledger.record(&spool, *id, deferred(vec![0, 1], 7));
        if place % 2 == 0 {
            ledger.record(&spool, *id, settled(0));
        }
        if place % 4 == 0 {
            ledger.record(&spool, *id, settled(1));
        }
        if place % 3 == 0 {
            ledger.flush(&spool);
            ledger.accept(&spool, 1, 3000).unwrap();
        }
    }
    ledger.flush(&spool);
    spool.close();
    (ledger, ids)
}

#[test]
fn a_segment_that_cannot_be_opened_loses_no_mail_and_what_was_delivered_does_not_return_when_it_can_be()
 {
    let before = tempfile::tempdir().unwrap();
    let (segments, errors) = {
        history(before.path());
        let segments = names(before.path(), "segments").len();
        (segments, [Errno::ACCESS, Errno::IO, Errno::MFILE])
    };
    assert!(segments > 4, "{segments}");
    // The first that is opened is the list of them; the reserve is not.
    for nth in 2..segments {
        let directory = tempfile::tempdir().unwrap();
        let (mut ledger, _) = history(directory.path());
        let errno = errors[nth % errors.len()].raw_os_error();
        let disk = failing_once(directory.path(), Operation::Open, nth, errno);
        let (spool, recovery) = Spool::open_on(disk, directory.path(), QUIET).unwrap();
        assert_eq!((recovery.unopened, recovery.quarantined), (1, 0));
        let alarms = recovery.alarms(directory.path());
        assert!(alarms[0].contains("cannot be opened"), "{alarms:?}");
        assert_eq!(spool.alarms(), alarms, "as long as that is so");
        // Whom it would be delivered to, nothing was delivered to.
        for entry in spool.entries() {
            if spool.load(entry.id).is_ok() && spool.envelope(entry.id).is_ok() {
                let shown: Vec<_> = entry.waiting.iter().map(|it| it.recipient).collect();
                assert_eq!(shown, ledger.waiting(entry.id), "{}", entry.id);
            }
            assert!(spool.known(entry.id).unwrap().unread.is_none());
        }
        // Work goes on, and compaction with it.
        let seen: Vec<QueueId> = spool.entries().iter().map(|entry| entry.id).collect();
        for number in 0..30 {
            let passing = ledger.accept(&spool, 1, 3500).unwrap();
            ledger.record(&spool, passing, settled(0));
            if let Some(id) = seen.get(number) {
                ledger.record(&spool, *id, deferred(vec![0, 1], 9));
            }
            ledger.flush(&spool);
        }
        spool.close();
        let (spool, recovery) = open(directory.path());
        assert!(recovery.alarms(directory.path()).is_empty(), "{recovery:?}");
        ledger.check_running(&spool);
        for entry in spool.entries() {
            check_content(&spool, entry.id);
        }
    }
}

#[test]
fn a_segment_that_can_be_read_again_is_seen_by_itself_and_its_mail_joins_what_waits() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _) = history(directory.path());
    let segments = names(directory.path(), "segments");
    let segment = directory.path().join("segments").join(&segments[1]);
    let aside = directory.path().join("aside");
    let put = |from: &Path, to: &Path| rustix::fs::rename(from, to).unwrap();
    put(&segment, &aside);
    // As a mount leaves it that is not there.
    std::os::unix::fs::symlink("/nowhere", &segment).unwrap();
    let (spool, recovery) = open(directory.path());
    assert_eq!(recovery.unopened, 1);
    assert!(spool.alarms()[0].contains(segment.to_str().unwrap()));
    let doubtful = spool.entries()[0].id;
    let error = spool.load(doubtful).err().unwrap().to_string();
    assert!(error.contains("not known"), "{error}");
    spool.look_again();
    assert!(spool.waits_for_segments() && !spool.is_mended());
    put(&aside, &segment);
    while !spool.is_mended() {
        spool.look_again();
        std::thread::yield_now();
    }
    spool.close();
    let (spool, recovery) = open(directory.path());
    assert!(recovery.alarms(directory.path()).is_empty(), "{recovery:?}");
    assert!(!spool.waits_for_segments() && !spool.is_mended());
    ledger.check_running(&spool);
}

#[test]
fn damage_that_cannot_be_copied_to_quarantine_is_not_deleted_with_its_segment() {
    for (offset, length) in [(2500u64, 20usize), (2900, 1000)] {
        let (directory, _, segment) = ten();
        write_at(&segment, offset, &vec![0xee; length]);
        let disk = Arc::new(Sim::new(directory.path(), |_, asked| {
            if asked == Operation::Save {
                Verdict::Fail(Errno::ACCESS.raw_os_error())
            } else {
                Verdict::Work
            }
        }));
        let (spool, recovery) = Spool::open_on(disk, directory.path(), QUIET).unwrap();
        assert_eq!(recovery.quarantined, 0, "only what was really saved counts");
        assert!(recovery.unsaved > 0 && names(directory.path(), "quarantine").is_empty());
        for entry in spool.entries() {
            spool.record(entry.id, settled(0));
        }
        spool.flush().unwrap();
        spool.close();
        assert!(segment.exists());
        let (spool, recovery) = open(directory.path());
        assert!(
            recovery.quarantined > 0 && recovery.unsaved == 0,
            "{recovery:?}"
        );
        spool.flush().unwrap();
        let saved = names(directory.path(), "quarantine").remove(0);
        let saved = fs::read(directory.path().join("quarantine").join(saved)).unwrap();
        assert!(saved.windows(15).any(|bytes| bytes == [0xee; 15]));
        assert!(
            !segment.exists(),
            "its damage is saved, and nothing needs it"
        );
    }
}

/// Segments are numbered anew when none is left, so that names in quarantine come again.
#[test]
fn damage_is_saved_beside_older_damage_of_the_same_name() {
    let (directory, _, segment) = ten();
    write_at(&segment, 2500, b"first damage");
    drop(open(directory.path()));
    write_at(&segment, 2600, b"second damage");
    let (_, recovery) = open(directory.path());
    let saved: Vec<Vec<u8>> = names(directory.path(), "quarantine")
        .iter()
        .map(|name| fs::read(directory.path().join("quarantine").join(name)).unwrap())
        .collect();
    assert_eq!((recovery.quarantined, saved.len()), (1, 2));
    let has = |text: &[u8]| {
        saved
            .iter()
            .any(|bytes| bytes.windows(text.len()).any(|w| w == text))
    };
    assert!(has(b"first damage") && has(b"second damage"));
}

#[test]
fn a_record_and_a_body_of_a_later_version_stay_for_the_program_that_knows_it() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let later = accept(&spool, 1, limits::INLINE_BODY + 1).unwrap();
    let known = accept(&spool, 1, 10).unwrap();
    spool.close();
    let name = names(directory.path(), "segments").remove(0);
    let segment = directory.path().join("segments").join(name);
    let original = fs::read(&segment).unwrap();
    let mut header = original[..44].to_vec();
    header[36] = 99;
    let checksum = crc32c::crc32c(&header[..40]);
    header[40..44].copy_from_slice(&checksum.to_le_bytes());
    write_at(&segment, 0, &header);
    let (spool, recovery) = open(directory.path());
    assert_eq!((recovery.quarantined, spool.len()), (1, 1));
    spool.record(known, settled(0));
    spool.flush().unwrap();
    spool.close();
    // The later program is back.
    write_at(&segment, 0, &original[..44]);
    let (spool, _) = open(directory.path());
    assert_eq!(spool.len(), 1);
    check_content(&spool, later);
}

#[test]
fn what_is_no_segment_keeps_no_spool_from_opening() {
    let (directory, ids, segment) = ten();
    let segments = directory.path().join("segments");
    let mark = "1111111111111111";
    let pipe = segments.join(format!("{:016x}-{mark}", 0x77));
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    fs::create_dir(segments.join(format!("{:016x}-{mark}", 0x78))).unwrap();
    std::os::unix::fs::symlink(&segment, segments.join(format!("{:016x}-{mark}", 0x79))).unwrap();
    let (spool, recovery) = open(directory.path());
    assert_eq!((recovery.unopened, spool.len()), (3, ids.len()));
    let id = accept(&spool, 1, 10).unwrap();
    check_content(&spool, id);
}

/// Somebody moves the segments away, mail comes, and he puts them back.
#[test]
#[expect(clippy::disallowed_methods, reason = "a backup is put back so")]
fn segments_that_were_away_while_others_got_their_numbers_come_back_with_all_that_is_in_them() {
    for early in [0, 1, 8] {
        let (directory, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut ledger, _) = history(directory.path());
        let segments = directory.path().join("segments");
        let put = |from: &Path, to: &Path| {
            for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
                if file.file_name() != "spare" {
                    fs::rename(file.path(), to.join(file.file_name())).unwrap();
                }
            }
        };
        put(&segments, aside.path());
        let (spool, _) = open(directory.path());
        for _ in 0..early {
            let id = ledger.accept(&spool, 2, 4000).unwrap();
            ledger.record(&spool, id, settled(0));
        }
        ledger.flush(&spool);
        spool.close();
        drop(spool);
        put(aside.path(), &segments);
        // At once, and after another start.
        for _ in 0..2 {
            let (spool, recovery) = open(directory.path());
            assert_eq!((recovery.unopened, recovery.quarantined), (0, 0), "{early}");
            ledger.check_running(&spool);
            for entry in spool.entries() {
                check_content(&spool, entry.id);
            }
            // Compaction goes on, and leaves no doubt about what was delivered.
            for _ in 0..12 {
                let passing = ledger.accept(&spool, 1, 3500).unwrap();
                ledger.record(&spool, passing, settled(0));
                ledger.flush(&spool);
            }
            ledger.check_running(&spool);
            spool.close();
        }
    }
}
