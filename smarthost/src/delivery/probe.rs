//! Asks next hops whether they would take mail for a recipient, where that mail would go and over
//! the same connections.
//!
//! Contract: MAIL and RCPT, never DATA; the outcome is that of a delivery. A question has a place
//! that the queue gives it, among the connections of its next hop; one for which there is none
//! within [`WAIT`], or whose connection is one too many, has no outcome. It takes [`PATIENCE`] at
//! most.

use std::{sync::Arc, time::Duration};

use mail::{
    clock,
    envelope::{Envelope, Recipient},
    outcome::{Failure, Outcome},
};
use tokio::{
    sync::{mpsc, watch},
    time::{self, Instant},
};

use super::{Deliveries, Turn};
use crate::{
    dispatch::{Event, Probe},
    link::Halt,
    setup::Setup,
    transport::{self, Errand, Transports},
};

/// How long a place is waited for; the client waits meanwhile.
const WAIT: Duration = Duration::from_secs(9);
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers questions until the daemon ends.
pub(crate) async fn run(
    deliveries: Arc<Deliveries>,
    mut asked: mpsc::Receiver<Probe>,
    mut ending: watch::Receiver<bool>,
) {
    loop {
        let probe = tokio::select! {
            probe = asked.recv() => probe,
            _ = ending.wait_for(|ending| *ending) => None,
        };
        let Some(probe) = probe else {
            return;
        };
        let deliveries = Arc::clone(&deliveries);
        tokio::spawn(async move {
            let outcome = in_turn(&deliveries, &probe).await;
            // The client may have gone.
            let _ = probe.done.send(outcome);
        });
    }
}

/// Asks one question when there is a place for it.
async fn in_turn(deliveries: &Deliveries, probe: &Probe) -> Option<Outcome> {
    let mut place = Place::new(deliveries, probe)?;
    let until = Instant::now() + WAIT;
    loop {
        let comes = place.comes.wait_for(|comes| *comes);
        time::timeout_at(until, comes).await.ok()?.ok()?;
        let (ticket, setup) = (place.ticket, deliveries.current.get());
        let halt = Halt::new(place.cut.clone(), PATIENCE);
        match ask(&deliveries.transports, setup, probe, (Some(ticket), halt)).await {
            Some(outcome) => return place.answered(&outcome).then_some(outcome),
            None => place.waits_again(),
        }
    }
}

/// A question in the queue, until it ends.
struct Place<'a> {
    deliveries: &'a Deliveries,
    ticket: u64,
    comes: watch::Receiver<bool>,
    cut: watch::Receiver<bool>,
}

impl<'a> Place<'a> {
    fn new(deliveries: &'a Deliveries, probe: &Probe) -> Option<Self> {
        let mut queue = deliveries.dispatch.lock();
        let ticket = queue.ask(&probe.destination, probe.own, clock::now())?;
        let turn = Turn::default();
        let place = Self {
            deliveries,
            ticket,
            comes: turn.comes.subscribe(),
            cut: turn.cut.subscribe(),
        };
        // Under the lock: its turn may have come already.
        deliveries.questions().insert(ticket, turn);
        drop(queue);
        deliveries.dispatch.wake();
        Some(place)
    }

    /// Others with the same hosts have the places.
    fn waits_again(&self) {
        let ticket = self.ticket;
        if let Some(turn) = self.deliveries.questions().get(&ticket) {
            turn.comes.send_replace(false);
        }
        self.deliveries.dispatch.tell(Event::Withdrawn { ticket });
    }

    /// Whether the outcome says anything.
    fn answered(&self, outcome: &Outcome) -> bool {
        let mut queue = self.deliveries.dispatch.lock();
        queue.answered(self.ticket, Some(outcome), clock::now())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let dispatch = &self.deliveries.dispatch;
        // One that was answered is not known there any more.
        dispatch.lock().answered(self.ticket, None, clock::now());
        self.deliveries.questions().remove(&self.ticket);
        dispatch.wake();
    }
}

/// Asks what needs no place.
pub(crate) async fn ask_beside(
    transports: &Transports,
    setup: Arc<Setup>,
    probe: &Probe,
) -> Option<Outcome> {
    let halt = Halt::new(watch::channel(false).1, PATIENCE);
    ask(transports, setup, probe, (None, halt)).await
}

/// Asks one question; `None`: others have the places of its next hop.
async fn ask(
    transports: &Transports,
    setup: Arc<Setup>,
    probe: &Probe,
    (ticket, halt): (Option<u64>, Halt),
) -> Option<Outcome> {
    let envelope = Envelope {
        sender: probe.sender.clone(),
        recipients: vec![Recipient::from(probe.recipient.clone())],
        ..Envelope::default()
    };
    let errand = Errand {
        ticket,
        destination: Arc::clone(&probe.destination),
        envelope,
        numbers: Vec::new(),
        ledger: None,
        setup,
        hurried: true,
        halt: halt.clone(),
        cut: watch::channel(()).1,
    };
    let outcomes = transport::probe(transports, &errand).await?;
    Some(match outcomes.into_iter().next() {
        Some(Outcome::Deferred(failure)) if failure.reply.is_none() && halt.is_reached() => {
            Failure::ours("no answer in time").outcome()
        }
        Some(outcome) => outcome,
        None => Failure::ours("no result for this recipient").outcome(),
    })
}
