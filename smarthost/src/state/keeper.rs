//! The thread that writes what changed.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use shared::log::{Level, line};

use crate::{
    limits::Limits,
    network::Network,
    state::{StateError, Store},
};

/// Changes that come within this time share a transaction.
const LINGER: Duration = Duration::from_millis(100);
/// After a write that failed.
const RETRY: Duration = Duration::from_secs(1);

enum Wish {
    Changed,
    /// Write now, then say so.
    Flush(Sender<()>),
}

/// The writer thread's handle. Cheap to clone; the thread ends with the last of them.
#[derive(Clone, Debug)]
pub struct Keeper {
    wishes: Sender<Wish>,
    /// A `Changed` is on its way: another one would say nothing new.
    told: Arc<AtomicBool>,
}

impl Store {
    /// Starts the thread that keeps what changes in `limits`, at most 100 ms after [`Keeper::changed`].
    pub fn keep(self, limits: Arc<Mutex<Limits>>) -> Keeper {
        let (wishes, inbox) = mpsc::channel();
        let told = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            store: self,
            limits,
            told: Arc::clone(&told),
            waiting: HashMap::new(),
            failing: false,
        };
        thread::spawn(move || writer.run(&inbox));
        Keeper { wishes, told }
    }
}

impl Keeper {
    /// Something changed: to be called after `Limits::count`, `reset` and `raise`. Never blocks.
    pub fn changed(&self) {
        if !self.told.swap(true, Ordering::AcqRel) {
            // The thread lives as long as a handle does.
            let _ = self.wishes.send(Wish::Changed);
        }
    }

    /// Waits until everything is written (or the attempt failed); at the end, and after an administrator's order.
    pub fn flush(&self) {
        let (done, written) = mpsc::channel();
        if self.wishes.send(Wish::Flush(done)).is_ok() {
            let _ = written.recv();
        }
    }
}

struct Writer {
    store: Store,
    limits: Arc<Mutex<Limits>>,
    told: Arc<AtomicBool>,
    /// Not yet written; the newest of each client.
    waiting: HashMap<Network, Option<String>>,
    failing: bool,
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Wish>) {
        loop {
            let wish = if self.failing {
                inbox.recv_timeout(RETRY)
            } else {
                inbox.recv().map_err(Into::into)
            };
            let mut flushed = Vec::new();
            let mut open = match wish {
                Ok(Wish::Changed) => linger(inbox, &mut flushed),
                Ok(Wish::Flush(done)) => {
                    flushed.push(done);
                    true
                }
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => false,
            };
            open |= !flushed.is_empty();
            self.write();
            for done in flushed {
                let _ = done.send(());
            }
            if !open {
                return;
            }
        }
    }

    fn write(&mut self) {
        // Before the changes are taken: what comes after is told again.
        self.told.store(false, Ordering::Release);
        let changes = self
            .limits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .changes();
        self.waiting.extend(changes);
        if self.waiting.is_empty() {
            return;
        }
        match self.store.write(&self.waiting) {
            Ok(()) => {
                self.waiting.clear();
                self.failing = false;
            }
            Err(error) => self.complain(&error),
        }
    }

    /// Once for a row of failures.
    fn complain(&mut self, error: &StateError) {
        if !self.failing {
            line(
                Level::Warning,
                &format_args!("the counters of the limit cannot be written: {error}"),
            );
        }
        self.failing = true;
    }
}

/// Waits for more changes, until it is time to write or somebody waits for it; `false` when all handles are gone.
fn linger(inbox: &Receiver<Wish>, flushed: &mut Vec<Sender<()>>) -> bool {
    let deadline = Instant::now() + LINGER;
    loop {
        match inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Wish::Changed) => {}
            Ok(Wish::Flush(done)) => {
                flushed.push(done);
                return true;
            }
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}
