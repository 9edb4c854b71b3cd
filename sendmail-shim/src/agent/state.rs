//! What the agent's threads share.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};

use mail::clock::{self, Timestamp};
use relay::{delivery::Memory, trust::PeerKey};
use spool::{Hold, QueueId, Spool};

use super::{
    attempts::Attempts,
    budget::keeping::Budget,
    delivery::Signal,
    outage::Outages,
    quota::Quota,
    rollover::Keys,
    schedule::{Event, NOBODY},
    share::Claims,
    storms::keeping::Storms,
};
use crate::config::{settings::Settings, tables::Tables};

/// One agent.
pub(super) struct Agent {
    pub(super) settings: Settings,
    pub(super) spool: Spool,
    /// The user it runs as.
    pub(super) uid: u32,
    /// For whoever follows a message.
    pub(super) attempts: Attempts,
    keys: Mutex<Keys>,
    tables: Mutex<Tables>,
    signals: Sender<Signal>,
    /// Why the relayhost cannot be used, while it cannot.
    pub(super) outages: Outages,
    /// What deliveries have learned of the relayhosts.
    pub(super) memory: Mutex<Memory>,
    /// If storms are collapsed.
    pub(super) storms: Option<Storms>,
    /// If automatic mail has one.
    pub(super) budget: Option<Budget>,
    /// What users are sending just now.
    pub(super) claims: Claims,
    presence: Mutex<Presence>,
    /// Messages being committed and answered.
    committing: Mutex<usize>,
    committed: Condvar,
}

/// Who is connected.
struct Presence {
    quota: Quota,
    last: Instant,
}

impl Agent {
    pub(super) fn new(settings: Settings, spool: Spool) -> (Self, Receiver<Signal>) {
        let (signals, received) = channel();
        let agent = Self {
            attempts: Attempts::default(),
            keys: Mutex::new(Keys::remembered(&settings.spool)),
            tables: Mutex::new(Tables::new(&settings)),
            outages: Outages::open(&settings.spool),
            memory: Mutex::default(),
            storms: settings.collapse.map(|span| Storms::new(span, &spool)),
            budget: Budget::open(settings.budget, &settings.spool, &spool),
            claims: Claims::default(),
            settings,
            spool,
            uid: rustix::process::geteuid().as_raw(),
            signals,
            presence: Mutex::new(Presence {
                quota: Quota::default(),
                last: Instant::now(),
            }),
            committing: Mutex::default(),
            committed: Condvar::new(),
        };
        (agent, received)
    }

    /// Aliases and revaliases; locked for the time of one rewriting.
    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        lock(&self.tables)
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

    /// A message of this user is in the spool.
    pub(super) fn arrived(&self, id: QueueId, uid: Option<u32>) {
        self.arrived_early(id, uid, clock::now());
    }

    /// The same, and it is not to be sent before `due`.
    pub(super) fn arrived_early(&self, id: QueueId, uid: Option<u32>, due: Timestamp) {
        self.placed(id, uid, due, false);
    }

    /// The same, and it is held.
    pub(super) fn arrived_held(&self, id: QueueId, uid: Option<u32>) {
        self.placed(id, uid, clock::now(), true);
    }

    fn placed(&self, id: QueueId, uid: Option<u32>, due: Timestamp, held: bool) {
        self.event(Event::Arrived {
            id,
            user: uid.unwrap_or(NOBODY),
            arrival: clock::now(),
            due,
            held,
        });
    }

    /// A message that the scheduler holds waits for the budget, if that is why it is held. How many wait.
    pub(super) fn in_line(&self, id: QueueId) -> Option<usize> {
        let (budget, entry) = self.budget.as_ref().zip(self.spool.entry(id))?;
        (entry.hold == Hold::OverBudget).then(|| budget.wait(&entry))
    }

    pub(super) fn event(&self, event: Event) {
        self.signal(Signal::Event(event));
    }

    /// To the delivery thread, which is gone only when the agent ends.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = self.signals.send(signal);
    }

    /// Counts a connection of a user; `None`: over the quota.
    pub(super) fn enter(self: &Arc<Self>, uid: u32) -> Option<Visit> {
        let mut presence = lock(&self.presence);
        presence.last = Instant::now();
        // Only a connection that was counted may be a visit: its end takes the lock, and one from the count.
        presence.quota.open(uid).then(|| Visit {
            agent: Arc::clone(self),
            uid,
        })
    }

    /// How long nobody has been connected.
    pub(super) fn idle(&self) -> Duration {
        let presence = lock(&self.presence);
        if presence.quota.total() == 0 {
            presence.last.elapsed()
        } else {
            Duration::ZERO
        }
    }

    /// Marks a commit until its answer is written.
    pub(super) fn committing(&self) -> Committing<'_> {
        let mut count = lock(&self.committing);
        *count = count.saturating_add(1);
        Committing { agent: self }
    }

    /// Waits until every commit is answered, at most this long.
    pub(super) fn wait_for_commits(&self, most: Duration) {
        let count = lock(&self.committing);
        drop(
            self.committed
                .wait_timeout_while(count, most, |count| *count > 0),
        );
    }
}

/// A counted connection.
pub(super) struct Visit {
    pub(super) agent: Arc<Agent>,
    pub(super) uid: u32,
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut presence = lock(&self.agent.presence);
        presence.last = Instant::now();
        presence.quota.close(self.uid);
    }
}

/// A commit that is under way.
pub(super) struct Committing<'a> {
    agent: &'a Agent,
}

impl Drop for Committing<'_> {
    fn drop(&mut self) {
        let mut count = lock(&self.agent.committing);
        *count = count.saturating_sub(1);
        self.agent.committed.notify_all();
    }
}

/// A lock whose holder panicked still holds good data: every change under it is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
