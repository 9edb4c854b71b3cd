//! Limits that several smarthosts share: what the others have to say, told as our own.

use mail::clock::Timestamp;

use super::{Kept, Limits};
use crate::limits::{
    Class, ClientId, Counted, Decision, Limit, Peer, Why, client::Full, news::Level, rules::same,
};

impl Limits {
    /// What others count too: the limits of a client of ours, and as whom it is counted.
    pub fn shared(&self, peer: &Peer, now: Timestamp) -> Vec<(ClientId, Limit)> {
        let counted = self.counted(peer, now).into_iter();
        let own = counted.filter(|((class, _), _)| *class == Class::Own);
        own.flat_map(|((_, name), terms)| {
            let limits = terms.limits.into_iter();
            limits.map(move |limit| (name.clone(), limit))
        })
        .collect()
    }

    /// All smarthosts together have counted so much of a client: administrators hear when that
    /// comes near the limit.
    pub fn heard(&mut self, name: &ClientId, limit: &Limit, everywhere: u32, now: Timestamp) {
        let counter = (Class::Own, name.clone());
        let terms = self.terms(&counter, now);
        let client = self.client(&counter, &terms, now);
        client.hear(limit, everywhere, now);
        if client.tell_near(now) {
            let report = client.report(name.to_string(), &terms, now);
            let who = client.who.told();
            self.tell(Level::Near, &report, &who, now);
            self.dirty.insert((Kept::Counts(Class::Own), name.clone()));
        }
    }

    /// What was let begin does not: others have used up the limit.
    pub fn withdraw(&mut self, peer: &Peer, what: Counted) {
        for counter in self.rules.counters(peer) {
            if let Some(client) = self.clients.get_mut(&counter) {
                client.withdraw(what);
            }
        }
    }

    /// The same limit of all smarthosts together is reached, with so many; `None`: they cannot be
    /// asked, and this one alone lets no more through.
    pub fn refuse_shared(
        &mut self,
        client: &ClientId,
        limit: &Limit,
        everywhere: Option<u32>,
        free_at: Timestamp,
        now: Timestamp,
    ) -> Decision {
        let counter = (Class::Own, client.clone());
        let terms = self.terms(&counter, now);
        if let Some(sum) = everywhere {
            self.client(&counter, &terms, now).hear(limit, sum, now);
        }
        // What slides out for the usual limit is not known.
        let then = |limits: &[Limit]| {
            let usual = limits.iter().find(|it| same(it, limit))?.window.limit;
            (everywhere? >= usual).then_some(free_at)
        };
        let free_at = terms.sooner(Some(free_at), then).unwrap_or(free_at);
        let full = Full {
            limit: *limit,
            count: everywhere.unwrap_or_default(),
            free_at,
            why: everywhere.map_or(Why::Alone, |_| Why::Everywhere),
        };
        self.refuse(&counter, &terms, &full, now)
    }

    /// When one more comes under a limit that is full: `under` says when it is free if it is so
    /// much.
    pub fn free_at(
        &self,
        written: &ClientId,
        limit: &Limit,
        under: impl Fn(u32) -> Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let free = under(limit.window.limit);
        let Ok(counter) = self.rules.counter(written) else {
            return free;
        };
        let then = |limits: &[Limit]| {
            let usual = limits.iter().find(|it| same(it, limit))?;
            under(usual.window.limit)
        };
        self.terms(&counter, now).sooner(free, then)
    }

    /// The same of a name, as orders and reports know it.
    pub fn limits_of(&self, written: &ClientId, now: Timestamp) -> Vec<(ClientId, Limit)> {
        let counter = self.rules.counter(written).ok();
        let Some(counter) = counter.filter(|(class, _)| *class == Class::Own) else {
            return Vec::new();
        };
        let limits = self.terms(&counter, now).limits.into_iter();
        limits.map(|limit| (counter.1.clone(), limit)).collect()
    }
}
