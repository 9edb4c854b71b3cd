//! A file of the queue that cannot be read when a program starts: it says which and what to do,
//! what may have been delivered does not go again, and as soon as the file can be read, its mail
//! goes on, with nobody who restarts anything.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Output,
};

use rustix::fs::rename;
use tests::{
    agent::{Agent, config},
    session::Session,
    sink::{Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until_true},
};

const QUICK: &str = "retry = { minimal = \"1s\", maximal = \"1s\" }\n";

trait Program {
    fn run(&mut self);
    fn stop(&mut self);
    fn send(&self, to: &str);
    fn admin(&self, words: &[&str]) -> Output;
    fn mailq(&self) -> String;
    fn spool(&self) -> PathBuf;
}

impl Program for Smarthost {
    fn run(&mut self) {
        self.run();
    }

    fn stop(&mut self) {
        self.daemon().stop();
    }

    fn send(&self, to: &str) {
        let text = format!("Subject: to {to}\r\n\r\nhello\r\n");
        Session::greeted(self.address()).delivers("me@example.org", &[to], text.as_bytes());
    }

    fn admin(&self, words: &[&str]) -> Output {
        self.admin(words)
    }

    fn mailq(&self) -> String {
        self.mailq()
    }

    fn spool(&self) -> PathBuf {
        self.directory().join("spool")
    }
}

impl Program for Agent {
    fn run(&mut self) {
        self.run();
    }

    fn stop(&mut self) {
        self.daemon().stop();
    }

    fn send(&self, to: &str) {
        let text = format!("Subject: to {to}\n\nhello\n");
        self.send(&["-f", "me@example.org", to], text);
    }

    fn admin(&self, words: &[&str]) -> Output {
        self.admin(words)
    }

    fn mailq(&self) -> String {
        self.mailq()
    }

    fn spool(&self) -> PathBuf {
        self.directory().join("spool")
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// The file that was begun last.
fn newest(spool: &Path) -> PathBuf {
    let segments = fs::read_dir(spool.join("segments")).unwrap();
    let segments = segments.map(|entry| entry.unwrap().path());
    let is_segment = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().contains('-');
    segments.filter(is_segment).max().unwrap()
}

fn comes_back(program: &mut dyn Program, relay: std::net::SocketAddr) {
    program.send("kept@example.net");
    assert!(program.admin(&["queue", "hold", "--all"]).status.success());
    program.send("sent@example.net");
    program.stop();
    let sink = Sink::on(relay, Script::default());
    program.run();
    let arrived = |to: &str| {
        let messages = sink.journal().messages();
        messages.iter().filter(|it| it.recipients == [to]).count()
    };
    until_true("one has gone", || {
        arrived("sent@example.net") == 1 && !program.mailq().contains("sent@example.net")
    });
    sink.hang_up();
    drop(sink);
    program.send("later@example.net");
    assert!(program.admin(&["queue", "hold", "--all"]).status.success());
    program.stop();
    // As a mount leaves it that is not there.
    let (segment, aside) = (newest(&program.spool()), program.spool().join("aside"));
    rename(&segment, &aside).unwrap();
    symlink("/nowhere", &segment).unwrap();

    let sink = Sink::on(relay, Script::default());
    let arrived = |to: &str| {
        let messages = sink.journal().messages();
        messages.iter().filter(|it| it.recipients == [to]).count()
    };
    program.run();
    let file = segment.display().to_string();
    for command in ["status", "check"] {
        let told = said(&program.admin(&[command]));
        assert!(
            told.contains("1 segments of the queue"),
            "{command}: {told}"
        );
        assert!(told.contains(&file), "{command}: {told}");
    }
    program.send("new@example.net");
    until_true("new mail goes", || arrived("new@example.net") == 1);
    until_true("what is in doubt is told", || {
        program
            .mailq()
            .contains("whether it was delivered is not known")
    });
    let before = program.mailq();
    assert!(before.contains("sent@example.net") && !before.contains("later@example.net"));
    rename(&aside, &segment).unwrap();
    until_true("its mail is back", || {
        // Nobody answers while it starts anew.
        let after = said(&program.admin(&["queue", "list"]));
        after.contains("later@example.net") && !after.contains("sent@example.net")
    });
    let told = said(&program.admin(&["status"]));
    assert!(!told.contains(&file), "{told}");
    assert!(
        program
            .admin(&["queue", "release", "--all"])
            .status
            .success()
    );
    until_true("all is gone", || program.mailq().contains("empty"));
    let each = ["sent", "kept", "later", "new"].map(|name| arrived(&format!("{name}@example.net")));
    assert_eq!(each, [0, 1, 1, 1]);
}

#[test]
fn a_smarthost_takes_back_a_file_of_its_queue_by_itself_and_nothing_twice() {
    let relay = free_address();
    let mut smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\n{QUICK}",
        nexthop(relay)
    ));
    comes_back(&mut smarthost, relay);
}

#[test]
fn an_agent_takes_back_a_file_of_its_queue_by_itself_and_nothing_twice() {
    let relay = free_address();
    let mut machine = Agent::start(&config(&nexthop(relay), QUICK));
    comes_back(&mut machine, relay);
}
