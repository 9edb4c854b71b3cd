//! Steps of the wall clock: found by a clock that only ever goes forward.
//!
//! Contract: what the two clocks differ by in small pieces (slewing, two readings a moment apart)
//! is no step; a machine that slept has made one.

use std::{
    fmt,
    time::{Duration, Instant},
};

use mail::clock::Timestamp;

/// Less is no step.
const TOLERANCE: Duration = Duration::from_secs(5);

/// The wall clock was set, or stood still while the machine slept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Forward(Duration),
    Back(Duration),
}

impl Step {
    /// Whether the clock says an earlier time now.
    pub fn is_back(self) -> bool {
        matches!(self, Self::Back(_))
    }

    /// Whether a moment of the last minute was read off the clock when it was set already.
    pub fn is_over_at(self, moment: Timestamp, now: Timestamp) -> bool {
        match self {
            Self::Forward(by) => now.since(moment) < by / 2,
            Self::Back(_) => moment <= now,
        }
    }

    /// A moment that lay as far from the old time as the result lies from the new one.
    pub fn shift(self, moment: Timestamp) -> Timestamp {
        match self {
            Self::Forward(by) => moment.after(by),
            Self::Back(by) => {
                let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
                Timestamp::from_millis(moment.as_millis().saturating_sub(by))
            }
        }
    }
}

/// Such as `back by 3600 seconds`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (way, by) = match self {
            Self::Forward(by) => ("forward", by),
            Self::Back(by) => ("back", by),
        };
        write!(f, "{way} by {} seconds", by.as_secs())
    }
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    wall: Timestamp,
    steady: Instant,
}

impl Watch {
    /// Begins with what the clocks say now.
    pub fn new(wall: Timestamp, steady: Instant) -> Self {
        Self { wall, steady }
    }

    /// What both say now; the step that was made since the last look.
    pub fn look(&mut self, wall: Timestamp, steady: Instant) -> Option<Step> {
        let expected = self
            .wall
            .after(steady.saturating_duration_since(self.steady));
        let (ahead, behind) = (wall.since(expected), expected.since(wall));
        *self = Self { wall, steady };
        if ahead > TOLERANCE {
            Some(Step::Forward(ahead))
        } else if behind > TOLERANCE {
            Some(Step::Back(behind))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_has_stepped_and_one_that_goes_on_has_not() {
        let (wall, steady) = (Timestamp::from_secs(1_000_000), Instant::now());
        let mut watch = Watch::new(wall, steady);
        let later = |seconds| {
            (
                wall.after(Duration::from_secs(seconds)),
                steady + Duration::from_secs(seconds),
            )
        };
        let (at, instant) = later(600);
        assert_eq!(watch.look(at, instant), None);
        let (_, instant) = later(601);
        assert_eq!(
            watch.look(Timestamp::from_secs(2_000_000), instant),
            Some(Step::Forward(Duration::from_secs(999_399)))
        );
        let (at, instant) = later(602);
        assert_eq!(
            watch.look(at, instant),
            Some(Step::Back(Duration::from_secs(999_399)))
        );
    }
}
