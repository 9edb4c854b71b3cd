//! ext4, xfs and btrfs on a disk of ours that has no room, no inodes, or fails for a while: mail is
//! refused before it is accepted, what was accepted outlives a power cut on top of it, and mail is
//! taken again when the disk works.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    net::SocketAddr,
    os::unix::fs::symlink,
};

use tests::{
    agent::{Agent, config},
    disk::{Disk, Filesystem, fill},
    session::Session,
    sink::{Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

/// A relay on a disk, whose next hop is away until somebody looks.
struct World {
    smarthost: Smarthost,
    relay: SocketAddr,
    disk: Disk,
    /// Names of what was answered 250.
    accepted: BTreeSet<String>,
    sent: usize,
}

impl World {
    fn on(kind: Filesystem) -> Option<Self> {
        let disk = Disk::with(kind)?;
        let relay = free_address();
        let mut smarthost = disk.smarthost(relay);
        smarthost.run();
        let mut world = Self {
            smarthost,
            relay,
            disk,
            accepted: BTreeSet::new(),
            sent: 0,
        };
        for size in [10, 300_000, 3000] {
            assert_eq!(world.send(size), 250);
        }
        Some(world)
    }

    /// Sends a message with a body of that size; the last reply's code.
    fn send(&mut self, size: usize) -> u16 {
        self.sent += 1;
        let name = format!("message-{}", self.sent);
        let lines = "in lines of forty bytes with their ends\r\n".repeat(size / 41 + 1);
        let text = format!("Subject: {name}\r\n\r\n{lines}");
        let mut session = Session::greeted(self.smarthost.address());
        let reply = session.mail("a@example.org", &["b@example.net"], text.as_bytes());
        let code = reply.unwrap().code;
        if code == 250 {
            self.accepted.insert(name);
        }
        code
    }

    /// The power is cut and comes back, the daemon starts, and all that was accepted is delivered.
    fn all_is_delivered_after_a_cut(&mut self) {
        self.disk.order("cut 1");
        self.smarthost.kill();
        self.disk.remount();
        self.smarthost.run();
        self.all_is_delivered();
    }

    fn all_is_delivered(&mut self) {
        let sink = Sink::on(self.relay, Script::default());
        until_true("all that was accepted is delivered", || {
            self.smarthost.admin(&["queue", "flush"]);
            let all = sink.journal().messages();
            let delivered: BTreeSet<_> = all.iter().map(|it| it.field("subject")).collect();
            self.accepted.is_subset(&delivered)
        });
        // The next sink knows nothing of them.
        self.accepted.clear();
        self.smarthost
            .wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
    }
}

fn a_full(kind: Filesystem) {
    let Some(mut world) = World::on(kind) else {
        return;
    };
    fill(&world.disk.file("filler"));
    let refused = until("the full disk is noticed", || {
        Some(world.send(3000)).filter(|code| *code != 250)
    });
    assert_eq!(refused, 452);
    world.all_is_delivered_after_a_cut();
    fs::remove_file(world.disk.file("filler")).unwrap();
    until_true("mail is taken again", || world.send(3000) == 250);
    world.all_is_delivered();
}

#[test]
fn a_full_disk_loses_nothing_on_ext4() {
    a_full(Filesystem::Ext4);
}

#[test]
fn a_full_disk_loses_nothing_on_xfs() {
    a_full(Filesystem::Xfs);
}

#[test]
fn a_full_disk_loses_nothing_on_btrfs() {
    a_full(Filesystem::Btrfs);
}

/// How often each of these messages has arrived.
fn arrivals(sink: &Sink) -> BTreeMap<String, usize> {
    let mut arrivals = BTreeMap::new();
    for message in sink.journal().messages() {
        *arrivals.entry(message.field("subject")).or_default() += 1;
    }
    arrivals
}

/// What goes without a record of its end goes again after the next start: as long as none can be
/// made, it waits, and that is told.
#[test]
fn on_a_disk_that_stays_full_over_restarts_a_smarthost_delivers_nothing_twice() {
    for restarts in 1..=2 {
        let Some(mut world) = World::on(Filesystem::Ext4) else {
            return;
        };
        for _ in 0..30 {
            assert_eq!(world.send(10), 250);
        }
        fill(&world.disk.file("filler"));
        for restart in 0..restarts {
            assert!(world.smarthost.daemon().stop().success());
            world.smarthost.run();
            fill(&world.disk.file(&format!("filler{restart}")));
        }
        let sink = Sink::on(world.relay, Script::default());
        until_true("all goes, or it is told why none does", || {
            world.smarthost.admin(&["queue", "flush"]);
            let status = world.smarthost.admin(&["status"]).stdout;
            let waits = String::from_utf8_lossy(&status).contains("no mail goes out");
            waits || arrivals(&sink).len() == world.accepted.len()
        });
        world.smarthost.daemon().stop();
        for name in ["filler", "filler0", "filler1"] {
            let _ = fs::remove_file(world.disk.file(name));
        }
        world.smarthost.run();
        until_true("all goes", || {
            world.smarthost.admin(&["queue", "flush"]);
            arrivals(&sink).len() == world.accepted.len()
        });
        world
            .smarthost
            .wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
        let twice: Vec<_> = arrivals(&sink).into_iter().filter(|it| it.1 > 1).collect();
        assert_eq!(twice, [], "{restarts} restarts");
    }
}

#[test]
fn on_a_disk_that_stays_full_over_restarts_an_agent_delivers_nothing_twice() {
    const MANY: usize = 30;
    for restarts in 1..=2 {
        let Some(disk) = Disk::with(Filesystem::Ext4) else {
            return;
        };
        let relay = free_address();
        let retry = "retry = { minimal = \"1s\", maximal = \"2s\" }\n";
        let mut machine = Agent::prepare(&config(&nexthop(relay), retry));
        fs::create_dir(disk.file("spool")).unwrap();
        symlink(disk.file("spool"), machine.directory().join("spool")).unwrap();
        machine.run();
        for number in 0..MANY {
            let text = format!("Subject: message-{number}\n\nx\n");
            machine.send(&["b@example.net"], text);
        }
        fill(&disk.file("filler"));
        for restart in 0..restarts {
            assert!(machine.daemon().stop().success());
            machine.run();
            fill(&disk.file(&format!("filler{restart}")));
        }
        let sink = Sink::on(relay, Script::default());
        let flush = |machine: &Agent| machine.admin(&["queue", "flush"]);
        until_true("all goes, or it is told why none does", || {
            flush(&machine);
            let status = machine.admin(&["status"]).stdout;
            let waits = String::from_utf8_lossy(&status).contains("no mail goes out");
            waits || arrivals(&sink).len() == MANY
        });
        machine.daemon().stop();
        for name in ["filler", "filler0", "filler1"] {
            let _ = fs::remove_file(disk.file(name));
        }
        machine.run();
        until_true("all goes", || {
            flush(&machine);
            arrivals(&sink).len() == MANY
        });
        machine.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
        let twice: Vec<_> = arrivals(&sink).into_iter().filter(|it| it.1 > 1).collect();
        assert_eq!(twice, [], "{restarts} restarts");
        machine.daemon().stop();
    }
}

/// A large message needs a file of its own.
fn a_disk_without_inodes(kind: Filesystem) {
    let Some(mut world) = World::on(kind) else {
        return;
    };
    let many = world.disk.file("many");
    fs::create_dir(&many).unwrap();
    let created = (0..).take_while(|name| File::create(many.join(name.to_string())).is_ok());
    assert!(created.count() > 100);
    let refused = until("that there are no inodes is noticed", || {
        Some(world.send(300_000)).filter(|code| *code != 250)
    });
    assert_eq!(refused, 452);
    // One that needs none may be taken: then it is there.
    world.send(3000);
    world.all_is_delivered_after_a_cut();
    // What the cut has left of them.
    let _ = fs::remove_dir_all(world.disk.file("many"));
    until_true("large mail is taken again", || world.send(300_000) == 250);
    world.all_is_delivered();
}

#[test]
fn a_disk_without_inodes_loses_nothing_on_ext4() {
    a_disk_without_inodes(Filesystem::Ext4);
}

#[test]
fn a_disk_without_inodes_loses_nothing_on_xfs() {
    a_disk_without_inodes(Filesystem::Xfs);
}

/// A file system may end its work when its disk fails; then it must be mounted again.
fn is_alive(disk: &Disk) -> bool {
    let probe = File::create(disk.file("probe"));
    probe.is_ok_and(|file| file.sync_all().is_ok())
}

fn a_failing(kind: Filesystem, what: &str) {
    let Some(mut world) = World::on(kind) else {
        return;
    };
    world.disk.order(&format!("fail {what}"));
    for size in [10, 300_000, 3000, 10] {
        let code = world.send(size);
        assert!((400..500).contains(&code), "{code} while {what} fail");
    }
    world.disk.order("work");
    if !is_alive(&world.disk) {
        world.smarthost.kill();
        world.disk.remount();
        world.smarthost.run();
    }
    for size in [10, 300_000, 3000] {
        until_true("mail is taken again", || world.send(size) == 250);
    }
    world.all_is_delivered_after_a_cut();
}

#[test]
fn flushes_that_fail_for_a_while_lose_nothing_on_ext4() {
    a_failing(Filesystem::Ext4, "flushes");
}

#[test]
fn flushes_that_fail_for_a_while_lose_nothing_on_xfs() {
    a_failing(Filesystem::Xfs, "flushes");
}

#[test]
fn flushes_that_fail_for_a_while_lose_nothing_on_btrfs() {
    a_failing(Filesystem::Btrfs, "flushes");
}

#[test]
fn writes_that_fail_for_a_while_lose_nothing_on_ext4() {
    a_failing(Filesystem::Ext4, "writes");
}

#[test]
fn writes_that_fail_for_a_while_lose_nothing_on_xfs() {
    a_failing(Filesystem::Xfs, "writes");
}

#[test]
fn writes_that_fail_for_a_while_lose_nothing_on_btrfs() {
    a_failing(Filesystem::Btrfs, "writes");
}

#[test]
fn while_the_disk_hangs_no_delivery_begins_and_afterwards_each_message_goes_out_once() {
    let Some(mut world) = World::on(Filesystem::Ext4) else {
        return;
    };
    let later = Script {
        recipients: vec![("b@example.net".to_owned(), "451 4.2.1 Later".to_owned())],
        ..Script::default()
    };
    let sink = Sink::on(world.relay, later);
    let attempts = || sink.journal().times_asked_for("b@example.net");
    until_true("mail is tried", || attempts() >= world.accepted.len());
    // What is noted of an attempt is not on disk from now on.
    world.disk.order("hang");
    let alarm = || {
        let output = world.smarthost.admin(&["status"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.contains("has not answered since")
    };
    until_true("status says that the disk hangs", alarm);
    sink.play(Script::default());
    sink.hang_up();
    let before = attempts();
    for (order, becomes) in [
        ("flush", "to be tried when the queue can be written again"),
        ("hold", "done, but not on disk yet"),
        ("release", "done, but not on disk yet"),
    ] {
        let output = world.smarthost.admin(&["queue", order, "--all"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(becomes), "{order}: {told}");
        assert!(told.contains("does not answer: look at the disk"), "{told}");
        assert_eq!(output.status.code(), Some(1), "{order}: {told}");
    }
    sink.journal().wait_a_moment();
    assert_eq!(attempts(), before, "attempts while the disk hangs");
    world.disk.order("work");
    until_true("the alarm is over", || !alarm());
    let all_went = || {
        let all = sink.journal().messages();
        let names: BTreeSet<_> = all.iter().map(|it| it.field("subject")).collect();
        names == world.accepted
    };
    until_true("all goes out once the disk answers", all_went);
    let smarthost = &world.smarthost;
    smarthost.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
    // When an order is answered, all is on disk.
    world.smarthost.admin(&["queue", "flush"]);
    world.smarthost.kill();
    world.smarthost.run();
    assert!(world.smarthost.mailq().contains("Mail queue is empty"));
    assert_eq!(sink.journal().len(), world.accepted.len());
}
