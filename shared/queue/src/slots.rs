//! All destinations, and who may begin a delivery.
//!
//! Contract: destinations that answered a moment ago may use every place. Those that did today and
//! have not failed since are trusted to work, with a delivery or two each, as long as a tenth of
//! all places is left to the former. Those that are not known to work share a few, of which one
//! owner, one message and one host have a part each, so that neither many silent destinations nor
//! one message to many of them hold up others; beside these a few places are only for first
//! deliveries to destinations that have neither answered nor failed, and for seconds: whose mail
//! waits for hundreds of silent hosts, gets to a new one soon. Places are given in turn, one to a
//! destination that works and one to another; among the latter the newest and the oldest alternate.
//! When half of the few are taken, or most of all, peers get little time
//! ([`crate::Patience::Short`]).

use std::{
    collections::{BTreeSet, VecDeque},
    hash::Hash,
    sync::Arc,
    time::Duration,
};

use mail::{
    clock::Timestamp,
    outcome::{Failure, Stage},
};

mod hosts;
mod orders;
mod places;
mod questions;
mod refusals;
mod silent;
mod turn;

pub(crate) use self::{questions::Answer, refusals::Judged};

use crate::{
    Settings, Transport,
    clock::Step,
    destination::{Destination, Job, Listed, Turn},
    hashed::{Map, Set},
    place::Place,
    question::Questions,
    site::{Key, Suspension, TRUSTED},
    sites::{Sites, Wait},
    transports::Transports,
};

/// Idle destinations remembered, before old ones are forgotten.
const REMEMBERED: usize = 4096;

/// A delivery under way.
#[derive(Debug)]
pub(crate) struct Underway<D, O> {
    pub(crate) destination: Arc<D>,
    pub(crate) owner: O,
    pub(crate) job: Job,
    pub(crate) began: Timestamp,
    pub(crate) site: Key<D>,
    pub(crate) transport: Arc<Transport>,
    pub(crate) ways: u64,
    pub(crate) place: Place,
    pub(crate) on_trust: bool,
    /// As in [`Turn::first`].
    pub(crate) first: bool,
    /// Its destination fell silent at this message before.
    pub(crate) mute: bool,
    /// The peer is silent, and may be cut then.
    pub(crate) silent: Option<Timestamp>,
    /// It is being cut.
    pub(crate) cut: bool,
    /// Recipients that heard of too many connections, as [`crate::recipient`] has them.
    pub(crate) crowded: Vec<u64>,
}

/// What a failed connection led to.
pub(crate) enum Setback {
    /// Fewer connections from now on.
    Slower,
    /// Nothing until then.
    Suspended(Suspension),
}

/// Whether one more delivery to a destination may begin, as far as it alone decides.
#[derive(PartialEq, Eq)]
enum Room<D> {
    Free,
    /// It has nothing to deliver, or waits for what it is told itself.
    None,
    Behind(Wait<D>),
}

/// All destinations.
#[derive(Debug)]
pub(crate) struct Destinations<D, O> {
    known: Map<Arc<D>, Destination<D, O>>,
    sites: Sites<D>,
    transports: Transports<D>,
    /// Those that could begin a delivery.
    working: VecDeque<Arc<D>>,
    unproven: VecDeque<Arc<D>>,
    /// Those that only wait for [`Self::hog`].
    owned: VecDeque<Arc<D>>,
    /// Places that each owner has.
    owners: Map<O, usize>,
    /// The owner who has as many as one may have: there are not enough for two of that sort.
    hog: Option<O>,
    underway: Map<u64, Underway<D, O>>,
    questions: Questions<D>,
    /// How many of them have given up their places among all.
    beside: usize,
    /// Those whose peer is silent and that may be cut, by when they may; and when it was looked
    /// last whether somebody waits for them.
    silences: BTreeSet<(Timestamp, u64)>,
    looked: Timestamp,
    settings: Settings<O>,
    /// How many may be known before idle ones are looked for.
    most: usize,
    turn: bool,
    newest: bool,
    /// No unproven destination may begin a delivery until something changes.
    stuck: bool,
    /// One of them may not because of hosts that others ask, and which these are.
    hosts_full: bool,
    full: Set<Arc<str>>,
    /// There may be places for destinations that are trusted to work.
    trusts: bool,
    /// When a delivery under way counts no more among those to unproven ones.
    slows: Option<Timestamp>,
    /// How often the ways have changed.
    ways: u64,
}

