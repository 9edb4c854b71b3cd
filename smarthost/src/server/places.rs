//! How many sessions there may be: altogether, for strangers, and for one client.
//!
//! Contract: a place is taken with [`Places::enter`] and given back when the [`Place`] is dropped,
//! however the session ends. A quarter of all places is kept for clients in `networks`, so that
//! strangers never shut them out. A stranger is an IPv4 address or an IPv6 /64. While strangers
//! hold most of theirs, [`Places::stressed`] is true.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::network::Network;

/// Part of all places that is kept for clients in `networks`.
const RESERVED: usize = 4;

/// Counts sessions.
#[derive(Debug)]
pub(crate) struct Places {
    taken: Mutex<Taken>,
    stress: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    strangers: usize,
    by_client: HashMap<Network, usize>,
}

/// Who wants to enter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visitor {
    pub(crate) address: IpAddr,
    /// In `networks`.
    pub(crate) own: bool,
}

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoPlace {
    /// This client has so many sessions already.
    Client(usize),
    /// All together have, or all strangers.
    Everybody,
}

/// A session's place.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    client: Network,
    own: bool,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            taken: Mutex::default(),
            stress: watch::Sender::new(false),
        }
    }
}

impl Places {
    /// Takes a place, if there is one.
    pub(crate) fn enter(
        self: &Arc<Self>,
        visitor: Visitor,
        total: usize,
        per_client: usize,
    ) -> Result<Place, NoPlace> {
        let Visitor { address, own } = visitor;
        let client = Network::of(address, 32, if own { 128 } else { 64 });
        let mut taken = self.lock();
        let has = taken.by_client.get(&client).copied().unwrap_or_default();
        if has >= per_client {
            return Err(NoPlace::Client(has.saturating_add(1)));
        }
        let strangers = for_strangers(total);
        if taken.total >= total || (!own && taken.strangers >= strangers) {
            return Err(NoPlace::Everybody);
        }
        taken.total = taken.total.saturating_add(1);
        taken.by_client.insert(client, has.saturating_add(1));
        if !own {
            taken.strangers = taken.strangers.saturating_add(1);
        }
        let stressed = is_stress(taken.strangers, strangers);
        drop(taken);
        self.stress
            .send_if_modified(|stress| std::mem::replace(stress, stressed) != stressed);
        Ok(Place {
            places: Arc::clone(self),
            client,
            own,
        })
    }

    /// Sessions now.
    pub(crate) fn sessions(&self) -> usize {
        self.lock().total
    }

    /// Whether strangers hold most of their places; looked at when somebody enters.
    pub(crate) fn stressed(&self) -> watch::Receiver<bool> {
        self.stress.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of all places strangers may have.
fn for_strangers(total: usize) -> usize {
    total.saturating_sub(total / RESERVED).max(1)
}

/// From three quarters of their places on.
fn is_stress(strangers: usize, places: usize) -> bool {
    strangers.saturating_mul(4) >= places.saturating_mul(3)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.total = taken.total.saturating_sub(1);
        if !self.own {
            taken.strangers = taken.strangers.saturating_sub(1);
        }
        let left = taken
            .by_client
            .get(&self.client)
            .copied()
            .unwrap_or_default()
            .saturating_sub(1);
        if left == 0 {
            taken.by_client.remove(&self.client);
        } else {
            taken.by_client.insert(self.client, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(text: &str, own: bool) -> Visitor {
        let address = text.parse().unwrap();
        Visitor { address, own }
    }

    #[test]
    fn one_client_cannot_take_all_places_and_places_come_back() {
        let places = Arc::new(Places::default());
        let (greedy, modest) = (visitor("192.0.2.1", true), visitor("192.0.2.2", true));
        let first = places.enter(greedy, 3, 2).unwrap();
        let _second = places.enter(greedy, 3, 2).unwrap();
        assert_eq!(places.enter(greedy, 3, 2).unwrap_err(), NoPlace::Client(3));
        let _third = places.enter(modest, 3, 2).unwrap();
        assert_eq!(
            places.enter(visitor("192.0.2.3", true), 3, 2).unwrap_err(),
            NoPlace::Everybody
        );
        drop(first);
        assert_eq!(places.sessions(), 2);
        assert!(places.enter(greedy, 3, 2).is_ok());
        assert_eq!(places.sessions(), 2, "a dropped place is free at once");
    }

    #[test]
    fn strangers_leave_a_quarter_for_clients_of_ours_and_are_hurried_when_theirs_run_short() {
        let places = Arc::new(Places::default());
        let stressed = places.stressed();
        let stranger = |n: usize| visitor(&format!("198.51.100.{n}"), false);
        let mut held: Vec<_> = (0..5)
            .map(|n| places.enter(stranger(n), 8, 1).unwrap())
            .collect();
        assert!(*stressed.borrow(), "5 of 6");
        held.push(places.enter(stranger(5), 8, 1).unwrap());
        assert_eq!(
            places.enter(stranger(6), 8, 1).unwrap_err(),
            NoPlace::Everybody
        );
        let own: Vec<_> = (0..2)
            .map(|n| {
                places
                    .enter(visitor(&format!("10.0.0.{n}"), true), 8, 1)
                    .unwrap()
            })
            .collect();
        assert_eq!(
            places.enter(visitor("10.0.0.9", true), 8, 1).unwrap_err(),
            NoPlace::Everybody
        );
        held.truncate(1);
        drop(own);
        let _next = places.enter(stranger(7), 8, 1).unwrap();
        assert!(!*stressed.borrow());
    }

    #[test]
    fn a_stranger_cannot_multiply_by_addresses_of_one_64_and_machines_of_ours_are_apart() {
        let places = Arc::new(Places::default());
        let _first = places.enter(visitor("2001:db8::1", false), 10, 1).unwrap();
        assert!(places.enter(visitor("2001:db8::2", false), 10, 1).is_err());
        let _own = places.enter(visitor("2001:db8:1::1", true), 10, 1).unwrap();
        assert!(places.enter(visitor("2001:db8:1::2", true), 10, 1).is_ok());
    }
}
