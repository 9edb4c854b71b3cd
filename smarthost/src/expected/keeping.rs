//! What is expected, with how it stands, and what is told when.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mail::clock::{Timestamp, Zone};
use queue::clock::Step;
use serde::{Deserialize, Serialize};

use super::{Came, Proposal, Wanted, learned::Learned, machines::Machines};
use crate::notices::{Kind, News};

/// Declared by command; settings count by themselves.
const MOST: usize = 1000;
/// How often it is looked which machines are silent.
const LOOK: Duration = Duration::from_mins(1);
/// What was learned has come so lately when it is declared.
const OLDEST: Duration = Duration::from_hours(100 * 24);
/// News that wait.
const WAITING: usize = 1000;
/// Rows for the next start.
const DECLARED: &str = "expected ";
const LEARNED: &str = "learned ";
const MACHINE: &str = "machine ";

/// Something that is expected.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// What orders name it by.
    pub number: u32,
    pub wanted: Wanted,
    /// It stands in the configuration.
    pub setting: bool,
    /// When it was declared.
    pub since: Timestamp,
    pub last: Option<Timestamp>,
    pub count: u64,
    /// Since when it is known to be missing.
    pub missing: Option<Timestamp>,
    /// Whether that was told: of a machine that is off not everything is.
    told: bool,
    /// The machine that it came from last.
    machine: Option<String>,
    /// From when on it is waited for.
    from: Timestamp,
    /// When it is late; filled in for whoever asks.
    #[serde(default)]
    pub due: Timestamp,
}

impl Standing {
    fn of(number: u32, wanted: Wanted, setting: bool, now: Timestamp) -> Self {
        Self {
            number,
            wanted,
            setting,
            since: now,
            last: None,
            count: 0,
            missing: None,
            told: false,
            machine: None,
            from: now,
            due: now,
        }
    }

    fn due(&self, zone: &Zone) -> Timestamp {
        self.wanted.due(self.from, zone)
    }

    /// While the daemon did not run nothing could come; clients try again.
    fn late(&self, started: Timestamp, zone: &Zone) -> Timestamp {
        self.due(zone).max(started.after(self.wanted.grace.0))
    }

    /// Whether a clock that was ahead has noted it: it is waited for from now on.
    fn heed(&mut self, now: Timestamp) -> bool {
        let before = (self.from, self.last);
        self.from.noted(now);
        if let Some(last) = &mut self.last {
            last.noted(now);
        }
        before != (self.from, self.last)
    }

    fn seen(&self) -> String {
        match self.last {
            Some(last) => format!("it came last at {}", last.rfc3339()),
            None => format!(
                "it has not come since it was declared at {}",
                self.since.rfc3339()
            ),
        }
    }
}

/// Missing mail that is named in a status.
const NAMED: usize = 50;
/// How an alarm about mail that has not come begins.
pub const MISSING: &str = "expected mail is missing";

/// All that is expected, and all that was learned.
#[derive(Debug)]
pub struct Expected {
    zone: Zone,
    started: Timestamp,
    standing: BTreeMap<u32, Standing>,
    learned: Learned,
    machines: Machines,
    news: Vec<News>,
    dirty: BTreeSet<u32>,
    /// When it is to be looked again.
    next: Timestamp,
}

impl Expected {
    pub fn new(zone: Zone, started: Timestamp) -> Self {
        Self {
            zone,
            started,
            standing: BTreeMap::new(),
            learned: Learned::default(),
            machines: Machines::default(),
            news: Vec::new(),
            dirty: BTreeSet::new(),
            next: Timestamp::default(),
        }
    }

