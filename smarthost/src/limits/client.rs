//! One client: a ring for each limit, what is under way, and which notices were sent.

mod raised;
mod terms;

use std::time::Duration;

use mail::clock::Timestamp;
use queue::rate::{Recorded, Ring, Window};
use serde::{Deserialize, Serialize};

pub(super) use raised::Raised;
pub(super) use terms::Terms;
use terms::attempts;

use crate::limits::{Counted, Limit, Report, Why, rules::same, who::Who};

/// Notices of one level are at least this far apart.
const NOTICE_INTERVAL: Duration = Duration::from_hours(24);
/// What the other smarthosts have counted is believed for so long.
const HEARD: Duration = Duration::from_mins(10);

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Client {
    rings: Vec<(Limit, Ring)>,
    /// Messages that were let begin and are not answered yet, and their recipients.
    coming: [u32; 2],
    /// Messages that were let begin and came to nothing.
    attempts: Option<(Window, Ring)>,
    /// Tests that were taken and not counted.
    tests: Option<(Window, Ring)>,
    near: Option<Timestamp>,
    full: Option<Timestamp>,
    /// What all smarthosts have counted, and when that was heard; not kept.
    everywhere: Vec<(Limit, u32, Timestamp)>,
    /// Who wrote it there.
    pub(super) who: Who,
}

/// As kept by [`crate::state`]: JSON, to be read with any `SQLite` tool.
#[derive(Serialize, Deserialize)]
struct Record {
    windows: Vec<Recorded>,
    #[serde(default)]
    recipients: Vec<Recorded>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Recorded>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tests: Vec<Recorded>,
    /// Written here by versions before 0.2.
    raised: Option<Raised>,
    near: Option<Timestamp>,
    full: Option<Timestamp>,
    #[serde(default)]
    who: Who,
}

/// A limit that is reached.
pub(super) struct Full {
    pub(super) limit: Limit,
    pub(super) count: u32,
    pub(super) free_at: Timestamp,
    pub(super) why: Why,
}

impl Client {
    /// Makes its rings those of the limits in force; counts belong to a limit by what it counts and
    /// its length.
    pub(super) fn fit(&mut self, terms: &Terms, now: Timestamp) {
        let fits = |(ring, limit): (&(Limit, Ring), &Limit)| ring.0 == *limit;
        if self.rings.len() != terms.limits.len() || !self.rings.iter().zip(&terms.limits).all(fits)
        {
            let old = std::mem::take(&mut self.rings);
            for limit in &terms.limits {
                let known = old.iter().find(|(old, _)| same(old, limit));
                let ring = known.map_or_else(|| Ring::new(limit.window), |(_, ring)| ring.clone());
                self.rings.push((*limit, ring));
            }
        }
        // Whoever gets more messages by an order gets more attempts with them, at once.
        if let (Some((known, _)), Some(window)) = (&mut self.attempts, terms.attempts())
            && known.span == window.span
        {
            known.limit = window.limit;
        }
        let others = self.attempts.iter_mut().chain(&mut self.tests);
        let others = others.map(|(_, ring)| ring);
        let rings = self.rings.iter_mut().map(|(_, ring)| ring);
        rings.chain(others).for_each(|ring| ring.advance(now));
    }

    /// The limit that is reached and stays so longest, if one more message or recipient comes.
    pub(super) fn full(&self, what: Counted, terms: &Terms, now: Timestamp) -> Option<Full> {
        let full = self
            .rings
            .iter()
            .enumerate()
            .filter_map(|(index, (limit, ring))| {
                let coming = self.coming(limit.counts);
                // A message has a recipient, if one only.
                if what == Counted::Recipients && limit.counts == Counted::Messages {
                    return None;
                }
                let count = ring.count(now).saturating_add(coming);
                if count < limit.window.limit {
                    return None;
                }
                let free = |most: u32| ring.free_at(most.saturating_sub(coming), now);
                let then = |limits: &[Limit]| free(limits.get(index)?.window.limit);
                Some(Full {
                    limit: *limit,
                    count,
                    free_at: terms.sooner(free(limit.window.limit), then).unwrap_or(now),
                    why: Why::Count,
                })
            });
        full.chain(self.tired(what, terms, now))
            .max_by_key(|full| full.free_at)
    }

    /// The limit of attempts, if that is reached.
    fn tired(&self, what: Counted, terms: &Terms, now: Timestamp) -> Option<Full> {
        let (window, ring) = self.attempts.as_ref()?;
        let count = ring.count(now);
        let then = |limits: &[Limit]| ring.free_at(attempts(limits)?.limit, now);
        (what == Counted::Messages && count >= window.limit).then(|| Full {
            limit: Limit::from(*window),
            count,
            free_at: terms
                .sooner(ring.free_at(window.limit, now), then)
                .unwrap_or(now),
            why: Why::Attempts,
        })
    }

