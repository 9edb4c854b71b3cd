//! Group commit: everything that waits is written together, and one fdatasync serves all.
//!
//! Whoever finds nobody committing commits: an [`accept`](super::Spool::accept) on an idle spool
//! writes and syncs on the caller's own thread, with no hand-over. What arrives meanwhile is handed
//! to the committer's thread, which goes on until nothing waits; so under load one thread does all
//! commits and the disk never waits for a caller to wake up. That thread also commits for
//! `accept_then`, and events that nothing else took along within `linger`.
//!
//! Contract: at most one thread leads (`committing`). Locks are taken in the order index, intake;
//! no lock is held while the disk is waited for, except the log's own, which only the leader takes.
//! Failures: a commit that fails tells every message in it; its events are kept and tried again.
//! Before it commits, who leads may wait a little for those who were just answered (gather.rs).
//! While commits fail, the disk is asked after a [`Pause`] that grows; mail is refused meanwhile.

use std::{
    collections::BTreeSet,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    QueueId, SpoolError,
    asked::Asked,
    disk::Disk,
    index::Index,
    intake::Intake,
    item::{Accept, Item},
    layout::Layout,
    lock,
    log::Log,
    record::What,
    schedule::Schedule,
    standing::Standing,
    unread::Waiting,
};
use mail::clock::{self, Timestamp};

/// What the threads of a spool share.
pub(super) struct Committer {
    pub(super) disk: Arc<dyn Disk>,
    /// What that has not answered.
    pub(super) asked: Arc<Asked>,
    pub(super) layout: Layout,
    pub(super) linger: Duration,
    pub(super) segment_size: u64,
    /// Why the log has no spare segment.
    lack: Arc<Mutex<Option<SpoolError>>>,
    /// Whether what becomes of deliveries can be recorded.
    pub(super) standing: Arc<Mutex<Standing>>,
    pub(super) index: Mutex<Index>,
    pub(super) log: Mutex<Log>,
    pub(super) intake: Mutex<Intake>,
    pub(super) work: Condvar,
    idle: Condvar,
    /// Who leads and waits for more: enough have come, or there is a hurry.
    enough: Condvar,
    pub(super) reclaim: Schedule,
    /// The last commit that reached the disk, and how long that took.
    pub(super) synced: Mutex<Option<(Timestamp, Duration)>>,
    /// What an administrator has to look at since the start.
    pub(super) found: Mutex<Vec<String>>,
    /// Segments that the start could not read.
    pub(super) unread: Arc<Waiting>,
    /// Messages that are damaged.
    pub(super) damaged: Mutex<BTreeSet<QueueId>>,
}

impl Committer {
    pub(super) fn new(
        (disk, asked): (Arc<dyn Disk>, Arc<Asked>),
        layout: Layout,
        linger: Duration,
        segment_size: u64,
        index: Index,
        log: Log,
    ) -> Self {
        Self {
            disk,
            asked,
            layout,
            linger,
            segment_size,
            lack: log.lack(),
            standing: log.standing(),
            index: Mutex::new(index),
            log: Mutex::new(log),
            intake: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
            enough: Condvar::new(),
            reclaim: Schedule::default(),
            synced: Mutex::default(),
            found: Mutex::default(),
            unread: Arc::default(),
            damaged: Mutex::default(),
        }
    }

    /// How soon is done what is in less of a hurry: a full disk asked again for room for events,
    /// and space given back.
    pub(super) fn rest(&self) -> Duration {
        self.linger.saturating_mul(20)
    }

    /// Why there is no spare segment for a full disk, if there is none and none can be made now.
    pub(super) fn lack(&self) -> Option<SpoolError> {
        lock(&self.lack).as_ref()?;
        // Who leads makes one, too.
        if let Ok(mut log) = self.log.try_lock() {
            log.keep_reserve();
        }
        lock(&self.lack).as_ref().map(SpoolError::again)
    }

    /// Shows, if somebody asked, that what becomes of deliveries can be recorded. Only the leader
    /// calls this.
    fn prove(&self) {
        let mut intake = lock(&self.intake);
        // What waits to be recorded comes first, and shows the same.
        let asked = std::mem::take(&mut intake.prove) && intake.retry.is_empty();
        drop(intake);
        if asked {
            let prove = || lock(&self.log).prove(&self.index);
            self.asked.at_root("writing to", prove);
        }
    }

    /// Commits a message on this thread if nobody leads, or leaves it to the committer's.
    pub(super) fn accept_here(&self, accept: Box<Accept>) {
        match self.enqueue(accept) {
            Some(mut intake) if !intake.committing => {
                intake.committing = true;
                drop(intake);
                self.gather();
                // A failure is told to every message in it.
                let _ = self.commit_waiting(false);
                self.release();
            }
            _ => {}
        }
    }

    /// Leaves a message to the committer's thread.
    pub(super) fn accept_there(&self, accept: Box<Accept>) {
        if let Some(mut intake) = self.enqueue(accept) {
            self.hand_over(&mut intake);
        }
    }

