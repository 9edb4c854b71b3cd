//! The scheduler's driver: one task drains its actions in order, deliveries run beside it.
//!
//! Contract: a step of the wall clock is told as one. What the scheduler wants recorded is recorded
//! in its order. At the end no new delivery begins, and those in flight may finish for a short
//! while; then each ends with what its recipients were answered, and the rest stays queued. What
//! panics has failed for now, and is told.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use mail::{
    clock::{self, Timestamp},
    outcome::{Failure, Outcome},
};
use queue::{
    clock::Watch,
    deferring::{self, Found},
};
use settings::Span;
use spool::QueueId;
use system::log::{Level, life, line};
use tokio::{
    sync::watch,
    task::{JoinSet, block_in_place, spawn_blocking},
    time,
};

use super::{Deliveries, nondelivery};
use crate::{
    destination::Destination,
    dispatch::{self, Action, Delivery, Event},
    maillog,
    notices::{self as news, OutageReport},
    transport,
};

/// How long deliveries in flight may go on when the daemon ends.
const GRACE: Duration = Duration::from_secs(5);
/// And how long they may take then to hand over what recipients were answered.
const LAST: Duration = Duration::from_secs(3);
/// How long a destination of ours may take no mail before it is told.
const PATIENCE: Duration = Duration::from_mins(15);
/// Longest wait without looking at the clock: a machine that slept has a new time.
const LOOK: Duration = Duration::from_mins(1);

/// Runs the queue until the daemon ends.
pub(crate) async fn run(deliveries: Arc<Deliveries>, mut ending: watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    let mut watch = Watch::new(clock::now(), Instant::now());
    loop {
        if let Some(step) = watch.look(clock::now(), Instant::now()) {
            life::clock_set(step);
            deliveries.dispatch.tell(Event::Stepped(step));
        }
        let may_begin = deliveries.dispatch.may_begin();
        for action in drain(&deliveries) {
            carry_out(&deliveries, action, &mut tasks);
        }
        let wait = until_due(&deliveries, may_begin.err().unwrap_or(LOOK));
        if wait.is_zero() {
            deliveries.dispatch.tell(Event::TimedOut);
            continue;
        }
        tokio::select! {
            () = deliveries.dispatch.awoken() => {}
            () = time::sleep(wait) => deliveries.dispatch.tell(Event::TimedOut),
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            _ = ending.wait_for(|ending| *ending) => break,
        }
    }
    let _ = time::timeout(GRACE, finish(&deliveries, &mut tasks)).await;
    if !tasks.is_empty() {
        deliveries.halting.send_replace(true);
        // Nobody needs to wait for it: what ran for a delivery ends that way.
        drop(spawn_blocking(system::program::interrupt));
        let _ = time::timeout(LAST, finish(&deliveries, &mut tasks)).await;
    }
    tasks.abort_all();
    conclude(&deliveries, &mut tasks);
    deliveries.transports.close().await;
}

/// Lets deliveries in flight end.
async fn finish(deliveries: &Arc<Deliveries>, tasks: &mut JoinSet<()>) {
    conclude(deliveries, tasks);
    while tasks.join_next().await.is_some() {
        conclude(deliveries, tasks);
    }
}

/// Records what became of deliveries and what administrators ordered; begins none.
fn conclude(deliveries: &Arc<Deliveries>, tasks: &mut JoinSet<()>) {
    for action in drain(deliveries) {
        if !matches!(action, Action::Deliver(_) | Action::Load { .. }) {
            carry_out(deliveries, action, tasks);
        }
    }
}

/// What is to be done; what is to be recorded is recorded here. Under the lock: whoever answers an
/// order does the same, and what was decided first is recorded first.
fn drain(deliveries: &Deliveries) -> Vec<Action> {
    let mut queue = deliveries.dispatch.lock();
    for (id, event) in queue.take_records() {
        deliveries.dispatch.spool().record(id, event);
    }
    let actions: Vec<_> = std::iter::from_fn(|| queue.next_action()).collect();
    // Under the lock: the balance of a drain comes out whenever it is asked for.
    let draining = deliveries.dispatch.draining();
    for action in &actions {
        if let Action::Ended {
            deleted, bounced, ..
        } = action
        {
            draining.ended(*deleted, *bounced);
        }
    }
    drop(queue);
    draining.keep();
    actions
}

