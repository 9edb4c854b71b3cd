//! The thread that drives the [`Scheduler`] and its workers.
//!
//! Contract: the thread itself never waits for the network or the disk. Workers are started when they are first needed; the one that worked
//! last works next, so that its connection stays in use.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use mail::{clock, outcome::Failure};
use relay::tls::ClientTls;
use spool::{Hold, QueueId};

use super::{
    Agent, maillog,
    schedule::{Action, Attempt, Event, NOBODY, Scheduler},
    worker::Worker,
};

/// What the thread is told.
#[derive(Debug)]
pub enum Signal {
    /// For the scheduler.
    Event(Event),
    /// A worker has finished.
    Finished {
        worker: usize,
        id: QueueId,
        attempt: Attempt,
        failure: Option<Failure>,
    },
    /// Answer, to show that the thread is alive.
    Alive(Sender<()>),
    /// Start nothing more; answer when nothing is under way.
    Stop(Sender<()>),
}

/// Longest wait without looking at the clock: a machine that slept has a new time.
const LOOK: Duration = Duration::from_mins(1);

/// The driver.
pub(super) struct Delivery {
    agent: Arc<Agent>,
    tls: Option<ClientTls>,
    scheduler: Scheduler,
    signals: Receiver<Signal>,
    /// A channel to each worker that was started.
    workers: Vec<Sender<Action>>,
    idle: Vec<usize>,
}

impl Delivery {
    /// With everything that is in the spool.
    pub(super) fn new(
        agent: Arc<Agent>,
        tls: Option<ClientTls>,
        signals: Receiver<Signal>,
    ) -> Self {
        let mut scheduler = Scheduler::new(agent.settings.retry, agent.settings.connections);
        let now = clock::now();
        for entry in agent.spool.entries() {
            let due = entry
                .waiting
                .iter()
                .map(|waiting| waiting.until.unwrap_or(now))
                .min()
                .unwrap_or(now);
            let event = Event::Arrived {
                id: entry.id,
                user: entry.uid.unwrap_or(NOBODY),
                arrival: entry.arrival,
                due,
                held: entry.hold != Hold::No,
            };
            scheduler.handle(event, now, 0);
        }
        Self {
            agent,
            tls,
            scheduler,
            signals,
            workers: Vec::new(),
            idle: Vec::new(),
        }
    }

    /// Works until told to stop.
    pub(super) fn run(mut self) {
        loop {
            let now = clock::now();
            while let Some(action) = self.scheduler.next_action(now) {
                self.give(action);
            }
            let wait = self
                .scheduler
                .deadline()
                .map_or(LOOK, |deadline| deadline.since(clock::now()).min(LOOK));
            match self.signals.recv_timeout(wait) {
                Ok(Signal::Stop(stopped)) => return self.stop(&stopped),
                Ok(signal) => self.take(signal),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, signal: Signal) {
        let random = getrandom::u32().unwrap_or(2000);
        match signal {
            Signal::Event(event) => self.scheduler.handle(event, clock::now(), random),
            Signal::Finished {
                worker,
                id,
                attempt,
                failure,
            } => {
                self.idle.push(worker);
                self.scheduler
                    .handle(Event::Finished { id, attempt }, clock::now(), random);
                if let Some(failure) = &failure {
                    maillog::unreached(self.scheduler.deadline(), &failure.log_text());
                }
            }
            Signal::Alive(asked) => {
                // Whoever asked may have stopped waiting.
                let _ = asked.send(());
            }
            Signal::Stop(_) => {}
        }
    }

    fn give(&mut self, action: Action) {
        let worker = self.idle.pop().unwrap_or_else(|| self.start());
        let Some(actions) = self.workers.get(worker) else {
            return;
        };
        if actions.send(action).is_err() {
            maillog::warning("a delivery thread has died; the message is tried again");
            let (Action::Deliver(id) | Action::Expire(id) | Action::Bounce(id)) = action;
            self.scheduler.handle(
                Event::Finished {
                    id,
                    attempt: Attempt::Unreached,
                },
                clock::now(),
                0,
            );
        }
    }

    fn start(&mut self) -> usize {
        let number = self.workers.len();
        let (actions, received) = mpsc::channel();
        let worker = Worker::new(Arc::clone(&self.agent), self.tls.clone());
        let agent = Arc::clone(&self.agent);
        thread::spawn(move || {
            worker.run(&received, |id, attempt, failure| {
                agent.signal(Signal::Finished {
                    worker: number,
                    id,
                    attempt,
                    failure,
                });
                if attempt == Attempt::Held {
                    agent.in_line(id);
                }
            });
        });
        self.workers.push(actions);
        number
    }

    /// Waits for what is under way.
    fn stop(mut self, stopped: &Sender<()>) {
        while self.scheduler.active() > 0 {
            match self.signals.recv() {
                Ok(signal) => self.take(signal),
                Err(_) => break,
            }
        }
        // Whoever asked may have stopped waiting.
        let _ = stopped.send(());
    }
}
