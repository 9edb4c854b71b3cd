//! What all deliveries share.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use relay::delivery::Memory;

use super::pool::Pool;
use crate::{
    destination::Destination,
    dispatch::{Dispatch, Event},
    setup::Current,
};

/// What takes so long gives way to others, where it can.
pub(super) const STALL: Duration = Duration::from_secs(5);
/// So many destinations at most are remembered to have waited.
pub(super) const MOST: usize = 10_000;

/// What all deliveries share.
pub(crate) struct Transports {
    /// `None`: questions alone are asked, and nobody else has connections.
    pub(super) dispatch: Option<Arc<Dispatch>>,
    pub(super) current: Arc<Current>,
    pub(super) pool: Arc<Pool>,
    /// Where a delivery has given up its place to wait, and has its turn again.
    pub(super) waited: Mutex<HashSet<Arc<Destination>>>,
    /// What deliveries have learned of next hops.
    memory: Arc<Mutex<Memory>>,
}

impl Transports {
    pub(crate) fn new(
        dispatch: Option<Arc<Dispatch>>,
        current: Arc<Current>,
        memory: Arc<Mutex<Memory>>,
    ) -> Self {
        Self {
            dispatch,
            current,
            pool: Arc::default(),
            waited: Mutex::default(),
            memory,
        }
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A program that is run for a delivery takes its time: it gives up the place among all.
    pub(super) fn runs(&self, ticket: Option<u64>) {
        if let (Some(dispatch), Some(ticket)) = (&self.dispatch, ticket) {
            dispatch.tell(Event::Runs { ticket });
        }
    }

    /// Ends the connections that wait.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}