    /// One more message or recipient is under way.
    pub(super) fn begin(&mut self, what: Counted) {
        if let Some(coming) = self.coming.get_mut(what as usize) {
            *coming = coming.saturating_add(1);
        }
    }

    /// One less is under way.
    pub(super) fn withdraw(&mut self, what: Counted) {
        if let Some(coming) = self.coming.get_mut(what as usize) {
            *coming = coming.saturating_sub(1);
        }
    }

    /// A message with so many recipients is no longer under way.
    pub(super) fn end(&mut self, recipients: u32) {
        let [messages, coming] = &mut self.coming;
        *messages = messages.saturating_sub(1);
        *coming = coming.saturating_sub(recipients);
    }

    /// It came to nothing. Whether that was the last attempt for now.
    pub(super) fn tire(&mut self, terms: &Terms, now: Timestamp) -> bool {
        let Some(window) = terms.attempts() else {
            return false;
        };
        let fresh = self.attempts.take().filter(|(known, _)| *known == window);
        let (window, mut ring) = fresh.unwrap_or_else(|| (window, Ring::new(window)));
        ring.add(now);
        self.attempts = Some((window, ring));
        self.tired(Counted::Messages, terms, now).is_some()
    }

    /// Whether one more test need not be counted.
    pub(super) fn has_tests_left(&self, terms: &Terms, now: Timestamp) -> bool {
        let taken = self.tests.as_ref().map_or(0, |(_, ring)| ring.count(now));
        terms.tests().is_some_and(|window| taken < window.limit)
    }

    /// A test was taken that is not counted.
    pub(super) fn test(&mut self, terms: &Terms, now: Timestamp) {
        let Some(window) = terms.tests() else { return };
        let known = self.tests.take();
        let known = known.filter(|(known, _)| known.span == window.span);
        let mut ring = known.map_or_else(|| Ring::new(window), |(_, ring)| ring);
        ring.add(now);
        self.tests = Some((window, ring));
    }

    /// It was taken.
    pub(super) fn add(&mut self, recipients: u32, now: Timestamp) {
        for (limit, ring) in &mut self.rings {
            match limit.counts {
                Counted::Messages => ring.add(now),
                Counted::Recipients => (0..recipients).for_each(|_| ring.add(now)),
            }
        }
    }

    /// It was not taken after all.
    pub(super) fn take_back(&mut self, recipients: u32, then: Timestamp) {
        for (limit, ring) in &mut self.rings {
            match limit.counts {
                Counted::Messages => ring.take_back(then),
                Counted::Recipients => (0..recipients).for_each(|_| ring.take_back(then)),
            }
        }
    }

    fn coming(&self, what: Counted) -> u32 {
        self.coming.get(what as usize).copied().unwrap_or_default()
    }

    /// The count, with what is under way, of the limit that is nearest to being reached.
    pub(super) fn nearest(&self, now: Timestamp) -> Option<(u32, Limit)> {
        let share = |(count, limit): &(u32, Limit)| {
            u64::from(*count) * 1_000_000 / u64::from(limit.window.limit).max(1)
        };
        self.counts(now)
            .max_by_key(|near| (share(near), near.1.window.span))
    }

    /// All counts, with what is under way.
    fn counts(&self, now: Timestamp) -> impl Iterator<Item = (u32, Limit)> {
        self.rings.iter().map(move |(limit, ring)| {
            (
                ring.count(now).saturating_add(self.coming(limit.counts)),
                *limit,
            )
        })
    }

    /// All smarthosts together have counted so much.
    pub(super) fn hear(&mut self, limit: &Limit, sum: u32, now: Timestamp) {
        self.everywhere.retain(|(known, ..)| known != limit);
        self.everywhere.push((*limit, sum, now));
    }

    /// What was heard lately.
    fn everywhere(&self, now: Timestamp) -> impl Iterator<Item = (u32, Limit)> {
        let heard = self.everywhere.iter();
        let lately = heard.filter(move |(_, _, at)| now.since(*at) < HEARD && *at <= now);
        lately.map(|(limit, sum, _)| (*sum, *limit))
    }

    /// Whether any limit is at 80 % or above, and that was not told today; then it counts as told.
    pub(super) fn tell_near(&mut self, now: Timestamp) -> bool {
        let mut counts = self.counts(now).chain(self.everywhere(now));
        let near =
            counts.any(|(count, limit)| u64::from(count) * 5 >= u64::from(limit.window.limit) * 4);
        drop(counts);
        near && tell(&mut self.near, now)
    }

