//! Moves the queue to another server, message by message, as [`crate::drain`] says how.
//!
//! Contract: only over a connection that shows the pinned key, to a server that offers XMOVE; a
//! message is given up here once it is on disk there, and is gone once that is known there.
//! Failures: the connection's make a pause, and are told; a message's own make it stay for a while.
//! Nothing is lost by either.

use std::{
    io::{Cursor, Read as _},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mail::{
    clock::{self, Timestamp},
    limits,
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};
use settings::Span;
use spool::{Hold, QueueId, Spool};
use system::log::{Level, line};
use tokio::{
    sync::watch,
    task::{JoinSet, block_in_place},
    time,
};

use super::target::{Target, tell};
use crate::{
    dispatch::{Dispatch, Event, Queue},
    drain::{
        self, Drain, Go, Queued,
        told::{Facts, Told},
    },
    draining::comes,
    link::Connection,
    maillog,
    setup::Current,
};

/// Connections at the same time.
const CONNECTIONS: usize = 8;
/// Messages that are given up together.
const BATCH: usize = 50;
/// Pause after a connection that failed, at first, and at most where one fails after the other.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);
/// How often it is looked whether a message may go by now.
const LOOK: Duration = Duration::from_secs(1);
/// How long what is on its way is waited for once the drain is stopped.
const AFTER_STOP: Duration = Duration::from_secs(20);

/// Moves what there is to move until the daemon ends.
pub(crate) async fn run(
    dispatch: Arc<Dispatch>,
    current: Arc<Current>,
    mut ending: watch::Receiver<bool>,
) {
    let moving = async {
        let mut pause = PAUSE;
        loop {
            let Some(drain) = dispatch.draining().drain() else {
                dispatch.draining().changed().await;
                continue;
            };
            let batch = take(&dispatch, &drain, BATCH);
            if batch.is_empty() {
                if drain.stopped {
                    dispatch.draining().forget();
                    continue;
                }
                let _ = time::timeout(LOOK, dispatch.draining().changed()).await;
                continue;
            }
            let (done, progress) = pass(&dispatch, &current, &drain, batch).await;
            pause = if progress {
                PAUSE
            } else {
                LONGEST.min(2 * pause)
            };
            if let Err(failure) = done {
                troubled(&dispatch, &drain, &failure);
                time::sleep(pause).await;
            }
        }
    };
    tokio::select! {
        () = moving => {}
        _ = ending.wait_for(|ending| *ending) => {}
    }
}

fn troubled(dispatch: &Dispatch, drain: &Drain, failure: &Failure) {
    let why = failure.log_text();
    if dispatch.draining().trouble(Some(&why)) {
        line(
            Level::Warning,
            &format_args!("drain to {}: {why}", drain.to),
        );
    }
}

/// Moves over several connections until nothing is left to take; and whether anything has.
async fn pass(
    dispatch: &Arc<Dispatch>,
    current: &Current,
    drain: &Drain,
    first: Vec<QueueId>,
) -> (Result<(), Failure>, bool) {
    let target = Target::new(current.get(), &drain.to, &drain.pin);
    let target = match target {
        Ok(target) => Arc::new(target),
        Err(failure) => {
            over(dispatch, &first);
            return (Err(failure), false);
        }
    };
    let mut batches = vec![first];
    while batches.len() < CONNECTIONS {
        let batch = take(dispatch, drain, BATCH);
        if batch.is_empty() {
            break;
        }
        batches.push(batch);
    }
    let mut workers = JoinSet::new();
    for batch in batches {
        let (dispatch, target, drain) = (Arc::clone(dispatch), Arc::clone(&target), drain.clone());
        workers.spawn(async move {
            let mut worker = Worker {
                dispatch: &dispatch,
                target: &target,
                batch,
            };
            let done = worker.run(&drain).await;
            over(&dispatch, &worker.batch);
            done
        });
    }
    let mut result = Ok(());
    while let Some(done) = workers.join_next().await {
        result = result.and(done.unwrap_or_else(|error| Err(Failure::ours(&error.to_string()))));
    }
    (result, target.progress.load(Ordering::Relaxed))
}

/// Messages that rest; they are under way from now on, and nobody else's.
fn take(dispatch: &Dispatch, drain: &Drain, most: usize) -> Vec<QueueId> {
    let mut queue = dispatch.lock();
    let now = clock::now();
    let mut queued = Resting {
        queue: &mut queue,
        spool: dispatch.spool(),
        stopped: drain.stopped,
        now,
    };
    let draining = dispatch.draining();
    draining.moves(|moves| moves.take(most, now, &mut queued))
}

/// The queue, under its lock, as it is moved.
struct Resting<'a> {
    queue: &'a mut Queue,
    spool: &'a Spool,
    stopped: bool,
    now: Timestamp,
}

