//! The store as its scripts make it, for simulations.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::{
    orders::Row as Order,
    peers::{FORGOTTEN, Lacking, is_its_own, said},
    protocol::{Id, KEEP, Millis, Reply, Request, TOLERANCE, Told},
    site::Hello,
};

/// A rule that is left out, to see whether the tests notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mistake {
    None,
    ForgetsEarly,
    NoSequence,
    GrantsBeforeAllHaveTold,
    LeasesLiveLong,
    /// A budget that is gone, or not as it was left, is taken for a new one.
    LossIsNotNoticed,
    /// A name that no smarthost has is believed to be one that is gone.
    ForgetsAnyName,
    /// Where an epoch ends, those that are gone are waited for again.
    GoneAreWaitedFor,
    /// What nodes tell that are away while a client is forgiven counts.
    ResetsAreNotInTheStore,
    /// Orders live as long as the process.
    OrdersAreNotKept,
    /// What is new in the store is known by a number that begins anew with it.
    OrdersAreNumbered,
}

#[derive(Debug, Default)]
struct Row {
    sequences: HashMap<String, u64>,
    counts: BTreeMap<(u64, String), u32>,
    /// The reset since which each node counts.
    since: HashMap<String, (u64, String)>,
    /// It is not as the script left it.
    damaged: bool,
}

#[derive(Debug)]
pub(super) struct Store {
    rows: HashMap<Id, Row>,
    epoch: Option<(String, Millis)>,
    pub(super) told: BTreeSet<String>,
    /// Those that said so themselves.
    pub(super) truly: BTreeSet<String>,
    epochs: u32,
    /// Budgets that must be there, until then; `None`: that is lost.
    there: Option<HashMap<Id, Millis>>,
    pub(super) nodes: HashMap<String, String>,
    pub(super) orders: HashMap<String, String>,
    version: u64,
    pub(super) mistake: Mistake,
}

/// `NUMBER NODE …`
fn number(generation: &str) -> (u64, String) {
    let mut words = generation.split(' ');
    let number = words.next().unwrap().parse().unwrap();
    (number, words.next().unwrap().to_owned())
}

impl Store {
    pub(super) fn new(mistake: Mistake) -> Self {
        Self {
            rows: HashMap::new(),
            epoch: None,
            told: BTreeSet::new(),
            truly: BTreeSet::new(),
            epochs: 0,
            there: None,
            nodes: HashMap::new(),
            orders: HashMap::new(),
            version: 0,
            mistake,
        }
    }

    /// It loses everything.
    pub(super) fn wipe(&mut self) {
        self.rows.clear();
        self.epoch = None;
        self.told.clear();
        self.there = None;
        self.nodes.clear();
        self.lose_orders();
    }

    /// It loses what administrators have ordered.
    pub(super) fn lose_orders(&mut self) {
        self.orders.clear();
        self.version = match self.mistake {
            Mistake::OrdersAreNumbered => 0,
            _ => self.version + 1,
        };
    }

    /// It loses one budget, or a count of it, or which there are.
    pub(super) fn lose(&mut self, id: &Id, what: u64) {
        match (what, self.rows.get_mut(id)) {
            (0, _) => self.there = None,
            (1, _) => drop(self.rows.remove(id)),
            (_, Some(row)) if !row.counts.is_empty() => {
                let nth = usize::try_from(what).unwrap() % row.counts.len();
                let slot = row.counts.keys().nth(nth).cloned().unwrap();
                row.counts.remove(&slot);
                row.damaged = true;
            }
            _ => {}
        }
    }

    /// A name for the orders that are there.
    pub(super) fn version(&self) -> String {
        self.version.to_string()
    }

    pub(super) fn order(&mut self, rows: &[Order]) {
        for row in rows {
            if self.orders.get(&row.client).map_or("", String::as_str) == row.was {
                self.orders.insert(row.client.clone(), row.is.clone());
            }
        }
        self.orders.retain(|_, row| !row.is_empty());
        self.version += 1;
    }

    /// A node is gone for good; `false`: it was there a moment ago.
    pub(super) fn forget(&mut self, node: &str, now: Millis) -> bool {
        let known = self.nodes.get(node).map_or("", String::as_str);
        let (process, at, _) = said(known);
        if is_its_own(process) && now.abs_diff(at) < 10_000 {
            return false;
        }
        self.told.insert(node.to_owned());
        let text = format!("{FORGOTTEN} {now} 3");
        self.nodes.insert(node.to_owned(), text);
        true
    }

    /// What a node knows of the others.
    pub(super) fn know(&mut self, lacking: &[Lacking], now: Millis) {
        for it in lacking {
            let known = self.nodes.get(&it.node).cloned().unwrap_or_default();
            let (process, at, _) = said(&known);
            let there = is_its_own(process) && now.abs_diff(at) < 10_000;
            let newer = at < it.at;
            match it.gone {
                Some(were) if !there && newer => {
                    let text = format!("{FORGOTTEN} {} {were}", it.at);
                    self.nodes.insert(it.node.clone(), text);
                    self.told.insert(it.node.clone());
                }
                None if newer && (process.is_empty() || process == FORGOTTEN) => {
                    self.nodes.insert(it.node.clone(), format!("- {}", it.at));
                    if process == FORGOTTEN {
                        self.told.remove(&it.node);
                    }
                }
                _ => {}
            }
        }
    }

    fn fresh(&mut self, now: Millis) {
        self.epochs += 1;
        self.epoch = Some((format!("e{}:{now}", self.epochs), now));
        self.told.clear();
        self.truly.clear();
        if self.mistake != Mistake::GoneAreWaitedFor {
            let gone = self.nodes.iter().filter(|it| said(it.1).0 == FORGOTTEN);
            self.told.extend(gone.map(|(node, _)| node.clone()));
        }
        self.there = Some(HashMap::new());
    }

