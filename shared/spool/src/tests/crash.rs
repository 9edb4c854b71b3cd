//! The power is cut at every operation on the disk; then everything that was promised must be
//! there.

use std::sync::Arc;

use super::{
    ledger::{Ledger, deferred},
    simulation::{Luck, Operation, Sim, Verdict},
    *,
};
use mail::limits;

/// A day in the life of a spool: mail of several sizes, results, deferrals, segments that fill,
/// empty and are compacted.
pub(super) fn day(spool: &Spool, ledger: &mut Ledger) {
    let mut ids = Vec::new();
    for number in 0u32..32 {
        let size = if number == 5 {
            limits::INLINE_BODY + 1
        } else {
            1500 + number as usize * 100
        };
        if number % 6 == 5 {
            // Once in a file, once in the record.
            let id = ledger.arrive(spool, 1 + number % 3, size);
            if let Some(id) = id.filter(|_| number % 12 == 5) {
                ledger.record(spool, id, Event::Released);
            } else if let Some(id) = id {
                ledger.record(spool, id, Event::Leaving);
            }
            ids.extend(id);
        } else {
            ids.extend(ledger.accept(spool, 1 + number % 3, size));
        }
        if number % 4 == 3 {
            let stays = |place: usize| place.is_multiple_of(8);
            for (place, id) in ids.iter().enumerate() {
                match place {
                    place if stays(place) => {
                        ledger.record(spool, *id, deferred(vec![0, 1, 2], number.into()));
                    }
                    place if place % 5 == 4 => ledger.record(spool, *id, Event::Removed),
                    _ => (0..3).for_each(|recipient| ledger.record(spool, *id, settled(recipient))),
                }
            }
            let mut place = 0..;
            ids.retain(|_| place.next().is_some_and(stays));
        }
        if number % 8 == 6 {
            ledger.flush(spool);
        }
    }
    ledger.flush(spool);
}

/// Runs a day on a disk with this plan, cuts the power at its end, and checks what is left. Returns
/// the operations.
fn crash(plan: impl Fn(usize, Operation) -> Verdict + Send + Sync + 'static, luck: Luck) -> usize {
    let before = scratch();
    let disk = Arc::new(Sim::new(before.path(), plan));
    let mut ledger = Ledger::default();
    if let Ok((spool, _)) = Spool::open_on(Arc::clone(&disk) as _, before.path(), QUIET) {
        day(&spool, &mut ledger);
        // A clean end, which the cut may come into.
        spool.close();
        let after = scratch();
        disk.leave(luck, before.path(), after.path());
        recover(after.path(), &mut ledger);
    }
    disk.count()
}

/// Opens what a crash left and checks it; then another day begins there, and another crash ends it.
fn recover(directory: &Path, ledger: &mut Ledger) {
    let disk = Arc::new(Sim::new(directory, |count, _| {
        if count == 60 {
            Verdict::Cut
        } else {
            Verdict::Work
        }
    }));
    let (spool, recovery) = Spool::open_on(Arc::clone(&disk) as _, directory, QUIET).unwrap();
    assert_eq!(
        (recovery.quarantined, recovery.lost),
        (0, 0),
        "a crash is no damage: {recovery:?}"
    );
    assert_eq!(recovery.messages, spool.len() as u64);
    ledger.check_recovered(&spool);
    day(&spool, ledger);
    let after = scratch();
    disk.leave(Luck::Nothing, directory, after.path());
    drop(spool);
    let (spool, recovery) = open(after.path());
    assert_eq!(
        (recovery.quarantined, recovery.lost),
        (0, 0),
        "a crash is no damage: {recovery:?}"
    );
    ledger.check_recovered(&spool);
}

/// In memory where that is possible: what is durable here is decided by the simulated disk alone.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

fn cut_at(place: usize) -> impl Fn(usize, Operation) -> Verdict + Send + Sync + 'static {
    move |count, _| {
        if count == place {
            Verdict::Cut
        } else {
            Verdict::Work
        }
    }
}

/// Row D8 needs it: what was answered 250 is there after a power cut at any moment.
#[test]
fn nothing_promised_is_lost_when_the_power_is_cut_at_any_operation_and_all_that_was_not_synced_is_gone()
 {
    let operations = crash(cut_at(usize::MAX), Luck::Nothing);
    assert!(operations > 100, "{operations}");
    for place in 1..=operations {
        crash(cut_at(place), Luck::Nothing);
    }
}

#[test]
fn nothing_promised_is_lost_and_nothing_torn_appears_when_luck_decides_what_else_is_left() {
    let operations = crash(cut_at(usize::MAX), Luck::Everything);
    for place in 1..=operations {
        crash(cut_at(place), Luck::Some(place as u64));
        if place % 4 == 0 {
            crash(cut_at(place), Luck::Everything);
        }
    }
}

#[test]
fn nothing_promised_is_lost_when_any_single_operation_fails() {
    let operations = crash(cut_at(usize::MAX), Luck::Nothing);
    let errors = [rustix::io::Errno::IO, rustix::io::Errno::NOSPC];
    for place in 1..=operations {
        let errno = errors[place % 2].raw_os_error();
        let plan = move |count, _| {
            if count == place {
                Verdict::Fail(errno)
            } else {
                Verdict::Work
            }
        };
        crash(plan, Luck::Nothing);
    }
}
