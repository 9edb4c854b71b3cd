//! How often users may have their mail tried.
//!
//! Contract: pure, bounded; one user holds up no other.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often a user may have his mail tried: each time costs the relayhost a connection.
const BETWEEN_FLUSHES: Duration = Duration::from_secs(30);
/// Users whose last wish is remembered; more than that do not ask in so short a time.
const FLUSHING: usize = 1024;

/// When users last had their mail tried.
#[derive(Default)]
pub(super) struct Flushes(Mutex<HashMap<u32, Instant>>);

impl Flushes {
    /// Whether this user may now; it counts then.
    pub(super) fn allow(&self, uid: u32, now: Instant) -> Result<(), String> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, at| now.saturating_duration_since(*at) < BETWEEN_FLUSHES);
        if let Some(at) = last.get(&uid) {
            let left = BETWEEN_FLUSHES.saturating_sub(now.saturating_duration_since(*at));
            let seconds = left.as_secs().max(1);
            return Err(format!(
                "your mail was tried a moment ago; again in {seconds} seconds"
            ));
        }
        if last.len() >= FLUSHING {
            return Err("too many users have their mail tried just now".to_owned());
        }
        last.insert(uid, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_his_mail_tried_at_a_bounded_rate_and_others_are_not_held_up_by_him() {
        let flushes = Flushes::default();
        let start = Instant::now();
        assert_eq!(flushes.allow(1000, start), Ok(()));
        assert!(
            flushes
                .allow(1000, start)
                .unwrap_err()
                .contains("30 seconds")
        );
        assert_eq!(flushes.allow(1001, start), Ok(()));
        assert!(flushes.allow(1000, start + BETWEEN_FLUSHES / 2).is_err());
        assert_eq!(flushes.allow(1000, start + BETWEEN_FLUSHES), Ok(()));
        let many = u32::try_from(FLUSHING).unwrap() * 2;
        for uid in 0..many {
            let _ = flushes.allow(uid, start + BETWEEN_FLUSHES * 3);
        }
        assert!(flushes.0.lock().unwrap().len() <= FLUSHING);
    }
}
