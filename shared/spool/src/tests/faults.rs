//! Full disks, failing disks, damaged files: what still goes on, and what is said.

use std::{
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    ledger::{Ledger, deferred},
    simulation::{Luck, Operation, Sim, Verdict},
    *,
};

pub(super) const NO_SPACE: Verdict = Verdict::Fail(rustix::io::Errno::NOSPC.raw_os_error());
pub(super) const BROKEN: Verdict = Verdict::Fail(rustix::io::Errno::IO.raw_os_error());

/// A disk on which one kind of operation fails while the switch is on.
pub(super) fn switched(
    directory: &Path,
    operation: Operation,
    verdict: fn() -> Verdict,
) -> (Arc<Sim>, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(false));
    let on = Arc::clone(&switch);
    let plan = move |_, asked| {
        if asked == operation && on.load(Ordering::SeqCst) {
            verdict()
        } else {
            Verdict::Work
        }
    };
    (Arc::new(Sim::new(directory, plan)), switch)
}

fn bounce(spool: &Spool) -> Result<QueueId, SpoolError> {
    let envelope = Envelope {
        sender: Sender::Null,
        ..envelope(1)
    };
    let mut draft = spool.draft()?;
    draft.write(&body_of(draft.id(), 1000)).unwrap();
    let header = header_of(draft.id());
    spool.accept(draft, &envelope, &header)
}

#[test]
fn a_full_disk_refuses_new_mail_while_deliveries_and_bounces_go_on_and_takes_mail_again_when_there_is_room()
 {
    let directory = tempfile::tempdir().unwrap();
    let (disk, full) = switched(directory.path(), Operation::Create, || NO_SPACE);
    let (spool, _) = Spool::open_on(Arc::clone(&disk) as _, directory.path(), QUIET).unwrap();
    let mut ids = vec![accept(&spool, 2, 4000).unwrap()];
    assert!(spool.has_room(1000).is_ok());
    full.store(true, Ordering::SeqCst);
    let error = loop {
        match accept(&spool, 2, 4000) {
            Ok(id) => ids.push(id),
            Err(error) => break error,
        }
        assert!(ids.len() < 10, "a segment of 16 KiB cannot hold that much");
    };
    assert!(
        matches!(error, SpoolError::Full { .. }) && error.to_string().contains("free space"),
        "{error}"
    );
    ids.extend((0..8).map(|_| bounce(&spool).unwrap()));
    assert!(matches!(spool.has_room(1000), Err(SpoolError::Full { .. })));
    assert!(
        matches!(accept(&spool, 2, 10), Err(SpoolError::Full { .. })),
        "the reserve is not for new mail"
    );
    spool.record(ids[0], settled(0));
    spool.flush().unwrap();
    full.store(false, Ordering::SeqCst);
    spool.flush().unwrap();
    assert!(spool.has_room(1000).is_ok());
    ids.push(accept(&spool, 2, 4000).unwrap());
    let after = tempfile::tempdir().unwrap();
    disk.leave(Luck::Nothing, directory.path(), after.path());
    let (recovered, _) = open(after.path());
    assert_eq!(
        recovered
            .entries()
            .iter()
            .map(|entry| entry.id)
            .collect::<Vec<_>>(),
        ids
    );
    assert_eq!(recovered.entry(ids[0]).unwrap().waiting.len(), 1);
}

#[test]
fn mail_is_refused_below_the_minimum_of_free_space_and_results_are_still_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        minimum_free: u64::MAX,
        ..QUIET
    };
    let (spool, _) = Spool::open(directory.path(), options).unwrap();
    assert!(matches!(spool.has_room(0), Err(SpoolError::Full { .. })));
    let id = bounce(&spool).unwrap();
    spool.record(id, settled(0));
    spool.flush().unwrap();
    assert!(spool.is_empty());
}

