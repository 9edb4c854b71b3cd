//! No delivery begins while its end cannot be recorded.

use std::sync::{Arc, Condvar, Mutex, atomic::Ordering};

use super::{
    faults::{BROKEN, NO_SPACE, switched},
    simulation::{Operation, Sim, Verdict},
    *,
};

/// Asked as often as it takes to find out.
fn may_begin(spool: &Spool) -> bool {
    for _ in 0..2 {
        if spool.may_begin().is_ok() {
            return true;
        }
        // Without threads, this is when a proof is made.
        let _ = spool.flush();
    }
    spool.may_begin().is_ok()
}

fn alone(disk: &Arc<Sim>, directory: &Path) -> Spool {
    Spool::simulated(disk, directory, QUIET).unwrap().0
}

fn take_all_space(directory: &Path, number: usize) -> Vec<QueueId> {
    let (disk, _) = switched(directory, Operation::Create, || NO_SPACE);
    let spool = alone(&disk, directory);
    let ids = (0..number).map(|_| accept_alone(&spool)).collect();
    spool.close();
    ids
}

fn accept_alone(spool: &Spool) -> QueueId {
    accept(spool, 1, 100).unwrap()
}

#[test]
fn the_reserve_is_there_after_each_restart_on_a_full_disk_and_what_is_delivered_is_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let mut ids = take_all_space(directory.path(), 12);
    for restart in 0..4 {
        let (disk, full) = switched(directory.path(), Operation::Create, || NO_SPACE);
        full.store(true, Ordering::SeqCst);
        let spool = alone(&disk, directory.path());
        assert_eq!(spool.len(), ids.len(), "start {restart}");
        assert!(may_begin(&spool), "start {restart}: {:?}", spool.alarms());
        for id in ids.drain(..3) {
            spool.record(id, settled(0));
        }
        spool.commit().unwrap();
        // What the last segment has given back is there for the next reserve.
        full.store(false, Ordering::SeqCst);
        spool.close();
    }
    assert!(open(directory.path()).0.is_empty());
}

#[test]
fn without_reserve_and_room_no_delivery_begins_and_they_go_on_by_themselves_once_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    take_all_space(directory.path(), 3);
    let segments = directory.path().join("segments");
    std::fs::remove_file(segments.join("spare")).unwrap();
    let (disk, full) = switched(directory.path(), Operation::Create, || NO_SPACE);
    full.store(true, Ordering::SeqCst);
    let spool = alone(&disk, directory.path());
    assert!(!may_begin(&spool));
    let alarm = spool.alarms().concat();
    assert!(
        alarm.contains("no mail goes out") && alarm.contains("spool full"),
        "{alarm}"
    );
    full.store(false, Ordering::SeqCst);
    wait_until(|| may_begin(&spool));
    assert!(spool.alarms().is_empty());
}

#[test]
fn a_commit_of_results_that_fails_lets_no_delivery_begin_until_one_has_worked() {
    for operation in [Operation::Write, Operation::Sync] {
        let directory = tempfile::tempdir().unwrap();
        let (disk, failing) = switched(directory.path(), operation, || BROKEN);
        let spool = alone(&disk, directory.path());
        let ids: Vec<_> = (0..3).map(|_| accept_alone(&spool)).collect();
        assert!(may_begin(&spool));
        failing.store(true, Ordering::SeqCst);
        spool.record(ids[0], settled(0));
        assert!(spool.commit().is_err());
        assert!(spool.may_begin().is_err(), "{operation:?}");
        assert_eq!(spool.alarms().len(), 1);
        failing.store(false, Ordering::SeqCst);
        spool.commit().unwrap();
        assert!(may_begin(&spool), "{operation:?}");
        // New mail alone shows it as well, and a proof ends it.
        failing.store(true, Ordering::SeqCst);
        assert!(accept(&spool, 1, 100).is_err());
        assert!(!may_begin(&spool), "{operation:?}");
        failing.store(false, Ordering::SeqCst);
        wait_until(|| may_begin(&spool));
        spool.close();
        assert_eq!(
            open(directory.path()).0.len(),
            2,
            "nothing is damaged by a proof"
        );
    }
}

#[test]
fn a_reserve_that_something_was_written_to_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    take_all_space(directory.path(), 1);
    let spare = directory.path().join("segments/spare");
    faults::write_at(&spare, 5000, b"what is this");
    open(directory.path()).0.close();
    assert!(std::fs::read(&spare).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn on_a_disk_that_hangs_no_delivery_begins_and_administrators_are_told_since_when() {
    let soon = Options {
        linger: Duration::from_millis(1),
        ..QUIET
    };
    let directory = tempfile::tempdir().unwrap();
    let hanging = Hanging::new(directory.path());
    let (spool, _) =
        Spool::open_on(Arc::clone(&hanging.disk) as _, directory.path(), soon).unwrap();
    let ids: Vec<_> = (0..3).map(|_| accept_alone(&spool)).collect();
    wait_until(|| spool.may_begin().is_ok());
    // Results first, then new mail alone.
    for of_results in [true, false] {
        hanging.hang(true);
        let other = spool.clone();
        let sender = (!of_results).then(|| std::thread::spawn(move || accept_alone(&other)));
        if of_results {
            spool.record(ids[0], settled(0));
        }
        wait_until(|| spool.may_begin().is_err());
        let alarm = || spool.alarms().concat();
        wait_until(|| !alarm().is_empty());
        let root = directory.path().display().to_string();
        for told in ["no mail goes out", "has not answered since", &root] {
            assert!(alarm().contains(told), "{}", alarm());
        }
        hanging.hang(false);
        if let Some(sender) = sender {
            sender.join().unwrap();
        }
        wait_until(|| spool.may_begin().is_ok() && spool.alarms().is_empty());
    }
    spool.close();
    assert_eq!(open(directory.path()).0.len(), 3);
}

/// A disk whose syncs do not end while it hangs.
struct Hanging {
    disk: Arc<Sim>,
    hangs: Arc<(Mutex<bool>, Condvar)>,
}

impl Hanging {
    fn new(directory: &Path) -> Self {
        let hangs = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&hangs);
        let plan = move |_, asked| {
            if asked == Operation::Sync {
                let (hangs, told) = &*theirs;
                let hung = hangs.lock().unwrap();
                drop(told.wait_while(hung, |hangs| *hangs).unwrap());
            }
            Verdict::Work
        };
        let disk = Arc::new(Sim::new(directory, plan));
        Self { disk, hangs }
    }

    fn hang(&self, hangs: bool) {
        *self.hangs.0.lock().unwrap() = hangs;
        self.hangs.1.notify_all();
    }
}

fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        std::thread::yield_now();
    }
}
