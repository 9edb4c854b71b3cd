//! What administrators order, and who the others are.

use std::collections::HashMap;

use super::{Moment, Site};
use crate::{
    budget::{
        account::Account,
        orders::{Met, What},
        peers::Peers,
        protocol::{Id, Millis},
    },
    config::OnOutage,
    limits::ClientId,
};

impl Site {
    /// An administrator's order, to be kept for so long.
    pub(crate) fn order(&mut self, client: &ClientId, what: What, lasts: Millis, at: Moment) {
        let (now, early) = (self.now(at), self.offset.is_none());
        let node = self.terms.node.clone();
        self.orders.give(&node, client, what, lasts, (now, early));
        if what == What::Reset {
            self.forgive(client);
        }
    }

    fn forgive(&mut self, client: &ClientId) {
        let accounts = self.accounts.iter_mut();
        for (_, account) in accounts.filter(|(id, _)| id.client == *client) {
            account.reset();
        }
        self.note_all();
    }

    /// Whether all orders are known that the store has under this name, and it knows ours.
    pub(crate) fn has_met(&self, version: &str) -> bool {
        self.orders.has_met(version)
    }

    /// All orders that the store has: what they demand here, and what it lacks.
    pub(crate) fn meet(&mut self, rows: &HashMap<String, String>, at: Moment) -> Met {
        let met = self.orders.meet(rows, self.now(at));
        let resets = met.due.iter().filter(|(_, due)| due.reset);
        resets.for_each(|(client, _)| self.forgive(client));
        met
    }

    /// The store was told what it lacked, when its orders had this name.
    pub(crate) fn has_told_orders(&mut self, version: &str) {
        self.orders.told(version);
    }

    /// Others that share the budget, and when they were heard last.
    pub(crate) fn peers(&mut self) -> &mut Peers {
        &mut self.peers
    }

    /// Why one of them is not to be forgotten.
    pub(crate) fn refuses_to_forget(&self, node: &str, at: Moment) -> Option<String> {
        self.peers.refuses(node, &self.terms.node, self.now(at))
    }

    /// Since which reset a client's counts are, and what the store's clock shows.
    pub(crate) fn generation(&self, client: &ClientId, at: Moment) -> (String, Millis) {
        (self.orders.generation(client), self.now(at))
    }

    /// Where nothing is granted to anybody, since the store does not answer or not all have told
    /// what they know: what counts against this node's part, and that part.
    pub(crate) fn alone(&self, id: &Id, limit: u32, at: Moment) -> Option<(u32, u32)> {
        if self.is_up() && self.all_have_told(id, self.now(at)) {
            return None;
        }
        let own = self.accounts.get(id).map_or(0, Account::own);
        match self.terms.on_outage {
            OnOutage::Share => Some((own, limit / self.terms.nodes.max(1))),
            OnOutage::Defer => Some((0, 0)),
            OnOutage::Open => None,
        }
    }

    /// Whether something that the store has granted is left.
    pub(crate) fn has_lease(&self, id: &Id, at: Moment) -> bool {
        let now = self.now(at);
        let account = self.accounts.get(id);
        account.is_some_and(|account| account.has_lease(now))
    }
}
