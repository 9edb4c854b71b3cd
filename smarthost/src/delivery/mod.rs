//! Sending mail: does what the scheduler asks.
//!
//! | part | what |
//! |---|---|
//! | [`driver`] | drains the scheduler's actions, one task for each delivery |
//! | [`attempt`] | one delivery by its transport, and the log line of each recipient |
//! | [`probe`] | whether a next hop would take a recipient |
//! | [`moving`] | the queue to another server, of one that is emptied |
//! | [`target`] | the server that it is moved to |
//! | [`nondelivery`] | bounces, queued as messages of our own |

mod attempt;
mod driver;
pub(crate) mod moving;
mod nondelivery;
pub(crate) mod probe;
pub(crate) mod target;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

pub(crate) use driver::run;

use queue::deferring::Deferring;
use relay::delivery::Memory;
use spool::{QueueId, Stored};
use tokio::sync::watch;

use crate::{dispatch::Dispatch, setup::Current, transport::Transports};

/// What all deliveries share.
pub(crate) struct Deliveries {
    dispatch: Arc<Dispatch>,
    current: Arc<Current>,
    transports: Transports,
    /// Deliveries under way end with what they know.
    halting: watch::Sender<bool>,
    /// What deliveries under way have read: one message to thousands is read once by those that go
    /// at once.
    read: Mutex<HashMap<QueueId, Weak<Stored>>>,
    deferring: Mutex<Deferring>,
    /// Deliveries under way, whose connection others may wait for.
    cuts: Mutex<HashMap<u64, watch::Sender<()>>>,
    /// Questions, those that wait with those under way.
    questions: Mutex<HashMap<u64, Turn>>,
}

/// What a question hears of its place.
#[derive(Default)]
struct Turn {
    /// It has one.
    comes: watch::Sender<bool>,
    /// Deliveries have waited for it for long enough.
    cut: watch::Sender<bool>,
}

impl Deliveries {
    pub(crate) fn new(
        dispatch: Arc<Dispatch>,
        current: Arc<Current>,
        memory: Arc<Mutex<Memory>>,
    ) -> Self {
        let transports = Transports::new(Some(Arc::clone(&dispatch)), Arc::clone(&current), memory);
        Self {
            transports,
            halting: watch::Sender::new(false),
            dispatch,
            current,
            read: Mutex::default(),
            deferring: Mutex::default(),
            cuts: Mutex::default(),
            questions: Mutex::default(),
        }
    }

    /// Deliveries under way, whose connection others may wait for.
    fn cuts(&self) -> MutexGuard<'_, HashMap<u64, watch::Sender<()>>> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn questions(&self) -> MutexGuard<'_, HashMap<u64, Turn>> {
        let questions = self.questions.lock();
        questions.unwrap_or_else(PoisonError::into_inner)
    }
}
