//! How any part of the daemon tells the administrators something: into the machine of
//! [`crate::notices`], whose driver is woken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mail::clock;
use tokio::sync::Notify;

use crate::{
    notices::{Event, Notices},
    state::Keeper,
};

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    notices: Arc<Mutex<Notices>>,
    state: Keeper,
    wake: Arc<Notify>,
}

impl Teller {
    pub(crate) fn new(notices: Arc<Mutex<Notices>>, state: Keeper) -> Self {
        Self {
            notices,
            state,
            wake: Arc::default(),
        }
    }

    /// Never blocks for long; what is due is sent by the driver.
    pub(crate) fn tell(&self, event: Event) {
        // What a day brings is told when it ends.
        let may_be_due = !matches!(event, Event::Passed(_));
        self.lock().handle(event, clock::now());
        self.state.changed();
        if may_be_due {
            self.wake.notify_one();
        }
    }

    /// Something else has changed that is kept.
    pub(crate) fn changed(&self) {
        self.state.changed();
    }

    /// Something may be due.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) async fn awoken(&self) {
        self.wake.notified().await;
    }

    /// Waits until that what was taken from the machine is told would survive a kill.
    pub(crate) async fn kept(&self) {
        self.state.changed();
        self.state.flushed().await;
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Notices> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
