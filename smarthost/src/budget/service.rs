//! The budget as sessions use it, and the task that keeps the store informed.
//!
//! Contract: a message waits for the store for [`store::DEADLINE`] at most, and while the store
//! does not answer not at all.

mod ordered;
mod seen;
mod told;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mail::clock;
use settings::form::Word as _;
use system::log::{Level, line};
use tokio::{
    sync::{Notify, watch},
    task::spawn_blocking,
    time,
};

use super::{
    moment::moment,
    protocol::{Everywhere, Id, Request},
    site::{Next, Site, Take, Terms},
    store::{self, Store},
    wire::{Place, Unusable},
};
use crate::{
    config::{self, Config, OnOutage},
    limits::{Counted, Decision, Limits, Peer},
    state::{Keeper, Memory},
};

pub(crate) use seen::sums;

/// How often the store is told what changed.
const TICK: Duration = Duration::from_secs(1);
/// Budgets that it is told of at once: those who wait for an answer meanwhile wait for all of them.
const BATCH: usize = 16;
/// Why a node decides alone.
const DOUBLED: &str = "hears another smarthost of the same name: see budget.node";
/// How often it is seen whether the store still keeps all that it is told.
const LOOK: Duration = Duration::from_mins(1);

/// One budget over several smarthosts. Without one in the configuration it decides nothing.
pub(crate) struct Budget {
    site: Arc<Mutex<Site>>,
    limits: Arc<Mutex<Limits>>,
    /// Where the store is; `None`: nowhere.
    settings: Option<config::Budget>,
    /// For a look, which asks nobody: what all nodes have counted.
    seen: Everywhere,
    /// And the budget of the daemon, for what it says while the store does not answer.
    daemon: Option<Arc<Self>>,
    link: Mutex<Link>,
    /// An answer of the store has come.
    answered: Notify,
    /// This process, for others of the same name, and what it does while the store does not answer:
    /// `NAME+MODE`.
    process: String,
}

/// What is known of the store.
#[derive(Default)]
struct Link {
    store: Option<Store>,
    /// Why it cannot be used.
    why: Option<String>,
    /// Nodes that have told all they know.
    told: Vec<String>,
    /// Of these, those that are gone for good.
    gone: Vec<String>,
    /// How often another process had this node's name.
    doubled: u32,
    /// Nodes with other limits, and these.
    differing: Vec<(String, String)>,
    /// Nodes that do something else while the store does not answer, and what.
    others: Vec<(String, OnOutage)>,
    /// What lets most through of all that share the budget.
    worst: Option<OnOutage>,
    /// The epoch and the store's time when this node was heard last.
    heard: Option<(String, u64)>,
    /// When it was seen last how the store is set up.
    looked: Option<Instant>,
    /// Smarthosts that share the budget are more than the configuration says: told once.
    surplus_told: bool,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name that nobody else has.
fn fresh() -> String {
    format!("{:016x}", getrandom::u64().unwrap_or_default())
}

impl Budget {
    /// As the configuration says.
    pub(crate) fn new(config: &Config, memory: &Memory) -> Self {
        let mut budget = Self::unshared(memory);
        let site = &budget.site;
        if let Some(settings) = &config.budget {
            let node = settings.node.as_ref().map(ToString::to_string);
            locked(site).set_terms(Terms {
                node: node.unwrap_or_else(|| config.hostname.to_string()),
                nodes: settings.nodes.0,
                on_outage: settings.on_outage,
            });
        }
        let on_outage = budget.site().terms().on_outage;
        budget.process = format!("{}+{}", fresh(), on_outage.as_str());
        budget.settings.clone_from(&config.budget);
        budget
    }

    /// That decides nothing.
    pub(crate) fn unshared(memory: &Memory) -> Self {
        Self {
            site: Arc::clone(&memory.budget),
            limits: Arc::clone(&memory.limits),
            settings: None,
            seen: Everywhere::new(),
            daemon: None,
            link: Mutex::default(),
            answered: Notify::new(),
            process: fresh(),
        }
    }

    fn site(&self) -> MutexGuard<'_, Site> {
        locked(&self.site)
    }

