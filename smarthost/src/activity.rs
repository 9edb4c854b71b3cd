//! What has happened: totals since the start, and the last day in pieces of five minutes. Pure.
//!
//! Contract: recipients are counted where their line of the log is written, so that log, metrics
//! and page agree; messages at their 250. A delivery's time counts once, with the recipient's last
//! outcome. Bounded: [`SLOTS`] pieces.
//! See also: `state`, which keeps the pieces over a restart; totals begin anew with the daemon.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use control::status::Counted;
use mail::{
    clock::Timestamp,
    outcome::{Blame, Failure, Outcome, Stage},
};
use serde::{Deserialize, Serialize};

/// Seconds of a piece, and how many are kept.
pub const SLOT: u64 = 300;
pub const SLOTS: u64 = 288;

/// Five minutes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Slot {
    /// Messages that were taken.
    pub received: u64,
    /// Recipients.
    pub delivered: u64,
    /// Attempts for a recipient that came to nothing for now.
    pub deferred: u64,
    /// Recipients that were given up.
    pub failed: u64,
    /// Commands and messages of clients.
    pub refused: u64,
}

/// All that is counted here.
#[derive(Debug)]
pub struct Activity {
    counted: Counted,
    /// By their beginning, in seconds.
    slots: BTreeMap<u64, Slot>,
    dirty: BTreeSet<u64>,
}

impl Default for Activity {
    /// Each class is there from the beginning, so that its first increase is seen.
    fn default() -> Self {
        let counted = Counted {
            deferred: CLASSES.map(|class| (class.to_owned(), 0)).into(),
            ..Counted::default()
        };
        Self {
            counted,
            slots: BTreeMap::new(),
            dirty: BTreeSet::new(),
        }
    }
}

impl Activity {
    /// A message of a client was answered 250.
    pub fn received(&mut self, bytes: u64, now: Timestamp) {
        self.slot(now).received += 1;
        let counted = &mut self.counted;
        counted.received = counted.received.saturating_add(1);
        counted.received_bytes = counted.received_bytes.saturating_add(bytes);
    }

    /// A client was refused.
    pub fn refused(&mut self, now: Timestamp) {
        self.slot(now).refused += 1;
    }

    /// One attempt for one recipient of a message of this age.
    pub fn attempted(&mut self, age: Duration, outcome: &Outcome, now: Timestamp) {
        match outcome {
            Outcome::Delivered(_) => {
                self.slot(now).delivered += 1;
                self.counted.delivered.add(age);
            }
            Outcome::Failed(_) => self.gave_up(age, now),
            Outcome::Deferred(failure) => {
                self.slot(now).deferred += 1;
                self.counted.deferred(class(failure));
            }
        }
    }

    /// A recipient was given up without an attempt: for its age, or by an order.
    pub fn gave_up(&mut self, age: Duration, now: Timestamp) {
        self.slot(now).failed += 1;
        self.counted.failed.add(age);
    }

    /// Recipients whose mail an administrator deleted.
    pub fn removed(&mut self, recipients: usize) {
        let recipients = u64::try_from(recipients).unwrap_or(u64::MAX);
        self.counted.removed = self.counted.removed.saturating_add(recipients);
    }

    /// Since the start.
    pub fn counted(&self) -> &Counted {
        &self.counted
    }

    /// The last day, oldest first: the beginning of each piece, in seconds, and what was counted.
    pub fn day(&self, now: Timestamp) -> Vec<(u64, Slot)> {
        let last = now.as_secs() / SLOT;
        let first = last.saturating_sub(SLOTS - 1);
        let at = |number: u64| {
            let start = number.saturating_mul(SLOT);
            (start, self.slots.get(&start).copied().unwrap_or_default())
        };
        (first..=last).map(at).collect()
    }

    fn slot(&mut self, now: Timestamp) -> &mut Slot {
        let start = now.as_secs() / SLOT * SLOT;
        if !self.slots.contains_key(&start) {
            // Also what a clock that was wrong wrote into the future.
            let kept = oldest(start)..=start;
            for (old, _) in self.slots.extract_if(.., |it, _| !kept.contains(it)) {
                self.dirty.insert(old);
            }
        }
        self.dirty.insert(start);
        self.slots.entry(start).or_default()
    }

    /// Pieces that changed, for the next start.
    pub fn changes(&mut self) -> Vec<(String, Option<String>)> {
        let dirty = std::mem::take(&mut self.dirty);
        let record = |start: &u64| serde_json::to_string(self.slots.get(start)?).ok();
        dirty
            .iter()
            .map(|start| (start.to_string(), record(start)))
            .collect()
    }

    /// All of them are to be written.
    pub fn all_changed(&mut self) {
        self.dirty.extend(self.slots.keys().copied());
    }

    /// Takes back a piece, beside what has come since; whether it is one.
    pub fn restore(&mut self, key: &str, record: &str, now: Timestamp) -> bool {
        let (Ok(start), Ok(slot)) = (key.parse::<u64>(), serde_json::from_str(record)) else {
            return false;
        };
        if start % SLOT != 0 || !(oldest(now.as_secs())..=now.as_secs()).contains(&start) {
            // Too old: its row goes with the next write.
            self.dirty.insert(start);
            return true;
        }
        let Slot {
            received,
            delivered,
            deferred,
            failed,
            refused,
        } = slot;
        let known = self.slots.entry(start).or_default();
        for (known, more) in [
            (&mut known.received, received),
            (&mut known.delivered, delivered),
            (&mut known.deferred, deferred),
            (&mut known.failed, failed),
            (&mut known.refused, refused),
        ] {
            *known = known.saturating_add(more);
        }
        true
    }
}

