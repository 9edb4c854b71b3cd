//! A message body while it is on its way: in memory, and from [`INLINE_BODY`] on in a file without
//! a name.
//!
//! Contract: nothing is left behind, whatever happens; no name, no directory and no environment
//! variable of the caller decides where the file is. Without a writable /var/tmp or /tmp the file
//! is one in memory.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

use mail::limits::INLINE_BODY;
use rustix::{
    fs::{CWD, MemfdFlags, Mode, OFlags},
    process::{Resource, getrlimit},
};

/// A body.
#[derive(Debug)]
pub enum Body {
    Memory(Vec<u8>),
    /// The file and its length in bytes.
    File(File, u64),
}

impl Default for Body {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl Body {
    /// Adds a piece.
    pub fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        if let Self::Memory(bytes) = self {
            if bytes.len().saturating_add(piece.len()) <= INLINE_BODY {
                bytes.extend_from_slice(piece);
                return Ok(());
            }
            may_grow(bytes.len() as u64)?;
            let mut file = nameless()?;
            file.write_all(bytes)?;
            *self = Self::File(file, bytes.len() as u64);
        }
        if let Self::File(file, length) = self {
            let grown = length.saturating_add(piece.len() as u64);
            may_grow(grown)?;
            file.write_all(piece)?;
            *length = grown;
        }
        Ok(())
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, length) => *length,
        }
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From the first byte on; may be asked for again.
    pub fn reader(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        match self {
            Self::Memory(bytes) => Ok(Box::new(bytes.as_slice())),
            Self::File(file, _) => {
                let mut file = file;
                file.seek(SeekFrom::Start(0))?;
                Ok(Box::new(file))
            }
        }
    }
}

/// Beyond the limit of our caller (`ulimit -f`) a write ends the program without a word.
fn may_grow(length: u64) -> io::Result<()> {
    let most = getrlimit(Resource::Fsize).current;
    if most.is_some_and(|most| length > most) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(())
}

/// An empty file that vanishes with its descriptor.
fn nameless() -> io::Result<File> {
    for directory in ["/var/tmp", "/tmp"] {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC;
        if let Ok(file) = rustix::fs::openat(CWD, directory, flags, Mode::RUSR | Mode::WUSR) {
            return Ok(file.into());
        }
    }
    Ok(rustix::fs::memfd_create("message", MemfdFlags::CLOEXEC)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_back_as_written_small_or_large_and_more_than_once() {
        for count in [1, 1000] {
            let mut body = Body::default();
            for _ in 0..count {
                body.write(&[b'x'; 1000]).unwrap();
            }
            assert_eq!(matches!(body, Body::File(..)), count == 1000);
            for _ in 0..2 {
                let mut read = Vec::new();
                body.reader().unwrap().read_to_end(&mut read).unwrap();
                assert_eq!(
                    (read.len() as u64, read.iter().all(|&b| b == b'x')),
                    (body.len(), true)
                );
            }
        }
    }
}
