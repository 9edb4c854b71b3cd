//! Questions that nobody answered lately: they are not asked again at once.
//!
//! Contract: pure and bounded. A failure is remembered for [`PAUSE`] from when it was met, so that
//! whoever comes again and again waits for a mute name server once; an answer ends it.
//! RFC 2308 §7 (which allows five minutes).

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use domain::base::Rtype;

/// How long one is remembered.
pub(super) const PAUSE: Duration = Duration::from_secs(30);
/// Questions that are remembered.
const MOST: usize = 4096;
/// Longest name that is, bytes: none that DNS knows is longer.
const LONGEST: usize = 255;

/// By name, in small letters, and type.
#[derive(Debug, Default)]
pub(super) struct Failures(HashMap<(String, Rtype), (Instant, String)>);

impl Failures {
    /// Why it failed, if that was lately.
    pub(super) fn of(&self, name: &str, kind: Rtype, now: Instant) -> Option<String> {
        let key = (name.to_ascii_lowercase(), kind);
        let (at, why) = self.0.get(&key)?;
        is_fresh(*at, now).then(|| why.clone())
    }

    /// Nobody has answered it.
    pub(super) fn failed(&mut self, name: &str, kind: Rtype, why: &str, now: Instant) {
        if name.len() > LONGEST {
            return;
        }
        if self.0.len() >= MOST {
            self.0.retain(|_, (at, _)| is_fresh(*at, now));
        }
        let key = (name.to_ascii_lowercase(), kind);
        if self.0.len() < MOST || self.0.contains_key(&key) {
            self.0.insert(key, (now, why.to_owned()));
        }
    }

    /// It was answered.
    pub(super) fn answered(&mut self, name: &str, kind: Rtype) {
        if !self.0.is_empty() {
            self.0.remove(&(name.to_ascii_lowercase(), kind));
        }
    }
}

fn is_fresh(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < PAUSE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_nobody_answered_is_not_asked_for_half_a_minute_and_no_other_is_held_up() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        failures.failed("A.example", Rtype::MX, "no answer in time", now);
        let of = |failures: &Failures, name, kind, later| failures.of(name, kind, now + later);
        let soon = PAUSE / 2;
        assert_eq!(
            of(&failures, "a.example", Rtype::MX, soon).as_deref(),
            Some("no answer in time")
        );
        assert_eq!(of(&failures, "a.example", Rtype::A, soon), None);
        assert_eq!(of(&failures, "b.example", Rtype::MX, soon), None);
        assert_eq!(of(&failures, "a.example", Rtype::MX, PAUSE), None);
        failures.answered("a.EXAMPLE", Rtype::MX);
        assert_eq!(of(&failures, "a.example", Rtype::MX, soon), None);
    }

    #[test]
    fn however_many_names_fail_a_bounded_number_is_remembered_and_old_ones_make_room() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        for number in 0..2 * MOST {
            failures.failed(&format!("{number}.example"), Rtype::A, "mute", now);
        }
        failures.failed(&"x".repeat(300), Rtype::A, "mute", now);
        assert_eq!(failures.0.len(), MOST);
        let later = now + PAUSE;
        failures.failed("new.example", Rtype::A, "mute", later);
        assert_eq!(failures.0.len(), 1);
        assert!(failures.of("new.example", Rtype::A, later).is_some());
    }
}
