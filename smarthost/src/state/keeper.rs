//! The thread that writes what changed.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError},
    },
    thread,
    time::{Duration, Instant},
};

use mail::clock::{self, Timestamp};
use system::log::{Level, line};
use tokio::{sync::oneshot, time};

use super::{StateError, Store, memory::Memory, progress::Progress, shelves::Key};

/// Changes that nobody waits for share a transaction if they come within this time.
const LINGER: Duration = Duration::from_millis(100);
/// After a write that failed.
const RETRY: Duration = Duration::from_secs(1);
/// How long a reply, an order or a look waits for the disk.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same for the end of the daemon.
const LAST_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether the database is still there, while nothing changes.
const LOOK: Duration = Duration::from_mins(1);

/// Something that changed, by its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Changed(u64);

/// Says that the writer is through.
type Done = Box<dyn FnOnce() + Send>;

enum Wish {
    /// Write soon.
    Changed,
    /// Write now, then say so.
    Flush(Done),
}

/// The writer thread's handle. Cheap to clone; the thread ends with the last of them.
#[derive(Clone, Debug)]
pub struct Keeper {
    wishes: Sender<Wish>,
    progress: Arc<Progress>,
    memory: Memory,
}

impl Store {
    /// Starts the thread that keeps what changes in memory.
    pub fn keep(self, memory: Memory) -> Keeper {
        self.keep_with(memory, PATIENCE)
    }

    /// The same, with another patience for a disk that does not answer.
    pub(super) fn keep_with(self, memory: Memory, patience: Duration) -> Keeper {
        let (wishes, inbox) = mpsc::channel();
        if self.ordered.is_from_copy() {
            memory.all_changed();
        }
        // What reading has changed is written. The inbox is there.
        let _ = wishes.send(Wish::Changed);
        let progress = Arc::new(Progress::new(self.path().to_owned(), patience));
        let fault = self.fault().cloned();
        let mut writer = Writer {
            store: self,
            memory: memory.clone(),
            progress: Arc::clone(&progress),
            waiting: HashMap::new(),
            retry: None,
        };
        // Nobody waits for a database that is not there.
        if let Some(fault) = fault {
            writer.complain(&fault);
        }
        thread::spawn(move || writer.run(&inbox));
        Keeper {
            wishes,
            progress,
            memory,
        }
    }
}

impl Keeper {
    /// Something changed: to be called after `Limits::count`, `reset` and `raise`. Never blocks;
    /// gives the number of the change.
    pub fn changed(&self) -> Changed {
        let before = self.progress.changed.fetch_add(1, Ordering::AcqRel);
        if !self.progress.told.swap(true, Ordering::AcqRel) {
            // The thread lives as long as a handle does.
            let _ = self.wishes.send(Wish::Changed);
        }
        Changed(before.wrapping_add(1))
    }

    /// Whether this change is written.
    pub fn is_kept(&self, change: Changed) -> bool {
        self.progress.written.load(Ordering::Acquire) >= change.0
    }

    /// Since when nothing can be written, and why.
    pub fn fault(&self) -> Option<(Timestamp, String)> {
        self.progress.fault()
    }

    /// While nothing can be written: a copy of what decides about clients, which the database does
    /// not know.
    pub(crate) fn unwritten(&self) -> Option<Memory> {
        self.fault().map(|_| self.memory.copy())
    }

    /// Returns when it may have begun, or ended, that nothing can be written.
    pub(crate) async fn turned(&self) {
        self.progress.turned().await;
    }

    /// Has everything written that changed before this call, and then calls `done` in the writer's
    /// thread, also where the attempt failed.
    /// Never blocks. All that wait at the same moment share a transaction.
    fn flush_then(&self, done: impl FnOnce() + Send + 'static) {
        // The thread lives as long as a handle does.
        let _ = self.wishes.send(Wish::Flush(Box::new(done)));
    }

    /// Waits until everything is written, or the attempt failed, or the disk does not answer; after
    /// an administrator's order.
    pub fn flush(&self) {
        // Nothing is added to what waits there already.
        if !self.progress.is_silent() {
            self.flush_within(self.progress.patience);
        }
    }

