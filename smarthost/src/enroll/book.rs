//! Who may come in, who is in, and whose keys are believed no more.
//!
//! Contract: bounded. A key is one machine's at most. A secret lets one key in, until it has
//! expired; nothing but its digest is kept. A key that was revoked is never let in again, unless
//! its name is forgotten: where there are too many of them nobody new is let in, and whoever is in
//! can be revoked. Of keys that others have replaced the last [`REPLACED`] of a name are known, so
//! that no machine crowds out what is known of others.
//! Failures: what is written otherwise than this version writes it is not read at all, for nothing
//! of it may be lost when it is written again.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    marker::PhantomData,
    time::Duration,
};

use mail::clock::Timestamp;
use relay::{
    enroll::{Digest, Name},
    trust::Pin,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, Visitor},
};

use super::{
    machine::{Ended, Machine, Open},
    row::{Row, State, Twice},
};

/// Machines, lines that were not used yet, and keys that are believed no more with which nobody new
/// is let in.
const MACHINES: usize = 10_000;
const LINES: usize = 1_000;
const ENDED: usize = 20_000;
/// Replaced keys of a name that are known.
const REPLACED: usize = 8;

/// All of them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    #[serde(deserialize_with = "once")]
    lines: BTreeMap<Name, Open>,
    #[serde(deserialize_with = "once")]
    machines: BTreeMap<Name, Machine>,
    /// The oldest first.
    ended: Vec<Ended>,
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

/// What a line is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offered {
    /// It lets the key in, or did.
    Good,
    /// It has expired, or has let in another key.
    Spent,
    /// There is no such line; or its secret is another one.
    Unknown,
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