    fn enqueue(&self, accept: Box<Accept>) -> Option<MutexGuard<'_, Intake>> {
        let mut intake = lock(&self.intake);
        if intake.stopped {
            drop(intake);
            (accept.done)(Err(SpoolError::Stopped));
            return None;
        }
        intake.items.push(Item::Accept(accept));
        intake.accepts = intake.accepts.saturating_add(1);
        if intake.gathering && intake.gather.is_complete(intake.accepts) {
            self.enough.notify_one();
        }
        Some(intake)
    }

    /// Applies an event at once, and commits it within `linger`.
    pub(super) fn record(&self, id: QueueId, what: What) {
        let mut index = lock(&self.index);
        if index.apply(id, &what).is_none() {
            return;
        }
        let last = index.message(id).is_none();
        // The index stays locked: events of one message are written in the order of applying.
        let mut intake = lock(&self.intake);
        intake.items.push(Item::Event { id, what, last });
        lock(&self.standing).waits();
        if intake.due.is_none() {
            intake.due = clock::steady().checked_add(self.linger);
            self.work.notify_one();
        }
    }

    /// Commits all that waits, on this thread, also in a pause. Whether all of it is durable.
    pub(super) fn flush(&self) -> Result<(), SpoolError> {
        self.lead();
        let result = self.commit_waiting(true);
        self.prove();
        self.release();
        result
    }

    /// How long the pause is that there is now.
    #[cfg(test)]
    pub(super) fn pause(&self) -> Duration {
        let intake = lock(&self.intake);
        intake
            .pause
            .as_ref()
            .map_or(Duration::ZERO, |pause| pause.length)
    }

    /// Waits until nobody else leads, and leads.
    pub(super) fn lead(&self) {
        let mut intake = lock(&self.intake);
        while intake.committing {
            intake.waiting += 1;
            if intake.gathering {
                self.enough.notify_one();
            }
            intake = self
                .idle
                .wait(intake)
                .unwrap_or_else(PoisonError::into_inner);
            intake.waiting -= 1;
        }
        intake.committing = true;
    }

    /// Ends the lead: to who waits for it, to the committer if there is more, or to nobody.
    pub(super) fn release(&self) {
        let mut intake = lock(&self.intake);
        intake.committing = false;
        if intake.waiting > 0 {
            self.idle.notify_one();
        } else if intake.stopped {
            // The committer's thread may be gone; who closes the spool takes what is left.
        } else if !intake.items.is_empty() {
            self.hand_over(&mut intake);
        } else if intake.due.is_some() || intake.prove {
            // The committer's thread may have found it due while it was not free to lead.
            self.work.notify_one();
        }
    }

    fn hand_over(&self, intake: &mut Intake) {
        if !intake.committing {
            intake.committing = true;
            intake.handed_over = true;
            self.work.notify_one();
        }
    }

    /// The committer's thread.
    pub(super) fn run(&self) {
        while self.wait_for_lead() {
            self.gather();
            // Its failure was told to every message in it; events stay and are due again.
            let _ = self.commit_waiting(false);
            self.prove();
            self.release();
        }
        // What was recorded until the end; who closes the spool asks again and hears of a failure.
        let _ = self.flush();
    }

    /// Waits until this thread has to lead; false when the spool is closed.
    fn wait_for_lead(&self) -> bool {
        let mut intake = lock(&self.intake);
        loop {
            if intake.handed_over {
                intake.handed_over = false;
                return true;
            }
            if intake.stopped {
                return false;
            }
            if intake.prove && !intake.committing {
                intake.committing = true;
                return true;
            }
            let wait = intake
                .due
                // Who leads takes the events along, or wakes this thread.
                .filter(|_| !intake.committing)
                .map(|due| due.saturating_duration_since(clock::steady()));
            match wait {
                Some(Duration::ZERO) => {
                    intake.committing = true;
                    return true;
                }
                Some(wait) => {
                    let woken = self.work.wait_timeout(intake, wait);
                    intake = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => {
                    intake = self
                        .work
                        .wait(intake)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Waits a little for those who were answered a moment ago, if that pays.
    fn gather(&self) {
        let mut intake = lock(&self.intake);
        let (begun, before) = (clock::steady(), intake.accepts);
        let hurry = |intake: &Intake| intake.waiting > 0 || intake.stopped;
        let until = intake.gather.until(begun, before);
        let Some(until) = until.filter(|_| !hurry(&intake) && intake.pause.is_none()) else {
            return;
        };
        intake.gathering = true;
        let mut now = begun;
        while now < until && !intake.gather.is_complete(intake.accepts) && !hurry(&intake) {
            let woken = self.enough.wait_timeout(intake, until - now);
            intake = woken.unwrap_or_else(PoisonError::into_inner).0;
            now = clock::steady();
        }
        intake.gathering = false;
        let after = intake.accepts;
        intake.gather.waited(now - begun, before, after);
    }

    /// No more is taken; the committer's thread ends.
    pub(super) fn stop(&self) {
        lock(&self.intake).stopped = true;
        self.work.notify_all();
        self.enough.notify_all();
    }

    /// Commits what waits now, unless there is a pause. Only the leader calls this.
    fn commit_waiting(&self, at_once: bool) -> Result<(), SpoolError> {
        let (items, why) = {
            let mut intake = lock(&self.intake);
            intake.due = None;
            let mut items = std::mem::take(&mut intake.retry);
            items.append(&mut intake.items);
            intake.accepts = 0;
            if items.is_empty() {
                return Ok(());
            }
            // Under the lock: what is recorded from now on waits for the next commit.
            lock(&self.standing).begins();
            let pause = intake.pause.as_ref();
            let pause = pause.filter(|pause| !at_once && clock::steady() < pause.until);
            (items, pause.map(|pause| pause.why.again()))
        };
        let refused = why.is_some();
        let (failed, result) = match why {
            Some(why) => (self.refuse(items, |_| true, &why), Err(why)),
            None => self.commit(items),
        };
        lock(&self.standing).ends(!failed.is_empty());
        let mut intake = lock(&self.intake);
        if !refused {
            intake.pause(result.as_ref().err());
        }
        if !failed.is_empty() {
            let now = clock::steady();
            let again = now.checked_add(self.rest());
            let pause = intake.pause.as_ref().map(|pause| pause.until);
            intake.retry = failed;
            intake.due = again.max(pause);
            self.work.notify_one();
        }
        result
    }
}
