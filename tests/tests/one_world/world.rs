//! The world: machines with their agents, the relay, the servers of others, between them the
//! network, and one clock.
//!
//! Contract: what happens is decided by the scenario alone; the same one lives the same life, step
//! by step.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use mail::clock::{self, Timestamp};
use spool::simulation::Luck;

use crate::{
    agent::Agent,
    client::Client,
    dice::Dice,
    model::{HOUR, LIFETIME, Model},
    names::Names,
    network::{Arrival, ConnId, Micros, Network, Owner, SECOND, Sent, Side},
    peer::{Mood, Peer},
    program::{Context, Program, Role},
    relay::{CONCURRENCY, Relay},
    scenario::{MACHINES, PEACE, Scenario},
    story::Story,
};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);
const RELAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
/// All mail must have ended by then: it is tried for a lifetime at the agent and at the relay, and
/// so is the bounce.
const END: Micros = PEACE + 3 * (LIFETIME + 4 * HOUR);

/// What all share.
pub(crate) struct Shared {
    pub(crate) now: Micros,
    base: Instant,
    pub(crate) network: Network,
    pub(crate) names: Names,
    pub(crate) model: Model,
    pub(crate) story: Story,
    pub(crate) dice: Dice,
    /// Who crashes when his next step is done, and until when he is away.
    pub(crate) doomed: BTreeMap<Owner, (Luck, Micros)>,
    dials: Vec<(ConnId, Owner, IpAddr)>,
}

pub(crate) struct World {
    pub(crate) common: Shared,
    pub(crate) agents: Vec<Program<Agent>>,
    pub(crate) relay: Program<Relay>,
    pub(crate) peers: Vec<Peer>,
    clients: BTreeMap<u32, Client>,
    scenario: Scenario,
    steps: u64,
}

/// What a life came to.
pub(crate) struct Life {
    pub(crate) wrong: Vec<String>,
    pub(crate) story: Vec<String>,
    pub(crate) fingerprint: u64,
    pub(crate) steps: u64,
    pub(crate) promises: usize,
    pub(crate) lived: Micros,
}

impl Shared {
    pub(crate) fn steady(&self) -> Instant {
        self.base + Duration::from_micros(self.now)
    }

    pub(crate) fn wall(&self, skew: i64) -> Timestamp {
        let millis = START.as_millis() + self.now / 1000;
        Timestamp::from_millis(millis.saturating_add_signed(skew))
    }

    fn micros(&self, instant: Instant) -> Micros {
        u64::try_from(instant.saturating_duration_since(self.base).as_micros()).unwrap()
    }

    fn send(&mut self, out: Vec<Sent>) {
        for sent in out {
            match sent {
                Sent::Dial { conn, from, to } => self.dials.push((conn, from, to)),
                sent => self.network.send(sent, self.now),
            }
        }
    }

    /// One step of a program; what it does happens if it is still there at the end.
    pub(crate) fn step<R: Role>(
        &mut self,
        program: &mut Program<R>,
        act: impl FnOnce(&mut Program<R>, &mut Context<'_>),
    ) {
        let (wall, steady) = (self.wall(program.skew), self.steady());
        clock::simulate(Some((wall, steady)));
        let mut context = Context {
            owner: program.owner,
            now: self.now,
            wall,
            steady,
            names: &self.names,
            network: &mut self.network,
            story: &mut self.story,
            out: Vec::new(),
            notes: Vec::new(),
        };
        act(program, &mut context);
        let Context { out, notes, .. } = context;
        if program.is_off() {
            let back = self.now + 30 * SECOND;
            let seed = self.dice.number();
            return self.crash(program, Luck::Some(seed), back);
        }
        if let Some((luck, back)) = self.doomed.remove(&program.owner) {
            return self.crash(program, luck, back);
        }
        self.send(out);
        for note in notes {
            note(&mut self.model);
        }
    }

    pub(crate) fn crash<R: Role>(&mut self, program: &mut Program<R>, luck: Luck, back: Micros) {
        self.story.tell(self.now, &program.name, || {
            format!("CRASH, what is left: {luck:?}")
        });
        program.crash(luck, back, &mut self.model);
        self.network
            .drop_all(program.owner, luck == Luck::Everything, self.now);
    }
}

fn machine(number: usize) -> IpAddr {
    [10, 0, 1, u8::try_from(number + 1).unwrap()].into()
}

impl World {
    pub(crate) fn new(scenario: Scenario, told: bool) -> Self {
        let mut names = Names::default();
        for (domain, hosts) in [
            ("home.example", &[(10, "home")][..]),
            ("m0.example", &[(10, "home")]),
            ("m1.example", &[(10, "home")]),
            ("a.example", &[(10, "mx1.a"), (20, "mx2.a")]),
            ("b.example", &[(10, "mx.b")]),
            ("c.example", &[(10, "mx.b")]),
            ("dead.example", &[(10, "dead")]),
        ] {
            names.domain(domain, hosts);
        }
        let peers = vec![
            Peer::new("home", [192, 0, 2, 1], Mood::Fine, true),
            Peer::new("mx1.a", [192, 0, 2, 2], Mood::Fine, true),
            Peer::new("mx2.a", [192, 0, 2, 3], Mood::Fine, false),
            Peer::new("mx.b", [192, 0, 2, 4], Mood::Fine, true),
            Peer::new("dead", [192, 0, 2, 5], Mood::Down, true),
        ];
        for peer in &peers {
            names.host(peer.name, peer.address);
        }
        names.host("relay.example", RELAY);
        let agent = |number: usize| {
            let name = format!("m{number}.example");
            Program::new(name.clone(), Owner::Agent(number), Agent::new(&name))
        };
        let common = Shared {
            now: 0,
            base: Instant::now(),
            network: Network::new(scenario.weather.clone()),
            names,
            model: Model::default(),
            story: Story {
                told,
                ..Story::default()
            },
            dice: Dice::new(scenario.seed),
            doomed: BTreeMap::new(),
            dials: Vec::new(),
        };
        Self {
            common,
            agents: (0..MACHINES).map(agent).collect(),
            relay: Program::new("relay".to_owned(), Owner::Relay, Relay::new(5)),
            peers,
            clients: BTreeMap::new(),
            scenario,
            steps: 0,
        }
    }

