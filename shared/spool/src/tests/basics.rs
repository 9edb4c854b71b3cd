//! What the spool promises on a good day.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use super::*;
use crate::{Body, Repeats};
use mail::{clock::Timestamp, limits};

#[test]
fn a_message_is_queued_loaded_deferred_and_gone_and_a_restart_remembers_each() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, recovery) = open(directory.path());
    assert_eq!(
        (recovery.messages, recovery.cut, recovery.quarantined),
        (0, 0, 0)
    );
    let id = accept(&spool, 3, 4096).unwrap();
    check_content(&spool, id);
    let until = Timestamp::from_secs(2_000_000_000);
    spool.record(id, settled(1));
    spool.record(
        id,
        Event::Deferred {
            recipients: vec![0, 2, 7],
            until,
            reason: Arc::from("450 later"),
        },
    );
    spool.record(id, Event::Held);
    spool.record(id, Event::Warned);
    let repeats = Repeats {
        count: 37,
        last: until,
    };
    spool.record(id, Event::Repeated(repeats));
    let entry = spool.entry(id).unwrap();
    assert_eq!(
        entry
            .waiting
            .iter()
            .map(|w| (w.recipient, w.until))
            .collect::<Vec<_>>(),
        [(0, Some(until)), (2, Some(until))]
    );
    assert_eq!(entry.waiting[0].reason.as_deref(), Some("450 later"));
    assert!(entry.warned && entry.repeats == Some(repeats));
    assert_eq!(entry.hold, Hold::Held);
    spool.close();

    let (spool, recovery) = open(directory.path());
    assert_eq!(
        (recovery.messages, recovery.cut, recovery.quarantined),
        (1, 0, 0)
    );
    assert_eq!(spool.entries(), [entry]);
    check_content(&spool, id);
    spool.record(id, Event::Released);
    assert_eq!(spool.entry(id).unwrap().hold, Hold::No);
    spool.record(id, settled(0));
    spool.record(id, settled(2));
    assert!(spool.is_empty() && spool.entry(id).is_none() && spool.load(id).unwrap().is_none());
    spool.close();
    assert_eq!(open(directory.path()).1.messages, 0);
}

#[test]
fn a_large_body_is_a_file_that_stays_readable_and_is_removed_when_all_is_settled() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let id = accept(&spool, 1, limits::INLINE_BODY + 1).unwrap();
    assert_eq!(names(directory.path(), "bodies"), [id.file_name()]);
    check_content(&spool, id);
    let stored = spool.load(id).unwrap().unwrap();
    assert!(matches!(stored.body, Body::File(..)));
    spool.record(id, settled(0));
    spool.flush().unwrap();
    assert_eq!(names(directory.path(), "bodies"), [""; 0]);
    assert_eq!(
        std::io::copy(&mut stored.reader().unwrap(), &mut std::io::sink()).unwrap(),
        stored.size()
    );
}

#[test]
fn a_draft_that_is_dropped_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let mut draft = spool.draft().unwrap();
    draft.write(&vec![b'x'; limits::INLINE_BODY + 1]).unwrap();
    assert_eq!(draft.size(), limits::INLINE_BODY as u64 + 1);
    drop(draft);
    assert_eq!(names(directory.path(), "bodies"), [""; 0]);
}

#[test]
fn a_second_process_is_told_who_is_in_the_way_and_gets_in_after_close() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let error = Spool::open(directory.path(), QUIET).err().unwrap();
    let text = error.to_string();
    assert!(
        matches!(error, SpoolError::Locked(..))
            && text.contains(directory.path().to_str().unwrap()),
        "{text}"
    );
    spool.close();
    assert!(matches!(accept(&spool, 1, 10), Err(SpoolError::Stopped)));
    assert!(Spool::open(directory.path(), QUIET).is_ok());
}

#[test]
fn a_message_without_recipients_is_refused_because_it_could_never_leave() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    assert!(matches!(accept(&spool, 0, 10), Err(SpoolError::Io { .. })));
    assert!(spool.is_empty());
}

#[test]
fn many_writers_each_get_their_message_durable_under_its_own_id() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let mut ids: Vec<QueueId> = std::thread::scope(|scope| {
        let writer = || {
            (0..20)
                .map(|size| accept(&spool, 1, size * 50).unwrap())
                .collect::<Vec<_>>()
        };
        let writers: Vec<_> = (0..16).map(|_| scope.spawn(writer)).collect();
        writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect()
    });
    ids.sort_unstable();
    let (told, results) = mpsc::channel();
    for _ in 0..50 {
        let told = told.clone();
        spool.accept_then(spool.draft().unwrap(), &envelope(1), b"", move |result| {
            told.send(result).unwrap();
        });
    }
    ids.extend(results.iter().take(50).map(Result::unwrap));
    spool.close();
    let (spool, _) = open(directory.path());
    assert_eq!(
        spool
            .entries()
            .iter()
            .map(|entry| entry.id)
            .collect::<Vec<_>>(),
        ids
    );
    for id in &ids[..320] {
        check_content(&spool, *id);
    }
}

#[test]
fn a_result_becomes_durable_within_linger_with_nobody_asking() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        linger: Duration::from_millis(20),
        ..QUIET
    };
    let (spool, _) = Spool::open(directory.path(), options).unwrap();
    let id = accept(&spool, 1, limits::INLINE_BODY + 1).unwrap();
    spool.record(id, settled(0));
    // The body's file goes only after the result is on disk.
    while !names(directory.path(), "bodies").is_empty() {
        std::thread::yield_now();
    }
}

#[test]
fn mail_that_stays_for_weeks_does_not_pin_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let mut staying = Vec::new();
    for number in 0..400 {
        let id = accept(&spool, 2, 1000).unwrap();
        spool.record(id, settled(1));
        if number % 40 == 0 {
            staying.push(id);
        } else {
            spool.record(id, settled(0));
        }
        if number % 10 == 0 {
            let reason: Arc<str> = Arc::from(format!("450 attempt {number}"));
            let until = Timestamp::from_secs(number);
            for id in &staying {
                spool.record(
                    *id,
                    Event::Deferred {
                        recipients: vec![0],
                        until,
                        reason: Arc::clone(&reason),
                    },
                );
            }
            spool.flush().unwrap();
        }
    }
    spool.flush().unwrap();
    // Live: ten messages of about 1.2 KB; four segments more, the active one, the one after it and
    // the spare one.
    let used = || -> u64 {
        let segments = names(directory.path(), "segments").into_iter();
        let sizes = segments.map(|name| {
            let metadata = std::fs::metadata(directory.path().join("segments").join(name));
            metadata.map_or(0, |it| it.len())
        });
        sizes.sum()
    };
    // The last are given back in the background.
    let began = std::time::Instant::now();
    while used() > 4 * 10 * 1300 + 7 * QUIET.segment {
        assert!(began.elapsed().as_secs() < 60, "{}", used());
        std::thread::yield_now();
    }
    let before = spool.entries();
    spool.close();
    let (spool, recovery) = open(directory.path());
    assert_eq!((recovery.cut, recovery.quarantined), (0, 0));
    assert_eq!(spool.entries(), before);
    assert_eq!(
        before.iter().map(|entry| entry.id).collect::<Vec<_>>(),
        staying
    );
    for id in &staying {
        check_content(&spool, *id);
    }
    for id in &staying {
        spool.record(*id, settled(0));
    }
    spool.flush().unwrap();
    spool.close();
    // Nothing queued: no segment is left after the next start has looked.
    let (spool, _) = open(directory.path());
    spool.flush().unwrap();
    assert_eq!(names(directory.path(), "segments"), ["spare"]);
}
