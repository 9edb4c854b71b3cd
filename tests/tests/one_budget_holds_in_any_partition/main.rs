//! Three smarthosts with one budget, and all that can happen between them and the store, drawn from
//! a seed: lines that are silent or refused, a store that stands still or forgets, servers that are
//! killed or stopped. What they took is counted where it arrives.
//!
//! Row A4 for several servers: with `defer` no limit is ever passed, with `share` by no more than
//! `status` says; and no accepted message is lost. `BUDGET_SEEDS=200 cargo test --release -p tests
//! --test one_budget_holds_in_any_partition -- --nocapture` lives so many, and prints the slowest
//! answers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use spool::simulation::Random;
use tests::{
    luck::number,
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    store::{Line, Passing, Store},
    wait::until_true,
};

const NODES: usize = 3;
const LIMIT: usize = 24;
const STEPS: usize = 24;
const CLIENT: &str = "127.0.0.5";

struct World {
    store: Store,
    lines: Vec<Line>,
    sink: Sink,
    site: Vec<Smarthost>,
    /// Messages that were answered 250.
    taken: BTreeSet<String>,
    /// Messages that were brought.
    brought: usize,
    /// How long each answer to a sender took.
    answers: Vec<Duration>,
    story: String,
}

impl World {
    fn new(on_outage: &str) -> Option<Self> {
        let (store, sink) = (Store::start()?, Sink::start());
        let lines: Vec<_> = (0..NODES).map(|_| Line::to(&store)).collect();
        let site = lines.iter().enumerate().map(|(node, line)| {
            Smarthost::start(&format!(
                "networks = [\"127.0.0.0/8\"]\nlimits = {{ per_client = [\"{LIMIT}/day\"] }}\nrelayhost = \"{}\"\n\
                 budget = {{ store = \"{}\", node = \"mx{node}\", nodes = {NODES}, on_outage = \"{on_outage}\" }}\n",
                sink.nexthop(),
                line.url(),
            ))
        });
        let site = site.collect();
        let world = Self {
            store,
            lines,
            sink,
            site,
            taken: BTreeSet::new(),
            brought: 0,
            answers: Vec::new(),
            story: String::new(),
        };
        world.wait_for_all();
        Some(world)
    }

    fn wait_for_all(&self) {
        for smarthost in &self.site {
            until_true("all meet in the store", || {
                let status = smarthost.admin(&["status"]);
                String::from_utf8_lossy(&status.stdout).contains("3 smarthosts")
            });
        }
    }

    /// A client brings so many messages to one of the servers.
    fn bring(&mut self, node: usize, count: usize) -> usize {
        let address = self.site[node].address();
        let mut session = Session::connect_from(CLIENT.parse().unwrap(), address).ehlo();
        let mut taken = 0;
        for _ in 0..count {
            let asked = Instant::now();
            let reply = session.say("MAIL FROM:<app@example.org>");
            self.answers.push(asked.elapsed());
            if reply.code != 250 {
                continue;
            }
            let asked = Instant::now();
            let reply = session.say("RCPT TO:<user@example.net>");
            self.answers.push(asked.elapsed());
            if reply.code != 250 {
                session.say("RSET");
                continue;
            }
            assert_eq!(session.say("DATA").code, 354);
            self.brought += 1;
            let subject = self.brought.to_string();
            let text = format!("Subject: {subject}\r\n\r\nbuy\r\n.\r\n");
            session.send(text.as_bytes()).unwrap();
            if session.reply().code == 250 {
                taken += 1;
                self.taken.insert(subject);
            }
        }
        taken
    }

    fn step(&mut self, dice: &mut Random) {
        let node = below(dice, NODES);
        match below(dice, 12) {
            0..=5 => {
                let count = 1 + below(dice, 5);
                let taken = self.bring(node, count);
                writeln!(self.story, "mx{node} takes {taken} of {count}").unwrap();
            }
            6 => self.pass(node, Passing::Nothing),
            7 => self.pass(node, Passing::Refused),
            8 => self.pass(node, Passing::All),
            9 => {
                self.site[node].kill();
                self.site[node].run();
                writeln!(self.story, "mx{node} is killed and started").unwrap();
            }
            10 => {
                self.store.say("FLUSHALL");
                writeln!(self.story, "the store forgets all").unwrap();
            }
            _ => {
                self.store.signal(Signal::STOP);
                let count = 1 + below(dice, 3);
                let taken = self.bring(node, count);
                self.store.signal(Signal::CONT);
                writeln!(
                    self.story,
                    "the store stands still, mx{node} takes {taken} of {count}"
                )
                .unwrap();
            }
        }
    }

    fn pass(&mut self, node: usize, passing: Passing) {
        self.lines[node].let_pass(passing);
        writeln!(self.story, "the line of mx{node} passes {passing:?}").unwrap();
    }
}

fn below(dice: &mut Random, end: usize) -> usize {
    usize::try_from(dice.next() % end as u64).unwrap()
}

/// What was taken in one life, and how slow the answers were.
fn lives(seed: u64, on_outage: &str, most: usize) -> Option<Vec<Duration>> {
    let mut world = World::new(on_outage)?;
    let mut dice = Random(seed);
    for _ in 0..STEPS {
        world.step(&mut dice);
    }
    // At the end all meet again, and together they have no more than they had.
    for line in &world.lines {
        line.let_pass(Passing::All);
    }
    world.wait_for_all();
    for node in 0..NODES {
        world.bring(node, LIMIT);
    }
    let (taken, story) = (world.taken.len(), &world.story);
    assert!(
        taken <= most,
        "seed {seed}, {on_outage}: {taken} of {LIMIT}, at most {most}\n{story}"
    );
    // Of a server that was killed some may arrive twice.
    until_true("all that was taken arrives", || {
        let arrived = world.sink.journal().messages().into_iter();
        let arrived: BTreeSet<_> = arrived.map(|it| it.field("subject")).collect();
        world.taken.is_subset(&arrived)
    });
    Some(world.answers)
}

#[test]
fn three_servers_pass_no_limit_whatever_happens_between_them_and_the_store() {
    let (first, seeds) = (number("BUDGET_FIRST", 1), number("BUDGET_SEEDS", 2));
    // (2 - 1/n) times the limit.
    let shared = LIMIT * (2 * NODES - 1) / NODES;
    let mut answers = Vec::new();
    for seed in first..first + seeds {
        for (on_outage, most) in [("defer", LIMIT), ("share", shared)] {
            let Some(of_one) = lives(seed, on_outage, most) else {
                return;
            };
            answers.extend(of_one);
        }
    }
    answers.sort_unstable();
    let slowest = |part: usize| answers[(answers.len() - 1) * part / 1000];
    println!(
        "{seeds} seeds from {first}, twice each: no limit passed, nothing lost; {} answers: half within {:?}, \
         999 of 1000 within {:?}, all within {:?}",
        answers.len(),
        slowest(500),
        slowest(999),
        slowest(1000),
    );
}
