//! Messages whose records are damaged while the program runs.

use std::{fs, path::PathBuf};

use super::{faults::write_at, *};
use crate::{UNREADABLE, record::HEADER};

/// The segment that a message lies in, and all that is in it.
fn segment_of(directory: &Path, id: QueueId) -> (PathBuf, Vec<u8>) {
    let text = header_of(id);
    let has = |bytes: &Vec<u8>| bytes.windows(text.len()).any(|part| part == text);
    let segments = names(directory, "segments").into_iter();
    let paths = segments.map(|name| directory.join("segments").join(name));
    let mut read = paths.map(|path| (path.clone(), fs::read(path).unwrap()));
    read.find(|(_, bytes)| has(bytes)).unwrap()
}

#[test]
fn whatever_byte_of_a_message_is_damaged_its_sender_can_be_told_and_the_recipients_domains() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let [id, next] = [(); 2].map(|()| accept(&spool, 2, 200).unwrap());
    let (path, whole) = segment_of(directory.path(), id);
    let envelope = spool.envelope(id).unwrap().unwrap();
    let place = |id| usize::try_from(spool.place_of(id).unwrap()).unwrap();
    let (begin, end) = (place(id), place(next));
    let (mut exact, mut headers) = (0, 0);
    for (at, byte) in whole.iter().enumerate().take(end).skip(begin) {
        write_at(&path, at as u64, &[byte ^ 0x55]);
        if spool.load(id).is_ok() {
            // What pads a record is nothing of it.
            write_at(&path, at as u64, &[*byte]);
            continue;
        }
        let known = spool.known(id).unwrap();
        let left = spool.load_to_return(id).unwrap().unwrap();
        for told in [&left.envelope, &known.envelope] {
            assert_eq!((&told.sender, told.uid), (&envelope.sender, envelope.uid));
            assert_eq!(told.recipients.len(), 2, "byte {at}");
            for recipient in &told.recipients {
                assert_eq!(recipient.address.domain().to_string(), "example.org");
            }
        }
        if left.envelope.recipients == envelope.recipients {
            exact += 1;
        } else {
            let first = left.envelope.recipients[0].address.to_string();
            assert_eq!(first, format!("{UNREADABLE}@example.org"));
        }
        headers += usize::from(left.header == header_of(id));
        assert!(left.beginning(u64::MAX).unwrap().is_empty());
        write_at(&path, at as u64, &[*byte]);
    }
    // At least where the inline body was hit.
    assert!(exact >= 200 && headers >= 200, "{exact} {headers}");
    check_content(&spool, id);
    check_content(&spool, next);
}

#[test]
fn a_message_of_which_nothing_is_left_is_listed_and_given_back_by_what_is_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let id = accept(&spool, 1, 200).unwrap();
    let (path, whole) = segment_of(directory.path(), id);
    let envelope = spool.envelope(id).unwrap().unwrap();
    write_at(&path, 0, &vec![0; whole.len()]);
    let known = spool.known(id).unwrap();
    assert!(known.unread.is_some_and(|why| why.is_damage()));
    let left = spool.load_to_return(id).unwrap().unwrap();
    assert_eq!(left.envelope.sender, envelope.sender);
    assert!(left.header.is_empty());
    let recipients = left.envelope.recipients.iter();
    let recipients: Vec<_> = recipients.map(|it| it.address.to_string()).collect();
    assert_eq!(recipients, [format!("{UNREADABLE}@example.org")]);
    spool.record(id, settled(0));
    assert!(spool.known(id).is_none());
}

#[test]
fn a_message_whose_record_is_damaged_is_listed_after_each_start_until_it_is_returned_or_deleted() {
    let before = tempfile::tempdir().unwrap();
    let (spool, _) = open(before.path());
    let [id, next] = [(); 2].map(|()| accept(&spool, 2, 200).unwrap());
    let place = |id| usize::try_from(spool.place_of(id).unwrap()).unwrap();
    let (begin, end) = (place(id) + HEADER, place(next));
    spool.record(id, settled(0));
    spool.close();
    let (path, whole) = segment_of(before.path(), id);
    let name = path.file_name().unwrap();
    let (mut known, mut held) = (0, 0);
    for at in (begin..end).step_by(7) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("segments")).unwrap();
        let path = directory.path().join("segments").join(name);
        system::fs::replace(&path, &whole, 0o600).unwrap();
        write_at(&path, at as u64, &[whole[at] ^ 0x55]);
        for _ in 0..2 {
            let (spool, recovery) = open(directory.path());
            if spool.damaged().is_empty() {
                // What pads a record is nothing of it.
                check_content(&spool, id);
                break;
            }
            assert_eq!((recovery.spoiled, spool.len()), (1, 2), "byte {at}");
            let left = spool.load_to_return(id).unwrap().unwrap();
            let entry = spool.entry(id).unwrap();
            let waiting: Vec<_> = entry.waiting.iter().map(|it| it.recipient).collect();
            assert_eq!(waiting, [1], "byte {at}: the other one has it");
            assert_eq!(left.envelope.recipients.len(), 2, "byte {at}");
            if left.envelope.sender == envelope(2).sender {
                assert_eq!((entry.hold, entry.uid), (Hold::No, Some(2)), "byte {at}");
                known += 1;
            } else {
                assert_eq!(entry.hold, Hold::Held, "byte {at}: nobody could be told");
                held += 1;
            }
            check_content(&spool, next);
        }
        let (spool, _) = open(directory.path());
        spool.record(id, Event::Removed);
        spool.close();
        let (spool, recovery) = open(directory.path());
        assert_eq!((recovery.spoiled, spool.len()), (0, 1), "byte {at}");
        check_content(&spool, next);
    }
    assert!(known > 20 && held > 5, "{known} {held}");
}

#[test]
fn a_message_of_which_nothing_is_left_is_listed_after_the_next_start_and_whole_when_its_segment_is_put_back()
 {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let [id, unseen, next] = [(); 3].map(|()| accept(&spool, 2, 200).unwrap());
    spool.record(id, settled(0));
    spool.flush().unwrap();
    let (path, whole) = segment_of(directory.path(), id);
    let [from, to] = [id, next].map(|id| spool.place_of(id).unwrap());
    write_at(&path, from, &vec![0; usize::try_from(to - from).unwrap()]);
    assert!(spool.load(id).is_err());
    spool.close();
    for _ in 0..2 {
        let (spool, recovery) = open(directory.path());
        assert_eq!((recovery.spoiled, spool.damaged()), (1, vec![id]));
        assert!(spool.entry(unseen).is_none(), "nobody had looked at it");
        assert!(spool.load(id).is_err());
        let entry = spool.entry(id).unwrap();
        assert_eq!((entry.waiting.len(), entry.waiting[0].recipient), (1, 1));
        let left = spool.load_to_return(id).unwrap().unwrap();
        let recipient = left.envelope.recipients[1].address.to_string();
        assert_eq!(recipient, format!("{UNREADABLE}@example.org"));
        assert_eq!(left.envelope.sender, envelope(2).sender);
        check_content(&spool, next);
    }
    write_at(
        &path,
        from,
        &whole[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()],
    );
    let (spool, recovery) = open(directory.path());
    assert_eq!((recovery.spoiled, spool.len()), (0, 3));
    check_content(&spool, id);
    assert_eq!(spool.entry(id).unwrap().waiting[0].recipient, 1);
    spool.record(id, Event::Removed);
    spool.close();
    assert!(open(directory.path()).0.entry(id).is_none());
}
