//! What happened lately, and in which order: whose mail a next hop refused, at which messages it
//! fell silent.
//!
//! Contract: bounded, the latest [`MOST`]; whether something is among them is found at once.

use std::hash::Hash;

use crate::hashed::Map;

/// Keys that are remembered.
pub(crate) const MOST: usize = 1024;

/// Keys, each with the number of the last time that it happened.
#[derive(Clone, Debug)]
pub(crate) struct Recent<K> {
    numbers: Map<K, u64>,
    /// How often it has happened.
    count: u64,
}

impl<K> Default for Recent<K> {
    fn default() -> Self {
        Self {
            numbers: Map::default(),
            count: 0,
        }
    }
}

impl<K: Copy + Eq + Hash> Recent<K> {
    pub(crate) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    pub(crate) fn contains(&self, key: K) -> bool {
        self.numbers.contains_key(&key)
    }

    /// The number of the last time, if it is remembered.
    pub(crate) fn last(&self, key: K) -> Option<u64> {
        self.numbers.get(&key).copied()
    }

    /// How often anything happened since the last time of this.
    pub(crate) fn ago(&self, key: K) -> Option<u64> {
        Some(self.count.saturating_sub(self.last(key)?))
    }

    /// It happens now.
    pub(crate) fn insert(&mut self, key: K) {
        self.count += 1;
        self.numbers.insert(key, self.count);
        if self.numbers.len() > MOST {
            let oldest = self.numbers.iter().min_by_key(|(_, number)| **number);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                self.numbers.remove(&oldest);
            }
        }
    }

    /// It is over.
    pub(crate) fn remove(&mut self, key: K) {
        self.numbers.remove(&key);
    }

    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::id;

    #[test]
    fn the_latest_messages_are_remembered_until_they_are_answered() {
        let mut mute = Recent::default();
        for number in 0..2000 {
            mute.insert(id(number));
        }
        mute.insert(id(1999));
        assert_eq!(mute.len(), MOST);
        assert!(!mute.contains(id(2000 - MOST as u64 - 1)) && mute.contains(id(1000)));
        mute.remove(id(1000));
        assert!(!mute.contains(id(1000)) && !mute.is_empty());
    }
}
