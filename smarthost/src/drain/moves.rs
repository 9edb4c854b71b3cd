//! Which message is next. Pure.
//!
//! Contract: a message is under way once at a time; one that the other server does not take has its
//! next turn after [`PAUSE`]. The queue is gone through in its order, and again from its oldest
//! message when its end is reached: each message is asked about once in a round, however many wait.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use mail::clock::Timestamp;
use spool::QueueId;

use super::balance::{NAMED, Stay};

/// After a refusal of the message itself.
pub const PAUSE: Duration = Duration::from_mins(1);

/// The moves of a drain.
#[derive(Debug, Default)]
pub struct Moves {
    /// Where this round is.
    last: Option<QueueId>,
    underway: HashSet<QueueId>,
    /// Why it stays for now, and until when.
    refused: HashMap<QueueId, (Arc<str>, Timestamp)>,
    /// Why it stayed last, as the log has it.
    told: HashMap<QueueId, Arc<str>>,
}

/// Whether a message can go now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Go {
    Now,
    /// By itself, once what happens to it here is over.
    Later,
    /// Not before somebody else does something, for this reason.
    Stays(Arc<str>),
}

/// The queue that is emptied.
pub trait Queued {
    /// The oldest message, or the next one behind another, which need not be queued any more.
    fn after(&self, id: Option<QueueId>) -> Option<QueueId>;
    /// Whether it is queued.
    fn contains(&self, id: QueueId) -> bool;
    /// Whether it can go now.
    fn may_go(&mut self, id: QueueId) -> Go;
}

impl Moves {
    /// Up to so many, which are under way from now on; none only where none may go.
    pub fn take(&mut self, most: usize, now: Timestamp, queue: &mut impl Queued) -> Vec<QueueId> {
        let began = self.last;
        let (mut taken, mut round) = (Vec::new(), 1);
        while taken.len() < most {
            let next = queue.after(self.last);
            // Nothing is taken only where nothing of all that is queued may go.
            if round == 2 && next.is_none_or(|next| began.is_none_or(|began| next > began)) {
                break;
            }
            let Some(id) = next else {
                if !taken.is_empty() {
                    break;
                }
                round += 1;
                self.begin_round(queue);
                continue;
            };
            self.last = next;
            if self.is_free(id, now) && self.goes(id, now, queue.may_go(id)) {
                taken.push(id);
            }
        }
        taken
    }

    fn begin_round(&mut self, queue: &impl Queued) {
        self.last = None;
        self.refused.retain(|id, _| queue.contains(*id));
        self.told.retain(|id, _| queue.contains(*id));
    }

    fn is_free(&self, id: QueueId, now: Timestamp) -> bool {
        let rests = self.refused.get(&id);
        rests.is_none_or(|(_, until)| *until <= now) && !self.underway.contains(&id)
    }

    /// Whether it goes.
    fn goes(&mut self, id: QueueId, now: Timestamp, go: Go) -> bool {
        match go {
            Go::Now => {
                self.refused.remove(&id);
                self.underway.insert(id)
            }
            Go::Later => false,
            Go::Stays(why) => {
                self.refused.insert(id, (why, now));
                false
            }
        }
    }

    /// It has gone, or its turn comes again.
    pub fn over(&mut self, id: QueueId) {
        self.underway.remove(&id);
        self.refused.remove(&id);
        self.told.remove(&id);
    }

    /// The other server does not take it now; whether that is new.
    pub fn refused(&mut self, id: QueueId, why: &str, now: Timestamp) -> bool {
        let why: Arc<str> = why.into();
        self.underway.remove(&id);
        self.refused
            .insert(id, (Arc::clone(&why), now.after(PAUSE)));
        self.told.insert(id, Arc::clone(&why)) != Some(why)
    }

    /// What stays has its turn at once.
    pub fn again(&mut self) {
        self.refused.clear();
        self.last = None;
    }

    /// How many are under way.
    pub fn underway(&self) -> usize {
        self.underway.len()
    }

    /// Whether it is under way.
    pub fn has(&self, id: QueueId) -> bool {
        self.underway.contains(&id)
    }

