//! Which destinations have which hosts, and who waits for a place of a site or of a transport.
//!
//! Contract: whoever waits is given back as soon as a place may be free for him: after a delivery,
//! a pause, a move to other hosts.

use std::{collections::BTreeMap, hash::Hash, sync::Arc};

use mail::clock::Timestamp;

use crate::{
    Transport,
    hashed::Map,
    site::{Key, Lesson, Site},
};

/// What a destination waits for.
#[derive(PartialEq, Eq, Hash, Debug)]
pub(crate) enum Wait<D> {
    Site(Key<D>),
    Transport(Arc<str>),
}

/// What ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    Delivery,
    Question,
}

/// All sites, and the places of transports that are taken.
#[derive(Debug)]
pub(crate) struct Sites<D> {
    all: Map<Key<D>, Site<D>>,
    processes: Map<Arc<str>, usize>,
    blocked: Map<Wait<D>, Vec<Arc<D>>>,
    /// Pauses whose end somebody waits for.
    pauses: BTreeMap<Timestamp, Vec<Key<D>>>,
}

impl<D: Eq + Hash> Sites<D> {
    pub(crate) fn new() -> Self {
        Self {
            all: Map::default(),
            processes: Map::default(),
            blocked: Map::default(),
            pauses: BTreeMap::new(),
        }
    }

