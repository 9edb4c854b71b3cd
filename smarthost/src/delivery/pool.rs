//! Connections that wait for the next message to the same destination.
//!
//! Contract: a connection is kept for [`PATIENCE`] at most, carries [`MESSAGES`] messages at most, and is ended with QUIT.
//! It belongs to the setup it was made under: after a reload none is used again, for whom to believe may have changed.
//! One that has ended or said something meanwhile is not given out.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::time;

use crate::{destination::Destination, link::Connection, setup::Setup};

/// How long an idle connection is kept (Postfix `smtp_connection_cache_time_limit` is 2 s).
const PATIENCE: Duration = Duration::from_secs(3);
/// Messages over one connection.
const MESSAGES: u32 = 500;

/// A connection and how often it was used.
pub(super) struct Line {
    pub(super) connection: Connection,
    pub(super) used: u32,
    /// It was made under this one.
    pub(super) setup: Arc<Setup>,
}

struct Idle {
    line: Line,
    since: Instant,
}

/// Idle connections by destination.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    lines: HashMap<Arc<Destination>, Vec<Idle>>,
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
    pub(super) fn take(&self, destination: &Arc<Destination>, setup: &Arc<Setup>) -> Option<Line> {
        loop {
            let mut line = self.lock().lines.get_mut(destination)?.pop()?.line;
            if Arc::ptr_eq(&line.setup, setup) && line.connection.is_usable() {
                return Some(line);
            }
            tokio::spawn(line.connection.quit());
        }
    }

    /// Keeps a connection that is ready for the next message, if it is of the setup in force.
    pub(super) fn put(
        self: &Arc<Self>,
        destination: &Arc<Destination>,
        mut line: Line,
        setup: &Arc<Setup>,
    ) {
        line.used = line.used.saturating_add(1);
        if line.used >= MESSAGES || !Arc::ptr_eq(&line.setup, setup) {
            tokio::spawn(line.connection.quit());
            return;
        }
        let mut kept = self.lock();
        kept.lines
            .entry(Arc::clone(destination))
            .or_default()
            .push(Idle {
                line,
                since: Instant::now(),
            });
        if !kept.swept {
            kept.swept = true;
            tokio::spawn(Arc::clone(self).sweep());
        }
    }

    /// Ends all connections: a reload, or the end.
    pub(super) async fn close(&self) {
        let lines = std::mem::take(&mut self.lock().lines);
        for idle in lines.into_values().flatten() {
            idle.line.connection.quit().await;
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
                tokio::spawn(idle.line.connection.quit());
            }
        }
    }

    fn expired(&self) -> Expired {
        let mut kept = self.lock();
        let mut idle = Vec::new();
        for connections in kept.lines.values_mut() {
            idle.extend(connections.extract_if(.., |one| one.since.elapsed() >= PATIENCE));
        }
        kept.lines.retain(|_, connections| !connections.is_empty());
        kept.swept = !kept.lines.is_empty();
        Expired {
            idle,
            more: kept.swept,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
