//! What administrators order at one node, and all do. Pure.
//!
//! Contract: of each client the newest reset and the newest raise are kept, by every node on its
//! disk and in the store. Which is newer says the time by the store's clock, and among orders about
//! one client that a node knows the order in which they came: a later one has a higher number,
//! whatever the clock shows. Two records are joined into one, the same whichever comes first. A
//! record is kept until all that it has replaced would be over, and told again to a store that
//! lacks it. A raise ends by the store's clock; what follows from it here lasts for what is left,
//! and is told anew where the machine's clock was set.
//! A reset begins a generation of a client's counts: those of an earlier one are worth nothing,
//! whenever and by whomever they are told.
//!
//! Failures: a record that cannot be read counts as none, and is replaced. Of more than
//! [`MOST`] clients those go that end first.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use mail::clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::protocol::Millis;
use crate::limits::ClientId;

/// Clients with an order, at most.
const MOST: usize = 4096;
/// No clock shows so much: nobody gave such a number to an order.
const LAST: u64 = 1 << 53;

/// Of a client that was never forgiven.
const FIRST: &str = "0 -";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// Another limit, for so long.
    Raise { limit: u32, lasts: Duration },
    /// What it has sent is forgiven, and its limit is the usual one.
    Reset,
}

/// Which order is newer; the name of its node decides between two of one moment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
struct Stamp {
    /// Milliseconds of the store's clock, or more (earlier versions: a count, which is less).
    number: u64,
    node: String,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
struct Raise {
    stamp: Stamp,
    limit: u32,
    /// By the store's clock (earlier versions: by that of the machine where it was given).
    until: Timestamp,
}

impl Raise {
    /// The limit, and how long it is still in force.
    fn left(&self, now: Millis) -> (u32, Duration) {
        (self.limit, self.until.since(Timestamp::from_millis(now)))
    }
}

/// All that is ordered of one client.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Record {
    reset: Option<Stamp>,
    raise: Option<Raise>,
    /// By the store's clock.
    keep: Millis,
}

impl Record {
    fn join(self, other: Self) -> Self {
        Self {
            reset: self.reset.max(other.reset),
            raise: self.raise.max(other.raise),
            keep: self.keep.max(other.keep),
        }
    }

    fn newest(&self) -> u64 {
        let reset = self.reset.as_ref().map(|it| it.number);
        let raise = self.raise.as_ref().map(|it| it.stamp.number);
        reset.max(raise).unwrap_or_default()
    }

    /// The limit that is ordered: a reset ends one that was given before.
    fn raised(&self) -> Option<&Raise> {
        let raise = self.raise.as_ref();
        raise.filter(|raise| Some(&raise.stamp) > self.reset.as_ref())
    }

    /// What is to be done now who knew but this.
    fn after(&self, known: &Self, now: Millis) -> Due {
        let reset = self.reset > known.reset;
        let raised = self
            .raised()
            .filter(|it| reset || known.raised() != Some(*it));
        Due {
            reset,
            raise: raised.map(|raise| raise.left(now)),
        }
    }

    /// By which reset a client begins anew: `NUMBER NODE`.
    fn generation(&self) -> String {
        let reset = self.reset.as_ref();
        let named = reset.map(|it| format!("{} {}", it.number, it.node));
        named.unwrap_or_else(|| FIRST.to_owned())
    }

    /// `NUMBER NODE JSON`: the script that grants reads the first two, and everybody the last.
    fn row(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{} {json}", self.generation())
    }

    fn parse(row: &str) -> Option<Self> {
        let (_, json) = row.split_once(' ')?.1.split_once(' ')?;
        let record: Self = serde_json::from_str(json).ok()?;
        (record.newest() < LAST).then_some(record)
    }
}

/// As this node has it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Kept {
    record: Record,
    /// The time in it is the machine's: the store's clock was not known.
    early: bool,
    /// Of these orders too.
    #[serde(default, skip_serializing_if = "Early::is_none")]
    given: Early,
}

/// Orders that were given before the store's clock was known, by the machine's.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Early {
    reset: Option<Millis>,
    raise: Option<Millis>,
    /// The number of the newest order that was known before.
    above: u64,
}

impl Early {
    const fn is_none(&self) -> bool {
        self.reset.is_none() && self.raise.is_none()
    }
}

