//! Transports: how mail is handed on, one file each.
//!
//! | part | what |
//! |---|---|
//! | [`smtp`](self::smtp) | the hosts behind a next hop, whom to believe, passwords |
//! | [`demands`] | what each host must show: authorities, DANE |
//! | [`lmtp`] | a server that is named |
//! | [`session`] | what these two share: the delivery core's driver over tokio |
//! | [`forwarding`] | the sender of mail that is passed on for others |
//! | [`signing`] | what a peer gets: fitted to it, and signed |
//! | [`pool`] | connections that wait for the next message |
//! | [`maildir`] | mail that ends on this machine |
//! | [`pipe`] | a program |
//!
//! Contract: one outcome for each recipient, in order; what is not known is deferred. `None`: it
//! was not made, its turn comes again.

mod demands;
mod forwarding;
mod lmtp;
mod maildir;
pub(crate) mod pipe;
mod pool;
mod session;
mod signing;
mod smtp;

use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mail::{
    envelope::Envelope,
    message::Header,
    outcome::{Blame, Failure, Outcome, Stage},
    status::EnhancedStatus,
};
use relay::delivery::{Memory, Way};
use spool::Stored;
use tokio::task::spawn_blocking;

pub(crate) use self::{
    demands::Demands,
    smtp::{credentials, relayhosts},
};
use crate::{
    config::Pipe,
    destination::{Destination, Kind},
    dispatch::Dispatch,
    setup::{Current, Setup},
};

/// A whole delivery of a small message.
const BASE: Duration = Duration::from_mins(40);
/// Bytes a second that a message must make.
const SLOWEST: u64 = 4096;

/// What all deliveries share.
pub(crate) struct Transports {
    /// `None`: questions alone are asked, and nobody else has connections.
    dispatch: Option<Arc<Dispatch>>,
    current: Arc<Current>,
    pool: Arc<pool::Pool>,
    /// What deliveries have learned of next hops.
    memory: Arc<Mutex<Memory>>,
}

/// To whom, and for whom.
pub(crate) struct Errand {
    pub(crate) destination: Arc<Destination>,
    /// With these recipients alone.
    pub(crate) envelope: Envelope,
    /// In force when it began.
    pub(crate) setup: Arc<Setup>,
    /// Others wait for the place.
    pub(crate) hurried: bool,
}

/// One message for some of its recipients.
pub(crate) struct Job {
    pub(crate) errand: Errand,
    pub(crate) stored: Arc<Stored>,
}

impl Deref for Job {
    type Target = Errand;
    fn deref(&self) -> &Errand {
        &self.errand
    }
}

impl Errand {
    /// How its program is run, if there is one.
    fn pipe(&self) -> Pipe {
        let name = self.destination.transport.as_deref();
        let pipe = name.and_then(|name| self.setup.config.pipe(name));
        pipe.cloned().unwrap_or_default()
    }
}

impl Job {
    /// How long it may take: every wait in it has a bound of its own, but a peer may use up each of
    /// them.
    pub(crate) fn longest(&self) -> Duration {
        let base = match &self.destination.kind {
            Kind::Pipe(_) | Kind::Program(_) => {
                let count = u32::try_from(self.envelope.recipients.len()).unwrap_or(u32::MAX);
                BASE.max(self.pipe().timeout.saturating_mul(count.saturating_add(1)))
            }
            Kind::Smtp { .. } | Kind::Lmtp(_) | Kind::Maildir(_) | Kind::Aliases => BASE,
        };
        base.saturating_add(Duration::from_secs(self.stored.size() / SLOWEST))
    }
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

    /// Makes one delivery.
    pub(crate) async fn deliver(&self, job: Job) -> Option<Vec<Outcome>> {
        match &job.destination.kind {
            Kind::Smtp { .. } | Kind::Lmtp(_) => {
                session::deliver(self, &job, Some(&job.stored)).await
            }
            Kind::Pipe(_) | Kind::Program(_) if job.pipe().socket.is_some() => {
                session::deliver(self, &job, Some(&job.stored)).await
            }
            Kind::Pipe(_) | Kind::Program(_) => Some(blocking(job, pipe::deliver).await),
            Kind::Maildir(_) => Some(blocking(job, maildir::deliver).await),
            // The queue's own, and no transport.
            Kind::Aliases => Some(all(
                job.envelope.recipients.len(),
                Failure::ours("no transport"),
            )),
        }
    }

    /// Whether a next hop would take these recipients: MAIL and RCPT, no message.
    pub(crate) async fn probe(&self, errand: &Errand) -> Vec<Outcome> {
        let asked = session::deliver(self, errand, None).await;
        asked.unwrap_or_default()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connections that wait.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// The hosts behind a destination that mail is handed to over a connection, and what they must show
/// if they are other people's.
pub(crate) async fn hosts(
    setup: &Setup,
    to: &Destination,
) -> Result<(Way, Option<Demands>), Failure> {
    match &to.kind {
        Kind::Smtp {
            nexthop,
            relayhost,
            named,
        } => {
            let mut demands = match relayhost {
                true => None,
                false => Some(Demands::new(setup, nexthop).await?),
            };
            let way = smtp::way(setup, nexthop, *relayhost, *named, demands.as_mut()).await?;
            Ok((way, demands))
        }
        Kind::Lmtp(target) => Ok((lmtp::way(target), None)),
        Kind::Maildir(_) | Kind::Pipe(_) | Kind::Program(_) | Kind::Aliases => {
            Err(Failure::ours("no connection is made"))
        }
    }
}

/// On a thread that may wait.
async fn blocking(job: Job, deliver: fn(&Job) -> Vec<Outcome>) -> Vec<Outcome> {
    let count = job.envelope.recipients.len();
    let delivered = spawn_blocking(move || deliver(&job)).await;
    delivered.unwrap_or_else(|error| all(count, Failure::ours(&error.to_string())))
}

/// Whether a message was delivered to this address before, on this machine or on one before it;
/// then it goes in circles.
fn loops(header: &[u8], address: &str) -> Option<Failure> {
    let header = Header::parse(header);
    let was_here = header.fields().iter().any(|field| {
        field.is("Delivered-To") && field.value().eq_ignore_ascii_case(address.as_bytes())
    });
    was_here.then(|| {
        let text = format!("mail forwarding loop for {address}");
        let status = EnhancedStatus::new(5, 4, 6);
        Failure::new(Blame::Policy, Stage::Local, status, &text)
    })
}

/// The same failure for all recipients.
pub(crate) fn all(count: usize, failure: Failure) -> Vec<Outcome> {
    vec![failure.outcome(); count]
}
