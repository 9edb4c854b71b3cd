//! A disk that lets readers wait and says nothing.

use std::{io, sync::Arc, thread};

use super::{
    simulation::{Sim, Verdict},
    *,
};

/// A spool with so many messages on a disk that answers.
fn queued(directory: &Path, messages: usize) -> (Arc<Sim>, Spool, Vec<QueueId>) {
    let disk = Arc::new(Sim::new(directory, |_, _| Verdict::Work));
    let (spool, _) = Spool::open_on(Arc::clone(&disk) as _, directory, QUIET).unwrap();
    let ids = (0..messages).map(|_| accept(&spool, 2, 100).unwrap());
    let ids = ids.collect();
    (disk, spool, ids)
}

fn is_silent(alarm: &str) -> bool {
    alarm.contains("has not answered since") && alarm.contains("segments")
}

fn until(holds: impl Fn() -> bool) {
    while !holds() {
        thread::yield_now();
    }
}

#[test]
fn a_disk_that_lets_a_delivery_wait_holds_up_no_listing_and_no_mail_and_is_told_until_it_answers() {
    let directory = tempfile::tempdir().unwrap();
    let (disk, spool, ids) = queued(directory.path(), 5);
    disk.silence(true);
    thread::scope(|scope| {
        let read = scope.spawn(|| spool.load(ids[0]).map(|stored| stored.is_some()));
        let known = spool.known_of(&ids);
        for known in known.into_iter().map(Option::unwrap) {
            let why = known.unread.expect("nobody could read it");
            assert!(
                matches!(&why, SpoolError::Io { error, .. } if error.kind() == io::ErrorKind::TimedOut),
                "{why}"
            );
            assert_eq!(known.envelope.recipients.len(), 2);
        }
        assert!(spool.load_soon(ids[1]).is_err());
        assert!(spool.has_room(1).is_ok());
        accept(&spool, 1, 10).unwrap();
        until(|| spool.alarms().iter().any(|alarm| is_silent(alarm)));
        assert!(spool.may_begin().is_ok(), "other mail goes on");
        assert_eq!(spool.alarms().len(), 1, "{:?}", spool.alarms());
        disk.silence(false);
        assert!(read.join().unwrap().unwrap(), "it was waited for");
    });
    until(|| spool.alarms().is_empty());
    for id in ids {
        until(|| spool.known(id).unwrap().unread.is_none());
        check_content(&spool, id);
    }
}

#[test]
fn while_many_wait_for_a_disk_no_delivery_begins_and_all_go_on_when_it_answers() {
    let directory = tempfile::tempdir().unwrap();
    let (disk, spool, ids) = queued(directory.path(), 20);
    until(|| spool.may_begin().is_ok());
    disk.silence(true);
    thread::scope(|scope| {
        let loaded = |id: &QueueId| spool.load(*id).is_ok_and(|stored| stored.is_some());
        let reads: Vec<_> = ids
            .iter()
            .map(|id| scope.spawn(move || loaded(id)))
            .collect();
        until(|| spool.may_begin().is_err());
        assert!(spool.hangs());
        // Nobody asks it any more.
        assert!(spool.known(ids[0]).unwrap().unread.is_some());
        disk.silence(false);
        assert!(reads.into_iter().all(|read| read.join().unwrap()));
    });
    until(|| spool.may_begin().is_ok());
}
