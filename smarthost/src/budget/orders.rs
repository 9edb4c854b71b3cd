//! What administrators order at one node, and all do. Pure.

use std::collections::HashMap;

use mail::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::limits::ClientId;

/// Orders that wait for the store, at most.
const MOST: usize = 1024;
/// A reset is known to all nodes that live after so long, milliseconds.
const LASTS: u64 = 8 * 86_400_000;

/// About one client, the newest there is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) client: ClientId,
    /// Of whose order it is known that it is another one than before.
    at: Timestamp,
    pub(crate) what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum What {
    /// Another limit until then.
    Raise { limit: u32, until: Timestamp },
    /// What it has sent is forgiven, and its limit is the usual one.
    Reset,
}

/// What this node knows of them.
#[derive(Debug, Default)]
pub(super) struct Orders {
    known: HashMap<ClientId, Timestamp>,
    /// Given here, and not told to the others.
    waiting: Vec<Order>,
    /// The store's number of the newest one that was read.
    pub(super) number: Option<u64>,
}

impl Orders {
    /// One that was given here.
    pub(super) fn give(&mut self, client: ClientId, what: What, now: Timestamp) {
        self.known.insert(client.clone(), now);
        self.waiting.retain(|order| order.client != client);
        if self.waiting.len() < MOST {
            self.waiting.push(Order {
                client,
                at: now,
                what,
            });
        }
    }

    /// The next to be told.
    pub(super) fn next(&self) -> Option<Order> {
        self.waiting.first().cloned()
    }

    /// It is told.
    pub(super) fn has_told(&mut self, order: &Order) {
        self.waiting.retain(|known| known != order);
    }

    /// Of all that the store has: what is news here and to be done, and what is over. What was
    /// forgiven before this node lived is not forgiven once more.
    pub(super) fn read(&mut self, all: Vec<Order>, now: Timestamp) -> (Vec<Order>, Vec<Order>) {
        let first = self.number.is_none();
        let (mut due, mut over) = (Vec::new(), Vec::new());
        for order in all {
            let ended = match order.what {
                What::Raise { until, .. } => until <= now,
                What::Reset => now.as_millis().saturating_sub(order.at.as_millis()) > LASTS,
            };
            if ended {
                over.push(order);
                continue;
            }
            let known = self.known.insert(order.client.clone(), order.at);
            let news = known.is_none_or(|known| known < order.at);
            if known.is_some_and(|known| known > order.at) {
                self.known.extend(known.map(|known| (order.client, known)));
            } else if news && !(first && order.what == What::Reset) {
                due.push(order);
            }
        }
        (due, over)
    }
}