impl Queued for Resting<'_> {
    fn after(&self, id: Option<QueueId>) -> Option<QueueId> {
        self.queue.after(id)
    }

    fn contains(&self, id: QueueId) -> bool {
        self.queue.contains(id)
    }

    fn may_go(&mut self, id: QueueId) -> Go {
        let Some(entry) = self.spool.entry(id) else {
            return Go::Later;
        };
        match entry.hold {
            Hold::Leaving => Go::Now,
            // Known here alone: it moves on once that is so.
            Hold::Arriving { .. } if !self.stopped => Go::Stays(comes(&entry).into()),
            Hold::Arriving { .. } | Hold::Returned | Hold::OverBudget | Hold::Unchanged => {
                Go::Later
            }
            Hold::No | Hold::Held if self.stopped || !self.queue.rests(id) => Go::Later,
            Hold::No | Hold::Held => {
                self.queue.handle(Event::Parked { id }, self.now);
                Go::Now
            }
        }
    }
}

/// Their turn comes again. Where the drain was stopped meanwhile they are delivered from here.
fn over(dispatch: &Dispatch, ids: &[QueueId]) {
    let mut queue = dispatch.lock();
    dispatch
        .draining()
        .moves(|moves| ids.iter().for_each(|id| moves.over(*id)));
    if dispatch.draining().to().is_some() {
        return;
    }
    for id in ids {
        let entry = dispatch.spool().entry(*id);
        if entry.is_some_and(|entry| entry.hold == Hold::No) {
            queue.handle(Event::Release { id: *id }, clock::now());
        }
    }
    drop(queue);
    dispatch.wake();
}

/// One connection, and what is under way over it.
struct Worker<'a> {
    dispatch: &'a Dispatch,
    target: &'a Target,
    batch: Vec<QueueId>,
}

