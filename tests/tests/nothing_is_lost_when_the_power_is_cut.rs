//! The power is cut at random moments under load, on ext4, xfs and btrfs, on a disk that forgets
//! and tears what was not flushed: what was answered 250 is in the queue, or was delivered.
//!
//! `POWER_CUTS=100` cuts so often on each file system, and tells how it went (`tests/disk/run`).
//! That the test would notice is shown too: with the daemon's syncs taken away, it must.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::SocketAddr,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tests::{
    disk::{Disk, Filesystem, without_syncs},
    luck::{number, random},
    session::Session,
    sink::{Received, Script, Sink},
    smarthost::Smarthost,
    wait::{free_address, until_true},
};

const SENDERS: usize = 6;
/// Most messages that are answered 250 before a cut.
const BETWEEN: usize = 60;
/// How long after a delivery its result may not be on the disk yet: the spool's linger, and what a
/// slow and busy machine adds.
const IN_FLIGHT: Duration = Duration::from_secs(3);

/// How often the power is cut, and whether somebody wants to read how it went.
fn cuts() -> usize {
    usize::try_from(number("POWER_CUTS", 2)).unwrap()
}

/// Messages that were answered 250, by name: their text.
#[derive(Default)]
struct Accepted {
    texts: Mutex<BTreeMap<String, String>>,
    over: AtomicBool,
}

impl Accepted {
    fn add(&self, name: String, text: String) {
        self.texts.lock().unwrap().insert(name, text);
    }

    fn over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

/// Small ones, and now and then one whose body is a file of its own.
fn text(name: &str) -> String {
    let length = match random(25) {
        0 => 300_000,
        _ => random(6000),
    };
    let line = format!("{name} {}\r\n", random(1_000_000));
    line.repeat(length / line.len() + 1)
}

fn send(server: SocketAddr, round: usize, sender: usize, accepted: &Accepted) {
    let mut nth = 0;
    while !accepted.over() {
        let Ok(mut session) = Session::try_greeted(server) else {
            continue;
        };
        loop {
            nth += 1;
            let name = format!("{round}-{sender}-{nth}");
            let text = text(&name);
            let message = format!("Subject: {name}\r\n\r\n{text}");
            match session.mail("a@example.org", &["b@example.net"], message.as_bytes()) {
                Ok(reply) if reply.code == 250 => accepted.add(name, text),
                Ok(_) | Err(_) => break,
            }
        }
    }
}

/// A relay on a disk, and the next hop that it has.
struct World {
    smarthost: Smarthost,
    relay: SocketAddr,
    disk: Disk,
    told: Told,
}

/// What the next hop does before a cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NextHop {
    Takes,
    Defers,
}

/// What came of a cut.
struct Cut {
    accepted: Accepted,
    /// What was delivered before.
    delivered: Vec<Received>,
    at: Instant,
}

/// What there is to tell afterwards.
#[derive(Debug, Default)]
struct Told {
    cuts: usize,
    accepted: usize,
    again: usize,
    torn: usize,
    sectors_lost: usize,
}

/// What must not be.
#[derive(Debug)]
struct Wrong(String);

impl World {
    fn on(kind: Filesystem) -> Option<Self> {
        let disk = Disk::with(kind)?;
        let relay = free_address();
        let smarthost = disk.smarthost(relay);
        Some(Self {
            smarthost,
            relay,
            disk,
            told: Told::default(),
        })
    }

    fn start(&mut self) {
        self.smarthost.run_within(self.disk.inside());
        self.smarthost.run();
    }

    fn start_without_syncs(&mut self, library: &Path) {
        let preload = format!("LD_PRELOAD={}", library.display());
        let words = self.disk.inside().into_iter();
        self.smarthost
            .run_within(words.chain(["env".to_owned(), preload]));
        self.smarthost.run();
    }

    /// Mail comes and goes until the power is cut.
    fn load_and_cut(&mut self, seed: usize, next_hop: NextHop) -> Cut {
        let mut script = Script::default();
        if next_hop == NextHop::Defers {
            script.answers = vec![("MAIL".to_owned(), "451 4.3.0 later".to_owned())];
        }
        let sink = Sink::on(self.relay, script);
        let flush = [0, 0, 1, 5, 20][random(5)];
        self.disk.order(&format!("flush {flush}"));
        let accepted = Accepted::default();
        let (server, enough) = (self.smarthost.address(), 1 + random(BETWEEN));
        // Now and then for so long that what was delivered first must not be delivered again.
        let least = [IN_FLIGHT * 2, Duration::ZERO][random(6).min(1)];
        let (began, round) = (Instant::now(), self.told.cuts);
        let at = thread::scope(|scope| {
            for sender in 0..SENDERS {
                let accepted = &accepted;
                scope.spawn(move || send(server, round, sender, accepted));
            }
            until_true("mail is accepted", || {
                accepted.texts.lock().unwrap().len() >= enough && began.elapsed() >= least
            });
            let at = Instant::now();
            let lost = self.disk.order(&format!("cut {seed}"));
            accepted.over.store(true, Ordering::SeqCst);
            self.smarthost.kill();
            let lost = lost.rsplit(' ').next().unwrap();
            self.told.sectors_lost += lost.parse::<usize>().unwrap();
            at
        });
        self.told.cuts += 1;
        Cut {
            accepted,
            delivered: sink.journal().messages(),
            at,
        }
    }

