//! The budget with spool and file.
//!
//! Contract: what goes is counted on disk before it goes. What waits is known again after a
//! restart; without a budget in the configuration it is let go.
//! Failures: a file that cannot be written or read costs counts, never mail; the log says so.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mail::{
    clock::{self, Timestamp},
    message::Header,
};
use queue::rate::Window;
use spool::{Entry, Event, Hold, QueueId, Spool};

use super::account::{Account, Kept};
use crate::agent::{dispatch::NOBODY, duplicates::likeness, maillog};

/// Longest wait without looking at the clock: a machine that slept has a new time.
const LOOK: Duration = Duration::from_mins(1);

/// The machine's budget.
pub(in crate::agent) struct Budget {
    pub(in crate::agent) window: Window,
    path: PathBuf,
    account: Mutex<Account>,
    changed: Condvar,
}

/// What the budget says to a message.
#[derive(Clone, Copy, Default)]
pub(in crate::agent) enum Answer {
    /// It is none of its business.
    #[default]
    Free,
    /// It goes, and was counted then.
    Counted { party: u32, at: Timestamp },
    /// It waits.
    Over,
}

impl Budget {
    /// With what the last agent kept.
    pub(in crate::agent) fn open(
        window: Option<Window>,
        directory: &Path,
        spool: &Spool,
        party: impl Fn(u32) -> u32,
    ) -> Option<Self> {
        let over = spool.entries().into_iter();
        let over = over.filter(|entry| entry.hold == Hold::OverBudget);
        let Some(window) = window else {
            over.for_each(|entry| spool.record(entry.id, Event::Released));
            return None;
        };
        let path = directory.join("budget");
        let kept = read(&path).unwrap_or_else(|error| {
            maillog::warning(&format!(
                "{}: {error}; the budget is counted anew",
                path.display()
            ));
            Kept::default()
        });
        let budget = Self {
            window,
            path,
            account: Mutex::new(Account::new(window, &kept, clock::now())),
            changed: Condvar::new(),
        };
        for entry in over {
            budget.wait(&entry, entry.uid.map_or(NOBODY, &party));
        }
        Some(budget)
    }

    /// Asks for a message that is about to be taken.
    pub(in crate::agent) fn ask(&self, header: &Header, party: u32) -> Answer {
        if !likeness::is_automatic(header) {
            return Answer::Free;
        }
        let (now, mut account) = (clock::now(), self.lock());
        if !account.ask(party, now) {
            return Answer::Over;
        }
        self.keep(&account);
        Answer::Counted { party, at: now }
    }

    /// The message was refused after all.
    pub(in crate::agent) fn take_back(&self, answer: Answer) {
        if let Answer::Counted { party, at } = answer {
            let mut account = self.lock();
            account.take_back(party, at);
            self.keep(&account);
        }
    }

    /// The administrator lets it go.
    pub(in crate::agent) fn count(&self, party: u32) {
        let mut account = self.lock();
        account.count(party, clock::now());
        self.keep(&account);
    }

    /// A message that is held for the budget is in the queue, and the scheduler knows it. How many
    /// wait now.
    pub(in crate::agent) fn wait(&self, entry: &Entry, party: u32) -> usize {
        let mut account = self.lock();
        account.wait(entry.id, party, entry.arrival);
        self.changed.notify_one();
        account.waiting()
    }

    /// Why mail waits.
    pub(in crate::agent) fn reason(&self, party: u32) -> String {
        let now = clock::now();
        let account = self.lock();
        let limit = account.reached(now);
        match account.room_for(party, now) {
            Some(room) => format!("over {limit}; next at {}", room.mailq()),
            None => format!("over {limit}; waits for its release"),
        }
    }

    /// When there is room for root at least.
    pub(in crate::agent) fn room_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.lock().room_at(now)
    }

    /// Those that may go now, counted.
    pub(in crate::agent) fn let_go(&self, spool: &Spool) -> Vec<QueueId> {
        let (now, mut account, mut free) = (clock::now(), self.lock(), Vec::new());
        while let Some((party, id)) = account.let_go(now) {
            // Who was released, deleted or held by hand is out of the line.
            if spool
                .entry(id)
                .is_some_and(|entry| entry.hold == Hold::OverBudget)
            {
                account.count(party, now);
                free.push(id);
            }
        }
        if !free.is_empty() {
            self.keep(&account);
        }
        free
    }

    /// Whether root must be told that mail waits; then he counts as told.
    pub(in crate::agent) fn must_tell(&self, now: Timestamp) -> bool {
        let mut account = self.lock();
        let tell = account.must_tell(now);
        if tell {
            self.keep(&account);
        }
        tell
    }

    /// Until there is something to do.
    pub(in crate::agent) fn rest(&self) {
        let account = self.lock();
        let now = clock::now();
        let deadline = account.deadline(now);
        let wait = deadline.map_or(LOOK, |deadline| deadline.since(now).min(LOOK));
        if !wait.is_zero() {
            drop(self.changed.wait_timeout(account, wait));
        }
    }

    fn keep(&self, account: &Account) {
        let written = serde_json::to_vec(&account.kept())
            .map_err(io::Error::other)
            .and_then(|bytes| system::fs::replace(&self.path, &bytes, 0o600));
        if let Err(error) = written {
            let path = self.path.display();
            maillog::warning(&format!(
                "{path}: {error}; a restart forgets what the budget counted"
            ));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Longest file, bytes.
const MOST: u64 = 16 * 1024 * 1024;

fn read(path: &Path) -> io::Result<Kept> {
    match system::read::bytes(path, MOST) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kept::default()),
        Err(error) => Err(error),
    }
}
