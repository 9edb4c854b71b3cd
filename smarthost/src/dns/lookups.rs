//! How DNS answers, since the start.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use control::status::Service;
use mail::clock::{self, Timestamp};

/// Questions, and those that nobody answered.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    asked: AtomicU64,
    unanswered: AtomicU64,
    last: Mutex<Option<Timestamp>>,
}

impl Lookups {
    /// One question more.
    pub(crate) fn count(&self, answered: bool) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if !answered {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some(clock::now());
        }
    }

    /// All of them together.
    pub(crate) fn status(all: &[&Self]) -> Service {
        let (mut asked, mut unanswered, mut last) = (0u64, 0u64, None);
        for lookups in all {
            asked = asked.saturating_add(lookups.asked.load(Ordering::Relaxed));
            unanswered = unanswered.saturating_add(lookups.unanswered.load(Ordering::Relaxed));
            last = last.max(*lookups.last.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let last = last.map_or_else(String::new, |at| format!(", last at {}", at.mailq()));
        let text = format!("{unanswered} of {asked} questions without an answer{last}");
        Service::new("resolver", "DNS", asked == 0 || unanswered < asked, text)
    }
}
