//! How policy servers and milters do: the last trouble with each, until it answers again.
//!
//! Contract: told by whoever asks one, at each question. No more are known than were ever
//! configured.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use control::status::Service;
use mail::clock::{self, Timestamp};

use crate::policy::endpoint::Endpoint;

/// When it gave no answer, and why.
type Unanswered = Option<(Timestamp, String)>;

/// Those of one kind that were asked.
#[derive(Debug, Default)]
pub(super) struct Standings(Mutex<HashMap<Endpoint, Unanswered>>);

impl Standings {
    fn lock(&self) -> MutexGuard<'_, HashMap<Endpoint, Unanswered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn answers(&self, endpoint: &Endpoint) {
        self.note(endpoint, None);
    }

    pub(super) fn fails(&self, endpoint: &Endpoint, why: &str) {
        self.note(endpoint, Some((clock::now(), why.to_owned())));
    }

    fn note(&self, endpoint: &Endpoint, trouble: Unanswered) {
        let mut all = self.lock();
        match all.get_mut(endpoint) {
            Some(known) => *known = trouble,
            None => drop(all.insert(endpoint.clone(), trouble)),
        }
    }

    /// One of them.
    pub(super) fn of(&self, kind: &str, endpoint: &Endpoint) -> Service {
        let all = self.lock();
        all.get(endpoint).map_or_else(
            || Service::new(kind, endpoint, true, "not asked yet"),
            |trouble| told(kind, endpoint, trouble),
        )
    }
}

fn told(kind: &str, endpoint: &Endpoint, trouble: &Unanswered) -> Service {
    match trouble {
        None => Service::new(kind, endpoint, true, "answers"),
        Some((at, why)) => {
            let text = format!("no answer at {}: {why}", at.mailq());
            Service::new(kind, endpoint, false, text)
        }
    }
}
