//! The directory of the queue as somebody has left it: another user's, or with something in the
//! place of what the queue has there itself. Mail is taken all the same, the reason is told with
//! what helps, and nobody has to start anything once it is mended.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "what a test puts in the way has to outlive nothing"
)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
    process::Output,
};

use tests::{
    agent::{Agent, config},
    binaries::{binaries, copy_program},
    peers,
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::until_true,
};

const QUEUED: &str = "mail is queued and not sent until the file is mended";
const NOBODY: u32 = 65534;

fn said(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&all).into_owned()
}

fn deliver(smarthost: &Smarthost) {
    let mut session = Session::greeted(smarthost.address());
    session.delivers(
        "a@example.net",
        &["b@example.net"],
        b"Subject: x\r\n\r\ntext\r\n",
    );
}

/// How many messages of this test have arrived, notices aside.
fn arrived(sink: &Sink) -> usize {
    let journal = sink.journal();
    let subjects = journal.messages().into_iter().map(|it| it.field("Subject"));
    subjects.filter(|subject| subject == "x").count()
}

/// Puts something in the way of the queue's own; where it is.
type Obstacle = fn(&Path) -> PathBuf;

const OBSTACLES: [Obstacle; 3] = [
    |spool| {
        let path = spool.join("segments");
        fs::remove_dir_all(&path).unwrap();
        fs::write(&path, "").unwrap();
        path
    },
    |spool| {
        let path = spool.join("bodies");
        fs::remove_dir_all(&path).unwrap();
        symlink("/nowhere/at/all", &path).unwrap();
        path
    },
    |spool| {
        let path = spool.join("lock");
        fs::remove_file(&path).unwrap();
        fs::create_dir_all(path.join("inner")).unwrap();
        path
    },
];

/// As the remedy says.
fn move_away(path: &Path) {
    let aside = path.with_extension("old");
    fs::rename(path, aside).unwrap();
}

#[test]
fn a_smarthost_takes_mail_though_something_is_in_the_way_of_its_queue_and_sends_it_once_that_is_gone()
 {
    let sink = Sink::start();
    let mut smarthost = Smarthost::start(&format!("relayhost = \"{}\"", sink.nexthop()));
    let spool = smarthost.directory().join("spool");
    for (before, obstacle) in OBSTACLES.into_iter().enumerate() {
        smarthost.daemon().stop();
        let path = obstacle(&spool);
        let told = format!("{} is in the way", path.display());
        smarthost.run();
        deliver(&smarthost);
        let log = smarthost.daemon().wait_for_log(QUEUED);
        assert!(log.contains(&told) && log.contains("mv "), "{log}");
        for command in ["check", "status"] {
            let said = said(&smarthost.admin(&[command]));
            assert!(said.contains(&told), "{command}: {said}");
        }
        assert_eq!(arrived(&sink), before);
        move_away(&path);
        until_true("it arrives", || arrived(&sink) > before);
        assert_eq!(smarthost.admin(&["check"]).status.code(), Some(0));
    }
}

#[test]
fn an_agent_takes_mail_though_something_is_in_the_way_of_its_queue_and_sends_it_once_that_is_gone()
{
    let sink = Sink::start();
    let mut machine = Agent::start(&config(&sink.nexthop(), ""));
    let spool = machine.directory().join("spool");
    for (before, obstacle) in OBSTACLES.into_iter().enumerate() {
        machine.daemon().stop();
        let path = obstacle(&spool);
        let told = format!("{} is in the way", path.display());
        machine.run();
        machine.send(&["b@example.net"], "Subject: x\n\ntext\n");
        let log = machine.daemon().wait_for_log(QUEUED);
        assert!(log.contains(&told) && log.contains("mv "), "{log}");
        for command in ["check", "status"] {
            let said = said(&machine.admin(&[command]));
            assert!(said.contains(&told), "{command}: {said}");
        }
        assert_eq!(arrived(&sink), before);
        move_away(&path);
        until_true("it arrives", || arrived(&sink) > before);
    }
}

/// Root's, after a restore or a `mkdir`: that of the last good configuration is used where the new
/// one cannot be.
#[test]
fn a_smarthost_that_is_given_another_users_directory_goes_on_with_its_own_until_it_may_use_that() {
    if !peers::root() || peers::find("setpriv").is_none() {
        return;
    }
    let sink = Sink::start();
    let good = format!("relayhost = \"{}\"\nmaildir = \"none\"", sink.nexthop());
    let mut smarthost = Smarthost::prepare(&good);
    let directory = smarthost.directory().to_owned();
    let program = directory.join("smarthost");
    copy_program(&binaries().smarthost, &program);
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    chown(&directory, Some(NOBODY), Some(NOBODY)).unwrap();
    let script = format!("shift; exec {} \"$@\"", program.display());
    let user = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
    let words = ["setpriv", &user[0], &user[1], "--clear-groups", "sh", "-c"];
    let words = words.into_iter().chain([script.as_str(), "sh"]);
    smarthost.run_within(words.map(str::to_owned));
    smarthost.run();
    deliver(&smarthost);
    smarthost.daemon().stop();

    let other = directory.join("other");
    fs::create_dir(&other).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o700)).unwrap();
    smarthost.configure(&format!("{good}\nspool = \"other\""));
    smarthost.run();
    deliver(&smarthost);
    let log = smarthost
        .daemon()
        .wait_for_log("the last good configuration stays in force");
    let told = format!(
        "{} belongs to user 0, and user {NOBODY} cannot use it",
        other.display()
    );
    assert!(log.contains(&told), "{log}");
    assert!(log.contains(&format!("chown -R {NOBODY} ")), "{log}");
    until_true("both arrive", || arrived(&sink) == 2);

    // Its own one, too: what waited there is not lost, and goes with the rest.
    smarthost.configure(&good);
    smarthost.daemon().wait_for_log("reloaded ");
    smarthost.daemon().stop();
    chown(directory.join("spool"), Some(0), Some(0)).unwrap();
    smarthost.run();
    deliver(&smarthost);
    let log = smarthost.daemon().wait_for_log(QUEUED);
    assert!(log.contains("belongs to user 0"), "{log}");
    chown(directory.join("spool"), Some(NOBODY), Some(NOBODY)).unwrap();
    until_true("the third arrives", || arrived(&sink) == 3);
}
