//! Receiving mail: listeners, one task for each session, and the driver of the session machine.
//!
//! | part | what |
//! |---|---|
//! | [`listen`] | sockets bound or handed over by systemd; the accept loop |
//! | [`gate`] | how many sessions there may be, altogether and for one client |
//! | [`session`] | the tokio driver of [`smtp::session`] |
//! | [`decide`] | answers the machine's questions: policy, limits, spool |
//! | [`transaction`] | the message that is being received |

mod decide;
mod gate;
pub(crate) mod listen;
pub(crate) mod notify;
mod session;
mod transaction;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::{dispatch::Dispatch, limits::Limits, setup::Current, state};

pub(crate) use gate::Gate;

/// What all sessions share.
pub(crate) struct Reception {
    pub(crate) current: Arc<Current>,
    pub(crate) dispatch: Arc<Dispatch>,
    pub(crate) limits: Arc<Mutex<Limits>>,
    pub(crate) state: state::Keeper,
    pub(crate) gate: Arc<Gate>,
    /// Becomes true when the daemon ends.
    pub(crate) ending: watch::Receiver<bool>,
}

impl Reception {
    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
