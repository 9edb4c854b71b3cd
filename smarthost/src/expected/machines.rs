//! Which machines used to write, and which of them are silent altogether.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use mail::clock::{Timestamp, Zone};
use serde::{Deserialize, Serialize};

use super::Came;

/// Machines that are known at once, and days on which one wrote.
const MOST: usize = 2000;
const DAYS: usize = 16;
/// One that wrote on fewer days did not use to write.
const ENOUGH: usize = 8;
/// It is silent after twice its longest pause, but not sooner than this and not if it pauses for
/// longer, in days.
const SOONEST: i64 = 4;
const LONGEST: i64 = 14;
const HOUR: Duration = Duration::from_hours(1);

#[derive(Debug, Serialize, Deserialize)]
struct Machine {
    label: String,
    last: Timestamp,
    /// Since 1970.
    days: VecDeque<i64>,
    silent: bool,
    /// It was told that mail of it is missing, and nothing came since.
    alarm: bool,
}

#[derive(Debug, Default)]
pub(super) struct Machines {
    known: BTreeMap<String, Machine>,
    pub(super) dirty: BTreeSet<String>,
}

impl Machines {
    /// Its label and since when it was silent, if it was.
    pub(super) fn came(
        &mut self,
        came: &Came,
        now: Timestamp,
        zone: &Zone,
    ) -> Option<(String, Timestamp)> {
        let name = came.machine();
        if !self.known.contains_key(&name) && self.known.len() >= MOST {
            let oldest = self.known.iter().min_by_key(|(_, machine)| machine.last);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.known.remove(&oldest);
                self.dirty.insert(oldest);
            }
        }
        let (today, _) = now.day_and_minute(zone);
        let machine = self.known.entry(name.clone()).or_insert_with(|| Machine {
            label: String::new(),
            last: now,
            days: VecDeque::new(),
            silent: false,
            alarm: false,
        });
        let before = (machine.label.clone(), machine.last);
        machine.label = came.label();
        // To the hour it survives a restart.
        let later = now.since(machine.last) >= HOUR;
        machine.last = now;
        let silent = std::mem::replace(&mut machine.silent, false);
        let told = std::mem::replace(&mut machine.alarm, false);
        if told || silent || later {
            self.dirty.insert(name.clone());
        }
        // Days of a clock that was ahead.
        machine.days.retain(|day| *day <= today);
        if machine.days.back() != Some(&today) {
            machine.days.push_back(today);
            if machine.days.len() > DAYS {
                machine.days.pop_front();
            }
            self.dirty.insert(name);
        }
        silent.then_some(before)
    }

    /// It was told that mail of it is missing.
    pub(super) fn alarm(&mut self, name: &str) {
        if let Some(machine) = self.known.get_mut(name) {
            machine.alarm = true;
            self.dirty.insert(name.to_owned());
        }
    }

    /// Whether nothing at all has come since then.
    pub(super) fn is_off(&self, name: &str) -> bool {
        let machine = self.known.get(name);
        machine.is_some_and(|it| it.silent || it.alarm)
    }

    /// Those that have become silent: label, last message, and their longest pause until then, in
    /// days.
    pub(super) fn look(
        &mut self,
        started: Timestamp,
        now: Timestamp,
        zone: &Zone,
    ) -> Vec<(String, Timestamp, i64)> {
        let mut silent = Vec::new();
        for (name, machine) in &mut self.known {
            if machine.last > now {
                machine.last = now;
                self.dirty.insert(name.clone());
            }
            let days = &machine.days;
            let pauses = days.iter().zip(days.iter().skip(1)).map(|(a, b)| b - a);
            let pause = pauses.max().unwrap_or_default();
            if machine.silent || days.len() < ENOUGH || pause > LONGEST {
                continue;
            }
            let patience = u32::try_from((pause * 2).max(SOONEST)).unwrap_or_default();
            // While this daemon did not run nobody could write.
            let heard = machine.last.max(started.after_days(1, zone).min(now));
            if machine.last.after_days(patience, zone) <= now && heard < now {
                machine.silent = true;
                self.dirty.insert(name.clone());
                silent.push((machine.label.clone(), machine.last, pause));
            }
        }
        silent
    }

    /// The clock was set forward: what was seen by it as it was is moved, if `shift` says so, with
    /// the days since the start.
    pub(super) fn stepped(
        &mut self,
        started: Timestamp,
        shift: impl Fn(&mut Timestamp) -> bool,
        zone: &Zone,
    ) {
        let (first, _) = started.day_and_minute(zone);
        for (name, machine) in &mut self.known {
            let (was, _) = machine.last.day_and_minute(zone);
            if !shift(&mut machine.last) {
                continue;
            }
            let (is, _) = machine.last.day_and_minute(zone);
            for day in machine
                .days
                .iter_mut()
                .filter(|day| **day >= first && **day <= was)
            {
                *day = day.saturating_add(is.saturating_sub(was));
            }
            self.dirty.insert(name.clone());
        }
    }

    /// Label and last message of those that are silent.
    pub(super) fn silent(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        let silent = self.known.values().filter(|machine| machine.silent);
        silent.map(|machine| (machine.label.as_str(), machine.last))
    }

    pub(super) fn all_changed(&mut self) {
        self.dirty.extend(self.known.keys().cloned());
    }

    pub(super) fn record(&self, name: &str) -> Option<String> {
        serde_json::to_string(self.known.get(name)?).ok()
    }

    pub(super) fn restore(&mut self, name: &str, record: &str) -> bool {
        match serde_json::from_str(record) {
            Ok(machine) if self.known.len() < MOST => {
                self.known.insert(name.to_owned(), machine);
                true
            }
            read => read.is_ok(),
        }
    }
}
