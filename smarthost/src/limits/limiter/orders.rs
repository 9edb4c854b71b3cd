//! Another limit for somebody for a while, as an administrator orders it.

use mail::clock::Timestamp;

use super::{Kept, Limits};
use crate::limits::{ClientId, client::Raised};

impl Limits {
    /// Another limit for one client for a while, in the longest window. 0 blocks it. Whom it is
    /// about.
    pub fn raise(
        &mut self,
        written: &ClientId,
        limit: u32,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<ClientId, String> {
        let (_, name) = self.rules.counter(written)?;
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