    /// The same at the end of the daemon, for longer; what is lost is told.
    pub fn finish(&self) {
        let change = self.changed();
        self.flush_within(LAST_PATIENCE);
        if !self.is_kept(change) {
            let why = self
                .fault()
                .map_or_else(String::new, |(_, why)| format!(": {why}"));
            let text = format_args!("what was counted since it could be written last is lost{why}");
            line(Level::Error, &text);
        }
    }

    fn flush_within(&self, patience: Duration) {
        let (done, written) = mpsc::channel();
        self.flush_then(move || {
            let _ = done.send(());
        });
        if written.recv_timeout(patience).is_err() {
            self.progress.is_silent();
        }
    }

    /// [`Keeper::flush`] for a task.
    pub async fn flushed(&self) {
        if self.progress.is_silent() {
            return;
        }
        let (done, written) = oneshot::channel();
        self.flush_then(move || {
            // Who waited may be gone.
            let _ = done.send(());
        });
        // The writer gone means that the daemon ends, which writes everything.
        if time::timeout(self.progress.patience, written)
            .await
            .is_err()
        {
            self.progress.is_silent();
        }
    }
}

struct Writer {
    store: Store,
    memory: Memory,
    progress: Arc<Progress>,
    /// Not yet written; the newest of each row.
    waiting: HashMap<Key, Option<String>>,
    /// The last write failed: nobody waits for the next one, which is due then.
    retry: Option<Instant>,
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Wish>) {
        let mut flushed = Vec::new();
        let mut open = true;
        while open {
            open = collect(inbox, self.retry, &mut flushed);
            if !open || self.retry.is_none_or(|retry| Instant::now() >= retry) {
                self.progress.begin();
                let written = self.write();
                self.store.ordered.keep(!open);
                self.progress.end();
                match written {
                    Ok(newest) => self.wrote(newest),
                    Err(error) => self.complain(&error),
                }
            }
            flushed.drain(..).for_each(|done: Done| done());
        }
    }

    /// Gives the number of the newest change that is written.
    fn write(&mut self) -> Result<u64, StateError> {
        // Before the changes are taken: what comes after is told again, and has a higher number.
        self.progress.told.store(false, Ordering::Release);
        let newest = self.progress.changed.load(Ordering::Acquire);
        self.store.mend_index();
        if !self.store.is_there() {
            let unread = self.store.again()?;
            if self.retry.is_none() {
                let text = "the counters of the limit were changed or removed on the disk: written anew from memory";
                line(Level::Warning, &text);
            }
            for text in unread.map_or_else(Vec::new, |it| self.memory.restore(it, clock::now())) {
                line(Level::Warning, &text);
            }
            self.memory.all_changed();
        }
        let changes = self.memory.changes();
        for (key, record) in &changes {
            self.store.ordered.change(key, record.as_ref());
        }
        self.waiting.extend(changes);
        if !self.waiting.is_empty() {
            self.store.write(&self.waiting)?;
            self.waiting.clear();
        }
        Ok(newest)
    }

    fn wrote(&mut self, newest: u64) {
        self.retry = None;
        self.progress.written.store(newest, Ordering::Release);
        if self.progress.works() {
            let text = "the counters of the limit can be written again: all is, from memory";
            line(Level::Warning, &text);
        }
    }

    /// Once for a row of failures.
    fn complain(&mut self, error: &StateError) {
        if self.retry.is_none() {
            line(
                Level::Warning,
                &format_args!("the counters of the limit cannot be written: {error}"),
            );
        }
        self.progress.fail(clock::now(), error.to_string());
        self.retry = Some(Instant::now() + RETRY);
    }
}

/// Waits until it is time to write, and gathers those that wait for it; `false` when all handles
/// are gone.
fn collect(inbox: &Receiver<Wish>, retry: Option<Instant>, flushed: &mut Vec<Done>) -> bool {
    let most = retry.map_or(LOOK, |at| at.saturating_duration_since(Instant::now()));
    let first = inbox.recv_timeout(most);
    let linger = Instant::now() + LINGER;
    let mut next = first;
    loop {
        match next {
            Ok(Wish::Changed) => {}
            Ok(Wish::Flush(done)) => flushed.push(done),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        next = if flushed.is_empty() {
            inbox.recv_timeout(linger.saturating_duration_since(Instant::now()))
        } else {
            inbox.try_recv().map_err(|error| match error {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            })
        };
    }
}
