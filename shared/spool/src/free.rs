//! What is free on the disk of a spool that is still there, looked at apart.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use system::fs::Room;

use super::{SpoolError, apart::Apart, place::Root};

/// Whether the directory is there, and what is free.
pub(super) type Look = Apart<Result<Room, SpoolError>>;

/// Looks on a thread of its own.
pub(super) fn apart(root: Root, path: PathBuf) -> Arc<Look> {
    Apart::new(move || look(&root, &path))
}

/// Looks here and now.
pub(super) fn look(root: &Root, path: &Path) -> Result<Room, SpoolError> {
    root.check()?;
    system::fs::room(path).map_err(SpoolError::io("cannot see the free space of", path))
}
