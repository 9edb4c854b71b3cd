//! Messages at which a next hop of the administrator's fell silent, while it may well take others.
//!
//! Contract: bounded. Such a message is tried on its own schedule, and keeps no place from others
//! while it is. The next hop counts as one that fails only where different messages have met
//! silence, and it has answered nobody between them.

use std::collections::VecDeque;

use spool::QueueId;

/// Messages that are remembered, the latest.
const MOST: usize = 1024;

/// Messages of one destination.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mute(VecDeque<QueueId>);

impl Mute {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, id: QueueId) -> bool {
        self.0.contains(&id)
    }

    /// It met silence.
    pub(crate) fn insert(&mut self, id: QueueId) {
        self.remove(id);
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(id);
    }

    /// It was answered.
    pub(crate) fn remove(&mut self, id: QueueId) {
        self.0.retain(|other| *other != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::id;

    #[test]
    fn the_latest_messages_are_remembered_until_they_are_answered() {
        let mut mute = Mute::default();
        for number in 0..2000 {
            mute.insert(id(number));
        }
        mute.insert(id(1999));
        assert_eq!(mute.0.len(), MOST);
        assert!(!mute.contains(id(2000 - MOST as u64 - 1)) && mute.contains(id(1000)));
        mute.remove(id(1000));
        assert!(!mute.contains(id(1000)) && !mute.is_empty());
    }
}