    /// What the whole site says to a message or recipient that this node would take.
    pub(crate) async fn share(
        self: &Arc<Self>,
        peer: &Peer,
        what: Counted,
        own: Decision,
    ) -> Decision {
        if !matches!(own, Decision::Within { .. }) {
            return own;
        }
        let now = clock::now();
        if let Some(full) = self.looked(peer, what, now) {
            return full;
        }
        if self.settings.is_none() {
            return own;
        }
        let shared = locked(&self.limits).shared(peer, now);
        let asked = shared.into_iter().filter(|(_, limit)| limit.counts == what);
        let mut spent: Vec<Id> = Vec::new();
        for (client, limit) in asked {
            let id = Id::new(client.clone(), &limit);
            let (sum, free_at) = match self.take(&id, limit.window.limit).await {
                Take::Spent => {
                    let sum = self.site().everywhere(&id);
                    if let Some(sum) = sum {
                        locked(&self.limits).heard(&client, &limit, sum, now);
                    }
                    spent.push(id);
                    continue;
                }
                Take::Full { sum, free_in } => {
                    (Some(sum), now.after(Duration::from_millis(free_in)))
                }
                Take::Ask(_) | Take::Wait | Take::Alone => (None, now),
            };
            for id in &spent {
                self.site().settle(id, 1, 0, moment());
            }
            let mut limits = locked(&self.limits);
            limits.withdraw(peer, what);
            return limits.refuse_shared(&client, &limit, sum, free_at, now);
        }
        own
    }

    async fn take(self: &Arc<Self>, id: &Id, limit: u32) -> Take {
        let asking = async {
            loop {
                let answered = self.answered.notified();
                tokio::pin!(answered);
                answered.as_mut().enable();
                match self.site().take(id, limit, moment()) {
                    // In a task of its own: it is answered although the session ends.
                    Take::Ask(request) => {
                        let budget = Arc::clone(self);
                        tokio::spawn(async move { budget.ask(&[*request]).await });
                    }
                    Take::Wait => {}
                    decided => return decided,
                }
                answered.await;
            }
        };
        match time::timeout(store::DEADLINE, asking).await {
            Ok(decided) => decided,
            Err(_) => self.site().take_alone(id, limit, moment()),
        }
    }

    async fn ask(&self, requests: &[Request]) {
        let store = locked(&self.link).store.clone();
        let replies = match store {
            Some(store) => match time::timeout(store::DEADLINE, store.ask(requests)).await {
                Ok(replies) => replies,
                Err(_) => Err(Unusable("does not answer in time".to_owned())),
            },
            None => Err(Unusable("is not connected".to_owned())),
        };
        let replies = replies.unwrap_or_else(|why| {
            self.lose(&why);
            Vec::new()
        });
        let mut follows = Next::Go;
        for (nth, request) in requests.iter().enumerate() {
            let next = self.site().answered(request, replies.get(nth), moment());
            if next != Next::Go {
                follows = next;
            }
        }
        self.answered.notify_waiters();
        self.follow(follows).await;
    }

    async fn follow(&self, next: Next) {
        let store = locked(&self.link).store.clone();
        if let (Next::Renew(epoch), Some(store)) = (next, store)
            && let Err(why) = store.renew(&epoch, &fresh()).await
        {
            self.lose(&why);
        }
    }

    /// The connection is given up; what is said once stays said.
    fn lose(&self, why: &Unusable) {
        self.site().lost();
        let mut link = locked(&self.link);
        link.store = None;
        if link.why.replace(why.0.clone()).is_none() {
            let meanwhile = match self.site().terms().on_outage {
                OnOutage::Share => "each smarthost keeps to its part of a limit",
                OnOutage::Defer => "mail of clients with a limit waits",
                OnOutage::Open => "each smarthost keeps to the whole limit for itself",
            };
            line(
                Level::Warning,
                &format_args!("the store of the budget {why}; until it answers {meanwhile}"),
            );
        }
    }

    /// So many recipients and a message that were let begin are answered.
    pub(crate) fn end(&self, peer: &Peer, recipients: u32, taken: Option<u32>) {
        for (id, counts) in self.ids(peer) {
            let (ended, taken) = match counts {
                Counted::Messages => (1, u32::from(taken.is_some())),
                Counted::Recipients => (recipients, taken.unwrap_or(0)),
            };
            self.site().settle(&id, ended, taken, moment());
        }
    }

    /// What was taken was lost on its way to the disk.
    pub(crate) fn take_back(&self, peer: &Peer, recipients: u32) {
        for (id, counts) in self.ids(peer) {
            let lost = match counts {
                Counted::Messages => 1,
                Counted::Recipients => recipients,
            };
            self.site().take_back(&id, lost);
        }
    }

    fn ids(&self, peer: &Peer) -> Vec<(Id, Counted)> {
        if self.settings.is_none() {
            return Vec::new();
        }
        let shared = locked(&self.limits).shared(peer, clock::now()).into_iter();
        let ids = shared.map(|(client, limit)| (Id::new(client, &limit), limit.counts));
        ids.collect()
    }

