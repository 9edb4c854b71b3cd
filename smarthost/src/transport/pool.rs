//! Connections that wait for the next message to the same destination.
//!
//! Contract: a connection is kept for [`PATIENCE`] at most, carries [`MESSAGES`] messages at most,
//! and is ended with QUIT.
//! It belongs to the setup it was made under: after a reload none is used again, for whom to
//! believe may have changed.
//! So is one made under another policy of MTA-STS, or none.
//! One that has ended or said something meanwhile is not given out.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use relay::delivery::Dial;
use tokio::time;

use crate::{destination::Destination, link::Connection, mta_sts::Known, setup::Setup};

/// How long an idle connection is kept (Postfix `smtp_connection_cache_time_limit` is 2 s).
const PATIENCE: Duration = Duration::from_secs(3);
/// Messages over one connection.
const MESSAGES: u32 = 500;

/// A connection and how often it was used.
pub(super) struct Kept {
    pub(super) connection: Connection,
    /// How it was opened.
    pub(super) dial: Dial,
    pub(super) used: u32,
    /// It was made under this one.
    pub(super) setup: Arc<Setup>,
    /// The policy of MTA-STS that was enforced.
    pub(super) policy: Option<Known>,
}

struct Idle {
    kept: Kept,
    since: Instant,
}

/// Idle connections by destination.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    all: HashMap<Arc<Destination>, Vec<Idle>>,
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
    /// The connection used last, if one is idle and still good under the setup in force.
    pub(super) fn take(
        &self,
        destination: &Arc<Destination>,
        setup: &Arc<Setup>,
        policy: Option<&Known>,
    ) -> Option<Kept> {
        loop {
            let mut kept = self.lock().all.get_mut(destination)?.pop()?.kept;
            let same = Arc::ptr_eq(&kept.setup, setup) && kept.policy.as_ref() == policy;
            if same && kept.connection.is_usable() {
                return Some(kept);
            }
            tokio::spawn(kept.connection.quit());
        }
    }

    /// Keeps a connection that is ready for the next message, if it is of the setup in force.
    pub(super) fn put(
        self: &Arc<Self>,
        destination: &Arc<Destination>,
        mut kept: Kept,
        setup: &Arc<Setup>,
    ) {
        kept.used = kept.used.saturating_add(1);
        if kept.used >= MESSAGES || !Arc::ptr_eq(&kept.setup, setup) {
            tokio::spawn(kept.connection.quit());
            return;
        }
        let mut idle = self.lock();
        idle.all
            .entry(Arc::clone(destination))
            .or_default()
            .push(Idle {
                kept,
                since: Instant::now(),
            });
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
            let old = self.expired();
            more = old.more;
            for idle in old.idle {
                tokio::spawn(idle.kept.connection.quit());
            }
        }
    }

    fn expired(&self) -> Expired {
        let mut kept = self.lock();
        let mut idle = Vec::new();
        for connections in kept.all.values_mut() {
            idle.extend(connections.extract_if(.., |one| one.since.elapsed() >= PATIENCE));
        }
        kept.all.retain(|_, connections| !connections.is_empty());
        kept.swept = !kept.all.is_empty();
        Expired {
            idle,
            more: kept.swept,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
