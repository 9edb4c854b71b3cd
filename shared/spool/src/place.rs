//! Whether what is open still lies where it was opened. A file that was removed, or replaced by a
//! copy, can be written and synced as before, and is gone when it is closed.
//!
//! Contract: a look costs a stat or two. What cannot be looked at is an error, not an absence.

use std::{
    fs::{File, Metadata},
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use super::{SpoolError, layout::Layout};

/// Device and number of a file.
pub(super) type Place = (u64, u64);

pub(super) fn of(metadata: &Metadata) -> Place {
    (metadata.dev(), metadata.ino())
}

/// Whether this file itself lies there: the next start follows no symbolic link to it.
pub(super) fn is_there(file: Place, path: &Path) -> io::Result<bool> {
    is(file, path.symlink_metadata())
}

/// Whether a name leads to this file, through symbolic links, too.
fn is_reached(file: Place, path: &Path) -> io::Result<bool> {
    is(file, path.metadata())
}

fn is(file: Place, found: io::Result<Metadata>) -> io::Result<bool> {
    match found {
        Ok(found) => Ok(of(&found) == file),
        Err(error) if is_absence(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The same of one that is open.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    is_there(of(&file.metadata()?), path)
}

/// Whether a name leads to one that is open, as a lock may be reached.
pub(super) fn is_behind(file: &File, path: &Path) -> io::Result<bool> {
    is_reached(of(&file.metadata()?), path)
}

fn is_absence(error: &io::Error) -> bool {
    [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind())
}

/// A file of the spool that was taken away.
pub(super) fn gone() -> io::Error {
    let why = "it was removed or replaced while the program runs";
    io::Error::new(ErrorKind::NotFound, why)
}

/// The directory that was opened, known by its lock.
#[derive(Clone)]
pub(super) struct Root {
    layout: Layout,
    lock: Option<Place>,
}

impl Root {
    pub(super) fn new(layout: &Layout, lock: &File) -> Self {
        Self {
            layout: layout.clone(),
            lock: lock.metadata().ok().map(|it| of(&it)),
        }
    }

    /// Whether it is still there.
    pub(super) fn check(&self) -> Result<(), SpoolError> {
        let lock = &self.layout.lock;
        let found = self.lock.map_or(Ok(false), |it| is_reached(it, lock));
        // A disk that fails, or what is not allowed, says nothing about that.
        if found.map_err(SpoolError::io("cannot look for", lock))? {
            return Ok(());
        }
        let why = "the directory was removed, renamed or replaced while the program runs; put it \
                   back, or restart the program";
        let error = io::Error::new(ErrorKind::NotFound, why);
        Err(SpoolError::io("cannot find", &self.layout.root)(error))
    }
}
