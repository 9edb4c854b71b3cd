//! Asks next hops whether they would take mail for a recipient, where that mail would go and over
//! the same connections.
//!
//! Contract: MAIL and RCPT, never DATA; the outcome is that of a delivery. At most [`AT_ONCE`] at a
//! time, each for [`PATIENCE`] at most.

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
use crate::{
    dispatch::Probe,
    link::Halt,
    setup::Setup,
    transport::{self, Errand, Transports},
};

/// Questions under way: more than clients may ask, for some are our own.
const AT_ONCE: usize = 30;
/// Longest wait for an answer; the client waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers questions until the daemon ends.
pub(crate) async fn run(
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
            let setup = deliveries.current.get();
            let outcome = ask(&deliveries.transports, setup, &probe).await;
            // The client may have gone.
            let _ = probe.done.send(outcome);
            drop(place);
        });
    }
}

/// Asks one question.
pub(crate) async fn ask(transports: &Transports, setup: Arc<Setup>, probe: &Probe) -> Outcome {
    let envelope = Envelope {
        sender: probe.sender.clone(),
        recipients: vec![Recipient::from(probe.recipient.clone())],
        ..Envelope::default()
    };
    let errand = Errand {
        ticket: None,
        destination: Arc::clone(&probe.destination),
        envelope,
        setup,
        hurried: true,
        halt: Halt::default(),
        cut: watch::channel(()).1,
    };
    let Ok(outcomes) = time::timeout(PATIENCE, transport::probe(transports, &errand)).await else {
        return Failure::ours("no answer in time").outcome();
    };
    let first = outcomes.into_iter().next();
    first.unwrap_or_else(|| Failure::ours("no result for this recipient").outcome())
}
