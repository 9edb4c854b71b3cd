//! Mail of another spool is taken over: once, as it was, whatever happens meanwhile.

use std::{fs, path::PathBuf, sync::Arc};

use super::{
    ledger::deferred,
    simulation::{Luck, Sim, Verdict},
    *,
};
use crate::Entry;
use mail::limits;

/// A directory with two spools; in `old` is mail in every state.
struct Two {
    directory: tempfile::TempDir,
    queued: Vec<Entry>,
}

impl Two {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (old, _) = open(&directory.path().join("old"));
        let sizes = [10, 3000, limits::INLINE_BODY + 8, 13, 0];
        let ids = sizes.map(|size| accept(&old, 3, size).unwrap());
        old.record(ids[0], settled(1));
        old.record(ids[1], deferred(vec![0, 2], 7));
        old.record(ids[1], Event::Warned);
        old.record(ids[2], settled(0));
        old.record(ids[2], Event::Held);
        old.record(ids[4], Event::Removed);
        old.close();
        let queued = old.entries();
        Self { directory, queued }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// All is here, as it was there, and nothing there.
    fn check(&self, spool: &Spool) {
        assert_eq!(spool.entries(), self.queued);
        for entry in &self.queued {
            check_content(spool, entry.id);
            assert!(spool.draft().unwrap().id() > entry.id);
        }
        let (old, recovery) = open(&self.path("old"));
        assert_eq!((old.len(), recovery.quarantined), (0, 0));
    }
}

#[test]
fn mail_of_another_spool_is_taken_over_as_it_is_and_only_once() {
    let two = Two::new();
    let (own, _) = open(&two.path("own"));
    own.adopt(&two.path("nothing"));
    own.adopt(&two.path("own"));
    assert!(own.is_empty() && !two.path("nothing").exists());
    own.adopt(&two.path("old"));
    two.check(&own);
    own.adopt(&two.path("old"));
    two.check(&own);
    own.close();
    let (own, _) = open(&two.path("own"));
    two.check(&own);
}

/// The process ends when all is here and nothing has left there.
#[test]
fn what_is_in_both_spools_after_a_crash_is_still_one_message_and_nobody_gets_it_again() {
    let two = Two::new();
    copied(&two.path("old"), &two.path("before"));
    let (own, _) = open(&two.path("own"));
    own.adopt(&two.path("old"));
    let first = two.queued[0].id;
    own.record(first, settled(0));
    fs::remove_dir_all(two.path("old")).unwrap();
    copied(&two.path("before"), &two.path("old"));
    own.adopt(&two.path("old"));
    let waiting = own.entry(first).unwrap().waiting;
    assert_eq!(
        waiting.iter().map(|it| it.recipient).collect::<Vec<_>>(),
        [2]
    );
    assert_eq!(own.entries()[1..], two.queued[1..]);
}

#[test]
fn mail_is_in_one_of_two_spools_when_the_power_is_cut_at_any_operation() {
    for place in 1.. {
        let two = Two::new();
        let cut = move |count, _| match count {
            count if count == place => Verdict::Cut,
            _ => Verdict::Work,
        };
        let disk = Arc::new(Sim::new(&two.path("own"), cut));
        if let Ok((own, _)) = Spool::open_on(Arc::clone(&disk) as _, &two.path("own"), QUIET) {
            own.adopt(&two.path("old"));
        }
        disk.leave(Luck::Nothing, &two.path("own"), &two.path("after"));
        let (own, _) = open(&two.path("after"));
        own.adopt(&two.path("old"));
        two.check(&own);
        if !disk.is_off() {
            assert!(place > 10, "{place}");
            return;
        }
    }
}

#[test]
fn what_cannot_leave_the_other_spool_stays_there_and_is_not_delivered_twice() {
    let two = Two::new();
    let (own, _) = open(&two.path("own"));
    let full = |_, operation| match operation {
        simulation::Operation::Create | simulation::Operation::Write => {
            Verdict::Fail(rustix::io::Errno::IO.raw_os_error())
        }
        _ => Verdict::Work,
    };
    let disk = Arc::new(Sim::new(&two.path("old"), full));
    let (old, _) = Spool::open_on(disk, &two.path("old"), QUIET).unwrap();
    assert!(own.take_over(&old, false).is_err());
    assert!(own.is_empty());
    drop(old);
    own.close();
    let (own, _) = open(&two.path("own"));
    own.adopt(&two.path("old"));
    two.check(&own);
}