    /// What stays, by reason.
    pub fn reasons(&self) -> Vec<Stay> {
        let mut reasons: HashMap<&str, Vec<QueueId>> = HashMap::new();
        for (id, (why, _)) in &self.refused {
            reasons.entry(why).or_default().push(*id);
        }
        let stay = |(why, mut ids): (&str, Vec<QueueId>)| {
            ids.sort_unstable();
            Stay {
                why: why.to_owned(),
                count: u64::try_from(ids.len()).unwrap_or(u64::MAX),
                ids: ids.iter().take(NAMED).map(ToString::to_string).collect(),
            }
        };
        let mut reasons: Vec<_> = reasons.into_iter().map(stay).collect();
        reasons.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.why.cmp(&b.why)));
        reasons
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::BTreeSet, ops::Bound};

    use super::*;

    fn ids(count: u64) -> Vec<QueueId> {
        let ids = (1..=count).map(|number| QueueId::parse(&format!("{number:013}")));
        ids.map(Option::unwrap).collect()
    }

    /// A queue of which some may go, and which counts what it is asked.
    struct Waiting<F> {
        ids: BTreeSet<QueueId>,
        may_go: F,
        asked: Cell<usize>,
    }

    impl<F: Fn(QueueId) -> Go> Queued for Waiting<F> {
        fn after(&self, id: Option<QueueId>) -> Option<QueueId> {
            self.asked.set(self.asked.get() + 1);
            let from = id.map_or(Bound::Unbounded, Bound::Excluded);
            self.ids.range((from, Bound::Unbounded)).next().copied()
        }

        fn contains(&self, id: QueueId) -> bool {
            self.asked.set(self.asked.get() + 1);
            self.ids.contains(&id)
        }

        fn may_go(&mut self, id: QueueId) -> Go {
            (self.may_go)(id)
        }
    }

    fn queue<F: Fn(QueueId) -> Go>(ids: &[QueueId], may_go: F) -> Waiting<F> {
        Waiting {
            ids: ids.iter().copied().collect(),
            may_go,
            asked: Cell::new(0),
        }
    }

    const NOW: Timestamp = Timestamp::from_secs(1000);

    #[test]
    fn a_message_is_under_way_once_and_has_its_next_turn_after_a_pause() {
        let all = ids(3);
        let (mut moves, mut queue) = (Moves::default(), queue(&all, |_| Go::Now));
        let mut take = |moves: &mut Moves, now| moves.take(2, now, &mut queue);
        assert_eq!(take(&mut moves, NOW), all[..2], "the oldest first");
        assert_eq!(take(&mut moves, NOW), all[2..]);
        assert_eq!(take(&mut moves, NOW), [], "all are under way");
        assert!(moves.refused(all[0], "too large", NOW));
        moves.over(all[1]);
        let stay = Stay {
            why: "too large".to_owned(),
            count: 1,
            ids: vec![all[0].to_string()],
        };
        assert_eq!(moves.reasons(), [stay]);
        assert_eq!(take(&mut moves, NOW), [all[1]]);
        let later = NOW.after(PAUSE);
        assert_eq!(take(&mut moves, later), [all[0]]);
        assert!(moves.reasons().is_empty() && all.iter().all(|id| moves.has(*id)));
        assert!(!moves.refused(all[0], "too large", later), "told already");
        moves.again();
        assert_eq!(take(&mut moves, later), [all[0]], "asked for again");
        assert!(moves.refused(all[0], "no room", later));
    }

    #[test]
    fn what_somebody_else_has_to_let_go_stays_with_that_reason_until_then() {
        let all = ids(1);
        let mut moves = Moves::default();
        let stays = |_| Go::Stays("comes from mx0".into());
        assert_eq!(moves.take(1, NOW, &mut queue(&all, stays)), []);
        assert_eq!(moves.reasons()[0].why, "comes from mx0");
        assert_eq!(moves.take(1, NOW, &mut queue(&all, |_| Go::Now)), all);
        assert!(moves.reasons().is_empty());
    }

    #[test]
    fn one_whose_turn_comes_again_is_found_though_others_that_may_not_go_were_left() {
        let all = ids(3);
        let (mut moves, first) = (Moves::default(), all[0]);
        let taken = moves.take(1, NOW, &mut queue(&all, |_| Go::Now));
        assert_eq!(taken, [first]);
        moves.over(first);
        let only = |id| if id == first { Go::Now } else { Go::Later };
        let mut queue = queue(&all, only);
        assert_eq!(moves.take(1, NOW, &mut queue), [first]);
        assert_eq!(moves.take(1, NOW, &mut queue), []);
    }

    #[test]
    fn what_is_told_of_messages_that_are_gone_is_forgotten() {
        let all = ids(2);
        let mut moves = Moves::default();
        assert!(moves.refused(all[0], "too large", NOW));
        for _ in 0..2 {
            moves.take(1, NOW, &mut queue(&all[1..], |_| Go::Now));
        }
        assert!(moves.reasons().is_empty() && moves.told.is_empty());
    }

    /// What it costs to move a whole queue grows with the queue, and not with its square.
    #[test]
    fn a_queue_of_two_hundred_thousand_is_gone_through_a_few_times_and_not_for_each_batch() {
        let all = ids(200_000);
        for every in [usize::MAX, 10] {
            let stay: HashSet<_> = all.iter().step_by(every).skip(1).collect();
            let may_go = |id| {
                if stay.contains(&id) {
                    Go::Stays("comes from mx0".into())
                } else {
                    Go::Now
                }
            };
            let (mut moves, mut queue) = (Moves::default(), queue(&all, may_go));
            let mut gone = 0;
            loop {
                let batch = moves.take(50, NOW, &mut queue);
                if batch.is_empty() {
                    break;
                }
                for id in batch {
                    assert!(queue.ids.remove(&id), "twice");
                    moves.over(id);
                    gone += 1;
                }
            }
            assert_eq!(gone, all.len() - stay.len(), "all that may go");
            let asked = queue.asked.get();
            assert!(asked <= 2 * all.len(), "{asked} questions");
        }
    }
}
