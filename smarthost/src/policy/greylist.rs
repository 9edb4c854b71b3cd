//! Greylisting: a network that nobody knows is asked to come again, and whoever does is let
//! through.
//!
//! Contract: pure and bounded. What comes again after the delay, with the same sender and
//! recipient, passes; its network (IPv4 /24, IPv6 /64) passes at once from then on, as long as it
//! is seen every [`KEPT`]. What does not come back within [`RETRY`] begins anew.
//! See also: `state`, which keeps it over a restart.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    time::Duration,
};

use mail::clock::Timestamp;

use crate::{network::Network, oldest};

/// How long a second try is waited for.
const RETRY: Duration = Duration::from_hours(48);
/// How long a network that passed is known.
const KEPT: Duration = Duration::from_hours(35 * 24);
/// First tries and networks that are remembered.
const MOST: usize = 20_000;
/// Longest row, in characters.
const LONGEST: usize = 400;
/// How often old rows are looked for, and a network's last visit is written.
const SWEEP: Duration = Duration::from_hours(1);

/// What becomes of a recipient.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    Pass,
    /// Come again after this time.
    Wait(Duration),
}

/// All that is remembered: by network, and by network, sender and recipient, since when.
#[derive(Clone, Debug, Default)]
pub struct Greylist {
    rows: HashMap<String, Timestamp>,
    /// Changed since [`Greylist::changes`].
    dirty: HashSet<String>,
    swept: Option<Timestamp>,
}

impl Greylist {
    /// A recipient of a message that comes from a client.
    pub fn ask(
        &mut self,
        client: IpAddr,
        (sender, recipient): (&str, &str),
        delay: Duration,
        now: Timestamp,
    ) -> Decision {
        self.sweep(now);
        let network = Network::of(client, 24, 64).to_string();
        if let Some(age) = self.age(&network, now) {
            if age >= SWEEP {
                self.set(network, now);
            }
            return Decision::Pass;
        }
        let row = format!("{network} {sender} {recipient}").to_lowercase();
        let row: String = row.chars().take(LONGEST).collect();
        match self.age(&row, now) {
            Some(age) if age >= delay => {
                self.rows.remove(&row);
                self.dirty.insert(row);
                self.set(network, now);
                Decision::Pass
            }
            Some(age) => Decision::Wait(delay.saturating_sub(age)),
            None => {
                self.set(row, now);
                Decision::Wait(delay)
            }
        }
    }

    /// For how long a row is known.
    fn age(&mut self, row: &str, now: Timestamp) -> Option<Duration> {
        let at = self.rows.get_mut(row)?;
        if *at > now {
            self.dirty.insert(row.to_owned());
        }
        Some(at.age(now))
    }

    fn set(&mut self, row: String, now: Timestamp) {
        self.dirty.insert(row.clone());
        self.rows.insert(row, now);
    }

    /// Forgets what is old, and the oldest first tries where there are too many.
    fn sweep(&mut self, now: Timestamp) {
        let swept = self.swept.as_mut();
        let due = swept.is_none_or(|swept| swept.age(now) >= SWEEP);
        if !due && self.rows.len() < MOST {
            return;
        }
        self.swept = Some(now);
        let dirty = &mut self.dirty;
        let old =
            |row: &str, at: Timestamp| now.since(at) >= if is_try(row) { RETRY } else { KEPT };
        let mut forget = |row: &String| {
            dirty.insert(row.clone());
        };
        self.rows.retain(|row, at| {
            let keep = !old(row, *at);
            if !keep {
                forget(row);
            }
            keep
        });
        if self.rows.len() >= MOST {
            let ages = self.rows.iter().map(|(row, at)| (*at, row));
            for row in oldest::tenth(MOST, ages) {
                self.rows.remove(&row);
                self.dirty.insert(row);
            }
        }
    }

    /// Rows that changed, for the next start: since when, or nothing if it is forgotten.
    pub fn changes(&mut self) -> Vec<(String, Option<String>)> {
        let dirty = std::mem::take(&mut self.dirty);
        let record = |row: &String| self.rows.get(row).map(|at| at.as_secs().to_string());
        dirty
            .into_iter()
            .map(|row| (row.clone(), record(&row)))
            .collect()
    }

    /// All of them are to be written.
    pub fn all_changed(&mut self) {
        self.dirty.extend(self.rows.keys().cloned());
    }

    /// Takes back a row; whether it is one.
    pub fn restore(&mut self, row: String, record: &str) -> bool {
        let at = record.parse().ok().map(Timestamp::from_secs);
        if let Some(at) = at.filter(|_| self.rows.len() < MOST) {
            self.rows.insert(row, at);
        }
        at.is_some()
    }
}

