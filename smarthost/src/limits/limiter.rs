//! All clients' counters. Bounded: those that sent least are forgotten first; orders of the
//! administrator never.

mod orders;
mod shared;
mod tested;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use mail::clock::Timestamp;

use crate::{
    limits::{
        Class, ClientId, Counted, Counter, Decision, Excess, Peer, Report, Rules, Why,
        client::{Client, Full, Raised, Terms},
        news::Level,
    },
    network::Network,
    notices::News,
};

/// Clients of ours that are counted at once.
const MAX_CLIENTS: usize = 65_536;
/// Strangers that are counted at once: whoever rotates addresses crowds out other strangers only.
const MAX_STRANGERS: usize = 4096;
/// Clients with nothing left to count are forgotten this often.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);

/// Where something is kept for the next start.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Kept {
    /// What somebody has sent.
    Counts(Class),
    /// Another limit for a while.
    Orders,
}

/// What has to be kept for the next start: a record, or `None` if there is nothing any more.
pub type Change = ((Kept, ClientId), Option<String>);

/// The counting machine.
#[derive(Clone, Debug)]
pub struct Limits {
    rules: Rules,
    clients: HashMap<Counter, Client>,
    strangers: usize,
    /// What administrators ordered; by what was named, whoever's network that is.
    orders: HashMap<ClientId, Raised>,
    /// Changed since [`Limits::changes`].
    dirty: HashSet<(Kept, ClientId)>,
    /// To be told, since [`Limits::news`].
    news: Vec<News>,
    swept: Timestamp,
}