#[test]
fn while_no_sync_works_mail_is_refused_and_what_was_recorded_is_on_disk_as_soon_as_syncs_work_again()
 {
    let directory = tempfile::tempdir().unwrap();
    let (disk, failing) = switched(directory.path(), Operation::Sync, || BROKEN);
    let (spool, _) = Spool::open_on(Arc::clone(&disk) as _, directory.path(), QUIET).unwrap();
    let mut ledger = Ledger::default();
    let id = ledger.accept(&spool, 2, 500).unwrap();
    failing.store(true, Ordering::SeqCst);
    ledger.record(&spool, id, settled(1));
    assert!(matches!(accept(&spool, 1, 500), Err(SpoolError::Io { .. })));
    assert!(spool.flush().is_err());
    ledger.record(&spool, id, deferred(vec![0], 7));
    ledger.check_running(&spool);
    failing.store(false, Ordering::SeqCst);
    ledger.flush(&spool);
    let after = tempfile::tempdir().unwrap();
    disk.leave(Luck::Nothing, directory.path(), after.path());
    let (recovered, _) = open(after.path());
    ledger.check_recovered(&recovered);
    assert_eq!(
        recovered.entry(id).unwrap().waiting[0].reason.as_deref(),
        Some("450 7")
    );
}

#[test]
fn short_writes_are_continued() {
    let directory = tempfile::tempdir().unwrap();
    let (disk, short) = switched(directory.path(), Operation::Write, || Verdict::Short(700));
    short.store(true, Ordering::SeqCst);
    let (spool, _) = Spool::open_on(disk, directory.path(), QUIET).unwrap();
    let ids =
        [10, 3000, mail::limits::INLINE_BODY + 5].map(|size| accept(&spool, 1, size).unwrap());
    spool.close();
    let (spool, _) = open(directory.path());
    for id in ids {
        check_content(&spool, id);
    }
}

/// A spool of ten messages in one segment: its directory, the ids, the segment's path.
pub(super) fn ten() -> (tempfile::TempDir, Vec<QueueId>, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let ids = (0..10).map(|_| accept(&spool, 1, 1000).unwrap()).collect();
    spool.close();
    let segment = directory
        .path()
        .join("segments")
        .join(&names(directory.path(), "segments")[0]);
    (directory, ids, segment)
}

pub(super) fn write_at(path: &Path, offset: u64, bytes: &[u8]) {
    std::fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .write_all_at(bytes, offset)
        .unwrap();
}

#[test]
fn a_damaged_record_goes_to_quarantine_once_its_message_stays_in_the_queue_and_all_other_mail_is_there()
 {
    // In the header, in the payload, over two records and over a whole block of zeros.
    for (offset, length, lost) in [
        (2500u64, 20usize, 1usize),
        (2600, 3, 1),
        (2900, 1000, 2),
        (2200, 4096, 5),
    ] {
        for fill in [0u8, 0xff] {
            let (directory, ids, segment) = ten();
            write_at(&segment, offset, &vec![fill; length]);
            let (spool, recovery) = open(directory.path());
            assert!(
                recovery.quarantined > 0 && recovery.cut == 0,
                "{recovery:?}"
            );
            let damaged = spool.damaged();
            assert_eq!(recovery.spoiled, damaged.len() as u64);
            assert!(
                spool.len() >= ids.len() - lost && spool.len() < ids.len() + damaged.len(),
                "{} of {}",
                spool.len(),
                ids.len()
            );
            for entry in spool.entries() {
                if damaged.contains(&entry.id) {
                    assert!(spool.load(entry.id).is_err() && spool.known(entry.id).is_some());
                    continue;
                }
                check_content(&spool, entry.id);
            }
            assert_eq!(
                names(directory.path(), "quarantine").len() as u64,
                recovery.quarantined
            );
            let (before, new) = (spool.entries(), accept(&spool, 1, 100).unwrap());
            spool.close();
            let (spool, recovery) = open(directory.path());
            assert_eq!(recovery.quarantined, 0, "reported once");
            assert_eq!(spool.len(), before.len() + 1);
            assert_eq!(spool.damaged(), damaged);
            check_content(&spool, new);
        }
    }
}

#[test]
fn a_record_of_a_later_version_goes_to_quarantine_and_the_spool_opens() {
    let (directory, ids, segment) = ten();
    let mut bytes = std::fs::read(&segment).unwrap();
    // The version stands before kind, padding and the header's own checksum.
    bytes[36] = 99;
    let checksum = crc32c::crc32c(&bytes[..40]);
    bytes[40..44].copy_from_slice(&checksum.to_le_bytes());
    write_at(&segment, 0, &bytes[..44]);
    let (spool, recovery) = open(directory.path());
    assert_eq!((recovery.quarantined, spool.len()), (1, ids.len() - 1));
}

