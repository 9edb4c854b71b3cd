//! What the agent's threads share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::Receiver};

use control::attempts::Attempts;
use mail::{
    clock::{self, Timestamp},
    message::rewrite::Rules,
};
use queue::deferring::Deferring;
use relay::{delivery::Memory, net::names::Names, trust::PeerKey};
use settings::last_good::{self, Fault};
use spool::{Hold, QueueId, Spool};
use tables::{
    copies,
    secret::{self, Kept},
};

use super::{
    addressing::Names as Expanded,
    budget::keeping::Budget,
    counts::Counts,
    deaf::Deaf,
    dispatch::{Dispatch, NOBODY, Signal},
    duplicates::keeping::Duplicates,
    flushes::Flushes,
    keys::Keys,
    outage::Outages,
    owners::Owners,
    presence::Presence,
    rewriting::Rewriting,
    share::Claims,
    turns::Turns,
    unchanged::keeping::Reports,
};
use crate::config::settings::Settings;

/// One agent.
pub(super) struct Agent {
    pub(super) settings: Settings,
    pub(super) dispatch: Dispatch,
    pub(super) started: Timestamp,
    /// Addresses where nothing listens yet.
    pub(super) deaf: Deaf,
    /// The user it runs as.
    uid: u32,
    /// For whoever follows a message.
    pub(super) attempts: Attempts,
    /// When users last had their mail tried.
    pub(super) flushes: Flushes,
    /// What is wrong with the configuration by now.
    fault: Mutex<Option<Fault>>,
    keys: Mutex<Keys>,
    rewriting: Rewriting,
    /// Whom local names of queued messages stand for.
    pub(super) expanded: Expanded,
    /// Deliveries under way, by message.
    pub(super) turns: Turns,
    /// The password for the relayhost, if one is in a file.
    password: Option<Mutex<Kept>>,
    /// Why the relayhost cannot be used, while it cannot.
    pub(super) outages: Outages,
    /// Whether it says "later" to all mail.
    deferring: Mutex<Deferring>,
    /// What the relayhost refuses for reasons of this machine.
    pub(super) refusals: Outages,
    /// The relayhosts that DNS names.
    pub(super) names: Names,
    /// What deliveries have learned of the relayhosts.
    pub(super) memory: Mutex<Memory>,
    /// If automatic mail that repeats itself is counted instead.
    pub(super) duplicates: Option<Duplicates>,
    /// If reports that say nothing new wait for a digest.
    pub(super) reports: Option<Reports>,
    /// If automatic mail has one.
    pub(super) budget: Option<Budget>,
    /// What users are sending just now.
    pub(super) claims: Claims,
    pub(super) presence: Arc<Presence>,
    counts: Mutex<Counts>,
}

impl Agent {
    /// The receiver is for the driver of its queue.
    pub(super) fn new(settings: Settings, spool: Spool, deaf: Deaf) -> (Self, Receiver<Signal>) {
        let (owners, own) = (Owners::of_machine(), rustix::process::geteuid().as_raw());
        let duplicates = settings.collapse.map(|span| Duplicates::new(span, &spool));
        let budget = Budget::open(settings.budget, &settings.spool, &spool, |uid| {
            if uid == own { 0 } else { owners.party(uid) }
        });
        let reports = Reports::open(settings.unchanged.clone(), &settings.spool, &spool);
        // What is held for a budget or a digest that is no more was let go by now.
        let (dispatch, received) = Dispatch::new(spool, &settings);
        let agent = Self {
            attempts: Attempts::of_all(),
            flushes: Flushes::default(),
            fault: Mutex::new(settings.fault.clone()),
            keys: Mutex::new(Keys::remembered(&settings.spool)),
            rewriting: Rewriting::new(&settings),
            expanded: Expanded::default(),
            turns: Turns::default(),
            password: password(&settings),
            deaf,
            outages: Outages::open(&settings.spool, "outage"),
            deferring: Mutex::default(),
            refusals: Outages::open(&settings.spool, "refusal"),
            names: Names::new(settings.resolver),
            memory: Mutex::default(),
            duplicates,
            reports,
            budget,
            claims: Claims::default(),
            counts: Mutex::default(),
            presence: Arc::new(Presence::new(owners)),
            settings,
            dispatch,
            uid: own,
            started: clock::now(),
        };
        (agent, received)
    }

