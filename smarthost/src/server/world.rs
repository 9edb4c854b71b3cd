//! Finds out what policy asks the world.
//!
//! Contract: what DNS said is believed for [`MEMORY`]; all questions of a step are asked at the
//! same time. A block list that is off is not asked.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use control::status::Service;
use mail::clock;
use tokio::sync::mpsc;

use super::{
    filter::Filter,
    learned::{self, Learned},
    services::Services,
    standings::Standings,
    verification::Verification,
};
use crate::{
    budget::{Budget, Everywhere},
    dispatch::Probe,
    dns::{Dnssec, Lookups},
    limits::{Counted, Limits},
    policy::{
        Answer, ClientName, Listing, MailDomain, Policy, Query, greylist::Greylist, health::Health,
        rule::Rule,
    },
    setup::Setup,
    state,
};

/// How long an answer of DNS is believed.
const MEMORY: Duration = Duration::from_secs(10);
/// Answers that are remembered.
const MOST: usize = 4096;

/// What is known of the world.
#[derive(Debug)]
pub(crate) struct World {
    memory: Mutex<HashMap<Query, (Answer, Instant)>>,
    lists: Mutex<Health>,
    services: Services,
    milters: Arc<Standings>,
    lookups: Lookups,
    /// Whether DNSSEC works, once it was tested.
    dnssec: Mutex<Option<Dnssec>>,
    greylist: Arc<Mutex<Greylist>>,
    limits: Arc<Mutex<Limits>>,
    budget: Arc<Budget>,
    pub(super) verification: Verification,
}

impl World {
    pub(crate) fn new(
        memory: &state::Memory,
        budget: Arc<Budget>,
        probes: mpsc::Sender<Probe>,
    ) -> Self {
        Self {
            memory: Mutex::default(),
            lists: Mutex::default(),
            services: Services::default(),
            milters: Arc::default(),
            dnssec: Mutex::default(),
            lookups: Lookups::default(),
            greylist: Arc::clone(&memory.greylist),
            limits: Arc::clone(&memory.limits),
            budget,
            verification: Verification::new(Arc::clone(&memory.recipients), probes),
        }
    }

    /// What is wrong with the world, for administrators.
    pub(crate) fn alarms(&self, setup: &Setup) -> Vec<String> {
        let mut alarms = self.lists().alarms();
        alarms.extend(self.verification.alarms(setup));
        alarms
    }

    /// How those do whom the daemon asks.
    pub(crate) fn services(&self, setup: &Setup) -> Vec<Service> {
        let mut all = vec![Lookups::status(&[&self.lookups, &setup.resolver.lookups])];
        let mut seen = HashSet::new();
        let lists = self.lists();
        for (list, _) in setup.policy.lists() {
            if seen.insert(list.name()) {
                let (works, text) = lists.of(&list);
                all.push(Service::new("block list", list.name(), works, text));
            }
        }
        drop(lists);
        let dnssec = self.dnssec.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(dnssec.as_ref().map(|found| {
            let works = *found == Dnssec::Works;
            Service::new("resolver", "DNSSEC", works, found.to_string())
        }));
        drop(dnssec);
        let milters = setup.config.milters.iter();
        all.extend(milters.map(|it| self.milters.of("milter", &it.endpoint)));
        all.extend(self.budget.status());
        let servers = setup.config.restrictions.iter().filter_map(Rule::service);
        let mut told = HashSet::new();
        let servers = servers.filter(|endpoint| told.insert(*endpoint));
        all.extend(servers.map(|endpoint| self.services.standing(endpoint)));
        all.extend(self.verification.status(&setup.config));
        all
    }

    /// What all smarthosts that share a budget have counted.
    pub(crate) fn everywhere_now(&self) -> Everywhere {
        self.budget.everywhere_now()
    }

    /// Those of the configuration, for a session.
    pub(super) fn filters(&self, setup: &Setup) -> Vec<Filter> {
        let milters = setup.config.milters.iter().cloned();
        milters
            .map(|milter| Filter::new(milter, Arc::clone(&self.milters)))
            .collect()
    }