    /// The one of a real store, from whose name the time can be read at which it began.
    pub(super) fn keep_epoch(&mut self, epoch: &str) {
        if self.epoch.as_ref().is_none_or(|(known, _)| known != epoch) {
            let (_, since) = epoch.rsplit_once(':').unwrap();
            self.epoch = Some((epoch.to_owned(), since.parse().unwrap()));
            self.told.clear();
            self.there = Some(HashMap::new());
        }
    }

    pub(super) fn hello(&mut self, node: &str, now: Millis) -> Hello {
        let forgives = self.mistake == Mistake::LossIsNotNoticed;
        if self.epoch.is_none() || self.there.is_none() && !forgives {
            self.fresh(now);
        }
        let text = format!("p{node} {now} 30/day");
        let other = self.nodes.insert(node.to_owned(), text);
        if said(&other.unwrap_or_default()).0 == FORGOTTEN {
            self.told.remove(node);
        }
        let epoch = self.epoch.clone().unwrap().0;
        let told = self.have_told();
        Hello { now, epoch, told }
    }

    pub(super) fn renew(&mut self, epoch: &str, now: Millis) {
        if self.epoch.as_ref().is_some_and(|(known, _)| known == epoch) {
            self.fresh(now);
        }
    }

    pub(super) fn epoch(&self) -> String {
        let epoch = self.epoch.as_ref().map(|(epoch, _)| epoch.clone());
        epoch.unwrap_or_default()
    }

    /// So many have told all they know.
    pub(super) fn register(&mut self, node: &str, epoch: &str) -> usize {
        if self.epoch.as_ref().is_some_and(|(known, _)| known == epoch) {
            self.told.insert(node.to_owned());
            self.truly.insert(node.to_owned());
        }
        self.have_told()
    }

    fn have_told(&self) -> usize {
        match self.mistake {
            Mistake::GrantsBeforeAllHaveTold => usize::MAX,
            _ => self.told.len(),
        }
    }

    pub(super) fn ask(&mut self, node: &str, nodes: u32, request: &Request, now: Millis) -> Reply {
        let Some((epoch, since)) = self.epoch.clone() else {
            return Reply::OtherEpoch;
        };
        if epoch != request.epoch {
            return Reply::OtherEpoch;
        }
        if now.abs_diff(request.now) > TOLERANCE {
            return Reply::OtherTime(now);
        }
        if self.is_damaged(node, request, now) {
            self.rows.remove(&request.id);
            return Reply::Forgotten;
        }
        let have_told = self.have_told();
        let row = self.rows.entry(request.id.clone()).or_default();
        let before = row.sequences.get(node).copied();
        if let Some(before) = before
            && request.sequence <= before
            && self.mistake != Mistake::NoSequence
        {
            return Reply::Overtaken(before);
        }
        row.sequences.insert(node.to_owned(), request.sequence);
        let keep = match self.mistake {
            Mistake::ForgetsEarly => KEEP - 3,
            _ => KEEP,
        };
        let width = request.id.width();
        let slot = now / width;
        row.counts
            .retain(|(of, by), _| by != node && *of + keep >= slot && *of <= slot + 1);
        for (of, count) in &request.slots {
            if *of + keep >= slot {
                row.counts.insert((*of, node.to_owned()), *count);
            }
        }
        row.since
            .insert(node.to_owned(), number(&request.generation));
        let client = request.id.client.to_string();
        let order = self.orders.get(&client).filter(|_| {
            // Nobody knows that a client was forgiven.
            self.mistake != Mistake::ResetsAreNotInTheStore
        });
        let reset = order.map_or_else(Default::default, |row| number(row));
        let counts = |node: &String| reset.0 == 0 || row.since.get(node) >= Some(&reset);
        let current = counts(&node.to_owned());
        let others = row
            .counts
            .iter()
            .filter(|((_, by), _)| by == node || counts(by));
        let sum: u32 = others.clone().map(|(_, count)| count).sum();
        let oldest = others.map(|((of, _), _)| *of).next();
        let complete =
            have_told >= nodes as usize || now.saturating_sub(since) >= width * (KEEP + 1);
        // As if what is granted now had been granted long ago, and could be spent all the same.
        let granted = match self.mistake {
            Mistake::LeasesLiveLong => slot - 5,
            _ => slot,
        };
        let left = request.limit.saturating_sub(sum);
        let part = (left / (2 * nodes)).max(1);
        let complete = complete && current;
        let grant = if complete {
            request.want.min(part).min(left)
        } else {
            0
        };
        if grant > 0 {
            *row.counts.entry((granted, node.to_owned())).or_default() += grant;
        }
        let until = now + width * (KEEP + 1);
        let there = self.there.get_or_insert_default();
        there.insert(request.id.clone(), until);
        Reply::Told(Told {
            slot: granted,
            grant,
            sum: sum + grant,
            oldest: oldest.or_else(|| (grant > 0).then_some(granted)),
            complete,
        })
    }

    /// Whether something of a budget was lost.
    fn is_damaged(&self, node: &str, request: &Request, now: Millis) -> bool {
        let row = self.rows.get(&request.id);
        let before = row.and_then(|row| row.sequences.get(node).copied());
        if self.mistake == Mistake::LossIsNotNoticed {
            return before.is_none() && request.answered > 0;
        }
        let Some(there) = &self.there else {
            return true;
        };
        let until = there.get(&request.id).copied().unwrap_or_default();
        row.is_none() && until > now
            || row.is_some_and(|row| row.damaged)
            || request.answered > 0 && before.is_none_or(|before| before < request.answered)
    }
}
