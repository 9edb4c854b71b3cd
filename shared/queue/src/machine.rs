//! The queue as its driver sees it, and the order of what is due.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::Hash,
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use mail::{clock::Timestamp, outcome::Outcome};
use spool::QueueId;

use crate::{
    Action, Delivery, Event, Lesson, Settings, Transports,
    clock::Step,
    hashed::{Map, Set},
    message::{Behind, Message, State},
    random::Random,
    slots::{Answer, Destinations},
    timetable::Timetable,
};

/// Envelopes that are being read at once.
const LOADS: usize = 32;
/// Jobs from loads that wait for their destinations: beyond it, what is due stays in the spool.
const WINDOW: usize = 1000;

/// The queue.
#[derive(Debug)]
pub struct Queue<D, O> {
    pub(crate) settings: Settings<O>,
    pub(crate) random: Random,
    /// In their order: whoever goes through all of them finds neighbours, and none is moved when
    /// more come.
    pub(crate) messages: BTreeMap<QueueId, Message<O>>,
    /// What waits in the spool.
    pub(crate) due: Timetable<O>,
    pub(crate) loading: Set<QueueId>,
    pub(crate) behind: Map<QueueId, Behind<D>>,
    pub(crate) destinations: Destinations<D, O>,
    /// Jobs from loads that wait for their destinations.
    pub(crate) window: usize,
    pub(crate) tickets: u64,
    /// Accepted since the driver last looked for steps of the clock.
    pub(crate) fresh: Set<QueueId>,
    /// When the administrators were last told of dead mail.
    pub(crate) told: Option<Timestamp>,
    pub(crate) actions: VecDeque<Action<D>>,
    /// No delivery begins.
    waits: bool,
}

impl<D: Eq + Hash, O: Copy + Ord + Hash> Queue<D, O> {
    /// `seed`: randomness for jitter.
    pub fn new(settings: Settings<O>, seed: u64) -> Self {
        Self {
            settings,
            random: Random::new(seed),
            messages: BTreeMap::new(),
            due: Timetable::new(settings.first),
            loading: Set::default(),
            behind: Map::default(),
            destinations: Destinations::new(settings),
            window: 0,
            tickets: 0,
            fresh: Set::default(),
            told: None,
            actions: VecDeque::new(),
            waits: false,
        }
    }

    /// Takes one event. Events about messages that are not known are ignored.
    pub fn handle(&mut self, event: Event<D, O>, now: Timestamp) {
        match event {
            Event::Recovered(found) => self.recovered(found, now),
            Event::Accepted {
                id,
                arrival,
                origin,
                recipients,
            } => self.accepted(id, arrival, origin, recipients, now),
            Event::Loaded {
                id,
                origin,
                recipients,
            } => self.loaded(id, origin, recipients, now),
            Event::LoadFailed {
                id,
                failure,
                damaged,
            } => self.load_failed(id, failure, damaged, now),
            Event::Gone { id } => self.gone(id),
            Event::Parked { id } => self.park(id, now),
            Event::Finished { ticket, outcomes } => self.finished(ticket, outcomes, now),
            Event::Interrupted { ticket, outcomes } => self.interrupted(ticket, outcomes, now),
            Event::Unreached { ticket, failure } => self.unreached(ticket, &failure, now),
            Event::Silent { ticket, silence } => {
                self.destinations.falls_silent(ticket, silence, now);
            }
            Event::Speaks { ticket } => self.destinations.speaks(ticket),
            Event::Crowded { ticket, recipients } => {
                self.destinations.hears_of_a_crowd(ticket, recipients);
            }
            Event::Stalls { ticket } => self.destinations.stalls(ticket, now),
            Event::Runs { ticket } => self.destinations.runs(ticket),
            Event::Withdrawn { ticket } => self.withdrawn(ticket, now),
            Event::Bounced { id } => self.bounced(id, now),
            Event::BounceFailed { id } => self.bounce_failed(id, now),
            Event::Warned { id } => self.warned(id),
            Event::WarnFailed { id } => self.warn_failed(id),
            Event::FlushAll => self.flush_all(now),
            Event::Flush { id } => self.flush(id, now),
            Event::Hold { id } => self.hold(id, now),
            Event::Release { id } => self.release(id, now),
            Event::Return {
                id,
                failure,
                null_sender,
            } => self.return_to_sender(id, failure, null_sender, now),
            Event::Remove { id } => self.remove(id, now),
            Event::Moved { id } => self.moved(id),
            Event::Stepped(step) => self.stepped(step, now),
            Event::TimedOut => {}
        }
        self.load_due(now);
        self.dispatch(now);
    }

