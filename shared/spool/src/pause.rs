//! The pause after something that failed; it grows while that goes on failing.

use std::time::{Duration, Instant};

use mail::clock;

use super::SpoolError;

/// Until then nobody asks the disk again.
pub(super) struct Pause {
    pub(super) until: Instant,
    pub(super) length: Duration,
    pub(super) why: SpoolError,
}

impl Pause {
    /// The one that begins now; `before`: the one before it, if that failed, too. First and longest
    /// are given.
    pub(super) fn after(
        before: Option<&Self>,
        (first, longest): (Duration, Duration),
        why: &SpoolError,
    ) -> Self {
        let twice = before.map(|pause| pause.length.saturating_mul(2));
        let length = twice.map_or(first, |twice| longest.min(twice));
        Self {
            until: clock::steady() + length,
            length,
            why: why.again(),
        }
    }
}