    pub(crate) fn live(mut self) -> Life {
        self.scenario
            .submissions
            .sort_by_key(|it| std::cmp::Reverse(it.at));
        self.scenario.faults.reverse();
        let mut peace = false;
        while self.common.model.wrong.is_empty() {
            let next = self.next();
            if next.is_none_or(|next| next >= PEACE) && !peace {
                peace = true;
                self.common.now = PEACE;
                self.make_peace();
                continue;
            }
            let Some(next) = next.filter(|next| *next <= END) else {
                break;
            };
            if peace && self.is_quiet() {
                break;
            }
            self.common.now = self.common.now.max(next);
            self.step();
        }
        self.judge();
        clock::simulate(None);
        let Shared {
            model, story, now, ..
        } = self.common;
        Life {
            promises: model.promises(),
            wrong: model.wrong,
            story: story.lines,
            fingerprint: story.fingerprint,
            steps: self.steps,
            lived: now,
        }
    }

    fn next(&self) -> Option<Micros> {
        let common = &self.common;
        let wall = |skew: i64| {
            move |at: Timestamp| {
                let start = START.as_millis().saturating_add_signed(skew);
                (at.as_millis().saturating_sub(start) * 1000).max(common.now)
            }
        };
        let steady = |instant| common.micros(instant);
        let agents = self
            .agents
            .iter()
            .filter_map(|it| it.due(wall(it.skew), steady));
        let relay = self.relay.due(wall(self.relay.skew), steady);
        let clients = self.clients.values().map(|it| steady(it.until()));
        let submission = self.scenario.submissions.last().map(|it| it.at);
        let fault = self.scenario.faults.last().map(|(at, _)| *at);
        let fixed = [relay, common.network.next_at(), submission, fault];
        fixed
            .into_iter()
            .flatten()
            .chain(agents)
            .chain(clients)
            .min()
    }

    /// Everything that is due now, one thing at a time.
    fn step(&mut self) {
        self.steps += 1;
        let now = self.common.now;
        if self
            .scenario
            .faults
            .last()
            .is_some_and(|(at, _)| *at <= now)
        {
            let (_, fault) = self.scenario.faults.pop().unwrap();
            self.strike(fault);
        } else if self
            .scenario
            .submissions
            .last()
            .is_some_and(|it| it.at <= now)
        {
            self.submit();
        } else if self.common.network.next_at().is_some_and(|at| at <= now) {
            self.arrive();
        } else {
            self.tick();
        }
        self.dial();
        for token in std::mem::take(&mut self.common.network.lost) {
            self.common.model.excuse(token, "the answer was lost");
        }
        self.count();
    }

    /// No destination, and no hosts behind several of them, have more deliveries at once than they
    /// may have.
    fn count(&mut self) {
        let Some(up) = &self.relay.up else {
            return;
        };
        let mut counts = BTreeMap::new();
        for errand in up.errands.values() {
            *counts.entry(errand.to().to_string()).or_insert(0) += 1;
            if let Some(hosts) = errand.hosts() {
                *counts.entry(hosts).or_insert(0) += 1;
            }
        }
        if let Some((to, count)) = counts.into_iter().find(|(_, count)| *count > CONCURRENCY) {
            self.common
                .model
                .wrong
                .push(format!("{count} deliveries at once to {to}"));
        }
    }