impl Limits {
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            clients: HashMap::new(),
            strangers: 0,
            orders: HashMap::new(),
            dirty: HashSet::new(),
            news: Vec::new(),
            swept: Timestamp::default(),
        }
    }

    /// As [`Rules::shared_words`].
    pub fn shared_words(&self) -> String {
        self.rules.shared_words()
    }

    /// Other rules from now on (reload); counters stay.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Takes back what was stored before the start; it adds up with what has come since. `false`:
    /// the record could not be read.
    pub fn restore(
        &mut self,
        (kept, name): (Kept, ClientId),
        record: &str,
        now: Timestamp,
    ) -> bool {
        let Kept::Counts(class) = kept else {
            let Ok(order) = serde_json::from_str(record) else {
                return false;
            };
            self.order_again(name, order, now);
            return true;
        };
        let counter = (class, name.clone());
        let Some((client, order)) = Client::restore(record, &self.terms(&counter, now).limits, now)
        else {
            return false;
        };
        if let Some(order) = order {
            self.order_again(name.clone(), order, now);
            self.dirty.insert((kept, name.clone()));
        }
        // What slid out, or was noted by a clock that was ahead, is not read so again.
        if client.is_idle(now) || client.record() != record {
            self.dirty.insert((kept, name));
        }
        match self.clients.get_mut(&counter) {
            Some(known) => known.absorb(client, now),
            None if client.is_idle(now) => {}
            None => {
                self.insert(counter, client);
            }
        }
        true
    }

    fn insert(&mut self, counter: Counter, client: Client) -> &mut Client {
        if !self.clients.contains_key(&counter) && counter.0 == Class::Stranger {
            self.strangers = self.strangers.saturating_add(1);
        }
        self.clients.entry(counter).or_insert(client)
    }

    /// As whom somebody is counted, and under which limits; empty: not at all.
    fn counted(&self, peer: &Peer, now: Timestamp) -> Vec<(Counter, Terms)> {
        if !peer.unnamed && self.rules.exempt.contains(peer.address) {
            return self.blocked(peer, now);
        }
        let counters = self.rules.counters(peer).into_iter();
        let counted = counters.map(|counter| {
            let terms = self.terms(&counter, now);
            (counter, terms)
        });
        let mut counted: Vec<_> = counted
            .filter(|(_, terms)| !terms.limits.is_empty())
            .collect();
        // A network of ours that is now a stranger's, or one address of a stranger's /64: an order
        // is an order.
        let address = ClientId::from(Network::of(peer.address, 32, 128));
        let named = peer.name.is_some() || counted.iter().any(|((_, name), _)| *name == address);
        if !named && let Some(order) = self.ordered(&address, now) {
            let terms = Terms::new(Vec::new(), Some(order));
            counted.push(((Class::Stranger, address), terms));
        }
        counted
    }

    fn terms(&self, counter: &Counter, now: Timestamp) -> Terms {
        Terms::new(self.rules.limits(counter), self.ordered(&counter.1, now))
    }

    /// One message more is about to come, or is refused. Each one that was let begin ends in
    /// [`Limits::end`].
    pub fn begin(&mut self, peer: &Peer, now: Timestamp) -> Decision {
        self.grow(peer, Counted::Messages, now)
    }

    /// One recipient more of a message that has begun.
    pub fn recipient(&mut self, peer: &Peer, now: Timestamp) -> Decision {
        self.grow(peer, Counted::Recipients, now)
    }

    fn grow(&mut self, peer: &Peer, what: Counted, now: Timestamp) -> Decision {
        self.heed(now);
        let counted = self.counted(peer, now);
        let mut nearest = None;
        for (counter, terms) in &counted {
            let client = self.client(counter, terms, now);
            if let Some(full) = client.full(what, terms, now) {
                return self.refuse(counter, terms, &full, now);
            }
        }
        for (counter, terms) in &counted {
            let client = self.client(counter, terms, now);
            client.begin(what);
            nearest = nearest.or_else(|| client.nearest(now));
        }
        nearest.map_or(Decision::Unlimited, |(count, limit)| Decision::Within {
            count,
            limit: limit.window.limit,
            window: limit.window,
        })
    }

    fn client(&mut self, counter: &Counter, terms: &Terms, now: Timestamp) -> &mut Client {
        self.make_room(counter, now);
        let client = self.insert(counter.clone(), Client::default());
        client.fit(terms, now);
        client
    }

    fn refuse(
        &mut self,
        counter: &Counter,
        terms: &Terms,
        full: &Full,
        now: Timestamp,
    ) -> Decision {
        let (class, name) = counter.clone();
        let client = self.client(counter, terms, now);
        let told = full.why != Why::Alone && client.tell_full(now);
        if told && class == Class::Own {
            let mut report = client.report(name.to_string(), terms, now);
            if full.why == Why::Everywhere {
                report.everywhere = vec![(full.count, full.limit)];
                report.next_slot = Some(full.free_at);
            }
            let who = client.who.told();
            self.tell(Level::Full, &report, &who, now);
            self.dirty.insert((Kept::Counts(class), name.clone()));
        }
        Decision::Over(Excess {
            client: name,
            count: full.count.saturating_add(1),
            limit: full.limit.window.limit,
            counted: full.limit,
            why: full.why,
            next_slot: full.free_at,
            now,
        })
    }

    /// A whole message to one recipient.
    #[cfg(test)]
    pub(crate) fn count(&mut self, peer: impl Into<Peer>, now: Timestamp) -> Decision {
        let peer = peer.into();
        let decision = self.begin(&peer, now);
        if !matches!(decision, Decision::Over(_)) {
            self.end(&peer, 0, Some(1), now);
        }
        decision
    }

    /// A message that was let begin, with so many recipients that were, was taken, or came to
    /// nothing.
    pub fn end(&mut self, peer: &Peer, recipients: u32, taken: Option<u32>, now: Timestamp) {
        self.arrive(peer, recipients);
        for (counter, terms) in self.counted(peer, now) {
            let client = self.client(&counter, &terms, now);
            let (class, name) = counter;
            let Some(recipients) = taken else {
                // Kept then, for who asks what would be decided, and not with each attempt.
                if client.tire(&terms, now) {
                    self.dirty.insert((Kept::Counts(class), name));
                }
                continue;
            };
            client.add(recipients, now);
            client.who.counted(now);
            if class == Class::Own && client.tell_near(now) {
                let report = client.report(name.to_string(), &terms, now);
                let who = client.who.told();
                self.tell(Level::Near, &report, &who, now);
            }
            self.dirty.insert((Kept::Counts(class), name));
        }
    }

    /// It is no longer under way.
    fn arrive(&mut self, peer: &Peer, recipients: u32) {
        for counter in self.rules.counters(peer) {
            if let Some(client) = self.clients.get_mut(&counter) {
                client.end(recipients);
            }
        }
    }

    /// The message that is about to be taken was written by somebody on the client's machine, as
    /// its agent says.
    pub fn wrote(&mut self, peer: &Peer, writer: &str, now: Timestamp) {
        for (counter, terms) in self.counted(peer, now) {
            self.client(&counter, &terms, now).who.wrote(writer, now);
        }
    }

    /// A message that was taken then was lost on its way to the disk.
    pub fn take_back(&mut self, peer: &Peer, recipients: u32, then: Timestamp) {
        for counter in self.rules.counters(peer) {
            if let Some(client) = self.clients.get_mut(&counter) {
                client.take_back(recipients, then);
                self.dirty.insert((Kept::Counts(counter.0), counter.1));
            }
        }
    }

    fn tell(&mut self, level: Level, report: &Report, who: &[String], now: Timestamp) {
        if self.news.len() < MAX_STRANGERS {
            self.news.push(level.news(report, who, now));
        }
    }

    /// What administrators are to be told since the last call.
    pub fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Whether [`Limits::news`] has some.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// All of it is to be kept again: what was kept is lost.
    pub fn all_changed(&mut self) {
        let counts = self
            .clients
            .keys()
            .map(|(class, name)| (Kept::Counts(*class), name.clone()));
        self.dirty.extend(counts);
        self.dirty
            .extend(self.orders.keys().map(|name| (Kept::Orders, name.clone())));
    }

    /// What changed since the last call, to be kept.
    pub fn changes(&mut self) -> Vec<Change> {
        let dirty = std::mem::take(&mut self.dirty);
        let record = |(kept, name): &(Kept, ClientId)| match kept {
            Kept::Counts(class) => self
                .clients
                .get(&(*class, name.clone()))
                .map(Client::record),
            Kept::Orders => {
                let order = self.orders.get(name)?;
                serde_json::to_string(order).ok()
            }
        };
        dirty
            .into_iter()
            .map(|what| {
                let record = record(&what);
                (what, record)
            })
            .collect()
    }

    /// For the log: `, counted as 10.0.0.7: 17 of 100 in a day`.
    pub fn told(&self, peer: &Peer, now: Timestamp) -> String {
        let counters = self.rules.counters(peer).into_iter();
        let told = counters.filter_map(|counter| {
            let (count, limit) = self.clients.get(&counter)?.nearest(now)?;
            Some(format!(
                ", counted as {}: {count} of {}",
                counter.1,
                limit.words()
            ))
        });
        told.collect()
    }

    /// As whom somebody is counted, and how far each is; empty: not at all.
    pub fn of(&self, peer: &Peer, now: Timestamp) -> Vec<Report> {
        let counted = self.counted(peer, now).into_iter();
        counted
            .map(|(counter, _)| self.report(&counter, now))
            .collect()
    }

    /// Everybody who is counted or has an order, most used first.
    pub fn list(&self, now: Timestamp) -> Vec<Report> {
        let active = self
            .clients
            .iter()
            .filter(|(_, client)| !client.is_idle(now));
        let mut names: Vec<_> = active
            .map(|(counter, client)| (std::cmp::Reverse(client.weight(now)), counter.clone()))
            .collect();
        let listed: HashSet<_> = names.iter().map(|(_, (_, name))| name).collect();
        let silent = self.orders.keys().filter_map(|name| {
            let known = listed.contains(name) || self.ordered(name, now).is_none();
            (!known).then(|| (std::cmp::Reverse(0), self.named(name)))
        });
        let silent: Vec<_> = silent.collect();
        names.extend(silent);
        names.sort_unstable_by(|(weight, (_, name)), (other, (_, than))| {
            (weight, name).cmp(&(other, than))
        });
        names
            .into_iter()
            .map(|(_, counter)| self.report(&counter, now))
            .collect()
    }

    /// Who is counted under a name of an order.
    fn named(&self, name: &ClientId) -> Counter {
        let counter = self.rules.counter(name);
        counter.unwrap_or_else(|_| (Class::Stranger, name.clone()))
    }

    fn report(&self, counter: &Counter, now: Timestamp) -> Report {
        let terms = self.terms(counter, now);
        let mut client = self.clients.get(counter).cloned().unwrap_or_default();
        client.fit(&terms, now);
        client.report(counter.1.to_string(), &terms, now)
    }

    /// One client, known or not; the error says what is counted.
    pub fn show(&self, written: &ClientId, now: Timestamp) -> Result<Report, String> {
        let counter = self.rules.counter(written)?;
        let order = self.ordered(&counter.1, now);
        let is_blocked = order.is_some_and(|order| order.limit == 0);
        Ok(Report {
            exempt: self.rules.exempts(written) && !is_blocked,
            ..self.report(&counter, now)
        })
    }

    /// Forgets what a client has sent, and a limit that was raised; `false` if nothing was known.
    pub fn reset(&mut self, written: &ClientId) -> Result<bool, String> {
        let counter = self.rules.counter(written)?;
        let mut known = self.forget(&counter);
        for name in [counter.1, written.clone()] {
            known |= self.orders.remove(&name).is_some();
            self.dirty.insert((Kept::Orders, name));
        }
        Ok(known)
    }

    /// Clients with counters.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Forgets idle clients from time to time, and those that sent least when a new one finds no
    /// place.
    fn make_room(&mut self, new: &Counter, now: Timestamp) {
        let (has, most) = match new.0 {
            Class::Own => (
                self.clients.len().saturating_sub(self.strangers),
                MAX_CLIENTS,
            ),
            Class::Stranger => (self.strangers, MAX_STRANGERS),
        };
        let full = has >= most && !self.clients.contains_key(new);
        if now.since(self.swept) >= SWEEP_INTERVAL || now < self.swept || full {
            self.swept = now;
            self.sweep(now);
        }
        if !full {
            return;
        }
        let mut lightest: Vec<_> = self
            .clients
            .iter()
            .filter(|((class, _), client)| *class == new.0 && !client.is_busy())
            .map(|(counter, client)| (client.weight(now), counter.clone()))
            .collect();
        // An eighth at once, so that a flood of new clients does not search all of them each time.
        let excess = most / 8;
        if lightest.len() > excess {
            lightest.select_nth_unstable(excess);
        }
        for (_, counter) in lightest.into_iter().take(excess) {
            self.forget(&counter);
        }
    }

    fn sweep(&mut self, now: Timestamp) {
        let idle = self
            .clients
            .iter()
            .filter(|(_, client)| client.is_idle(now));
        let idle: Vec<Counter> = idle.map(|(counter, _)| counter.clone()).collect();
        for counter in idle {
            self.forget(&counter);
        }
        let Self { orders, dirty, .. } = self;
        orders.retain(|name, order| {
            let valid = order.until > now;
            if !valid {
                dirty.insert((Kept::Orders, name.clone()));
            }
            valid
        });
    }

    /// Whether it was known.
    fn forget(&mut self, counter: &Counter) -> bool {
        let (class, name) = counter;
        self.dirty.insert((Kept::Counts(*class), name.clone()));
        let known = self.clients.remove(counter).is_some();
        if known && *class == Class::Stranger {
            self.strangers = self.strangers.saturating_sub(1);
        }
        known
    }
}