    /// The next thing to do; drain until `None` after each event, and look for steps of the clock
    /// before.
    pub fn next_action(&mut self) -> Option<Action<D>> {
        self.fresh.clear();
        self.actions.pop_front()
    }

    /// What is to be recorded so far, in order. It may go ahead of all other actions.
    pub fn take_records(&mut self) -> Vec<(QueueId, spool::Event)> {
        let mut records = Vec::new();
        self.actions.retain(|action| {
            let Action::Record { id, event } = action else {
                return true;
            };
            records.push((*id, event.clone()));
            false
        });
        records
    }

    /// When to say `TimedOut` at the latest.
    pub fn deadline(&self) -> Option<Timestamp> {
        // While the window is full, the end of a load or of a delivery goes on with what is due.
        let due = self.due.earliest().filter(|_| self.may_load());
        let places = self.destinations.deadline().filter(|_| !self.waits);
        [due, places].into_iter().flatten().min()
    }

    /// The hosts behind the destination of a delivery are known now, and a connection is about to
    /// be made. `false`: there are too many to one of them already; say `Withdrawn`.
    pub fn admits(&mut self, destination: &Arc<D>, hosts: &[Arc<str>], now: Timestamp) -> bool {
        self.destinations.admits(destination, hosts, now)
    }

    /// The names of the hosts behind the destination of a delivery are known now. `false`: others
    /// with the same hosts have all places that there are to them; say `Withdrawn`.
    pub fn shares(
        &mut self,
        ticket: u64,
        destination: &Arc<D>,
        hosts: &[Arc<str>],
        now: Timestamp,
    ) -> bool {
        self.destinations.shares(ticket, destination, hosts, now)
    }

    /// Somebody wants to know whether a destination would take a recipient; `own`: a client of
    /// ours, whose question goes before those of strangers. [`Action::Ask`] follows in its turn;
    /// whoever waits no more says so with [`Self::answered`]. `None`: there is no place for it.
    pub fn ask(&mut self, destination: &Arc<D>, own: bool, now: Timestamp) -> Option<u64> {
        self.tickets += 1;
        let ticket = self.tickets;
        let waits = self.destinations.ask(ticket, destination, own, now);
        self.dispatch(now);
        waits.then_some(ticket)
    }

    /// What came of a question; `None`: it was given up. Whether that says anything: `false` where
    /// it was only one connection too many.
    pub fn answered(&mut self, ticket: u64, outcome: Option<&Outcome>, now: Timestamp) -> bool {
        let (answer, taught) = self.destinations.answered(ticket, outcome, now);
        let lesson = taught.and_then(|to| self.destinations.lesson(&to));
        self.actions.extend(lesson.map(Action::Learned));
        self.dispatch(now);
        answer == Answer::Said
    }

    /// How many connections to the hosts of a destination may be open beside those of deliveries
    /// and questions under way.
    pub fn spare(&self, destination: &D, now: Timestamp) -> usize {
        self.destinations.spare(destination, now)
    }

    /// Whether no delivery begins, because what becomes of it could not be recorded. Those that
    /// the driver was told of and has not begun are [`Event::Withdrawn`].
    pub fn refrain(&mut self, waits: bool, now: Timestamp) {
        let ended = self.waits && !waits;
        self.waits = waits;
        if ended {
            self.dispatch(now);
        }
    }

