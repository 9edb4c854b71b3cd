//! The hosts behind destinations: how many deliveries they get at once, their back-off, their
//! pause, and what they taught.
//!
//! Destinations with the same hosts are one site: a provider is asked once, however many domains it
//! hosts. A destination whose hosts are not known is a site of its own. The limit of a site starts
//! at the transport's, grows by one with each delivery that worked, up to the transport's, and
//! falls to what still works when a connection fails beside working ones. When none works the site
//! is suspended: each further time twice as long, at most the longest pause; afterwards one
//! delivery at a time probes. A site that answered works for half a minute; for hours it is trusted
//! to, unless a connection failed since: the next delivery shows whether it does.
//! A site that says "too many connections" to a session is believed: the number that it took is the
//! most, one more after each [`LESSON`]; one that says so to mail may mean that mail
//! ([`crate::crowd`]).

use std::{hash::Hash, sync::Arc, time::Duration};

use mail::{clock::Timestamp, limits, outcome::Failure};
use spool::QueueId;

use crate::{
    BackOff, Transport,
    asking::Asking,
    crowd::{Crowd, Whose},
    hashed::Set,
};

/// How long a destination that answered counts as one that works.
const WORKING: Duration = Duration::from_secs(30);
/// How long one that has not failed since is trusted to work still.
pub(crate) const TRUSTED: Duration = Duration::from_hours(6);
/// Deliveries at once on trust: the first answer is proof.
const ON_TRUST: usize = 2;
/// How long the most that a site took is believed, before one more is tried.
const LESSON: Duration = Duration::from_hours(1);
/// Hosts that fall silent at different messages, and answer nobody for so long, fail: as long as
/// the protocol waits for most replies.
const SILENT: Duration = limits::REPLY_TIMEOUT;
/// How long it is remembered at all.
const REMEMBERED: Duration = Duration::from_hours(24);

/// What shares connections.
#[derive(PartialEq, Eq, Hash, Debug)]
pub(crate) enum Key<D> {
    /// A destination whose hosts are not known.
    Alone(Arc<D>),
    /// These hosts, in order, by this transport.
    Hosts(Option<Arc<str>>, Arc<[Arc<str>]>),
}

impl<D> Clone for Key<D> {
    fn clone(&self) -> Self {
        match self {
            Self::Alone(to) => Self::Alone(Arc::clone(to)),
            Self::Hosts(transport, hosts) => Self::Hosts(transport.clone(), Arc::clone(hosts)),
        }
    }
}

/// Why and until when nothing is tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Suspension {
    pub(crate) until: Timestamp,
    /// When the attempt failed that led to it.
    pub(crate) failed: Timestamp,
    pub(crate) reason: Arc<str>,
    pub(crate) failure: Failure,
}

impl Suspension {
    pub(crate) fn new(failure: &Failure, until: Timestamp, now: Timestamp) -> Self {
        Self {
            until,
            failed: now,
            reason: format!("delivery temporarily suspended: {}", failure.log_text()).into(),
            failure: failure.clone(),
        }
    }

    /// As after a first failure.
    pub(crate) fn hurry(&mut self, first: Duration) {
        self.until = self.until.min(self.failed.after(first));
    }

    /// The wall clock was set back.
    pub(crate) fn bound(&mut self, longest: Duration, now: Timestamp) {
        self.until = self.until.min(now.after(longest));
        self.failed = self.failed.min(now);
    }
}

/// The most connections that hosts took before they said that these were too many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lesson {
    pub transport: Option<Arc<str>>,
    /// In order.
    pub hosts: Arc<[Arc<str>]>,
    pub connections: usize,
    pub learned: Timestamp,
}

impl Lesson {
    /// Whether it still says anything.
    pub fn is_believed(&self, now: Timestamp) -> bool {
        now.since(self.learned) < REMEMBERED
    }

