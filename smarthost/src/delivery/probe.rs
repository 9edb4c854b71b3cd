//! Asks next hops whether they would take mail for a recipient, where that mail would go and over the same connections.
//!
//! Contract: MAIL and RCPT, never DATA; the outcome is that of a delivery. At most [`AT_ONCE`] at a time, each for [`PATIENCE`] at most.

use std::{sync::Arc, time::Duration};

use mail::{
    envelope::{Envelope, Recipient},
    outcome::{Failure, Outcome},
};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time,
};

use super::Deliveries;
use crate::{dispatch::Probe, transport::Errand};

/// Questions under way.
const AT_ONCE: usize = 20;
/// Longest wait for an answer; the client waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers questions until the daemon ends.
pub(crate) async fn probe(
    deliveries: Arc<Deliveries>,
    mut asked: mpsc::Receiver<Probe>,
    mut ending: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let probe = tokio::select! {
            probe = asked.recv() => probe,
            _ = ending.wait_for(|ending| *ending) => None,
        };
        let (Some(probe), Ok(place)) = (probe, Arc::clone(&places).acquire_owned().await) else {
            return;
        };
        let deliveries = Arc::clone(&deliveries);
        tokio::spawn(async move {
            let outcome = time::timeout(PATIENCE, ask(&deliveries, &probe)).await;
            let late = |_| Failure::ours("no answer in time").outcome();
            // The client may have gone.
            let _ = probe.done.send(outcome.unwrap_or_else(late));
            drop(place);
        });
    }
}

async fn ask(deliveries: &Deliveries, probe: &Probe) -> Outcome {
    let envelope = Envelope {
        sender: probe.sender.clone(),
        recipients: vec![Recipient::from(probe.recipient.clone())],
        ..Envelope::default()
    };
    let errand = Errand {
        destination: Arc::clone(&probe.destination),
        envelope,
        setup: deliveries.current.get(),
        hurried: true,
    };
    let outcomes = deliveries.transports.probe(&errand).await;
    let first = outcomes.into_iter().next();
    first.unwrap_or_else(|| Failure::ours("no result for this recipient").outcome())
}