    /// What the configuration declares: what stands there no more is forgotten.
    pub fn set_settings(&mut self, settings: &[Wanted], now: Timestamp) {
        let Self {
            standing, dirty, ..
        } = self;
        standing.retain(|number, it| {
            let stays = !it.setting || settings.contains(&it.wanted);
            if !stays {
                dirty.insert(*number);
            }
            stays
        });
        for wanted in settings {
            let mut known = self.standing.values();
            if !known.any(|it| it.setting && it.wanted == *wanted) {
                self.insert(wanted.clone(), true, now);
            }
        }
    }

    fn insert(&mut self, wanted: Wanted, setting: bool, now: Timestamp) -> u32 {
        let last = self.standing.keys().next_back();
        let number = last.map_or(1, |last| last.saturating_add(1));
        self.standing
            .insert(number, Standing::of(number, wanted, setting, now));
        self.dirty.insert(number);
        self.next = Timestamp::default();
        number
    }

    /// Declares one more; the error says why not.
    pub fn add(&mut self, wanted: Wanted, now: Timestamp) -> Result<Standing, String> {
        if let Some(known) = self.standing.values().find(|it| it.wanted == wanted) {
            return Err(format!(
                "{wanted} is expected already: number {}",
                known.number
            ));
        }
        if self.standing.len() >= MOST {
            return Err(format!("{MOST} are expected already: forget one"));
        }
        let number = self.insert(wanted, false, now);
        self.shown(number).ok_or_else(|| unknown(number))
    }

    /// Declares what was learned; its last message counts.
    pub fn confirm(&mut self, number: u32, now: Timestamp) -> Result<Standing, String> {
        let proposed = self.learned.proposed(number, &self.zone);
        let Some(Proposal { wanted, last, .. }) = proposed else {
            return Err(format!(
                "there is no proposal {number}: see smarthost expected list --learned"
            ));
        };
        let last = last.min(now);
        let added = self.add(wanted, now)?.number;
        self.learned.confirm(number);
        let number = added;
        if let Some(it) = self.standing.get_mut(&number) {
            (it.last, it.from) = (Some(last), last);
        }
        self.shown(number).ok_or_else(|| unknown(number))
    }

    /// No longer expects it; what it was.
    pub fn forget(&mut self, number: u32) -> Result<Standing, String> {
        let shown = self.shown(number).ok_or_else(|| unknown(number))?;
        if shown.setting {
            return Err(format!(
                "number {number} is in the configuration: remove it from `expected` there"
            ));
        }
        self.standing.remove(&number);
        self.dirty.insert(number);
        Ok(shown)
    }

    fn shown(&self, number: u32) -> Option<Standing> {
        let it = self.standing.get(&number)?;
        Some(Standing {
            due: it.due(&self.zone),
            ..it.clone()
        })
    }

    /// What is missing first, then what is due first.
    pub fn list(&self) -> Vec<Standing> {
        let mut all: Vec<_> = self
            .standing
            .keys()
            .filter_map(|number| self.shown(*number))
            .collect();
        all.sort_by_key(|it| (it.missing.is_none(), it.due));
        all
    }

    /// What could be expected, too.
    pub fn proposals(&self) -> Vec<Proposal> {
        self.learned.proposals(&self.zone)
    }

    /// A message came.
    pub fn came(&mut self, came: &Came, now: Timestamp) {
        for (number, it) in &mut self.standing {
            if !it.wanted.means(came) {
                continue;
            }
            (it.last, it.from) = (Some(now), now);
            it.machine = came.ours.then(|| came.machine());
            it.count = it.count.saturating_add(1);
            self.dirty.insert(*number);
            let was_told = std::mem::replace(&mut it.told, false);
            if let Some(missing) = it.missing.take().filter(|_| was_told) {
                let what = it.wanted.to_string();
                let news = told(
                    format!("expected mail comes again: {what}"),
                    format!(
                        "{what} came at {}.\nIt had been missing since {}.\n",
                        now.rfc3339(),
                        missing.rfc3339()
                    ),
                );
                push(&mut self.news, news);
            }
        }
        if !came.ours {
            return;
        }
        self.is_back(&came.machine(), now);
        self.learned.came(came, now);
        if let Some((label, last)) = self.machines.came(came, now, &self.zone) {
            let text = format!(
                "{label} sends mail again.\nIt had been silent since {}.\n",
                last.rfc3339()
            );
            push(
                &mut self.news,
                told(format!("{label} sends mail again"), text),
            );
        }
    }