    /// What is wrong with the configuration, as it was looked at last.
    pub(super) fn fault(&self) -> Option<Fault> {
        lock(&self.fault).clone()
    }

    /// It is wrong in another way by now; whether that is news.
    pub(super) fn is_wrong_otherwise(&self, text: &str) -> bool {
        let mut known = lock(&self.fault);
        let Some(known) = known.as_mut().filter(|known| known.text != text) else {
            return false;
        };
        let news = last_good::has_news(&known.text, text);
        text.clone_into(&mut known.text);
        news
    }

    /// Whether the relayhost says "later" to all mail; locked for a moment.
    pub(super) fn deferring(&self) -> MutexGuard<'_, Deferring> {
        lock(&self.deferring)
    }

    /// What deliveries have learned; locked for a moment.
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }

    /// What was taken since the start; locked for a moment.
    pub(super) fn counts(&self) -> MutexGuard<'_, Counts> {
        lock(&self.counts)
    }

    /// Rewrites by aliases and revaliases as they are now; what is wrong in files that were just
    /// read is logged.
    pub(super) fn with_rules<T>(&self, act: impl FnOnce(&Rules) -> T) -> T {
        act(&self.rewriting.rules())
    }

    /// What is wrong with alias files, while what was read before stays in force; a line each.
    pub(super) fn refused_tables(&self) -> String {
        self.rewriting.refused()
    }

    /// What is wrong with the password for the relayhost, if anything is.
    pub(super) fn refused_password(&self) -> Option<String> {
        let mut password = lock(self.password.as_ref()?);
        password.look(clock::now());
        password.wrong().map(|problem| problem.to_string())
    }

    /// Whose the numbers of users are.
    pub(super) fn owners(&self) -> &Owners {
        &self.presence.owners
    }

    /// Whether this user may do everything here: root, and the agent's own.
    pub(super) fn is_privileged(&self, uid: u32) -> bool {
        uid == 0 || uid == self.uid
    }

    /// A relayhost has presented this key; what the administrator should know.
    pub(super) fn presented(&self, relay: &str, seen: &PeerKey) -> Option<String> {
        let host = relay.split('[').next().unwrap_or(relay);
        lock(&self.keys).presented(host, seen, &self.settings.pins)
    }

    /// A message that the queue holds waits for the budget, if that is why it is held. How many
    /// wait.
    pub(super) fn waits_for_budget(&self, id: QueueId) -> Option<usize> {
        let (budget, entry) = self.budget.as_ref().zip(self.dispatch.spool.entry(id))?;
        let party = self.budget_party(entry.uid);
        (entry.hold == Hold::OverBudget).then(|| budget.wait(&entry, party))
    }

    /// Whose part of the budget a message costs: what the agent's own user sends is root's.
    pub(super) fn budget_party(&self, uid: Option<u32>) -> u32 {
        match uid {
            Some(uid) if self.is_privileged(uid) => 0,
            Some(uid) => self.owners().party(uid),
            None => NOBODY,
        }
    }
}

/// Keeps a copy of the password that is in force; one of another file is no longer needed.
fn password(settings: &Settings) -> Option<Mutex<Kept>> {
    let place = settings.password_place();
    let auth = settings.auth.as_ref();
    let file = auth.and_then(|auth| auth.password_file.as_deref());
    // Files that are wrong do not tell which is named.
    if settings.fault.is_none() {
        secret::forget_others(&settings.passwords(), file.map(|_| place.as_path()));
        copies::forget_others(&place, |name| {
            file.is_some_and(|file| copies::is_of(file, name))
        });
    }
    Some(Mutex::new(Kept::new(file?, &place)))
}

/// A lock whose holder panicked still holds good data: every change under it is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
