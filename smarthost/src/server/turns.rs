//! A bounded number of places, whose holders change in turns of clients.
//!
//! Contract: whoever waits for a place waits behind one of each other client at most, however many
//! these wait for; those of one client come in their order. A place is given back when it is
//! dropped, and one that its client does not want any more goes to the next.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// The places, and who waits for one.
#[derive(Debug)]
pub(super) struct Turns<K: Copy + Eq + Hash>(Mutex<Waiting<K>>);

#[derive(Debug)]
struct Waiting<K: Copy + Eq + Hash> {
    free: usize,
    /// Clients that wait, each once, the next one first.
    clients: VecDeque<K>,
    of_client: HashMap<K, VecDeque<oneshot::Sender<Turn<K>>>>,
}

/// A place.
#[derive(Debug)]
pub(super) struct Turn<K: Copy + Eq + Hash>(Option<Arc<Turns<K>>>);

impl<K: Copy + Eq + Hash> Turns<K> {
    pub(super) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Waiting {
            free: places,
            clients: VecDeque::new(),
            of_client: HashMap::new(),
        })))
    }

    /// A place for this client, as soon as it is its turn; `None`: never.
    pub(super) async fn take(self: &Arc<Self>, client: K) -> Option<Turn<K>> {
        let place = {
            let mut waiting = self.lock();
            if waiting.free > 0 {
                waiting.free = waiting.free.saturating_sub(1);
                return Some(Turn(Some(Arc::clone(self))));
            }
            waiting.add(client)
        };
        place.await.ok()
    }

    /// Places that nobody has.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.lock().free
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever is next gets the place; nobody: it is free.
    fn pass(self: Arc<Self>) {
        let mut turns = self;
        loop {
            let next = {
                let mut waiting = turns.lock();
                let next = waiting.next();
                if next.is_none() {
                    waiting.free = waiting.free.saturating_add(1);
                }
                next
            };
            let Some(next) = next else { return };
            // He may be gone.
            match next.send(Turn(Some(turns))) {
                Ok(()) => return,
                Err(mut turn) => match turn.0.take() {
                    Some(again) => turns = again,
                    None => return,
                },
            }
        }
    }
}

impl<K: Copy + Eq + Hash> Waiting<K> {
    fn add(&mut self, client: K) -> oneshot::Receiver<Turn<K>> {
        let (place, mine) = oneshot::channel();
        let all = self.of_client.entry(client).or_default();
        if all.is_empty() {
            self.clients.push_back(client);
        }
        all.push_back(place);
        mine
    }

    /// The first of the client whose turn it is, which then is last.
    fn next(&mut self) -> Option<oneshot::Sender<Turn<K>>> {
        let client = self.clients.pop_front()?;
        let all = self.of_client.get_mut(&client)?;
        let first = all.pop_front();
        if all.is_empty() {
            self.of_client.remove(&client);
        } else {
            self.clients.push_back(client);
        }
        first
    }
}

impl<K: Copy + Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn look<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_asks_for_much_waits_for_his_next_turn_until_everybody_else_had_one() {
        let turns = Turns::new(1);
        let mut first = Box::pin(turns.take('a'));
        let first = look(first.as_mut()).unwrap();
        let order = Mutex::new(String::new());
        let wait = |client: char| {
            let (turns, order) = (&turns, &order);
            Box::pin(async move {
                let turn = turns.take(client).await;
                order.lock().unwrap().push(client);
                turn
            })
        };
        let mut waiting: Vec<_> = "aaaabbcd".chars().map(wait).collect();
        for one in &mut waiting {
            assert!(look(one.as_mut()).is_none());
        }
        // One of them goes away before it is its turn.
        drop(waiting.pop());
        drop(first);
        while !waiting.is_empty() {
            waiting.retain_mut(|one| look(one.as_mut()).is_none());
        }
        assert_eq!(*order.lock().unwrap(), "abcabaa");
        assert_eq!(turns.free(), 1);
        let left = turns.lock();
        assert!(left.of_client.is_empty() && left.clients.is_empty());
    }
}