    /// How many are opened now: one more after each hour.
    pub fn most(&self, now: Timestamp) -> usize {
        most(self.connections, self.learned, now)
    }
}

/// What a lesson says now.
fn most(connections: usize, learned: Timestamp, now: Timestamp) -> usize {
    let more = now.since(learned).as_secs() / LESSON.as_secs();
    connections.saturating_add(usize::try_from(more).unwrap_or(usize::MAX))
}

/// That hosts fall silent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Silent {
    /// At this message first, which came to be delivered then.
    at: QueueId,
    since: Timestamp,
    /// And at another one.
    several: bool,
}

#[derive(Debug)]
pub(crate) struct Site<D> {
    pub(crate) members: Set<Arc<D>>,
    /// Deliveries under way, each with a connection.
    pub(crate) delivering: usize,
    /// Those of them whose peer is silent, and which try no more what the hosts bear.
    pub(crate) silent: usize,
    /// Questions about recipients: theirs are connections, too.
    pub(crate) asking: Asking,
    /// Deliveries that began since the last one of a message at which it fell silent before.
    pub(crate) others: u32,
    /// How many others than those are tried at once.
    pub(crate) limit: usize,
    /// Suspensions without a success between them.
    pub(crate) failures: u32,
    pub(crate) suspended: Option<Suspension>,
    /// When it last took part in a delivery.
    pub(crate) answered: Option<Timestamp>,
    /// A connection has failed since, or its hosts are asked by too many others.
    pub(crate) doubtful: bool,
    /// Names and addresses, once they are known.
    pub(crate) hosts: Vec<Arc<str>>,
    /// The end of the pause after a delivery.
    pub(crate) rests: Option<Timestamp>,
    /// The most that it took, and when it said so.
    pub(crate) lesson: Option<(usize, Timestamp)>,
    /// Whose mail heard that there are too many.
    crowd: Crowd,
    /// It has answered nobody since it fell silent.
    pub(crate) silence: Option<Silent>,
}

impl<D: Eq + Hash> Site<D> {
    pub(crate) fn new(transport: &Transport) -> Self {
        Self {
            members: Set::default(),
            delivering: 0,
            silent: 0,
            asking: Asking::default(),
            others: 0,
            limit: transport.initial.min(transport.at_once()).max(1),
            failures: 0,
            suspended: None,
            answered: None,
            doubtful: false,
            hosts: Vec::new(),
            rests: None,
            lesson: None,
            crowd: Crowd::default(),
            silence: None,
        }
    }

    /// Whether it answered a moment ago.
    pub(crate) fn works(&self, now: Timestamp) -> bool {
        self.failures == 0 && self.answered.is_some_and(|then| now.since(then) <= WORKING)
    }

    /// Whether nothing is known of it: it has neither answered nor failed, and nobody asks it.
    pub(crate) fn is_fresh(&self) -> bool {
        self.answered.is_none() && !self.doubtful && self.failures == 0 && self.delivering == 0
    }

    /// Whether it answered today, and nothing has spoken against it since.
    pub(crate) fn is_trusted(&self, now: Timestamp) -> bool {
        !self.doubtful
            && self.failures == 0
            && self.speaking() < ON_TRUST
            && self.answered.is_some_and(|then| now.since(then) <= TRUSTED)
    }

    /// Whether it is in the pause after a delivery.
    pub(crate) fn rests(&self, now: Timestamp) -> bool {
        self.rests.is_some_and(|until| until > now)
    }

    /// Deliveries under way whose peer is not silent.
    pub(crate) fn speaking(&self) -> usize {
        self.delivering.saturating_sub(self.silent)
    }

    /// Connections, those of questions with them.
    fn connections(&self) -> usize {
        self.delivering.saturating_add(self.asking.under_way)
    }

    /// Those of them that try what the hosts bear.
    fn trying(&self) -> usize {
        self.speaking().saturating_add(self.asking.under_way)
    }