    /// Which transport each destination has from now on. What waits in memory is asked for its way
    /// anew: routes have changed with them.
    pub fn set_transports(&mut self, transports: Transports<D>, now: Timestamp) {
        self.destinations.set_transports(transports, now);
        self.behind.clear();
        for job in self.destinations.extract_all() {
            self.window -= usize::from(job.loaded);
            let message = self.messages.get_mut(&job.id);
            if let Some(message) = message.filter(|message| message.epoch == job.epoch) {
                message.set(&job.recipients, State::Waiting(now));
                self.settle(job.id, now);
            }
        }
        self.load_due(now);
    }

    /// What hosts have taught of the number of connections that they take.
    pub fn lessons(&self, now: Timestamp) -> Vec<Lesson> {
        self.destinations.lessons(now)
    }

    /// What they taught before a restart.
    pub fn teach(&mut self, lesson: Lesson) {
        self.destinations.teach(lesson);
    }

    /// Whether a delivery of this message is scheduled or under way now (`*` in `mailq`).
    pub fn is_active(&self, id: QueueId) -> bool {
        self.messages.get(&id).is_some_and(Message::on_its_way)
    }

    /// Whether a delivery of this message is under way now, which no order ends.
    pub fn is_under_way(&self, id: QueueId) -> bool {
        let message = self.messages.get(&id);
        message.is_some_and(|it| it.any(|state| state == State::Delivering))
    }

    /// When it is tried next: where the spool says something later, the clock was ahead.
    pub fn next_attempt(&self, id: QueueId) -> Option<Timestamp> {
        let waits = self.messages.get(&id)?.recipients.iter();
        let until = waits.filter_map(|pending| match pending.state {
            State::Waiting(until) => Some(until),
            _ => None,
        });
        until.min()
    }

    /// Until when nothing is tried at a destination, if it is suspended.
    pub fn suspended(&self, destination: &D, now: Timestamp) -> Option<Timestamp> {
        self.destinations.suspended(destination, now)
    }

    /// Whether it could go elsewhere as it is: it is known, on its way to nobody, and nobody has to
    /// be told of it.
    pub fn rests(&self, id: QueueId) -> bool {
        self.messages.get(&id).is_some_and(Message::rests) && !self.loading.contains(&id)
    }

    /// Messages that are not on hold and came before that, as the clock counts now, and when; at
    /// most so many.
    pub fn older(&self, than: Timestamp, most: usize) -> Vec<(QueueId, Timestamp)> {
        let all = self.messages.iter();
        let old = all.filter(|(_, it)| !it.held && it.arrival <= than);
        old.map(|(id, it)| (*id, it.arrival)).take(most).collect()
    }

    /// Whether it is known.
    pub fn contains(&self, id: QueueId) -> bool {
        self.messages.contains_key(&id)
    }

    /// All messages, oldest first.
    pub fn ids(&self) -> Vec<QueueId> {
        self.messages.keys().copied().collect()
    }

    /// The oldest message, or the next one behind another, which need not be there any more.
    pub fn after(&self, id: Option<QueueId>) -> Option<QueueId> {
        let from = id.map_or(Bound::Unbounded, Bound::Excluded);
        let mut later = self.messages.range((from, Bound::Unbounded));
        later.next().map(|(id, _)| *id)
    }

    /// Messages in the queue.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Messages of which nothing is left, and whose end nobody was told yet.
    pub fn ending(&self) -> usize {
        let ended = |action: &&Action<D>| matches!(action, Action::Ended { .. });
        self.actions.iter().filter(ended).count()
    }

    /// Deliveries under way.
    pub fn in_flight(&self) -> usize {
        self.destinations.underway()
    }

    /// No wait is longer.
    pub(crate) fn longest_wait(&self) -> Duration {
        // With all the jitter there may be.
        self.settings.schedule.maximal.saturating_mul(12) / 10
    }

    fn may_load(&self) -> bool {
        self.loading.len() < LOADS && self.window < WINDOW
    }