    /// Tests DNSSEC where a setting wants it; what was found, if it is something else than before.
    pub(crate) async fn test_dnssec(&self, setup: &Setup) -> Option<Dnssec> {
        let found = if setup.config.tls_out.level.is_dane() {
            Some(setup.resolver.test().await)
        } else {
            None
        };
        let mut known = self.dnssec.lock().unwrap_or_else(PoisonError::into_inner);
        (*known != found).then(|| known.clone_from(&found))?;
        found
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The block lists in use that are switched off, since when and why.
    pub(crate) fn lists_off(&self, policy: &Policy) -> BTreeMap<String, String> {
        let (health, all) = (self.lists(), policy.lists().into_iter());
        let off = all.filter(|(list, _)| health.is_off(list));
        off.map(|(list, _)| (list.name(), health.of(&list).1))
            .collect()
    }

    pub(super) fn lists(&self) -> MutexGuard<'_, Health> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, HashMap<Query, (Answer, Instant)>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn recall(&self, query: &Query) -> Option<Answer> {
        let memory = self.memory();
        let (answer, until) = memory.get(query)?;
        (*until > Instant::now()).then(|| answer.clone())
    }

    pub(super) fn remember(&self, query: Query, answer: Answer) {
        let now = Instant::now();
        let mut memory = self.memory();
        if memory.len() >= MOST {
            memory.retain(|_, (_, until)| *until > now);
        }
        if memory.len() < MOST {
            memory.insert(query, (answer, now + MEMORY));
        }
    }
}

impl World {
    /// Asks whoever knows. What is counted or remembered is so in this process alone: see
    /// [`Learned`].
    pub(crate) async fn find_out(&self, setup: &Setup, query: &Query) -> Learned {
        let learned = self.asked(setup, query).await;
        match &learned.answer {
            Answer::MailDomain(found) => self.lookups.count(*found != MailDomain::Unknown),
            Answer::ClientName(found) => self.lookups.count(*found != ClientName::Unknown),
            _ => {}
        }
        learned
    }

    async fn asked(&self, setup: &Setup, query: &Query) -> Learned {
        let resolver = &setup.resolver;
        match query {
            Query::MailDomain(domain) => {
                let found = resolver.mail_domain(domain).await;
                Learned::plain(Answer::MailDomain(found), found != MailDomain::Unknown)
            }
            Query::ClientName(address) => {
                let name = resolver.client_name(*address).await;
                let sure = !matches!(name, ClientName::Unknown | ClientName::Doubtful(_));
                Learned::plain(Answer::ClientName(name), sure)
            }
            Query::Listed(list, name) => {
                let found = resolver.listed(name).await;
                let found = list.discreet(found, setup.policy.keys());
                let (listing, news) = self.lists().judge(list, found, clock::now());
                let sure = listing != Listing::Unknown;
                Learned::plain(Answer::Listed(listing), sure).telling(news.map(learned::News::List))
            }
            Query::Greylist(client, sender, recipient) => {
                let delay = setup.config.greylist.delay;
                let mut list = self.greylist.lock().unwrap_or_else(PoisonError::into_inner);
                let decision = list.ask(*client, (sender, recipient), delay, clock::now());
                Learned::once(Answer::Greylist(decision)).changing()
            }
            Query::RecipientKnown(asker, recipient) => {
                self.verification.verify(setup, *asker, recipient).await
            }
            // The same question later is another one.
            Query::Service(endpoint, request) => {
                Learned::once(Answer::Service(self.services.ask(endpoint, request).await))
            }
            Query::Message(client) => {
                let own = self.limits().begin(client, clock::now());
                let decision = self.budget.share(client, Counted::Messages, own).await;
                Learned::once(Answer::Limit(decision))
            }
            Query::Recipient(client) => {
                let own = self.limits().recipient(client, clock::now());
                let decision = self.budget.share(client, Counted::Recipients, own).await;
                Learned::once(Answer::Limit(decision))
            }
        }
    }
}