impl Worker<'_> {
    async fn run(&mut self, drain: &Drain) -> Result<(), Failure> {
        let stopped = stopped(self.dispatch);
        let mut connection = tokio::select! {
            opened = self.target.open() => opened?,
            () = stopped, if !drain.stopped => {
                return Err(Failure::ours("the drain is stopped"));
            }
        };
        self.dispatch.draining().trouble(None);
        while !self.batch.is_empty() {
            let leaving = self.leaving();
            if leaving.is_empty() {
                let (there, sent) = self.carry(&mut connection).await;
                self.leave(&there)?;
                sent?;
            } else {
                self.give_up(&mut connection, &leaving).await?;
            }
            if self.batch.is_empty() {
                self.batch = match self.dispatch.draining().drain() {
                    Some(now) if now.since == drain.since => take(self.dispatch, &now, BATCH),
                    _ => Vec::new(),
                };
            }
        }
        connection.quit().await;
        Ok(())
    }

    /// Those that are on disk there, and are to be made known there as given up.
    fn leaving(&self) -> Vec<QueueId> {
        let batch = self.batch.iter().copied();
        let spool = self.dispatch.spool();
        let leaves = |id: &QueueId| {
            let entry = spool.entry(*id);
            entry.is_some_and(|entry| entry.hold == Hold::Leaving)
        };
        batch.filter(leaves).collect()
    }

    /// Sends each message; those that are on disk there, and why the connection is of no use any
    /// more.
    async fn carry(&mut self, connection: &mut Connection) -> (Vec<QueueId>, Result<(), Failure>) {
        let mut there = Vec::new();
        for id in self.batch.clone() {
            if self.dispatch.draining().to().is_none() {
                self.done(id);
                continue;
            }
            let stopped = stopped(self.dispatch);
            let sent = tokio::select! {
                biased;
                sent = self.send(connection, id) => sent,
                () = stopped => return (there, Err(Failure::ours("the drain is stopped"))),
            };
            match sent {
                Ok(true) => there.push(id),
                // It was deleted meanwhile.
                Ok(false) => self.done(id),
                Err(failure) if connection.is_ready() => self.refused(id, &failure.log_text()),
                Err(failure) => return (there, Err(failure)),
            }
        }
        (there, Ok(()))
    }

    fn done(&mut self, id: QueueId) {
        self.batch.retain(|other| *other != id);
        over(self.dispatch, &[id]);
    }

    fn refused(&mut self, id: QueueId, why: &str) {
        self.batch.retain(|other| *other != id);
        // Under the lock: with a stop at this moment it is delivered from here.
        let queue = self.dispatch.lock();
        let draining = self.dispatch.draining();
        let to = draining.to();
        let is_new = to.is_some() && draining.refused(id, why, clock::now());
        drop(queue);
        match to {
            None => over(self.dispatch, &[id]),
            Some(to) if is_new => {
                let again = Span(drain::PAUSE);
                let text = format_args!("{id}: not moved to {to}: {why}; tried again in {again}");
                line(Level::Warning, &text);
            }
            Some(_) => {}
        }
    }

    /// `false`: it is not queued any more.
    async fn send(&self, connection: &mut Connection, id: QueueId) -> Result<bool, Failure> {
        let spool = self.dispatch.spool();
        let unread = |error: &dyn std::fmt::Display| Failure::ours(&error.to_string());
        let stored = block_in_place(|| spool.load(id)).map_err(|error| unread(&error))?;
        let (Some(entry), Some(stored)) = (spool.entry(id), stored) else {
            return Ok(false);
        };
        let facts = Facts::of(&entry, &stored, clock::now());
        let limit = connection.capabilities().size.filter(|limit| *limit > 0);
        if let Some(limit) = limit
            && facts.size > limit.saturating_add(limits::HEADER as u64)
        {
            let (size, relay) = (facts.size, connection.relay());
            let text = format!("its {size} bytes are more than {relay} takes: {limit}");
            return Err(Failure::new(
                Blame::Peer,
                Stage::Mail,
                EnhancedStatus::new(5, 3, 4),
                &text,
            ));
        }
        let line = Told::Message(Box::new(facts)).line();
        let reader = stored.reader().map_err(|error| unread(&error))?;
        let mut content = Cursor::new(line).chain(reader);
        let sent = tell(connection, &self.target.setup, &mut content).await;
        sent.map(|()| true)
    }

    /// They are on disk there: never delivered from here again. On disk when it returns.
    fn leave(&mut self, there: &[QueueId]) -> Result<(), Failure> {
        if there.is_empty() {
            return Ok(());
        }
        let spool = self.dispatch.spool();
        for id in there {
            spool.record(*id, spool::Event::Leaving);
        }
        block_in_place(|| spool.commit()).map_err(|error| Failure::ours(&error.to_string()))?;
        self.target.progress.store(true, Ordering::Relaxed);
        // Whom an administrator has deleted meanwhile is not to be delivered there either.
        let left = self.leaving();
        there
            .iter()
            .filter(|id| !left.contains(id))
            .for_each(|id| self.done(*id));
        Ok(())
    }

    /// They are the other server's alone.
    async fn give_up(
        &mut self,
        connection: &mut Connection,
        leaving: &[QueueId],
    ) -> Result<(), Failure> {
        // Also what was recorded by an attempt whose commit failed.
        let on_disk = block_in_place(|| self.dispatch.spool().commit());
        on_disk.map_err(|error| Failure::ours(&error.to_string()))?;
        let names = leaving.iter().map(ToString::to_string).collect();
        let mut line = Cursor::new(Told::GivenUp(names).line());
        tell(connection, &self.target.setup, &mut line).await?;
        self.target.progress.store(true, Ordering::Relaxed);
        let mut queue = self.dispatch.lock();
        for id in leaving {
            maillog::moved(*id, connection.relay());
            queue.handle(Event::Moved { id: *id }, clock::now());
        }
        drop(queue);
        for id in leaving {
            self.done(*id);
        }
        self.dispatch.wake();
        Ok(())
    }
}

/// Returns a while after the drain was stopped.
async fn stopped(dispatch: &Dispatch) {
    while dispatch.draining().to().is_some() {
        time::sleep(LOOK).await;
    }
    time::sleep(AFTER_STOP).await;
}
