//! How many sessions there may be: altogether, and for one client.
//!
//! Contract: a place is taken with [`Gate::enter`] and given back when the [`Place`] is dropped, however the session ends.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts sessions.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    clients: Mutex<Occupied>,
}

#[derive(Debug, Default)]
struct Occupied {
    total: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Crowded {
    /// This client has so many sessions already.
    Client(usize),
    /// All together have.
    Everybody,
}

/// A session's place.
#[derive(Debug)]
pub(crate) struct Place {
    gate: Arc<Gate>,
    client: IpAddr,
}

impl Gate {
    /// Takes a place, if there is one.
    pub(crate) fn enter(
        self: &Arc<Self>,
        client: IpAddr,
        total: usize,
        per_client: usize,
    ) -> Result<Place, Crowded> {
        let mut occupied = self.lock();
        let has = occupied.by_client.get(&client).copied().unwrap_or_default();
        if has >= per_client {
            return Err(Crowded::Client(has.saturating_add(1)));
        }
        if occupied.total >= total {
            return Err(Crowded::Everybody);
        }
        occupied.total = occupied.total.saturating_add(1);
        occupied.by_client.insert(client, has.saturating_add(1));
        drop(occupied);
        Ok(Place {
            gate: Arc::clone(self),
            client,
        })
    }

    /// Sessions now.
    pub(crate) fn sessions(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Occupied> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut occupied = self.gate.lock();
        occupied.total = occupied.total.saturating_sub(1);
        let left = occupied
            .by_client
            .get(&self.client)
            .copied()
            .unwrap_or_default()
            .saturating_sub(1);
        if left == 0 {
            occupied.by_client.remove(&self.client);
        } else {
            occupied.by_client.insert(self.client, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_cannot_take_all_places_and_places_come_back() {
        let gate = Arc::new(Gate::default());
        let (greedy, modest): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let first = gate.enter(greedy, 3, 2).unwrap();
        let _second = gate.enter(greedy, 3, 2).unwrap();
        assert_eq!(gate.enter(greedy, 3, 2).unwrap_err(), Crowded::Client(3));
        let _third = gate.enter(modest, 3, 2).unwrap();
        assert_eq!(
            gate.enter([192, 0, 2, 3].into(), 3, 2).unwrap_err(),
            Crowded::Everybody
        );
        drop(first);
        assert_eq!(gate.sessions(), 2);
        assert!(gate.enter(greedy, 3, 2).is_ok());
        assert_eq!(gate.sessions(), 2, "a dropped place is free at once");
    }
}
