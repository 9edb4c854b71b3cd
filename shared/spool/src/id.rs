//! Queue ids: a message's name in the queue, in the log and in `mailq`.
//!
//! Contract: an id is never given twice, neither after a restart nor when the clock is set back
//! (recovery starts above the highest id it saw); later ids are greater, as numbers and as text.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};

use mail::clock;

/// How a number is written: digits sorted as ASCII, so that the order of texts is the order of
/// numbers.
struct Form {
    digits: &'static [u8],
    length: usize,
}

/// What people and programs that read logs see: logwatch takes an id of Postfix's short form for
/// capital letters and digits, one of its long form for consonants and digits. This is both. 31^13
/// > 2^64.
const SHOWN: Form = Form {
    digits: b"0123456789BCDFGHJKLMNPQRSTVWXYZ",
    length: 13,
};
/// Names of files, and what earlier versions showed. 62^11 > 2^64.
const FILE: Form = Form {
    digits: b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    length: 11,
};

impl Form {
    fn base(&self) -> u64 {
        u64::try_from(self.digits.len()).unwrap_or(u64::MAX)
    }

    fn write(&self, number: u64) -> String {
        let mut text = vec![b'0'; self.length];
        let mut rest = number;
        for place in text.iter_mut().rev() {
            let digit = usize::try_from(rest % self.base()).unwrap_or_default();
            *place = self.digits.get(digit).copied().unwrap_or(b'0');
            rest /= self.base();
        }
        String::from_utf8(text).unwrap_or_default()
    }

    fn read(&self, text: &[u8]) -> Option<u64> {
        text.iter().try_fold(0u64, |number, byte| {
            let digit = self.digits.binary_search(byte).ok()?;
            number
                .checked_mul(self.base())?
                .checked_add(u64::try_from(digit).ok()?)
        })
    }
}

/// An id is milliseconds since 1970, then this many bits of a counter.
const COUNTER_BITS: u32 = 22;

/// A message's name in the queue, in the log and in `mailq`: thirteen digits and capital
/// consonants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueueId(u64);

impl QueueId {
    /// Reads what `Display` wrote, in small letters too, or what [`Self::file_name`] gave.
    pub fn parse(text: &str) -> Option<Self> {
        let number = match text.len() {
            length if length == SHOWN.length => SHOWN.read(text.to_ascii_uppercase().as_bytes())?,
            length if length == FILE.length => FILE.read(text.as_bytes())?,
            _ => return None,
        };
        Some(Self(number))
    }

    /// When it was given.
    pub fn made(self) -> clock::Timestamp {
        clock::Timestamp::from_millis(self.0 >> COUNTER_BITS)
    }

    /// The name of a file that belongs to the message.
    pub(super) fn file_name(self) -> String {
        FILE.write(self.0)
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
        f.pad(&SHOWN.write(self.0))
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

    /// None that follows is this one or before it.
    pub(super) fn known(&self, id: QueueId) {
        self.last.fetch_max(id.0, Ordering::Relaxed);
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
                text.len() == 13
                    && text.bytes().all(|b| b.is_ascii_digit()
                        || (b.is_ascii_uppercase() && !b"AEIOU".contains(&b))),
                "{text}"
            );
            assert_eq!(QueueId::parse(&text), Some(id));
            assert_eq!(QueueId::parse(&text.to_lowercase()), Some(id));
            assert_eq!(QueueId::parse(&id.file_name()), Some(id));
        }
        for bad in [
            "",
            "0",
            "000000000000",
            "0000000000-",
            "zzzzzzzzzzz",
            "0000000000é",
            "ZZZZZZZZZZZZZ",
            "000000000000A",
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