    /// A machine that was off has its time again for what was not told.
    fn is_back(&mut self, machine: &str, now: Timestamp) {
        if !self.machines.is_off(machine) {
            return;
        }
        for (number, it) in &mut self.standing {
            if it.machine.as_deref() == Some(machine) && it.missing.is_some() && !it.told {
                (it.missing, it.from) = (None, now);
                self.dirty.insert(*number);
            }
        }
    }

    /// Looks what is late; costs nothing while that cannot be.
    pub fn look(&mut self, now: Timestamp) {
        // Unless the clock was set back.
        if now < self.next && self.next.since(now) <= LOOK {
            return;
        }
        self.started.noted(now);
        for (number, it) in &mut self.standing {
            if it.heed(now) {
                self.dirty.insert(*number);
            }
            if it.missing.is_some() || now < it.late(self.started, &self.zone) {
                continue;
            }
            it.missing = Some(now);
            self.dirty.insert(*number);
            let machine = it.machine.as_deref();
            if machine.is_some_and(|machine| self.machines.is_off(machine)) {
                continue;
            }
            it.told = true;
            if let Some(machine) = machine {
                self.machines.alarm(machine);
            }
            let (what, seen) = (it.wanted.to_string(), it.seen());
            let text = format!(
                "{what} has not come: {seen}.\nIt should come every {}, and may be {} late.\n\
                 Another mail tells you when it comes again.\n\
                 To look further:   smarthost expected list\n\
                 To stop expecting it: {}\n",
                it.wanted.every,
                it.wanted.grace,
                if it.setting {
                    "remove it from `expected` in the configuration".to_owned()
                } else {
                    format!("smarthost expected forget {number}")
                }
            );
            let news = told(format!("expected mail has not come: {what}"), text);
            push(&mut self.news, news);
        }
        for (label, last, pause) in self.machines.look(self.started, now, &self.zone) {
            let text = format!(
                "{label} has not sent anything since {}.\n\
                 Before that, it never paused for more than {}.\n\
                 Another mail tells you when it sends mail again.\n",
                last.rfc3339(),
                crate::notices::counted(u64::try_from(pause.max(1)).unwrap_or(1), "day"),
            );
            let news = told(format!("{label} is silent altogether"), text);
            push(&mut self.news, news);
        }
        let soon = now.after(LOOK);
        self.next = self.deadline().map_or(soon, |due| due.min(soon));
    }

    /// The clock was set, since the last look: what was seen by it as it was has come as long ago
    /// as before.
    pub fn stepped(&mut self, step: Step, now: Timestamp) {
        let Step::Forward(by) = step else {
            // What it makes lie in the future the next look sees.
            self.next = Timestamp::default();
            return;
        };
        let started = self.started;
        // Neither what came before the start, nor by the clock as it is now.
        let by_the_old = |at: Timestamp| at >= started && now.since(at) >= by;
        let shift = |at: &mut Timestamp| {
            let shifts = by_the_old(*at);
            if shifts {
                *at = at.after(by);
            }
            shifts
        };
        for (number, it) in &mut self.standing {
            let last = it.last.as_mut().is_some_and(shift);
            let missing = it.missing.as_mut().is_some_and(shift);
            if shift(&mut it.from) || last || missing {
                self.dirty.insert(*number);
            }
        }
        self.machines.stepped(started, shift, &self.zone);
        self.started = started.after(by).noted(now);
        self.next = Timestamp::default();
    }

    /// When [`Self::look`] is to be called again.
    pub fn next_look(&self) -> Timestamp {
        self.next
    }

