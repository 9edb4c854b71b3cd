//! Which mail is due when.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use mail::clock::{Timestamp, Zone};
use queue::clock::Step;

use super::{
    channel::{Channel, INTERVAL, mail},
    day::Day,
    event::Event,
    kind::Kind,
    news::{News, Notice},
    outages::{Down, Outages},
};

/// The hour of the day at which its digest is due, in local time.
const MORNING: i8 = 7;
/// Mails about outages within an hour.
const OUTAGES: usize = 6;
/// Outages that are told apart.
const APART: usize = 200;

/// Rows in which the machine is kept for the next start.
const DAY: &str = "day";
const OUTAGE: &str = "outages";
const NEWS: &str = "news ";

/// All that administrators are told.
#[derive(Debug)]
pub struct Notices {
    host: String,
    zone: Zone,
    /// By sort; of outages, by what does not work.
    channels: BTreeMap<(Kind, String), Channel>,
    outages: Outages,
    /// When mails about outages were sent lately.
    lately: VecDeque<Timestamp>,
    day: Day,
    /// When the next digest is due; `None`: the clock was not seen yet.
    morning: Option<Timestamp>,
    ready: VecDeque<Notice>,
    dirty: BTreeSet<String>,
}

impl Notices {
    pub fn new(host: &str, zone: Zone) -> Self {
        Self {
            host: host.to_owned(),
            zone,
            channels: BTreeMap::new(),
            outages: Outages::default(),
            lately: VecDeque::new(),
            day: Day::default(),
            morning: None,
            ready: VecDeque::new(),
            dirty: BTreeSet::new(),
        }
    }

    /// As we are called in subjects, from now on.
    pub fn set_host(&mut self, host: &str) {
        host.clone_into(&mut self.host);
    }

    /// What a clock that was ahead has noted silences nothing until the time gets there.
    fn heed(&mut self, now: Timestamp) {
        for ((kind, about), channel) in &mut self.channels {
            if channel.heed(now) {
                self.dirty.insert(row(*kind, about));
            }
        }
        if self.outages.heed(now) {
            self.dirty.insert(OUTAGE.to_owned());
        }
    }

    /// The clock was set: nothing lasts longer for it.
    pub fn stepped(&mut self, step: Step, now: Timestamp) {
        self.outages.stepped(step, now);
        self.dirty.insert(OUTAGE.to_owned());
    }

    pub fn handle(&mut self, event: Event, now: Timestamp) {
        self.heed(now);
        match event {
            Event::News(news) => self.add(String::new(), news),
            Event::Began(trouble) => {
                self.outages.begin(trouble, now);
                self.dirty.insert(OUTAGE.to_owned());
            }
            Event::Ended { what } => {
                if let Some(news) = self.outages.end(&what, &self.host, now) {
                    self.add(what, news);
                }
                self.dirty.insert(OUTAGE.to_owned());
            }
            Event::Passed(passed) => {
                self.day.add(&passed);
                self.dirty.insert(DAY.to_owned());
            }
            Event::DayEnded { waiting, more } => {
                self.ready
                    .extend(self.day.digest(&self.host, waiting, &more));
                self.day = Day::default();
                self.morning = Some(now.next_at(MORNING, &self.zone));
                self.dirty.insert(DAY.to_owned());
            }
        }
    }

    fn add(&mut self, about: String, news: News) {
        // Beyond so many outages they have one sort together.
        let own = |kind| self.channels.contains_key(&(kind, about.clone()));
        let about = match news.kind {
            kind if own(kind) || self.channels.len() < APART => about,
            _ => String::new(),
        };
        let channel = self.channels.entry((news.kind, about.clone())).or_default();
        self.dirty.insert(row(news.kind, &about));
        channel.add(news);
    }

    /// Whether the last day had a mail of this sort: also one before a restart.
    pub fn told_lately(&self, kind: Kind, now: Timestamp) -> bool {
        let mut channels = self.channels.iter();
        channels.any(|((of, _), channel)| *of == kind && channel.told_lately(now))
    }

    /// Whether something is known not to work.
    pub fn is_out(&self, what: &str) -> bool {
        self.outages.knows(what)
    }

    /// What does not work, and was met not to within so long a time: mail that was deleted asks no
    /// more whether its next hop works again.
    pub fn down(&self, within: Duration, now: Timestamp) -> Vec<Down> {
        self.outages.down(within, now)
    }

    /// Whether the digest wants to hear [`Event::DayEnded`].
    pub fn day_is_over(&mut self, now: Timestamp) -> bool {
        let next = now.next_at(MORNING, &self.zone);
        // A clock that was set back does not silence it.
        let morning = self.morning.map_or(next, |morning| morning.min(next));
        self.morning = Some(morning);
        morning <= now
    }

