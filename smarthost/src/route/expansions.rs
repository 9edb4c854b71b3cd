//! Aliases with many members, as they were expanded for whoever wrote to them first.
//!
//! Contract: remembered as long as the tables stay; of a bounded number of members.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mail::{address::Address, limits};

/// Fewer are found again as quickly.
const MANY: usize = 100;
/// Addresses that are remembered, of all aliases together.
const MOST: usize = 2 * limits::EXPANDED;

/// What is remembered.
#[derive(Clone, Debug, Default)]
pub(super) struct Expansions(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    members: HashMap<String, Arc<[Address]>>,
    count: usize,
}

impl Expansions {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, key: &str) -> Option<Arc<[Address]>> {
        self.known().members.get(key).cloned()
    }

    pub(super) fn keep(&self, key: &str, members: &Arc<[Address]>) {
        if members.len() < MANY {
            return;
        }
        let mut known = self.known();
        if known.count.saturating_add(members.len()) > MOST {
            *known = Known::default();
        }
        let before = known.members.insert(key.to_owned(), Arc::clone(members));
        if before.is_none() {
            known.count = known.count.saturating_add(members.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_remembered_and_not_any_number_of_their_members() {
        let member = Address::parse("m@far.example").unwrap();
        let list = |count| Arc::from(vec![member.clone(); count]);
        let all = Expansions::default();
        all.keep("short", &list(MANY - 1));
        assert!(all.of("short").is_none());
        for number in 0..2 * MOST / MANY {
            let key = number.to_string();
            all.keep(&key, &list(MANY));
            assert_eq!(all.of(&key).unwrap().len(), MANY);
            assert!(all.known().count <= MOST);
        }
    }
}
