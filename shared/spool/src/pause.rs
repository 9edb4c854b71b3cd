//! The pause after commits that failed.

use std::time::{Duration, Instant};

use super::SpoolError;

/// First pause after a commit that failed, and the longest.
pub(super) const PAUSES: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(2));

/// Commits failed; until then nobody asks the disk again.
pub(super) struct Pause {
    pub(super) until: Instant,
    pub(super) length: Duration,
    pub(super) why: SpoolError,
}
