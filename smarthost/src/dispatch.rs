//! The way into the queue: a message is committed to the spool, then the scheduler hears of it.
//!
//! Contract: who gets a queue id back may promise delivery: the message is on disk, and in the queue. Many messages that wait for the
//! disk at the same moment share one commit.
//! Failures: the spool's own, unchanged.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mail::{
    clock::{self, Timestamp},
    envelope::{Content, Envelope, Recipient},
    message::{Header, Splitter},
};
use spool::{Draft, QueueId, Spool, SpoolError};
use tokio::sync::{Notify, oneshot};

use crate::{
    destination::Destination,
    maillog,
    queue::{Event, Queue, Routed},
    route::Router,
};

/// Spool and scheduler, as everybody who brings mail needs them.
pub(crate) struct Dispatch {
    spool: Spool,
    queue: Mutex<Queue>,
    wake: Notify,
}

impl Dispatch {
    pub(crate) fn new(spool: Spool, queue: Queue) -> Self {
        Self {
            spool,
            queue: Mutex::new(queue),
            wake: Notify::new(),
        }
    }

    pub(crate) fn spool(&self) -> &Spool {
        &self.spool
    }

    /// The scheduler, for whoever gives it events through [`Self::tell`] or answers administrators.
    pub(crate) fn queue(&self) -> &Mutex<Queue> {
        &self.queue
    }

    /// The scheduler, locked. Never held over an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the scheduler an event; its driver does what follows.
    pub(crate) fn tell(&self, event: Event) {
        self.lock().handle(event, clock::now());
        self.wake.notify_one();
    }

    /// The driver has something to do.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until there is something to do.
    pub(crate) async fn awoken(&self) {
        self.wake.notified().await;
    }

    /// Commits a message and schedules it. Returns when it is on disk.
    pub(crate) async fn enqueue(
        &self,
        draft: Draft,
        envelope: &Envelope,
        header: &[u8],
        router: &Router,
    ) -> Result<QueueId, SpoolError> {
        let (done, committed) = oneshot::channel();
        self.spool
            .accept_then(draft, envelope, header, move |result| {
                // Nobody waits any more: the message is queued all the same, and found at the next start.
                let _ = done.send(result);
            });
        let id = committed.await.unwrap_or(Err(SpoolError::Stopped))?;
        let arrival = self
            .spool
            .entry(id)
            .map_or_else(clock::now, |entry| entry.arrival);
        self.schedule(id, arrival, envelope, router);
        Ok(id)
    }

    fn schedule(&self, id: QueueId, arrival: Timestamp, envelope: &Envelope, router: &Router) {
        let recipients = (0u32..)
            .zip(&envelope.recipients)
            .map(|(index, recipient)| routed(index, recipient, router))
            .collect();
        self.tell(Event::Accepted {
            id,
            arrival,
            recipients,
        });
    }

    /// Queues a message of our own (bounce, notice): complete, in canonical CRLF lines.
    pub(crate) async fn inject(
        &self,
        message: &[u8],
        mut envelope: Envelope,
        router: &Router,
    ) -> Result<QueueId, SpoolError> {
        let mut draft = self.spool.draft()?;
        let mut splitter = Splitter::default();
        let size = u64::try_from(message.len()).unwrap_or(u64::MAX);
        let body = splitter.split(message).map_err(|_| SpoolError::Stopped)?;
        draft.write(body).map_err(|error| SpoolError::Io {
            doing: "write a message of our own",
            path: "spool".into(),
            error,
        })?;
        let (header, content): (Header, Content) = splitter.finish();
        envelope.content = content;
        envelope.recipients = expand(&envelope.recipients, router);
        let id = self
            .enqueue(draft, &envelope, &header.to_bytes(), router)
            .await?;
        maillog::queued(id, &envelope, size);
        Ok(id)
    }
}

/// A recipient with where it goes now.
pub(crate) fn routed(index: u32, recipient: &Recipient, router: &Router) -> Routed {
    Routed {
        recipient: index,
        destination: router
            .destination(&recipient.address)
            .map(Arc::<Destination>::new),
    }
}

/// Recipients after aliases, each address once. One that cannot be expanded stays as it is and fails at delivery, so that the sender hears of it.
pub(crate) fn expand(recipients: &[Recipient], router: &Router) -> Vec<Recipient> {
    let mut seen = std::collections::HashSet::new();
    let mut all = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        let expanded = router
            .expand(recipient)
            .ok()
            .filter(|expanded| !expanded.is_empty())
            .unwrap_or_else(|| vec![recipient.clone()]);
        all.extend(
            expanded
                .into_iter()
                .filter(|recipient| seen.insert(recipient.address.key())),
        );
    }
    all
}
