//! One delivery: from the spool to the transport, and one log line for each recipient.
//!
//! Contract: there are as many outcomes as recipients, in their order; what is not known is
//! deferred. A whole delivery has a deadline; at that, and where this server ends, what recipients
//! have been answered by then stands.

use std::{
    sync::{Arc, PoisonError, Weak},
    time::Duration,
};

use mail::{
    clock,
    envelope::Recipient,
    outcome::{Delivery as Delivered, Failure, Handover, Outcome},
};
use spool::{QueueId, SpoolError, Stored};
use tokio::task::block_in_place;

use super::{Deliveries, nondelivery};
use crate::{
    destination::{Destination, Kind},
    dispatch::{self, Delivery, Event},
    link::Halt,
    loops::{self, SentOn},
    notices::{self as news, HOURS, Passed},
    transport::{self, Errand, Job, Ledger, all},
};

impl Deliveries {
    /// Makes one transaction.
    pub(super) async fn attempt(&self, delivery: &Delivery) -> Event {
        let ticket = delivery.ticket;
        let finished = |outcomes| Event::Finished { ticket, outcomes };
        let count = delivery.recipients.len();
        let stored = match self.stored(delivery.id) {
            Ok(Some(stored)) => stored,
            // Removed a moment ago: there is nothing to tell of, neither in the log.
            Ok(None) => {
                return finished(all(count, Failure::ours("the message is no longer queued")));
            }
            Err(error) => {
                nondelivery::damaged(self);
                return finished(all(count, Failure::ours(&error.to_string())));
            }
        };
        let envelope = stored.envelope.with_numbers(&delivery.recipients);
        let (arrival, recipients) = (stored.arrival, envelope.recipients.clone());
        let ledger = Arc::new(Ledger::new(&self.dispatch, &stored, delivery));
        let mut errand = Errand {
            ticket: Some(ticket),
            destination: Arc::clone(&delivery.destination),
            envelope,
            numbers: delivery.recipients.clone(),
            ledger: Some(Arc::clone(&ledger)),
            setup: self.current.get(),
            hurried: delivery.patience == queue::Patience::Short,
            halt: Halt::default(),
            cut: self.cuts().entry(ticket).or_default().subscribe(),
        };
        let halt = Halt::new(self.halting.subscribe(), errand.longest(stored.size()));
        errand.halt = halt.clone();
        let job = Job {
            errand,
            stored: Arc::clone(&stored),
        };
        let made = self.make(job).await;
        self.cuts().remove(&ticket);
        let mut arrived = ledger.close();
        let made = made.or_else(|| (!arrived.is_empty()).then(Vec::new));
        let Some(mut outcomes) = made else {
            return Event::Withdrawn { ticket };
        };
        outcomes.resize(count, no_result());
        let age = clock::now().since(arrival);
        let numbers = delivery.recipients.iter().zip(&recipients);
        for ((number, recipient), outcome) in numbers.zip(&mut outcomes) {
            match arrived.remove(number) {
                Some(known) => *outcome = known,
                None => {
                    self.dispatch
                        .attempted(delivery.id, recipient, age, outcome);
                }
            }
        }
        let both = recipients.iter().zip(&outcomes);
        let arrived = both.filter(|(_, outcome)| matches!(outcome, Outcome::Delivered(_)));
        self.tell_of(&delivery.destination, arrived.map(|(it, _)| it), age);
        if let Err(error) =
            nondelivery::confirm(self, &stored, &delivery.recipients, &outcomes).await
        {
            // The mail has arrived; only the news of it has not.
            nondelivery::unqueued(delivery.id, "delivery status notification", &error);
        }
        if halt.is_ending() {
            return Event::interrupted(ticket, outcomes);
        }
        if let Some(event) = Event::crowded(ticket, &recipients, &outcomes) {
            self.dispatch.tell(event);
        }
        finished(outcomes)
    }

    /// What it means for the administrators that mail has arrived.
    fn tell_of<'a>(
        &self,
        to: &Destination,
        arrived: impl Iterator<Item = &'a Recipient>,
        age: Duration,
    ) {
        let mut arrived = arrived.peekable();
        if arrived.peek().is_none() {
            return;
        }
        let (told, what) = (self.dispatch.news(), to.to_string());
        if told.lock().is_out(&what) {
            told.tell(news::Event::Ended { what });
        }
        if age >= HOURS {
            for recipient in arrived {
                let to = recipient.address.domain().to_string();
                told.tell(news::Event::Passed(Passed::Late { to }));
            }
        }
    }

    /// A queued message, which may be that of another delivery.
    fn stored(&self, id: QueueId) -> Result<Option<Arc<Stored>>, SpoolError> {
        let read = || self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let known = read().get(&id).and_then(Weak::upgrade);
        if known.is_some() && self.dispatch.lock().contains(id) {
            return Ok(known);
        }
        let stored = block_in_place(|| self.dispatch.spool().load(id))?.map(Arc::new);
        if let Some(stored) = &stored {
            let mut read = read();
            read.retain(|_, stored| stored.strong_count() > 0);
            read.insert(id, Arc::downgrade(stored));
        }
        Ok(stored)
    }

    /// To all but those whose own mail comes back to them.
    async fn make(&self, mut job: Job) -> Option<Vec<Outcome>> {
        let circles = circles(&job);
        if circles.iter().all(Option::is_none) {
            return self.make_one(job).await;
        }
        let indexes = (0..circles.len()).filter(|&at| matches!(circles.get(at), Some(None)));
        job.errand.only(&indexes.collect::<Vec<_>>());
        let mut made = match job.envelope.recipients.len() {
            0 => Vec::new(),
            _ => self.make_one(job).await?,
        }
        .into_iter();
        let outcome = |circle: Option<Failure>| match circle {
            Some(failure) => failure.outcome(),
            None => made.next().unwrap_or_else(no_result),
        };
        Some(circles.into_iter().map(outcome).collect())
    }

    async fn make_one(&self, job: Job) -> Option<Vec<Outcome>> {
        if job.destination.kind == Kind::Aliases {
            let forwarded = self.forward(&job.envelope.recipients, &job.stored).await;
            return Some(vec![forwarded; job.envelope.recipients.len()]);
        }
        transport::deliver(&self.transports, job).await
    }

    /// Queues it again for those whom aliases name by now.
    async fn forward(&self, recipients: &[Recipient], stored: &Stored) -> Outcome {
        let setup = self.current.get();
        let sent = SentOn::by_section(&stored.header);
        let recipients = dispatch::expand(recipients, &sent, &setup.router);
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
            Err(error) => Failure::ours(&error.to_string()).outcome(),
        }
    }
}

fn no_result() -> Outcome {
    Failure::ours("no result for this recipient").outcome()
}

/// For each recipient, whether it is a list that sees its own mail.
fn circles(job: &Job) -> Vec<Option<Failure>> {
    let sent = SentOn::by_section(&job.stored.header);
    let router = &job.setup.router;
    let recipients = job.envelope.recipients.iter();
    let circle = |recipient: &Recipient| {
        let list = &recipient.address;
        let is_one =
            recipient.replaced().is_none() && sent.is_by(list) && router.stands_for_others(list);
        is_one.then(|| loops::failure(list.as_str()))
    };
    recipients.map(circle).collect()
}
