//! Finds out what policy asks the world.
//!
//! Contract: what DNS said is believed for [`MEMORY`]; all questions of a step are asked at the
//! same time. A block list that is off is not asked.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use control::status::Service;
use mail::clock;
use system::log::{Level, line};
use tokio::{sync::mpsc, task::JoinSet, time};

use super::{
    Server,
    filter::Filter,
    learned::{self, Believed, Learned},
    services::Services,
    standings::Standings,
    verification::{self, Verification},
};
use crate::{
    budget::{Budget, Everywhere},
    dispatch::Probe,
    dns::{Dnssec, Lookups},
    limits::{Counted, Limits},
    notices::{Event, Trouble},
    policy::{
        Answer, ClientName, Listing, MailDomain, Query,
        dnsbl::List,
        greylist::Greylist,
        health::{Health, News},
    },
    setup::Setup,
    state,
};

/// How long an answer of DNS is believed.
const MEMORY: Duration = Duration::from_secs(10);
/// A question that nobody answered in less than this is asked again.
const QUICK: Duration = Duration::from_secs(1);
/// Answers that are remembered.
const MOST: usize = 4096;
/// How often it is looked which list is to be tested.
const LOOK: Duration = Duration::from_mins(1);

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
        all.extend(self.services.status());
        all.extend(self.verification.status());
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

    fn lists(&self) -> MutexGuard<'_, Health> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, HashMap<Query, (Answer, Instant)>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recall(&self, query: &Query) -> Option<Answer> {
        let memory = self.memory();
        let (answer, until) = memory.get(query)?;
        (*until > Instant::now()).then(|| answer.clone())
    }

    fn remember(&self, query: Query, answer: Answer) {
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

/// Finds out all of these, several at the same time.
pub(super) async fn ask(
    server: &Arc<Server>,
    setup: &Arc<Setup>,
    queries: Vec<Query>,
) -> Vec<(Query, Answer)> {
    if let [only] = &*queries {
        let answer = match at_once(server, only) {
            Some(answer) => answer,
            None => find_out(server, setup, only).await,
        };
        return queries
            .into_iter()
            .map(|query| (query, answer.clone()))
            .collect();
    }
    let mut known = Vec::with_capacity(queries.len());
    let mut asking = JoinSet::new();
    for query in queries {
        if let Some(answer) = at_once(server, &query) {
            known.push((query, answer));
            continue;
        }
        let (server, setup) = (Arc::clone(server), Arc::clone(setup));
        asking.spawn(async move {
            let answer = find_out(&server, &setup, &query).await;
            (query, answer)
        });
    }
    known.extend(asking.join_all().await);
    known
}

/// What is known in this process.
fn at_once(server: &Server, query: &Query) -> Option<Answer> {
    match query {
        Query::Listed(list, _) if server.world.lists().is_off(list) => {
            Some(Answer::Listed(Listing::Unknown))
        }
        _ => server.world.recall(query),
    }
}

/// Asks whoever knows, and does what follows.
async fn find_out(server: &Arc<Server>, setup: &Arc<Setup>, query: &Query) -> Answer {
    let since = Instant::now();
    let learned = server.world.find_out(setup, query).await;
    if learned.changed {
        server.state.changed();
    }
    match learned.news {
        None => {}
        Some(learned::News::List(news)) => tell(server, setup, Some(news)),
        Some(learned::News::Recipients(news)) => {
            verification::tell(server, setup, Some(news));
        }
    }
    if let (Some(to), Query::RecipientKnown(_, recipient)) = (&learned.asked, query) {
        verification::look_for_catch_all(server, setup, to, recipient);
    }
    let believed = match learned.believed {
        Believed::Yes => true,
        Believed::IfSlow => since.elapsed() > QUICK,
        Believed::No => false,
    };
    if believed {
        server.world.remember(query.clone(), learned.answer.clone());
    }
    learned.answer
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
            Query::RecipientKnown(client, recipient) => {
                self.verification.verify(setup, *client, recipient).await
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

/// Tests block lists, as long as the daemon runs.
pub(crate) async fn test_lists(server: Arc<Server>) {
    let mut ending = server.ending.clone();
    loop {
        let setup = server.current.get();
        for (list, names) in setup.policy.lists() {
            if server.world.lists().is_due(&list, clock::now()) {
                test(&server, &setup, &list, &names).await;
            }
        }
        drop(setup);
        tokio::select! {
            () = time::sleep(LOOK) => {}
            _ = ending.wait_for(|ending| *ending) => return,
        }
    }
}

async fn test(server: &Arc<Server>, setup: &Arc<Setup>, list: &List, names: &(String, String)) {
    let resolver = &setup.resolver;
    let (must, must_not) = tokio::join!(resolver.listed(&names.0), resolver.listed(&names.1));
    let news = server
        .world
        .lists()
        .tested(list, (&must, &must_not), clock::now());
    tell(server, setup, news);
}

fn tell(server: &Arc<Server>, setup: &Arc<Setup>, news: Option<News>) {
    match news {
        None => {}
        Some(News::Off { list, why }) => {
            let host = &setup.config.hostname;
            let headline = format!("{host}: the block list {list} is switched off");
            let text = format!(
                "The block list {list} is not asked any more: {why}.\n\
                 No mail was refused for it. It is tested again every ten minutes, and used as soon as it works.\n\
                 Lists refuse questions that come over a public or a busy name server: see the setting `resolver`,\n\
                 and whether the list wants a key.\n"
            );
            line(
                Level::Error,
                &format_args!("block list {list} is switched off: {why}"),
            );
            server.dispatch.news().tell(Event::Began(Trouble {
                what: format!("the block list {list}"),
                patience: Duration::ZERO,
                headline,
                text,
                lasts: false,
            }));
        }
        Some(News::On { list }) => {
            line(
                Level::Notice,
                &format_args!("block list {list} works, and is used again"),
            );
            let what = format!("the block list {list}");
            server.dispatch.news().tell(Event::Ended { what });
        }
        Some(News::NoTestEntry { list }) => {
            let text = "has no entry for tests (RFC 5782 section 5); does it exist?";
            line(Level::Warning, &format_args!("block list {list} {text}"));
        }
    }
}
