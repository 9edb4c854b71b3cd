//! What all smarthosts have counted, for whoever only looks: `explain`, and listings.
//!
//! Contract: nothing is asked and nothing taken.

use mail::clock::Timestamp;

use super::{Budget, locked};
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
    /// That asks nobody and takes nothing: this is what all nodes have counted.
    pub(crate) fn seen(memory: &Memory, everywhere: Everywhere) -> Self {
        Self {
            seen: everywhere,
            ..Self::unshared(memory)
        }
    }

    /// What is known to be used up, in a look.
    pub(super) fn looked(&self, peer: &Peer, what: Counted, now: Timestamp) -> Option<Decision> {
        if self.seen.is_empty() {
            return None;
        }
        let mut limits = locked(&self.limits);
        let shared = limits.shared(peer, now).into_iter();
        let (client, limit, sum) =
            shared
                .filter(|(_, limit)| limit.counts == what)
                .find_map(|(client, limit)| {
                    let sum = self.seen.get(&Id::new(client.clone(), &limit))?.sum();
                    (sum >= limit.window.limit).then_some((client, limit, sum))
                })?;
        limits.withdraw(peer, what);
        Some(limits.refuse_shared(&client, &limit, Some(sum), now, now))
    }
}
