//! Whether the relayhost can be reached, and when to ask again if not.

use std::time::Duration;

use mail::clock::Timestamp;
use queue::retry::Schedule;

/// First pause after a relayhost did not answer, and the least between two attempts to reach it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause between two attempts to reach the relayhost.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// The relayhost, as far as we know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    Up,
    /// Not before `until`; `failures` in a row, the last one at `last`.
    Down {
        until: Timestamp,
        last: Timestamp,
        failures: u32,
    },
}

impl Reach {
    /// It did not answer: the pause is doubled, with ±20 % jitter.
    pub(super) fn failed(&mut self, retry: &Schedule, now: Timestamp, random: u32) {
        let failures = match *self {
            Self::Up => 0,
            // Several connections failed together: that is one failure.
            Self::Down {
                until, failures, ..
            } if until > now => failures.saturating_sub(1),
            Self::Down { failures, .. } => failures,
        };
        let pause = first_pause(retry)
            .saturating_mul(1 << failures.min(10))
            .min(LONGEST_PAUSE)
            .min(retry.maximal);
        let pause = pause.saturating_mul(8000 + random % 4001) / 10_000;
        *self = Self::Down {
            until: now.after(pause),
            last: now,
            failures: failures.saturating_add(1),
        };
    }

    /// New mail may be what brings the news that the relayhost is back.
    pub(super) fn hurry(&mut self, retry: &Schedule) {
        if let Self::Down { until, last, .. } = self {
            *until = (*until).min(last.after(first_pause(retry)));
        }
    }
}

fn first_pause(retry: &Schedule) -> Duration {
    FIRST_PAUSE.min(retry.minimal)
}