    /// The next mail that is due.
    pub fn next_notice(&mut self, now: Timestamp) -> Option<Notice> {
        self.heed(now);
        for (what, news) in self.outages.ripe(now) {
            self.add(what, news);
            self.dirty.insert(OUTAGE.to_owned());
        }
        self.ready.pop_front().or_else(|| self.gathered(now))
    }

    /// It could not be sent, and is due again.
    pub fn again(&mut self, notice: Notice) {
        self.ready.push_front(notice);
    }

    fn gathered(&mut self, now: Timestamp) -> Option<Notice> {
        let due = |channel: &Channel| channel.due(now).is_some_and(|due| due <= now);
        let outages = self.outages_due(now) <= now;
        let is_due = |((kind, _), channel): &(&(Kind, String), &mut Channel)| {
            due(channel) && (outages || *kind != Kind::Outage)
        };
        let kind = self
            .channels
            .iter_mut()
            .find(is_due)
            .map(|((kind, _), _)| *kind)?;
        if kind == Kind::Outage {
            self.lately.push_back(now);
        }
        let (mut told, mut more) = (Vec::new(), 0u64);
        for ((_, about), channel) in self.channels.iter_mut().filter(|((of, _), _)| *of == kind) {
            if due(channel) {
                let (news, beyond) = channel.take(now);
                told.extend(news);
                more = more.saturating_add(beyond);
                self.dirty.insert(row(kind, about));
            }
        }
        Some(mail(kind, &self.host, (told, more)))
    }

    /// When one more mail about outages may be sent.
    fn outages_due(&mut self, now: Timestamp) -> Timestamp {
        self.lately
            .retain(|at| *at <= now && now.since(*at) < INTERVAL);
        match self.lately.front() {
            Some(first) if self.lately.len() >= OUTAGES => first.after(INTERVAL),
            _ => now,
        }
    }

    /// When [`Self::next_notice`] or [`Self::day_is_over`] is to be asked again.
    pub fn deadline(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.heed(now);
        if !self.ready.is_empty() {
            return Some(now);
        }
        let outages = self.outages_due(now);
        let due = self.channels.iter().filter_map(|((kind, _), channel)| {
            let due = channel.due(now)?;
            Some(if *kind == Kind::Outage {
                due.max(outages)
            } else {
                due
            })
        });
        due.chain(self.outages.due()).chain(self.morning).min()
    }

    /// Rows that changed, for the next start.
    pub fn changes(&mut self, now: Timestamp) -> Vec<(String, Option<String>)> {
        let idle = self
            .channels
            .iter()
            .filter(|(_, channel)| channel.is_idle(now));
        let idle: Vec<_> = idle.map(|(about, _)| about.clone()).collect();
        for (kind, about) in idle {
            self.dirty.insert(row(kind, &about));
            self.channels.remove(&(kind, about));
        }
        let dirty = std::mem::take(&mut self.dirty);
        dirty
            .into_iter()
            .map(|row| {
                let record = self.record(&row);
                (row, record)
            })
            .collect()
    }

    fn record(&self, name: &str) -> Option<String> {
        match name {
            DAY => serde_json::to_string(&(self.morning, &self.day)).ok(),
            OUTAGE => serde_json::to_string(&self.outages).ok(),
            name => {
                let about: (Kind, String) = serde_json::from_str(name.strip_prefix(NEWS)?).ok()?;
                serde_json::to_string(self.channels.get(&about)?).ok()
            }
        }
    }

    /// All of them are to be written.
    pub fn all_changed(&mut self) {
        let rows = self.channels.keys().map(|(kind, about)| row(*kind, about));
        self.dirty.extend(rows);
        self.dirty.extend([DAY.to_owned(), OUTAGE.to_owned()]);
    }

    /// Takes back a row; whether it is one.
    pub fn restore(&mut self, name: &str, record: &str) -> bool {
        match name {
            DAY => serde_json::from_str(record).map(|(morning, day)| {
                (self.morning, self.day) = (morning, day);
            }),
            OUTAGE => serde_json::from_str(record).map(|outages| {
                self.outages = outages;
                self.outages.restarted();
            }),
            name => {
                let about = name.strip_prefix(NEWS).unwrap_or_default();
                let about = serde_json::from_str(about);
                about.and_then(|about| {
                    self.channels.insert(about, serde_json::from_str(record)?);
                    Ok(())
                })
            }
        }
        .is_ok()
    }
}

fn row(kind: Kind, about: &str) -> String {
    let about = serde_json::to_string(&(kind, about)).unwrap_or_default();
    [NEWS, &about].concat()
}
