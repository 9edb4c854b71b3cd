//! Whose mail a next hop refused lately, while sessions with it came about: theirs waits.
//!
//! A next hop that refuses this machine is told from one that refuses some of its senders only by
//! asking it for each of them. Contract: bounded; whoever was not refused waits for nobody who was,
//! however many these are; theirs waits for pauses that grow, is probed by one delivery at a time,
//! and has its turn behind that of others, of all of it first that of whoever was refused first.
//! Whom it turns away as soon as he is named is one of them: it may mean him, or be busy; for that
//! a pause begins once another one met it, or so many messages of his ([`ROW`]).
//! One success of anybody ends the pause, one of his own forgets that he was refused.
//! Whoever is forgotten because there are too many is asked anew with his next attempt, which does
//! not come before the pause is over.

use std::time::Duration;

use mail::{clock::Timestamp, outcome::Failure};
use spool::QueueId;

use crate::{
    BackOff,
    recent::{MOST, Recent},
    site::Suspension,
};

/// Different messages of one sender in a row that were turned away; as on a machine where root
/// sends all.
const ROW: u32 = 3;

/// Senders whose mail was refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused {
    senders: Recent<u64>,
    /// Until when their mail waits, or waited.
    pause: Option<Suspension>,
    /// Pauses, and nobody taken between them.
    pauses: u32,
    away: Option<Away>,
}

/// Who was turned away last, with which message, and nobody taken since.
#[derive(Clone, Copy, Debug)]
struct Away {
    sender: u64,
    id: QueueId,
    row: u32,
}

