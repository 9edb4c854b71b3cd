//! Who may ask a next hop whether it would take a recipient.
//!
//! Contract: a question has a place at its site and of its transport as a delivery has
//! ([`crate::asking`]), of all those a few ([`crate::Slots::questions`]), a quarter of which
//! strangers leave to clients of ours. So many at most wait for a destination; one for which there
//! is no place is answered by nobody now. One that keeps a delivery waiting for long is cut.

use std::{hash::Hash, sync::Arc, time::Duration};

use mail::{clock::Timestamp, outcome::Outcome};

use super::Destinations;
use crate::{
    question::{Asked, Question},
    site::Key,
    sites::{Ended, Wait},
};

/// Questions of strangers that wait for one destination, and questions that wait at all.
const WAITING: usize = 8;
const MOST: usize = 100;
/// How long one may take while a delivery waits for its place.
const SLOW: Duration = Duration::from_secs(10);

/// What the end of a question says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// What the next hop said, or that nobody did.
    Said,
    /// Only that it was one too many, or took too long for those who wait.
    TooMany,
}

impl<D: Eq + Hash, O: Copy + Ord + Hash> Destinations<D, O> {
    /// Somebody wants to ask. Whether he waits now; if not, there is no place for him.
    pub(crate) fn ask(&mut self, ticket: u64, to: &Arc<D>, own: bool, now: Timestamp) -> bool {
        self.know(to, now);
        let site = self.known.get(to).and_then(|it| self.sites.get(&it.site));
        let waiting = &self.questions.waiting;
        let same = waiting.iter().filter(|it| it.destination == *to).count();
        if site.is_none_or(|site| site.asking.is_paused(now))
            || waiting.len() >= MOST
            || (!own && same >= WAITING)
        {
            return false;
        }
        self.questions.waiting.push_back(Question {
            ticket,
            destination: Arc::clone(to),
            own,
        });
        true
    }

    /// The next question in turn, which begins; `first`: before the deliveries that wait.
    pub(crate) fn next_question(&mut self, first: bool, now: Timestamp) -> Option<u64> {
        let waiting = &self.questions.waiting;
        if waiting.is_empty() {
            return None;
        }
        let goes = |own: bool| {
            let mut all = waiting.iter();
            all.position(|it| it.own == own && self.may_ask(it, first, now))
        };
        let at = goes(true).or_else(|| goes(false))?;
        let question = self.questions.waiting.remove(at)?;
        let destination = self.known.get(&question.destination)?;
        let asked = Asked {
            destination: question.destination,
            own: question.own,
            site: destination.site.clone(),
            transport: Arc::clone(&destination.transport),
            began: now,
            cut: false,
        };
        self.sites.begin_question(&asked.site, &asked.transport);
        self.questions.under_way.insert(question.ticket, asked);
        Some(question.ticket)
    }

    fn may_ask(&self, question: &Question<D>, first: bool, now: Timestamp) -> bool {
        let (slots, under_way) = (&self.settings.slots, &self.questions.under_way);
        let strangers = under_way.values().filter(|it| !it.own).count();
        let most = slots.questions - slots.questions / 4;
        if under_way.len() >= slots.questions || (!question.own && strangers >= most) {
            return false;
        }
        let Some(destination) = self.known.get(&question.destination) else {
            return false;
        };
        let (key, transport) = (&destination.site, &destination.transport);
        let Some(site) = self.sites.get(key) else {
            return false;
        };
        let by = under_way.values();
        let by = by.filter(|it| transport.name.is_some() && it.transport.name == transport.name);
        site.has_room_for_a_question(transport, now)
            && (!first || site.asking.goes_first())
            && by.count() < (transport.processes / 2).max(1)
            && self.sites.in_the_way(key, transport, now).is_none()
    }

    /// Whether a question may go on whose hosts are known now.
    pub(super) fn question_fits(&self, ticket: u64, now: Timestamp) -> bool {
        let asked = self.questions.under_way.get(&ticket);
        let site = asked.and_then(|asked| Some((asked, self.sites.get(&asked.site)?)));
        site.is_none_or(|(asked, site)| !site.has_too_many_questions(&asked.transport, now))
    }

    /// Those under way that have the hosts of a destination which are others now: how many.
    pub(super) fn move_questions(
        &mut self,
        to: &D,
        (from, key): (&Key<D>, &Key<D>),
        asks: Option<u64>,
    ) -> usize {
        let none = matches!(from, Key::Alone(_));
        let mut moved = 0;
        for (ticket, asked) in &mut self.questions.under_way {
            let goes = none || asks == Some(*ticket);
            if goes && *asked.destination == *to && asked.site == *from {
                asked.site = key.clone();
                moved += 1;
            }
        }
        moved
    }

