//! What waits for the next commit, and who does what about it.

use std::time::{Duration, Instant};

use super::{SpoolError, gather::Gather, item::Item, pause::Pause};

/// First pause after a commit that failed, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What waits, and who does what about it.
#[derive(Default)]
pub(super) struct Intake {
    pub(super) items: Vec<Item>,
    /// How many of them are messages.
    pub(super) accepts: u32,
    pub(super) gather: Gather,
    /// Who leads waits for more.
    pub(super) gathering: bool,
    /// Events of a commit that failed; they come first in the next.
    pub(super) retry: Vec<Item>,
    /// Somebody leads.
    pub(super) committing: bool,
    /// The committer's thread leads, and may not know yet.
    pub(super) handed_over: bool,
    /// Threads that wait for the lead.
    pub(super) waiting: u32,
    /// When events must be committed.
    pub(super) due: Option<Instant>,
    pub(super) pause: Option<Pause>,
    /// Somebody asked whether what becomes of a delivery can be recorded.
    pub(super) prove: bool,
    pub(super) stopped: bool,
}

impl Intake {
    /// After a commit: a failure of the disk makes a pause, success ends it. A full disk is asked
    /// each time: it tells at once, and nothing is left behind.
    pub(super) fn pause(&mut self, failure: Option<&SpoolError>) {
        let before = self.pause.take();
        if let Some(why @ SpoolError::Io { .. }) = failure {
            self.pause = Some(Pause::after(before.as_ref(), PAUSES, why));
        }
    }
}
