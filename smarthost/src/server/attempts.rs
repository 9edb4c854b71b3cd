//! Attempts to log in or to be enrolled, as all sessions know of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::limits::Failures;

/// Shared by all sessions.
pub(crate) struct Attempts {
    /// Who failed lately.
    failures: Mutex<Failures>,
    /// Who has shown lines of `smarthost enroll` that are none. Apart, so that neither keeps out
    /// who comes with the other from the same address.
    lines: Mutex<Failures>,
    /// Passwords that are tried at once.
    pub(super) passwords: Semaphore,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            failures: Mutex::default(),
            lines: Mutex::default(),
            passwords: Semaphore::new(1),
        }
    }
}

impl Attempts {
    /// For administrators.
    pub(crate) fn shared(&self) -> &Mutex<Failures> {
        &self.failures
    }

    pub(crate) fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lines(&self) -> MutexGuard<'_, Failures> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