    /// What is to be told since the last call.
    pub fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Whether [`Self::news`] has some.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// When the next of what is declared is late.
    pub fn deadline(&self) -> Option<Timestamp> {
        let waiting = self.standing.values().filter(|it| it.missing.is_none());
        waiting.map(|it| it.late(self.started, &self.zone)).min()
    }

    /// A line for each that is missing, of many for the first.
    pub fn alarms(&self) -> Vec<String> {
        let all = self.standing.values();
        let missing: Vec<_> = all.filter(|it| it.missing.is_some()).collect();
        let lines = missing.iter().take(NAMED);
        let lines = lines.map(|it| format!("{MISSING}: {}: {}", it.wanted, it.seen()));
        let more = missing.len().saturating_sub(NAMED);
        let rest = (more > 0).then(|| format!("{MISSING}: {more} more: smarthost expected list"));
        lines.chain(rest).collect()
    }

    /// Lines for the digest of a day: what is still missing or silent, and what is proposed for the
    /// first time.
    pub fn digest(&mut self) -> Vec<String> {
        let missing = self.standing.values().filter(|it| it.missing.is_some());
        let mut lines: Vec<String> = missing
            .map(|it| format!("missing: {}: {}", it.wanted, it.seen()))
            .collect();
        let silent = self.machines.silent();
        lines.extend(
            silent.map(|(label, last)| format!("silent: {label}, since {}", last.rfc3339())),
        );
        for it in self.learned.news(&self.zone) {
            lines.push(format!(
                "comes every {}: {}; to be told when it does not: smarthost expected add --learned {}",
                it.wanted.every, it.wanted, it.number
            ));
        }
        lines
    }

    /// Rows that changed, for the next start.
    pub fn changes(&mut self) -> Vec<(String, Option<String>)> {
        let mut rows = Vec::new();
        for number in std::mem::take(&mut self.dirty) {
            let it = self.standing.get(&number);
            let record = it.and_then(|it| serde_json::to_string(it).ok());
            rows.push((format!("{DECLARED}{number}"), record));
        }
        for key in std::mem::take(&mut self.learned.dirty) {
            let record = self.learned.record(&key);
            let key = serde_json::to_string(&key).unwrap_or_default();
            rows.push((format!("{LEARNED}{key}"), record));
        }
        for name in std::mem::take(&mut self.machines.dirty) {
            let record = self.machines.record(&name);
            rows.push((format!("{MACHINE}{name}"), record));
        }
        rows
    }

    /// All of them are to be written.
    pub fn all_changed(&mut self) {
        self.dirty.extend(self.standing.keys().copied());
        self.learned.all_changed();
        self.machines.all_changed();
    }

    /// Takes back a row; whether it is one.
    pub fn restore(&mut self, row: &str, record: &str) -> bool {
        if let Some(key) = row.strip_prefix(LEARNED) {
            return self.learned.restore(key, record);
        }
        if let Some(name) = row.strip_prefix(MACHINE) {
            return self.machines.restore(name, record);
        }
        match serde_json::from_str::<Standing>(record) {
            Ok(mut it) if row.starts_with(DECLARED) => {
                // By a clock that was behind: it says nothing of when it came.
                if it.since.since(it.from) > OLDEST {
                    it.from = self.started;
                }
                self.standing.insert(it.number, it);
                true
            }
            _ => false,
        }
    }

    #[cfg(test)]
    pub(super) fn learned_rows(&self) -> usize {
        self.learned.len()
    }
}

fn told(headline: String, text: String) -> News {
    News {
        kind: Kind::Expected,
        headline,
        text,
        strangers: false,
    }
}

fn push(waiting: &mut Vec<News>, news: News) {
    if waiting.len() < WAITING {
        waiting.push(news);
    }
}

fn unknown(number: u32) -> String {
    format!("no expected mail has the number {number}: see smarthost expected list")
}
