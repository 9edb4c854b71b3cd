//! A table, a key or a secret that broke since the last good start: mail goes as before,
//! administrators hear of it, and the mended file is taken.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Output,
};

use tests::{identity, session::Session, sink::Sink, smarthost::Smarthost, wait::until};

/// All that was said.
fn text(output: &Output) -> String {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&said).into_owned()
}

fn subjects(sink: &Sink) -> Vec<String> {
    let journal = sink.journal();
    let messages = journal.messages();
    messages.iter().map(|it| it.field("Subject")).collect()
}

fn private(file: &Path) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

const STRANGER: &str = "127.0.0.66";

/// How a file breaks.
#[derive(Clone, Copy, Debug)]
enum Break {
    Mode,
    Gone,
    Empty,
    Directory,
}

/// A smarthost with a file of each sort.
fn furnished(sink: &Sink) -> Smarthost {
    let smarthost = Smarthost::prepare("maildir = \"none\"\n");
    let made = smarthost.admin(&["dkim", "new", "example.org", "--algorithm", "ed25519"]);
    assert!(made.status.success(), "{}", text(&made));
    for (name, content) in [
        ("srs", "abc123secret\n"),
        ("keys", "K = abc\n"),
        ("virtual", "v@example.com jane@far.example\n"),
        ("aliases", "fw: jane@far.example\n"),
    ] {
        smarthost.file(name, content);
        private(&smarthost.directory().join(name));
    }
    smarthost.configure(&format!(
        "relayhost = \"{}\"\nnetworks = [\"127.0.0.1\"]\nmaildir = \"none\"\ngreet_wait = \"0s\"\n\
         admins = [\"admins@far.example\"]\naliases = [\"aliases\"]\nvirtual = [\"virtual\"]\n\
         domains = {{ local = [\"example.org\"], virtual = [\"example.com\"] }}\n\
         srs = {{ domain = \"fwd.example\", secrets = \"./srs\" }}\n\
         dkim = [{{ domain = \"example.org\", selector = \"s1\", key = \"state/dkim/example.org.s1.pem\" }}]\n\
         dnsbl = {{ lists = [\"${{K}}.bl.example\"], keys = \"keys\" }}\n",
        sink.nexthop()
    ));
    smarthost
}

fn break_file(file: &Path, how: Break) {
    match how {
        Break::Mode => fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap(),
        Break::Gone => fs::remove_file(file).unwrap(),
        Break::Empty => identity::write(file, ""),
        Break::Directory => {
            fs::remove_file(file).unwrap();
            fs::create_dir(file).unwrap();
        }
    }
}

/// What leaves is signed, and has a rewritten sender, as before.
fn mail_goes(smarthost: &Smarthost, sink: &Sink, before: usize) {
    const MESSAGE: &[u8] = b"From: a@example.org\r\nSubject: own\r\n\r\nx\r\n";
    let mut own = Session::greeted(smarthost.address());
    own.delivers("a@example.org", &["x@far.example"], MESSAGE);
    let stranger = STRANGER.parse().unwrap();
    let mut stranger = Session::connect_from(stranger, smarthost.address()).ehlo();
    for to in ["fw@example.org", "v@example.com"] {
        stranger.delivers("s@ham.example", &[to], b"Subject: forwarded\r\n\r\nx\r\n");
    }
    let received = until("all three arrive", || {
        let all = sink.journal().messages();
        let new = all.into_iter().skip(before);
        let new: Vec<_> = new.filter(|it| !it.text().contains("is wrong")).collect();
        (new.len() == 3).then_some(new)
    });
    for it in received {
        if it.field("Subject") == "own" {
            assert!(it.text().contains("DKIM-Signature:"), "{}", it.text());
        } else {
            assert!(it.sender.starts_with("SRS0="), "{}", it.sender);
        }
    }
}

