//! Connections that wait for the next message.
//!
//! Contract: a connection is kept for [`PATIENCE`] at most, carries [`MESSAGES`] messages at most,
//! serves for [`REUSED`] at most, and is ended with QUIT.
//! It belongs to the setup it was made under: after a reload none is used again, for whom to
//! believe may have changed.
//! So is one made under another policy of MTA-STS, or none.
//! It serves other destinations with the same hosts only where both ask of the host what everybody
//! asks, and would have opened it just so.
//! One that has ended or said something meanwhile is not given out.
//! Those that wait count with the deliveries to the same hosts: before a connection is opened,
//! those are ended for which it leaves no place, and the peer has closed them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use relay::{delivery::Dial, net::REUSED};
use tokio::{task::JoinSet, time};

use crate::{destination::Destination, link::Connection, mta_sts::Known, setup::Setup};

/// How long an idle connection is kept (Postfix `smtp_connection_cache_time_limit` is 2 s).
const PATIENCE: Duration = Duration::from_secs(3);
/// Messages over one connection.
const MESSAGES: u32 = 500;

/// The hosts of a destination by one transport, as the queue groups them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Site {
    transport: Option<Arc<str>>,
    /// In order.
    hosts: Arc<[Arc<str>]>,
}

impl Site {
    pub(super) fn new(destination: &Destination, hosts: &[Arc<str>]) -> Self {
        let mut hosts = hosts.to_vec();
        hosts.sort_unstable();
        hosts.dedup();
        Self {
            transport: destination.transport.clone(),
            hosts: hosts.into(),
        }
    }
}

/// A connection and how often it was used.
pub(super) struct Kept {
    pub(super) connection: Connection,
    /// How it was opened.
    pub(super) dial: Dial,
    pub(super) site: Site,
    pub(super) used: u32,
    pub(super) opened: Instant,
    /// It was made under this one.
    pub(super) setup: Arc<Setup>,
    /// The policy of MTA-STS that was enforced.
    pub(super) policy: Option<Known>,
    /// The host had to show what it must show anybody: neither the destination nor DNS demanded
    /// more.
    pub(super) is_anybodys: bool,
}

struct Idle {
    kept: Kept,
    destination: Arc<Destination>,
    since: Instant,
}

/// Idle connections by site.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    all: HashMap<Site, Vec<Idle>>,
    /// Where those of a destination are.
    sites: HashMap<Arc<Destination>, Site>,
    /// A task sweeps as long as there is something to sweep.
    swept: bool,
}

/// What a sweep found.
struct Expired {
    idle: Vec<Idle>,
    /// Some are left: sweep again.
    more: bool,
}

impl Pool {
    /// The connection used last to a destination, if one is idle and still good under the setup in
    /// force.
    pub(super) async fn take(
        &self,
        destination: &Arc<Destination>,
        setup: &Arc<Setup>,
        policy: Option<&Known>,
    ) -> Option<Kept> {
        let mut unfit = Vec::new();
        let found = {
            let mut connections = self.lock();
            std::iter::from_fn(|| connections.pop(destination)).find_map(|mut kept| {
                let same = Arc::ptr_eq(&kept.setup, setup) && kept.policy.as_ref() == policy;
                if same && kept.connection.is_usable() {
                    return Some(kept);
                }
                unfit.push(kept);
                None
            })
        };
        leave(unfit).await;
        found
    }

    /// One that another destination with the same hosts has no use for now, and that this one
    /// would open just so, asking of the host what anybody asks.
    pub(super) fn take_anybodys(
        &self,
        site: &Site,
        dial: &Dial,
        setup: &Arc<Setup>,
    ) -> Option<Kept> {
        let mut connections = self.lock();
        let idle = connections.all.get_mut(site)?;
        let fits = |idle: &mut Idle| {
            let kept = &mut idle.kept;
            kept.is_anybodys
                && Arc::ptr_eq(&kept.setup, setup)
                && kept.dial.host == dial.host
                && kept.dial.place == dial.place
                && kept.dial.security == dial.security
                && kept.connection.is_usable()
        };
        let found = idle.iter_mut().rposition(fits)?;
        Some(idle.remove(found).kept)
    }

    /// Ends idle connections to the same hosts, those used longest ago first, until no more than
    /// `spare` are left. Whether there were any too many.
    pub(super) async fn make_room(&self, site: &Site, spare: usize) -> bool {
        let surplus = self.lock().surplus(site, spare);
        let any = !surplus.is_empty();
        leave(surplus.into_iter().map(|idle| idle.kept)).await;
        any
    }

    /// Keeps a connection that is ready for the next message, if it is of the setup in force.
    pub(super) async fn put(
        self: &Arc<Self>,
        destination: &Arc<Destination>,
        mut kept: Kept,
        setup: &Arc<Setup>,
    ) {
        kept.used = kept.used.saturating_add(1);
        let is_spent = kept.used >= MESSAGES || kept.opened.elapsed() >= REUSED;
        if is_spent || !Arc::ptr_eq(&kept.setup, setup) {
            return kept.connection.quit_and_wait().await;
        }
        let mut idle = self.lock();
        idle.push(Arc::clone(destination), kept);
        if !idle.swept {
            idle.swept = true;
            tokio::spawn(Arc::clone(self).sweep());
        }
    }

    /// Ends all connections: a reload, or the end.
    pub(super) async fn close(&self) {
        let all = std::mem::take(&mut self.lock().all);
        for idle in all.into_values().flatten() {
            idle.kept.connection.quit().await;
        }
    }

    /// Ends connections that nobody uses, until none is left.
    async fn sweep(self: Arc<Self>) {
        let mut more = true;
        while more {
            time::sleep(PATIENCE / 3).await;
            let old = self.lock().expired();
            more = old.more;
            for idle in old.idle {
                tokio::spawn(idle.kept.connection.quit());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends connections, all at once.
async fn leave(connections: impl IntoIterator<Item = Kept>) {
    let quits = connections.into_iter();
    let quits: JoinSet<()> = quits.map(|it| it.connection.quit_and_wait()).collect();
    quits.join_all().await;
}

impl Connections {
    fn push(&mut self, destination: Arc<Destination>, kept: Kept) {
        let site = kept.site.clone();
        self.sites.insert(Arc::clone(&destination), site.clone());
        self.all.entry(site).or_default().push(Idle {
            kept,
            destination,
            since: Instant::now(),
        });
    }

    /// The one used last of a destination.
    fn pop(&mut self, destination: &Arc<Destination>) -> Option<Kept> {
        let idle = self.all.get_mut(self.sites.get(destination)?)?;
        let last = idle.iter().rposition(|it| it.destination == *destination)?;
        Some(idle.remove(last).kept)
    }

    fn surplus(&mut self, site: &Site, spare: usize) -> Vec<Idle> {
        let Some(idle) = self.all.get_mut(site) else {
            return Vec::new();
        };
        let surplus = idle.len().saturating_sub(spare);
        idle.drain(..surplus).collect()
    }

    fn expired(&mut self) -> Expired {
        let mut idle = Vec::new();
        for connections in self.all.values_mut() {
            idle.extend(connections.extract_if(.., |one| one.since.elapsed() >= PATIENCE));
        }
        self.all.retain(|_, connections| !connections.is_empty());
        let all = &self.all;
        self.sites.retain(|_, site| all.contains_key(site));
        self.swept = !self.all.is_empty();
        Expired {
            idle,
            more: self.swept,
        }
    }
}
