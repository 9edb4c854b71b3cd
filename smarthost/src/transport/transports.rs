//! What all deliveries share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relay::delivery::Memory;

use super::pool::Pool;
use crate::{dispatch::Dispatch, setup::Current};

/// What all deliveries share.
pub(crate) struct Transports {
    /// `None`: questions alone are asked, and nobody else has connections.
    pub(super) dispatch: Option<Arc<Dispatch>>,
    pub(super) current: Arc<Current>,
    pub(super) pool: Arc<Pool>,
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
            memory,
        }
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connections that wait.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}
