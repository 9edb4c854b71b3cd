//! The clocks of this process, and what is kept of it by them.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::Instant,
};

use mail::clock;

use super::site::{Moment, Site};

/// Now.
pub(super) fn moment() -> Moment {
    static START: OnceLock<Instant> = OnceLock::new();
    let ran = START.get_or_init(Instant::now).elapsed().as_millis();
    Moment {
        monotonic: u64::try_from(ran).unwrap_or(u64::MAX),
        wall: clock::now().as_millis(),
    }
}

/// What was counted and changed here, for [`crate::state`].
pub(crate) fn changes(site: &Mutex<Site>) -> Vec<(String, Option<String>)> {
    let mut site = site.lock().unwrap_or_else(PoisonError::into_inner);
    site.changes(moment())
}

/// For numbers that are higher in each life, while the clock goes on.
pub(crate) fn sequence() -> u64 {
    clock::now().as_millis().saturating_mul(1000)
}
