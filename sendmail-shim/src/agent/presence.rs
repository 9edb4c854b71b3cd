//! Who is connected, and what must be answered before the agent may end.
//!
//! Contract: each connection is counted from its acceptance on, until its end. The quota may close
//! an idle one for another. Before the agent ends, sessions are told to leave: first those that
//! wait for a command, and others as soon as their message is answered; at last all of them.

use std::{
    collections::{HashMap, HashSet},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    owners::Owners,
    quota::{ConnectionId, NoPlace, Quota},
};

/// Who is connected.
pub(super) struct Presence {
    /// Whose the numbers of users are.
    pub(super) owners: Owners,
    now: Mutex<Now>,
    /// A connection has ended, or a commit is answered.
    quieter: Condvar,
}

struct Now {
    quota: Quota,
    streams: HashMap<ConnectionId, Arc<UnixStream>>,
    /// Those that wait for a command outside of a transaction.
    idle: HashSet<ConnectionId>,
    /// Those whose end is waited for.
    awaited: HashSet<ConnectionId>,
    leaving: Leaving,
    /// Those that read their end, and are to leave whatever follows.
    sent_off: HashSet<ConnectionId>,
    /// Messages being committed and answered.
    commits: usize,
    last: Instant,
}

/// Who is to leave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    Nobody,
    /// Whoever is between two messages.
    Idle,
    All,
}

impl Presence {
    /// Nobody yet.
    pub(super) fn new(owners: Owners) -> Self {
        Self {
            owners,
            now: Mutex::new(Now {
                quota: Quota::default(),
                streams: HashMap::new(),
                idle: HashSet::new(),
                awaited: HashSet::new(),
                leaving: Leaving::Nobody,
                sent_off: HashSet::new(),
                commits: 0,
                last: Instant::now(),
            }),
            quieter: Condvar::new(),
        }
    }

    /// Counts a connection of a user; one that is over the quota comes back.
    pub(super) fn enter(
        self: Arc<Self>,
        stream: UnixStream,
        uid: u32,
    ) -> Result<Connection, (UnixStream, NoPlace)> {
        let mut now = self.lock();
        now.last = Instant::now();
        let granted = match now.quota.open(self.owners.party(uid)) {
            Ok(granted) => granted,
            Err(no_place) => return Err((stream, no_place)),
        };
        if let Some(idle) = granted.instead_of.and_then(|id| now.streams.remove(&id)) {
            // Its thread reads the end, and ends.
            let _ = idle.shutdown(Shutdown::Both);
        }
        let (id, stream) = (granted.id, Arc::new(stream));
        now.streams.insert(id, Arc::clone(&stream));
        now.awaited.insert(id);
        drop(now);
        Ok(Connection {
            presence: self,
            uid,
            stream,
            id,
        })
    }

    /// How long nobody has been connected.
    pub(super) fn idle(&self) -> Duration {
        let now = self.lock();
        if now.quota.total() == 0 {
            now.last.elapsed()
        } else {
            Duration::ZERO
        }
    }

    /// Whether nobody is connected.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().quota.total() == 0
    }

    /// Has all sessions end that are between two messages, or come there, and waits for that so
    /// long; whether none is left.
    pub(super) fn dismiss_idle(&self, most: Duration) -> bool {
        self.dismiss(Leaving::Idle, most)
    }

    /// Has all sessions end, wherever they are; the same.
    pub(super) fn dismiss_all(&self, most: Duration) -> bool {
        self.dismiss(Leaving::All, most)
    }

    /// Nobody else is to leave any more.
    pub(super) fn keep(&self) {
        self.lock().leaving = Leaving::Nobody;
    }

    fn dismiss(&self, leaving: Leaving, most: Duration) -> bool {
        let mut locked = self.lock();
        let now = &mut *locked;
        now.leaving = leaving;
        for (&id, stream) in &now.streams {
            if leaving == Leaving::All || now.idle.contains(&id) {
                // Its thread reads the end, and then looks whether it is to leave.
                let _ = stream.shutdown(Shutdown::Read);
                now.sent_off.insert(id);
            }
        }
        drop(locked);
        self.wait_while(most, |now| !now.awaited.is_empty());
        self.lock().awaited.is_empty()
    }

    /// Waits until every commit is answered, at most this long.
    pub(super) fn wait_for_commits(&self, most: Duration) {
        self.wait_while(most, |now| now.commits > 0);
    }

    fn wait_while(&self, most: Duration, lasts: impl Fn(&Now) -> bool) {
        let waited = self
            .quieter
            .wait_timeout_while(self.lock(), most, |now| lasts(now));
        drop(waited);
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A counted connection.
pub(super) struct Connection {
    presence: Arc<Presence>,
    pub(super) uid: u32,
    pub(super) stream: Arc<UnixStream>,
    id: ConnectionId,
}

impl Connection {
    /// Whether others could soon find no place, and who has this one has several.
    pub(super) fn is_one_of_too_many(&self) -> bool {
        let party = self.presence.owners.party(self.uid);
        self.presence.lock().quota.is_scarce(party)
    }

    /// It waits for a command, or no longer: one that is idle may have to go for others.
    pub(super) fn set_idle(&self, idle: bool) {
        let mut now = self.presence.lock();
        now.quota.set_idle(self.id, idle.then(Instant::now));
        if idle {
            now.idle.insert(self.id);
        } else {
            now.idle.remove(&self.id);
        }
    }

    /// Whether it is to end now; `between`: it is between two messages.
    pub(super) fn is_to_leave(&self, between: bool) -> bool {
        let now = self.presence.lock();
        let is_meant = match now.leaving {
            Leaving::Nobody => false,
            Leaving::Idle => between,
            Leaving::All => true,
        };
        is_meant || now.sent_off.contains(&self.id)
    }

    /// Its end is waited for no longer: it brings nothing that could be lost.
    pub(super) fn may_be_cut_off(&self) {
        self.presence.lock().awaited.remove(&self.id);
        self.presence.quieter.notify_all();
    }
}

impl Connection {
    /// Marks a commit until its answer is written.
    pub(super) fn committing(&self) -> Committing {
        self.presence.lock().commits += 1;
        Committing(Arc::clone(&self.presence))
    }
}

/// A commit that is under way.
pub(super) struct Committing(Arc<Presence>);

impl Drop for Committing {
    fn drop(&mut self) {
        let mut now = self.0.lock();
        now.commits = now.commits.saturating_sub(1);
        self.0.quieter.notify_all();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut now = self.presence.lock();
        now.last = Instant::now();
        now.quota.close(self.id);
        now.streams.remove(&self.id);
        now.idle.remove(&self.id);
        now.sent_off.remove(&self.id);
        now.awaited.remove(&self.id);
        self.presence.quieter.notify_all();
    }
}
