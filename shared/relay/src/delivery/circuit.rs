//! How long an address that failed is passed over: a circuit that opens, and is tried again by
//! itself.
//!
//! Contract: pure. What fails is passed over for a pause; the delivery that comes first after it
//! tries again, and all others wait for what comes of that. Each failure doubles the pause, up to
//! [`LONGEST`]; it is never shorter than three times what the try has cost. What works is used at
//! once; one that fails again soon afterwards is passed over for longer than before, so that
//! whoever comes and goes costs little.
//! Nothing is ever refused for it: where nobody else is left, those that are passed over are tried.

use std::time::{Duration, Instant};

/// The first pause of a host that the administrator named.
pub(super) const FIRST: Duration = Duration::from_secs(10);
/// The longest: how late a relayhost that is well again is used at the latest.
pub(super) const LONGEST: Duration = Duration::from_mins(5);
/// So many times longer than the try itself is the pause after it.
const COST: u32 = 3;
/// How long others leave it to the one that tries again.
const TRIAL: Duration = Duration::from_secs(30);

/// One address that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Circuit {
    /// Of the host, as in the settings.
    pub(super) host: (String, u16),
    /// When it began to fail.
    pub(super) since: Instant,
    /// When it failed last.
    pub(super) last: Instant,
    /// It is passed over until then.
    pub(super) until: Instant,
    /// In a row.
    pub(super) failures: u32,
    /// The last failure, for people.
    pub(super) why: String,
    /// That may be about who sends alone.
    pub(super) of_sender: bool,
    pause: Duration,
    /// It works again since then.
    mended: Option<Instant>,
}

impl Circuit {
    /// Of a host, that has not failed yet.
    pub(super) fn new(host: (String, u16), now: Instant) -> Self {
        Self {
            host,
            since: now,
            last: now,
            until: now,
            failures: 0,
            why: String::new(),
            of_sender: false,
            pause: Duration::ZERO,
            mended: None,
        }
    }

    /// It failed, which took so long; the pause doubles.
    pub(super) fn fails(&mut self, took: Duration, why: &str, now: Instant) {
        let longer = if self.is_forgotten(now) {
            FIRST
        } else {
            self.pause * 2
        };
        let pause = longer.max(COST * took).clamp(FIRST, LONGEST);
        self.fails_for(pause, why, now);
    }

    /// It failed, and is passed over for so long.
    pub(super) fn fails_for(&mut self, pause: Duration, why: &str, now: Instant) {
        if self.mended.is_some() || self.failures == 0 {
            self.since = now;
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.why = why.chars().take(300).collect();
        self.of_sender = false;
        self.last = now;
        self.pause = pause;
        self.until = now + pause;
        self.mended = None;
    }

    /// It is passed over until then, whatever comes of it.
    pub(super) fn waits(&mut self, pause: Duration, now: Instant) {
        self.until = self.until.max(now + pause);
        self.mended = None;
    }

    /// It works.
    pub(super) fn works(&mut self, now: Instant) {
        self.mended.get_or_insert(now);
    }

    /// Somebody tries it.
    pub(super) fn tried(&mut self, now: Instant) {
        if self.mended.is_none() && self.until <= now {
            self.until = now + TRIAL;
        }
    }

    /// Whether others are tried before it.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.mended.is_none() && self.until > now
    }

    /// Whether it has failed since it worked last.
    pub(super) fn is_broken(&self) -> bool {
        self.mended.is_none() && self.failures > 0
    }

    /// Whether its failures count no more: it has worked for longer than the longest pause.
    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        let worked = |since| now.saturating_duration_since(since) > LONGEST;
        self.mended.is_some_and(worked)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn circuit(now: Instant) -> Circuit {
        Circuit::new(("mx1.example".to_owned(), 25), now)
    }

    #[test]
    fn pauses_grow_up_to_the_longest_and_begin_anew_once_it_has_worked_for_long_enough() {
        let mut now = Instant::now();
        let mut circuit = circuit(now);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            circuit.fails(Duration::ZERO, "refused", now);
            pauses.push((circuit.until - now).as_secs());
            now = circuit.until;
            assert!(!circuit.is_open(now), "it is tried again");
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300]);
        circuit.works(now);
        now += 601 * SECOND;
        circuit.fails(Duration::ZERO, "refused", now);
        assert_eq!((circuit.until - now, circuit.failures), (FIRST, 1));
    }

    #[test]
    fn one_tries_again_and_the_others_wait_for_what_comes_of_it() {
        let mut now = Instant::now();
        let mut circuit = circuit(now);
        circuit.fails(3 * SECOND, "mute", now);
        now += 10 * SECOND;
        assert!(!circuit.is_open(now));
        circuit.tried(now);
        assert!(circuit.is_open(now), "for all others");
        assert!(!circuit.is_open(now + TRIAL), "unless nothing came of it");
        circuit.works(now + SECOND);
        assert!(!circuit.is_open(now + SECOND) && !circuit.is_broken());
    }

    proptest! {
        /// Whatever fails and works when: it is tried again after the longest pause at the latest,
        /// and what comes and goes is tried in vain only a few times an hour.
        #[test]
        fn a_flapping_one_costs_little_and_is_never_given_up(
            good in 0u64..60, bad in 1u64..120, hours in 1u32..4
        ) {
            let began = Instant::now();
            let (end, mut now) = (Duration::from_hours(hours.into()), began);
            let mut circuit = circuit(now);
            let mut in_vain = 0;
            // Mail comes every second; it works for `good` seconds, and then not for `bad`.
            while now - began < end {
                if !circuit.is_open(now) {
                    circuit.tried(now);
                    if (now - began).as_secs() % (good + bad) < good {
                        circuit.works(now);
                    } else {
                        circuit.fails(Duration::ZERO, "refused", now);
                        in_vain += 1;
                    }
                }
                prop_assert!(circuit.until <= now + LONGEST);
                now += SECOND;
            }
            // Five shorter pauses, and then one each five minutes, unless it has worked for long.
            let most = 6 + 13 * hours;
            prop_assert!(in_vain <= most, "{in_vain} of {most}");
        }
    }
}
