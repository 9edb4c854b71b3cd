//! One client: a ring for each window, a limit that was raised for a while, and which notices were sent.

use std::time::Duration;

use mail::clock::Timestamp;
use queue::rate::{Recorded, Ring, Window};
use serde::{Deserialize, Serialize};

use crate::limits::{Rules, report::Report};

/// Notices of one level are at least this far apart.
const NOTICE_INTERVAL: Duration = Duration::from_hours(24);

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Client {
    /// In the order of [`Rules::per_client`].
    rings: Vec<Ring>,
    raised: Option<Raised>,
    near: Option<Timestamp>,
    full: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Raised {
    limit: u32,
    until: Timestamp,
}

/// As kept by [`crate::state`]: JSON, to be read with any `SQLite` tool.
#[derive(Serialize, Deserialize)]
struct Record {
    windows: Vec<Recorded>,
    raised: Option<Raised>,
    near: Option<Timestamp>,
    full: Option<Timestamp>,
}

/// A full window.
pub(super) struct Full {
    pub(super) window: Window,
    pub(super) count: u32,
    pub(super) limit: u32,
    pub(super) free_at: Timestamp,
}

impl Client {
    pub(super) fn new(rules: &Rules) -> Self {
        let rings = rules
            .per_client
            .iter()
            .map(|window| Ring::new(*window))
            .collect();
        Self {
            rings,
            raised: None,
            near: None,
            full: None,
        }
    }

    /// The windows with their rings and the limits in force.
    fn windows<'a>(
        &'a self,
        rules: &'a Rules,
        now: Timestamp,
    ) -> impl Iterator<Item = (&'a Ring, Window, u32)> {
        let raised = self
            .raised
            .filter(|raised| raised.until > now)
            .map(|raised| raised.limit);
        let longest = rules.longest();
        self.rings
            .iter()
            .zip(&rules.per_client)
            .enumerate()
            .map(move |(index, (ring, window))| {
                let limit = if Some(index) == longest {
                    raised.unwrap_or(window.limit)
                } else {
                    window.limit
                };
                (ring, *window, limit)
            })
    }

    /// The full window that stays full longest, if any.
    pub(super) fn full(&self, rules: &Rules, now: Timestamp) -> Option<Full> {
        self.windows(rules, now)
            .filter_map(|(ring, window, limit)| {
                let count = ring.count(now);
                let never = || self.raised.map_or(now, |raised| raised.until);
                let free_at = ring.free_at(limit, now).unwrap_or_else(never);
                (count >= limit).then_some(Full {
                    window,
                    count,
                    limit,
                    free_at,
                })
            })
            .max_by_key(|full| full.free_at)
    }

    /// Counts one message; gives the count in the window that is nearest to its limit.
    pub(super) fn add(&mut self, rules: &Rules, now: Timestamp) -> Option<(u32, u32, Window)> {
        for ring in &mut self.rings {
            ring.add(now);
        }
        self.windows(rules, now)
            .map(|(ring, window, limit)| (ring.count(now), limit, window))
            .max_by_key(|(count, limit, window)| {
                (
                    u64::from(*count) * 1_000_000 / u64::from(*limit).max(1),
                    window.span,
                )
            })
    }

    /// Whether any window is at 80 % or above, and that was not told today; then it counts as told.
    pub(super) fn tell_near(&mut self, rules: &Rules, now: Timestamp) -> bool {
        let near = self
            .windows(rules, now)
            .any(|(ring, _, limit)| u64::from(ring.count(now)) * 5 >= u64::from(limit) * 4);
        near && tell(&mut self.near, now)
    }

    /// Whether that a message was refused was not told today; then it counts as told.
    pub(super) fn tell_full(&mut self, now: Timestamp) -> bool {
        tell(&mut self.full, now)
    }

    pub(super) fn raise(&mut self, limit: u32, until: Timestamp) {
        self.raised = Some(Raised { limit, until });
    }

    /// Whether nothing of it matters any more.
    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        self.rings.iter().all(|ring| ring.count(now) == 0)
            && self.raised.is_none_or(|raised| raised.until <= now)
            && [self.near, self.full]
                .into_iter()
                .flatten()
                .all(|at| now.since(at) >= NOTICE_INTERVAL)
    }

    /// Messages in the longest window.
    pub(super) fn weight(&self, rules: &Rules, now: Timestamp) -> u32 {
        rules
            .longest()
            .and_then(|index| self.rings.get(index))
            .map_or(0, |ring| ring.count(now))
    }

    pub(super) fn report(&self, name: String, rules: &Rules, now: Timestamp) -> Report {
        Report {
            client: name,
            windows: self
                .windows(rules, now)
                .map(|(ring, window, limit)| (ring.count(now), Window { limit, ..window }))
                .collect(),
            raised: self
                .raised
                .filter(|raised| raised.until > now)
                .map(|raised| (raised.limit, raised.until)),
            next_slot: self.full(rules, now).map(|full| full.free_at),
            exempt: false,
        }
    }

    /// For [`crate::state`].
    pub(super) fn record(&self, rules: &Rules) -> String {
        let windows = self
            .rings
            .iter()
            .zip(&rules.per_client)
            .map(|(ring, window)| ring.record(*window));
        let record = Record {
            windows: windows.collect(),
            raised: self.raised,
            near: self.near,
            full: self.full,
        };
        serde_json::to_string(&record).unwrap_or_default()
    }

    /// From [`crate::state`]. Counts belong to a window by its length; a window that is new in the configuration starts at zero.
    pub(super) fn restore(record: &str, rules: &Rules, now: Timestamp) -> Option<Self> {
        let record: Record = serde_json::from_str(record).ok()?;
        let windows = rules.per_client.iter();
        let rings = windows.map(|window| Ring::restore(*window, &record.windows, now));
        Some(Self {
            rings: rings.collect(),
            raised: record.raised,
            near: record.near,
            full: record.full,
        })
    }
}

/// At most once in [`NOTICE_INTERVAL`]; a clock that was set back does not silence it.
fn tell(last: &mut Option<Timestamp>, now: Timestamp) -> bool {
    let due = last.is_none_or(|last| now.since(last) >= NOTICE_INTERVAL || last > now);
    if due {
        *last = Some(now);
    }
    due
}
