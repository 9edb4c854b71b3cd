//! All clients' counters. Bounded: at most [`MAX_CLIENTS`], of which those that sent least are forgotten first.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::IpAddr,
    time::Duration,
};

use mail::clock::Timestamp;

use crate::{
    limits::{Decision, Excess, Notice, Report, Rules, client::Client, report::Level},
    network::Network,
};

/// Clients that are counted at once (strangers on port 25 count too).
const MAX_CLIENTS: usize = 65_536;
/// Clients with nothing left to count are forgotten this often.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);

/// What has to be kept for the next start: the record of a client, or `None` if there is nothing any more.
pub type Change = (Network, Option<String>);

/// The counting machine.
#[derive(Debug)]
pub struct Limits {
    rules: Rules,
    clients: HashMap<Network, Client>,
    /// Changed since [`Limits::changes`].
    dirty: HashSet<Network>,
    notices: VecDeque<Notice>,
    swept: Timestamp,
}

impl Limits {
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            clients: HashMap::new(),
            dirty: HashSet::new(),
            notices: VecDeque::new(),
            swept: Timestamp::default(),
        }
    }

    /// Other rules from now on (reload); counters stay.
    pub fn set_rules(&mut self, rules: Rules, now: Timestamp) {
        let old = std::mem::replace(&mut self.rules, rules);
        for client in self.clients.values_mut() {
            if let Some(changed) = Client::restore(&client.record(&old), &self.rules, now) {
                *client = changed;
            }
        }
    }

    /// Takes back what was stored, at start. `false`: the record could not be read.
    pub fn restore(&mut self, client: Network, record: &str, now: Timestamp) -> bool {
        match Client::restore(record, &self.rules, now) {
            None => return false,
            Some(restored) if restored.is_idle(now) => drop(self.dirty.insert(client)),
            Some(restored) => drop(self.clients.insert(client, restored)),
        }
        true
    }

    /// Counts one message, or refuses it.
    pub fn count(&mut self, address: IpAddr, now: Timestamp) -> Decision {
        if self.rules.per_client.is_empty() || self.rules.exempt.contains(address) {
            return Decision::Unlimited;
        }
        let name = Rules::client(address);
        self.make_room(name, now);
        let client = self
            .clients
            .entry(name)
            .or_insert_with(|| Client::new(&self.rules));
        if let Some(full) = client.full(&self.rules, now) {
            if client.tell_full(now) {
                let report = client.report(name.to_string(), &self.rules, now);
                self.notices
                    .push_back(Notice::new(Level::Full, &report, now));
                self.dirty.insert(name);
            }
            return Decision::Over(Excess {
                client: name,
                count: full.count.saturating_add(1),
                limit: full.limit,
                window: full.window,
                next_slot: full.free_at,
                now,
            });
        }
        let Some((count, limit, window)) = client.add(&self.rules, now) else {
            return Decision::Unlimited;
        };
        if client.tell_near(&self.rules, now) {
            let report = client.report(name.to_string(), &self.rules, now);
            self.notices
                .push_back(Notice::new(Level::Near, &report, now));
        }
        self.dirty.insert(name);
        Decision::Within {
            count,
            limit,
            window,
        }
    }

    /// The next mail to the administrators; drain after each [`Limits::count`].
    pub fn next_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// What changed since the last call, to be kept.
    pub fn changes(&mut self) -> Vec<Change> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty
            .into_iter()
            .map(|name| {
                (
                    name,
                    self.clients
                        .get(&name)
                        .map(|client| client.record(&self.rules)),
                )
            })
            .collect()
    }

    /// All clients, most used first.
    pub fn list(&self, now: Timestamp) -> Vec<Report> {
        let mut clients: Vec<_> = self
            .clients
            .iter()
            .filter(|(_, client)| !client.is_idle(now))
            .collect();
        clients.sort_by_key(|(name, client)| {
            (std::cmp::Reverse(client.weight(&self.rules, now)), **name)
        });
        clients
            .into_iter()
            .map(|(name, client)| client.report(name.to_string(), &self.rules, now))
            .collect()
    }

    /// One client, known or not.
    pub fn show(&self, address: IpAddr, now: Timestamp) -> Report {
        let name = Rules::client(address);
        let new = || Client::new(&self.rules).report(name.to_string(), &self.rules, now);
        let mut report = self.clients.get(&name).map_or_else(new, |client| {
            client.report(name.to_string(), &self.rules, now)
        });
        report.exempt = self.rules.exempt.contains(address);
        report
    }

    /// Forgets what a client has sent, and a limit that was raised; `false` if nothing was known.
    pub fn reset(&mut self, address: IpAddr) -> bool {
        let name = Rules::client(address);
        self.dirty.insert(name);
        self.clients.remove(&name).is_some()
    }

    /// Another limit for one client for a while, in the longest window. 0 blocks it.
    pub fn raise(&mut self, address: IpAddr, limit: u32, until: Timestamp, now: Timestamp) {
        let name = Rules::client(address);
        self.make_room(name, now);
        self.clients
            .entry(name)
            .or_insert_with(|| Client::new(&self.rules))
            .raise(limit, until);
        self.dirty.insert(name);
    }

    /// Clients with counters.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Forgets idle clients from time to time, and those that sent least when a new one finds no place.
    fn make_room(&mut self, new: Network, now: Timestamp) {
        let full = self.clients.len() >= MAX_CLIENTS && !self.clients.contains_key(&new);
        if now.since(self.swept) >= SWEEP_INTERVAL || now < self.swept || full {
            self.swept = now;
            self.forget(|client| client.is_idle(now));
        }
        if full && self.clients.len() >= MAX_CLIENTS {
            let mut weights: Vec<u32> = self
                .clients
                .values()
                .map(|client| client.weight(&self.rules, now))
                .collect();
            // An eighth at once, so that a flood of new clients does not search all of them each time.
            let (_, &mut least, _) = weights.select_nth_unstable(MAX_CLIENTS / 8);
            let rules = self.rules.clone();
            let mut excess = MAX_CLIENTS / 8;
            self.forget(|client| {
                let forget = excess > 0 && client.weight(&rules, now) <= least;
                excess -= usize::from(forget);
                forget
            });
        }
    }

    fn forget(&mut self, mut which: impl FnMut(&Client) -> bool) {
        let Self { clients, dirty, .. } = self;
        clients.retain(|name, client| {
            let forget = which(client);
            if forget {
                dirty.insert(*name);
            }
            !forget
        });
    }
}
