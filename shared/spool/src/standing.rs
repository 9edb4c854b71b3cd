//! Whether what becomes of a delivery can be recorded. While it cannot, none may begin: it would
//! be repeated after the next start.
//!
//! Contract: [`Standing::Good`] only while there is written or reserved space for what deliveries
//! under way will leave, and the last commit of such records has worked. Who finds it otherwise
//! asks for a proof, which the thread that commits makes: space, and a write that reaches the disk.
//! After a proof that fails, the next one is made after a pause that grows.

use std::time::Duration;

use super::{
    SpoolError,
    journal::{self, Level},
    pause::Pause,
};
use mail::clock;

/// How soon to look whether a proof was made.
const SOON: Duration = Duration::from_millis(10);
/// Pause after a proof that failed, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(8));

/// How it stands.
#[derive(Default)]
pub(super) enum Standing {
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
    pub(super) fn may(&self) -> May {
        match self {
            Self::Good => May::Begin,
            Self::Unknown => May::Prove(SOON),
            Self::Failing(pause) => {
                let left = pause.until.saturating_duration_since(clock::steady());
                if left.is_zero() {
                    May::Prove(SOON)
                } else {
                    May::Wait(left)
                }
            }
        }
    }

    /// Records reached the disk; `room`: there is more for others.
    pub(super) fn works(&mut self, room: bool) {
        if self.is_failing() {
            let text = "spool: what becomes of deliveries can be recorded again, so they go on";
            journal::line(Level::Notice, &text);
        }
        *self = if room { Self::Good } else { Self::Unknown };
    }

    /// They did not.
    pub(super) fn fails(&mut self, why: &SpoolError) {
        let before = match self {
            Self::Failing(pause) => Some(&*pause),
            Self::Unknown | Self::Good => {
                let text = format_args!(
                    "spool: what becomes of deliveries cannot be recorded, so none begins: {why}"
                );
                journal::line(Level::Error, &text);
                None
            }
        };
        *self = Self::Failing(Pause::after(before, PAUSES, why));
    }

    /// Why none begins, for administrators.
    pub(super) fn alarm(&self) -> Option<String> {
        let Self::Failing(Pause { why, .. }) = self else {
            return None;
        };
        Some(format!(
            "no mail goes out, because its end could not be recorded and it would go again after \
             a restart: {why}; it goes on by itself once that works"
        ))
    }

    pub(super) fn is_failing(&self) -> bool {
        matches!(self, Self::Failing(_))
    }
}
