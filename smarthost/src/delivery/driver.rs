//! The scheduler's driver: one task drains its actions in order, deliveries run beside it.
//!
//! Contract: a step of the wall clock is told as one. What the scheduler wants recorded is recorded in its order. At the end no new delivery begins, and those in flight may finish
//! for a short while; what they do not finish stays queued.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mail::clock;
use queue::clock::Watch;
use spool::QueueId;
use system::log::life;
use tokio::{sync::watch, task::JoinSet, time};

use super::{Carrier, nondelivery};
use crate::{
    dispatch::{self, Action, Event},
    maillog,
};

/// How long deliveries in flight may go on when the daemon ends.
const GRACE: Duration = Duration::from_secs(5);
/// Longest wait without looking at the clock: a machine that slept has a new time.
const LOOK: Duration = Duration::from_mins(1);

/// Runs the queue until the daemon ends.
pub(crate) async fn run(carrier: Arc<Carrier>, mut ending: watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    let mut watch = Watch::new(clock::now(), Instant::now());
    loop {
        if let Some(step) = watch.look(clock::now(), Instant::now()) {
            life::clock_set(step);
            carrier.dispatch.tell(Event::Stepped(step));
        }
        for action in drain(&carrier) {
            carry_out(&carrier, action, &mut tasks);
        }
        let wait = until_due(&carrier);
        if wait.is_zero() {
            carrier.dispatch.tell(Event::TimedOut);
            continue;
        }
        tokio::select! {
            () = carrier.dispatch.awoken() => {}
            () = time::sleep(wait) => carrier.dispatch.tell(Event::TimedOut),
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            _ = ending.wait_for(|ending| *ending) => break,
        }
    }
    let _ = time::timeout(GRACE, finish(&carrier, &mut tasks)).await;
    tasks.abort_all();
    conclude(&carrier, &mut tasks);
    carrier.pool.close().await;
}

/// Lets deliveries in flight end.
async fn finish(carrier: &Arc<Carrier>, tasks: &mut JoinSet<()>) {
    conclude(carrier, tasks);
    while tasks.join_next().await.is_some() {
        conclude(carrier, tasks);
    }
}

/// Records what became of deliveries and what administrators ordered; begins none.
fn conclude(carrier: &Arc<Carrier>, tasks: &mut JoinSet<()>) {
    for action in drain(carrier) {
        if !matches!(action, Action::Deliver(_) | Action::Load { .. }) {
            carry_out(carrier, action, tasks);
        }
    }
}

/// What is to be done; what is to be recorded is recorded here. Under the lock: whoever answers an
/// order does the same, and what was decided first is recorded first.
fn drain(carrier: &Carrier) -> Vec<Action> {
    let mut queue = carrier.dispatch.lock();
    for (id, event) in queue.take_records() {
        carrier.dispatch.spool().record(id, event);
    }
    std::iter::from_fn(|| queue.next_action()).collect()
}

fn until_due(carrier: &Carrier) -> Duration {
    carrier
        .dispatch
        .lock()
        .deadline()
        .map_or(LOOK, |deadline| deadline.since(clock::now()).min(LOOK))
}

fn carry_out(carrier: &Arc<Carrier>, action: Action, tasks: &mut JoinSet<()>) {
    match action {
        Action::Load { id, recipients } => load(carrier, id, &recipients),
        Action::Deliver(delivery) => {
            let carrier = Arc::clone(carrier);
            tasks.spawn(async move {
                let ticket = delivery.ticket;
                carrier
                    .dispatch
                    .tell(match carrier.attempt(&delivery).await {
                        Some(outcomes) => Event::Finished { ticket, outcomes },
                        None => Event::Withdrawn { ticket },
                    });
            });
        }
        Action::Record { id, event } => carrier.dispatch.spool().record(id, event),
        Action::Bounce {
            id,
            failed,
            expired,
        } => {
            let carrier = Arc::clone(carrier);
            tasks.spawn(async move {
                let event = match nondelivery::bounce(&carrier, id, &failed, expired).await {
                    Ok(()) => Event::Bounced { id },
                    Err(error) => {
                        nondelivery::unqueued(id, "bounce", &error);
                        Event::BounceFailed { id }
                    }
                };
                carrier.dispatch.tell(event);
            });
        }
        Action::Dead { id, failed, tell } => {
            let carrier = Arc::clone(carrier);
            tasks.spawn(async move { nondelivery::dead(&carrier, id, &failed, tell).await });
        }
        Action::Warn { id, late } => {
            let carrier = Arc::clone(carrier);
            tasks.spawn(async move {
                let event = match nondelivery::warn(&carrier, id, &late).await {
                    Ok(()) => Event::Warned { id },
                    Err(error) => {
                        nondelivery::unqueued(id, "warning", &error);
                        Event::WarnFailed { id }
                    }
                };
                carrier.dispatch.tell(event);
            });
        }
        Action::Suspended {
            destination,
            until,
            reason,
        } => maillog::suspended(&destination, until, &reason),
        Action::Resumed(_) => {}
        Action::Ended { id, deleted } => life::ended(id, deleted),
    }
}

/// Reads an envelope back and routes the recipients that are due.
fn load(carrier: &Carrier, id: QueueId, recipients: &[u32]) {
    let router = &carrier.current.get().router;
    let read = carrier.dispatch.spool().envelope(id);
    let event = Event::read(id, recipients, read, dispatch::origin, |recipient| {
        router.destination(&recipient.address)
    });
    carrier.dispatch.tell(event);
}