#[test]
fn with_a_file_that_broke_since_a_good_start_mail_goes_as_before_and_administrators_are_told_once()
{
    let key = "state/dkim/example.org.s1.pem";
    for (name, how) in [
        ("srs", Break::Mode),
        ("srs", Break::Gone),
        ("srs", Break::Empty),
        (key, Break::Mode),
        (key, Break::Gone),
        ("keys", Break::Gone),
        ("keys", Break::Empty),
        ("virtual", Break::Gone),
        ("aliases", Break::Gone),
        ("aliases", Break::Directory),
    ] {
        let sink = Sink::start();
        let mut smarthost = furnished(&sink);
        let file = smarthost.directory().join(name);
        let content = fs::read(&file).unwrap();
        smarthost.run();
        mail_goes(&smarthost, &sink, 0);
        break_file(&file, how);
        for round in 0..2 {
            smarthost.daemon().stop();
            smarthost.run();
            mail_goes(&smarthost, &sink, 3 * (round + 1) + usize::from(round > 0));
            until("the administrators are told", || {
                let told = subjects(&sink);
                told.iter().any(|it| it.contains("is wrong")).then_some(())
            });
        }
        let told = subjects(&sink);
        let of_it = told.iter().filter(|it| it.contains("is wrong"));
        assert_eq!(of_it.count(), 1, "{name} {how:?}: {told:?}");
        let status = text(&smarthost.admin(&["status"]));
        assert!(status.contains("the last good configuration"), "{status}");
        let check = smarthost.admin(&["check"]);
        let said = text(&check);
        assert!(!check.status.success() && said.contains(name), "{said}");
        // Mended, it is taken, and what it holds now.
        if file.is_dir() {
            fs::remove_dir(&file).unwrap();
        }
        identity::write(&file, &content);
        private(&file);
        smarthost.daemon().wait_for_log("reloaded ");
        mail_goes(&smarthost, &sink, 10);
    }
}

#[test]
fn an_alias_that_was_written_while_the_daemon_ran_is_known_when_its_file_breaks() {
    let sink = Sink::start();
    let mut smarthost = furnished(&sink);
    smarthost.run();
    smarthost.file("aliases", "fw: jane@far.example\nnew: joe@far.example\n");
    let heard = |smarthost: &Smarthost| {
        let stranger = STRANGER.parse().unwrap();
        let mut session = Session::connect_from(stranger, smarthost.address()).ehlo();
        session.say("MAIL FROM:<s@ham.example>");
        session.say("RCPT TO:<new@example.org>").code
    };
    until("it is known", || (heard(&smarthost) == 250).then_some(()));
    fs::remove_file(smarthost.directory().join("aliases")).unwrap();
    smarthost.daemon().kill();
    smarthost.run();
    assert_eq!(heard(&smarthost), 250);
    // The copies hold secrets, and only those of files that are named.
    let copies = smarthost.directory().join("state/files.last-good");
    let modes = fs::read_dir(&copies)
        .unwrap()
        .map(|it| it.unwrap().metadata().unwrap().mode());
    assert!(modes.into_iter().all(|mode| mode & 0o777 == 0o600));
    smarthost.file("aliases", "fw: jane@far.example\n");
    smarthost.daemon().wait_for_log("reloaded ");
    let before = fs::read_dir(&copies).unwrap().count();
    let config = fs::read_to_string(smarthost.config()).unwrap();
    let config = config.lines().filter(|line| !line.starts_with("srs = "));
    identity::write(&smarthost.config(), config.collect::<Vec<_>>().join("\n"));
    smarthost.daemon().signal(rustix::process::Signal::HUP);
    until("the secret's copy is gone", || {
        (fs::read_dir(&copies).unwrap().count() < before).then_some(())
    });
}

