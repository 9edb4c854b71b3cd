use std::{
    fs::File,
    io::Write as _,
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use mail::clock::{Timestamp, Zone};
use queue::rate::Window;

mod disks;

use super::{Keeper, Memory, Store};
use crate::{
    budget::{Site, Terms},
    expected::Expected,
    limits::{Class, Decision, Kept, Limits, Rules},
    network::{Network, Networks},
    notices::Notices,
};

const NOW: Timestamp = Timestamp::from_secs(1_795_333_912);

fn limits() -> Limits {
    let window = Window {
        limit: 100,
        span: Duration::from_hours(24),
    };
    Limits::new(Rules {
        networks: Networks(vec![Network::parse("10.0.0.0/8").unwrap()]),
        per_client: vec![window.into()],
        per_stranger: vec![window.into()],
        ..Rules::default()
    })
}

fn start(directory: &Path) -> (Arc<Mutex<Limits>>, Keeper) {
    let mut limits = limits();
    let (store, restored) = Store::begin(directory);
    for (client, record) in restored.limits {
        assert!(limits.restore(client, &record, NOW));
    }
    let limits = Arc::new(Mutex::new(limits));
    // However slow this machine is, what is waited for is there.
    let keeper = store.keep_with(memory(&limits), Duration::from_mins(5));
    (limits, keeper)
}

fn memory(limits: &Arc<Mutex<Limits>>) -> Memory {
    Memory {
        limits: Arc::clone(limits),
        greylist: Arc::default(),
        recipients: Arc::default(),
        refusals: Arc::default(),
        activity: Arc::default(),
        machines: Arc::default(),
        tokens: Arc::default(),
        lessons: Arc::default(),
        budget: Arc::new(Mutex::new(Site::new(Terms::default(), 1))),
        expected: Arc::new(Mutex::new(Expected::new(Zone::system(), NOW))),
        notices: Arc::new(Mutex::new(Notices::new("mx.example", Zone::system()))),
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
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
    assert!(
        limits
            .lock()
            .unwrap()
            .reset(&"10.0.0.7".parse().unwrap())
            .unwrap()
    );
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

/// Row A4: what is answered after the flush survives a kill, however many ask at once.
#[test]
fn who_waits_for_the_writer_finds_everything_counted_before_written() {
    let directory = tempfile::tempdir().unwrap();
    let (limits, keeper) = start(directory.path());
    std::thread::scope(|scope| {
        for client in ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"] {
            let (limits, keeper, directory) = (&limits, &keeper, directory.path());
            scope.spawn(move || {
                for number in 1..=20 {
                    count(limits, keeper, client, 1);
                    keeper.flush();
                    assert_eq!(kept(directory, client), number, "{client}");
                }
            });
        }
    });
}

/// The count that another process would find in the database now.
fn kept(directory: &Path, client: &str) -> u32 {
    let reader = rusqlite::Connection::open(directory.join("state.sqlite")).unwrap();
    reader.busy_timeout(Duration::from_secs(5)).unwrap();
    let record: String = reader
        .query_row(
            "SELECT record FROM client_limits WHERE client = ?1",
            [client],
            |row| row.get(0),
        )
        .unwrap();
    let mut limits = limits();
    let client: IpAddr = client.parse().unwrap();
    let key = (
        Kept::Counts(Class::Own),
        Network::of(client, 32, 128).into(),
    );
    assert!(limits.restore(key, &record, NOW));
    match limits.count(client, NOW) {
        Decision::Within { count, .. } => count - 1,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_database_that_somebody_holds_delays_no_mail_for_long_and_is_caught_up_later() {
    let directory = tempfile::tempdir().unwrap();
    let (limits, keeper) = start(directory.path());
    let mut holder = rusqlite::Connection::open(directory.path().join("state.sqlite")).unwrap();
    let held = holder
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .unwrap();
    for _ in 0..50 {
        count(&limits, &keeper, "10.0.0.7", 1);
        // Returns, although nothing can be written; only the first waits for the holder.
        keeper.flush();
    }
    drop(held);
    drop(keeper);
    while rows(directory.path()) == 0 {
        std::thread::yield_now();
    }
    assert_eq!(kept(directory.path(), "10.0.0.7"), 50);
}

fn rows(directory: &Path) -> u32 {
    let reader = rusqlite::Connection::open(directory.join("state.sqlite")).unwrap();
    reader.busy_timeout(Duration::from_secs(5)).unwrap();
    reader
        .query_row("SELECT COUNT(*) FROM client_limits", [], |row| row.get(0))
        .unwrap()
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

/// Limits that were raised are no count.
#[test]
fn what_administrators_ordered_comes_back_after_counters_were_damaged_or_made_empty() {
    type Harm = fn(&mut File);
    let harms: [Harm; 2] = [
        |file| file.write_all(&[0xff; 12_000]).unwrap(),
        |file| file.set_len(0).unwrap(),
    ];
    for harm in harms {
        let directory = tempfile::tempdir().unwrap();
        let raised: Network = "10.0.0.8".parse().unwrap();
        let until = NOW.after(Duration::from_hours(24));
        let (limits, keeper) = start(directory.path());
        count(&limits, &keeper, "10.0.0.7", 70);
        limits
            .lock()
            .unwrap()
            .raise(&raised.into(), 5, until, NOW)
            .unwrap();
        keeper.changed();
        keeper.flush();
        drop((limits, keeper));
        while directory.path().join("state.sqlite-wal").exists() {
            std::thread::yield_now();
        }
        let database = directory.path().join("state.sqlite");
        let mut file = File::options().write(true).open(&database).unwrap();
        harm(&mut file);
        drop(file);
        assert_eq!(super::places::damaged(directory.path()), None);
        // Also at a start after the one that has met it.
        for _ in 0..2 {
            let (limits, keeper) = start(directory.path());
            let shown = limits.lock().unwrap().show(&raised.into(), NOW);
            assert!(shown.unwrap().raised.is_some());
            keeper.flush();
            let told = super::places::damaged(directory.path()).unwrap();
            assert!(told.contains("state.sqlite.damaged-1"), "{told}");
        }
        let restored = Store::open(directory.path()).unwrap().1;
        assert_eq!(restored.quarantined, None);
        assert_eq!(restored.limits.len(), 1, "counts are gone");
    }
}

#[test]
fn a_database_behind_a_link_is_seen_beside_the_daemon_that_writes_it() {
    let directory = tempfile::tempdir().unwrap();
    let (limits, keeper) = start(directory.path());
    count(&limits, &keeper, "10.0.0.7", 2);
    keeper.flush();
    drop((limits, keeper));
    let database = directory.path().join("state.sqlite");
    while directory.path().join("state.sqlite-wal").exists() {
        std::thread::yield_now();
    }
    let elsewhere = directory.path().join("elsewhere.old");
    moved(&database, &elsewhere);
    std::os::unix::fs::symlink(&elsewhere, &database).unwrap();
    let (limits, keeper) = start(directory.path());
    for client in ["10.0.0.7", "10.0.0.8", "10.0.0.9"] {
        count(&limits, &keeper, client, 1);
    }
    keeper.flush();
    assert_eq!(Store::peek(directory.path()).unwrap().limits.len(), 3);
    assert!(directory.path().join("elsewhere.old-wal").exists());
}

/// An administrator clears up, a backup is put back, a disk fails: what is in memory is what
/// counts.
#[test]
fn a_database_that_goes_away_under_the_running_daemon_is_made_anew_with_all_that_was_counted() {
    type Harm = fn(&Path);
    fn cut_index(directory: &Path, size: u64) {
        let index = directory.join("state.sqlite-shm");
        let file = File::options().write(true).open(index).unwrap();
        file.set_len(size).unwrap();
    }
    let harms: [Harm; 11] = [
        |directory| cut_index(directory, 0),
        |directory| cut_index(directory, 4096),
        |directory| {
            let file = File::options()
                .write(true)
                .open(directory.join("state.sqlite-wal"));
            file.unwrap().write_all(&vec![0xff; 60_000]).unwrap();
        },
        |directory| {
            let file = File::options()
                .write(true)
                .open(directory.join("state.sqlite"));
            file.unwrap().set_len(0).unwrap();
        },
        |directory| {
            let file = File::options()
                .write(true)
                .open(directory.join("state.sqlite"));
            file.unwrap().write_all(&[0xff; 12_000]).unwrap();
        },
        |directory| std::fs::remove_dir_all(directory).unwrap(),
        |directory| std::fs::remove_file(directory.join("state.sqlite")).unwrap(),
        |directory| std::fs::remove_file(directory.join("state.sqlite-wal")).unwrap(),
        |directory| {
            let database = directory.join("state.sqlite");
            std::fs::hard_link(&database, directory.join("old")).unwrap();
            std::fs::remove_file(database).unwrap();
        },
        |directory| {
            for name in ["state.sqlite", "state.sqlite-wal", "state.sqlite-shm"] {
                std::fs::remove_file(directory.join(name)).unwrap();
            }
            File::create(directory.join("state.sqlite")).unwrap();
        },
        |directory| {
            std::fs::remove_file(directory.join("state.sqlite")).unwrap();
            let mut other = File::create(directory.join("state.sqlite")).unwrap();
            other.write_all(&[0xff; 4096]).unwrap();
        },
    ];
    for (number, harm) in harms.into_iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let (limits, keeper) = start(directory.path());
        count(&limits, &keeper, "10.0.0.7", 70);
        keeper.flush();
        harm(directory.path());
        let until = NOW.after(Duration::from_hours(24));
        let other = Network::parse("10.0.0.8").unwrap();
        limits
            .lock()
            .unwrap()
            .raise(&other.into(), 5, until, NOW)
            .unwrap();
        keeper.changed();
        keeper.flush();
        assert_eq!(kept(directory.path(), "10.0.0.7"), 70, "harm {number}");
        count(&limits, &keeper, "10.0.0.7", 1);
        keeper.flush();
        drop(keeper);
        let (limits, _keeper) = start(directory.path());
        let mut limits = limits.lock().unwrap();
        assert!(limits.show(&other.into(), NOW).unwrap().raised.is_some());
        let again = limits.count("10.0.0.7".parse::<IpAddr>().unwrap(), NOW);
        assert!(
            matches!(again, Decision::Within { count: 72, .. }),
            "harm {number}: {again:?}"
        );
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

/// What an administrator ordered is kept apart from what is counted.
#[test]
fn a_block_survives_a_restart_and_a_database_of_the_version_before_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let (limits, keeper) = start(directory.path());
    let blocked: IpAddr = "203.0.113.9".parse().unwrap();
    let until = NOW.after(Duration::from_hours(48));
    let order = |limits: &Mutex<Limits>, client: &str| {
        let mut limits = limits.lock().unwrap();
        limits
            .raise(&client.parse().unwrap(), 0, until, NOW)
            .unwrap();
    };
    order(&limits, "203.0.113.9");
    keeper.changed();
    keeper.flush();
    let old = rusqlite::Connection::open(directory.path().join("state.sqlite")).unwrap();
    old.busy_timeout(Duration::from_secs(5)).unwrap();
    let record = format!(
        r#"{{"windows":[],"raised":{{"limit":0,"until":{}}},"near":null,"full":null}}"#,
        serde_json::to_string(&until).unwrap()
    );
    old.execute(
        "INSERT INTO client_limits VALUES ('2001:db8:1:2::/64', ?1)",
        [record],
    )
    .unwrap();
    let (limits, _keeper) = start(directory.path());
    for client in [blocked, "2001:db8:1:2::7".parse().unwrap()] {
        let decision = limits.lock().unwrap().begin(&client.into(), NOW);
        assert!(
            matches!(decision, Decision::Over(_)),
            "{client}: {decision:?}"
        );
    }
}

/// As an administrator does it.
#[expect(clippy::disallowed_methods, reason = "nothing of it has to last")]
fn moved(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

#[test]
fn what_a_killed_daemon_left_is_read_without_writing_a_byte() {
    let directory = tempfile::tempdir().unwrap();
    let left = directory.path().join("left");
    std::fs::create_dir(&left).unwrap();
    let (limits, keeper) = start(directory.path());
    count(&limits, &keeper, "10.0.0.7", 70);
    keeper.flush();
    let contents = |of: &Path| {
        ["state.sqlite", "state.sqlite-wal"].map(|name| std::fs::read(of.join(name)).unwrap())
    };
    for (name, content) in ["state.sqlite", "state.sqlite-wal"]
        .into_iter()
        .zip(contents(directory.path()))
    {
        system::fs::replace(&left.join(name), &content, 0o600).unwrap();
    }
    let before = contents(&left);
    let found = super::store::look(&left.join("state.sqlite")).unwrap();
    assert_eq!(found.limits.len(), 1);
    assert_eq!(contents(&left), before);
    assert_eq!(std::fs::read_dir(&left).unwrap().count(), 2);
}
