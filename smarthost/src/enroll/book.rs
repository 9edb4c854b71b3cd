//! Who may come in, who is in, and whose keys are believed no more.
//!
//! Contract: bounded. A key is one machine's at most. A secret lets one key in, until it has
//! expired; nothing but its digest is kept. A key that was revoked is never let in again, unless
//! its name is forgotten.

use std::{collections::BTreeMap, time::Duration};

use mail::clock::Timestamp;
use relay::{
    enroll::{Digest, Name},
    trust::Pin,
};
use serde::{Deserialize, Serialize};

use super::row::{Row, State, Twice};

/// Machines, lines that were not used yet, and keys that are believed no more.
const MACHINES: usize = 10_000;
const LINES: usize = 1_000;
const ENDED: usize = 10_000;
/// How long a line is remembered after it has expired, for a clear answer.
const REMEMBERED: Duration = Duration::from_hours(30 * 24);
/// How long a key is good after the next one was seen: connections may be under way.
pub const GRACE: Duration = Duration::from_mins(10);

/// All of them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Book {
    lines: BTreeMap<Name, Open>,
    machines: BTreeMap<Name, Machine>,
    /// The oldest first.
    ended: Vec<Ended>,
}

/// A line that was not used yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Open {
    digest: Digest,
    made: Timestamp,
    good_for: Duration,
}

/// A machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Machine {
    key: Pin,
    beside: Option<Beside>,
    since: Timestamp,
    from: String,
    /// Of the secret that let it in.
    digest: Digest,
    twice: Option<Twice>,
}

/// Another key of the same machine, while one takes the place of the other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Beside {
    /// Was told, and not seen yet.
    Next(Pin),
    /// Since when the one after it is used.
    Old(Pin, Timestamp),
}

/// A key that is believed no more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Ended {
    key: Pin,
    name: Name,
    at: Timestamp,
    /// By an administrator; otherwise another key has taken its place.
    revoked: bool,
}

/// Whose a key is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing<'a> {
    Known(&'a Name),
    /// It was this machine's, and is believed no more.
    Ended(&'a Name),
    Unknown,
}

/// A line that was used twice: whom it let in, and who came with another key.
#[derive(Clone, Debug)]
pub struct Doubled<'a> {
    pub name: &'a Name,
    pub key: &'a Pin,
    pub from: &'a str,
    pub since: Timestamp,
    pub twice: &'a Twice,
}

/// What became of a line that was used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Redeemed {
    Enrolled,
    /// The same key with the same secret once more.
    Again,
    /// There is no such line; or its secret is another one.
    Wrong,
    Expired,
    /// This other key was let in by it.
    UsedTwice(Pin),
    /// The key is another machine's.
    Taken(Name),
    /// The key was revoked.
    Revoked,
    /// There are too many machines.
    Full,
}

/// What became of a next key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Announced {
    Noted,
    /// The key that tells it is no machine's.
    Unknown,
    /// The next key was used before.
    Taken,
}

impl Machine {
    /// Whether a key is this machine's.
    fn has(&self, key: &Pin, now: Timestamp) -> bool {
        self.key == *key
            || match &self.beside {
                Some(Beside::Next(next)) => next == key,
                // What a clock that was ahead has noted is over at once: the next key is in use.
                Some(Beside::Old(old, since)) => {
                    old == key && *since <= now && now.since(*since) < GRACE
                }
                None => false,
            }
    }
}

impl Open {
    fn has_expired(&mut self, now: Timestamp) -> bool {
        self.made.age(now) >= self.good_for
    }
}

impl Book {
    /// Whether anybody is, was or may come in.
    pub fn is_used(&self) -> bool {
        !(self.lines.is_empty() && self.machines.is_empty() && self.ended.is_empty())
    }

    /// Makes a line, in the place of an earlier one of that name that was not used; the machine
    /// that has the name, if one has.
    pub fn invite(
        &mut self,
        name: &Name,
        digest: Digest,
        good_for: Duration,
        now: Timestamp,
    ) -> Result<Option<Row>, String> {
        self.lines
            .retain(|_, line| line.made.age(now) < line.good_for.saturating_add(REMEMBERED));
        if self.lines.len() >= LINES && !self.lines.contains_key(name) {
            return Err(format!(
                "{LINES} lines wait to be used: smarthost enroll list, and forget some"
            ));
        }
        let line = Open {
            digest,
            made: now,
            good_for,
        };
        self.lines.insert(name.clone(), line);
        Ok(self.machine(name))
    }