/// Whoever restarts the machine does not say by it that an emptied table is meant.
#[test]
fn a_table_that_was_emptied_or_became_faulty_refuses_nobody_after_a_restart_either() {
    for (name, content, line) in [
        ("aliases", "", "it is suddenly empty"),
        ("aliases", "# all gone\n", "it is suddenly empty"),
        (
            "aliases",
            "fw jane@far.example\nnew: joe@far.example\n",
            "aliases:1: ",
        ),
        ("virtual", "", "it is suddenly empty"),
        ("virtual", "v@example.com\n", "virtual:1: "),
    ] {
        let sink = Sink::start();
        let mut smarthost = furnished(&sink);
        let good = fs::read(smarthost.directory().join(name)).unwrap();
        smarthost.run();
        mail_goes(&smarthost, &sink, 0);
        smarthost.file(name, content);
        for round in 0..2 {
            smarthost.daemon().stop();
            smarthost.run();
            mail_goes(&smarthost, &sink, 3 * (round + 1) + usize::from(round > 0));
            let log = smarthost.daemon().log();
            assert!(log.contains(line), "{name} {content:?}: {log}");
            until("the administrators are told", || {
                let told = subjects(&sink);
                told.iter().any(|it| it.contains("is wrong")).then_some(())
            });
        }
        let check = smarthost.admin(&["check"]);
        assert!(!check.status.success(), "{}", text(&check));
        smarthost.file(name, std::str::from_utf8(&good).unwrap());
        smarthost.daemon().wait_for_log("reloaded ");
        mail_goes(&smarthost, &sink, 10);

        // An administrator who means it says so in the file.
        smarthost.file(name, "# empty\n");
        until("it is empty", || {
            let stranger = STRANGER.parse().unwrap();
            let mut session = Session::connect_from(stranger, smarthost.address()).ehlo();
            session.say("MAIL FROM:<s@ham.example>");
            let to = if name == "virtual" {
                "v@example.com"
            } else {
                "fw@example.org"
            };
            (session.say(&format!("RCPT TO:<{to}>")).code == 550).then_some(())
        });
        smarthost.daemon().stop();
        smarthost.run();
        assert!(!smarthost.daemon().log().contains("suddenly"));
    }
}

/// What strangers hear for the two addresses that tables lead on.
fn heard(smarthost: &Smarthost) -> [u16; 2] {
    let stranger = STRANGER.parse().unwrap();
    let mut session = Session::connect_from(stranger, smarthost.address()).ehlo();
    session.say("MAIL FROM:<s@ham.example>");
    ["fw@example.org", "v@example.com"].map(|to| session.say(&format!("RCPT TO:<{to}>")).code)
}

/// A second fault takes no copy away.
#[test]
fn with_two_files_wrong_at_once_a_restart_refuses_nobody() {
    type Fault = fn(&Smarthost);
    let faults: [(&str, Fault); 5] = [
        ("aliases emptied", |it| it.file("aliases", "")),
        ("aliases cut", |it| it.file("aliases", "fw jane")),
        ("virtual emptied", |it| it.file("virtual", "")),
        ("virtual gone", |it| {
            fs::remove_file(it.directory().join("virtual")).unwrap();
        }),
        ("a typo", |it| {
            let config = fs::read_to_string(it.config()).unwrap();
            identity::write(&it.config(), format!("{config}typo\n"));
        }),
    ];
    for (one, first) in faults {
        for (other, second) in faults {
            if one.split(' ').next() == other.split(' ').next() {
                continue;
            }
            let sink = Sink::start();
            let mut smarthost = furnished(&sink);
            smarthost.run();
            assert_eq!(heard(&smarthost), [250, 250]);
            first(&smarthost);
            second(&smarthost);
            smarthost.daemon().stop();
            smarthost.run();
            assert_eq!(heard(&smarthost), [250, 250], "{one}, {other}");
        }
    }
}