fn until_due(deliveries: &Deliveries, most: Duration) -> Duration {
    deliveries
        .dispatch
        .lock()
        .deadline()
        .map_or(most, |deadline| deadline.since(clock::now()).min(most))
}

fn carry_out(deliveries: &Arc<Deliveries>, action: Action, tasks: &mut JoinSet<()>) {
    let dispatch = &deliveries.dispatch;
    match action {
        Action::Load { id, recipients } => begin(
            deliveries,
            tasks,
            Event::LoadFailed {
                id,
                failure: Failure::ours("reading it broke off here"),
                damaged: false,
            },
            async move |all| block_in_place(|| load(&all, id, &recipients)),
        ),
        // A commit of results may have failed a moment ago.
        Action::Deliver(Delivery { ticket, .. }) if dispatch.may_begin().is_err() => {
            dispatch.tell(Event::Withdrawn { ticket });
        }
        Action::Deliver(delivery) => {
            let (ticket, count) = (delivery.ticket, delivery.recipients.len());
            let outcomes = transport::all(count, Failure::ours("the delivery broke off here"));
            let otherwise = Event::Finished { ticket, outcomes };
            begin(deliveries, tasks, otherwise, async move |all| {
                let event = all.attempt(&delivery).await;
                if let Event::Finished { outcomes, .. } = &event {
                    answered(&all, &delivery, outcomes);
                }
                event
            });
        }
        Action::Cut { ticket } => deliveries.cut(ticket),
        Action::Ask { ticket } => {
            if let Some(turn) = deliveries.questions().get(&ticket) {
                turn.comes.send_replace(true);
            }
        }
        Action::Record { id, event } => dispatch.spool().record(id, event),
        Action::Bounce {
            id,
            failed,
            expired,
        } => begin(
            deliveries,
            tasks,
            Event::BounceFailed { id },
            async move |all| bounced(&all, id, &failed, expired).await,
        ),
        Action::Dead { id, failed, tell } => {
            let all = Arc::clone(deliveries);
            tasks.spawn(async move {
                block_in_place(|| nondelivery::dead(&all, id, &failed, tell));
            });
        }
        Action::Warn { id, arrival, late } => begin(
            deliveries,
            tasks,
            Event::WarnFailed { id },
            async move |all| warned(&all, id, arrival, &late).await,
        ),
        news @ (Action::Suspended { .. }
        | Action::TurnedAway { .. }
        | Action::Resumed(_)
        | Action::Learned(_)
        | Action::Ended { .. }) => tell(deliveries, news),
    }
}

/// What the log and the administrators hear of.
fn tell(deliveries: &Deliveries, action: Action) {
    let dispatch = &deliveries.dispatch;
    match action {
        Action::Suspended {
            destination,
            until,
            reason,
        } => {
            maillog::suspended(&destination, until, &reason);
            outage(deliveries, &destination, &reason);
        }
        Action::TurnedAway {
            destination,
            senders,
            until,
            reason,
        } => maillog::turned_away(&destination, senders, until, &reason),
        Action::Resumed(destination) => {
            let what = destination.to_string();
            dispatch.news().tell(news::Event::Ended { what });
        }
        Action::Learned(lesson) => dispatch.learned(lesson),
        Action::Ended {
            id,
            deleted,
            overtaken,
            ..
        } => {
            dispatch.activity().removed(deleted);
            life::ended(id, deleted, overtaken);
        }
        _ => {}
    }
}

impl Deliveries {
    /// Tells a delivery, or a question, to give up.
    fn cut(&self, ticket: u64) {
        if let Some(cut) = self.cuts().get(&ticket) {
            cut.send_replace(());
        }
        if let Some(turn) = self.questions().get(&ticket) {
            turn.cut.send_replace(true);
        }
    }
}

async fn bounced(
    deliveries: &Deliveries,
    id: QueueId,
    failed: &[(u32, Failure)],
    expired: bool,
) -> Event {
    match nondelivery::bounce(deliveries, id, failed, expired).await {
        Ok(()) => Event::Bounced { id },
        Err(error) => {
            nondelivery::unqueued(id, "bounce", &error);
            Event::BounceFailed { id }
        }
    }
}

