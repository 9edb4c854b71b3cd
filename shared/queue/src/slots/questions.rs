//! Who may ask a next hop whether it would take a recipient.
//!
//! Contract: a question has a place at its site and of its transport as a delivery has
//! ([`crate::asking`]), of all those a few ([`crate::Slots::questions`]), a quarter of which
//! strangers leave to clients of ours, and another quarter those for hosts that answered no
//! question yet to those that do. The next one is for the hosts that have the fewest. So many at
//! most wait for a destination; one for which there is no place is answered by nobody now. One that
//! keeps a delivery waiting for some seconds, or a question for other hosts, is cut.

use std::{hash::Hash, sync::Arc, time::Duration};

use mail::{clock::Timestamp, outcome::Outcome};

use super::Destinations;
use crate::{
    destination::Destination,
    question::{Asked, Question},
    site::{Key, Site},
    sites::{Ended, Wait},
};

/// Questions of strangers that wait for one destination, and questions that wait at all.
const WAITING: usize = 8;
const MOST: usize = 100;
/// How long one may take while others wait for its place: hosts that answered the last one have
/// more time.
const SLOW: Duration = Duration::from_secs(5);
const TRUSTED: Duration = Duration::from_secs(10);
/// Under way at hosts that have answered none yet.
const UNPROVEN: usize = 2;

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
        let goes = waiting.iter().enumerate();
        let goes = goes.filter(|(_, it)| {
            self.has_place(it, &[]) && self.may_ask(it, now) && (!first || self.goes_first(it))
        });
        // The newest and the oldest of the same rank alternate: many silent hosts hold up no
        // others.
        let newest = self.questions.newest;
        let (at, _) = goes.min_by_key(|(at, it)| {
            let turn = if newest { waiting.len() - at } else { *at };
            (self.rank(it), turn)
        })?;
        let question = self.questions.waiting.remove(at)?;
        self.questions.newest = !newest;
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

    /// Those of clients of ours go first, then those for hosts that answer, then those for the
    /// hosts that have the fewest under way.
    fn rank(&self, question: &Question<D>) -> (bool, bool, usize) {
        let site = self.where_of(question).map(|(_, site)| &site.asking);
        let (answers, under_way) = site.map_or((false, 0), |it| (it.answers, it.under_way));
        (!question.own, !answers, under_way)
    }

    fn where_of(&self, question: &Question<D>) -> Option<(&Destination<D, O>, &Site<D>)> {
        let destination = self.known.get(&question.destination)?;
        Some((destination, self.sites.get(&destination.site)?))
    }

    fn goes_first(&self, question: &Question<D>) -> bool {
        let site = self.where_of(question);
        site.is_some_and(|(_, site)| site.asking.goes_first())
    }

    /// Whether questions have a place for one more, when these have ended.
    fn has_place(&self, question: &Question<D>, ended: &[u64]) -> bool {
        let Some((destination, site)) = self.where_of(question) else {
            return false;
        };
        let most = self.settings.slots.questions;
        let transport = &destination.transport;
        let (mut all, mut strangers, mut unproven, mut by) = (0, 0, 0, 0);
        let under_way = self.questions.under_way.iter();
        for (_, it) in under_way.filter(|(ticket, _)| !ended.contains(ticket)) {
            all += 1;
            strangers += usize::from(!it.own);
            unproven += usize::from(!it.own && !self.answers(it));
            by += usize::from(transport.name.is_some() && it.transport.name == transport.name);
        }
        let of_strangers = most - most / 4;
        let of_unproven = (of_strangers - of_strangers / 4).max(1);
        all < most
            && by < (transport.processes / 2).max(1)
            && (question.own
                || strangers < of_strangers && (site.asking.answers || unproven < of_unproven))
    }

    fn answers(&self, asked: &Asked<D>) -> bool {
        let site = self.sites.get(&asked.site);
        site.is_some_and(|site| site.asking.answers)
    }

    /// Whether its next hop may be asked one more.
    fn may_ask(&self, question: &Question<D>, now: Timestamp) -> bool {
        let Some((destination, site)) = self.where_of(question) else {
            return false;
        };
        let (key, transport) = (&destination.site, &destination.transport);
        site.has_room_for_a_question(transport, now)
            && (question.own || site.asking.answers || site.asking.under_way < UNPROVEN)
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
        } else {
            site.asking.answers = false;
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

    /// Questions to be cut now, for deliveries wait, or questions for others.
    pub(crate) fn question_cuts(&mut self, now: Timestamp) -> Vec<u64> {
        let under_way = self.questions.under_way.iter();
        let slow = under_way.filter(|(_, it)| !it.cut && now.since(it.began) >= self.time(it));
        let mut slow: Vec<_> = slow.map(|(ticket, it)| (it.began, *ticket)).collect();
        slow.sort_unstable();
        let mut cut = Vec::new();
        for (_, ticket) in slow {
            let asked = self.questions.under_way.get(&ticket);
            if asked.is_some_and(|it| self.holds_up(it, now) || self.keeps_out(ticket, it, now))
                && let Some(asked) = self.questions.under_way.get_mut(&ticket)
            {
                asked.cut = true;
                cut.push(ticket);
            }
        }
        cut
    }

    /// How long it may take while others wait.
    fn time(&self, asked: &Asked<D>) -> Duration {
        if self.answers(asked) { TRUSTED } else { SLOW }
    }

    /// Whether a question for other hosts waits for its place, and none is being freed for that
    /// yet.
    fn keeps_out(&self, ticket: u64, asked: &Asked<D>, now: Timestamp) -> bool {
        let under_way = self.questions.under_way.iter();
        let cut = under_way.filter(|(_, it)| it.cut);
        let cut: Vec<u64> = cut.map(|(ticket, _)| *ticket).collect();
        let then = [&cut[..], &[ticket]].concat();
        let mut waiting = self.questions.waiting.iter();
        waiting.any(|it| {
            let elsewhere = self.known.get(&it.destination);
            elsewhere.is_some_and(|to| to.site != asked.site)
                && (it.own || !asked.own)
                && !self.has_place(it, &cut)
                && self.has_place(it, &then)
                && self.may_ask(it, now)
        })
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
        let slow = slow.map(|it| it.began.after(self.time(it)));
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
