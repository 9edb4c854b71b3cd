//! Body files that are damaged, alone, or away.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{
    faults::BROKEN,
    ledger::deferred,
    simulation::{Operation, Sim, Verdict},
    *,
};
use mail::limits;
use rustix::io::Errno;

const LARGE: usize = limits::INLINE_BODY + 1000;

fn body_path(directory: &Path, id: QueueId) -> PathBuf {
    directory.join("bodies").join(id.file_name())
}

/// Writes a body file anew, whatever its mode is.
fn overwrite(path: &Path, content: &[u8]) {
    fs::remove_file(path).unwrap();
    system::fs::replace(path, content, 0o600).unwrap();
}

/// Ways in which a body can be wrong; `other`: the body of another message.
fn spoiled(good: &[u8], other: &[u8]) -> Vec<Vec<u8>> {
    let with = |at: usize, bytes: &[u8]| {
        let mut body = good.to_vec();
        body[at..at + bytes.len()].copy_from_slice(bytes);
        body
    };
    vec![
        with(1234, b"damaged"),
        with(0, b"\0"),
        with(good.len() - 1, b"!"),
        with(4096, &[0; 4096]),
        good[..good.len() - 1].to_vec(),
        [good, b"more"].concat(),
        Vec::new(),
        vec![0; good.len()],
        other.to_vec(),
    ]
}

#[test]
fn a_large_message_whose_body_was_changed_on_disk_is_not_given_out_but_stays_queued_until_it_is_mended()
 {
    let directory = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(directory.path());
    let [id, other] = [(); 2].map(|()| accept(&spool, 2, LARGE).unwrap());
    let path = body_path(directory.path(), id);
    let good = fs::read(&path).unwrap();
    let foreign = fs::read(body_path(directory.path(), other)).unwrap();
    for body in spoiled(&good, &foreign) {
        overwrite(&path, &body);
        let error = spool.load(id).err().unwrap().to_string();
        assert!(
            error.contains(&format!("body of {id} is damaged")),
            "{error}"
        );
        let left = spool.load_to_return(id).unwrap().unwrap();
        let envelope = spool.envelope(id).unwrap().unwrap();
        assert_eq!(left.envelope.recipients, envelope.recipients);
        assert_eq!(left.envelope.sender, envelope.sender);
        assert_eq!(left.header, header_of(id));
        assert!(
            left.beginning(u64::MAX).unwrap().is_empty(),
            "nothing that is not its own"
        );
        assert_eq!(spool.damaged(), [id]);
        assert!(spool.alarms().concat().contains(&id.to_string()));
        spool.record(id, deferred(vec![0], 7));
        spool.close();
        let recovery;
        (spool, recovery) = open(directory.path());
        assert_eq!(recovery.spoiled, u64::from(body.len() != good.len()));
        assert!(spool.load(id).is_err() && spool.entry(id).is_some());
        check_content(&spool, other);
        overwrite(&path, &good);
        check_content(&spool, id);
        assert!(spool.damaged().is_empty() && spool.alarms().is_empty());
    }
    fs::remove_file(&path).unwrap();
    let error = spool.load(id).err().unwrap().to_string();
    assert!(error.contains("its file is gone"), "{error}");
    assert!(spool.load_to_return(id).unwrap().is_some());
    spool.record(id, Event::Removed);
    assert!(spool.damaged().is_empty(), "it has left the queue");
}

/// Puts something in the place of a body that no body can be.
type Instead = fn(&Path, elsewhere: &Path);

const INSTEAD: [(&str, Instead); 6] = [
    ("is gone", |_, _| {}),
    ("is no regular file", |path, _| {
        fs::create_dir(path).unwrap();
    }),
    ("is no regular file", |path, _| {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, path, fifo, mode, 0).unwrap();
    }),
    // A copy of it: nobody knows who may write there.
    ("is no regular file", |path, elsewhere| {
        std::os::unix::fs::symlink(elsewhere, path).unwrap();
    }),
    ("is no regular file", |path, _| {
        std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    }),
    ("is no regular file", |path, _| {
        std::os::unix::fs::symlink("/nonexistent", path).unwrap();
    }),
];