    /// Whether that a message was refused was not told today; then it counts as told.
    pub(super) fn tell_full(&mut self, now: Timestamp) -> bool {
        tell(&mut self.full, now)
    }

    /// Whether nothing of it matters any more.
    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        self.counts(now).all(|(count, _)| count == 0)
            && self.coming == [0; 2]
            && [&self.attempts, &self.tests]
                .into_iter()
                .flatten()
                .all(|(_, ring)| ring.count(now) == 0)
            && [self.near, self.full]
                .into_iter()
                .flatten()
                .all(|at| now.since(at) >= NOTICE_INTERVAL)
    }

    /// Whether a message is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.coming != [0; 2]
    }

    /// Messages in the longest window.
    pub(super) fn weight(&self, now: Timestamp) -> u32 {
        let rings = self.rings.iter();
        let longest =
            rings.max_by_key(|(limit, _)| (limit.counts == Counted::Messages, limit.window.span));
        longest.map_or(0, |(_, ring)| ring.count(now))
    }

    pub(super) fn report(&self, name: String, terms: &Terms, now: Timestamp) -> Report {
        Report {
            client: name,
            windows: self
                .rings
                .iter()
                .map(|(limit, ring)| (ring.count(now), *limit))
                .collect(),
            raised: terms.raised.map(|raised| (raised.limit, raised.until)),
            usual: terms.usual,
            attempts: self
                .tired(Counted::Messages, terms, now)
                .map(|full| (full.count, full.limit)),
            next_slot: self
                .full(Counted::Messages, terms, now)
                .map(|full| full.free_at),
            everywhere: self.everywhere(now).collect(),
            ..Report::default()
        }
    }

    /// For [`crate::state`].
    pub(super) fn record(&self) -> String {
        let kept = |what| {
            let rings = self
                .rings
                .iter()
                .filter(move |(limit, _)| limit.counts == what);
            rings
                .map(|(limit, ring)| ring.record(limit.window))
                .collect()
        };
        let record = Record {
            windows: kept(Counted::Messages),
            recipients: kept(Counted::Recipients),
            attempts: self
                .attempts
                .iter()
                .map(|(window, ring)| ring.record(*window))
                .collect(),
            tests: self
                .tests
                .iter()
                .map(|(window, ring)| ring.record(*window))
                .collect(),
            raised: None,
            near: self.near,
            full: self.full,
            who: self.who.clone(),
        };
        serde_json::to_string(&record).unwrap_or_default()
    }

    /// From [`crate::state`], and an order that an older version kept there. A limit that is new in
    /// the configuration starts at zero.
    pub(super) fn restore(
        record: &str,
        limits: &[Limit],
        now: Timestamp,
    ) -> Option<(Self, Option<Raised>)> {
        let record: Record = serde_json::from_str(record).ok()?;
        let kept = |what| match what {
            Counted::Messages => &record.windows,
            Counted::Recipients => &record.recipients,
        };
        let ring = |limit: &Limit| (*limit, Ring::restore(limit.window, kept(limit.counts), now));
        let terms = Terms::new(limits.to_vec(), None);
        let attempts = terms.attempts().filter(|_| !record.attempts.is_empty());
        let attempts =
            attempts.map(|window| (window, Ring::restore(window, &record.attempts, now)));
        let tests = terms.tests().filter(|_| !record.tests.is_empty());
        let tests = tests.map(|window| (window, Ring::restore(window, &record.tests, now)));
        let client = Self {
            attempts,
            tests,
            rings: limits.iter().map(ring).collect(),
            near: record.near,
            full: record.full,
            who: record.who,
            ..Self::default()
        };
        Some((client, record.raised))
    }

    /// Adds what was counted before all that is counted here: the sum, for these are other
    /// messages.
    pub(super) fn absorb(&mut self, earlier: Self, now: Timestamp) {
        for (limit, ring) in &mut self.rings {
            let known = earlier.rings.iter().find(|(known, _)| same(known, limit));
            if let Some((_, known)) = known {
                ring.absorb(known, now);
            }
        }
        let others = [
            (&mut self.attempts, earlier.attempts),
            (&mut self.tests, earlier.tests),
        ];
        for (own, earlier) in others {
            match (own, earlier) {
                (Some((window, ring)), Some((known, same))) if window.span == known.span => {
                    ring.absorb(&same, now);
                }
                (own @ None, earlier) => *own = earlier,
                _ => {}
            }
        }
        self.near = self.near.max(earlier.near);
        self.full = self.full.max(earlier.full);
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
