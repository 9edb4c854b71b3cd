//! Aliases with many members, expanded once for all who write to them.
//!
//! Contract: remembered as long as the tables stay; of a bounded number of members.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mail::{address::Address, limits, outcome::Failure};

use super::{Router, expansion::Expansion};

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

    fn keep(&self, key: String, members: &Arc<[Address]>) {
        let mut known = self.known();
        if known.count.saturating_add(members.len()) > MOST {
            *known = Known::default();
        }
        if known.members.insert(key, Arc::clone(members)).is_none() {
            known.count = known.count.saturating_add(members.len());
        }
    }
}

impl Router {
    /// The addresses that stand for one after aliases: itself, if there is none.
    pub(super) fn members(&self, address: &Address) -> Result<Arc<[Address]>, Failure> {
        // As it was written: patterns may tell small letters from capitals.
        let key = address.as_str();
        let known = self.expansions.known().members.get(key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let members: Arc<[Address]> = Expansion::of(self, address)?.into();
        if members.len() >= MANY {
            self.expansions.keep(key.to_owned(), &members);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mail::maps::Table;

    use super::*;
    use crate::config::Config;

    fn router(aliases: &str) -> Router {
        let config = "domains = { local = [\"example.org\"] }";
        let config = Config::parse(Path::new("/c"), config, "mx.example.org").unwrap();
        let (aliases, _) = Table::aliases("aliases".into(), aliases);
        Router::new(&config, Arc::new(aliases), Arc::default())
    }

    #[test]
    fn a_long_list_is_expanded_once_whoever_writes_to_it_and_not_all_lists_are_kept() {
        let to = |name: &str| Address::parse(&format!("{name}@example.org")).unwrap();
        let list = |count: usize| {
            let members = (0..count).map(|it| format!("m{it}@far.example"));
            members.collect::<Vec<_>>().join(", ")
        };
        let all = router(&format!("team: {}\ntwo: {}\n", list(MANY), list(2)));
        let first = all.members(&to("team")).unwrap();
        let again = all.clone().members(&to("team")).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(all.members(&to("two")).unwrap().len(), 2);
        assert_eq!(all.expansions.known().members.len(), 1);
        for number in 0..2 * MOST / MANY {
            all.expansions.keep(format!("{number}"), &first);
            assert!(all.expansions.known().count <= MOST);
        }
        let other = router(&format!("team: {}\n", list(MANY + 1)));
        assert_eq!(other.members(&to("team")).unwrap().len(), MANY + 1);
    }
}