#[test]
fn a_large_message_whose_body_is_gone_or_no_file_any_more_stays_queued_with_an_alarm_from_the_start_on()
 {
    for (what, instead) in INSTEAD {
        let directory = tempfile::tempdir().unwrap();
        let aside = tempfile::tempdir().unwrap();
        let (spool, _) = open(directory.path());
        let [id, sound] = [(); 2].map(|()| accept(&spool, 2, LARGE).unwrap());
        spool.close();
        let path = body_path(directory.path(), id);
        let kept = aside.path().join("kept");
        fs::copy(&path, &kept).unwrap();
        let mode = fs::metadata(&kept).unwrap().permissions();
        fs::remove_file(&path).unwrap();
        instead(&path, &kept);
        // Twice: a start that was interrupted has lost nothing.
        for _ in 0..2 {
            let (spool, recovery) = open(directory.path());
            assert_eq!((recovery.spoiled, recovery.quarantined), (1, 0), "{what}");
            assert_eq!((spool.len(), spool.damaged()), (2, vec![id]), "{what}");
            assert!(spool.alarms().concat().contains(&id.to_string()), "{what}");
            let error = spool.load(id).err().unwrap().to_string();
            let body = path.display().to_string();
            assert!(error.contains(&body) && error.contains(what), "{error}");
            let left = spool.load_to_return(id).unwrap().unwrap();
            assert_eq!(left.header, header_of(id));
            check_content(&spool, sound);
            spool.close();
        }
        assert_eq!(fs::metadata(&kept).unwrap().permissions(), mode, "{what}");
        let (spool, _) = open(directory.path());
        if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            fs::remove_dir(&path).unwrap();
        } else {
            let _ = fs::remove_file(&path);
        }
        fs::copy(&kept, &path).unwrap();
        check_content(&spool, id);
        assert!(spool.damaged().is_empty() && spool.alarms().is_empty());
        // Its end is like any other's.
        spool.record(id, Event::Removed);
        spool.flush().unwrap();
        spool.close();
        assert_eq!(open(directory.path()).0.len(), 1);
        assert!(!path.exists());
    }
}

#[test]
fn all_large_messages_of_a_queue_whose_bodies_were_removed_after_a_crash_stay_queued() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let mut ids: Vec<_> = (0..3).map(|_| accept(&spool, 1, LARGE).unwrap()).collect();
    ids.sort_unstable();
    spool.record(ids[0], deferred(vec![0], 7));
    spool.commit().unwrap();
    let crashed = tempfile::tempdir().unwrap();
    let segments = crashed.path().join("segments");
    fs::create_dir(&segments).unwrap();
    for name in names(directory.path(), "segments") {
        let from = directory.path().join("segments").join(&name);
        fs::copy(from, segments.join(&name)).unwrap();
    }
    let (spool, recovery) = open(crashed.path());
    assert_eq!((recovery.spoiled, recovery.quarantined), (3, 0));
    assert_eq!(spool.damaged(), ids);
}

/// Settled, its record damaged: nothing says any more that its body was removed rightly.
#[test]
fn a_message_without_a_body_whose_delivery_may_have_been_in_a_damaged_record_is_not_queued_again() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let delivered = accept(&spool, 1, LARGE).unwrap();
    let small = accept(&spool, 1, 10).unwrap();
    let name = names(directory.path(), "segments").remove(0);
    let segment = directory.path().join("segments").join(name);
    let before = fs::read(&segment).unwrap();
    spool.record(delivered, settled(0));
    spool.flush().unwrap();
    spool.close();
    let mut after = fs::read(&segment).unwrap();
    let settled = before.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for byte in &mut after[settled..settled + 8] {
        *byte ^= 0x55;
    }
    system::fs::replace(&segment, &after, 0o600).unwrap();
    let (spool, recovery) = open(directory.path());
    assert_eq!(
        (recovery.spoiled, recovery.quarantined),
        (0, 2),
        "{recovery:?}"
    );
    assert!(spool.entry(delivered).is_none() && spool.damaged().is_empty());
    check_content(&spool, small);
}

