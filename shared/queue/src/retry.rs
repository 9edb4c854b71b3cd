//! When to try again, and when to give up.
//!
//! The wait grows with the message's age, as in Postfix: the next attempt comes after as long as
//! the message has waited so far, but not later than `maximal`, with ±20 % jitter so that mail
//! which was deferred together does not come back together. It never comes sooner than `minimal`:
//! there the jitter only adds.

use std::time::Duration;

use mail::clock::Timestamp;

/// The retry schedule of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// Shortest wait between two attempts.
    pub minimal: Duration,
    /// Longest wait between two attempts.
    pub maximal: Duration,
    /// Age at which undelivered mail is returned to its sender.
    pub lifetime: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self::USUAL
    }
}

impl Schedule {
    /// As Postfix tries again.
    pub const USUAL: Self = Self {
        minimal: Duration::from_mins(5),
        maximal: Duration::from_secs(4000),
        lifetime: Duration::from_hours(5 * 24),
    };

    /// When to try again a message that arrived at `arrival` and was just deferred; `random` is any
    /// number.
    pub fn next(&self, arrival: Timestamp, now: Timestamp, random: u32) -> Timestamp {
        let wait = now.since(arrival).max(self.minimal).min(self.maximal);
        // In steps of 0.01 %, 120 % at most, and 80 % at least where that is not too soon.
        let least =
            (self.minimal.min(self.maximal).as_millis() * 10_000).div_ceil(wait.as_millis().max(1));
        let least = u32::try_from(least).unwrap_or(10_000).clamp(8000, 10_000);
        let ten_thousandths = least + random % (12_001 - least);
        now.after(wait.saturating_mul(ten_thousandths) / 10_000)
    }

    /// Whether a message that arrived at `arrival` has waited too long.
    pub fn expired(&self, arrival: Timestamp, now: Timestamp) -> bool {
        now.since(arrival) >= self.lifetime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_with_age_within_their_bounds_and_never_lie_in_the_past() {
        let schedule = Schedule::default();
        let arrival = Timestamp::from_secs(1_000_000);
        for (age, least, most) in [
            (0, 300, 360),
            (310, 300, 372),
            (600, 480, 720),
            (86_400, 3200, 4800),
        ] {
            let now = arrival.after(Duration::from_secs(age));
            for random in [0, 1, 1999, 2000, 2001, 4000, u32::MAX] {
                let wait = schedule.next(arrival, now, random).since(now).as_secs();
                assert!((least..=most).contains(&wait), "age {age}: {wait}");
            }
        }
    }

    #[test]
    fn a_clock_set_back_neither_expires_mail_nor_makes_it_wait_longer() {
        let schedule = Schedule::default();
        let (arrival, earlier) = (Timestamp::from_secs(1_000_000), Timestamp::from_secs(10));
        assert!(!schedule.expired(arrival, earlier));
        assert!(schedule.next(arrival, earlier, 0).since(earlier) <= schedule.minimal);
    }

    #[test]
    fn the_shortest_wait_is_never_undercut_whatever_it_is() {
        let arrival = Timestamp::from_secs(1_000_000);
        for (minimal, maximal) in [(10, 20), (300, 4000), (7, 7), (1, 4000), (0, 0)] {
            let schedule = Schedule {
                minimal: Duration::from_secs(minimal),
                maximal: Duration::from_secs(maximal),
                ..Schedule::USUAL
            };
            for age in 0..5000 {
                let now = arrival.after(Duration::from_millis(age * 997));
                for random in [0, 1, 3999, 123_456_789, u32::MAX] {
                    let wait = schedule.next(arrival, now, random).since(now);
                    assert!(wait >= schedule.minimal, "{minimal} s at {age}: {wait:?}");
                    assert!(
                        wait <= schedule.maximal * 6 / 5,
                        "{maximal} s at {age}: {wait:?}"
                    );
                }
            }
        }
    }
}