impl<D: Eq + Hash, O: Copy + Ord + Hash> Destinations<D, O> {
    pub(crate) fn new(settings: Settings<O>) -> Self {
        Self {
            known: Map::default(),
            sites: Sites::new(),
            transports: Transports::unnamed(&settings.slots),
            working: VecDeque::new(),
            unproven: VecDeque::new(),
            owned: VecDeque::new(),
            owners: Map::default(),
            hog: None,
            underway: Map::default(),
            questions: Questions::default(),
            beside: 0,
            silences: BTreeSet::new(),
            looked: Timestamp::default(),
            settings,
            most: REMEMBERED,
            turn: false,
            newest: false,
            stuck: false,
            hosts_full: false,
            full: Set::default(),
            trusts: settings.slots.trusted > 0,
            slows: None,
            ways: 0,
        }
    }

    /// Which transport each destination has from now on.
    pub(crate) fn set_transports(&mut self, transports: Transports<D>, now: Timestamp) {
        for (to, destination) in &mut self.known {
            destination.transport = transports.of(to);
        }
        self.transports = transports;
        self.ways += 1;
        self.relist(now);
    }

    /// All jobs that wait, taken out.
    pub(crate) fn extract_all(&mut self) -> Vec<Job> {
        let destinations = self.known.values_mut();
        destinations.flat_map(|it| it.extract(|_| true)).collect()
    }

    /// Whether a delivery goes where its message would go now.
    pub(crate) fn is_its_way(&self, underway: &Underway<D, O>) -> bool {
        underway.ways == self.ways
    }

    pub(crate) fn transport(&self, to: &D) -> Arc<Transport> {
        self.transports.of(to)
    }

    /// A job waits.
    pub(crate) fn push(&mut self, to: &Arc<D>, owner: O, job: Job, now: Timestamp) {
        self.know(to, now);
        if let Some(destination) = self.known.get_mut(to) {
            destination.push(owner, job);
            // It may have waited for the end of a probe.
            if destination.refused.has_paused() && destination.listed == Some(Listed::Blocked) {
                destination.listed = None;
            }
        }
        self.list(to, now);
    }

    /// From now on it is known.
    fn know(&mut self, to: &Arc<D>, now: Timestamp) {
        if !self.known.contains_key(to) {
            self.forget_idle(now);
            let transport = self.transports.of(to);
            let site = Key::Alone(Arc::clone(to));
            self.sites.join(to, None, &site, (0, 0), &transport);
            let new = Destination::new(site, transport, self.settings.first);
            self.known.insert(Arc::clone(to), new);
        }
    }

    /// New mail came for a destination.
    pub(crate) fn hurry(&mut self, to: &D, sender: u64) {
        let first = self.settings.back_off.first;
        let Some(destination) = self.known.get_mut(to) else {
            return;
        };
        destination.refused.hurry(sender, first);
        if let Some(site) = self.sites.get_mut(&destination.site) {
            site.hurry(first);
        }
    }

    /// The delivery of a turn begins.
    pub(crate) fn begin(&mut self, ticket: u64, turn: Turn<D, O>, now: Timestamp) {
        let Some(destination) = self.known.get(&turn.destination) else {
            return;
        };
        let mute = destination.mute.contains(turn.job.id);
        let underway = Underway {
            site: destination.site.clone(),
            transport: Arc::clone(&destination.transport),
            destination: turn.destination,
            owner: turn.owner,
            job: turn.job,
            began: now,
            ways: self.ways,
            place: Place::Full,
            on_trust: turn.on_trust,
            first: turn.first,
            mute,
            silent: None,
            cut: false,
            crowded: Vec::new(),
        };
        if let Some(site) = self.sites.get_mut(&underway.site) {
            site.others = if mute {
                0
            } else {
                site.others.saturating_add(1)
            };
        }
        self.take_place(&underway);
        let to = Arc::clone(&underway.destination);
        self.underway.insert(ticket, underway);
        self.list(&to, now);
    }

    /// The job of a turn was void.
    pub(crate) fn skip(&mut self, turn: &Turn<D, O>, now: Timestamp) {
        self.list(&turn.destination, now);
    }

