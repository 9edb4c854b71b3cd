//! What was found out about recipients ([`super::fate`]).
//!
//! Contract: of a bounded number of addresses.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use mail::outcome::Failure;

/// Addresses that are remembered.
pub(super) const MOST: usize = 1024;

/// What would become of mail for a recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Somebody gets it.
    Taken,
    /// Why it is refused: by the routes of all for whom it stands, or because it is renamed with
    /// many others, and nobody has that name.
    Refused(Failure),
    /// Its alias cannot be expanded, or leads to nobody.
    Broken(Failure),
}

/// What is remembered.
#[derive(Clone, Debug, Default)]
pub(super) struct Fates(Arc<Mutex<HashMap<String, Fate>>>);

impl Fates {
    pub(super) fn of(&self, key: &str) -> Option<Fate> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).cloned()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn keep(&self, key: String, fate: &Fate) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, fate.clone());
    }
}