#[test]
fn a_torn_tail_is_cut_and_the_mail_before_it_is_there() {
    let (directory, ids, segment) = ten();
    let length = std::fs::metadata(&segment).unwrap().len();
    write_at(&segment, length - 600, &[0; 600]);
    // As a crash leaves it: nothing says what was there.
    std::fs::remove_file(directory.path().join("segments/closed")).unwrap();
    let (spool, recovery) = open(directory.path());
    assert_eq!((recovery.quarantined, spool.len()), (0, ids.len() - 1));
    assert!(recovery.cut > 0);
    spool.close();
    assert_eq!(open(directory.path()).1.cut, 0);
}

#[test]
fn a_body_that_is_missing_and_a_body_whose_record_is_damaged_are_reported_and_kept() {
    let large = mail::limits::INLINE_BODY + 1;
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let [missing, damaged, good] = [(); 3].map(|()| accept(&spool, 1, large).unwrap());
    accept(&spool, 1, 10).unwrap();
    let at = spool.place_of(damaged).unwrap();
    spool.close();
    std::fs::remove_file(directory.path().join("bodies").join(missing.file_name())).unwrap();
    let segment = directory
        .path()
        .join("segments")
        .join(&names(directory.path(), "segments")[0]);
    write_at(&segment, at + 20, b"xxxx");
    let (spool, recovery) = open(directory.path());
    assert_eq!(
        recovery.quarantined, 3,
        "the damaged record, its body, the record without a body"
    );
    assert_eq!(spool.len(), 2);
    check_content(&spool, good);
    assert!(names(directory.path(), "quarantine").contains(&damaged.file_name()));
}

#[test]
fn a_body_that_looks_like_a_record_is_never_taken_for_one() {
    let (directory, ids, segment) = ten();
    let records = std::fs::read(&segment).unwrap();
    let (spool, _) = open(directory.path());
    let mut draft = spool.draft().unwrap();
    draft.write(&records).unwrap();
    let id = spool
        .accept(draft, &envelope(1), b"Subject: forged\r\n")
        .unwrap();
    let last = accept(&spool, 1, 10).unwrap();
    spool.record(ids[0], Event::Removed);
    spool.close();
    // Its own record's header is damaged, so its body is searched for the next record.
    let newest = directory.path().join("segments").join(
        names(directory.path(), "segments")
            .iter()
            .rfind(|name| name.starts_with('0'))
            .unwrap(),
    );
    write_at(&newest, 0, &[0xff; 8]);
    let (spool, recovery) = open(directory.path());
    assert_eq!(recovery.quarantined, 1);
    assert!(spool.entry(id).is_none() && spool.entry(ids[0]).is_none());
    check_content(&spool, last);
}

#[test]
fn an_envelope_is_read_without_the_body_and_never_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    for recipients in [1, 500] {
        let id = accept(&spool, recipients, 4096).unwrap();
        let envelope = spool.envelope(id).unwrap().unwrap();
        assert_eq!(envelope.recipients.len(), recipients as usize);
        spool.flush().unwrap();
        let body = format!("{id}\r\n{id}\r\n").into_bytes();
        let segments = directory.path().join("segments");
        let (path, place) = names(directory.path(), "segments")
            .into_iter()
            .map(|name| segments.join(name))
            .find_map(|path| {
                let bytes = std::fs::read(&path).unwrap();
                let place = bytes.windows(body.len()).rposition(|window| window == body);
                place.map(|place| (path, place as u64))
            })
            .unwrap();
        let record = spool.place_of(id).unwrap();
        write_at(&path, place, b"damage");
        assert!(spool.load(id).is_err(), "the whole is checked");
        assert_eq!(spool.envelope(id).unwrap(), Some(envelope));
        write_at(&path, record + 80, b"damage in the envelope");
        let error = spool.envelope(id).unwrap_err().to_string();
        assert!(
            error.contains(&format!("record of {id} is damaged")),
            "{error}"
        );
    }
}
