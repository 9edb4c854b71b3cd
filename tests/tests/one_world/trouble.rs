//! The disk of a program, and what goes wrong on it.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use spool::{
    Options,
    simulation::{Operation, Sim, Verdict as Fate},
};
use tempfile::TempDir;

/// What the disk does, by the number of operations still to come.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Trouble {
    /// The power is cut at the so manieth operation.
    pub(crate) cut: Option<usize>,
    /// The next so many fail: all of them with EIO, what takes space with ENOSPC, or syncs alone.
    pub(crate) failing: usize,
    pub(crate) how: Ill,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Ill {
    #[default]
    Broken,
    Full,
    Unsynced,
    Short,
}

impl Trouble {
    fn verdict(&mut self, operation: Operation) -> Fate {
        if let Some(left) = &mut self.cut {
            if *left == 0 {
                self.cut = None;
                return Fate::Cut;
            }
            *left -= 1;
        }
        if self.failing == 0 {
            return Fate::Work;
        }
        let syncs = matches!(operation, Operation::Sync | Operation::SyncDirectory);
        let grows = matches!(
            operation,
            Operation::Create | Operation::Nameless | Operation::Write
        );
        let meant = match self.how {
            Ill::Broken => true,
            Ill::Full => grows,
            Ill::Unsynced => syncs,
            Ill::Short => operation == Operation::Write,
        };
        if !meant {
            return Fate::Work;
        }
        self.failing -= 1;
        match self.how {
            Ill::Full => Fate::Fail(28),
            Ill::Short => Fate::Short(100),
            Ill::Broken | Ill::Unsynced => Fate::Fail(5),
        }
    }
}

/// Nothing happens by itself.
pub(crate) const QUIET: Options = Options {
    segment: 4 * 1024,
    minimum_free: 0,
    linger: Duration::from_hours(1_000_000),
};

/// In memory where that is possible: what is durable is decided by the simulated disk.
pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// A disk that holds what is in the directory.
pub(crate) fn disk(directory: &Path, trouble: &Arc<Mutex<Trouble>>) -> Arc<Sim> {
    let trouble = Arc::clone(trouble);
    Arc::new(Sim::new(directory, move |_, operation| {
        trouble.lock().unwrap().verdict(operation)
    }))
}
