//! The thread that writes what changed.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError},
    },
    thread,
    time::{Duration, Instant},
};

use mail::clock::{self, Timestamp, Zone};
use system::log::{Level, line};
use tokio::sync::{Notify, oneshot};

use crate::{
    activity::Activity,
    budget,
    expected::Expected,
    lessons::Lessons,
    limits::{Limits, Rules},
    machines::Machines,
    notices::Notices,
    policy::{greylist::Greylist, refusals::Refusals, verify::Recipients},
    srs::Tokens,
    state::{
        Restored, StateError, Store,
        shelves::{Key, Shelf},
    },
};

/// Changes that nobody waits for share a transaction if they come within this time.
const LINGER: Duration = Duration::from_millis(100);
/// After a write that failed.
const RETRY: Duration = Duration::from_secs(1);
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

/// What is kept. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Memory {
    pub limits: Arc<Mutex<Limits>>,
    pub greylist: Arc<Mutex<Greylist>>,
    pub recipients: Arc<Mutex<Recipients>>,
    pub refusals: Arc<Mutex<Refusals>>,
    pub activity: Arc<Mutex<Activity>>,
    pub machines: Arc<Mutex<Machines>>,
    pub notices: Arc<Mutex<Notices>>,
    pub expected: Arc<Mutex<Expected>>,
    pub(crate) budget: Arc<Mutex<budget::Site>>,
    pub tokens: Arc<Mutex<Tokens>>,
    pub lessons: Arc<Mutex<Lessons>>,
}

impl Memory {
    /// What was kept, and a line for each thing that cannot be read. `tokens` lie beside what makes
    /// them.
    pub fn of(
        rules: Rules,
        restored: Restored,
        tokens: Arc<Mutex<Tokens>>,
        now: Timestamp,
    ) -> (Self, Vec<String>) {
        let expected = Expected::new(Zone::system(), now);
        let budget = budget::Site::new(budget::Terms::default(), budget::sequence());
        let notices = Notices::new("smarthost", Zone::system());
        let memory = Self {
            limits: Arc::new(Mutex::new(Limits::new(rules))),
            greylist: Arc::default(),
            recipients: Arc::default(),
            refusals: Arc::default(),
            activity: Arc::default(),
            machines: Arc::default(),
            notices: Arc::new(Mutex::new(notices)),
            expected: Arc::new(Mutex::new(expected)),
            budget: Arc::new(Mutex::new(budget)),
            tokens,
            lessons: Arc::default(),
        };
        let unread = memory.restore(restored, now);
        (memory, unread)
    }

    /// For a look: a copy of what decides about clients, and of nothing else.
    fn copy(&self) -> Self {
        let budget = budget::Site::new(budget::Terms::default(), budget::sequence());
        Self {
            limits: copy(&self.limits),
            greylist: copy(&self.greylist),
            recipients: copy(&self.recipients),
            refusals: Arc::default(),
            activity: Arc::default(),
            machines: Arc::default(),
            notices: Arc::new(Mutex::new(Notices::new("smarthost", Zone::system()))),
            expected: Arc::new(Mutex::new(Expected::new(Zone::system(), clock::now()))),
            budget: Arc::new(Mutex::new(budget)),
            tokens: Arc::clone(&self.tokens),
            lessons: Arc::default(),
        }
    }

    /// Takes back what was kept; clients that are counted already go on so. A line for each thing
    /// that cannot be read.
    fn restore(&self, restored: Restored, now: Timestamp) -> Vec<String> {
        let mut unread = Vec::new();
        let mut limits = locked(&self.limits);
        for (key, record) in restored.limits {
            let client = key.1.clone();
            if !limits.restore(key, &record, now) {
                let text = format!("the counter of {client} cannot be read and starts anew");
                unread.push(text);
            }
        }
        drop(limits);
        // One at a time: others may hold one and wait for another.
        let lost = [
            lost(restored.greylist, |row, it| {
                locked(&self.greylist).restore(row, it)
            }),
            lost(restored.recipients, |row, it| {
                locked(&self.recipients).restore(row, it)
            }),
            lost(restored.refusals, |row, it| {
                locked(&self.refusals).restore(row, it)
            }),
            lost(restored.activity, |row, it| {
                locked(&self.activity).restore(&row, it, now)
            }),
            lost(restored.machines, |row, it| {
                locked(&self.machines).restore(row, it)
            }),
            lost(restored.notices, |row, it| {
                locked(&self.notices).restore(&row, it)
            }),
            lost(restored.expected, |row, it| {
                locked(&self.expected).restore(&row, it)
            }),
            lost(restored.budget, |row, it| {
                locked(&self.budget).restore(&row, it)
            }),
            lost(restored.tokens, |row, it| {
                locked(&self.tokens).restore(row, it)
            }),
            lost(restored.lessons, |row, it| {
                locked(&self.lessons).restore(row, it, now)
            }),
        ];
        let rows = lost.iter().sum::<usize>();
        if rows > 0 {
            let text = format!(
                "{rows} rows of greylist, verification, refusals, activity, clients, notices, expected mail, budgets, forwarded senders and learned connections cannot be read"
            );
            unread.push(text);
        }
        unread
    }

