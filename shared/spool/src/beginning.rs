//! What is asked before a delivery begins, and what administrators are told all the time.

use std::{io, time::Duration};

use super::{
    QueueId, Spool, SpoolError,
    asked::{BRIEF, HANGS},
    committer::Committer,
    lock, recovered,
    standing::{AGAIN, May},
};
use mail::clock;

/// Messages that an alarm names.
const NAMED: usize = 5;

impl Spool {
    /// Whether a delivery may begin: what becomes of it can be recorded, so that it is not repeated
    /// after the next start. If not, when to ask again: soon, where that is being found out.
    pub fn may_begin(&self) -> Result<(), Duration> {
        let committer = &self.open.committer;
        if committer.asked.is_away() {
            return Err(AGAIN);
        }
        let may = lock(&committer.standing).may();
        match may {
            May::Begin => Ok(()),
            May::Wait(after) => Err(after),
            May::Prove(after) => {
                lock(&committer.intake).prove = true;
                committer.work.notify_one();
                Err(after)
            }
        }
    }

    /// Whether the disk neither takes what is to be written nor says that it fails: whoever writes
    /// there now waits, and cannot be killed.
    pub fn hangs(&self) -> bool {
        let committer = &self.open.committer;
        let writes = lock(&committer.standing).hangs();
        writes || self.late() >= HANGS || committer.asked.is_away()
    }

    /// What lies in `quarantine/`, as far as the disk answers.
    pub fn quarantined(&self) -> Option<String> {
        let root = &self.open.committer.layout.root;
        let answers = self.open.committer.asked.late() < BRIEF && !self.hangs();
        answers.then(|| recovered::quarantined(root)).flatten()
    }

    /// What an administrator has to look at, a sentence each: why no delivery begins, what could
    /// not be opened or saved at the start, messages that are damaged.
    pub fn alarms(&self) -> Vec<String> {
        let committer = &self.open.committer;
        let waits = lock(&committer.standing).alarm(&committer.layout.root);
        let late = Some(self.late()).filter(|late| waits.is_none() && *late >= HANGS);
        let late = late.map(|late| format!("no mail is taken: {}", committer.no_answer(late)));
        let damaged = self.damaged();
        let first: Vec<_> = damaged.iter().take(NAMED).map(QueueId::to_string).collect();
        let damaged = (!damaged.is_empty()).then(|| {
            format!(
                "spool: {} messages are damaged on the disk and not delivered ({}{}): put their \
                 files back from a copy if there is one; the sender gets back what is left when \
                 they are too old, or with bounce",
                damaged.len(),
                first.join(", "),
                if damaged.len() > NAMED { ", …" } else { "" }
            )
        });
        let found = lock(&committer.found).clone();
        let waits = waits.or(late).or_else(|| committer.asked.alarm());
        waits.into_iter().chain(found).chain(damaged).collect()
    }
}

impl Committer {
    /// The disk has been asked, and has not answered for so long.
    pub(super) fn no_answer(&self, late: Duration) -> SpoolError {
        let since = clock::now().before(late).mailq();
        let why =
            format!("its disk has not answered since {since} (is it, or its network, there?)");
        let error = io::Error::new(io::ErrorKind::TimedOut, why);
        SpoolError::io("cannot look at", &self.layout.root)(error)
    }
}