    /// A question was not asked after all: its turn comes again.
    pub(crate) fn question_withdrawn(&mut self, ticket: u64, now: Timestamp) {
        if let Some(asked) = self.end_question(ticket, now) {
            self.questions.waiting.push_front(Question {
                ticket,
                destination: asked.destination,
                own: asked.own,
            });
        }
    }

    /// A question has ended, or nobody waits for it any more (`None`). What its end says, and of
    /// which destination hosts have taught something.
    pub(crate) fn answered(
        &mut self,
        ticket: u64,
        outcome: Option<&Outcome>,
        now: Timestamp,
    ) -> (Answer, Option<Arc<D>>) {
        self.questions.waiting.retain(|it| it.ticket != ticket);
        let Some(asked) = self.end_question(ticket, now) else {
            return (Answer::TooMany, None);
        };
        let Some(site) = self.sites.get_mut(&asked.site) else {
            return (Answer::Said, None);
        };
        let failure = match outcome {
            Some(Outcome::Deferred(failure) | Outcome::Failed(failure)) => Some(failure),
            Some(Outcome::Delivered(_)) => None,
            None => return (Answer::TooMany, None),
        };
        let is_said = failure.is_none_or(|failure| failure.reply.is_some());
        if asked.cut && !is_said {
            site.asking.begin_pause(now);
            return (Answer::TooMany, None);
        }
        if let Some(failure) = failure
            && site.has_too_many_for(failure, now)
        {
            let taught = failure.limits_connections();
            return (Answer::TooMany, taught.then_some(asked.destination));
        }
        if is_said {
            site.answers(&asked.transport, now);
        }
        (Answer::Said, None)
    }

    fn end_question(&mut self, ticket: u64, now: Timestamp) -> Option<Asked<D>> {
        let asked = self.questions.under_way.remove(&ticket)?;
        let free = self
            .sites
            .end(&asked.site, &asked.transport, Ended::Question, now);
        self.unblock(free, now);
        Some(asked)
    }

    /// Questions to be cut now, for deliveries wait.
    pub(crate) fn question_cuts(&mut self, now: Timestamp) -> Vec<u64> {
        let under_way = self.questions.under_way.iter();
        let slow = under_way.filter(|(_, it)| !it.cut && now.since(it.began) >= SLOW);
        let slow = slow.filter(|(_, it)| self.holds_up(it, now));
        let cut: Vec<u64> = slow.map(|(ticket, _)| *ticket).collect();
        for ticket in &cut {
            if let Some(asked) = self.questions.under_way.get_mut(ticket) {
                asked.cut = true;
            }
        }
        cut
    }

    fn holds_up(&self, asked: &Asked<D>, now: Timestamp) -> bool {
        let site = self.sites.get(&asked.site);
        let is_full = site.is_some_and(|site| !site.has_room(&asked.transport, now));
        let name = asked.transport.name.as_ref();
        let name = name.filter(|_| self.sites.is_busy(&asked.transport));
        (is_full && self.want(&Wait::Site(asked.site.clone()), |_| false))
            || name.is_some_and(|name| self.want(&Wait::Transport(Arc::clone(name)), |_| false))
            || (self.taken() >= self.settings.slots.total && self.has_listed())
    }

    /// When a pause is over after which one may begin, or is to be looked for slow ones.
    pub(super) fn next_of_questions(&self) -> Option<Timestamp> {
        let slow = self.questions.under_way.values().filter(|it| !it.cut);
        let slow = slow.map(|it| it.began.after(SLOW));
        let waiting = self.questions.waiting.iter();
        let known = waiting.filter_map(|it| self.known.get(&it.destination));
        let rests = known.filter_map(|it| self.sites.get(&it.site)?.rests);
        slow.chain(rests).filter(|due| *due > self.looked).min()
    }

    /// The wall clock was set back.
    pub(super) fn bound_questions(&mut self, now: Timestamp) {
        for asked in self.questions.under_way.values_mut() {
            asked.began = asked.began.min(now);
        }
    }

    /// Whether a destination has a question that waits.
    pub(super) fn is_asked_for(&self, to: &D) -> bool {
        let mut waiting = self.questions.waiting.iter();
        waiting.any(|it| *it.destination == *to)
    }
}
