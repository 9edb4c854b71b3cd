//! The database and its writer thread.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::{limits::Action, network::Network};

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

/// What was kept: feed it to [`crate::limits::Limits::restore`].
#[derive(Debug, Default)]
pub struct Restored {
    pub limits: Vec<(Network, Vec<u8>)>,
    /// A damaged database was moved aside to this path.
    pub quarantined: Option<PathBuf>,
}

/// Opens (and makes) `state.sqlite` in the directory, and starts the writer.
pub fn open(_directory: &Path) -> Result<(Writer, Restored), StateError> {
    todo!()
}

/// Hands changes to the writer thread; never blocks.
#[derive(Clone, Debug)]
pub struct Writer {}

impl Writer {
    /// Keeps what [`Action::Store`] and [`Action::Forget`] say (others are ignored).
    pub fn write(&self, _action: &Action) {
        todo!()
    }
    /// Waits until everything is written.
    pub fn flush(&self) {
        todo!()
    }
}