impl Book {
    /// What a file holds.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        let book: Self = serde_json::from_slice(text)
            .map_err(|error| format!("{error} (misspelt, truncated, or from a newer version)"))?;
        let machines = book.machines.values();
        let believed = machines.flat_map(|it| HashSet::from([&it.key, it.newest()]));
        let revoked = book.ended.iter().filter(|it| it.revoked);
        let mut known = HashSet::new();
        for key in believed.chain(revoked.map(|it| &it.key)) {
            if !known.insert(key) {
                return Err(format!(
                    "{key} is listed for two machines, or as both valid and revoked"
                ));
            }
        }
        Ok(book)
    }

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
        self.lines.retain(|_, line| !line.is_over(now));
        if self.lines.len() >= LINES && !self.lines.contains_key(name) {
            return Err(format!(
                "{LINES} lines are not used yet, which is the most there can be: see smarthost enroll list, and forget some"
            ));
        }
        if let Some(full) = self.full().filter(|_| self.is_full_for(name)) {
            return Err(full);
        }
        let line = Open {
            digest,
            made: now,
            good_for,
        };
        self.lines.insert(name.clone(), line);
        Ok(self.machine(name))
    }

    /// Whether there is room for a machine of that name.
    fn is_full_for(&self, name: &Name) -> bool {
        self.full().is_some() && !self.machines.contains_key(name)
    }

    /// What there is to be said if there is no room for another machine.
    pub fn full(&self) -> Option<String> {
        let (machines, ended) = (self.machines.len(), self.ended.len());
        (machines >= MACHINES || ended >= ENDED).then(|| {
            format!(
                "{machines} machines and {ended} ended keys are known, which is the most there can be: see smarthost enroll list, and forget names that are no longer needed"
            )
        })
    }

    /// What a line is worth to a key; changes nothing.
    pub fn offered(&self, name: &Name, digest: Digest, key: &Pin, now: Timestamp) -> Offered {
        let machine = self.machines.get(name).filter(|it| it.digest == digest);
        let line = self.lines.get(name).filter(|it| it.digest == digest);
        match (machine, line) {
            (Some(machine), _) if machine.has(key, now) => Offered::Good,
            (None, Some(line)) if !line.clone().has_expired(now) => Offered::Good,
            (None, None) => Offered::Unknown,
            _ => Offered::Spent,
        }
    }

    /// A machine shows a key and a secret. Of a machine that is in, the key that it had is good
    /// until shortly after the other one is used, as if it were its [next](Book::announce) one: it
    /// may have to be let in elsewhere first.
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
            let again = machine.again(key, from, now);
            return again.map_or_else(Redeemed::UsedTwice, |()| Redeemed::Again);
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
        if self.is_full_for(name) {
            return Redeemed::Full;
        }
        self.lines.remove(name);
        self.ended.retain(|it| it.key != *key);
        let (used, next, mut old) = match self.machines.remove(name) {
            None => (key.clone(), None, Vec::new()),
            Some(before) => {
                let others = before.next.into_iter().filter(|next| next != key);
                self.end(name, others.collect(), false, now);
                let next = (before.key != *key).then(|| key.clone());
                (before.key, next, before.old)
            }
        };
        old.retain(|it| it.key != *key);
        let machine = Machine {
            key: used,
            next,
            old,
            since: now,
            from: from.to_owned(),
            digest,
            twice: None,
        };
        self.machines.insert(name.clone(), machine);
        Redeemed::Enrolled
    }

    /// A machine that is known by a key tells the next one.
    pub fn announce(&mut self, key: &Pin, next: &Pin, now: Timestamp) -> Announced {
        // Whoever uses a key for this has taken it into use.
        self.seen(key, now);
        let ended = self.ended.iter().any(|it| it.key == *next);
        let mut machines = self.machines.values();
        let taken = ended || machines.any(|it| it.key != *key && it.has(next, now));
        let mut machines = self.machines.values_mut();
        match machines.find(|it| it.key == *key) {
            None => Announced::Unknown,
            Some(_) if key == next => Announced::Noted,
            Some(_) if taken => Announced::Taken,
            Some(machine) => {
                machine.next = Some(next.clone());
                Announced::Noted
            }
        }
    }

    /// Whether this key was announced and was not seen yet.
    pub fn is_next(&self, key: &Pin) -> bool {
        self.machines.values().any(|it| it.is_next(key))
    }

    /// It was seen: the one before it is good for [`GRACE`] more.
    pub fn seen(&mut self, key: &Pin, now: Timestamp) {
        let mut machines = self.machines.iter_mut();
        let found = machines.find(|(_, it)| it.is_next(key));
        let found =
            found.map(|(name, machine)| (name.clone(), machine.takes_over(key.clone(), now)));
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
        let mut ended = self.ended.iter().rev().filter(|it| it.name == *name);
        if line.is_none() && machine.is_none() && ended.clone().all(|it| it.revoked) {
            return Err(ended.next().map_or_else(
                || unknown(name),
                |it| {
                    let at = it.at.rfc3339();
                    format!(
                        "{name} has been revoked since {at}; for a new line: smarthost enroll {name}"
                    )
                },
            ));
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

    /// What holds while nobody knows whether a change is on disk: nobody is let in by it, and
    /// nobody who is shut out by it comes in.
    #[must_use]
    pub fn stricter(self, changed: &Self) -> Self {
        let Self {
            mut lines,
            mut machines,
            ended,
        } = self;
        machines.retain(|name, _| changed.machines.contains_key(name));
        // Whoever used one comes again with it.
        lines.retain(|name, line| {
            let machine = changed.machines.get(name);
            changed.lines.contains_key(name) || machine.is_some_and(|it| it.digest == line.digest)
        });
        let known: HashSet<_> = changed.ended.iter().map(|it| it.key.clone()).collect();
        let before = ended.into_iter().filter(|it| !known.contains(&it.key));
        let in_use = |it: &Machine| [Some(it.key.clone()), it.next.clone()];
        let believed: HashSet<_> = machines.values().flat_map(in_use).flatten().collect();
        let ended = before.chain(changed.ended.iter().cloned());
        let ended = ended.filter(|it| it.revoked || !believed.contains(&it.key));
        Self {
            ended: ended.collect(),
            lines,
            machines,
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
        let machine = self.machines.get(name);
        machine.into_iter().flat_map(Machine::keys)
    }

    /// All names of machines and of lines.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        let lines = self.lines.keys();
        let lines = lines.filter(|name| !self.machines.contains_key(*name));
        self.machines.keys().chain(lines)
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
                key: machine.newest(),
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
            next: machine.next.clone(),
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
        let is_replaced = |it: &Ended| it.name == *name && !it.revoked;
        let mut replaced = self.ended.iter().filter(|it| is_replaced(it)).count();
        self.ended.retain(|it| {
            let goes = replaced > REPLACED && is_replaced(it);
            replaced = replaced.saturating_sub(usize::from(goes));
            !goes
        });
    }
}

/// A map in which no name stands twice: the one or the other would be lost.
fn once<'de, D, V>(from: D) -> Result<BTreeMap<Name, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    struct Once<V>(PhantomData<V>);
    impl<'de, V: Deserialize<'de>> Visitor<'de> for Once<V> {
        type Value = BTreeMap<Name, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map by name")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
            let mut all = BTreeMap::new();
            while let Some((name, value)) = from.next_entry::<Name, V>()? {
                if all.insert(name.clone(), value).is_some() {
                    return Err(A::Error::custom(format_args!("{name} is listed twice")));
                }
            }
            Ok(all)
        }
    }
    from.deserialize_map(Once(PhantomData))
}

fn unknown(name: &Name) -> String {
    format!("nothing is known of {name}: smarthost enroll list")
}

#[cfg(test)]
mod tests;
