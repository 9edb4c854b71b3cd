//! The thread that drains the queue's actions, and the threads that carry them out.
//!
//! Contract: the thread itself never waits for the network or the disk. A step of the clock is told
//! as one. Delivery threads are started when they are first needed; the one that worked last works
//! next, so that its connection stays in use.
//! At the end nothing more begins, and what is under way may finish for a short while; then it ends
//! with what its recipients were answered, and the rest stays queued.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use mail::clock;
use queue::clock::Watch;
use relay::tls::ClientTls;
use system::log::life;

use super::{
    attempt::Attempts,
    crew::{Crew, Heard},
    report,
};
use crate::agent::{
    dispatch::{Action, Delivery, Event, Signal},
    maillog,
    showing::Showing,
    state::Agent,
};

/// Longest wait without looking at the clock: a machine that slept has a new time.
const LOOK: Duration = Duration::from_mins(1);
/// How long deliveries under way may go on when the agent ends; then they end with what they know.
const PATIENCE: Duration = Duration::from_secs(3);
/// And how often it is looked whether they have.
const ROUND: Duration = Duration::from_millis(100);

/// The driver.
pub(in crate::agent) struct Driver {
    agent: Arc<Agent>,
    showing: Arc<Showing>,
    crew: Crew,
    watch: Watch,
    /// A channel to each delivery thread that was started.
    workers: Vec<Sender<Delivery>>,
    reporter: Option<(Sender<Action>, JoinHandle<()>)>,
}

impl Driver {
    pub(in crate::agent) fn new(
        agent: Arc<Agent>,
        tls: Option<ClientTls>,
        signals: Receiver<Signal>,
    ) -> Self {
        let (reports, received) = mpsc::channel();
        let own = Arc::clone(&agent);
        let thread = thread::spawn(move || report::run(&own, &received));
        Self {
            showing: Arc::new(Showing::new(tls, &agent.settings)),
            agent,
            crew: Crew::new(signals),
            watch: Watch::new(clock::now(), Instant::now()),
            workers: Vec::new(),
            reporter: Some((reports, thread)),
        }
    }

    /// Works until told to stop.
    pub(in crate::agent) fn run(mut self) {
        loop {
            if let Some(step) = self.watch.look(clock::now(), Instant::now()) {
                life::clock_set(step);
                for known in [&self.agent.outages, &self.agent.refusals] {
                    known.stepped(step, clock::now());
                }
                self.agent.dispatch.tell(Event::Stepped(step));
            }
            let may_begin = self.agent.dispatch.may_begin();
            for action in self.agent.dispatch.actions() {
                self.carry_out(action);
            }
            let rest = self.agent.dispatch.rest(may_begin.err().unwrap_or(LOOK));
            match self.crew.hear(rest) {
                Heard::Something => {}
                Heard::Nothing => self.agent.dispatch.tell(Event::TimedOut),
                Heard::Stop(stopped) => return self.stop(&stopped),
                Heard::Gone => return,
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            // A commit of results may have failed a moment ago.
            Action::Deliver(Delivery { ticket, .. })
                if self.agent.dispatch.may_begin().is_err() =>
            {
                self.agent.dispatch.tell(Event::Withdrawn { ticket });
            }
            Action::Deliver(delivery) => self.deliver(delivery),
            Action::Cut { ticket } => self.agent.dispatch.cut(ticket),
            Action::Load { .. }
            | Action::Bounce { .. }
            | Action::Warn { .. }
            | Action::Dead { .. } => {
                if let Some((reports, _)) = &self.reporter {
                    // That thread ends after this one.
                    let _ = reports.send(action);
                }
            }
            Action::Record { id, event } => self.agent.dispatch.spool.record(id, event),
            Action::Suspended { until, reason, .. } => maillog::unreached(until, &reason),
            Action::TurnedAway {
                senders,
                until,
                reason,
                ..
            } => maillog::turned_away(senders, until, &reason),
            // The hosts of its one destination are nobody else's, and nobody asks for recipients.
            Action::Resumed(_) | Action::Learned(_) | Action::Ask { .. } => {}
            Action::Ended {
                id,
                deleted,
                bounced,
                overtaken,
            } => {
                if let Some(reports) = &self.agent.reports {
                    reports.left(id, deleted == 0 && !bounced);
                }
                life::ended(id, deleted, overtaken);
            }
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        let worker = self.crew.next_idle().unwrap_or_else(|| self.start());
        if let Some(deliveries) = self.workers.get(worker)
            && deliveries.send(delivery).is_ok()
        {
            self.crew.begins();
        }
    }

    fn start(&mut self) -> usize {
        let number = self.workers.len();
        let (deliveries, received) = mpsc::channel();
        let attempts = Attempts::new(Arc::clone(&self.agent), Arc::clone(&self.showing));
        let agent = Arc::clone(&self.agent);
        thread::spawn(move || {
            attempts.run(&received, |event| {
                // First, so that the next delivery finds this connection.
                agent.dispatch.signal(Signal::Idle(number));
                agent.dispatch.tell(event);
                agent.dispatch.signal(Signal::Ended);
            });
        });
        self.workers.push(deliveries);
        number
    }

    /// Waits for what is under way, until it is recorded: what a relayhost has taken must not be
    /// sent again.
    fn stop(mut self, stopped: &Sender<()>) {
        let patience = Instant::now() + PATIENCE;
        while self.crew.is_at_work() {
            let left = patience.saturating_duration_since(Instant::now());
            if left.is_zero() && self.agent.dispatch.halted().is_none() {
                self.agent.dispatch.halt();
                // Nobody needs to wait for it: what runs for a delivery ends that way.
                thread::spawn(system::program::interrupt);
            }
            if matches!(self.crew.hear(left.max(ROUND)), Heard::Gone) {
                break;
            }
        }
        self.conclude();
        if let Some((reports, thread)) = self.reporter.take() {
            drop(reports);
            let _ = thread.join();
        }
        self.conclude();
        // Whoever asked may have stopped waiting.
        let _ = stopped.send(());
    }

    /// Whatever follows from what has ended, but nothing new.
    fn conclude(&mut self) {
        for action in self.agent.dispatch.actions() {
            if !matches!(action, Action::Deliver(_) | Action::Load { .. }) {
                self.carry_out(action);
            }
        }
    }
}