impl Kept {
    /// One that is newer than all that is known here.
    fn give(&mut self, node: &str, what: What, (now, early): (Millis, bool)) {
        let newest = self.record.newest();
        let stamp = Stamp {
            number: number(now, newest),
            node: node.to_owned(),
        };
        if early && self.given.is_none() {
            self.given.above = newest;
        }
        let at = early.then_some(now);
        match what {
            What::Raise { limit, lasts } => {
                self.given.raise = at;
                let until = Timestamp::from_millis(now).after(lasts);
                self.record.raise = Some(Raise {
                    stamp,
                    limit,
                    until,
                });
            }
            What::Reset => {
                self.given.reset = at;
                self.record.reset = Some(stamp);
            }
        }
        self.early = early;
    }

    /// The store's clock less the machine's is known now: an order is as old as it is by that.
    fn place(&mut self, skew: i64) {
        self.record.keep = self.record.keep.saturating_add_signed(skew);
        self.early = false;
        let Early {
            reset,
            raise,
            above,
        } = std::mem::take(&mut self.given);
        let Record {
            reset: known_reset,
            raise: known_raise,
            ..
        } = &mut self.record;
        if let (Some(raise), Some(_)) = (known_raise.as_mut(), raise) {
            let until = raise.until.as_millis().saturating_add_signed(skew);
            raise.until = Timestamp::from_millis(until);
        }
        let known_raise = known_raise.as_mut().map(|it| &mut it.stamp);
        let mut early = [reset.zip(known_reset.as_mut()), raise.zip(known_raise)];
        // In the order in which they were given.
        early.sort_by_key(|it| it.as_ref().map(|(_, stamp)| stamp.number));
        let mut newest = above;
        for (at, stamp) in early.into_iter().flatten() {
            newest = number(at.saturating_add_signed(skew), newest);
            stamp.number = newest;
        }
    }
}

/// Of an order that is given now, and is newer than another one.
fn number(now: Millis, newest: u64) -> u64 {
    now.max(newest.saturating_add(1)).min(LAST - 1)
}

/// What is to be done of one client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Due {
    pub(crate) reset: bool,
    /// For so long; none: it is over.
    pub(crate) raise: Option<(u32, Duration)>,
}

/// A row of the store that is to be changed if it is still as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) client: String,
    /// Empty: there is none.
    pub(crate) was: String,
    /// Empty: it goes.
    pub(crate) is: String,
}

/// What follows from all that the store has.
#[derive(Debug, Default)]
pub(crate) struct Met {
    pub(crate) due: Vec<(ClientId, Due)>,
    pub(crate) tell: Vec<Row>,
}

/// What this node knows of them.
#[derive(Debug, Default)]
pub(super) struct Orders {
    kept: HashMap<ClientId, Kept>,
    /// The store's name for what was read there last; `None`: to be read.
    version: Option<String>,
    /// An order was given, or the store may have forgotten some, since it was read.
    stale: bool,
    /// The machine's clock was set, by which raises end here: all are due again.
    set: bool,
    dirty: HashSet<ClientId>,
}

impl Orders {
    /// One that was given here, and is to be kept for so long; `early`: the time is the machine's.
    pub(super) fn give(
        &mut self,
        node: &str,
        client: &ClientId,
        what: What,
        lasts: Millis,
        (now, early): (Millis, bool),
    ) {
        let kept = self.kept.entry(client.clone()).or_default();
        kept.give(node, what, (now, early));
        kept.record.keep = kept.record.keep.max(now.saturating_add(lasts));
        self.is_unknown();
        self.dirty.insert(client.clone());
        self.bound();
    }

    fn bound(&mut self) {
        while self.kept.len() > MOST {
            let first = self.kept.iter().min_by_key(|(_, kept)| kept.record.keep);
            let Some(client) = first.map(|(client, _)| client.clone()) else {
                return;
            };
            self.kept.remove(&client);
            self.dirty.insert(client);
        }
    }

    /// By which reset a client has begun anew: of what was counted before, nothing is told.
    pub(super) fn generation(&self, client: &ClientId) -> String {
        let kept = self.kept.get(client);
        kept.map_or_else(|| FIRST.to_owned(), |kept| kept.record.generation())
    }

    /// Whether what the store has under this name was read, and all was told that it lacked.
    pub(super) fn has_met(&self, version: &str) -> bool {
        self.version.as_deref() == Some(version)
    }