    /// A delivery that has ended was not made: it is the next in turn again.
    pub(crate) fn give_back(&mut self, underway: Underway<D, O>, now: Timestamp) {
        if let Some(destination) = self.known.get_mut(&underway.destination) {
            let in_order = self.settings.back_off.stays;
            destination.give_back(underway.owner, underway.job, in_order);
        }
        self.list(&underway.destination, now);
    }

    /// A delivery did not fail for a reason of the destination. Whether the destination is back.
    pub(crate) fn worked(&mut self, to: &Arc<D>, well: bool, now: Timestamp) -> bool {
        let Some(destination) = self.known.get(to) else {
            return false;
        };
        let site = self.sites.get_mut(&destination.site).filter(|_| well);
        let back = site.is_some_and(|site| site.worked(&destination.transport, now));
        if well {
            let free = self.sites.free(&Wait::Site(destination.site.clone()));
            self.unblock(free, now);
        }
        self.list(to, now);
        back
    }

    /// A connection failed.
    pub(crate) fn failed(
        &mut self,
        to: &Arc<D>,
        failure: &Failure,
        random: u32,
        now: Timestamp,
    ) -> Setback {
        if failure.stage == Stage::Lookup {
            // No host was asked: it is about this name alone.
            self.move_to(to, Key::Alone(Arc::clone(to)), None, now);
        }
        let back_off = self.settings.back_off;
        let key = self.known.get(to).map(|destination| &destination.site);
        let Some(site) = key.and_then(|key| self.sites.get_mut(key)) else {
            return Setback::Slower;
        };
        if site.slows(failure, now) {
            self.list(to, now);
            return Setback::Slower;
        }
        let suspension = site.suspend(failure, back_off, random, now);
        Setback::Suspended(site.suspended.clone().unwrap_or(suspension))
    }

    /// The wall clock was set.
    pub(crate) fn stepped(&mut self, step: Step, longest: Duration, now: Timestamp) {
        for site in self.sites.values_mut() {
            if step.is_back() {
                site.bound(longest, now);
            }
        }
        for destination in self.known.values_mut().filter(|_| step.is_back()) {
            destination.refused.bound(longest, now);
        }
        for underway in self.underway.values_mut() {
            underway.began = underway.began.min(now);
        }
        self.bound_silences(now);
        self.bound_questions(now);
        self.relist(now);
    }

    /// Until when nothing is tried there, whoever has sent it.
    pub(crate) fn suspended(&self, to: &D, now: Timestamp) -> Option<Timestamp> {
        let site = self.sites.get(&self.known.get(to)?.site)?;
        let until = site.suspended.as_ref()?.until;
        (until > now).then_some(until)
    }

