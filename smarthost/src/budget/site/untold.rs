//! What the store was not told, and what is not on the disk.

use std::collections::HashSet;

use super::{Moment, NODE, ORDER, Site};
use crate::budget::{
    account::Account,
    protocol::{Id, Request, TOLERANCE},
};

impl Site {
    /// What changed since the last call, to be kept.
    pub(crate) fn changes(&mut self, at: Moment) -> Vec<(String, Option<String>)> {
        let (dirty, skew) = (std::mem::take(&mut self.dirty), self.skew(at));
        let record = |id: &Id| self.accounts.get(id).map(|account| account.record(skew));
        let accounts = dirty.into_iter().map(|id| (id.to_string(), record(&id)));
        let mut all: Vec<_> = accounts.collect();
        let orders = self.orders.changes().into_iter();
        all.extend(orders.map(|(client, row)| (format!("{ORDER}{client}"), row)));
        let peers = self.peers.changes().into_iter();
        all.extend(peers.map(|(node, row)| (format!("{NODE}{node}"), row)));
        all
    }

    /// What was kept is lost on the disk.
    pub(crate) fn all_changed(&mut self) {
        self.dirty.extend(self.accounts.keys().cloned());
        self.orders.all_changed();
        self.peers.all_changed();
    }

    /// What an account has to be told and kept of.
    pub(super) fn note(&mut self, id: &Id) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        if account.take_unkept() {
            self.dirty.insert(id.clone());
        }
        if account.changed {
            self.untold.insert(id.clone());
        }
    }

    pub(super) fn note_all(&mut self) {
        let Self {
            accounts,
            dirty,
            untold,
            ..
        } = self;
        for (id, account) in accounts {
            if account.take_unkept() {
                dirty.insert(id.clone());
            }
            if account.changed {
                untold.insert(id.clone());
            }
        }
    }

    /// Where one of the clocks was set, all is kept with what is between them now: a node that
    /// starts again knows by that how long it was away.
    pub(super) fn keep_skew(&mut self, at: Moment) {
        let (before, skew) = (self.kept_skew, self.skew(at));
        let same = before.zip(skew);
        if same.is_none_or(|(before, skew)| before.abs_diff(skew) > TOLERANCE) {
            self.kept_skew = skew;
            self.orders.clock_was_set();
            self.dirty.extend(self.accounts.keys().cloned());
        }
    }

    /// So many budgets that the store does not know as they are.
    pub(crate) fn untold(&mut self, most: usize, at: Moment) -> Vec<Request> {
        if self.epoch.is_none() && self.telling.is_none() {
            return Vec::new();
        }
        let now = self.now(at);
        let (mut requests, mut later) = (Vec::new(), HashSet::new());
        for id in std::mem::take(&mut self.untold) {
            let account = self.accounts.get_mut(&id);
            let Some(account) = account.filter(|account| account.changed) else {
                continue;
            };
            if account.asking || requests.len() >= most {
                later.insert(id);
                continue;
            }
            account.advance(now);
            requests.push(account.tell(&id, now));
            if account.take_unkept() {
                self.dirty.insert(id);
            }
        }
        self.untold = later;
        requests.into_iter().map(|it| self.numbered(it)).collect()
    }

    /// The epoch in which the store was told all, if it was: it is to note that.
    pub(crate) fn told_all(&self) -> Option<String> {
        let epoch = self.telling.clone().filter(|_| self.orders.is_told())?;
        let mut accounts = self.accounts.values();
        let untold = accounts.any(|account| account.changed || account.asking);
        (!untold).then_some(epoch)
    }

    /// It has noted that, as of so many nodes.
    pub(crate) fn has_told(&mut self, epoch: &str, nodes: usize) {
        if self.telling.as_deref() == Some(epoch) {
            self.epoch = self.telling.take();
            self.told = nodes;
        }
    }

    /// What is leased and was not spent.
    pub(crate) fn give_back_all(&mut self) {
        self.accounts
            .values_mut()
            .for_each(Account::give_back_leases);
        self.note_all();
    }

    /// Forgets what has slid out.
    pub(crate) fn sweep(&mut self, at: Moment) {
        if self.offset.is_none() {
            return;
        }
        let now = self.now(at);
        self.accounts
            .values_mut()
            .for_each(|account| account.advance(now));
        self.note_all();
        let Self {
            accounts, dirty, ..
        } = self;
        accounts.retain(|id, account| {
            let stays = !account.is_idle();
            if !stays {
                dirty.insert(id.clone());
            }
            stays
        });
    }
}