    /// Whether the store was met at all since it began anew.
    pub(super) fn is_told(&self) -> bool {
        self.version.is_some()
    }

    /// The store may have forgotten them.
    pub(super) fn is_unknown(&mut self) {
        self.version = None;
        self.stale = true;
    }

    /// All that the store has: what is news here and to be done, and what it lacks. To be followed
    /// by [`Orders::told`].
    pub(super) fn meet(&mut self, rows: &HashMap<String, String>, now: Millis) -> Met {
        let mut met = Met::default();
        self.stale = false;
        if std::mem::take(&mut self.set) {
            met.due = self.raised(now);
        }
        for (name, row) in rows {
            let (Ok(client), Some(theirs)) = (ClientId::parse(name), Record::parse(row)) else {
                continue;
            };
            if theirs.keep <= now {
                continue;
            }
            let known = self.kept.get(&client);
            if known.is_none() && self.kept.len() >= MOST {
                continue;
            }
            let known = known.map(|kept| kept.record.clone()).unwrap_or_default();
            let joined = known.clone().join(theirs);
            if joined != known {
                let due = joined.after(&known, now);
                self.kept.entry(client.clone()).or_default().record = joined;
                self.dirty.insert(client.clone());
                met.due.push((client, due));
            }
        }
        self.end(now);
        met.tell = self.lacking(rows, now);
        met
    }

    /// All raises that are not forgiven.
    fn raised(&self, now: Millis) -> Vec<(ClientId, Due)> {
        let raised = self.kept.iter().filter_map(|(client, kept)| {
            let raise = Some(kept.record.raised()?.left(now));
            let reset = false;
            Some((client.clone(), Due { reset, raise }))
        });
        raised.collect()
    }

    fn end(&mut self, now: Millis) {
        let Self { kept, dirty, .. } = self;
        kept.retain(|client, kept| {
            let stays = kept.record.keep > now;
            if !stays {
                dirty.insert(client.clone());
            }
            stays
        });
    }

    fn lacking(&self, rows: &HashMap<String, String>, now: Millis) -> Vec<Row> {
        let over = rows.iter().filter(|(name, row)| {
            let ended = Record::parse(row).is_none_or(|record| record.keep <= now);
            let known = ClientId::parse(name).is_ok_and(|client| self.kept.contains_key(&client));
            ended && !known
        });
        let over = over.map(|(name, row)| Row {
            client: name.clone(),
            was: row.clone(),
            is: String::new(),
        });
        let ours = self.kept.iter().map(|(client, kept)| {
            let client = client.to_string();
            Row {
                was: rows.get(&client).cloned().unwrap_or_default(),
                is: kept.record.row(),
                client,
            }
        });
        over.chain(ours).filter(|row| row.was != row.is).collect()
    }

    /// The store was told what it lacked after it was read under this name.
    pub(super) fn told(&mut self, version: &str) {
        self.version = (!self.stale).then(|| version.to_owned());
    }

    /// The machine's clock was set, or it is known now how far it is from the store's.
    pub(super) fn clock_was_set(&mut self) {
        self.set = true;
        self.is_unknown();
    }

    /// The store's clock is known now, and so is how far the machine's is from it.
    pub(super) fn place(&mut self, skew: i64) {
        for (client, kept) in self.kept.iter_mut().filter(|(_, kept)| kept.early) {
            kept.place(skew);
            self.dirty.insert(client.clone());
        }
    }

    /// To be kept for the next start.
    pub(super) fn changes(&mut self) -> Vec<(String, Option<String>)> {
        let dirty = std::mem::take(&mut self.dirty);
        let row = |client: &ClientId| {
            let kept = self.kept.get(client)?;
            serde_json::to_string(kept).ok()
        };
        let rows = dirty.iter().map(|client| (client.to_string(), row(client)));
        rows.collect()
    }

    /// `false`: it cannot be read.
    pub(super) fn restore(&mut self, name: &str, record: &str) -> bool {
        let client = ClientId::parse(name).ok();
        let kept = serde_json::from_str::<Kept>(record).ok();
        let Some((client, kept)) = client.zip(kept) else {
            return false;
        };
        self.kept.insert(client, kept);
        self.bound();
        true
    }

    /// What was kept is lost on the disk.
    pub(super) fn all_changed(&mut self) {
        self.dirty.extend(self.kept.keys().cloned());
    }
}
