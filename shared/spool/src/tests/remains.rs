//! Messages whose records are damaged while the program runs.

use std::{fs, path::PathBuf};

use super::{faults::write_at, *};
use crate::UNREADABLE;

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