    /// Asks for the envelopes of what is due, in turn.
    fn load_due(&mut self, now: Timestamp) {
        let mut skipped = 0;
        while self.may_load() && skipped < WINDOW {
            let Some(id) = self.due.take(now) else {
                return;
            };
            if self.skip(id, now) {
                skipped += 1;
                continue;
            }
            let Some(message) = self.messages.get_mut(&id) else {
                continue;
            };
            message.due = None;
            let recipients = message.shift(
                |state| matches!(state, State::Waiting(at) if at <= now),
                State::Loading,
            );
            self.loading.insert(id);
            self.actions.push_back(Action::Load { id, recipients });
        }
    }

    /// Starts deliveries as long as there are places, and questions: where they take turns, before
    /// those that wait, otherwise behind them.
    fn dispatch(&mut self, now: Timestamp) {
        loop {
            let mut question = self.destinations.next_question(true, now);
            if question.is_none() && self.deliver_next(now) {
                continue;
            }
            question = question.or_else(|| self.destinations.next_question(false, now));
            let Some(ticket) = question else {
                break;
            };
            self.actions.push_back(Action::Ask { ticket });
        }
        if !self.waits {
            let cuts = self.destinations.cuts(now).into_iter();
            let cuts = cuts.map(|ticket| Action::Cut { ticket });
            self.actions.extend(cuts);
        }
    }

    /// Starts the next delivery, if one may; whether it did, or found a job void.
    fn deliver_next(&mut self, now: Timestamp) -> bool {
        if !self.waits
            && let Some(turn) = self.destinations.next(now)
        {
            self.window -= usize::from(turn.job.loaded);
            let (id, epoch) = (turn.job.id, turn.job.epoch);
            let message = self.messages.get_mut(&id);
            let Some(message) = message.filter(|message| message.epoch == epoch) else {
                self.destinations.skip(&turn, now);
                return true;
            };
            message.set(&turn.job.recipients, State::Delivering);
            self.tickets += 1;
            self.actions.push_back(Action::Deliver(Delivery {
                ticket: self.tickets,
                id,
                recipients: turn.job.recipients.clone(),
                destination: Arc::clone(&turn.destination),
                patience: turn.patience,
            }));
            self.destinations.begin(self.tickets, turn, now);
            return true;
        }
        false
    }

    /// The clock was set: nothing becomes older, and nothing waits longer.
    fn stepped(&mut self, step: Step, now: Timestamp) {
        let longest = self.longest_wait();
        self.destinations.stepped(step, longest, now);
        self.told = self.told.map(|told| step.shift(told));
        for (id, message) in &mut self.messages {
            let longest = message.longest_wait(longest);
            let is_new = self.fresh.contains(id) && step.is_over_at(message.arrival, now);
            if !is_new {
                message.arrival = step.shift(message.arrival);
                message.seen = step.shift(message.seen);
            }
            if step.is_back() {
                message.bound(longest, now);
            }
        }
        for id in self.ids() {
            self.settle(id, now);
        }
    }

    /// After any change of a message: its place among what is due, what its sender is told, its
    /// end.
    pub(crate) fn settle(&mut self, id: QueueId, now: Timestamp) {
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        if let Some(due) = message.due.take() {
            self.due.remove(message.owner, due, id);
        }
        if message.recipients.is_empty() {
            let (deleted, bounced) = (message.deleted.unwrap_or_default(), message.bounced);
            let overtaken = message.is_overtaken();
            self.messages.remove(&id);
            self.behind.remove(&id);
            self.actions.push_back(Action::Ended {
                id,
                deleted,
                bounced,
                overtaken,
            });
            return;
        }
        if !message.on_its_way() {
            self.notify(id, now);
        }
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        message.forget_old_news();
        if !message.held && !self.loading.contains(&id) {
            message.due = message.first_due();
            if let Some(due) = message.due {
                self.due.insert(message.owner, due, id);
            }
        }
    }
}
