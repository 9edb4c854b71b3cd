//! Connections on which no request has come yet, by whose they are: the oldest goes for the next
//! one.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

/// Those that wait.
#[derive(Debug)]
pub(crate) struct Waiting<K> {
    most: usize,
    all: HashMap<K, VecDeque<(Instant, oneshot::Sender<()>)>>,
}

impl<K: Eq + Hash> Waiting<K> {
    /// `most` of each.
    pub(crate) fn new(most: usize) -> Self {
        let all = HashMap::new();
        Self { most, all }
    }

    /// One more; resolves when it has to go for others, and waits no more when dropped.
    pub(crate) fn enter(&mut self, whose: K) -> oneshot::Receiver<()> {
        self.tidy();
        let (one, gone) = oneshot::channel();
        let all = self.all.entry(whose).or_default();
        all.push_back((Instant::now(), one));
        if all.len() > self.most {
            all.pop_front();
        }
        gone
    }

    /// The oldest of somebody's has to go, if it has waited for so long. Gives after what time the
    /// next one may; `None`: nobody waits.
    pub(crate) fn dismiss(&mut self, whose: &K, least: Duration) -> Option<Duration> {
        self.tidy();
        let all = self.all.get_mut(whose)?;
        let young = |(since, _): &(Instant, _)| least.checked_sub(since.elapsed());
        let left = all.front().map(young)?;
        if left.is_some() {
            return left;
        }
        all.pop_front();
        all.front().map(|one| young(one).unwrap_or_default())
    }

    fn tidy(&mut self) {
        self.all.retain(|_, all| {
            all.retain(|(_, one)| !one.is_closed());
            !all.is_empty()
        });
    }
}
