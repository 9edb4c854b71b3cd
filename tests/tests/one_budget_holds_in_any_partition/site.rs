//! Three servers with a line to the store each, and what clients bring to them.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tests::{
    clock::{Clock, Clocks},
    session::{Reply, Session},
    sink::Sink,
    smarthost::Smarthost,
    store::{Line, Store},
    wait::until_true,
};

use crate::held_up;

pub(super) const NODES: usize = 3;
pub(super) const LIMIT: usize = 24;
const CLIENT: &str = "127.0.0.5";

/// Of a server to a sender.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub(super) took: Duration,
    /// What the threads of both waited for a processor meanwhile.
    pub(super) held_up: Duration,
}

impl Answer {
    /// Whether it took longer than this, and not only for want of a processor.
    pub(super) fn is_later_than(&self, time: Duration) -> bool {
        self.took.saturating_sub(self.held_up) > time
    }
}

/// A server, its line to the store, and its clock.
pub(super) struct Node {
    pub(super) smarthost: Smarthost,
    pub(super) line: Line,
    pub(super) clock: Clock,
}

pub(super) struct Site {
    pub(super) store: Store,
    pub(super) store_clock: Clock,
    pub(super) nodes: Vec<Node>,
    sink: Sink,
    /// Messages that were answered 250.
    pub(super) taken: BTreeSet<String>,
    brought: usize,
    pub(super) answers: Vec<Answer>,
    pub(super) story: String,
}

impl Node {
    fn start(number: usize, on_outage: &str, store: &Store, sink: &Sink, clock: Clock) -> Self {
        let line = Line::to(store);
        let mut smarthost = Smarthost::prepare(&format!(
            "networks = [\"127.0.0.0/8\"]\nlimits = {{ per_client = [\"{LIMIT}/day\"] }}\nrelayhost = \"{}\"\n\
             budget = {{ store = \"{}\", node = \"mx{number}\", nodes = {NODES}, on_outage = \"{on_outage}\" }}\n",
            sink.nexthop(),
            line.url(),
        ));
        smarthost.run_within(clock.words());
        smarthost.run();
        Self {
            smarthost,
            line,
            clock,
        }
    }
}

impl Site {
    pub(super) fn new(on_outage: &str, clocks: &Clocks) -> Option<Self> {
        let store_clock = clocks.clock();
        let (store, sink) = (Store::with_clock(&store_clock)?, Sink::start());
        let nodes =
            (0..NODES).map(|number| Node::start(number, on_outage, &store, &sink, clocks.clock()));
        let site = Self {
            nodes: nodes.collect(),
            store,
            store_clock,
            sink,
            taken: BTreeSet::new(),
            brought: 0,
            answers: Vec::new(),
            story: String::new(),
        };
        site.wait_for_all();
        Some(site)
    }

    /// Until all have told the store what they know.
    pub(super) fn wait_for_all(&self) {
        for node in &self.nodes {
            until_true("all meet in the store", || {
                let status = node.smarthost.admin(&["status"]);
                String::from_utf8_lossy(&status.stdout).contains("budgets, 3 smarthosts")
            });
        }
    }

    /// A command of a sender.
    fn ask(&mut self, pid: u32, session: &mut Session, command: &str) -> Reply {
        let waits = || held_up::process(pid) + held_up::own();
        let (before, asked) = (waits(), Instant::now());
        let reply = session.say(command);
        let took = asked.elapsed();
        let held_up = waits().saturating_sub(before);
        self.answers.push(Answer { took, held_up });
        reply
    }

    /// A client brings so many messages to one of the servers; how many are taken.
    pub(super) fn bring(&mut self, node: usize, count: usize) -> usize {
        self.bring_and_hear(node, count).0
    }

    /// Brings so many that each server says that the limit is used up; a server that is cut off
    /// says that it cannot ask the others.
    pub(super) fn use_up(&mut self) {
        for node in 0..NODES {
            until_true("the limit is used up", || {
                let (_, heard) = self.bring_and_hear(node, LIMIT);
                heard.contains("too much mail")
            });
        }
    }

    /// And what the sender heard last, where it was no.
    fn bring_and_hear(&mut self, node: usize, count: usize) -> (usize, String) {
        let smarthost = &mut self.nodes[node].smarthost;
        let (address, pid) = (smarthost.address(), smarthost.daemon().pid());
        let mut session = Session::connect_from(CLIENT.parse().unwrap(), address).ehlo();
        let (before, mut heard) = (self.taken.len(), String::new());
        for _ in 0..count {
            self.brought += 1;
            let reply = self.ask(pid, &mut session, "MAIL FROM:<app@example.org>");
            if reply.code != 250 {
                heard = reply.text();
                continue;
            }
            let reply = self.ask(pid, &mut session, "RCPT TO:<user@example.net>");
            if reply.code != 250 {
                heard = reply.text();
                session.say("RSET");
                continue;
            }
            assert_eq!(session.say("DATA").code, 354);
            let subject = self.brought.to_string();
            let text = format!("Subject: {subject}\r\n\r\nbuy\r\n.\r\n");
            session.send(text.as_bytes()).unwrap();
            if session.reply().code == 250 {
                self.taken.insert(subject);
            }
        }
        (self.taken.len() - before, heard)
    }

    pub(super) fn brought(&self) -> usize {
        self.brought
    }

    /// Messages that were taken and are neither in a queue nor where they should be. Of a server
    /// that was killed some may arrive twice.
    pub(super) fn lost(&self) -> usize {
        for node in &self.nodes {
            let done = |listing: &str| listing.contains("is empty");
            node.smarthost.wait_for_mailq("an empty queue", done);
        }
        let arrived = self.sink.journal().messages().into_iter();
        let arrived: BTreeSet<_> = arrived.map(|it| it.field("subject")).collect();
        self.taken.difference(&arrived).count()
    }
}
