//! Why the spool did not take or give something.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

const MIB: u64 = 1024 * 1024;

/// Why the spool did not take or give something.
#[derive(Debug)]
pub enum SpoolError {
    /// Answer 452: no space, no quota or no inodes. Path, bytes and inodes free.
    Full {
        path: PathBuf,
        free: u64,
        inodes: u64,
        /// Bytes that must be free for the message, if that is known.
        wanted: u64,
    },
    /// An operation failed. Nothing that was promised is touched by it.
    Io {
        doing: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    /// Another process has it open, and has locked this file of it.
    Locked(PathBuf, PathBuf),
    /// It was closed.
    Stopped,
}

impl SpoolError {
    /// For `map_err`: what was being done, and to what; only want of room is [`Self::Full`].
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| match path.parent() {
            _ if !is_full(&error) => Self::Io { doing, path, error },
            Some(directory) if !path.is_dir() => Self::full(directory),
            _ => Self::full(&path),
        }
    }

    /// What is on the disk is damaged, and will not be read later either.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == io::ErrorKind::InvalidData)
    }

    /// No room on the file system of a directory.
    pub(super) fn full(directory: &Path) -> Self {
        let room = system::fs::room(directory);
        let (free, inodes) = room.map_or((0, 0), |room| (room.bytes, room.inodes));
        Self::Full {
            path: directory.to_owned(),
            free,
            inodes,
            wanted: 0,
        }
    }

    /// The same error once more: one failed commit has many waiters, and `io::Error` cannot be
    /// cloned.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Full {
                path,
                free,
                inodes,
                wanted,
            } => Self::Full {
                wanted: *wanted,
                path: path.clone(),
                free: *free,
                inodes: *inodes,
            },
            Self::Io { doing, path, error } => {
                let error = error.raw_os_error().map_or_else(
                    || io::Error::new(error.kind(), error.to_string()),
                    io::Error::from_raw_os_error,
                );
                Self::Io {
                    doing,
                    path: path.clone(),
                    error,
                }
            }
            Self::Locked(path, file) => Self::Locked(path.clone(), file.clone()),
            Self::Stopped => Self::Stopped,
        }
    }
}

/// No space, no quota, no inodes.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full {
                path,
                free,
                inodes,
                wanted,
            } => {
                let (free, wanted) = (free / MIB, wanted.div_ceil(MIB));
                write!(f, "spool full: {}: {free} MiB", path.display())?;
                if *inodes < u64::MAX {
                    write!(f, " and {inodes} inodes")?;
                }
                f.write_str(" free")?;
                if free < wanted {
                    write!(f, " of {wanted} MiB that must be")?;
                }
                f.write_str("; free space on its file system")
            }
            Self::Io { doing, path, error } => write!(f, "{doing} {}: {error}", path.display()),
            Self::Locked(path, file) => write!(
                f,
                "spool {}: in use by another process; stop it (`fuser {}` names it) or set another `spool`",
                path.display(),
                file.display()
            ),
            Self::Stopped => f.write_str("the spool is closed"),
        }
    }
}

impl std::error::Error for SpoolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}