impl Refused {
    pub(crate) fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }

    /// How many senders are remembered.
    pub(crate) fn count(&self) -> usize {
        self.senders.len()
    }

    /// Mail of this sender was refused.
    pub(crate) fn refuse(&mut self, sender: u64) {
        self.senders.insert(sender);
    }

    /// This message was turned away as soon as its sender was named: whether that is more than this
    /// message's, because another sender met it, too, or other messages of his did.
    pub(crate) fn turn_away(&mut self, sender: u64, id: QueueId) -> bool {
        self.refuse(sender);
        let row = match self.away {
            None => 1,
            Some(last) if last.sender != sender => ROW,
            Some(last) => last.row.saturating_add(u32::from(last.id != id)),
        };
        self.away = Some(Away { sender, id, row });
        row >= ROW
    }

    /// As mail of this machine is: the pause that begins now, if there is none yet. An attempt out
    /// of turn makes nobody wait longer.
    pub(crate) fn begin_pause(
        &mut self,
        failure: &Failure,
        back_off: BackOff,
        random: u32,
        now: Timestamp,
    ) -> Option<&Suspension> {
        if self.running(now).is_some() {
            return None;
        }
        let pause = back_off.pause(self.pauses, random);
        self.pauses = self.pauses.saturating_add(1);
        Some(
            self.pause
                .insert(Suspension::new(failure, now.after(pause), now)),
        )
    }

    /// Mail of this sender was taken; whether it ends a pause.
    pub(crate) fn take(&mut self, sender: u64) -> bool {
        self.senders.remove(sender);
        self.pauses = 0;
        self.away = None;
        self.pause.take().is_some()
    }

    /// The number of the last refusal, if there was one.
    pub(crate) fn last(&self, sender: u64) -> Option<u64> {
        self.senders.last(sender)
    }

    /// Why this sender waits, if he was refused, and until when: whoever was refused first comes
    /// first. After the pause it is until `probed`.
    pub(crate) fn wait_of(
        &self,
        sender: u64,
        probed: Timestamp,
        now: Timestamp,
    ) -> Option<Suspension> {
        let ago = self.senders.ago(sender)?;
        let behind = u64::try_from(MOST).unwrap_or(u64::MAX).saturating_sub(ago);
        let pause = self.pause.as_ref()?;
        let until = if pause.until > now {
            pause.until
        } else {
            probed
        };
        Some(Suspension {
            until: until.after(Duration::from_millis(behind)),
            ..pause.clone()
        })
    }

    /// The pause, while it lasts.
    pub(crate) fn running(&self, now: Timestamp) -> Option<&Suspension> {
        self.pause.as_ref().filter(|pause| pause.until > now)
    }

    /// Nobody was taken since it began: its end is probed.
    pub(crate) fn has_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// Administrator: they are asked again now.
    pub(crate) fn end_pause(&mut self) {
        self.pause = None;
    }

    /// New mail of a sender who was refused may be what brings the news that he is not any more.
    pub(crate) fn hurry(&mut self, sender: u64, first: Duration) {
        let known = self.senders.contains(sender);
        if let Some(pause) = self.pause.as_mut().filter(|_| known) {
            pause.hurry(first);
        }
    }

    /// The wall clock was set back: nothing waits longer than `longest`.
    pub(crate) fn bound(&mut self, longest: Duration, now: Timestamp) {
        if let Some(pause) = &mut self.pause {
            pause.bound(longest, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use mail::outcome::{Blame, Outcome, Stage};

    use super::*;
    use crate::{retry::Schedule, simulation::replied};

    fn refusal() -> Failure {
        let Outcome::Failed(failure) = replied(Stage::Mail, 553) else {
            panic!("553 is for good")
        };
        Failure {
            blame: Blame::Us,
            ..failure.for_now()
        }
    }

    #[test]
    fn whoever_was_refused_last_comes_last_and_a_success_forgets_it() {
        let mut refused = Refused::default();
        for sender in 0..8 {
            refused.refuse(sender);
        }
        refused.refuse(0);
        assert!(refused.last(0) > refused.last(7) && refused.last(8).is_none());
        refused.take(3);
        assert!(refused.last(3).is_none() && refused.last(4).is_some());
        for sender in 0..10_000 {
            refused.refuse(sender);
        }
        assert_eq!(refused.senders.len(), MOST);
        assert!(refused.last(9_999 - MOST as u64).is_none());
        assert!(refused.last(10_000 - MOST as u64).is_some());
    }

    #[test]
    fn pauses_grow_until_anybody_is_taken_and_those_who_are_asked_meanwhile_make_them_no_longer() {
        let schedule = Schedule {
            minimal: Duration::from_mins(5),
            maximal: Duration::from_hours(4),
            lifetime: Duration::from_hours(120),
        };
        let back_off = BackOff::of_many(&schedule);
        let mut now = Timestamp::from_secs(1_000_000_000);
        let mut refused = Refused::default();
        for round in [1, 2, 3] {
            for times in [1, 2, 4] {
                let until = refused.begin_pause(&refusal(), back_off, 0, now);
                let until = until.map(|it| it.until);
                assert_eq!(until, Some(now.after(times * back_off.first)));
                for sender in 0..100 {
                    refused.refuse(sender);
                    assert!(refused.begin_pause(&refusal(), back_off, 0, now).is_none());
                }
                assert_eq!(refused.running(now).map(|it| it.until), until);
                now = now.after(times * back_off.first);
                assert!(refused.running(now).is_none() && refused.has_paused());
            }
            assert!(refused.take(4711) && !refused.take(round) && !refused.has_paused());
        }
    }

    #[test]
    fn new_mail_of_a_refused_sender_shortens_the_pause_and_that_of_others_does_not() {
        let back_off = BackOff {
            first: Duration::from_secs(5),
            longest: Duration::from_mins(5),
            stays: false,
        };
        let mut now = Timestamp::from_secs(1_000_000_000);
        let mut refused = Refused::default();
        refused.refuse(1);
        for _ in 0..5 {
            let pause = refused.begin_pause(&refusal(), back_off, 0, now);
            now = pause.unwrap().until;
        }
        let begun = now;
        refused.begin_pause(&refusal(), back_off, 0, now);
        let until = |refused: &Refused| refused.running(begun).unwrap().until.since(begun);
        refused.hurry(2, back_off.first);
        assert_eq!(until(&refused), Duration::from_secs(160));
        refused.hurry(1, back_off.first);
        assert_eq!(until(&refused), back_off.first);
    }
}