    /// When a suspended destination whose mail stays ready is asked again, or a pause is over.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let cut = self.next_cut().into_iter().chain(self.next_of_questions());
        let cut = cut.min();
        if self.taken() >= self.settings.slots.total {
            // Whatever else is due waits for the end of a delivery.
            return cut;
        }
        let slows = self.slows.filter(|_| !self.unproven.is_empty());
        let pause = self.sites.deadline().into_iter().chain(slows).chain(cut);
        let pause = pause.min();
        if !self.settings.back_off.stays {
            return pause;
        }
        let waiting = self.known.values().filter(|it| !it.jobs.is_empty());
        let sites = waiting.filter_map(|it| Some((self.sites.get(&it.site)?, &it.transport)));
        sites
            .filter(|(site, transport)| site.may_be_probed(transport))
            .filter_map(|(site, _)| site.suspended.as_ref().map(|it| it.until))
            .chain(pause)
            .min()
    }

    /// Suspensions and pauses that are over.
    fn wake(&mut self, now: Timestamp) {
        let rested = self.sites.rested(now);
        self.unblock(rested, now);
        if self.settings.back_off.stays {
            self.relist(now);
        }
    }

    fn relist(&mut self, now: Timestamp) {
        let blocked = self.sites.free_all();
        self.unblock(blocked, now);
        for to in self.known.keys().cloned().collect::<Vec<_>>() {
            self.list(&to, now);
        }
    }

    /// They wait for nothing any more.
    fn unblock(&mut self, free: Vec<Arc<D>>, now: Timestamp) {
        for to in free {
            if let Some(destination) = self.known.get_mut(&to)
                && destination.listed == Some(Listed::Blocked)
            {
                destination.listed = None;
                self.list(&to, now);
            }
        }
    }

    fn room(&self, destination: &Destination<D, O>, now: Timestamp) -> Room<D> {
        let Some(site) = self.sites.get(&destination.site) else {
            return Room::None;
        };
        // Where mail does not stay, only what was flushed is here during a suspension.
        let suspended = site.suspended.as_ref();
        let suspended = suspended.filter(|it| self.settings.back_off.stays && it.until > now);
        let backlog = self.backlog(destination);
        if destination.jobs.is_empty()
            || suspended.is_some()
            || !destination.waits(site.speaking().saturating_mul(backlog))
        {
            return Room::None;
        }
        if !self.takes_mute(destination, now) && destination.unmuted(1) == 0 {
            return Room::Behind(Wait::Site(destination.site.clone()));
        }
        if !destination.probes(site.speaking(), now) && !destination.has_others() {
            return match destination.refused.running(now) {
                Some(_) => Room::None,
                None => Room::Behind(Wait::Site(destination.site.clone())),
            };
        }
        let transport = &destination.transport;
        let wait = self.sites.in_the_way(&destination.site, transport, now);
        wait.map_or(Room::Free, Room::Behind)
    }

    /// Whether it works, or is trusted to.
    fn works(&self, destination: &Destination<D, O>, now: Timestamp) -> bool {
        let site = self.sites.get(&destination.site);
        site.is_some_and(|site| site.works(now) || (self.trusts && site.is_trusted(now)))
    }

    /// Puts a destination where it belongs, if it has something to deliver.
    fn list(&mut self, to: &Arc<D>, now: Timestamp) {
        let Some(destination) = self.known.get(to) else {
            return;
        };
        if destination.listed == Some(Listed::Blocked) {
            return;
        }
        let listed = match self.room(destination, now) {
            Room::None => return,
            Room::Behind(wait) => {
                self.sites.block(to, wait, now);
                Listed::Blocked
            }
            Room::Free if self.works(destination, now) => {
                let owned = self.hog.is_some_and(|hog| destination.is_all_of(hog));
                if owned {
                    Listed::Owned
                } else {
                    Listed::Working
                }
            }
            Room::Free => Listed::Unproven,
        };
        let site = self.sites.get(&destination.site);
        let is_back = site.is_some_and(|it| it.answered.is_some() && it.failures == 0);
        let Some(destination) = self.known.get_mut(to) else {
            return;
        };
        match (destination.listed, listed) {
            (Some(before), now) if before == now => return,
            (Some(Listed::Working | Listed::Owned), Listed::Unproven) => return,
            _ => destination.listed = Some(listed),
        }
        match listed {
            Listed::Blocked => {}
            Listed::Working => self.working.push_back(Arc::clone(to)),
            Listed::Owned => self.owned.push_back(Arc::clone(to)),
            Listed::Unproven => {
                self.stuck = false;
                if is_back {
                    self.unproven.push_front(Arc::clone(to));
                } else {
                    self.unproven.push_back(Arc::clone(to));
                }
            }
        }
    }

    fn forget_idle(&mut self, now: Timestamp) {
        if self.known.len() < self.most {
            return;
        }
        let keep = self.settings.back_off.longest;
        let mut known = std::mem::take(&mut self.known);
        let sites = &self.sites;
        known.retain(|to, destination| {
            !destination.jobs.is_empty()
                || self.is_asked_for(to)
                || destination.refused.running(now).is_some()
                || sites.get(&destination.site).is_some_and(|site| {
                    let suspension = site.suspended.as_ref();
                    let bad = suspension.is_some_and(|it| it.until.after(keep) > now);
                    let good = site.answered.is_some_and(|then| now.since(then) < TRUSTED);
                    site.delivering > 0 || site.asking.under_way > 0 || bad || good
                })
        });
        self.known = known;
        let known = &self.known;
        self.sites.forget(|to| known.contains_key(to), now);
        // Looking at all of them is worth it only where some may have grown old.
        self.most = REMEMBERED.max(self.known.len().saturating_mul(2));
    }
}
