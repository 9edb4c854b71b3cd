//! Queue ids: a message's name in the queue, in the log and in `mailq`.
//!
//! Contract: an id is never given twice, neither after a restart nor when the clock is set back (recovery starts above the
//! highest id it saw); later ids are greater, as numbers and as text.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};

use mail::clock;

/// Sorted as ASCII, so that the order of texts is the order of numbers.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^11 > 2^64.
const LENGTH: usize = 11;
/// An id is milliseconds since 1970, then this many bits of a counter.
const COUNTER_BITS: u32 = 22;

/// A message's name in the queue, in the log and in `mailq`: eleven letters and digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueueId(u64);

impl QueueId {
    /// Reads what `Display` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != LENGTH {
            return None;
        }
        text.bytes()
            .try_fold(0u64, |number, byte| {
                let digit = DIGITS.binary_search(&byte).ok()?;
                number
                    .checked_mul(62)?
                    .checked_add(u64::try_from(digit).ok()?)
            })
            .map(Self)
    }

    pub(super) const fn from_number(number: u64) -> Self {
        Self(number)
    }

    pub(super) const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b'0'; LENGTH];
        let mut rest = self.0;
        for place in text.iter_mut().rev() {
            *place = usize::try_from(rest % 62)
                .ok()
                .and_then(|digit| DIGITS.get(digit))
                .copied()
                .unwrap_or(b'0');
            rest /= 62;
        }
        f.pad(str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Gives ids.
pub(super) struct Ids {
    last: AtomicU64,
    /// Random, so that two machines whose logs meet rarely give the same id.
    salt: u64,
}

impl Ids {
    /// Ids above `highest`.
    pub(super) fn after(highest: u64) -> Self {
        let random = match clock::simulated() {
            Some(_) => 0,
            None => getrandom::u64().unwrap_or_default(),
        };
        let salt = random & ((1 << COUNTER_BITS) - 1);
        Self {
            last: AtomicU64::new(highest),
            salt,
        }
    }

    pub(super) fn next(&self) -> QueueId {
        let now = (clock::now().as_millis() << COUNTER_BITS) | self.salt;
        let following = |last: u64| now.max(last.wrapping_add(1));
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(following(last))
            });
        QueueId(following(last.unwrap_or_else(|last| last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_id_is_read_back_as_printed_and_sorts_by_age() {
        let ids = Ids::after(0);
        let given: Vec<_> = (0..1000).map(|_| ids.next()).collect();
        assert!(given.is_sorted_by(|a, b| a < b && a.to_string() < b.to_string()));
        for id in given.into_iter().chain([QueueId(0), QueueId(u64::MAX)]) {
            let text = id.to_string();
            assert!(
                text.len() >= 10 && text.bytes().all(|b| b.is_ascii_alphanumeric()),
                "{text}"
            );
            assert_eq!(QueueId::parse(&text), Some(id));
        }
        for bad in [
            "",
            "0",
            "000000000000",
            "0000000000-",
            "zzzzzzzzzzz",
            "0000000000é",
        ] {
            assert_eq!(QueueId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_clock_set_back_gives_no_id_twice() {
        let future = u64::MAX >> 1;
        let ids = Ids::after(future);
        assert!(ids.next().number() > future);
    }
}
