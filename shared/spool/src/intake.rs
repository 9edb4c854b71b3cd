//! What waits for the next commit, and who does what about it.

use std::time::Instant;

use super::{
    SpoolError,
    gather::Gather,
    item::Item,
    pause::{PAUSES, Pause},
};
use mail::clock;

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
        let (first, longest) = PAUSES;
        let before = self.pause.take().map(|pause| pause.length);
        if let Some(why @ SpoolError::Io { .. }) = failure {
            let length = before.map_or(first, |before| longest.min(before.saturating_mul(2)));
            self.pause = Some(Pause {
                until: clock::steady() + length,
                length,
                why: why.again(),
            });
        }
    }
}
