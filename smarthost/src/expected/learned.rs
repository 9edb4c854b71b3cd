//! Who sends what, and the rhythm of each: proposals, until somebody confirms them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use mail::clock::{Timestamp, Zone};
use serde::{Deserialize, Serialize};

use super::{
    Came, Every, Pattern, Wanted, Who,
    rhythm::{SEEN, rhythm},
    subject,
};

/// Kinds that are known at once, and of one machine.
const MOST: usize = 4000;
const OF_MACHINE: usize = 200;
/// What comes so shortly after the last one belongs to it.
const BURST: Duration = Duration::from_mins(5);

/// Machine, user and sender, and what its subjects have in common.
pub(super) type Key = (String, String, String, String);

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    number: u32,
    label: String,
    seen: VecDeque<Timestamp>,
    /// It stood in a digest, or somebody has confirmed it: no digest proposes it any more.
    told: bool,
    confirmed: bool,
}

/// What could be expected.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proposal {
    pub number: u32,
    pub machine: String,
    pub user: String,
    pub last: Timestamp,
    pub wanted: Wanted,
}

#[derive(Debug, Default)]
pub(super) struct Learned {
    rows: BTreeMap<Key, Row>,
    next: u32,
    pub(super) dirty: BTreeSet<Key>,
}

impl Learned {
    pub(super) fn came(&mut self, came: &Came, now: Timestamp) {
        let kind = subject::kind(&came.subject);
        let key = (came.machine(), came.user.clone(), came.sender.clone(), kind);
        if !self.rows.contains_key(&key) {
            self.make_room(&key);
            self.next = self.next.saturating_add(1);
        }
        let number = self.next;
        let row = self.rows.entry(key.clone()).or_insert_with(|| Row {
            number,
            label: String::new(),
            seen: VecDeque::new(),
            told: false,
            confirmed: false,
        });
        row.label = came.label();
        let burst = |last: &Timestamp| now.since(*last) < BURST && *last <= now;
        if row.seen.back().is_some_and(burst) {
            return;
        }
        // A clock that was set back starts anew.
        if row.seen.back().is_some_and(|last| *last > now) {
            row.seen.clear();
        }
        row.seen.push_back(now);
        if row.seen.len() > SEEN {
            row.seen.pop_front();
        }
        self.dirty.insert(key);
    }

    /// What came once goes first, then what did not come for longest; of the same machine if that
    /// has its part.
    fn make_room(&mut self, new: &Key) {
        let nothing = String::new;
        let first = (new.0.clone(), nothing(), nothing(), nothing());
        let of_machine = || {
            self.rows
                .range(&first..)
                .take_while(|(key, _)| key.0 == new.0)
        };
        let crowded = of_machine().nth(OF_MACHINE - 1).is_some();
        if !crowded && self.rows.len() < MOST {
            return;
        }
        let all = (!crowded).then(|| self.rows.iter());
        let own = crowded.then(of_machine);
        let rows = all.into_iter().flatten().chain(own.into_iter().flatten());
        let worth = |row: &Row| {
            (
                row.confirmed,
                row.seen.len().min(4),
                row.seen.back().copied(),
            )
        };
        let least = rows
            .min_by_key(|(_, row)| worth(row))
            .map(|(key, _)| key.clone());
        if let Some(least) = least {
            self.rows.remove(&least);
            self.dirty.insert(least);
        }
    }

    /// What comes regularly and was not confirmed yet.
    pub(super) fn proposals(&self, zone: &Zone) -> Vec<Proposal> {
        let rows = self.rows.iter().filter(|(_, row)| !row.confirmed);
        rows.filter_map(|(key, row)| proposal(key, row, zone))
            .collect()
    }

    /// The same that no digest has proposed; from now on one has.
    pub(super) fn news(&mut self, zone: &Zone) -> Vec<Proposal> {
        let mut found = Vec::new();
        for (key, row) in &mut self.rows {
            if !row.told
                && let Some(proposal) = proposal(key, row, zone)
            {
                row.told = true;
                self.dirty.insert(key.clone());
                found.push(proposal);
            }
        }
        found
    }

    /// What a number stands for.
    pub(super) fn proposed(&self, number: u32, zone: &Zone) -> Option<Proposal> {
        let mut rows = self.rows.iter();
        let (key, row) = rows.find(|(_, row)| row.number == number && !row.confirmed)?;
        proposal(key, row, zone)
    }

    /// It is declared now.
    pub(super) fn confirm(&mut self, number: u32) {
        for (key, row) in &mut self.rows {
            if row.number == number {
                (row.told, row.confirmed) = (true, true);
                self.dirty.insert(key.clone());
            }
        }
    }

    pub(super) fn all_changed(&mut self) {
        self.dirty.extend(self.rows.keys().cloned());
    }

    pub(super) fn record(&self, key: &Key) -> Option<String> {
        serde_json::to_string(self.rows.get(key)?).ok()
    }

    pub(super) fn restore(&mut self, key: &str, record: &str) -> bool {
        let (Ok(key), Ok(row)) = (
            serde_json::from_str(key),
            serde_json::from_str::<Row>(record),
        ) else {
            return false;
        };
        self.next = self.next.max(row.number);
        // Cut without a star, as versions before did: it would fit nothing.
        let (.., kind): &Key = &key;
        if kind.chars().count() >= subject::KIND && !kind.ends_with('*') {
            return true;
        }
        if self.rows.len() < MOST {
            self.rows.insert(key, row);
        }
        true
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// `None`: it does not come regularly, or any mail of its sender would be taken for it.
fn proposal(key: &Key, row: &Row, zone: &Zone) -> Option<Proposal> {
    let seen: Vec<Timestamp> = row.seen.iter().copied().collect();
    let (every, grace): (Every, Every) = rhythm(&seen, zone)?;
    let (machine, user, sender, subject) = key;
    if !subject::says_something(subject) {
        return None;
    }
    let client = Who::try_from(machine.clone()).ok()?;
    let sender = Pattern::try_from(Pattern::literal(sender)).ok();
    let subject = Pattern::try_from(subject.clone()).ok()?;
    let of = (Some(client), sender, Some(subject));
    Some(Proposal {
        number: row.number,
        machine: row.label.clone(),
        user: user.clone(),
        last: *row.seen.back()?,
        wanted: Wanted::new(of, every, Some(grace)).ok()?,
    })
}
