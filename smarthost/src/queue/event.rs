//! What the driver tells the scheduler, and what it has to do.

use std::{sync::Arc, time::Duration};

use mail::{
    clock::Timestamp,
    outcome::{Failure, Outcome},
};
use queue::retry::Schedule;
use spool::{self, QueueId};

use crate::destination::Destination;

/// How the queue is run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub schedule: Schedule,
    /// Age at which the sender is warned that a message still waits; `None`: never.
    pub warning: Option<Duration>,
    /// Deliveries to one destination at most.
    pub destination_concurrency: usize,
    /// Deliveries altogether at most.
    pub deliveries: usize,
}

/// A recipient and where it goes now, or why that is not known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Routed {
    /// Index in the envelope.
    pub recipient: u32,
    pub destination: Result<Arc<Destination>, Failure>,
}

/// A recipient that waits, as the spool gives it at start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiting {
    pub recipient: u32,
    /// `None`: at once.
    pub until: Option<Timestamp>,
}

/// What the driver tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A message was found in the spool at start; it is loaded when it is due.
    Recovered {
        id: QueueId,
        arrival: Timestamp,
        held: bool,
        /// The sender was warned of the delay.
        warned: bool,
        waiting: Vec<Waiting>,
    },
    /// A message was just accepted (all its recipients, routed: no load is needed).
    Accepted {
        id: QueueId,
        arrival: Timestamp,
        recipients: Vec<Routed>,
    },
    /// The answer to [`Action::Load`]: the recipients asked for, routed.
    Loaded {
        id: QueueId,
        recipients: Vec<Routed>,
    },
    /// The spool could not read it: try later.
    LoadFailed {
        id: QueueId,
        failure: Failure,
    },
    /// The spool does not know it (any more).
    Gone {
        id: QueueId,
    },
    /// A delivery has ended: one outcome for each of its recipients, in order.
    Finished {
        ticket: u64,
        outcomes: Vec<Outcome>,
    },
    /// The bounce that [`Action::Bounce`] asked for is in the spool (or none is due: null sender, NOTIFY=NEVER).
    Bounced {
        id: QueueId,
    },
    /// The bounce could not be kept: ask again later.
    BounceFailed {
        id: QueueId,
    },
    /// The warning that [`Action::Warn`] asked for is in the spool (or none is due: null sender, NOTIFY without DELAY).
    Warned {
        id: QueueId,
    },
    /// The warning could not be kept: it is asked for again with the next deferral.
    WarnFailed {
        id: QueueId,
    },
    /// Administrator: try everything now, and all destinations again.
    FlushAll,
    /// Administrator: try this one now, once also where its destination is suspended.
    Flush {
        id: QueueId,
    },
    /// Administrator: do not deliver until released.
    Hold {
        id: QueueId,
    },
    Release {
        id: QueueId,
    },
    /// Administrator: delete (recipients in flight may still be delivered).
    Remove {
        id: QueueId,
    },
    /// The deadline has passed.
    TimedOut,
}

/// One transaction to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Names it in [`Event::Finished`].
    pub ticket: u64,
    pub id: QueueId,
    /// Indexes in the envelope.
    pub recipients: Vec<u32>,
    pub destination: Arc<Destination>,
}

/// What the driver has to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Read the envelope, route these recipients, say `Loaded`, `LoadFailed` or `Gone`.
    Load { id: QueueId, recipients: Vec<u32> },
    /// Deliver, say `Finished`.
    Deliver(Delivery),
    /// [`spool::Spool::record`].
    Record { id: QueueId, event: spool::Event },
    /// Tell the sender ([`crate::bounce`]), then say `Bounced` or `BounceFailed`. `expired`: given up after the queue lifetime.
    Bounce {
        id: QueueId,
        failed: Vec<(u32, Failure)>,
        expired: bool,
    },
    /// Tell the sender that these recipients still wait ([`crate::bounce`]), then say `Warned` or `WarnFailed`.
    Warn {
        id: QueueId,
        late: Vec<(u32, Failure)>,
    },
    /// A destination does not answer: nothing is tried there until then (log).
    Suspended {
        destination: Arc<Destination>,
        until: Timestamp,
        reason: Arc<str>,
    },
    /// No mail waits for this destination now: idle connections may be closed.
    Drained(Arc<Destination>),
    /// Nothing of it is left: `ID: removed` (log). `deleted`: recipients that the administrator's order kept from delivery.
    Ended { id: QueueId, deleted: usize },
}
