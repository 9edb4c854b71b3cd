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

/// The directory that was opened, known by its lock, or, where that was taken away, by the folder
/// of its segments.
#[derive(Clone)]
pub(super) struct Root {
    layout: Layout,
    lock: Option<Place>,
    segments: Option<Place>,
    /// Nobody else can open it without the lock either.
    alone: bool,
}

impl Root {
    pub(super) fn new(layout: &Layout, lock: &File, alone: bool) -> Self {
        let place = |found: io::Result<Metadata>| found.ok().map(|it| of(&it));
        Self {
            layout: layout.clone(),
            lock: place(lock.metadata()),
            segments: place(layout.segments.metadata()),
            alone,
        }
    }

    /// Whether it is still there.
    pub(super) fn check(&self) -> Result<(), SpoolError> {
        if is_still(self.lock, &self.layout.lock)? {
            return Ok(());
        }
        let (path, why) = match is_still(self.segments, &self.layout.segments)? {
            true if self.alone => return Ok(()),
            true => (&self.layout.lock, UNLOCKED),
            false => (&self.layout.root, AWAY),
        };
        let error = io::Error::new(ErrorKind::NotFound, why);
        Err(SpoolError::io("cannot find", path)(error))
    }
}

const UNLOCKED: &str = "the lock was removed or replaced while the program runs, and another \
                        process could take the spool; restart the program";
const AWAY: &str = "the directory was removed, renamed or replaced while the program runs; put it \
                    back, or restart the program";

/// A disk that fails, or what is not allowed, says nothing about that.
fn is_still(place: Option<Place>, path: &Path) -> Result<bool, SpoolError> {
    let found = place.map_or(Ok(false), |it| is_reached(it, path));
    found.map_err(SpoolError::io("cannot look for", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_gone_is_told_as_that_where_folders_cannot_be_locked() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path());
        std::fs::create_dir(&layout.segments).unwrap();
        let lock = File::create(&layout.lock).unwrap();
        let (root, alone) = (
            Root::new(&layout, &lock, false),
            Root::new(&layout, &lock, true),
        );
        assert!(root.check().is_ok());
        std::fs::remove_file(&layout.lock).unwrap();
        assert!(alone.check().is_ok());
        let told = root.check().unwrap_err().to_string();
        assert!(
            told.contains("/lock: ") && told.contains("restart the program"),
            "{told}"
        );
        std::fs::remove_dir(&layout.segments).unwrap();
        for root in [root, alone] {
            let told = root.check().unwrap_err().to_string();
            assert!(told.contains("the directory was removed"), "{told}");
        }
    }
}
