//! One delivery: from the spool to the transport, and one log line for each recipient.
//!
//! Contract: there are as many outcomes as recipients, in their order; what is not known is deferred. A whole delivery has a deadline.
//! `None`: it was not made, its turn comes again.

use std::{sync::Arc, time::Duration};

use mail::{
    clock,
    envelope::{Envelope, Recipient},
    outcome::{Blame, Delivery as Delivered, Failure, Handover, Outcome, Stage},
    status::EnhancedStatus,
};
use spool::Stored;
use system::log::life;
use tokio::{task::spawn_blocking, time};

use super::{Carrier, maildir, nondelivery};
use crate::{
    destination::Destination,
    dispatch::{self, Delivery},
};

/// A whole delivery of a small message.
const BASE: Duration = Duration::from_mins(40);
/// Bytes a second that a message must make.
const SLOWEST: u64 = 4096;

impl Carrier {
    /// Makes one transaction.
    pub(super) async fn attempt(&self, delivery: &Delivery) -> Option<Vec<Outcome>> {
        let count = delivery.recipients.len();
        let stored = match self.dispatch.spool().load(delivery.id) {
            Ok(Some(stored)) => Arc::new(stored),
            // Removed a moment ago: there is nothing to tell of, neither in the log.
            Ok(None) => return Some(all(count, local("the message is no longer queued"))),
            Err(error) => return Some(all(count, local(&error.to_string()))),
        };
        let envelope = part(&stored.envelope, &delivery.recipients);
        let (arrival, recipients) = (stored.arrival, envelope.recipients.clone());
        let most = longest(stored.size());
        let transport = self.transport(delivery, envelope, Arc::clone(&stored));
        let mut outcomes = match time::timeout(most, transport).await {
            Ok(outcomes) => outcomes?,
            Err(_) => all(count, too_slow(most)),
        };
        outcomes.resize(count, local("no result for this recipient").outcome());
        let now = clock::now();
        for (recipient, outcome) in recipients.iter().zip(&outcomes) {
            life::attempt(delivery.id, recipient, now.since(arrival), outcome);
        }
        if let Err(error) =
            nondelivery::confirm(self, &stored, &delivery.recipients, &outcomes).await
        {
            // The mail has arrived; only the news of it has not.
            nondelivery::unqueued(delivery.id, "delivery status notification", &error);
        }
        Some(outcomes)
    }

    async fn transport(
        &self,
        delivery: &Delivery,
        envelope: Envelope,
        stored: Arc<Stored>,
    ) -> Option<Vec<Outcome>> {
        let count = envelope.recipients.len();
        match &*delivery.destination {
            Destination::Smtp { .. } | Destination::Lmtp(_) => {
                self.relay(delivery, envelope, &stored).await
            }
            Destination::Aliases => {
                let forwarded = self.forward(&envelope.recipients, &stored).await;
                Some(vec![forwarded; count])
            }
            Destination::Maildir(directory) => {
                let directory = directory.clone();
                let hostname = self.current.get().config.hostname.clone();
                let delivered = spawn_blocking(move || {
                    let deliver =
                        |recipient| maildir::deliver(&directory, &stored, recipient, &hostname);
                    envelope.recipients.iter().map(deliver).collect()
                });
                let delivered = delivered.await;
                Some(delivered.unwrap_or_else(|error| all(count, local(&error.to_string()))))
            }
        }
    }
}

impl Carrier {
    /// Queues it again for those whom aliases name by now.
    async fn forward(&self, recipients: &[Recipient], stored: &Stored) -> Outcome {
        let setup = self.current.get();
        let recipients = dispatch::expand(recipients, &setup.router);
        let forwarded = match recipients {
            Ok(recipients) => {
                self.dispatch
                    .forward(stored, recipients, &setup.router)
                    .await
            }
            Err(failure) => return failure.outcome(),
        };
        match forwarded {
            Ok(id) => Outcome::Delivered(Delivered {
                relay: "local".to_owned(),
                reply: format!("forwarded as {id}"),
                handover: Handover::Promised,
            }),
            Err(error) => local(&error.to_string()).outcome(),
        }
    }
}

/// How long a delivery of so many bytes may take: every wait in it has a bound of its own, but a peer may use up each of them.
fn longest(size: u64) -> Duration {
    BASE.saturating_add(Duration::from_secs(size / SLOWEST))
}

fn too_slow(most: Duration) -> Failure {
    let text = format!(
        "the delivery took more than {} minutes",
        most.as_secs() / 60
    );
    let status = EnhancedStatus::new(4, 4, 2);
    Failure::new(Blame::Network, Stage::Data, status, &text)
}

/// The envelope with those recipients alone.
fn part(envelope: &Envelope, recipients: &[u32]) -> Envelope {
    let chosen = recipients.iter().filter_map(|&index| {
        envelope
            .recipients
            .get(usize::try_from(index).ok()?)
            .cloned()
    });
    Envelope {
        recipients: chosen.collect(),
        ..envelope.clone()
    }
}

/// A failure of this machine.
pub(super) fn local(text: &str) -> Failure {
    Failure::local(EnhancedStatus::new(4, 3, 0), text)
}

/// The same failure for all recipients.
pub(super) fn all(count: usize, failure: Failure) -> Vec<Outcome> {
    vec![failure.outcome(); count]
}
