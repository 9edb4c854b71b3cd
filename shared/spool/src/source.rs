//! Files of the spool that are read: known for as long as the disk does not answer (asked.rs).

use std::{fs::File, io, os::unix::fs::FileExt, path::Path, sync::Arc};

use super::asked::Asked;

/// A file of the spool that is open to be read; cheap to clone.
#[derive(Clone)]
pub struct Source {
    file: Arc<File>,
    from: Option<(Arc<Asked>, Arc<Path>)>,
}

impl Source {
    /// One of which nobody keeps account.
    pub(super) fn new(file: File) -> Self {
        Self {
            file: Arc::new(file),
            from: None,
        }
    }

    /// One whose every read is known until it is answered.
    pub(super) fn watched(self, asked: &Arc<Asked>, path: Arc<Path>) -> Self {
        Self {
            from: Some((Arc::clone(asked), path)),
            ..self
        }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    fn during<T>(&self, work: impl FnOnce(&File) -> T) -> T {
        match &self.from {
            Some((asked, path)) => asked.during("reading", Arc::clone(path), || work(&self.file)),
            None => work(&self.file),
        }
    }
}

/// What is read at a place.
pub(super) trait Readable {
    fn length(&self) -> io::Result<u64>;
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl Readable for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }
}

impl Readable for Source {
    fn length(&self) -> io::Result<u64> {
        self.during(Readable::length)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.during(|file| Readable::read_at(file, buffer, offset))
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.during(|file| Readable::read_exact_at(file, buffer, offset))
    }
}
