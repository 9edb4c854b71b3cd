//! Who failed to log in lately, or to be enrolled: an IPv4 address, or an IPv6 /64. Pure.
//!
//! Contract: an attempt counts as failed from its beginning on, until it turns out to be right:
//! however many are made at once, no more than [`MOST`] are looked at. Bounded; only who tries has
//! an entry, so however many fail, nobody else is kept out. Where there are too many, those whose
//! failures are oldest are forgotten. A clock that was set back forgets.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use mail::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::network::Network;

/// Failures after which nothing is tried, and the time from the last one on in which they count.
const MOST: u32 = 10;
const SPAN: Duration = Duration::from_mins(10);
/// Who is remembered at once.
const ENTRIES: usize = 4096;

/// The table.
#[derive(Debug, Default)]
pub struct Failures {
    entries: HashMap<Network, Entry>,
}

#[derive(Debug)]
struct Entry {
    failed: u32,
    last: Timestamp,
    /// Attempts that are being looked at.
    trying: u32,
}

/// What administrators are told of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failed {
    pub failures: u32,
    /// Until then nobody is listened to from there.
    pub refused_until: Option<Timestamp>,
}

impl Failed {
    /// `3 failed logins lately`, `logins refused until …, after 10 failed`.
    pub fn words(&self) -> String {
        let failures = self.failures;
        match self.refused_until {
            Some(until) => {
                let until = until.rfc3339();
                format!("logins refused until {until}, after {failures} failed")
            }
            None => format!("{failures} failed logins lately"),
        }
    }
}

impl Failures {
    /// Whether no attempt from there is to be looked at now.
    pub fn is_closed(&self, address: IpAddr, now: Timestamp) -> bool {
        self.of(address, now)
            .is_some_and(|it| it.refused_until.is_some())
    }

    /// Whether an attempt may be looked at; it ends in [`Failures::end`].
    pub fn begin(&mut self, address: IpAddr, now: Timestamp) -> bool {
        let who = place(address);
        if self.entries.len() >= ENTRIES && !self.entries.contains_key(&who) {
            self.make_room(now);
        }
        let entry = self.entries.entry(who).or_insert(Entry {
            failed: 0,
            last: now,
            trying: 0,
        });
        if !is_recent(entry.last, now) {
            entry.failed = 0;
        }
        let may = entry.failed.saturating_add(entry.trying) < MOST;
        if may {
            entry.trying = entry.trying.saturating_add(1);
        }
        may
    }

    /// An attempt turned out to be right, or wrong.
    pub fn end(&mut self, address: IpAddr, right: bool, now: Timestamp) {
        let who = place(address);
        let Some(entry) = self.entries.get_mut(&who) else {
            return;
        };
        entry.trying = entry.trying.saturating_sub(1);
        if !right {
            entry.failed = entry.failed.saturating_add(1);
            entry.last = now;
        } else if entry.failed == 0 && entry.trying == 0 {
            self.entries.remove(&who);
        }
    }

    fn make_room(&mut self, now: Timestamp) {
        self.entries
            .retain(|_, entry| entry.trying > 0 || is_recent(entry.last, now));
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.last);
        if self.entries.len() >= ENTRIES
            && let Some(oldest) = oldest.map(|(who, _)| *who)
        {
            self.entries.remove(&oldest);
        }
    }

    /// How it stands with an address, if it failed lately.
    pub fn of(&self, address: IpAddr, now: Timestamp) -> Option<Failed> {
        self.entries.get(&place(address))?.told(now)
    }

    /// From where nobody is listened to now.
    pub fn closed(&self, now: Timestamp) -> Vec<(Network, Failed)> {
        let told = |(who, entry): (&Network, &Entry)| Some((*who, entry.told(now)?));
        let all = self.entries.iter().filter_map(told);
        let mut closed: Vec<_> = all.filter(|(_, it)| it.refused_until.is_some()).collect();
        closed.sort_unstable_by_key(|(who, _)| *who);
        closed
    }

    /// Forgets what failed from there; whether there was anything.
    pub fn forget(&mut self, address: IpAddr, now: Timestamp) -> bool {
        let known = self.of(address, now).is_some();
        if let Some(entry) = self.entries.get_mut(&place(address)) {
            entry.failed = 0;
        }
        known
    }
}