    fn submit(&mut self) {
        let submission = self.scenario.submissions.pop().unwrap();
        let (address, token) = match submission.to {
            Owner::Agent(number) => (machine(number), submission.token),
            _ => (RELAY, submission.token),
        };
        let mut out = Vec::new();
        let steady = self.common.steady();
        let client = Client::begin(
            submission,
            address,
            &mut self.common.network,
            &mut out,
            steady,
        );
        self.clients.insert(token, client);
        self.common.send(out);
    }

    fn tick(&mut self) {
        let steady = self.common.steady();
        let due = self.clients.iter().filter(|(_, it)| it.until() <= steady);
        for token in due.map(|(token, _)| *token).collect::<Vec<_>>() {
            self.tell_client(token, None);
        }
        self.clients.retain(|_, client| !client.over);
        for agent in &mut self.agents {
            self.common.step(agent, Program::tick);
        }
        self.common.step(&mut self.relay, Program::tick);
    }

    /// Something came for a client, or its wait is over.
    fn tell_client(&mut self, token: u32, arrival: Option<Arrival>) {
        let now = (self.common.now, self.common.steady());
        let mut out = Vec::new();
        if let Some(client) = self.clients.get_mut(&token) {
            let Shared { model, story, .. } = &mut self.common;
            client.take(arrival, now, model, story, &mut out);
        }
        self.common.send(out);
    }

    fn arrive(&mut self) {
        let Some((conn, owner, side, arrival)) = self.common.network.arrive() else {
            return;
        };
        let size = match &arrival {
            Arrival::Bytes(bytes) => bytes.len() as u64,
            _ => 0,
        };
        self.common
            .story
            .mark(&[self.common.now, conn.into(), size]);
        self.common.story.tell(self.common.now, &"network", || {
            told(conn, owner, side, &arrival)
        });
        match owner {
            Owner::Agent(number) => {
                let agent = &mut self.agents[number];
                self.common.step(agent, |it, context| {
                    it.arrived(conn, side, arrival, context);
                });
            }
            Owner::Relay => {
                let relay = &mut self.relay;
                self.common.step(relay, |it, context| {
                    it.arrived(conn, side, arrival, context);
                });
            }
            Owner::Peer(number) => {
                let Shared {
                    now, model, dice, ..
                } = &mut self.common;
                let mut out = Vec::new();
                self.peers[number].take(conn, arrival, *now, model, dice, &mut out);
                self.common.send(out);
            }
            Owner::Client(token) => {
                self.tell_client(token, Some(arrival));
                self.clients.retain(|_, client| !client.over);
            }
        }
    }

    /// Who is asked for a connection, and whether he listens.
    pub(crate) fn dial(&mut self) {
        for (conn, from, to) in std::mem::take(&mut self.common.dials) {
            let address = match from {
                Owner::Agent(number) => machine(number),
                Owner::Client(token) => self.clients.get(&token).map_or(RELAY, Client::from),
                Owner::Relay | Owner::Peer(_) => RELAY,
            };
            let agent = (0..MACHINES).find(|number| machine(*number) == to);
            let (owner, refused) = if to == RELAY {
                (Owner::Relay, Some(self.relay.up.is_none()))
            } else if let Some(number) = agent {
                (Owner::Agent(number), Some(self.agents[number].up.is_none()))
            } else {
                let number = self
                    .peers
                    .iter()
                    .position(|peer| peer.address == to)
                    .expect("an address of this world");
                let refused = match self.peers[number].mood(self.common.now) {
                    Mood::Lost => None,
                    mood => Some(mood == Mood::Down),
                };
                (Owner::Peer(number), refused)
            };
            let latency = 200 + self.common.dice.below(60_000);
            let now = self.common.now;
            self.common
                .network
                .dial(conn, [from, owner], address, refused, latency, now);
        }
    }

    fn is_quiet(&self) -> bool {
        let agents = self.agents.iter().all(|it| it.left().1);
        agents && self.relay.left().1 && self.clients.is_empty()
    }

    fn judge(&mut self) {
        if !self.common.model.wrong.is_empty() {
            return;
        }
        let (mut kept, quiet) = self.relay.left();
        let mut waiting = if quiet {
            Vec::new()
        } else {
            self.relay.queued()
        };
        for agent in &self.agents {
            let (more, quiet) = agent.left();
            kept.extend(more);
            if !quiet {
                waiting.extend(agent.queued());
            }
        }
        if !waiting.is_empty() {
            self.common
                .model
                .wrong
                .push(format!("still queued at the end: {waiting:?}"));
        }
        self.common.model.judge(&kept);
    }
}

fn told(conn: ConnId, owner: Owner, side: Side, arrival: &Arrival) -> String {
    let what = match arrival {
        Arrival::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("{other:?}"),
    };
    let way = if side == Side::Dialler { "<-" } else { "->" };
    format!("{conn} {way} {owner:?}: {what}")
}
