//! Disks that are away, or that do not answer.

use std::{
    fs::File,
    sync::{Arc, Mutex},
    time::Duration,
};

use mail::clock;

use super::{count, ip, kept, limits, memory, moved, start};
use crate::{
    limits::{Decision, Limits},
    state::{Keeper, Store},
};

/// The writer does not come back: it waits for a lock here, as it would for a disk.
#[expect(clippy::await_holding_lock, reason = "it is what the writer waits for")]
#[tokio::test]
async fn a_disk_that_does_not_answer_holds_up_nobody_and_is_told_until_it_does() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Arc::new(Mutex::new(limits()));
    let all = memory(&limits);
    let lessons = Arc::clone(&all.lessons);
    let (store, _) = Store::begin(directory.path());
    let keeper = store.keep_with(all, Duration::from_millis(50));
    let begun = keeper.changed();
    while !keeper.is_kept(begun) {
        keeper.flush();
    }
    let held = lessons.lock().unwrap();
    count(&limits, &keeper, "10.0.0.7", 1);
    // These return, although nothing can be written; so would any number of them.
    while keeper.fault().is_none() {
        keeper.flushed().await;
    }
    keeper.turned().await;
    let (since, why) = keeper.fault().unwrap();
    assert!(
        why.contains("state.sqlite: it does not answer since"),
        "{why}"
    );
    for _ in 0..50 {
        count(&limits, &keeper, "10.0.0.7", 1);
        keeper.flush();
        keeper.flushed().await;
    }
    assert_eq!(keeper.fault().unwrap().0, since);
    drop(held);
    while keeper.fault().is_some() {
        keeper.flushed().await;
    }
    keeper.turned().await;
    let change = keeper.changed();
    while !keeper.is_kept(change) {
        keeper.flush();
    }
    assert_eq!(kept(directory.path(), "10.0.0.7"), 51);
}

#[test]
fn a_database_that_cannot_be_opened_holds_up_no_start_and_is_written_when_it_can_be() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let count = |limits: &Mutex<Limits>, keeper: &Keeper, client: &str, times| {
        for _ in 1..times {
            limits.lock().unwrap().count(ip(client), clock::now());
        }
        let last = limits.lock().unwrap().count(ip(client), clock::now());
        keeper.changed();
        keeper.flush();
        match last {
            Decision::Within { count, .. } => count,
            other => panic!("{other:?}"),
        }
    };
    let (limits, keeper) = start(&state);
    assert_eq!(count(&limits, &keeper, "10.0.0.7", 70), 70);
    let raised = "10.0.0.7".parse().unwrap();
    let (now, day) = (clock::now(), Duration::from_hours(24));
    let order = limits
        .lock()
        .unwrap()
        .raise(&raised, 120, now.after(day), now);
    order.unwrap();
    keeper.changed();
    keeper.flush();
    drop(keeper);
    // The file system is not mounted.
    let away = directory.path().join("away");
    moved(&state, &away);
    File::create(&state).unwrap();
    let (limits, keeper) = start(&state);
    let (_, why) = keeper.fault().unwrap();
    assert!(why.contains("state.sqlite"), "{why}");
    assert_eq!(count(&limits, &keeper, "10.0.0.8", 3), 3);
    assert_eq!(count(&limits, &keeper, "10.0.0.7", 5), 5);
    std::fs::remove_file(&state).unwrap();
    moved(&away, &state);
    while keeper.fault().is_some() {
        keeper.flush();
    }
    // What it could not read at its start counts from now on, with what came since.
    assert_eq!(count(&limits, &keeper, "10.0.0.7", 1), 76);
    assert_eq!(count(&limits, &keeper, "10.0.0.8", 1), 4);
    drop(keeper);
    let (_, restored) = Store::open(&state).unwrap();
    assert_eq!(restored.limits.len(), 3, "two counts, one order");
}
