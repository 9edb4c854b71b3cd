//! What all smarthosts have counted, for whoever only looks: `explain`, and listings.
//!
//! Contract: nothing is asked and nothing taken.

use std::sync::Arc;

use mail::clock::Timestamp;

use super::{Budget, locked, moment};
use crate::{
    budget::protocol::{Everywhere, Id},
    limits::{ClientId, Counted, Decision, Limit, Limits, Peer},
    state::Memory,
};

/// What all smarthosts have counted of a client, for each of its limits.
pub(crate) fn sums(
    limits: &Limits,
    client: &ClientId,
    everywhere: &Everywhere,
    now: Timestamp,
) -> Vec<(u32, Limit)> {
    let limits = limits.limits_of(client, now).into_iter();
    let sums = limits.filter_map(|(counted, limit)| {
        Some((everywhere.get(&Id::new(counted, &limit))?.sum(), limit))
    });
    sums.collect()
}

impl Budget {
    /// That asks nobody and takes nothing: this is what all nodes have counted, and what the daemon
    /// takes while the others cannot be asked.
    pub(crate) fn seen(memory: &Memory, everywhere: Everywhere, daemon: Option<Arc<Self>>) -> Self {
        Self {
            seen: everywhere,
            daemon,
            ..Self::unshared(memory)
        }
    }

    /// Whether one more would be refused, for the others cannot be asked.
    fn refuses_alone(&self, id: &Id, limit: u32) -> bool {
        let full = self.alone(id, limit);
        full.is_some_and(|(count, part)| count >= part) && !self.site().has_lease(id, moment())
    }

    /// What is known to be used up, in a look.
    pub(super) fn looked(&self, peer: &Peer, what: Counted, now: Timestamp) -> Option<Decision> {
        if self.seen.is_empty() && self.daemon.is_none() {
            return None;
        }
        let mut limits = locked(&self.limits);
        let shared = limits.shared(peer, now).into_iter();
        let (client, limit, sum) =
            shared
                .filter(|(_, limit)| limit.counts == what)
                .find_map(|(client, limit)| {
                    let id = Id::new(client.clone(), &limit);
                    let daemon = self.daemon.as_ref();
                    if daemon.is_some_and(|it| it.refuses_alone(&id, limit.window.limit)) {
                        return Some((client, limit, None));
                    }
                    let sum = self.seen.get(&id)?.sum();
                    (sum >= limit.window.limit).then_some((client, limit, Some(sum)))
                })?;
        limits.withdraw(peer, what);
        Some(limits.refuse_shared(&client, &limit, sum, now, now))
    }
}