    pub(crate) fn get(&self, key: &Key<D>) -> Option<&Site<D>> {
        self.all.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &Key<D>) -> Option<&mut Site<D>> {
        self.all.get_mut(key)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Site<D>> {
        self.all.values_mut()
    }

    /// A destination that is new, or has other hosts; so many deliveries under way are its own, and
    /// questions. What the site that it was alone in has learned stays, where nothing is known of
    /// the new one.
    pub(crate) fn join(
        &mut self,
        to: &Arc<D>,
        from: Option<&Key<D>>,
        key: &Key<D>,
        (under_way, asking): (usize, usize),
        transport: &Transport,
    ) {
        let mut left = None;
        if let Some(from) = from
            && let Some(site) = self.all.get_mut(from)
        {
            site.members.remove(to);
            site.delivering = site.delivering.saturating_sub(under_way);
            site.asking.under_way = site.asking.under_way.saturating_sub(asking);
            if site.members.is_empty() && matches!(from, Key::Alone(_)) {
                left = self.all.remove(from);
            }
        }
        let known = matches!(key, Key::Hosts(..)).then_some(left).flatten();
        let site = self.all.entry(key.clone()).or_insert_with(|| {
            let mut site = known.unwrap_or_else(|| Site::new(transport));
            (site.delivering, site.silent, site.asking.under_way) = (0, 0, 0);
            site
        });
        if site.members.is_empty() && site.answered.is_none() {
            // What was taught before a restart says nothing of the transport's own limits.
            site.limit = site.limit.min(Site::<D>::new(transport).limit);
        }
        site.members.insert(Arc::clone(to));
        site.delivering = site.delivering.saturating_add(under_way);
        site.asking.under_way = site.asking.under_way.saturating_add(asking);
    }

    pub(crate) fn begin(&mut self, key: &Key<D>, transport: &Transport) {
        if let Some(site) = self.all.get_mut(key) {
            site.delivering += 1;
            site.asking.gives_way();
        }
        self.begin_process(transport);
    }

    /// A question begins.
    pub(crate) fn begin_question(&mut self, key: &Key<D>, transport: &Transport) {
        if let Some(site) = self.all.get_mut(key) {
            site.asking.begin();
        }
        self.begin_process(transport);
    }

    fn begin_process(&mut self, transport: &Transport) {
        if let Some(name) = &transport.name {
            *self.processes.entry(Arc::clone(name)).or_default() += 1;
        }
    }

    /// A delivery has ended, or a question; those that may have waited for it. The pause after it
    /// begins now.
    pub(crate) fn end(
        &mut self,
        key: &Key<D>,
        transport: &Transport,
        what: Ended,
        now: Timestamp,
    ) -> Vec<Arc<D>> {
        if let Some(site) = self.all.get_mut(key) {
            match what {
                Ended::Delivery => site.delivering = site.delivering.saturating_sub(1),
                Ended::Question => site.asking.end(),
            }
        }
        if let Some(site) = self.all.get_mut(key)
            && !transport.delay.is_zero()
        {
            site.rests = Some(now.after(transport.delay));
        }
        let mut free = self.free(&Wait::Site(key.clone()));
        if let Some(name) = &transport.name {
            if let Some(processes) = self.processes.get_mut(name) {
                *processes = processes.saturating_sub(1);
            }
            free.extend(self.free(&Wait::Transport(Arc::clone(name))));
        }
        free
    }

    /// What a delivery would have to wait for now.
    pub(crate) fn in_the_way(
        &self,
        key: &Key<D>,
        transport: &Transport,
        now: Timestamp,
    ) -> Option<Wait<D>> {
        let site = self.all.get(key)?;
        if !site.has_room(transport, now) || site.rests(now) {
            return Some(Wait::Site(key.clone()));
        }
        let name = transport.name.as_ref().filter(|_| self.is_busy(transport));
        name.map(|name| Wait::Transport(Arc::clone(name)))
    }

    /// Whether all places of a transport are taken.
    pub(crate) fn is_busy(&self, transport: &Transport) -> bool {
        let taken = transport
            .name
            .as_ref()
            .and_then(|it| self.processes.get(it));
        taken.is_some_and(|taken| *taken >= transport.processes)
    }

    /// Those that wait for it.
    pub(crate) fn waiting(&self, wait: &Wait<D>) -> &[Arc<D>] {
        self.blocked
            .get(wait)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// It waits until that is free.
    pub(crate) fn block(&mut self, to: &Arc<D>, wait: Wait<D>, now: Timestamp) {
        if let Wait::Site(key) = &wait
            && let Some(until) = self.all.get(key).and_then(|site| site.rests)
            && until > now
        {
            let ending = self.pauses.entry(until).or_default();
            if !ending.contains(key) {
                ending.push(key.clone());
            }
        }
        let waiting = self.blocked.entry(wait).or_default();
        waiting.push(Arc::clone(to));
    }

    /// Those that waited for it, who do no more.
    pub(crate) fn free(&mut self, wait: &Wait<D>) -> Vec<Arc<D>> {
        self.blocked.remove(wait).unwrap_or_default()
    }

    /// All that wait for anything, who do no more.
    pub(crate) fn free_all(&mut self) -> Vec<Arc<D>> {
        self.pauses.clear();
        self.blocked
            .drain()
            .flat_map(|(_, waiting)| waiting)
            .collect()
    }

    /// Those whose pause is over.
    pub(crate) fn rested(&mut self, now: Timestamp) -> Vec<Arc<D>> {
        let mut free = Vec::new();
        while let Some(ending) = self.pauses.first_entry()
            && *ending.key() <= now
        {
            for key in ending.remove() {
                free.extend(self.free(&Wait::Site(key)));
            }
        }
        free
    }

    /// When the next pause ends that somebody waits for.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.pauses.keys().next().copied()
    }

    /// Sites that no destination has, and that teach nothing, are forgotten.
    pub(crate) fn forget(&mut self, is_known: impl Fn(&D) -> bool, now: Timestamp) {
        self.all.retain(|_, site| {
            site.members.retain(|member| is_known(member));
            !site.members.is_empty()
                || site.delivering > 0
                || site.asking.under_way > 0
                || site.is_remembered(now)
        });
    }

    /// What was learned of the number of connections that hosts take.
    pub(crate) fn lessons(&self, now: Timestamp) -> Vec<Lesson> {
        let sites = self.all.iter().filter(|(_, site)| site.is_remembered(now));
        sites.filter_map(|(key, site)| lesson(key, site)).collect()
    }

    /// What a site has taught.
    pub(crate) fn lesson(&self, key: &Key<D>) -> Option<Lesson> {
        lesson(key, self.all.get(key)?)
    }

    /// What was learned before a restart.
    pub(crate) fn teach(&mut self, lesson: Lesson, transport: &Transport) {
        let key = Key::Hosts(lesson.transport, lesson.hosts);
        let site = self.all.entry(key);
        site.or_insert_with(|| Site::new(transport)).lesson =
            Some((lesson.connections, lesson.learned));
    }
}

/// Only hosts that are known by name teach something that is of use later.
fn lesson<D>(key: &Key<D>, site: &Site<D>) -> Option<Lesson> {
    match (key, site.lesson) {
        (Key::Hosts(transport, hosts), Some((connections, learned))) => Some(Lesson {
            transport: transport.clone(),
            hosts: Arc::clone(hosts),
            connections,
            learned,
        }),
        _ => None,
    }
}