/// Nobody knows any more what the table held.
#[test]
fn where_table_and_copy_are_both_damaged_recipients_are_told_to_come_again() {
    for name in ["aliases", "virtual"] {
        let sink = Sink::start();
        let mut smarthost = furnished(&sink);
        let good = fs::read_to_string(smarthost.directory().join(name)).unwrap();
        smarthost.run();
        assert_eq!(heard(&smarthost), [250, 250]);
        smarthost.file(name, "");
        smarthost.daemon().stop();
        let copies = smarthost.directory().join("state/files.last-good");
        for copy in fs::read_dir(copies).unwrap() {
            identity::write(&copy.unwrap().path(), "");
        }
        smarthost.run();
        let told = heard(&smarthost);
        assert!(
            told.iter().all(|code| code / 100 == 4),
            "{name}: {told:?}: {}",
            smarthost.daemon().log()
        );
        let starts = |it: &mut Smarthost| it.daemon().log().matches(" listens on ").count();
        let before = starts(&mut smarthost);
        smarthost.file(name, &good);
        until("it has started anew", || {
            (starts(&mut smarthost) > before).then_some(())
        });
        assert_eq!(heard(&smarthost), [250, 250]);
    }
}

#[test]
fn a_configuration_that_is_emptied_under_a_daemon_is_a_mistake_and_no_wish_for_the_defaults() {
    let sink = Sink::start();
    let mut smarthost = furnished(&sink);
    let good = fs::read(smarthost.config()).unwrap();
    smarthost.run();
    identity::write(&smarthost.config(), " \n");
    let daemon = smarthost.daemon();
    daemon.signal(rustix::process::Signal::HUP);
    daemon.wait_for_log("is gone or empty");
    assert_eq!(heard(&smarthost), [250, 250]);
    identity::write(&smarthost.config(), &good);
    smarthost.daemon().wait_for_log("reloaded ");
    assert_eq!(heard(&smarthost), [250, 250]);
}

/// Nobody has to reload for it, and nothing is told twice.
#[test]
fn a_table_that_breaks_under_a_daemon_is_told_by_status_check_and_one_mail_with_all_that_is_wrong()
{
    let sink = Sink::start();
    let mut smarthost = furnished(&sink);
    smarthost.run();
    assert_eq!(heard(&smarthost), [250, 250]);
    let status = |smarthost: &Smarthost| text(&smarthost.admin(&["status"]));
    let wrong = || {
        let told = sink.journal().messages().into_iter();
        told.filter(|it| it.field("Subject").contains("is wrong"))
            .map(|it| it.text())
            .collect::<Vec<_>>()
    };
    smarthost.file("aliases", "fw jane@far.example\n");
    smarthost.file("virtual", "");
    until("status tells of both", || {
        status(&smarthost).contains("(and one more)").then_some(())
    });
    let both = until("administrators are told", || wrong().pop());
    assert!(
        both.contains("aliases:1: ") && both.contains("suddenly empty"),
        "{both}"
    );
    let check = smarthost.admin(&["check"]);
    let said = text(&check);
    assert!(!check.status.success(), "{said}");
    assert!(
        said.contains("aliases:1: ") && said.contains("virtual: it is suddenly empty"),
        "{said}"
    );
    assert_eq!(heard(&smarthost), [250, 250], "what was read before stays");

    // A restart or a reload says nothing new; what is mended is no news.
    smarthost.daemon().stop();
    smarthost.run();
    let reload = smarthost.admin(&["reload"]);
    assert!(!reload.status.success() && text(&reload).contains("suddenly empty"));
    smarthost.file("aliases", "fw: jane@far.example\n");
    until("one is left", || {
        let told = status(&smarthost);
        (!told.contains("aliases:1: ")).then_some(())
    });
    smarthost.file("virtual", "v@example.com jane@far.example\n");
    until("all is right", || {
        (!status(&smarthost).contains("last good")).then_some(())
    });
    assert_eq!(wrong().len(), 1, "{:?}", wrong());
    assert_eq!(heard(&smarthost), [250, 250]);
}
