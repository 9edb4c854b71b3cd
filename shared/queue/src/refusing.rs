//! A next hop that is there, and refuses mail of some senders as mail of this machine, or turns
//! them away: what becomes of that mail, and of what the same ones send.

use std::{hash::Hash, sync::Arc};

use mail::{
    clock::Timestamp,
    outcome::{Blame, Failure, Outcome},
};

use crate::{
    Action, Queue,
    site::Suspension,
    slots::{Judged, Underway},
};

impl<D: Eq + Hash, O: Copy + Ord + Hash> Queue<D, O> {
    /// What a delivery shows of whose mail is refused and taken.
    pub(crate) fn judge(
        &mut self,
        underway: &Underway<D, O>,
        outcomes: &[Outcome],
        now: Timestamp,
    ) {
        let to = &underway.destination;
        match self.destinations.judged(underway, outcomes) {
            Judged::Nothing => {}
            Judged::Refused => self.interrupt_refused(to, now),
            Judged::TurnedAway(failure) => {
                self.begin_pause(to, &failure, now);
                self.interrupt_refused(to, now);
            }
            Judged::Resumed => self.actions.push_back(Action::Resumed(Arc::clone(to))),
        }
    }

    /// The destination is there, and refuses mail of this sender as mail of this machine: what
    /// those send waits whom it has refused.
    pub(crate) fn refused(
        &mut self,
        underway: Underway<D, O>,
        failure: &Failure,
        outcomes: Vec<Outcome>,
        now: Timestamp,
    ) {
        let (to, stays) = (
            Arc::clone(&underway.destination),
            self.settings.back_off.stays,
        );
        self.destinations.worked(&to, true, now);
        self.crowded(&underway, &outcomes, now);
        self.begin_pause(&to, failure, now);
        let sender = underway.job.sender;
        let (id, recipients) = (underway.job.id, underway.job.recipients);
        match self.destinations.suspension(&to, sender, now) {
            Some(pause) if stays => {
                if !self.removed_in_flight(id, &recipients, &outcomes, now) {
                    let reason = failure.log_text().into();
                    self.defer_suspended(id, recipients, &Suspension { reason, ..pause }, now);
                    self.settle(id, now);
                }
            }
            _ => self.conclude(id, recipients, outcomes, now),
        }
        self.interrupt_refused(&to, now);
    }

    /// What was refused waits from now on, if it does not yet.
    fn begin_pause(&mut self, to: &Arc<D>, failure: &Failure, now: Timestamp) {
        let random = self.random.next();
        let Some(pause) = self.destinations.pause_refused(to, failure, random, now) else {
            return;
        };
        if failure.blame == Blame::Us {
            return self.tell_suspended(to, &pause);
        }
        self.actions.push_back(Action::TurnedAway {
            destination: Arc::clone(to),
            senders: self.destinations.refused_senders(to),
            until: pause.until,
            reason: failure.log_text().into(),
        });
    }

    /// Where all mail hears that there are too many connections, there are fewer from now on.
    pub(crate) fn crowded(
        &mut self,
        underway: &Underway<D, O>,
        outcomes: &[Outcome],
        now: Timestamp,
    ) {
        if self.destinations.crowded(underway, outcomes, now) {
            self.learned(&underway.destination);
        }
    }

    /// A destination has taught how many connections it takes.
    pub(crate) fn learned(&mut self, to: &Arc<D>) {
        if let Some(lesson) = self.destinations.lesson(to) {
            self.actions.push_back(Action::Learned(lesson));
        }
    }

    /// In a pause nothing of senders that were refused waits among the jobs.
    fn interrupt_refused(&mut self, to: &Arc<D>, now: Timestamp) {
        for job in self.destinations.extract_refused(to, now) {
            if let Some(pause) = self.destinations.refusal(to, job.sender, now) {
                self.put_back(job, &pause, now);
            }
        }
    }
}