    /// A machine shows a key and a secret.
    pub fn redeem(
        &mut self,
        name: &Name,
        digest: Digest,
        key: &Pin,
        from: &str,
        now: Timestamp,
    ) -> Redeemed {
        if let Some(machine) = self.machines.get_mut(name)
            && machine.digest == digest
        {
            return machine.again(key, from, now);
        }
        match self.lines.get_mut(name) {
            Some(line) if line.digest == digest => {
                if line.has_expired(now) {
                    return Redeemed::Expired;
                }
            }
            _ => return Redeemed::Wrong,
        }
        if self.ended.iter().any(|it| it.key == *key && it.revoked) {
            return Redeemed::Revoked;
        }
        let mut machines = self.machines.iter();
        if let Some((other, _)) = machines.find(|(other, it)| *other != name && it.has(key, now)) {
            return Redeemed::Taken(other.clone());
        }
        if self.machines.len() >= MACHINES && !self.machines.contains_key(name) {
            return Redeemed::Full;
        }
        self.lines.remove(name);
        self.ended.retain(|it| it.key != *key);
        let machine = Machine {
            key: key.clone(),
            beside: None,
            since: now,
            from: from.to_owned(),
            digest,
            twice: None,
        };
        if let Some(before) = self.machines.insert(name.clone(), machine) {
            let others = before.keys().filter(|before| before != key);
            self.end(name, others.collect(), false, now);
        }
        Redeemed::Enrolled
    }

    /// A machine that is known by a key tells the next one.
    pub fn announce(&mut self, key: &Pin, next: &Pin, now: Timestamp) -> Announced {
        let ended = self.ended.iter().any(|it| it.key == *next);
        let mut machines = self.machines.values();
        let taken = ended || machines.any(|it| it.key != *key && it.has(next, now));
        let mut machines = self.machines.values_mut();
        match machines.find(|it| it.key == *key) {
            None => Announced::Unknown,
            Some(_) if key == next => Announced::Noted,
            Some(_) if taken => Announced::Taken,
            Some(machine) => {
                machine.beside = Some(Beside::Next(next.clone()));
                Announced::Noted
            }
        }
    }

    /// Whether this key was announced and was not seen yet.
    pub fn is_next(&self, key: &Pin) -> bool {
        let mut machines = self.machines.values();
        machines.any(|it| matches!(&it.beside, Some(Beside::Next(next)) if next == key))
    }

    /// It was seen: the one before it is good for [`GRACE`] more.
    pub fn seen(&mut self, key: &Pin, now: Timestamp) {
        let mut machines = self.machines.iter_mut();
        let found = machines
            .find(|(_, it)| matches!(&it.beside, Some(Beside::Next(next)) if next == key))
            .map(|(name, machine)| {
                let old = std::mem::replace(&mut machine.key, key.clone());
                machine.beside = Some(Beside::Old(old.clone(), now));
                (name.clone(), old)
            });
        if let Some((name, old)) = found {
            self.end(&name, vec![old], false, now);
        }
    }