#[test]
fn mail_whose_segment_is_removed_or_cut_short_under_the_running_program_raises_an_alarm() {
    for cut in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let (spool, _) = open(directory.path());
        let id = accept(&spool, 1, 100).unwrap();
        // What is not open any more cannot be written anew.
        accept(&spool, 1, 16_300).unwrap();
        let name = names(directory.path(), "segments").remove(0);
        let segment = directory.path().join("segments").join(name);
        if cut {
            fs::File::options()
                .write(true)
                .open(&segment)
                .unwrap()
                .set_len(20)
                .unwrap();
        } else {
            fs::remove_file(&segment).unwrap();
        }
        let error = spool.load(id).err().unwrap().to_string();
        assert!(
            error.contains(&format!("record of {id} is damaged")),
            "{error}"
        );
        let left = spool.load_to_return(id).unwrap();
        let left = left.expect("sender and recipients are in memory");
        assert_eq!((left.id, left.envelope.recipients.len()), (id, 1));
        assert!(spool.alarms().concat().contains(&id.to_string()));
    }
}

#[test]
fn a_body_that_cannot_be_opened_for_a_moment_is_not_given_up_with_its_message() {
    let directory = tempfile::tempdir().unwrap();
    let opened = Arc::new(AtomicU64::new(0));
    let (count, failing) = (Arc::clone(&opened), Errno::MFILE.raw_os_error());
    // The segment is opened first, then the body.
    let plan = move |_, asked| match asked {
        Operation::Open if count.fetch_add(1, Ordering::SeqCst) % 2 == 1 => Verdict::Fail(failing),
        _ => Verdict::Work,
    };
    let disk = Arc::new(Sim::new(directory.path(), plan));
    let (spool, _) = Spool::open_on(disk, directory.path(), QUIET).unwrap();
    let id = accept(&spool, 1, LARGE).unwrap();
    opened.store(0, Ordering::SeqCst);
    assert!(spool.load_to_return(id).is_err());
    assert_eq!(spool.damaged(), []);
    spool.close();
    let (spool, _) = open(directory.path());
    check_content(&spool, id);
}

#[test]
fn a_body_that_the_disk_cannot_read_is_told_as_damaged_can_be_returned_and_is_whole_when_it_can_be_read_again()
 {
    let directory = tempfile::tempdir().unwrap();
    let bad = Arc::new(AtomicBool::new(false));
    let is_bad = Arc::clone(&bad);
    let opened = AtomicU64::new(0);
    // The segment is opened first, then the body.
    let plan = move |_, asked| match asked {
        Operation::Open if is_bad.load(Ordering::SeqCst) => {
            match opened.fetch_add(1, Ordering::SeqCst) % 2 {
                1 => BROKEN,
                _ => Verdict::Work,
            }
        }
        _ => Verdict::Work,
    };
    let disk = Arc::new(Sim::new(directory.path(), plan));
    let (spool, _) = Spool::open_on(disk, directory.path(), QUIET).unwrap();
    let id = accept(&spool, 1, LARGE).unwrap();
    bad.store(true, Ordering::SeqCst);
    let error = spool.load(id).err().unwrap().to_string();
    assert!(error.contains("the disk cannot read it"), "{error}");
    assert!(spool.alarms().concat().contains(&id.to_string()));
    let left = spool.load_to_return(id).unwrap().unwrap();
    assert_eq!(left.header, header_of(id));
    bad.store(false, Ordering::SeqCst);
    check_content(&spool, id);
    assert!(spool.alarms().is_empty());
}

#[test]
fn the_checksum_of_a_body_goes_along_when_its_record_is_copied() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let id = accept(&spool, 1, LARGE).unwrap();
    for _ in 0..40 {
        accept(&spool, 1, 100).unwrap();
        let passing = accept(&spool, 1, 14_000).unwrap();
        spool.record(passing, settled(0));
        spool.flush().unwrap();
    }
    let first = names(directory.path(), "segments").remove(0);
    assert!(first > format!("{:016x}", 2), "it was copied: {first}");
    check_content(&spool, id);
    let path = body_path(directory.path(), id);
    let mut body = fs::read(&path).unwrap();
    body[300] ^= 1;
    overwrite(&path, &body);
    assert!(spool.load(id).is_err());
}

