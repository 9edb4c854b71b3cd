//! Whose mail a next hop refused lately: others have their turn first.
//!
//! A next hop that refuses this machine is told from one that refuses some of its senders only by
//! trying somebody else. Contract: bounded; whose mail was refused has his turn behind others, of
//! all of them first whoever was refused first; one success of his ends it.

use std::collections::VecDeque;

/// Senders that are remembered, the latest.
const MOST: usize = 256;
/// So many that were refused, and nobody taken between: it is nobody's fault but this machine's.
const ALL: usize = 8;

/// Senders whose mail was refused, in the order in which that happened last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused {
    /// Each with the number of the refusal.
    senders: VecDeque<(u64, u64)>,
    count: u64,
    /// Different ones since anybody's mail was taken.
    row: usize,
}

impl Refused {
    pub(crate) fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }

    /// Mail of this sender was refused; the number of the refusal.
    pub(crate) fn refuse(&mut self, sender: u64) -> u64 {
        let before = self.senders.len();
        self.senders.retain(|(known, _)| *known != sender);
        self.row += usize::from(self.senders.len() == before);
        if self.senders.len() >= MOST {
            self.senders.pop_front();
        }
        self.count += 1;
        self.senders.push_back((sender, self.count));
        self.count
    }

    /// Mail of this sender was taken.
    pub(crate) fn take(&mut self, sender: u64) {
        self.senders.retain(|(known, _)| *known != sender);
        self.row = 0;
    }

    /// The number of the last refusal, if there was one.
    pub(crate) fn last(&self, sender: u64) -> Option<u64> {
        let found = self.senders.iter().find(|(known, _)| *known == sender);
        found.map(|(_, number)| *number)
    }

    /// Whether it refuses whoever sends.
    pub(crate) fn is_everybody(&self) -> bool {
        self.row >= ALL
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
        for sender in 0..100_000 {
            refused.refuse(sender);
        }
        assert_eq!(refused.senders.len(), MOST);
    }
}
