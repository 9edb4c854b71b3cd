//! What is asked before a delivery begins, and what administrators are told all the time.

use std::time::Duration;

use super::{QueueId, Spool, lock, standing::May};

/// Messages that an alarm names.
const NAMED: usize = 5;

impl Spool {
    /// Whether a delivery may begin: what becomes of it can be recorded, so that it is not repeated
    /// after the next start. If not, when to ask again: soon, where that is being found out.
    pub fn may_begin(&self) -> Result<(), Duration> {
        let committer = &self.open.committer;
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
        lock(&self.open.committer.standing).hangs()
    }

    /// What an administrator has to look at, a sentence each: why no delivery begins, what could
    /// not be opened or saved at the start, messages that are damaged.
    pub fn alarms(&self) -> Vec<String> {
        let committer = &self.open.committer;
        let waits = lock(&committer.standing).alarm(&committer.layout.root);
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
        waits.into_iter().chain(found).chain(damaged).collect()
    }
}
