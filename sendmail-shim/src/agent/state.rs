//! What the agent's threads share.

use std::{
    collections::HashMap,
    net::Shutdown,
    os::unix::net::UnixStream,
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
    control::Flushes,
    delivery::Signal,
    outage::Outages,
    owners::Owners,
    quota::{ConnectionId, NoPlace, Quota},
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
    /// When users last had their mail tried.
    pub(super) flushes: Flushes,
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
    /// Whose the numbers of users are.
    pub(super) owners: Owners,
    presence: Mutex<Presence>,
    /// Messages being committed and answered.
    committing: Mutex<usize>,
    committed: Condvar,
}

/// Who is connected.
struct Presence {
    quota: Quota,
    streams: HashMap<ConnectionId, Arc<UnixStream>>,
    last: Instant,
}

impl Agent {
    pub(super) fn new(settings: Settings, spool: Spool) -> (Self, Receiver<Signal>) {
        let (signals, received) = channel();
        let (owners, own) = (Owners::of_machine(), rustix::process::geteuid().as_raw());
        let agent = Self {
            attempts: Attempts::default(),
            flushes: Flushes::default(),
            keys: Mutex::new(Keys::remembered(&settings.spool)),
            tables: Mutex::new(Tables::new(&settings)),
            outages: Outages::open(&settings.spool),
            memory: Mutex::default(),
            storms: settings.collapse.map(|span| Storms::new(span, &spool)),
            budget: Budget::open(settings.budget, &settings.spool, &spool, |uid| {
                if uid == own { 0 } else { owners.party(uid) }
            }),
            claims: Claims::default(),
            owners,
            settings,
            spool,
            uid: own,
            signals,
            presence: Mutex::new(Presence {
                quota: Quota::default(),
                streams: HashMap::new(),
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
        let party = self.budget_party(entry.uid);
        (entry.hold == Hold::OverBudget).then(|| budget.wait(&entry, party))
    }

    /// Whose part of the budget a message costs: what the agent's own user sends is root's.
    pub(super) fn budget_party(&self, uid: Option<u32>) -> u32 {
        match uid {
            Some(uid) if self.is_privileged(uid) => 0,
            Some(uid) => self.owners.party(uid),
            None => NOBODY,
        }
    }

    pub(super) fn event(&self, event: Event) {
        self.signal(Signal::Event(event));
    }

    /// To the delivery thread, which is gone only when the agent ends.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = self.signals.send(signal);
    }

    /// Counts a connection of a user; one that is over the quota comes back.
    pub(super) fn enter(
        self: &Arc<Self>,
        stream: UnixStream,
        uid: u32,
    ) -> Result<Connection, (UnixStream, NoPlace)> {
        let mut presence = lock(&self.presence);
        presence.last = Instant::now();
        let granted = match presence.quota.open(self.owners.party(uid)) {
            Ok(granted) => granted,
            Err(no_place) => return Err((stream, no_place)),
        };
        if let Some(idle) = granted
            .instead_of
            .and_then(|id| presence.streams.remove(&id))
        {
            // Its thread reads the end, and ends.
            let _ = idle.shutdown(Shutdown::Both);
        }
        let stream = Arc::new(stream);
        presence.streams.insert(granted.id, Arc::clone(&stream));
        // Only one that was counted: its end takes the lock, and one from the count.
        Ok(Connection {
            agent: Arc::clone(self),
            uid,
            stream,
            id: granted.id,
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
pub(super) struct Connection {
    pub(super) agent: Arc<Agent>,
    pub(super) uid: u32,
    pub(super) stream: Arc<UnixStream>,
    id: ConnectionId,
}

impl Connection {
    /// It waits for a command, or no longer: one that is idle may have to go for others.
    pub(super) fn set_idle(&self, idle: bool) {
        let since = idle.then(Instant::now);
        lock(&self.agent.presence).quota.set_idle(self.id, since);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut presence = lock(&self.agent.presence);
        presence.last = Instant::now();
        presence.quota.close(self.id);
        presence.streams.remove(&self.id);
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
