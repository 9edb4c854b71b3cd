//! The machines that bring mail: by which name, key or login each is known, how much it brought
//! each day, when last, and with which version of its agent. Pure.
//!
//! Contract: bounded: [`MOST`] machines with bounded texts, [`DAYS`] days each. Only clients of
//! ours are noted, never strangers.
//! Counted is what was answered 250. Beyond the bound those go that were silent longest.
//! See also: `state`, which keeps it over a restart; `cli::machines`, which shows it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use mail::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::oldest;

/// Machines that are known.
const MOST: usize = 10_000;
/// Days with a count of their own.
const DAYS: usize = 31;
/// Longest text, in characters.
const LONGEST: usize = 255;
const DAY: Duration = Duration::from_hours(24);

/// How a machine showed who it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// By its address, in `networks`.
    #[default]
    Address,
    /// By its key: enrolled, or in `client_pins`.
    Key,
    Login,
}

/// One machine.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// What DNS calls it, or itself.
    pub name: String,
    /// Where it came from last.
    pub address: String,
    pub known_by: By,
    /// The newest version of sendmail-shim that it named.
    pub agent: Option<String>,
    pub first: Timestamp,
    pub last: Timestamp,
    pub messages: u64,
    /// Messages by day, `2026-11-22`, in local time.
    pub days: BTreeMap<String, u64>,
}

/// What is known of a machine that brings a message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    pub name: String,
    pub address: String,
    pub known_by: By,
    pub agent: Option<String>,
}

impl Machine {
    /// Adds what was counted before all that is counted here.
    fn absorb(&mut self, earlier: Self) {
        self.first = earlier.first;
        self.last = self.last.max(earlier.last);
        self.agent = self.agent.take().or(earlier.agent);
        self.messages = self.messages.saturating_add(earlier.messages);
        for (day, count) in earlier.days {
            let known = self.days.entry(day).or_default();
            *known = known.saturating_add(count);
        }
        while self.days.len() > DAYS {
            self.days.pop_first();
        }
    }

    /// Messages within so many days, today among them.
    pub fn within(&self, days: u32, now: Timestamp) -> u64 {
        let back = DAY.saturating_mul(days.saturating_sub(1));
        let first = day(now.before(back));
        self.days
            .range(first..=day(now))
            .map(|(_, count)| count)
            .sum()
    }
}

/// `2026-11-22`, in local time.
pub fn day(time: Timestamp) -> String {
    time.rfc3339().chars().take(10).collect()
}

/// All of them, by the name that they have proved, else by address.
#[derive(Debug, Default)]
pub struct Machines {
    rows: HashMap<String, Machine>,
    dirty: HashSet<String>,
}

impl Machines {
    /// A message of this machine is taken.
    pub fn add(&mut self, id: &str, seen: Seen, now: Timestamp) {
        let id = cut(id.to_owned());
        if !self.rows.contains_key(&id) {
            self.make_room();
        }
        let row = self.rows.entry(id.clone()).or_insert_with(|| Machine {
            first: now,
            ..Machine::default()
        });
        row.name = cut(seen.name);
        row.address = cut(seen.address);
        row.known_by = seen.known_by;
        row.agent = seen.agent.map(cut).or(row.agent.take());
        // A clock that was set back makes nobody silent.
        row.last = row.last.max(now);
        row.messages = row.messages.saturating_add(1);
        let count = row.days.entry(day(now)).or_default();
        *count = count.saturating_add(1);
        while row.days.len() > DAYS {
            row.days.pop_first();
        }
        self.dirty.insert(id);
    }

    /// It could not be kept after all.
    pub fn take_back(&mut self, id: &str, then: Timestamp) {
        let id = cut(id.to_owned());
        if let Some(row) = self.rows.get_mut(&id) {
            row.messages = row.messages.saturating_sub(1);
            if let Some(count) = row.days.get_mut(&day(then)) {
                *count = count.saturating_sub(1);
            }
            self.dirty.insert(id);
        }
    }

