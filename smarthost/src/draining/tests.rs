use std::fs;

use super::*;

fn claim<'a>(draining: &'a Draining, to: &str) -> Result<Option<Claim<'a>>, String> {
    draining.claim(to, &Nexthop::parse(to).unwrap(), "sha256:x")
}

fn begin(draining: &Draining) {
    let claim = claim(draining, "mx2").unwrap().unwrap();
    let beginning = draining.begin(&claim, "mx2", "sha256:x", 1);
    beginning.unwrap().done(1);
}

#[tokio::test]
async fn one_order_at_a_time_asks_a_server_and_a_stop_ends_it() {
    let directory = tempfile::tempdir().unwrap();
    let draining = Draining::open(directory.path());
    let first = claim(&draining, "mx2").unwrap().unwrap();
    for to in ["mx2", "mx3"] {
        let why = claim(&draining, to).unwrap_err();
        assert!(why.contains("is asking mx2"), "{why}");
    }
    let stopped = draining.stop().unwrap().done(0);
    assert!(stopped.progress.is_none());
    assert_eq!(stopped.asked.as_deref(), Some("mx2"));
    assert_eq!(first.ended().await, ENDED);
    let second = claim(&draining, "mx3").unwrap().unwrap();
    let late = draining.begin(&first, "mx2", "sha256:x", 1);
    assert_eq!(late.err().as_deref(), Some(ENDED));
    drop(first);
    let beginning = draining.begin(&second, "mx3", "sha256:x", 1);
    beginning.unwrap().done(1);
    drop(second);
    assert_eq!(draining.to().as_deref(), Some("mx3"));
    assert!(claim(&draining, "mx3").unwrap().is_none());
    assert!(claim(&draining, "mx2").is_err());
    assert_eq!(draining.stop().unwrap().done(0).asked, None);
}

#[test]
fn counts_that_change_under_the_queues_lock_are_written_after_it_and_never_over_a_stop() {
    let directory = tempfile::tempdir().unwrap();
    let draining = Draining::open(directory.path());
    let kept = || fs::read_to_string(directory.path().join(FILE)).unwrap();
    begin(&draining);
    let begun = kept();
    assert!(draining.came());
    assert_eq!(kept(), begun, "the disk is not waited for");
    draining.keep();
    let counted = kept();
    assert_ne!(counted, begun);
    draining.keep();
    assert!(draining.came());
    draining.stop().unwrap().done(2);
    let stopped = kept();
    draining.keep();
    assert!(!draining.came());
    draining.keep();
    assert_eq!(kept(), stopped);
    assert!(Draining::open(directory.path()).drain().unwrap().stopped);
}

#[test]
fn a_pipe_or_an_endless_file_in_place_of_what_is_kept_holds_up_no_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(FILE);
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(Draining::open(directory.path()).drain().is_none());
    fs::remove_file(&file).unwrap();
    let endless = fs::File::create(&file).unwrap();
    endless.set_len(100_000_000_000).unwrap();
    let draining = Draining::open(directory.path());
    assert!(draining.drain().is_none());
    begin(&draining);
    draining.keep();
    assert!(Draining::open(directory.path()).drain().is_some());
}

#[test]
fn while_the_disk_keeps_an_order_that_begins_or_ends_a_drain_mail_is_counted_and_told() {
    let directory = tempfile::tempdir().unwrap();
    let draining = Draining::open(directory.path());
    let kept = || Draining::open(directory.path()).drain().unwrap().stopped;
    let claim = claim(&draining, "mx2").unwrap().unwrap();
    let beginning = draining.begin(&claim, "mx2", "sha256:x", 1).unwrap();
    // Each of these would wait if one of the locks that the queue needs were held.
    assert!(!draining.came() && draining.to().is_none());
    assert!(draining.progress(1).is_none() && !kept());
    beginning.done(2);
    draining.keep();
    let stopping = draining.stop().unwrap();
    assert!(draining.came() && draining.to().is_some() && kept());
    assert!(draining.progress(3).is_some());
    assert!(stopping.done(3).progress.is_some());
    draining.keep();
    assert!(!draining.came() && draining.to().is_none() && kept());
}

#[tokio::test]
async fn of_two_servers_that_ask_each_other_at_once_exactly_one_begins() {
    let directory = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let place = directory.path().join(name);
        fs::create_dir_all(&place).unwrap();
        let mut draining = Draining::open(&place);
        draining.name = name.to_owned();
        draining
    };
    // In each order in which claims and questions can meet.
    for order in 0..2 {
        let (small, large) = (open("a"), open("b"));
        let ours = claim(&small, "mx-b").unwrap().unwrap();
        let theirs = claim(&large, "mx-a").unwrap().unwrap();
        let asks_small = || small.admit("b");
        let asks_large = || large.admit("a");
        let (at_small, at_large) = if order == 0 {
            let first = asks_small();
            (first, asks_large())
        } else {
            let first = asks_large();
            (asks_small(), first)
        };
        assert_eq!(at_small, Err(Closed::Asks("mx-b".to_owned())));
        assert_eq!(at_large, Ok(()));
        assert_eq!(theirs.ended().await, GAVE_WAY);
        let late = large.begin(&theirs, "mx-a", "sha256:x", 1);
        assert_eq!(late.err().as_deref(), Some(GAVE_WAY));
        let beginning = small.begin(&ours, "mx-b", "sha256:x", 1).unwrap();
        // What is being written gives way to nobody, whatever his name.
        assert_eq!(small.admit("0"), Err(Closed::Asks("mx-b".to_owned())));
        beginning.done(1);
        assert_eq!(small.admit("b"), Err(Closed::Emptied("mx-b".to_owned())));
        drop((ours, theirs));
        // It takes mail, and can be emptied elsewhere later.
        assert_eq!(large.to(), None);
        assert!(claim(&large, "mx-c").unwrap().is_some());
        small.stop().unwrap().done(0);
        small.forget();
    }
}