    /// Whether questions may have one more of its places.
    pub(crate) fn has_room_for_a_question(&self, transport: &Transport, now: Timestamp) -> bool {
        !self.asking.is_paused(now) && self.asking.has_room(self.most(transport, now))
    }

    /// Whether questions have more of them than they may.
    pub(crate) fn has_too_many_questions(&self, transport: &Transport, now: Timestamp) -> bool {
        self.asking.has_too_many(self.most(transport, now))
    }

    /// Deliveries at once, beside those whose peer is silent.
    fn most(&self, transport: &Transport, now: Timestamp) -> usize {
        self.limit.min(self.places(transport, now)).max(1)
    }

    /// The most that there are ever at once, as the transport says, and what it has taught.
    pub(crate) fn places(&self, transport: &Transport, now: Timestamp) -> usize {
        transport.at_once().min(self.taught(now)).max(1)
    }

    fn taught(&self, now: Timestamp) -> usize {
        let taught = |(connections, then)| most(connections, then, now);
        self.lesson.map_or(usize::MAX, taught)
    }

    /// Connections at once, silent ones with them.
    fn open(&self, transport: &Transport, now: Timestamp) -> usize {
        transport.open_at_once().min(self.taught(now)).max(1)
    }

    /// Whether it may bear one more, silent ones aside.
    pub(crate) fn may_try(&self, transport: &Transport, now: Timestamp) -> bool {
        self.trying() < self.most(transport, now)
    }

    /// Whether there may be one more connection.
    pub(crate) fn may_open(&self, transport: &Transport, now: Timestamp) -> bool {
        self.connections() < self.open(transport, now)
    }

    /// Whether there may be one more delivery.
    pub(crate) fn has_room(&self, transport: &Transport, now: Timestamp) -> bool {
        self.may_open(transport, now) && self.may_try(transport, now)
    }

    /// Whether there are more than there may be.
    pub(crate) fn has_too_many(&self, transport: &Transport, now: Timestamp) -> bool {
        self.connections() > self.open(transport, now) || self.trying() > self.most(transport, now)
    }

    /// How many more there may be.
    pub(crate) fn spare(&self, transport: &Transport, now: Timestamp) -> usize {
        let open = self.open(transport, now).saturating_sub(self.connections());
        open.min(self.most(transport, now).saturating_sub(self.trying()))
    }

    /// Whether the end of its suspension lets a delivery begin: none is tried yet, and silent ones
    /// leave a connection.
    pub(crate) fn may_be_probed(&self, transport: &Transport) -> bool {
        let taught = self.lesson.map_or(usize::MAX, |(most, _)| most);
        self.speaking() == 0 && self.connections() < transport.open_at_once().min(taught).max(1)
    }

    /// A delivery has ended well: one more at once may. Whether it was suspended and is not any
    /// more.
    pub(crate) fn worked(&mut self, transport: &Transport, now: Timestamp) -> bool {
        self.answered = Some(now);
        self.silence = None;
        self.doubtful = false;
        self.failures = 0;
        self.raise_limit(transport, now);
        self.suspended.take().is_some()
    }

    /// It fell silent at a message, of which a delivery began then: whether that is about this
    /// message alone, as far as is known.
    pub(crate) fn falls_silent(&mut self, at: QueueId, began: Timestamp, now: Timestamp) -> bool {
        if self.answered.is_some_and(|then| then > began) {
            return true;
        }
        let silence = self.silence.get_or_insert(Silent {
            at,
            since: began,
            several: false,
        });
        silence.several |= silence.at != at;
        !silence.several || now.since(silence.since) < SILENT
    }

    /// A connection failed: whether others beside it work, so that only their number is lowered.
    pub(crate) fn slows(&mut self, failure: &Failure, now: Timestamp) -> bool {
        let others = if failure.limits_connections() {
            self.has_taught(now);
            self.connections()
        } else {
            self.doubtful = true;
            // Whether silent ones work is not known.
            self.speaking()
        };
        if others > 0 {
            self.limit = self.trying().max(1);
        }
        others > 0
    }

