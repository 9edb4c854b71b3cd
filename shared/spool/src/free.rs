//! What is free on the disk of a spool that is still there, looked at apart.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use system::fs::Room;

use super::{SpoolError, apart::Apart, asked::Asked, place::Root};

/// Whether the directory is there, and what is free.
pub(super) type Look = Apart<Result<Room, SpoolError>>;

/// Looks on another thread.
pub(super) fn apart(asked: Arc<Asked>, root: Root, path: PathBuf) -> Arc<Look> {
    Apart::new(move || asked.at_root("looking at", || look(&root, &path)))
}

/// Looks here and now.
pub(super) fn look(root: &Root, path: &Path) -> Result<Room, SpoolError> {
    root.check()?;
    system::fs::room(path).map_err(SpoolError::io("cannot see the free space of", path))
}
