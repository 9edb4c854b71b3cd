//! What administrators order, and who the others are.

use std::collections::HashMap;

use super::{Moment, Site};
use crate::{
    budget::{
        account::Account,
        orders::{Met, What},
        peers::Peers,
        protocol::{Id, KEEP, Millis},
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
        let Self {
            accounts, dirty, ..
        } = self;
        for (id, account) in accounts.iter_mut().filter(|(id, _)| id.client == *client) {
            account.reset();
            dirty.insert(id.clone());
        }
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
    /// what they know (so many have): what counts against this node's part, and that part.
    pub(crate) fn alone(&self, id: &Id, limit: u32, told: usize, at: Moment) -> Option<(u32, u32)> {
        let nodes = usize::try_from(self.terms.nodes).unwrap_or(usize::MAX);
        let since = self.epoch.as_deref().and_then(|epoch| {
            let (_, since) = epoch.rsplit_once(':')?;
            since.parse::<Millis>().ok()
        });
        let window = id.width().saturating_mul(KEEP + 1);
        let old = since.is_some_and(|since| self.now(at).saturating_sub(since) >= window);
        let account = self.accounts.get(id);
        // The last answer about it may be newer than what was heard of the nodes.
        let complete = account.is_some_and(Account::is_complete);
        if self.is_up() && (told >= nodes || old || complete) {
            return None;
        }
        let own = account.map_or(0, Account::own);
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