/// Where the last day before this second begins.
fn oldest(second: u64) -> u64 {
    (second / SLOT)
        .saturating_sub(SLOTS - 1)
        .saturating_mul(SLOT)
}

/// What a deferral is about.
const CLASSES: [&str; 10] = [
    "dns",
    "connection_refused",
    "timeout",
    "connection",
    "tls",
    "authentication",
    "reply",
    "too_many_connections",
    "policy",
    "local",
];

/// One of [`CLASSES`].
fn class(failure: &Failure) -> &'static str {
    let says = |words: &str| failure.text.to_ascii_lowercase().contains(words);
    match (failure.blame, failure.stage) {
        _ if failure.means_too_many_connections() => "too_many_connections",
        (Blame::Local, _) => "local",
        (Blame::Policy, _) => "policy",
        (_, Stage::Lookup) => "dns",
        (_, Stage::Tls) => "tls",
        (_, Stage::Auth) => "authentication",
        _ if failure.reply.is_some() => "reply",
        _ if says("timed out") => "timeout",
        (_, Stage::Connect) if says("refused") => "connection_refused",
        (Blame::Us, _) => "policy",
        _ => "connection",
    }
}

#[cfg(test)]
mod tests {
    use mail::{outcome::Delivery, status::EnhancedStatus};

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + seconds)
    }

    fn failure(blame: Blame, stage: Stage, text: &str) -> Failure {
        Failure::new(blame, stage, EnhancedStatus::new(4, 4, 1), text)
    }

    fn sent() -> Outcome {
        Outcome::Delivered(Delivery {
            relay: "mx".into(),
            reply: "250".into(),
            handover: mail::outcome::Handover::Relayed,
        })
    }

    #[test]
    fn a_day_is_kept_in_pieces_and_a_delivery_counts_once_with_its_last_outcome() {
        let mut activity = Activity::default();
        activity.received(1000, at(0));
        let refused = failure(
            Blame::Network,
            Stage::Connect,
            "connect to x: Connection refused",
        );
        let minute = Duration::from_mins(1);
        activity.attempted(minute, &Outcome::Deferred(refused), at(10));
        activity.attempted(minute * 10, &sent(), at(600));
        activity.gave_up(minute, at(900));
        activity.refused(at(900));
        let day = activity.day(at(900));
        assert_eq!(day.len(), usize::try_from(SLOTS).unwrap());
        let pieces: Vec<Slot> = day
            .iter()
            .map(|(_, slot)| *slot)
            .filter(|slot| *slot != Slot::default())
            .collect();
        assert_eq!(
            (pieces[0].received, pieces[0].deferred, pieces[0].delivered),
            (1, 1, 0)
        );
        assert_eq!(
            (pieces[1].delivered, pieces[2].failed, pieces[2].refused),
            (1, 1, 1)
        );
        let counted = activity.counted();
        let deferred: Vec<_> = counted
            .deferred
            .iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(deferred, [&("connection_refused".to_owned(), 1)]);
        assert!(
            deferred
                .iter()
                .all(|(class, _)| CLASSES.contains(&class.as_str()))
        );
        let delivered = &counted.delivered;
        assert_eq!((delivered.count(), delivered.sum_millis), (1, 600_000));
        assert_eq!(counted.failed.count(), 1);
    }

    #[test]
    fn pieces_outlive_a_restart_for_a_day_and_a_wrong_clock_fills_nothing() {
        let mut activity = Activity::default();
        for piece in 0..3 * SLOTS {
            activity.received(1, at(piece * SLOT));
        }
        assert!(u64::try_from(activity.slots.len()).unwrap() <= SLOTS);
        activity.received(1, at(1_000_000_000));
        activity.received(1, at(3 * SLOTS * SLOT));
        assert_eq!(activity.slots.len(), 1, "neither past nor future is kept");
        let now = at(3 * SLOTS * SLOT + 1);
        let mut again = Activity::default();
        for (key, record) in activity.changes() {
            assert!(record.is_none_or(|record| again.restore(&key, &record, now)));
        }
        assert_eq!(again.day(now), activity.day(now));
        assert!(!again.restore("x", "{}", now) && !again.restore("300", "no", now));
        assert!(again.restore("300", "{\"received\":1}", now), "old");
        assert_eq!(
            again.changes(),
            [("300".to_owned(), None)],
            "and its row goes"
        );
    }

    #[test]
    fn a_deferral_is_of_one_of_few_classes_whatever_a_peer_says() {
        for (failure, expected) in [
            (
                failure(Blame::Network, Stage::Lookup, "no such name"),
                "dns",
            ),
            (
                failure(Blame::Network, Stage::Connect, "Connection timed out"),
                "timeout",
            ),
            (
                failure(Blame::Network, Stage::Body, "lost connection"),
                "connection",
            ),
            (failure(Blame::Peer, Stage::Tls, "bad certificate"), "tls"),
            (failure(Blame::Policy, Stage::Tls, "pin"), "policy"),
            (Failure::ours("disk"), "local"),
        ] {
            assert_eq!(class(&failure), expected, "{failure:?}");
            assert!(CLASSES.contains(&expected), "{expected}");
        }
        let reply = |text: &str| {
            let code = mail::status::ReplyCode::new(421).unwrap();
            Failure::replied(Stage::Greeting, code, None, text)
        };
        assert_eq!(
            class(&reply("too many connections from you")),
            "too_many_connections"
        );
        assert_eq!(class(&reply("\"}\n evil 1")), "reply");
    }
}
