//! The thread of a transport that waits for disks and programs.
//!
//! Contract: one outcome for each recipient, in order. What became of each is handed over at once:
//! where the delivery has no more time, what is known by then stands, and the thread begins with
//! nobody else.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mail::outcome::{Failure, Outcome};
use tokio::{task::spawn_blocking, time};

use super::job::Job;

/// How long a recipient in whose middle the time ended may take: a program was ended, too.
const LAST: Duration = Duration::from_secs(2);

/// What is known of the recipients, from the first one on.
#[derive(Default)]
pub(super) struct Known(Mutex<Vec<Outcome>>);

impl Known {
    /// Those of the next ones.
    pub(super) fn add(&self, job: &Job, outcomes: impl IntoIterator<Item = Outcome>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for outcome in outcomes {
            job.arrived(known.len(), &outcome);
            known.push(outcome);
        }
    }

    fn take(&self) -> Vec<Outcome> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Makes a delivery on a thread that may wait.
pub(super) async fn run(job: Job, deliver: fn(&Job, &Known)) -> Vec<Outcome> {
    let count = job.envelope.recipients.len();
    let halt = job.halt.clone();
    let known = Arc::new(Known::default());
    let for_thread = Arc::clone(&known);
    let mut thread = spawn_blocking(move || deliver(&job, &for_thread));
    let ended = tokio::select! {
        ended = &mut thread => Some(ended),
        () = halt.reached() => time::timeout(LAST, &mut thread).await.ok(),
    };
    let failure = match ended {
        Some(Err(error)) => Failure::ours(&error.to_string()),
        Some(Ok(())) if !halt.is_reached() => Failure::ours("no result for this recipient"),
        Some(Ok(())) | None => halt.failure(),
    };
    let mut outcomes = known.take();
    outcomes.resize(count, failure.outcome());
    outcomes
}
