//! Files that have no name until they are whole, and are gone if they never get one.
//!
//! Contract: where the file system cannot make such a file (NFS, many in user space), it has a name
//! of its own meanwhile, which [`is_left`] knows; a crash leaves it, and whoever starts in that
//! directory removes it.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags},
    io::Errno,
};

/// Such a file.
#[derive(Debug)]
pub struct Nameless {
    file: File,
    /// The name that it has meanwhile, if it must have one.
    name: Option<PathBuf>,
}

/// What these names begin with.
const PREFIX: &str = "unfinished-";

/// Whether a file of this name was left by a crash.
pub fn is_left(name: &str) -> bool {
    name.starts_with(PREFIX)
}

impl Nameless {
    /// A new one, empty, for its owner alone.
    pub fn create(directory: &Path) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(Self {
                file: file.into(),
                name: None,
            }),
            // Kernels and file systems that do not know the flag.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Self::named(directory),
            Err(error) => Err(error.into()),
        }
    }

    /// One that has a name meanwhile.
    pub fn named(directory: &Path) -> io::Result<Self> {
        let random = getrandom::u64().map_err(io::Error::other)?;
        let name = directory.join(format!("{PREFIX}{random:016x}"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&name)?;
        Ok(Self {
            file,
            name: Some(name),
        })
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name; the directory is not synced.
    pub fn link(&mut self, path: &Path) -> io::Result<()> {
        if let Some(name) = &self.name {
            rustix::fs::rename(name, path)?;
            self.name = None;
            return Ok(());
        }
        let nameless = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let linked = rustix::fs::linkat(CWD, nameless, CWD, path, AtFlags::SYMLINK_FOLLOW);
        Ok(linked?)
    }
}

impl Drop for Nameless {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // If that fails, the next start does it.
            let _ = std::fs::remove_file(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_its_name_when_it_is_whole_or_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let names = || {
            let entries = std::fs::read_dir(directory.path()).unwrap();
            let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
            names.collect::<Vec<_>>()
        };
        for create in [Nameless::create, Nameless::named] {
            let mut whole = create(directory.path()).unwrap();
            assert!(names().iter().all(|name| is_left(name)));
            whole.link(&directory.path().join("whole")).unwrap();
            drop(create(directory.path()).unwrap());
            drop(whole);
            assert_eq!(names(), ["whole"]);
            std::fs::remove_file(directory.path().join("whole")).unwrap();
        }
    }
}