impl Entry {
    fn told(&self, now: Timestamp) -> Option<Failed> {
        let counts = self.failed > 0 && is_recent(self.last, now);
        counts.then(|| Failed {
            failures: self.failed,
            refused_until: (self.failed >= MOST).then(|| self.last.after(SPAN)),
        })
    }
}

/// Who counts as one.
fn place(address: IpAddr) -> Network {
    Network::of(address, 32, 64)
}

fn is_recent(last: Timestamp, now: Timestamp) -> bool {
    last <= now && now.since(last) < SPAN
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn fail(failures: &mut Failures, from: &str, now: Timestamp) {
        assert!(failures.begin(address(from), now));
        failures.end(address(from), false, now);
    }

    #[test]
    fn ten_failures_close_an_address_for_ten_minutes_and_nobody_else() {
        let mut failures = Failures::default();
        for _ in 0..10 {
            assert!(!failures.is_closed(address("192.0.2.7"), NOW));
            fail(&mut failures, "192.0.2.7", NOW);
            fail(&mut failures, "2001:db8::7", NOW);
        }
        for closed in ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::8"] {
            assert!(failures.is_closed(address(closed), NOW), "{closed}");
            assert!(!failures.begin(address(closed), NOW), "{closed}");
        }
        assert!(!failures.is_closed(address("192.0.2.8"), NOW));
        let told = failures.of(address("192.0.2.7"), NOW).unwrap();
        assert_eq!(
            (told.failures, told.refused_until),
            (10, Some(NOW.after(SPAN)))
        );
        assert_eq!(failures.closed(NOW).len(), 2);
        let later = NOW.after(SPAN);
        assert!(!failures.is_closed(address("192.0.2.7"), later));
        fail(&mut failures, "192.0.2.7", later);
        assert_eq!(
            failures.of(address("192.0.2.7"), later).unwrap().failures,
            1
        );
        assert!(
            failures.forget(address("2001:db8:0:0:1::1"), NOW),
            "by any address of it"
        );
        assert!(failures.begin(address("2001:db8::7"), NOW));
        assert!(!failures.forget(address("203.0.113.1"), NOW));
    }

    #[test]
    fn attempts_at_the_same_time_count_before_they_are_over_and_right_ones_cost_nothing() {
        let mut failures = Failures::default();
        let from = address("192.0.2.7");
        let begun = (0..45).filter(|_| failures.begin(from, NOW)).count();
        assert_eq!(begun, 10);
        assert!(!failures.is_closed(from, NOW), "none has failed yet");
        for _ in 0..9 {
            failures.end(from, true, NOW);
        }
        assert!(failures.begin(from, NOW));
        failures.end(from, false, NOW);
        assert_eq!(failures.of(from, NOW).unwrap().failures, 1);
        failures.end(from, true, NOW);
        for _ in 0..100 {
            assert!(failures.begin(from, NOW));
            failures.end(from, true, NOW);
        }
        let other = address("192.0.2.8");
        assert!(failures.begin(other, NOW));
        failures.end(other, true, NOW);
        assert!(
            !failures.entries.contains_key(&place(other)),
            "nothing is kept"
        );
    }

    #[test]
    fn a_flood_of_addresses_is_bounded_and_keeps_the_newest() {
        let mut failures = Failures::default();
        for number in 0..10_000u32 {
            let from = IpAddr::from(number.to_be_bytes());
            let now = NOW.after(Duration::from_secs(u64::from(number / 100)));
            assert!(failures.begin(from, now));
            failures.end(from, number % 7 == 0, now);
        }
        assert!(failures.entries.len() <= ENTRIES);
        let newest = IpAddr::from(9_999u32.to_be_bytes());
        assert!(failures.entries.contains_key(&place(newest)));
    }
}
