//! Which message is next. Pure.
//!
//! Contract: a message is under way once at a time; one that the other server does not take has its
//! next turn after [`PAUSE`].

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use mail::clock::Timestamp;
use spool::QueueId;

/// After a refusal of the message itself.
pub const PAUSE: Duration = Duration::from_mins(1);

/// The moves of a drain.
#[derive(Debug, Default)]
pub struct Moves {
    /// To be looked at, the last one first.
    next: Vec<QueueId>,
    underway: HashSet<QueueId>,
    /// Why it stays for now, and until when.
    refused: HashMap<QueueId, (Arc<str>, Timestamp)>,
}

impl Moves {
    /// Up to so many, oldest first, which are under way from now on; none only where none may go.
    /// `all`: what is queued; `may_go`: whether that one can go now.
    pub fn take(
        &mut self,
        most: usize,
        now: Timestamp,
        all: impl FnOnce() -> Vec<QueueId>,
        mut may_go: impl FnMut(QueueId) -> bool,
    ) -> Vec<QueueId> {
        let mut all = Some(all);
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some(id) = self.next.pop() else {
                // Nothing is taken only where nothing of all that is queued may go.
                let Some(all) = all.take().filter(|_| taken.is_empty()) else {
                    break;
                };
                self.look(all(), now);
                continue;
            };
            if !self.underway.contains(&id) && may_go(id) {
                self.refused.remove(&id);
                self.underway.insert(id);
                taken.push(id);
            }
        }
        taken
    }

    fn look(&mut self, all: Vec<QueueId>, now: Timestamp) {
        if !self.refused.is_empty() {
            let queued: HashSet<_> = all.iter().collect();
            self.refused.retain(|id, _| queued.contains(id));
        }
        self.next = all;
        self.next.retain(|id| {
            let rests = self.refused.get(id);
            rests.is_none_or(|(_, until)| *until <= now) && !self.underway.contains(id)
        });
        self.next.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// It has gone, or its turn comes again.
    pub fn over(&mut self, id: QueueId) {
        self.underway.remove(&id);
    }

    /// The other server does not take it now.
    pub fn refused(&mut self, id: QueueId, why: &str, now: Timestamp) {
        self.underway.remove(&id);
        self.refused.insert(id, (why.into(), now.after(PAUSE)));
    }

    /// Whether it is under way.
    pub fn has(&self, id: QueueId) -> bool {
        self.underway.contains(&id)
    }

    /// How many stay, by reason.
    pub fn reasons(&self) -> Vec<(String, u64)> {
        let mut reasons: HashMap<&str, u64> = HashMap::new();
        for (why, _) in self.refused.values() {
            *reasons.entry(why).or_default() += 1;
        }
        let mut reasons: Vec<_> = reasons
            .into_iter()
            .map(|(why, count)| (why.to_owned(), count))
            .collect();
        reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: u64) -> Vec<QueueId> {
        let ids = (1..=count).map(|number| QueueId::parse(&format!("{number:013}")));
        ids.map(Option::unwrap).collect()
    }

    #[test]
    fn a_message_is_under_way_once_and_has_its_next_turn_after_a_pause() {
        let (all, now) = (ids(3), Timestamp::from_secs(1000));
        let mut moves = Moves::default();
        let take = |moves: &mut Moves, now| moves.take(2, now, || all.clone(), |_| true);
        assert_eq!(take(&mut moves, now), all[..2], "the oldest first");
        assert_eq!(take(&mut moves, now), all[2..]);
        assert_eq!(take(&mut moves, now), [], "all are under way");
        moves.refused(all[0], "too large", now);
        moves.over(all[1]);
        assert_eq!(moves.reasons(), [("too large".to_owned(), 1)]);
        assert_eq!(take(&mut moves, now), [all[1]]);
        let later = now.after(PAUSE);
        assert_eq!(take(&mut moves, later), [all[0]]);
        assert!(moves.reasons().is_empty() && all.iter().all(|id| moves.has(*id)));
    }

    #[test]
    fn one_whose_turn_comes_again_is_found_though_others_that_may_not_go_were_left() {
        let (all, now) = (ids(3), Timestamp::from_secs(1000));
        let mut moves = Moves::default();
        assert_eq!(moves.take(1, now, || all.clone(), |_| true), all[..1]);
        moves.over(all[0]);
        let first = |id| id == all[0];
        assert_eq!(moves.take(1, now, || all.clone(), first), all[..1]);
        assert_eq!(moves.take(1, now, || all.clone(), first), []);
    }
}