    /// It has said that one more than there are was too many.
    fn has_taught(&mut self, now: Timestamp) {
        self.lesson = Some((self.connections().max(1), now));
    }

    /// A question failed: whether only because of its connection, one too many. That stops
    /// questions alone for a while; what is said to the session also teaches what a delivery would
    /// be taught, and later words may mean questions alone.
    pub(crate) fn has_too_many_for(&mut self, failure: &Failure, now: Timestamp) -> bool {
        let others = self.connections() > 0;
        if !(failure.means_too_many_connections() || others && failure.closes()) {
            return false;
        }
        if failure.limits_connections() {
            self.has_taught(now);
        }
        if others && !failure.is_of_mail() {
            self.limit = self.trying().max(1);
        }
        self.asking.begin_pause(now);
        true
    }

    /// A question was answered: the hosts bear one more connection, unless they fail at mail.
    pub(crate) fn answers(&mut self, transport: &Transport, now: Timestamp) {
        self.asking.end_pause();
        self.asking.answers = true;
        if self.suspended.is_none() {
            self.raise_limit(transport, now);
        }
    }

    fn raise_limit(&mut self, transport: &Transport, now: Timestamp) {
        self.limit = (self.most(transport, now) + 1)
            .min(transport.at_once())
            .max(1);
    }

    /// It said to mail that there are too many connections.
    pub(crate) fn says_crowded(&mut self, whose: Whose, now: Timestamp) {
        self.crowd.hears(whose, self.connections(), now);
    }

    /// It has taken mail whose delivery began then: whether that shows how many connections it
    /// takes.
    pub(crate) fn takes(&mut self, began: Timestamp, now: Timestamp) -> bool {
        let Some(connections) = self.crowd.takes(began) else {
            return false;
        };
        self.lesson = Some((connections, now));
        self.limit = self.limit.min(connections);
        true
    }

    /// A connection failed while no other one worked: nothing until the suspension is over.
    pub(crate) fn suspend(
        &mut self,
        failure: &Failure,
        back_off: BackOff,
        random: u32,
        now: Timestamp,
    ) -> Suspension {
        self.limit = 1;
        let suspended = self.suspended.as_ref().map(|suspension| suspension.until);
        // An attempt out of turn, by the administrator's order, makes nobody else wait longer.
        let until = suspended.filter(|until| *until > now).unwrap_or_else(|| {
            let pause = back_off.pause(self.failures, random);
            self.failures = self.failures.saturating_add(1);
            now.after(pause)
        });
        let suspension = Suspension::new(failure, until, now);
        self.suspended = Some(suspension.clone());
        suspension
    }

    /// New mail may be what brings the news that it is back.
    pub(crate) fn hurry(&mut self, first: Duration) {
        if let Some(suspension) = &mut self.suspended {
            suspension.hurry(first);
        }
    }

    /// The wall clock was set back, or is wrong by more than any pause: nothing waits longer than
    /// `longest`.
    pub(crate) fn bound(&mut self, longest: Duration, now: Timestamp) {
        if let Some(suspension) = &mut self.suspended {
            suspension.bound(longest, now);
        }
        self.answered = self.answered.map(|then| then.min(now));
        self.lesson = self.lesson.map(|(most, then)| (most, then.min(now)));
        if let Some(silence) = &mut self.silence {
            silence.since = silence.since.min(now);
        }
        self.crowd.forget();
        self.asking.bound(now);
        self.rests = None;
    }

    /// Whether it still teaches something.
    pub(crate) fn is_remembered(&self, now: Timestamp) -> bool {
        let lesson = self.lesson.as_ref();
        lesson.is_some_and(|(_, then)| now.since(*then) < REMEMBERED)
    }
}