#[test]
fn a_body_of_accepted_mail_whose_record_has_vanished_goes_to_quarantine_and_comes_back_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let id = accept(&spool, 1, LARGE).unwrap();
    spool.close();
    let aside = tempfile::tempdir().unwrap();
    for name in names(directory.path(), "segments") {
        let path = directory.path().join("segments").join(&name);
        fs::copy(&path, aside.path().join(&name)).unwrap();
        fs::remove_file(&path).unwrap();
    }
    let (spool, recovery) = open(directory.path());
    assert_eq!((recovery.quarantined, spool.len()), (1, 0));
    spool.close();
    assert_eq!(names(directory.path(), "quarantine"), [id.file_name()]);
    for entry in fs::read_dir(aside.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        fs::copy(&path, directory.path().join("segments").join(name)).unwrap();
    }
    let (spool, recovery) = open(directory.path());
    assert_eq!(recovery.quarantined, 0);
    check_content(&spool, id);
}

/// A crash between the name of a body and its record: the sender was not told that it is accepted.
#[test]
fn a_body_that_was_never_promised_is_removed_when_the_log_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let id = accept(&spool, 1, 10).unwrap();
    let orphan = spool.draft().unwrap().id();
    spool.close();
    let path = body_path(directory.path(), orphan);
    system::fs::replace(&path, b"body", 0o600).unwrap();
    let (spool, recovery) = open(directory.path());
    assert!(recovery.alarms(directory.path()).is_empty() && !path.exists());
    check_content(&spool, id);
}

#[test]
fn when_the_last_record_is_damaged_the_body_of_its_message_is_kept_after_a_clean_stop_and_after_a_crash()
 {
    let mut listed = 0;
    for clean in [true, false] {
        for (from_end, length) in [(400u64, 20usize), (120, 10), (420, 300), (1, 1)] {
            let directory = tempfile::tempdir().unwrap();
            let (spool, _) = open(directory.path());
            let small = accept(&spool, 1, 10).unwrap();
            let large = accept(&spool, 40, LARGE).unwrap();
            let name = names(directory.path(), "segments").remove(0);
            let segment = directory.path().join("segments").join(name);
            let crashed = fs::read(&segment).unwrap();
            let record = spool.place_of(large).unwrap();
            spool.close();
            let mut bytes = if clean {
                fs::read(&segment).unwrap()
            } else {
                crashed
            };
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
            let at = used.saturating_sub(from_end).max(record);
            for byte in &mut bytes[usize::try_from(at).unwrap()..][..length] {
                *byte ^= 0x55;
            }
            system::fs::replace(&segment, &bytes, 0o600).unwrap();
            let (spool, recovery) = open(directory.path());
            check_content(&spool, small);
            assert!(!recovery.alarms(directory.path()).is_empty() || spool.len() == 2);
            if spool.damaged() == [large] {
                assert_eq!((recovery.cut, recovery.quarantined), (0, 1), "{recovery:?}");
                assert!(body_path(directory.path(), large).exists());
                listed += 1;
            } else if spool.len() == 2 {
                // Only the mark of the end was hit.
                check_content(&spool, large);
            } else {
                assert!(names(directory.path(), "quarantine").contains(&large.file_name()));
            }
        }
    }
    assert!(listed > 0);
}

#[test]
fn large_mail_is_taken_where_every_file_must_have_a_name_and_a_crash_leaves_nothing_of_it() {
    let directory = tempfile::tempdir().unwrap();
    // As NFS, and much that is a file system in user space.
    let plan = |_, asked| match asked {
        Operation::Nameless => Verdict::Fail(Errno::OPNOTSUPP.raw_os_error()),
        _ => Verdict::Work,
    };
    let disk = Arc::new(Sim::new(directory.path(), plan));
    let (spool, _) = Spool::open_on(disk, directory.path(), QUIET).unwrap();
    let id = accept(&spool, 1, limits::INLINE_BODY + 1).unwrap();
    check_content(&spool, id);
    assert_eq!(names(directory.path(), "bodies"), [id.file_name()]);
    let mut draft = spool.draft().unwrap();
    draft.write(&vec![b'x'; limits::INLINE_BODY + 1]).unwrap();
    let left = names(directory.path(), "bodies").pop().unwrap();
    drop(draft);
    assert_eq!(names(directory.path(), "bodies").len(), 1);
    spool.close();
    let left = directory.path().join("bodies").join(left);
    system::fs::replace(&left, b"x", 0o600).unwrap();
    let (spool, recovery) = open(directory.path());
    assert_eq!((recovery.quarantined, recovery.doubtful), (0, 0));
    assert_eq!(names(directory.path(), "bodies"), [id.file_name()]);
    check_content(&spool, id);
}
