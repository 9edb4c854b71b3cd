//! The store as its scripts make it, for simulations.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::{
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
}

#[derive(Debug, Default)]
struct Row {
    sequences: HashMap<String, u64>,
    counts: BTreeMap<(u64, String), u32>,
}

#[derive(Debug)]
pub(super) struct Store {
    rows: HashMap<Id, Row>,
    epoch: Option<(String, Millis)>,
    told: BTreeSet<String>,
    epochs: u32,
    pub(super) mistake: Mistake,
}

impl Store {
    pub(super) fn new(mistake: Mistake) -> Self {
        Self {
            rows: HashMap::new(),
            epoch: None,
            told: BTreeSet::new(),
            epochs: 0,
            mistake,
        }
    }

    /// It loses everything.
    pub(super) fn wipe(&mut self) {
        self.rows.clear();
        self.epoch = None;
        self.told.clear();
    }

    fn fresh(&mut self, now: Millis) {
        self.epochs += 1;
        self.epoch = Some((format!("e{}:{now}", self.epochs), now));
        self.told.clear();
    }

    /// The one of a real store, from whose name the time can be read at which it began.
    pub(super) fn keep_epoch(&mut self, epoch: &str) {
        if self.epoch.as_ref().is_none_or(|(known, _)| known != epoch) {
            let (_, since) = epoch.rsplit_once(':').unwrap();
            self.epoch = Some((epoch.to_owned(), since.parse().unwrap()));
            self.told.clear();
        }
    }

    pub(super) fn hello(&mut self, now: Millis) -> Hello {
        if self.epoch.is_none() {
            self.fresh(now);
        }
        let epoch = self.epoch.clone().unwrap().0;
        Hello { now, epoch }
    }

    pub(super) fn renew(&mut self, epoch: &str, now: Millis) {
        if self.epoch.as_ref().is_some_and(|(known, _)| known == epoch) {
            self.fresh(now);
        }
    }

    pub(super) fn register(&mut self, node: &str, epoch: &str) {
        if self.epoch.as_ref().is_some_and(|(known, _)| known == epoch) {
            self.told.insert(node.to_owned());
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
        let row = self.rows.entry(request.id.clone()).or_default();
        let before = row.sequences.get(node).copied();
        if before.is_none() && request.known {
            return Reply::Forgotten;
        }
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
        let sum: u32 = row.counts.values().sum();
        let complete = self.told.len() >= nodes as usize
            || now.saturating_sub(since) >= width * (KEEP + 1)
            || self.mistake == Mistake::GrantsBeforeAllHaveTold;
        // As if what is granted now had been granted long ago, and could be spent all the same.
        let granted = match self.mistake {
            Mistake::LeasesLiveLong => slot - 5,
            _ => slot,
        };
        let left = request.limit.saturating_sub(sum);
        let part = (left / (2 * nodes)).max(1);
        let grant = if complete {
            request.want.min(part).min(left)
        } else {
            0
        };
        if grant > 0 {
            *row.counts.entry((granted, node.to_owned())).or_default() += grant;
        }
        Reply::Told(Told {
            slot: granted,
            grant,
            sum: sum + grant,
            oldest: row.counts.keys().next().map(|(of, _)| *of),
            complete,
        })
    }
}
