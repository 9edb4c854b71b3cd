//! What handles and writer tell each other without waiting: how far the writer is, and why it is
//! no farther.
//!
//! Contract: nobody waits for a disk that does not answer for longer than `patience`, and nobody at
//! all once that is known; it is told once, until the writer is back.

use std::{
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
    time::{Duration, Instant},
};

use mail::clock::{self, Timestamp};
use system::{
    log::{Level, line},
    within::NoAnswer,
};
use tokio::sync::Notify;

use super::memory::locked;

#[derive(Debug)]
pub(super) struct Progress {
    path: PathBuf,
    /// How long the writer may be at the disk before that does not answer.
    pub(super) patience: Duration,
    /// A `Wish::Changed` is on its way: another one would say nothing new.
    pub(super) told: AtomicBool,
    /// Number of the newest change.
    pub(super) changed: AtomicU64,
    /// Number of the newest change that is written.
    pub(super) written: AtomicU64,
    /// Since when the writer is at the disk. Locked before `failed`.
    begun: Mutex<Option<(Instant, Timestamp)>>,
    /// Why the last write could not be, and since when it is so.
    failed: Mutex<Option<(Timestamp, String)>>,
    /// It begins or ends that nothing can be written.
    turned: Notify,
}

impl Progress {
    pub(super) fn new(path: PathBuf, patience: Duration) -> Self {
        Self {
            path,
            patience,
            told: AtomicBool::new(false),
            changed: AtomicU64::new(0),
            written: AtomicU64::new(0),
            begun: Mutex::new(None),
            failed: Mutex::new(None),
            turned: Notify::new(),
        }
    }

    /// The writer goes to the disk.
    pub(super) fn begin(&self) {
        *locked(&self.begun) = Some((Instant::now(), clock::now()));
    }

    /// It is back.
    pub(super) fn end(&self) {
        *locked(&self.begun) = None;
    }

    /// Whether the writer is at a disk that does not answer: whoever waits, waits in vain.
    pub(super) fn is_silent(&self) -> bool {
        // Held to the end, so that nothing is failed any more when the writer is back.
        let begun = locked(&self.begun);
        let Some((_, since)) = begun.filter(|(at, _)| at.elapsed() >= self.patience) else {
            return false;
        };
        let path = self.path.display();
        let text = format!("{path}: {}", NoAnswer(since));
        if self.fault_now().is_none() {
            let text = format_args!("the counters of the limit cannot be written: {text}");
            line(Level::Warning, &text);
        }
        self.fail(since, text);
        true
    }

    /// Nothing can be written, since then if it is news.
    pub(super) fn fail(&self, since: Timestamp, why: String) {
        let mut failed = locked(&self.failed);
        let since = failed.as_ref().map_or(since, |(since, _)| *since);
        let is_new = failed.replace((since, why)).is_none();
        drop(failed);
        if is_new {
            self.turned.notify_one();
        }
    }

    /// It can; whether it could not before.
    pub(super) fn works(&self) -> bool {
        let failed = locked(&self.failed).take().is_some();
        if failed {
            self.turned.notify_one();
        }
        failed
    }

    /// Since when nothing can be written, and why.
    pub(super) fn fault(&self) -> Option<(Timestamp, String)> {
        self.is_silent();
        self.fault_now()
    }

    fn fault_now(&self) -> Option<(Timestamp, String)> {
        locked(&self.failed).clone()
    }

    /// Returns when it may have begun, or ended, that nothing can be written.
    pub(super) async fn turned(&self) {
        self.turned.notified().await;
    }
}
