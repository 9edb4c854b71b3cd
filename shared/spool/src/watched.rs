//! A disk whose every question is known for as long as it is not answered (asked.rs).

use std::{
    fs::File,
    io::{self, IoSlice},
    path::Path,
    sync::Arc,
};

use system::nameless::Nameless;

use super::{asked::Asked, disk::Disk, source::Source};

/// The disk.
pub(super) struct Watched {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) asked: Arc<Asked>,
}

impl Disk for Watched {
    fn create(&self, path: &Path, size: u64) -> io::Result<File> {
        self.asked
            .during("making", path, || self.disk.create(path, size))
    }

    fn reopen(&self, path: &Path, size: u64) -> io::Result<File> {
        self.asked
            .during("opening", path, || self.disk.reopen(path, size))
    }

    fn create_nameless(&self, directory: &Path) -> io::Result<Nameless> {
        self.asked.during("making a file in", directory, || {
            self.disk.create_nameless(directory)
        })
    }

    fn write(&self, file: &File, offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.asked
            .at_root("writing to", || self.disk.write(file, offset, pieces))
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.asked.at_root("writing to", || self.disk.sync(file))
    }

    fn link(&self, file: &mut Nameless, path: &Path) -> io::Result<()> {
        self.asked
            .during("making", path, || self.disk.link(file, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.asked
            .during("renaming", from, || self.disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.asked
            .during("removing", path, || self.disk.remove(path))
    }

    fn truncate(&self, path: &Path, size: u64) -> io::Result<()> {
        self.asked
            .during("cutting", path, || self.disk.truncate(path, size))
    }

    fn open(&self, path: &Path) -> io::Result<Source> {
        let path: Arc<Path> = path.into();
        let opened = self
            .asked
            .during("opening", Arc::clone(&path), || self.disk.open(&path))?;
        Ok(opened.watched(&self.asked, path))
    }

    fn save(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.asked
            .during("writing", path, || self.disk.save(path, content))
    }

    fn promise(&self, path: &Path) -> io::Result<()> {
        self.asked
            .during("marking", path, || self.disk.promise(path))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.asked
            .during("writing", path, || self.disk.sync_directory(path))
    }

    fn writes_in_place(&self, directory: &Path) -> bool {
        self.asked.during("looking at", directory, || {
            self.disk.writes_in_place(directory)
        })
    }
}
