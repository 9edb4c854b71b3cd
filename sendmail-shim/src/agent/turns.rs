//! Deliveries of one message at the same time, and whoever puts another message in its place: he
//! is alone.
//!
//! Contract: pure. While somebody wants to replace a message, no other delivery of it begins, so
//! that he can as soon as those that are under way have ended.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use spool::QueueId;

/// Of all messages.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<QueueId, Underway>>>);

#[derive(Default)]
struct Underway {
    deliveries: usize,
    /// Somebody wants to replace it, or does.
    replaced: bool,
}

/// What a delivery may do.
pub(super) enum Turn {
    Deliver(Part),
    /// The message is his alone.
    Replace(Part),
    /// Others end first.
    Wait,
}

/// One that is under way, until what became of it is recorded.
pub(super) struct Part {
    turns: Turns,
    id: QueueId,
}

impl Turns {
    pub(super) fn begin(&self, id: QueueId, replace: bool) -> Turn {
        let mut all = self.lock();
        let underway = all.entry(id).or_default();
        underway.replaced |= replace;
        if underway.replaced && underway.deliveries > 0 {
            return Turn::Wait;
        }
        underway.deliveries += 1;
        let part = Part {
            turns: self.clone(),
            id,
        };
        if underway.replaced {
            Turn::Replace(part)
        } else {
            Turn::Deliver(part)
        }
    }

    /// Every change under it is whole, whoever has panicked.
    fn lock(&self) -> MutexGuard<'_, HashMap<QueueId, Underway>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut all = self.turns.lock();
        if let Some(underway) = all.get_mut(&self.id) {
            underway.deliveries = underway.deliveries.saturating_sub(1);
            if underway.deliveries == 0 {
                all.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> QueueId {
        QueueId::parse(text).unwrap()
    }

    #[test]
    fn whoever_replaces_a_message_is_alone_and_waits_only_for_deliveries_that_had_begun() {
        let (turns, other) = (Turns::default(), id("8yGavsVubFP"));
        let id = id("8yGavsVubFN");
        let begin = |replace| turns.begin(id, replace);
        let (Turn::Deliver(one), Turn::Deliver(two)) = (begin(false), begin(false)) else {
            panic!("deliveries of one message go at the same time");
        };
        assert!(matches!(begin(true), Turn::Wait));
        drop(one);
        assert!(matches!(begin(false), Turn::Wait), "or it would never end");
        drop(two);
        let Turn::Replace(alone) = begin(true) else {
            panic!("nobody is left");
        };
        assert!(matches!(begin(false), Turn::Wait));
        assert!(matches!(begin(true), Turn::Wait));
        let another = turns.begin(other, false);
        assert!(matches!(another, Turn::Deliver(_)));
        drop((alone, another));
        assert!(matches!(begin(false), Turn::Deliver(_)));
        assert!(turns.lock().is_empty());
    }
}
