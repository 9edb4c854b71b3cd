use std::{
    fs::File,
    io::Write as _,
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use shared::clock::Timestamp;

use super::{Keeper, Store};
use crate::limits::{Decision, Limits, Rules, Window};

const NOW: Timestamp = Timestamp::from_secs(1_795_333_912);

fn start(directory: &Path) -> (Arc<Mutex<Limits>>, Keeper) {
    let window = Window {
        limit: 100,
        span: Duration::from_hours(24),
    };
    let mut limits = Limits::new(Rules {
        per_client: vec![window],
        ..Rules::default()
    });
    let (store, restored) = Store::open(directory).unwrap();
    for (client, record) in restored.limits {
        assert!(limits.restore(client, &record, NOW));
    }
    let limits = Arc::new(Mutex::new(limits));
    let keeper = store.keep(Arc::clone(&limits));
    (limits, keeper)
}

fn count(limits: &Mutex<Limits>, keeper: &Keeper, client: &str, times: u32) -> Decision {
    let client: IpAddr = client.parse().unwrap();
    let mut last = Decision::Unlimited;
    for _ in 0..times {
        last = limits.lock().unwrap().count(client, NOW);
        keeper.changed();
    }
    last
}

/// Row A4: no amnesty by a restart.
#[test]
fn counters_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (limits, keeper) = start(directory.path());
    count(&limits, &keeper, "10.0.0.7", 70);
    count(&limits, &keeper, "2001:db8::1", 5);
    keeper.flush();
    let (limits, keeper) = start(directory.path());
    assert!(matches!(
        count(&limits, &keeper, "10.0.0.7", 30),
        Decision::Within { count: 100, .. }
    ));
    assert!(matches!(
        count(&limits, &keeper, "10.0.0.7", 1),
        Decision::Over(_)
    ));
    assert!(matches!(
        count(&limits, &keeper, "2001:db8::2", 1),
        Decision::Within { count: 6, .. }
    ));
    assert!(limits.lock().unwrap().reset("10.0.0.7".parse().unwrap()));
    keeper.flush();
    let (limits, keeper) = start(directory.path());
    assert!(matches!(
        count(&limits, &keeper, "10.0.0.7", 1),
        Decision::Within { count: 1, .. }
    ));
}

#[test]
fn a_change_is_written_without_being_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let (limits, keeper) = start(directory.path());
    count(&limits, &keeper, "10.0.0.7", 3);
    // Another connection sees what a killed daemon would leave behind.
    let reader = rusqlite::Connection::open(directory.path().join("state.sqlite")).unwrap();
    reader.busy_timeout(Duration::from_secs(5)).unwrap();
    while reader
        .query_row(
            "SELECT record FROM client_limits WHERE client = '10.0.0.7'",
            [],
            |_| Ok(()),
        )
        .is_err()
    {
        std::thread::yield_now();
    }
    drop(keeper);
}

#[test]
fn a_damaged_database_is_moved_aside_and_counting_begins_anew() {
    for damage in [
        b"no database at all, but long enough to be looked at".repeat(100),
        vec![0xff; 8192],
    ] {
        let directory = tempfile::tempdir().unwrap();
        File::create(directory.path().join("state.sqlite"))
            .unwrap()
            .write_all(&damage)
            .unwrap();
        let (_, restored) = Store::open(directory.path()).unwrap();
        let aside = restored.quarantined.unwrap();
        assert!(
            std::fs::read(aside).unwrap() == damage,
            "nothing is thrown away"
        );
        let (limits, keeper) = start(directory.path());
        count(&limits, &keeper, "10.0.0.7", 1);
        keeper.flush();
    }
}

#[test]
fn a_state_directory_that_is_not_there_is_an_error_with_its_path() {
    let error = Store::open(Path::new("/nonexistent/state")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/nonexistent/state/state.sqlite: "),
        "{error}"
    );
}
