//! Connections on which no request has come yet, by whose they are: the oldest goes for the next
//! one.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

use tokio::sync::oneshot;

/// Those that wait.
#[derive(Debug)]
pub(crate) struct Waiting<K> {
    most: usize,
    all: HashMap<K, VecDeque<oneshot::Sender<()>>>,
}

impl<K: Eq + Hash> Waiting<K> {
    /// `most` of each.
    pub(crate) fn new(most: usize) -> Self {
        let all = HashMap::new();
        Self { most, all }
    }

    /// One more; resolves when it has to go for others, and waits no more when dropped.
    pub(crate) fn enter(&mut self, whose: K) -> oneshot::Receiver<()> {
        self.all.retain(|_, all| {
            all.retain(|one| !one.is_closed());
            !all.is_empty()
        });
        let (one, gone) = oneshot::channel();
        let all = self.all.entry(whose).or_default();
        all.push_back(one);
        if all.len() > self.most {
            all.pop_front();
        }
        gone
    }
}
