//! Whose mail a next hop refused lately: others have their turn first.
//!
//! A next hop that refuses this machine is told from one that refuses some of its senders only by
//! trying somebody else. Contract: bounded; whose mail was refused has his turn behind others, of
//! all of them first whoever was refused first; one success of his ends it.

use crate::hashed::Map;

/// Senders that are remembered, the latest.
const MOST: usize = 256;
/// So many that were refused, and nobody taken between: it is nobody's fault but this machine's.
const ALL: usize = 8;

/// Senders whose mail was refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused {
    /// Each with the number of its last refusal.
    senders: Map<u64, u64>,
    /// Refusals.
    count: u64,
    /// So many of them were before anybody's mail was taken last.
    taken: u64,
}

impl Refused {
    pub(crate) fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }

    /// Mail of this sender was refused; the number of the refusal.
    pub(crate) fn refuse(&mut self, sender: u64) -> u64 {
        self.count += 1;
        self.senders.insert(sender, self.count);
        if self.senders.len() > MOST {
            let oldest = self.senders.values().copied().min();
            self.senders.retain(|_, number| Some(*number) != oldest);
        }
        self.count
    }

    /// Mail of this sender was taken.
    pub(crate) fn take(&mut self, sender: u64) {
        self.senders.remove(&sender);
        self.taken = self.count;
    }

    /// The number of the last refusal, if there was one.
    pub(crate) fn last(&self, sender: u64) -> Option<u64> {
        self.senders.get(&sender).copied()
    }

    /// Whether it refuses whoever sends.
    pub(crate) fn is_everybody(&self) -> bool {
        let since = self.senders.values().filter(|number| **number > self.taken);
        since.take(ALL).count() == ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_refused_last_comes_last_and_a_success_forgets_it() {
        let mut refused = Refused::default();
        for sender in 0..ALL as u64 {
            assert!(!refused.is_everybody());
            assert_eq!(refused.refuse(sender), sender + 1);
        }
        assert!(refused.is_everybody());
        refused.refuse(0);
        assert!(refused.last(0) > refused.last(7) && refused.last(8).is_none());
        refused.take(3);
        assert!(!refused.is_everybody() && refused.last(3).is_none());
        // The same one again and again is one.
        for _ in 0..100 {
            refused.refuse(0);
        }
        assert!(!refused.is_everybody());
        for sender in 0..10_000 {
            refused.refuse(sender);
        }
        assert_eq!(refused.senders.len(), MOST);
        assert!(refused.last(9_999 - MOST as u64).is_none());
        assert!(refused.last(10_000 - MOST as u64).is_some());
    }

    #[test]
    fn those_who_were_refused_before_a_success_of_another_count_again_when_they_are_refused_again()
    {
        let mut refused = Refused::default();
        for _ in 0..3 {
            for sender in 0..ALL as u64 {
                assert!(!refused.is_everybody());
                refused.refuse(sender);
            }
            assert!(refused.is_everybody());
            refused.take(99);
            assert!(!refused.is_everybody() && refused.last(0).is_some());
        }
    }
}