    fn changes(&self) -> Vec<(Key, Option<String>)> {
        let limits = locked(&self.limits).changes().into_iter();
        let limits = limits
            .map(|((kept, client), record)| ((Shelf::Limit(kept), client.to_string()), record));
        let mut all: Vec<(Key, Option<String>)> = limits.collect();
        let mut add = |shelf: Shelf, rows: Vec<(String, Option<String>)>| {
            all.extend(rows.into_iter().map(|(row, record)| ((shelf, row), record)));
        };
        add(Shelf::Greylist, locked(&self.greylist).changes());
        add(Shelf::Recipients, locked(&self.recipients).changes());
        add(Shelf::Refusals, locked(&self.refusals).changes());
        add(Shelf::Activity, locked(&self.activity).changes());
        add(Shelf::Machines, locked(&self.machines).changes());
        let now = clock::now();
        add(Shelf::Notices, locked(&self.notices).changes(now));
        add(Shelf::Expected, locked(&self.expected).changes());
        add(Shelf::Budget, budget::changes(&self.budget));
        add(Shelf::Tokens, locked(&self.tokens).changes());
        add(Shelf::Lessons, locked(&self.lessons).changes());
        all
    }

    fn all_changed(&self) {
        locked(&self.limits).all_changed();
        locked(&self.greylist).all_changed();
        locked(&self.recipients).all_changed();
        locked(&self.refusals).all_changed();
        locked(&self.activity).all_changed();
        locked(&self.machines).all_changed();
        locked(&self.notices).all_changed();
        locked(&self.expected).all_changed();
        locked(&self.budget).all_changed();
        locked(&self.tokens).all_changed();
        locked(&self.lessons).all_changed();
    }
}

/// How many rows cannot be read.
fn lost<R>(
    rows: impl IntoIterator<Item = (R, String)>,
    mut restore: impl FnMut(R, &str) -> bool,
) -> usize {
    let rows = rows.into_iter();
    rows.filter_map(|(row, record)| (!restore(row, &record)).then_some(()))
        .count()
}

fn copy<T: Clone>(what: &Mutex<T>) -> Arc<Mutex<T>> {
    Arc::new(Mutex::new(locked(what).clone()))
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The writer thread's handle. Cheap to clone; the thread ends with the last of them.
#[derive(Clone, Debug)]
pub struct Keeper {
    wishes: Sender<Wish>,
    progress: Arc<Progress>,
    memory: Memory,
}

/// What handles and writer tell each other without waiting.
#[derive(Debug, Default)]
struct Progress {
    /// A `Wish::Changed` is on its way: another one would say nothing new.
    told: AtomicBool,
    /// Number of the newest change.
    changed: AtomicU64,
    /// Number of the newest change that is written.
    written: AtomicU64,
    /// Why the last one could not be, and since when it is so.
    failed: Mutex<Option<(Timestamp, String)>>,
    /// It begins or ends that nothing can be written.
    turned: Notify,
}

impl Store {
    /// Starts the thread that keeps what changes in memory.
    pub fn keep(self, memory: Memory) -> Keeper {
        let (wishes, inbox) = mpsc::channel();
        if self.ordered.is_from_copy() {
            memory.all_changed();
            // The inbox is there.
            let _ = wishes.send(Wish::Changed);
        }
        let progress = Arc::new(Progress::default());
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
        locked(&self.progress.failed).clone()
    }

    /// While nothing can be written: a copy of what decides about clients, which the database does
    /// not know.
    pub(crate) fn unwritten(&self) -> Option<Memory> {
        self.fault().map(|_| self.memory.copy())
    }

    /// Returns when it may have begun, or ended, that nothing can be written.
    pub(crate) async fn turned(&self) {
        self.progress.turned.notified().await;
    }

    /// Has everything written that changed before this call, and then calls `done` in the writer's
    /// thread, also where the attempt failed.
    /// Never blocks. All that wait at the same moment share a transaction.
    pub fn flush_then(&self, done: impl FnOnce() + Send + 'static) {
        // The thread lives as long as a handle does.
        let _ = self.wishes.send(Wish::Flush(Box::new(done)));
    }

    /// Waits until everything is written (or the attempt failed); at the end, and after an
    /// administrator's order.
    pub fn flush(&self) {
        let (done, written) = mpsc::channel();
        self.flush_then(move || {
            let _ = done.send(());
        });
        let _ = written.recv();
    }

    /// The same for a task.
    pub async fn flushed(&self) {
        let (done, written) = oneshot::channel();
        self.flush_then(move || {
            // Who waited may be gone.
            let _ = done.send(());
        });
        // The writer gone means that the daemon ends, which writes everything.
        let _ = written.await;
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
                self.write();
                self.store.ordered.keep(!open);
            }
            flushed.drain(..).for_each(|done: Done| done());
        }
    }

    fn write(&mut self) {
        // Before the changes are taken: what comes after is told again, and has a higher number.
        self.progress.told.store(false, Ordering::Release);
        let newest = self.progress.changed.load(Ordering::Acquire);
        if !self.store.is_there() {
            let unread = match self.store.again() {
                Ok(unread) => unread,
                Err(error) => return self.complain(&error),
            };
            let text = match self.retry {
                None => {
                    "the counters of the limit were changed or removed on the disk: written anew from memory"
                }
                Some(_) => "the counters of the limit can be written again: all is, from memory",
            };
            line(Level::Warning, &text);
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
        let written = if self.waiting.is_empty() {
            Ok(())
        } else {
            self.store.write(&self.waiting)
        };
        match written {
            Ok(()) => {
                self.waiting.clear();
                if self.retry.take().is_some() {
                    *locked(&self.progress.failed) = None;
                    self.progress.turned.notify_one();
                }
                self.progress.written.store(newest, Ordering::Release);
            }
            Err(error) => self.complain(&error),
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
        let mut failed = locked(&self.progress.failed);
        let since = failed.as_ref().map_or_else(clock::now, |(since, _)| *since);
        let is_new = failed.replace((since, error.to_string())).is_none();
        drop(failed);
        if is_new {
            self.progress.turned.notify_one();
        }
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