async fn warned(
    deliveries: &Deliveries,
    id: QueueId,
    arrival: Timestamp,
    late: &[(u32, Failure)],
) -> Event {
    match nondelivery::warn(deliveries, id, arrival, late).await {
        Ok(()) => Event::Warned { id },
        Err(error) => {
            nondelivery::unqueued(id, "warning", &error);
            Event::WarnFailed { id }
        }
    }
}

/// Work that takes its time, and whose end the queue hears; where it panics, the other one.
fn begin<W>(
    deliveries: &Arc<Deliveries>,
    tasks: &mut JoinSet<()>,
    otherwise: Event,
    work: impl FnOnce(Arc<Deliveries>) -> W,
) where
    W: Future<Output = Event> + Send + 'static,
{
    let (dispatch, work) = (
        Arc::clone(&deliveries.dispatch),
        work(Arc::clone(deliveries)),
    );
    tasks.spawn(async move { dispatch.tell(ended(work, otherwise).await) });
}

/// What work came to; something else, where it panics.
async fn ended<E: Send + 'static>(
    work: impl Future<Output = E> + Send + 'static,
    otherwise: E,
) -> E {
    let mut working = JoinSet::new();
    working.spawn(work);
    match working.join_next().await {
        Some(Ok(event)) => event,
        Some(Err(why)) => {
            line(Level::Error, &format_args!("a delivery broke off: {why}"));
            otherwise
        }
        None => otherwise,
    }
}

/// What a delivery shows of a next hop of ours: one that says "later" to all mail takes none.
fn answered(deliveries: &Deliveries, delivery: &Delivery, outcomes: &[Outcome]) {
    let found = deferring::look(outcomes);
    let to = &delivery.destination;
    if found == Found::Nothing || !deliveries.current.get().config.is_ours(to) {
        return;
    }
    let known = deliveries.deferring.lock();
    let mut known = known.unwrap_or_else(PoisonError::into_inner);
    let what = to.to_string();
    match found {
        Found::Nothing => {}
        Found::Takes => {
            if known.takes(&what) {
                let news = deliveries.dispatch.news();
                news.tell(news::Event::Ended { what });
            }
        }
        Found::Defers(failure) => {
            if known.defers(&what, delivery.id) {
                outage(deliveries, to, &failure.log_text());
            }
        }
    }
}

/// A destination does not take mail: told if it is one of ours, and lasts. Those of others are in
/// the digest of the day.
fn outage(deliveries: &Deliveries, destination: &Destination, reason: &str) {
    let config = &deliveries.current.get().config;
    if !config.is_ours(destination) {
        return;
    }
    let (host, what) = (&config.hostname, destination.to_string());
    let days = Span(config.retry.schedule.lifetime);
    deliveries
        .dispatch
        .news()
        .tell(news::Event::Began(OutageReport {
            patience: PATIENCE,
            headline: format!("{host}: {what} takes no mail"),
            text: format!(
                "{what} takes no mail:\n\n{reason}\n\n\
             No mail is lost: it is tried until it is {days} old. \
             Another mail tells you when this is over.\n\
             To look further: smarthost queue summary\n"
            ),
            lasts: true,
            reason: Some(reason.to_owned()),
            what,
        }));
}

/// Reads an envelope back and routes the recipients that are due. A disk that does not answer holds
/// up nothing else.
fn load(deliveries: &Deliveries, id: QueueId, recipients: &[u32]) -> Event {
    let router = &deliveries.current.get().router;
    let read = deliveries.dispatch.spool().envelope(id);
    if read.is_err() {
        nondelivery::damaged(deliveries);
    }
    let arrival = deliveries
        .dispatch
        .spool()
        .entry(id)
        .map(|entry| entry.arrival);
    let origin = |envelope: &_| dispatch::origin(envelope, router);
    Event::read(id, recipients, read, origin, |envelope, index| {
        let found = dispatch::routed(index, envelope, router)?;
        deliveries
            .dispatch
            .log_unrouted(id, arrival, envelope, &found);
        Some(found)
    })
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Runtime;

    use super::*;

    #[test]
    fn a_delivery_that_panics_is_one_that_failed_for_now_and_holds_no_mail_up() {
        let runtime = Runtime::new().unwrap_or_else(|error| panic!("{error}"));
        let told = runtime.block_on(async {
            let fine = ended(async { "delivered" }, "deferred").await;
            let broken = ended(async { panic!("a mistake of ours") }, "deferred").await;
            [fine, broken]
        });
        assert_eq!(told, ["delivered", "deferred"]);
    }
}
