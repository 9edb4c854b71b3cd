//! A line and a machine, as the file has them: which keys are a machine's, and for how long.

use std::time::Duration;

use mail::clock::Timestamp;
use relay::{
    enroll::{Digest, Name},
    trust::Pin,
};
use serde::{Deserialize, Serialize};

use super::row::Twice;

/// How long a line is remembered after it has expired, for a clear answer.
pub(super) const REMEMBERED: Duration = Duration::from_hours(30 * 24);
/// How long a key is good after the next one was seen: connections may be under way.
pub(super) const GRACE: Duration = Duration::from_mins(10);
/// Beside one that is just ending, so many keys of a machine are good at most that ended before it.
const MOST_OLD: usize = 3;

/// A line that was not used yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    pub(super) digest: Digest,
    pub(super) made: Timestamp,
    pub(super) good_for: Duration,
}

/// A machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Machine {
    pub(super) key: Pin,
    /// Was told, and not seen yet: it takes the place of that one.
    pub(super) next: Option<Pin>,
    /// Those before it that are good for some time more.
    pub(super) old: Vec<Old>,
    pub(super) since: Timestamp,
    pub(super) from: String,
    /// Of the secret that let it in.
    pub(super) digest: Digest,
    pub(super) twice: Option<Twice>,
}

/// An earlier key of a machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Old {
    pub(super) key: Pin,
    /// When the one after it was seen.
    pub(super) since: Timestamp,
}

impl Old {
    fn is_good(&self, now: Timestamp) -> bool {
        // What a clock that was ahead has noted is over at once: the next key is in use.
        self.since <= now && now.since(self.since) < GRACE
    }
}

/// A key that is believed no more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ended {
    pub(super) key: Pin,
    pub(super) name: Name,
    pub(super) at: Timestamp,
    /// By an administrator; otherwise another key has taken its place.
    pub(super) revoked: bool,
}

impl Open {
    pub(super) fn has_expired(&mut self, now: Timestamp) -> bool {
        self.made.age(now) >= self.good_for
    }

    /// Whether nobody needs to know of it any more.
    pub(super) fn is_over(&mut self, now: Timestamp) -> bool {
        self.made.age(now) >= self.good_for.saturating_add(REMEMBERED)
    }
}

impl Machine {
    pub(super) fn is_next(&self, key: &Pin) -> bool {
        self.next.as_ref() == Some(key)
    }

    /// The one that came last.
    pub(super) fn newest(&self) -> &Pin {
        self.next.as_ref().unwrap_or(&self.key)
    }

    /// Whether a key is this machine's.
    pub(super) fn has(&self, key: &Pin, now: Timestamp) -> bool {
        let mut old = self.old.iter();
        self.key == *key || self.is_next(key) || old.any(|it| it.key == *key && it.is_good(now))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = Pin> {
        let old = self.old.iter().map(|it| it.key.clone());
        let keys = std::iter::once(self.key.clone()).chain(self.next.clone());
        keys.chain(old)
    }

    /// The next key was seen; the one that it takes the place of.
    pub(super) fn takes_over(&mut self, next: Pin, now: Timestamp) -> Pin {
        let key = std::mem::replace(&mut self.key, next);
        self.next = None;
        self.old.retain(|it| it.is_good(now));
        let surplus = self.old.len().saturating_sub(MOST_OLD);
        self.old.drain(..surplus);
        let (old, since) = (key.clone(), now);
        self.old.push(Old { key: old, since });
        key
    }

    /// The secret that let it in is shown once more; the error: not with this key, but with that
    /// one it has let it in.
    pub(super) fn again(&mut self, key: &Pin, from: &str, now: Timestamp) -> Result<(), Pin> {
        if self.has(key, now) {
            return Ok(());
        }
        let before = self.twice.take();
        self.twice = Some(Twice {
            count: before.as_ref().map_or(1, |it| it.count.saturating_add(1)),
            last: now,
            key: key.clone(),
            from: from.to_owned(),
            told: before.is_some_and(|it| it.told),
        });
        Err(self.newest().clone())
    }
}
