//! Destinations: each has a lane of jobs, a limit of deliveries at once, and a back-off; ready lanes take turns.
//!
//! The limit starts at [`FIRST_LIMIT`], grows by one with each delivery that worked, up to the configured one, and falls to what still works when a
//! connection fails beside working ones. When none works the lane is suspended: the first time for a fifth of the shortest retry interval,
//! each further time twice as long, at most the longest retry interval; afterwards one delivery at a time probes.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use mail::{clock::Timestamp, outcome::Failure};
use spool::QueueId;

use crate::{destination::Destination, queue::Settings};

/// Deliveries at once to a destination that nothing is known of.
const FIRST_LIMIT: usize = 5;
/// Idle lanes remembered for their back-off, before old ones are forgotten.
const REMEMBERED: usize = 4096;

/// Recipients of one message to one destination.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: QueueId,
    pub(super) epoch: u32,
    pub(super) recipients: Vec<u32>,
    /// It came by a load, of which only so many are in memory.
    pub(super) loaded: bool,
}

#[derive(Debug)]
struct Lane {
    jobs: VecDeque<Job>,
    flying: usize,
    limit: usize,
    /// In the round of ready lanes.
    ready: bool,
    /// Suspensions without a success between them.
    failures: u32,
    suspended: Option<Suspension>,
}

/// Why and until when nothing is tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Suspension {
    pub(super) until: Timestamp,
    pub(super) reason: Arc<str>,
    pub(super) failure: Failure,
}

/// What a failed connection led to.
pub(super) enum Setback {
    /// Fewer connections from now on.
    Slower,
    /// Nothing until then; these jobs were waiting.
    Suspended(Suspension, VecDeque<Job>),
}

/// All destinations.
#[derive(Debug)]
pub(super) struct Lanes {
    known: HashMap<Arc<Destination>, Lane>,
    ready: VecDeque<Arc<Destination>>,
    settings: Settings,
}

impl Lanes {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            known: HashMap::new(),
            ready: VecDeque::new(),
            settings,
        }
    }

    /// The suspension of a destination, if it is suspended now.
    pub(super) fn suspension(
        &self,
        destination: &Destination,
        now: Timestamp,
    ) -> Option<&Suspension> {
        let suspension = self.known.get(destination)?.suspended.as_ref()?;
        (suspension.until > now).then_some(suspension)
    }

    pub(super) fn push(&mut self, destination: &Arc<Destination>, job: Job, now: Timestamp) {
        if !self.known.contains_key(destination) {
            self.forget_idle(now);
            let limit = FIRST_LIMIT
                .min(self.settings.destination_concurrency)
                .max(1);
            let lane = Lane {
                jobs: VecDeque::new(),
                flying: 0,
                limit,
                ready: false,
                failures: 0,
                suspended: None,
            };
            self.known.insert(Arc::clone(destination), lane);
        }
        if let Some(lane) = self.known.get_mut(destination) {
            lane.jobs.push_back(job);
        }
        self.make_ready(destination);
    }

    /// The next job in turn, and where it goes; it counts as flying from now on unless [`Lanes::void`] says otherwise.
    pub(super) fn next(&mut self) -> Option<(Arc<Destination>, Job)> {
        while let Some(destination) = self.ready.pop_front() {
            let Some(lane) = self.known.get_mut(&destination) else {
                continue;
            };
            lane.ready = false;
            if lane.flying < lane.limit
                && let Some(job) = lane.jobs.pop_front()
            {
                lane.flying += 1;
                self.make_ready(&destination);
                return Some((destination, job));
            }
        }
        None
    }

    /// The job that was given was void. `true`: nothing is left for this destination.
    pub(super) fn void(&mut self, destination: &Arc<Destination>) -> bool {
        self.land(destination);
        self.drained(destination)
    }

    /// A delivery has ended well, or failed for a reason that is not the destination's. `true`: nothing is left for it.
    pub(super) fn worked(&mut self, destination: &Arc<Destination>, well: bool) -> bool {
        self.land(destination);
        if well && let Some(lane) = self.known.get_mut(destination) {
            lane.failures = 0;
            lane.suspended = None;
            lane.limit = (lane.limit + 1)
                .min(self.settings.destination_concurrency)
                .max(1);
        }
        self.make_ready(destination);
        self.drained(destination)
    }

    /// A connection failed.
    pub(super) fn failed(
        &mut self,
        destination: &Arc<Destination>,
        failure: &Failure,
        now: Timestamp,
    ) -> Setback {
        self.land(destination);
        let Some(lane) = self.known.get_mut(destination) else {
            return Setback::Slower;
        };
        if lane.flying > 0 {
            lane.limit = lane.flying;
            self.make_ready(destination);
            return Setback::Slower;
        }
        lane.limit = 1;
        let schedule = self.settings.schedule;
        let suspended = lane.suspended.as_ref().map(|suspension| suspension.until);
        // An attempt out of turn, by the administrator's order, makes nobody else wait longer.
        let until = suspended.filter(|until| *until > now).unwrap_or_else(|| {
            let pause = (schedule.minimal / 5).saturating_mul(1 << lane.failures.min(16));
            lane.failures = lane.failures.saturating_add(1);
            now.after(pause.min(schedule.maximal).max(Duration::from_millis(1)))
        });
        let reason = format!("delivery temporarily suspended: {}", failure.log_text());
        let suspension = Suspension {
            until,
            reason: reason.into(),
            failure: failure.clone(),
        };
        lane.suspended = Some(suspension.clone());
        Setback::Suspended(suspension, std::mem::take(&mut lane.jobs))
    }

    /// Administrator: try all destinations again now.
    pub(super) fn resume(&mut self) {
        for lane in self.known.values_mut() {
            lane.suspended = None;
            lane.failures = 0;
        }
    }

    fn land(&mut self, destination: &Arc<Destination>) {
        if let Some(lane) = self.known.get_mut(destination) {
            lane.flying = lane.flying.saturating_sub(1);
        }
    }

    fn make_ready(&mut self, destination: &Arc<Destination>) {
        if let Some(lane) = self.known.get_mut(destination)
            && !lane.ready
            && !lane.jobs.is_empty()
            && lane.flying < lane.limit
        {
            lane.ready = true;
            self.ready.push_back(Arc::clone(destination));
        }
    }

    /// Whether nothing is left; a lane without a bad memory is forgotten then.
    fn drained(&mut self, destination: &Arc<Destination>) -> bool {
        let Some(lane) = self.known.get(destination) else {
            return false;
        };
        let drained = lane.jobs.is_empty() && lane.flying == 0;
        if drained && lane.failures == 0 {
            self.known.remove(destination);
        }
        drained
    }

    fn forget_idle(&mut self, now: Timestamp) {
        if self.known.len() >= REMEMBERED {
            let keep = self.settings.schedule.maximal;
            self.known.retain(|_, lane| {
                let recent = lane
                    .suspended
                    .as_ref()
                    .is_some_and(|s| s.until.after(keep) > now);
                lane.flying > 0 || !lane.jobs.is_empty() || recent
            });
        }
    }
}