    /// Keeps the store informed until the daemon ends; then what is leased is given back.
    pub(crate) async fn run(self: Arc<Self>, state: Keeper, mut ending: watch::Receiver<bool>) {
        if self.settings.is_none() {
            return;
        }
        loop {
            self.tick().await;
            state.changed();
            tokio::select! {
                () = time::sleep(TICK) => {}
                _ = ending.wait_for(|ending| *ending) => break,
            }
        }
        self.site().give_back_all();
        self.tell().await;
    }

    async fn tick(&self) {
        let known = locked(&self.link).store.clone();
        let store = match known {
            Some(store) => store,
            None => match self.connect().await {
                Ok(store) => {
                    locked(&self.link).store = Some(store.clone());
                    store
                }
                Err(why) => return self.lose(&why),
            },
        };
        let limits = locked(&self.limits).shared_words();
        let heard = match store.greet(&self.process, &fresh(), &limits).await {
            Ok(heard) => heard,
            Err(why) => return self.lose(&why),
        };
        // Before anything is waited for: it is by this that orders are dated.
        let at = moment();
        if self.is_doubled(&heard) {
            return self.lose(&Unusable(DOUBLED.to_owned()));
        }
        if self.is_set_back(&heard) {
            self.site().lost();
            return self.follow(Next::Renew(heard.hello.epoch)).await;
        }
        if let Err(why) = self.look_again(&store).await {
            return self.lose(&why);
        }
        self.compare(&heard, &limits);
        self.compare_modes(&heard);
        if heard.was_forgotten() {
            // What is known here is waited for again.
            self.site().lost();
        }
        let next = self.site().greeted(&heard.hello, at);
        self.follow(next).await;
        if let Err(why) = self.hear_nodes(&store, &heard).await {
            return self.lose(&why);
        }
        if let Err(why) = self.obey(&store, &heard).await {
            return self.lose(&why);
        }
        self.tell().await;
        if let Some(epoch) = { self.site().told_all() } {
            match store.told(&epoch, self.node().as_str()).await {
                Ok(Some(nodes)) => self.is_up(&epoch, nodes),
                Ok(None) => {}
                Err(why) => return self.lose(&why),
            }
        }
        self.note_told(heard);
        self.tell_surplus();
        self.site().sweep(moment());
    }

    /// Once a minute: the store may have been set up anew.
    async fn look_again(&self, store: &Store) -> Result<(), Unusable> {
        let looked = locked(&self.link).looked;
        if looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(());
        }
        store.keeps_all().await?;
        locked(&self.link).looked = Some(Instant::now());
        Ok(())
    }

    fn node(&self) -> String {
        self.site().terms().node.clone()
    }

    fn is_up(&self, epoch: &str, nodes: usize) {
        self.site().has_told(epoch, nodes);
        if locked(&self.link).why.take().is_some() {
            line(Level::Notice, &"the store of the budget answers");
        }
    }

    async fn connect(&self) -> Result<Store, Unusable> {
        let terms = self.site().terms().clone();
        let settings = self.settings.as_ref();
        let settings = settings.ok_or_else(|| Unusable("is nowhere".to_owned()))?;
        Store::connect(&place(settings).await?, terms, store::DEADLINE).await
    }

    /// Tells what changed.
    async fn tell(&self) {
        loop {
            let untold = self.site().untold(BATCH, moment());
            if !untold.is_empty() {
                self.ask(&untold).await;
            }
            if untold.len() < BATCH {
                return;
            }
        }
    }
}

/// The password is read anew, so that it can be changed at any time.
async fn place(settings: &config::Budget) -> Result<Place, Unusable> {
    let at = settings.store.connection();
    let at = at.ok_or_else(|| Unusable("is nowhere".to_owned()))?;
    let pins = settings.pins.0.clone();
    let Some(file) = &settings.password_file else {
        return Ok(Place { at, pins });
    };
    let file = file.clone();
    // It may lie on a disk that does not answer, for which no other task waits.
    let read = spawn_blocking(move || system::secret::password(&file)).await;
    let password = read.unwrap_or_else(|error| Err(error.to_string()));
    let password = password.map_err(|why| Unusable(format!("has no password: {why}")))?;
    let login = at.redis_settings().clone().set_password(password);
    let at = at.set_redis_settings(login);
    Ok(Place { at, pins })
}

/// Whether the store can be used, for who only looks.
pub(crate) async fn look(settings: &config::Budget) -> Result<(), String> {
    let terms = Terms::default();
    let connected = async { Store::connect(&place(settings).await?, terms, store::DEADLINE).await };
    connected.await.map(drop).map_err(|why| why.to_string())
}