    /// By name.
    pub fn list(&self) -> Vec<(&str, &Machine)> {
        let mut rows: Vec<_> = self
            .rows
            .iter()
            .map(|(id, row)| (id.as_str(), row))
            .collect();
        rows.sort_by_key(|(id, _)| *id);
        rows
    }

    fn make_room(&mut self) {
        if self.rows.len() < MOST {
            return;
        }
        let ages = self.rows.iter().map(|(id, row)| (row.last, id));
        for id in oldest::tenth(MOST, ages) {
            self.rows.remove(&id);
            self.dirty.insert(id);
        }
    }

    /// Rows that changed, for the next start.
    pub fn changes(&mut self) -> Vec<(String, Option<String>)> {
        let dirty = std::mem::take(&mut self.dirty);
        let record = |id: &String| serde_json::to_string(self.rows.get(id)?).ok();
        dirty
            .into_iter()
            .map(|id| (id.clone(), record(&id)))
            .collect()
    }

    /// All of them are to be written.
    pub fn all_changed(&mut self) {
        self.dirty.extend(self.rows.keys().cloned());
    }

    /// Takes back a row, beside what has come since; whether it is one.
    pub fn restore(&mut self, id: String, record: &str) -> bool {
        let Ok(row) = serde_json::from_str(record) else {
            return false;
        };
        if let Some(known) = self.rows.get_mut(&id) {
            known.absorb(row);
        } else if self.rows.len() < MOST {
            self.rows.insert(id, row);
        }
        true
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text,
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(agent: Option<&str>) -> Seen {
        Seen {
            name: "vm7".to_owned(),
            address: "10.0.0.7".to_owned(),
            known_by: By::Address,
            agent: agent.map(str::to_owned),
        }
    }

    #[test]
    fn messages_are_counted_by_day_for_a_month_and_outlive_a_restart() {
        let mut machines = Machines::default();
        let start = Timestamp::parse("2026-03-01 12:00:00").unwrap();
        let at = |day: u32| start.after(DAY * day);
        for day in 0..40 {
            for _ in 0..=day {
                machines.add("10.0.0.7", seen((day == 0).then_some("0.1.0")), at(day));
            }
        }
        machines.take_back("10.0.0.7", at(39));
        let mut again = Machines::default();
        for (id, record) in machines.changes() {
            assert!(again.restore(id, &record.unwrap()));
        }
        let rows = again.list();
        let (id, row) = rows[0];
        assert_eq!(
            (id, row.days.len(), row.messages),
            ("10.0.0.7", DAYS, 40 * 41 / 2 - 1)
        );
        assert_eq!((row.first, row.last), (start, at(39)));
        let now = at(39);
        assert_eq!(row.within(1, now), 39);
        assert_eq!(row.within(7, now), (34..=40).sum::<u64>() - 1);
        assert_eq!(row.within(30, now), (11..=40).sum::<u64>() - 1);
        assert_eq!(row.within(7, at(60)), 0);
        assert_eq!(row.agent.as_deref(), Some("0.1.0"), "what it named last");
        assert!(machines.changes().is_empty());
    }

    #[test]
    fn whoever_changes_addresses_all_the_time_crowds_out_only_the_silent() {
        let mut machines = Machines::default();
        let start = Timestamp::from_secs(1_795_333_912);
        for n in 0..u32::try_from(MOST).unwrap() + 500 {
            let now = start.after(Duration::from_secs(n.into()));
            machines.add(&format!("2001:db8::{n:x}"), seen(None), now);
            machines.add("10.0.0.7", seen(None), now);
        }
        assert!(machines.rows.len() <= MOST + 1);
        assert!(machines.rows.contains_key("10.0.0.7"));
        let changes = machines.changes();
        let gone = changes
            .iter()
            .filter(|(_, record)| record.is_none())
            .count();
        assert!(
            gone >= MOST / 10,
            "those that went are forgotten on the disk too"
        );
    }
}
