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
    pub(super) beside: Option<Beside>,
    pub(super) since: Timestamp,
    pub(super) from: String,
    /// Of the secret that let it in.
    pub(super) digest: Digest,
    pub(super) twice: Option<Twice>,
}

/// Another key of the same machine, while one takes the place of the other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Beside {
    /// Was told, and not seen yet.
    Next(Pin),
    /// Since when the one after it is used.
    Old(Pin, Timestamp),
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
        matches!(&self.beside, Some(Beside::Next(next)) if next == key)
    }

    /// The one that came last.
    pub(super) fn newest(&self) -> &Pin {
        match &self.beside {
            Some(Beside::Next(next)) => next,
            _ => &self.key,
        }
    }

    /// Whether a key is this machine's.
    pub(super) fn has(&self, key: &Pin, now: Timestamp) -> bool {
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

    pub(super) fn keys(&self) -> impl Iterator<Item = Pin> {
        let beside = self.beside.as_ref().map(|beside| match beside {
            Beside::Next(key) | Beside::Old(key, _) => key.clone(),
        });
        std::iter::once(self.key.clone()).chain(beside)
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