/// A first try, and no network.
fn is_try(row: &str) -> bool {
    row.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_mins(5);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + seconds)
    }

    fn ask(list: &mut Greylist, client: &str, recipient: &str, seconds: u64) -> Decision {
        list.ask(
            client.parse().unwrap(),
            ("A@ham.example", recipient),
            DELAY,
            at(seconds),
        )
    }

    #[test]
    fn a_first_try_while_the_clock_was_ahead_waits_for_its_delay_and_no_longer() {
        let mut list = Greylist::default();
        let ahead = 400 * 86_400;
        let try_at =
            |list: &mut Greylist, seconds| ask(list, "198.51.100.17", "r@x.example", seconds);
        assert_eq!(try_at(&mut list, ahead), Decision::Wait(DELAY));
        for (row, record) in list.changes() {
            assert!(list.restore(row, &record.unwrap()));
        }
        assert_eq!(try_at(&mut list, 0), Decision::Wait(DELAY));
        assert_eq!(list.changes().len(), 1, "a restart begins no new delay");
        assert_eq!(try_at(&mut list, 301), Decision::Pass);
    }

    #[test]
    fn a_pool_of_senders_waits_once_and_another_network_waits_for_itself() {
        let mut list = Greylist::default();
        let wait = Decision::Wait;
        assert_eq!(
            ask(&mut list, "198.51.100.17", "r@x.example", 0),
            wait(DELAY)
        );
        assert_eq!(
            ask(&mut list, "198.51.100.17", "r@x.example", 100),
            wait(Duration::from_secs(200))
        );
        assert_eq!(
            ask(&mut list, "203.0.113.9", "r@x.example", 300),
            wait(DELAY)
        );
        assert_eq!(
            ask(&mut list, "198.51.100.203", "R@X.example", 360),
            Decision::Pass
        );
        assert_eq!(
            ask(&mut list, "198.51.100.5", "other@x.example", 361),
            Decision::Pass,
            "known by now"
        );
        assert_eq!(
            ask(&mut list, "198.51.101.5", "other@x.example", 361),
            wait(DELAY)
        );
        assert_eq!(
            ask(&mut list, "2001:db8:1:2::1", "r@x.example", 0),
            wait(DELAY)
        );
        assert_eq!(
            ask(&mut list, "2001:db8:1:2:9::1", "r@x.example", 400),
            Decision::Pass
        );
        assert_eq!(
            ask(&mut list, "::ffff:198.51.100.9", "r@x.example", 400),
            Decision::Pass
        );
    }

    #[test]
    fn what_passed_is_known_after_a_restart_and_forgotten_when_it_stays_away() {
        let mut list = Greylist::default();
        ask(&mut list, "198.51.100.17", "r@x.example", 0);
        ask(&mut list, "198.51.100.17", "r@x.example", 300);
        ask(&mut list, "203.0.113.9", "r@x.example", 300);
        let rows = list.changes();
        assert_eq!(
            rows.len(),
            3,
            "a network, a first try, and one that is done: {rows:?}"
        );
        assert!(list.changes().is_empty());
        let mut next = Greylist::default();
        for (row, record) in rows {
            if let Some(record) = record {
                assert!(next.restore(row, &record));
            }
        }
        assert!(!next.restore("x".to_owned(), "never"));
        assert_eq!(
            ask(&mut next, "198.51.100.80", "new@x.example", 400),
            Decision::Pass
        );
        assert_eq!(
            ask(&mut next, "203.0.113.9", "r@x.example", 700),
            Decision::Pass
        );
        let days = |days: u64| days * 86_400;
        assert_eq!(
            ask(&mut next, "198.51.100.80", "new@x.example", days(30)),
            Decision::Pass
        );
        assert_eq!(
            ask(&mut next, "198.51.100.80", "new@x.example", days(60)),
            Decision::Pass
        );
        assert_eq!(
            ask(&mut next, "203.0.113.9", "r@x.example", days(60)),
            Decision::Wait(DELAY)
        );
        assert_eq!(
            ask(&mut next, "203.0.113.9", "r@x.example", days(63)),
            Decision::Wait(DELAY),
            "too late"
        );
    }

    #[test]
    fn however_many_come_only_so_many_are_remembered() {
        let mut list = Greylist::default();
        for number in 0..u32::try_from(MOST).unwrap() + 5000 {
            let client = IpAddr::from((0x0a00_0000 + (number << 8)).to_be_bytes());
            list.ask(
                client,
                ("a@x.example", &"r".repeat(300)),
                DELAY,
                at(number.into()),
            );
        }
        assert!(list.rows.len() <= MOST && list.rows.keys().all(|row| row.len() <= LONGEST));
    }
}
