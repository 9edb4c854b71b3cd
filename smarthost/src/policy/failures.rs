//! Who failed to log in lately: an IPv4 address, or an IPv6 /64. Pure.
//!
//! Contract: bounded; only who has failed has an entry, so however many fail, nobody else is kept out. Where there are too many, those whose
//! failures are oldest are forgotten. A clock that was set back forgets.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use mail::clock::Timestamp;

use crate::network::Network;

/// Failures after which nothing is tried, and the time from the last one on in which they count.
const MOST: u32 = 10;
const SPAN: Duration = Duration::from_mins(10);
/// Who is remembered at once.
const ENTRIES: usize = 4096;

/// The table.
#[derive(Debug, Default)]
pub struct Failures {
    entries: HashMap<Network, (u32, Timestamp)>,
}

impl Failures {
    /// Whether no attempt from there is to be looked at now.
    pub fn is_over(&self, address: IpAddr, now: Timestamp) -> bool {
        let entry = self.entries.get(&of(address));
        entry.is_some_and(|(count, last)| *count >= MOST && is_recent(*last, now))
    }

    /// One more failure.
    pub fn failed(&mut self, address: IpAddr, now: Timestamp) {
        let who = of(address);
        if self.entries.len() >= ENTRIES && !self.entries.contains_key(&who) {
            self.entries.retain(|_, (_, last)| is_recent(*last, now));
            let oldest = self.entries.iter().min_by_key(|(_, (_, last))| *last);
            let oldest = oldest.map(|(who, _)| *who);
            if self.entries.len() >= ENTRIES
                && let Some(oldest) = oldest
            {
                self.entries.remove(&oldest);
            }
        }
        let entry = self.entries.entry(who).or_insert((0, now));
        if !is_recent(entry.1, now) {
            entry.0 = 0;
        }
        *entry = (entry.0.saturating_add(1), now);
    }
}

fn of(address: IpAddr) -> Network {
    Network::of(address, 32, 64)
}

fn is_recent(last: Timestamp, now: Timestamp) -> bool {
    last <= now && now.since(last) < SPAN
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    #[test]
    fn ten_failures_close_an_address_for_ten_minutes_and_nobody_else() {
        let mut failures = Failures::default();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..10 {
            assert!(!failures.is_over(address("192.0.2.7"), NOW));
            failures.failed(address("192.0.2.7"), NOW);
            failures.failed(address("2001:db8::7"), NOW);
        }
        assert!(failures.is_over(address("192.0.2.7"), NOW));
        assert!(failures.is_over(address("::ffff:192.0.2.7"), NOW));
        assert!(failures.is_over(address("2001:db8::8"), NOW), "one /64");
        assert!(!failures.is_over(address("192.0.2.8"), NOW));
        let later = NOW.after(SPAN);
        assert!(!failures.is_over(address("192.0.2.7"), later));
        failures.failed(address("192.0.2.7"), later);
        assert!(
            !failures.is_over(address("192.0.2.7"), later),
            "begins anew"
        );
    }

    #[test]
    fn a_flood_of_addresses_is_bounded_and_keeps_the_newest() {
        let mut failures = Failures::default();
        for number in 0..10_000u32 {
            let address = IpAddr::from(number.to_be_bytes());
            failures.failed(
                address,
                NOW.after(Duration::from_secs(u64::from(number / 100))),
            );
        }
        assert!(failures.entries.len() <= ENTRIES);
        let newest = IpAddr::from(9_999u32.to_be_bytes());
        assert!(failures.entries.contains_key(&of(newest)));
    }
}