    /// Whose a key is.
    pub fn standing(&self, key: &Pin, now: Timestamp) -> Standing<'_> {
        let mut machines = self.machines.iter();
        if let Some((name, _)) = machines.find(|(_, it)| it.has(key, now)) {
            return Standing::Known(name);
        }
        let ended = self.ended.iter().find(|it| it.key == *key);
        ended.map_or(Standing::Unknown, |it| Standing::Ended(&it.name))
    }

    /// Its keys are believed no more, and no line lets it in.
    pub fn revoke(&mut self, name: &Name, now: Timestamp) -> Result<(), String> {
        let line = self.lines.remove(name);
        let machine = self.machines.remove(name);
        if line.is_none() && machine.is_none() {
            return Err(unknown(name));
        }
        if let Some(machine) = machine {
            self.end(name, machine.keys().collect(), true, now);
        }
        // Those before it, too: nobody knows who has them.
        let before = self.ended.iter_mut().filter(|it| it.name == *name);
        before.for_each(|it| it.revoked = true);
        Ok(())
    }

    /// Nothing is known of the name any more.
    pub fn forget(&mut self, name: &Name) -> Result<(), String> {
        let before = self.ended.len();
        self.ended.retain(|it| it.name != *name);
        let line = self.lines.remove(name).is_some();
        let machine = self.machines.remove(name).is_some();
        if line || machine || self.ended.len() < before {
            Ok(())
        } else {
            Err(unknown(name))
        }
    }

    /// By name: machines, then lines, then keys that are believed no more.
    pub fn list(&self, now: Timestamp) -> Vec<Row> {
        let lines = self.lines.iter().map(|(name, line)| {
            let state = if line.clone().has_expired(now) {
                State::Expired
            } else {
                State::Open
            };
            Row {
                until: Some(line.made.after(line.good_for)),
                ..Row::new(name, state, line.made)
            }
        });
        let ended = self.ended.iter().map(|it| {
            let state = if it.revoked {
                State::Revoked
            } else {
                State::Replaced
            };
            Row {
                key: Some(it.key.clone()),
                ..Row::new(&it.name, state, it.at)
            }
        });
        let machines = self.machines.keys().filter_map(|name| self.machine(name));
        let mut rows: Vec<_> = machines.chain(lines).chain(ended).collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows
    }

    /// The keys of a machine that are good.
    pub fn keys_of(&self, name: &str) -> impl Iterator<Item = Pin> {
        let mut machines = self.machines.iter();
        let machine = machines.find(|(known, _)| known.as_str() == name);
        machine.into_iter().flat_map(|(_, machine)| machine.keys())
    }

    /// Lines that were used twice lately.
    pub fn doubled(&self, within: Duration, now: Timestamp) -> impl Iterator<Item = Doubled<'_>> {
        let doubled = self.all_doubled();
        doubled.filter(move |it| now.since(it.twice.last) < within)
    }

    /// Those of which administrators were not told.
    pub fn untold(&self) -> impl Iterator<Item = Doubled<'_>> {
        self.all_doubled().filter(|it| !it.twice.told)
    }

    fn all_doubled(&self) -> impl Iterator<Item = Doubled<'_>> {
        self.machines.iter().filter_map(|(name, machine)| {
            Some(Doubled {
                name,
                key: &machine.key,
                from: &machine.from,
                since: machine.since,
                twice: machine.twice.as_ref()?,
            })
        })
    }

    /// Administrators know of it.
    pub fn told(&mut self, name: &Name) {
        let machine = self.machines.get_mut(name);
        if let Some(twice) = machine.and_then(|machine| machine.twice.as_mut()) {
            twice.told = true;
        }
    }

    fn machine(&self, name: &Name) -> Option<Row> {
        let machine = self.machines.get(name)?;
        Some(Row {
            key: Some(machine.key.clone()),
            next: match &machine.beside {
                Some(Beside::Next(next)) => Some(next.clone()),
                _ => None,
            },
            from: Some(machine.from.clone()),
            twice: machine.twice.clone(),
            ..Row::new(name, State::Enrolled, machine.since)
        })
    }

    fn end(&mut self, name: &Name, keys: Vec<Pin>, revoked: bool, at: Timestamp) {
        for key in keys {
            self.ended.retain(|it| it.key != key);
            self.ended.push(Ended {
                key,
                name: name.clone(),
                at,
                revoked,
            });
        }
        let beyond = self.ended.len().saturating_sub(ENDED);
        self.ended.drain(..beyond);
    }
}

impl Machine {
    fn keys(&self) -> impl Iterator<Item = Pin> {
        let beside = self.beside.as_ref().map(|beside| match beside {
            Beside::Next(key) | Beside::Old(key, _) => key.clone(),
        });
        std::iter::once(self.key.clone()).chain(beside)
    }

    /// The secret that let it in is shown once more.
    fn again(&mut self, key: &Pin, from: &str, now: Timestamp) -> Redeemed {
        if self.has(key, now) {
            return Redeemed::Again;
        }
        let before = self.twice.take();
        self.twice = Some(Twice {
            count: before.as_ref().map_or(1, |it| it.count.saturating_add(1)),
            last: now,
            key: key.clone(),
            from: from.to_owned(),
            told: before.is_some_and(|it| it.told),
        });
        Redeemed::UsedTwice(self.key.clone())
    }
}

fn unknown(name: &Name) -> String {
    format!("nothing is known of {name}: smarthost enroll list")
}

#[cfg(test)]
mod tests;
