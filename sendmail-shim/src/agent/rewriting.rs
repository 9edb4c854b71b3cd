//! The rules of rewriting as the alias files have them now, for all threads.
//!
//! Contract: one thread looks at the files, and whoever comes meanwhile waits for it as long as a
//! disk takes that answers; then what was read before counts. Nobody holds a lock over a read but
//! that thread its own.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mail::{clock, maps::Problem, message::rewrite::Rules};
use tables::told;

use super::maillog;
use crate::config::{settings::Settings, tables::Tables};

/// How long whoever has rules of before waits for newer ones.
const PATIENCE: Duration = Duration::from_secs(1);

/// The files, and what was found in them.
pub(super) struct Rewriting {
    /// Locked by who reads.
    tables: Mutex<Tables>,
    state: Mutex<State>,
    read: Condvar,
}

#[derive(Default)]
struct State {
    is_read: bool,
    known: Option<Known>,
}

/// What was found.
#[derive(Clone)]
struct Known {
    rules: Arc<Rules>,
    /// Why files are not taken as they are now.
    refused: Arc<[Problem]>,
}

impl Rewriting {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            tables: Mutex::new(Tables::kept(settings)),
            state: Mutex::default(),
            read: Condvar::new(),
        }
    }

    /// The rules; what is wrong in files that were just read is logged.
    pub(super) fn rules(&self) -> Arc<Rules> {
        self.fresh().rules
    }

    /// What is wrong with the files, while what was read before stays in force; a line each.
    pub(super) fn refused(&self) -> String {
        let refused = self.fresh().refused;
        let refused: Vec<_> = refused.iter().map(ToString::to_string).collect();
        refused.join("\n")
    }

    fn fresh(&self) -> Known {
        let mut state = lock(&self.state);
        while state.is_read {
            if state.known.is_some() {
                let waited = (self.read).wait_timeout_while(state, PATIENCE, |it| it.is_read);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                if let Some(known) = &state.known {
                    return known.clone();
                }
            } else {
                let waited = self.read.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
            }
        }
        state.is_read = true;
        drop(state);
        let reading = Reading(self);
        let known = reading.look();
        lock(&self.state).known = Some(known.clone());
        known
    }
}

/// Whoever reads; others go on when it is dropped.
struct Reading<'a>(&'a Rewriting);

impl Reading<'_> {
    fn look(&self) -> Known {
        let mut tables = lock(&self.0.tables);
        let problems = tables.refresh(clock::now()).1;
        for problem in told::bounded(&problems) {
            maillog::warning(&problem.to_string());
        }
        Known {
            rules: Arc::new(tables.rules().clone()),
            refused: told::bounded(tables.refused()).into(),
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).is_read = false;
        self.0.read.notify_all();
    }
}

/// What lies under a lock of ours is whole, whoever has panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn whoever_has_rules_does_not_wait_for_an_alias_file_on_a_disk_that_does_not_answer() {
        let directory = tempfile::tempdir().unwrap();
        let aliases = directory.path().join("aliases");
        system::fs::replace(&aliases, b"root: a@example.org\n", 0o644).unwrap();
        let spool = directory.path().join("spool");
        let text = format!("aliases = {aliases:?}\nrevaliases = \"/none\"\nspool = {spool:?}");
        let settings = Settings::parse(None, &text).unwrap();
        let rewriting = Arc::new(Rewriting::new(&settings));
        // As of a reader that waits for the disk.
        let disk = lock(&rewriting.tables);
        let first = thread::spawn({
            let rewriting = Arc::clone(&rewriting);
            move || rewriting.rules()
        });
        while !lock(&rewriting.state).is_read {
            thread::yield_now();
        }
        drop(disk);
        assert!(first.join().unwrap().aliases.get("root").is_some());
        let disk = lock(&rewriting.tables);
        let reader = thread::spawn({
            let rewriting = Arc::clone(&rewriting);
            move || rewriting.refused()
        });
        while !lock(&rewriting.state).is_read {
            thread::yield_now();
        }
        assert!(rewriting.rules().aliases.get("root").is_some());
        assert!(lock(&rewriting.state).is_read, "it still waits");
        drop(disk);
        assert_eq!(reader.join().unwrap(), "");
    }
}
