//! The tables' files, and what was last known of them.
//!
//! Contract: reading takes as long as a disk that does not answer; whoever asks what is known waits
//! for none of it, and hears what the last reading found.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, TryLockError},
};

use mail::maps::Problem;
use tables::told;

use super::read::{Tables, suddenly_empty};

/// The tables of a setup.
#[derive(Debug)]
pub(super) struct Shared {
    /// Locked by who reads them, as long as that takes.
    tables: Mutex<Tables>,
    known: Mutex<Arc<Known>>,
}

/// What a reading has found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Known {
    /// Each file, and whether it holds anything.
    held: Vec<(PathBuf, bool)>,
    /// See [`Tables::faults`].
    faults: Vec<Problem>,
    /// Why files are not taken as they are now.
    pub(super) refused: Vec<Problem>,
    /// Whether it is known who may log in.
    pub(super) logins: bool,
}

impl Shared {
    pub(super) fn new(tables: Tables) -> Self {
        Self {
            known: Mutex::new(Arc::new(Known::of(&tables))),
            tables: Mutex::new(tables),
        }
    }

    /// Reads them, or does what else takes its time; `None`: somebody else does.
    pub(super) fn read<T>(&self, act: impl FnOnce(&mut Tables) -> T) -> Option<T> {
        let mut tables = match self.tables.try_lock() {
            Ok(tables) => tables,
            Err(TryLockError::Poisoned(tables)) => tables.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let done = act(&mut tables);
        let known = Arc::new(Known::of(&tables));
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
        Some(done)
    }

    /// What was found last.
    pub(super) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    pub(super) fn of(tables: &Tables) -> Self {
        let held = tables.held();
        Self {
            held: held.map(|(path, holds)| (path.to_owned(), holds)).collect(),
            faults: tables.faults.clone(),
            refused: told::bounded(tables.refused()),
            logins: tables.users.are_known(),
        }
    }

    /// What of the tables of before would be lost by these: lines that became faulty, and files
    /// that hold nothing any more.
    pub(super) fn lost(&self, before: &Self) -> Vec<String> {
        let new = self.faults.iter();
        let new = new.filter(|problem| !before.faults.contains(problem));
        let held = before.held.iter().filter(|it| it.1).map(|it| &it.0);
        let held: HashSet<_> = held.collect();
        let emptied = self.held.iter();
        let emptied = emptied.filter(|it| !it.1 && held.contains(&it.0));
        let emptied = emptied.map(|(path, _)| suddenly_empty(path));
        new.map(ToString::to_string).chain(emptied).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use system::fs::replace;

    use super::*;
    use crate::{config::Config, setup::Setup};

    #[test]
    fn while_a_table_is_read_on_a_disk_that_does_not_answer_everybody_hears_what_is_known() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c.toml");
        replace(&directory.path().join("users"), b"", 0o600).unwrap();
        let text = b"aliases = []\nauth = { users = \"users\" }\n";
        replace(&path, text, 0o600).unwrap();
        let setup = Setup::look(Config::load(&path).unwrap()).unwrap().0;
        let (begun, beginning) = mpsc::channel();
        let (answer, answered) = mpsc::channel::<()>();
        let reading = setup.clone();
        let reader = thread::spawn(move || {
            let read = |_: &mut Tables| {
                begun.send(()).unwrap();
                answered.recv()
            };
            reading.tables.read(read)
        });
        beginning.recv().unwrap();
        assert!(!setup.knows_logins(), "an empty file names nobody");
        assert_eq!(setup.refused(), []);
        assert!(setup.follows(&setup).is_ok());
        assert!(
            setup.tables.read(|_| ()).is_none(),
            "nobody else waits for the disk"
        );
        answer.send(()).unwrap();
        assert_eq!(reader.join().unwrap(), Some(Ok(())));
    }
}
