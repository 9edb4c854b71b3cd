//! When space is given back, and what is known to be given back.

use std::{
    collections::HashSet,
    sync::{Condvar, Mutex},
    time::Instant,
};

use super::{QueueId, lock};

/// When to reclaim, and what.
#[derive(Default)]
pub(super) struct Schedule {
    pub(super) state: Mutex<State>,
    pub(super) wake: Condvar,
    /// Held while reclaiming.
    pub(super) running: Mutex<()>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) bodies: Vec<QueueId>,
    pub(super) due: Option<Instant>,
    /// The log wants its next segment made ready.
    pub(super) next: bool,
    /// A segment was taken away.
    pub(super) displaced: bool,
    pub(super) stopped: bool,
    /// Segments that compaction found damaged; they stay.
    pub(super) stuck: HashSet<u64>,
}

impl Schedule {
    /// It is durable that a message is gone.
    pub(super) fn buried(&self, id: QueueId, blob: bool) {
        let mut state = lock(&self.state);
        if blob {
            state.bodies.push(id);
        }
        if state.due.is_none() {
            state.due = Some(Instant::now());
            self.wake.notify_one();
        }
    }

    /// A segment was taken away; what it holds is to be written anew.
    pub(super) fn displaced(&self) {
        lock(&self.state).displaced = true;
        self.wake.notify_one();
    }

    /// The log wants its next segment made ready.
    pub(super) fn wants_next(&self) {
        lock(&self.state).next = true;
        self.wake.notify_one();
    }

    /// The reclaiming thread ends.
    pub(super) fn stop(&self) {
        lock(&self.state).stopped = true;
        self.wake.notify_all();
    }
}