#[test]
fn a_damaged_message_that_stays_in_another_place_is_told_by_every_start_until_it_is_mended() {
    let place = tempfile::tempdir().unwrap();
    let (old, lists) = (place.path().join("old"), [place.path().join("state")]);
    fs::create_dir(&lists[0]).unwrap();
    let began = |name: &str, adopt: &dyn Fn(&Spool)| {
        let (spool, _) = open(&place.path().join(name));
        adopt(&spool);
        let alarms = spool.alarms().join("\n");
        (spool, alarms)
    };
    // Where no configuration said where, and where an earlier one did.
    let adopt = |spool: &Spool| spool.adopt(&old);
    let adopt_earlier = |spool: &Spool| spool.adopt_earlier(&lists, true);
    for (name, adopt) in [("one", &adopt as &dyn Fn(&Spool)), ("two", &adopt_earlier)] {
        let (spool, _) = open(&old);
        spool.adopt_earlier(&lists, true);
        let ids = [(); 2].map(|()| accept(&spool, 1, 1000).unwrap());
        let segment = spool.open.committer.place_of(ids[1]).unwrap().2;
        let offset = spool.place_of(ids[1]).unwrap() + 500;
        spool.close();
        let mut good = [0; 4];
        let file = fs::File::open(&segment).unwrap();
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut good, offset).unwrap();
        faults::write_at(&segment, offset, b"!!!!");
        for _ in 0..2 {
            let (spool, alarms) = began(name, adopt);
            let told = format!("1 messages wait in {}", old.display());
            let remedy = format!("spool = \"{}\"", old.display());
            assert!(
                alarms.contains(&told) && alarms.contains(&remedy),
                "{alarms}"
            );
            check_content(&spool, ids[0]);
            assert!(spool.entry(ids[1]).is_none());
            spool.close();
        }
        faults::write_at(&segment, offset, &good);
        let (spool, alarms) = began(name, adopt);
        assert!(alarms.is_empty(), "{alarms}");
        for id in ids {
            check_content(&spool, id);
        }
    }
}

/// As an administrator does it who names one directory after the other.
#[test]
fn places_that_the_queue_had_before_are_known_until_nothing_is_left_in_them() {
    let two = Two::new();
    let lists = [two.path("state"), two.path("nothing")];
    fs::create_dir(&lists[0]).unwrap();
    let began = |name: &str, options: Options, takes: bool| {
        let (spool, _) = Spool::open(&two.path(name), options).unwrap();
        spool.adopt_earlier(&lists, takes);
        spool
    };
    let left = |name: &str| crate::left(&lists, &two.path(name));
    began("old", Options::default(), true).close();
    let there = vec![(
        two.path("old").canonicalize().unwrap(),
        two.queued.len() as u64,
    )];
    assert_eq!((left("own"), left("old")), (there.clone(), vec![]));
    // One of need, and one without room for it: what is there stays known.
    began("need", Options::default(), false).close();
    assert_eq!(left("own"), there);
    let full = Options {
        minimum_free: u64::MAX,
        ..Options::default()
    };
    let spool = began("own", full, true);
    let alarms = spool.alarms();
    assert!(
        alarms.len() == 1 && alarms[0].contains(&format!("{} messages wait in ", two.queued.len())),
        "{alarms:?}"
    );
    spool.close();
    assert_eq!(left("own"), there);
    let spool = began("own", Options::default(), true);
    assert!(spool.alarms().is_empty(), "{:?}", spool.alarms());
    two.check(&spool);
    spool.close();
    let list = fs::read_to_string(lists[0].join("spools")).unwrap();
    assert_eq!(list.lines().count(), 1, "{list}");
    assert!(left("own").is_empty());
    // And a list that somebody has spoilt is none.
    system::fs::replace(&lists[0].join("spools"), b"\xff\nrelative\n\n", 0o600).unwrap();
    assert!(left("own").is_empty());
}
