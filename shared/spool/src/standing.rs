//! Whether what becomes of a delivery can be recorded. While it cannot, none may begin: it would
//! be repeated after the next start.
//!
//! Contract: [`Known::Good`] only while there is written or reserved space for what deliveries
//! under way will leave, and the last commit of such records has worked. Who finds it otherwise
//! asks for a proof, which the thread that commits makes: space, and a write that reaches the disk.
//! After a proof that fails, the next one is made after a pause that grows.
//!
//! A disk can also hang: what is asked of it neither works nor fails. Therefore the time counts as
//! well since when records wait to be on disk; it ends with the commit that brings them there.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::{
    SpoolError,
    asked::HANGS,
    journal::{self, Level},
    pause::Pause,
};
use mail::clock;

/// How soon to look whether a proof was made.
const SOON: Duration = Duration::from_millis(10);
/// Pause after a proof that failed, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(8));

/// While records have waited for the disk this long, no delivery begins; that costs nothing if it
/// was only slow.
const PATIENCE: Duration = Duration::from_secs(1);
/// How soon to look whether it answers.
pub(super) const AGAIN: Duration = Duration::from_millis(200);

/// How it stands.
#[derive(Default)]
pub(super) struct Standing {
    known: Known,
    /// Since when there have been results that no commit has taken yet.
    waiting: Option<Instant>,
    /// Since when what a commit has taken waits for the disk.
    under_way: Option<Instant>,
}

/// What is known of what was tried last.
#[derive(Default)]
enum Known {
    /// Not known: the log has no place yet.
    #[default]
    Unknown,
    Good,
    /// Until the next proof.
    Failing(Pause),
}

/// What follows for who wants to begin a delivery.
pub(super) enum May {
    Begin,
    /// Not yet; ask again after this.
    Wait(Duration),
    /// A proof is needed; ask again after this.
    Prove(Duration),
}

impl Standing {
    pub(super) fn may(&mut self) -> May {
        if self.waited() >= PATIENCE {
            return May::Wait(AGAIN);
        }
        match &self.known {
            Known::Good => May::Begin,
            Known::Unknown => May::Prove(SOON),
            Known::Failing(pause) => {
                let left = pause.until.saturating_duration_since(clock::steady());
                if left.is_zero() {
                    May::Prove(SOON)
                } else {
                    May::Wait(left)
                }
            }
        }
    }

    /// What became of a delivery waits for a commit.
    pub(super) fn waits(&mut self) {
        self.waiting.get_or_insert_with(clock::steady);
    }

    /// A commit takes all that waits.
    pub(super) fn begins(&mut self) {
        self.under_way = Some(self.waiting.take().unwrap_or_else(clock::steady));
    }

    /// A commit takes what has been on disk before.
    pub(super) fn copies(&mut self) {
        self.under_way = Some(clock::steady());
    }

    /// It has ended, in whatever way; `left`: what became of deliveries still waits.
    pub(super) fn ends(&mut self, left: bool) {
        let begun = self.under_way.take();
        if left {
            self.waiting = begun.or(self.waiting);
        }
    }

    /// How long the oldest records have waited for the disk.
    fn waited(&self) -> Duration {
        let since = self.under_way.into_iter().chain(self.waiting).min();
        since.map_or(Duration::ZERO, |since| {
            clock::steady().saturating_duration_since(since)
        })
    }

    pub(super) fn hangs(&self) -> bool {
        self.waited() >= HANGS && !self.is_failing()
    }

    /// Records reached the disk; `room`: there is more for others.
    pub(super) fn works(&mut self, room: bool) {
        if self.is_failing() {
            let text = "spool: what becomes of deliveries can be recorded again, so they go on";
            journal::line(Level::Notice, &text);
        }
        self.known = if room { Known::Good } else { Known::Unknown };
    }

    /// They did not.
    pub(super) fn fails(&mut self, why: &SpoolError) {
        let before = match &self.known {
            Known::Failing(pause) => Some(pause),
            Known::Unknown | Known::Good => {
                let text = format_args!(
                    "spool: what becomes of deliveries cannot be recorded, so none begins: {why}"
                );
                journal::line(Level::Error, &text);
                None
            }
        };
        self.known = Known::Failing(Pause::after(before, PAUSES, why));
    }

    /// Why none begins, for administrators. The directory is that of the spool.
    pub(super) fn alarm(&self, directory: &Path) -> Option<String> {
        if self.hangs() {
            let since = clock::now().before(self.waited()).mailq();
            return Some(format!(
                "no mail goes out, because the disk of {} has not answered since {since}: what \
                 was to be written is not there yet, and would go again after a restart; it goes \
                 on by itself once the disk answers (is the file system frozen? what does the \
                 kernel say of the disk?)",
                directory.display()
            ));
        }
        let Known::Failing(Pause { why, .. }) = &self.known else {
            return None;
        };
        Some(format!(
            "no mail goes out, because its end could not be recorded and it would go again after \
             a restart: {why}; it goes on by itself once that works"
        ))
    }

    pub(super) fn is_failing(&self) -> bool {
        matches!(self.known, Known::Failing(_))
    }
}
