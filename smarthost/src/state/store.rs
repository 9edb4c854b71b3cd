//! The database and the thread that writes it.
//!
//! Placeholder bodies come with the next commit.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use crate::{limits::Limits, network::Network};

/// Why the state cannot be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateError {
    pub path: PathBuf,
    pub text: String,
}
impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.text)
    }
}
impl std::error::Error for StateError {}

/// What was kept.
#[derive(Debug, Default)]
pub struct Restored {
    /// For [`Limits::restore`].
    pub limits: Vec<(Network, String)>,
    /// A damaged database was moved aside to this path.
    pub quarantined: Option<PathBuf>,
}

/// `state.sqlite` in the state directory.
#[derive(Debug)]
pub struct Store {}

impl Store {
    /// Opens (and makes) it, and reads what is there.
    pub fn open(_directory: &Path) -> Result<(Self, Restored), StateError> {
        todo!()
    }

    /// Starts the thread that keeps what changes in `limits`, within 100 ms of [`Keeper::changed`].
    pub fn keep(self, _limits: Arc<Mutex<Limits>>) -> Keeper {
        todo!()
    }
}

/// The writer thread's handle. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Keeper {}

impl Keeper {
    /// Something changed: call it after [`Limits::count`], [`Limits::reset`] and [`Limits::raise`]. Never blocks.
    pub fn changed(&self) {
        todo!()
    }

    /// Waits until everything is written; at the end, and after an administrator's order.
    pub fn flush(&self) {
        todo!()
    }
}
