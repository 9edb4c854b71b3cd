//! Another limit for somebody for a while, as an administrator orders it.

use mail::clock::Timestamp;

use super::{Kept, Limits};
use crate::{
    limits::{
        Class, ClientId, Counter, Peer,
        client::{Raised, Terms},
    },
    network::Network,
};

impl Limits {
    /// Another limit for one client for a while, in place of the longest one. 0 blocks it. Whom it
    /// is about. One that is exempt has no limit that could be another one: it can only be blocked.
    pub fn raise(
        &mut self,
        written: &ClientId,
        limit: u32,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<ClientId, String> {
        let (_, name) = self.rules.counter(written)?;
        if limit > 0 && self.rules.exempts(written) {
            return Err(format!(
                "{written} is exempt (limits.exempt), so that nothing limits it; 0 blocks it, and for \
                 a limit take it out of limits.exempt"
            ));
        }
        self.order(
            name.clone(),
            Raised {
                limit,
                until,
                given: now,
            },
            now,
        );
        Ok(name)
    }

    pub(super) fn order(&mut self, name: ClientId, mut order: Raised, now: Timestamp) {
        order.heed(now);
        self.dirty.insert((Kept::Orders, name.clone()));
        if order.until > now {
            self.orders.insert(name, order);
        } else {
            // It takes the place of an earlier one, and is over.
            self.orders.remove(&name);
        }
    }

    /// One that was kept, unless a newer one was given since.
    pub(super) fn order_again(&mut self, name: ClientId, order: Raised, now: Timestamp) {
        let known = self.orders.get(&name);
        if known.is_none_or(|known| known.given <= order.given) {
            self.order(name, order, now);
        }
    }

    pub(super) fn ordered(&self, name: &ClientId, now: Timestamp) -> Option<Raised> {
        self.orders
            .get(name)
            .copied()
            .filter(|order| order.until > now)
    }

    /// As whom somebody on the exempt list is blocked by an order, which is stronger than the list.
    pub(super) fn blocked(&self, peer: &Peer, now: Timestamp) -> Vec<(Counter, Terms)> {
        let address = ClientId::from(Network::of(peer.address, 32, 128));
        let mut counters = self.rules.counters(peer);
        if !counters.iter().any(|(_, name)| *name == address) {
            counters.push((Class::Stranger, address));
        }
        let blocked = counters.into_iter().filter_map(|counter| {
            let order = self.ordered(&counter.1, now)?;
            (order.limit == 0).then(|| (counter, Terms::new(Vec::new(), Some(order))))
        });
        blocked.collect()
    }

    /// An order that was given while the clock was ahead does not last until the time gets there.
    pub(super) fn heed(&mut self, now: Timestamp) {
        let Self { orders, dirty, .. } = self;
        for (name, order) in orders {
            if order.heed(now) {
                dirty.insert((Kept::Orders, name.clone()));
            }
        }
    }
}
