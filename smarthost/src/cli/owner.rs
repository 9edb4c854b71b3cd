//! Whose the files are that a command makes for the daemon.

use std::{
    io,
    os::unix::fs::{MetadataExt as _, chown},
    path::Path,
};

/// Gives one to the user whose the state directory is; root only, and where there is such a user
/// yet.
pub(super) fn give(path: &Path, state: &Path) -> io::Result<()> {
    let owner = system::read::metadata(state).ok();
    match owner.filter(|it| rustix::process::geteuid().is_root() && it.uid() != 0) {
        Some(owner) => chown(path, Some(owner.uid()), Some(owner.gid())),
        None => Ok(()),
    }
}
