//! The file operations that durability rests on, behind a trait so that a test can cut, fail and
//! forget after each of them.
//!
//! Contract: nothing but this writes in the spool's directory, or opens what lies there; what is
//! read is a [`Source`].

use std::{
    fs::{File, Metadata, OpenOptions, Permissions},
    io::{self, IoSlice},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::{fs::FallocateFlags, io::Errno};
use system::nameless::Nameless;

use super::source::Source;

/// What the spool asks of a disk.
pub(super) trait Disk: Send + Sync {
    /// A new file of `size` zero bytes whose space is reserved. The name lasts after
    /// [`Disk::sync_directory`].
    fn create(&self, path: &Path, size: u64) -> io::Result<File>;
    /// Opens a regular file of zero bytes to be written, with all of its space reserved;
    /// lengthened to `size`, as far as that works.
    fn reopen(&self, path: &Path, size: u64) -> io::Result<File>;
    /// A new file without a name: gone when closed, unless linked.
    fn create_nameless(&self, directory: &Path) -> io::Result<Nameless>;
    /// Writes at a place; may write less than given, as `pwritev` does.
    fn write(&self, file: &File, offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<usize>;
    /// fdatasync. After a failure the file's unsynced part is lost; do not ask again.
    fn sync(&self, file: &File) -> io::Result<()>;
    /// Gives a nameless file its name.
    fn link(&self, file: &mut Nameless, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn truncate(&self, path: &Path, size: u64) -> io::Result<()>;
    /// Opens a regular file to be read; nobody keeps it open for long. Anything else, a symbolic
    /// link, too, is [`io::ErrorKind::InvalidData`].
    fn open(&self, path: &Path) -> io::Result<Source>;
    /// Writes a new file; content and name last.
    fn save(&self, path: &Path, content: &[u8]) -> io::Result<()>;
    /// Marks a body file as one of accepted mail ([`is_promised`]). Need not last.
    fn promise(&self, path: &Path) -> io::Result<()>;
    /// fsync of a directory: names made and removed there last.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Whether the file system of a directory writes over what a file holds where that lies, so
    /// that a sync of it takes one flush of the disk, and one more only where a reserved block is
    /// written for the first time.
    fn writes_in_place(&self, directory: &Path) -> bool;
}

/// Mode of the body files of accepted mail: nobody writes to them any more.
const PROMISED: u32 = 0o400;

/// Whether a body file is marked as one of accepted mail.
pub(super) fn is_promised(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & 0o200 == 0
}

/// Whether a file is there with this content; `None`: nothing is there.
pub(super) fn holds(path: &Path, content: &[u8]) -> io::Result<Option<bool>> {
    let length = content.len() as u64;
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(found) if !found.is_file() || found.len() != length => Ok(Some(false)),
        Ok(_) => Ok(Some(system::read::bytes(path, length)? == content)),
    }
}

/// The real one.
pub(super) struct Native;

impl Disk for Native {
    fn create(&self, path: &Path, size: u64) -> io::Result<File> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        match reserve(&file, size) {
            Ok(()) => Ok(file),
            Err(error) => {
                // What matters is why it failed.
                let _ = std::fs::remove_file(path);
                Err(error)
            }
        }
    }

    fn reopen(&self, path: &Path, size: u64) -> io::Result<File> {
        let found = path.symlink_metadata()?;
        if !found.is_file() {
            return Err(no_file(&found));
        }
        let file = File::options().read(true).write(true).open(path)?;
        // A copy of it has holes.
        reserve(&file, found.len())?;
        if found.len() < size {
            // A small one is one, too.
            let _ = reserve(&file, size);
        }
        Ok(file)
    }

    fn create_nameless(&self, directory: &Path) -> io::Result<Nameless> {
        Nameless::create(directory)
    }

    fn write(&self, file: &File, offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(rustix::io::pwritev(file, pieces, offset)?)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn link(&self, file: &mut Nameless, path: &Path) -> io::Result<()> {
        file.link(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(rustix::fs::rename(from, to)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn truncate(&self, path: &Path, size: u64) -> io::Result<()> {
        OpenOptions::new().write(true).open(path)?.set_len(size)
    }

    fn open(&self, path: &Path) -> io::Result<Source> {
        // A pipe would wait for its other end for ever.
        let found = path.symlink_metadata()?;
        if !found.is_file() {
            return Err(no_file(&found));
        }
        File::open(path).map(Source::new)
    }

    fn save(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        system::fs::replace(path, content, 0o600)
    }

    fn promise(&self, path: &Path) -> io::Result<()> {
        std::fs::set_permissions(path, Permissions::from_mode(PROMISED))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        system::fs::sync_directory(path)
    }

    fn writes_in_place(&self, directory: &Path) -> bool {
        // btrfs, ZFS and their like write elsewhere each time; zeros would be written for nothing.
        rustix::fs::statfs(directory).is_ok_and(|it| [EXT4, XFS].contains(&it.f_type))
    }
}

fn no_file(found: &Metadata) -> io::Error {
    let why = if found.is_symlink() {
        "it is no regular file, but a symbolic link: put the file itself there"
    } else {
        "it is no regular file"
    };
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Reserves space up to a length.
fn reserve(file: &File, size: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size) {
        // Some file systems, and sandboxes, cannot reserve; they then meet a full disk later, in
        // `write`.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM | Errno::NODEV) => {
            file.set_len(size)
        }
        other => other.map_err(io::Error::from),
    }
}

/// `EXT4_SUPER_MAGIC`, `XFS_SUPER_MAGIC`: `f_type` in statfs(2).
const EXT4: i64 = 0xef53;
const XFS: i64 = 0x5846_5342;

/// Pieces of one `pwritev` (`IOV_MAX`).
const PIECES: usize = 1024;

/// Writes everything, however short the single writes are.
pub(super) fn write_all(
    disk: &dyn Disk,
    file: &File,
    mut offset: u64,
    pieces: &mut [IoSlice<'_>],
) -> io::Result<()> {
    let mut rest = pieces;
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let (now, _) = rest.split_at(rest.len().min(PIECES));
        match disk.write(file, offset, now) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
