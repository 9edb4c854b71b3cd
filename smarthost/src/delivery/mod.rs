//! Sending mail: does what the scheduler asks.
//!
//! | part | what |
//! |---|---|
//! | [`driver`] | drains the scheduler's actions, one task for each delivery |
//! | [`attempt`] | one transaction: which transport, and the log line of each recipient |
//! | [`relay`](self::relay) | SMTP and LMTP: hosts, trust, connections kept for the next message |
//! | [`pool`] | idle connections |
//! | [`maildir`] | mail that ends on this machine |
//! | [`nondelivery`] | bounces, queued as messages of our own |

mod attempt;
mod driver;
mod maildir;
mod nondelivery;
mod pool;
mod relay;

use std::sync::{Arc, Mutex};

use ::relay::delivery::Memory;

pub(crate) use driver::run;
pub(crate) use relay::credentials;

use crate::{dispatch::Dispatch, setup::Current};

/// What all deliveries share.
pub(crate) struct Carrier {
    dispatch: Arc<Dispatch>,
    current: Arc<Current>,
    pool: Arc<pool::Pool>,
    /// What deliveries have learned of next hops.
    memory: Mutex<Memory>,
}

impl Carrier {
    pub(crate) fn new(dispatch: Arc<Dispatch>, current: Arc<Current>) -> Self {
        Self {
            dispatch,
            current,
            pool: Arc::default(),
            memory: Mutex::default(),
        }
    }
}
