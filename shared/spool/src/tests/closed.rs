//! Segments that lose their end, or are gone, between a clean end and the next start.

use std::fs;

use super::{faults::ten, *};

/// What becomes of a segment of so many bytes, and how many of its ten messages are left.
type Loss = (&'static str, fn(&Path, u64), usize);

fn keep(segment: &Path, bytes: u64, length: u64) {
    let file = fs::File::options().write(true).open(segment).unwrap();
    file.set_len(bytes).unwrap();
    file.set_len(length).unwrap();
}

const LOSSES: [Loss; 6] = [
    (
        "cut at a record's end",
        |at, _| keep(at, third(at), third(at)),
        3,
    ),
    (
        "zeros from a record's end on",
        |at, length| keep(at, third(at), length),
        3,
    ),
    (
        "cut within a record",
        |at, _| keep(at, third(at) + 100, third(at) + 100),
        // Of one of them there is the beginning.
        4,
    ),
    ("empty", |at, _| keep(at, 0, 0), 0),
    ("all zeros", |at, length| keep(at, 0, length), 0),
    ("gone", |at, _| fs::remove_file(at).unwrap(), 0),
];

/// Where the third of ten equal records ends: the last one says that the segment was closed.
fn third(segment: &Path) -> u64 {
    let bytes = fs::read(segment).unwrap();
    let mark = &bytes[..8];
    let starts = bytes.windows(8).enumerate().filter(|(_, it)| it == &mark);
    starts.map(|(at, _)| at as u64).nth(3).unwrap()
}

#[test]
fn a_segment_that_lost_its_end_after_a_clean_end_is_told_once_and_what_is_left_is_there() {
    for (what, lose, left) in LOSSES {
        let (directory, _, segment) = ten();
        let length = fs::metadata(&segment).unwrap().len();
        lose(&segment, length);
        let (spool, recovery) = open(directory.path());
        assert_eq!(spool.len(), left, "{what}");
        let expected = (1, 10 - left as u64, 0);
        let found = (recovery.lost, recovery.missing, recovery.cut);
        assert_eq!(found, expected, "{what}");
        let damaged = spool.damaged();
        assert_eq!(damaged.len(), usize::from(left == 4), "{what}");
        let alarms = recovery.alarms(directory.path()).join("\n");
        let missing = format!("{} messages are missing", 10 - left);
        assert!(alarms.contains(&missing), "{what}: {alarms}");
        let notes = names(directory.path(), "quarantine");
        let note = notes
            .iter()
            .find(|name| Path::new(name).extension() == Some("lost".as_ref()))
            .unwrap();
        let note = fs::read_to_string(directory.path().join("quarantine").join(note)).unwrap();
        assert!(
            note.contains(&format!("had {length} bytes")),
            "{what}: {note}"
        );
        for entry in spool.entries() {
            if !damaged.contains(&entry.id) {
                check_content(&spool, entry.id);
            }
        }
        let new = accept(&spool, 1, 100).unwrap();
        spool.close();
        let (spool, recovery) = open(directory.path());
        assert_eq!(
            recovery.alarms(directory.path()).len(),
            damaged.len(),
            "{what}: told once"
        );
        assert_eq!(spool.damaged(), damaged, "{what}");
        check_content(&spool, new);
    }
}

#[test]
fn a_start_that_is_interrupted_tells_of_the_loss_again_and_notes_it_once() {
    let (directory, _, segment) = ten();
    let list = directory.path().join("segments/closed");
    let before = fs::read(&list).unwrap();
    system::fs::replace(&segment, b"", 0o600).unwrap();
    for _ in 0..3 {
        // As if it had never been removed.
        system::fs::replace(&list, &before, 0o600).unwrap();
        let (spool, recovery) = open(directory.path());
        assert_eq!((recovery.lost, spool.len()), (1, 0));
        assert!(!list.exists(), "gone before anything changes");
        drop(spool);
    }
    assert_eq!(names(directory.path(), "quarantine").len(), 1);
}

#[test]
fn a_list_that_a_later_run_of_an_older_program_made_untrue_says_nothing() {
    let (directory, _, _) = ten();
    let list = directory.path().join("segments/closed");
    let before = fs::read(&list).unwrap();
    let (spool, _) = open(directory.path());
    for entry in spool.entries() {
        spool.record(entry.id, settled(0));
    }
    spool.flush().unwrap();
    accept(&spool, 1, 10).unwrap();
    spool.close();
    // An older program leaves it where it is.
    system::fs::replace(&list, &before, 0o600).unwrap();
    for text in [&before[..], b"nonsense", b"", &before[..20]] {
        system::fs::replace(&list, text, 0o600).unwrap();
        let (spool, recovery) = open(directory.path());
        assert!(recovery.alarms(directory.path()).is_empty(), "{recovery:?}");
        assert_eq!(spool.len(), 1);
    }
}