    /// The machine starts, and delivers all that it has; and what it says of damage for which a cut
    /// is no cause.
    fn start_and_deliver(&mut self) -> (Vec<Received>, Vec<String>) {
        self.disk.order("flush 0");
        self.disk.remount();
        let sink = Sink::on(self.relay, Script::default());
        self.start();
        until_true("the queue is empty", || {
            self.smarthost.admin(&["queue", "flush"]);
            self.smarthost.mailq().contains("Mail queue is empty")
        });
        let log = self.smarthost.daemon().log();
        self.told.torn += log.matches("its end is torn").count();
        let torn = ["its end is torn", "has no record, moved to"];
        let alarm = "damaged parts of the queue";
        let of_damage = |line: &&str| {
            let known = torn.iter().any(|known| line.contains(known));
            line.contains("spool: ") && !known || line.contains(alarm)
        };
        let damage = log.lines().filter(of_damage).map(str::to_owned);
        (sink.journal().messages(), damage.collect())
    }

    /// One cut, and what came of it.
    fn round(&mut self, seed: usize, next_hop: NextHop) -> Result<(), Wrong> {
        let cut = self.load_and_cut(seed, next_hop);
        let accepted = cut.accepted.texts.into_inner().unwrap();
        let (after, damage) = self.start_and_deliver();
        let after = by_name(after)?;
        let before = by_name(cut.delivered)?;
        self.told.accepted += accepted.len();
        let lost: Vec<_> = accepted
            .keys()
            .filter(|name| !before.contains_key(*name) && !after.contains_key(*name))
            .collect();
        if !lost.is_empty() {
            let (lost, of) = (lost.len(), accepted.len());
            return Err(Wrong(format!("{lost} of {of} lost")));
        }
        if !damage.is_empty() {
            return Err(Wrong(format!("damage without a cause: {damage:?}")));
        }
        for (name, message) in before.iter().chain(&after) {
            let text = accepted.get(name);
            if text.is_some_and(|text| message.body() != *text) {
                return Err(Wrong(format!("{name} has another text")));
            }
        }
        for (name, first) in before {
            let again = after.contains_key(&name);
            self.told.again += usize::from(again);
            if again && first.at + IN_FLIGHT < cut.at {
                let ago = cut.at - first.at;
                return Err(Wrong(format!(
                    "{name} was delivered {ago:?} before the cut, and again"
                )));
            }
        }
        Ok(())
    }
}

/// In one life of the daemon nothing is delivered twice.
fn by_name(messages: Vec<Received>) -> Result<BTreeMap<String, Received>, Wrong> {
    let mut names = BTreeMap::new();
    for message in messages {
        let name = message.field("subject");
        if names.insert(name.clone(), message).is_some() {
            return Err(Wrong(format!("{name} was delivered twice")));
        }
    }
    Ok(names)
}

fn nothing_is_lost_on(kind: Filesystem) {
    let Some(mut world) = World::on(kind) else {
        return;
    };
    world.start();
    for _ in 0..cuts() {
        let seed = random(1_000_000_000);
        let next_hop = [NextHop::Takes, NextHop::Defers][random(2)];
        if let Err(Wrong(what)) = world.round(seed, next_hop) {
            panic!("{kind:?}, cut {} (seed {seed}): {what}", world.told.cuts);
        }
    }
    assert!(world.told.accepted >= world.told.cuts);
    let _ = writeln!(std::io::stderr(), "{kind:?}: {:?}", world.told);
}

#[test]
fn nothing_is_lost_on_ext4() {
    nothing_is_lost_on(Filesystem::Ext4);
}

#[test]
fn nothing_is_lost_on_xfs() {
    nothing_is_lost_on(Filesystem::Xfs);
}

#[test]
fn nothing_is_lost_on_btrfs() {
    nothing_is_lost_on(Filesystem::Btrfs);
}

/// The proof that the tests above would notice.
fn it_is_noticed_on(kind: Filesystem) {
    let directory = tempfile::tempdir().unwrap();
    let (Some(mut world), Some(library)) = (World::on(kind), without_syncs(directory.path()))
    else {
        return;
    };
    world.start();
    for _ in 0..3 {
        world.smarthost.daemon().stop();
        world.start_without_syncs(&library);
        if let Err(Wrong(what)) = world.round(random(1_000_000_000), NextHop::Defers) {
            assert!(what.ends_with(" lost"), "{kind:?}: {what}");
            let _ = writeln!(std::io::stderr(), "{kind:?}, without syncs: {what}");
            return;
        }
    }
    panic!("{kind:?}: without syncs nothing was lost: {:?}", world.told);
}

#[test]
fn a_daemon_that_does_not_sync_is_noticed_on_ext4() {
    it_is_noticed_on(Filesystem::Ext4);
}

#[test]
fn a_daemon_that_does_not_sync_is_noticed_on_xfs() {
    it_is_noticed_on(Filesystem::Xfs);
}

#[test]
fn a_daemon_that_does_not_sync_is_noticed_on_btrfs() {
    it_is_noticed_on(Filesystem::Btrfs);
}
