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

use super::balance::{NAMED, Stay};

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

impl Moves {
    /// Up to so many, oldest first, which are under way from now on; none only where none may go.
    /// `all`: what is queued; `may_go`: whether that one can go now.
    pub fn take(
        &mut self,
        most: usize,
        now: Timestamp,
        all: impl FnOnce() -> Vec<QueueId>,
        mut may_go: impl FnMut(QueueId) -> Go,
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
            if self.underway.contains(&id) {
                continue;
            }
            match may_go(id) {
                Go::Now => {
                    self.refused.remove(&id);
                    self.underway.insert(id);
                    taken.push(id);
                }
                Go::Later => {}
                Go::Stays(why) => drop(self.refused.insert(id, (why, now))),
            }
        }
        taken
    }

    fn look(&mut self, all: Vec<QueueId>, now: Timestamp) {
        if !self.refused.is_empty() || !self.told.is_empty() {
            let queued: HashSet<_> = all.iter().collect();
            self.refused.retain(|id, _| queued.contains(id));
            self.told.retain(|id, _| queued.contains(id));
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
    use super::*;

    fn ids(count: u64) -> Vec<QueueId> {
        let ids = (1..=count).map(|number| QueueId::parse(&format!("{number:013}")));
        ids.map(Option::unwrap).collect()
    }

    #[test]
    fn a_message_is_under_way_once_and_has_its_next_turn_after_a_pause() {
        let (all, now) = (ids(3), Timestamp::from_secs(1000));
        let mut moves = Moves::default();
        let take = |moves: &mut Moves, now| moves.take(2, now, || all.clone(), |_| Go::Now);
        assert_eq!(take(&mut moves, now), all[..2], "the oldest first");
        assert_eq!(take(&mut moves, now), all[2..]);
        assert_eq!(take(&mut moves, now), [], "all are under way");
        assert!(moves.refused(all[0], "too large", now));
        moves.over(all[1]);
        let stay = Stay {
            why: "too large".to_owned(),
            count: 1,
            ids: vec![all[0].to_string()],
        };
        assert_eq!(moves.reasons(), [stay]);
        assert_eq!(take(&mut moves, now), [all[1]]);
        let later = now.after(PAUSE);
        assert_eq!(take(&mut moves, later), [all[0]]);
        assert!(moves.reasons().is_empty() && all.iter().all(|id| moves.has(*id)));
        assert!(!moves.refused(all[0], "too large", later), "told already");
        moves.again();
        assert_eq!(take(&mut moves, later), [all[0]], "asked for again");
        assert!(moves.refused(all[0], "no room", later));
    }

    #[test]
    fn what_somebody_else_has_to_let_go_stays_with_that_reason_until_then() {
        let (all, now) = (ids(1), Timestamp::from_secs(1000));
        let mut moves = Moves::default();
        let stays = |_| Go::Stays("comes from mx0".into());
        assert_eq!(moves.take(1, now, || all.clone(), stays), []);
        assert_eq!(moves.reasons()[0].why, "comes from mx0");
        assert_eq!(moves.take(1, now, || all.clone(), |_| Go::Now), all);
        assert!(moves.reasons().is_empty());
    }

    #[test]
    fn one_whose_turn_comes_again_is_found_though_others_that_may_not_go_were_left() {
        let (all, now) = (ids(3), Timestamp::from_secs(1000));
        let mut moves = Moves::default();
        assert_eq!(moves.take(1, now, || all.clone(), |_| Go::Now), all[..1]);
        moves.over(all[0]);
        let first = |id| if id == all[0] { Go::Now } else { Go::Later };
        assert_eq!(moves.take(1, now, || all.clone(), first), all[..1]);
        assert_eq!(moves.take(1, now, || all.clone(), first), []);
    }
}
