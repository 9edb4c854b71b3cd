//! Which process has a spool open: one alone. It has the lock, and locks what the mail lies in, the
//! folders and the files that it writes: so that the lock may be taken away, and no other process
//! comes by another name (a bind mount, a symbolic link, hard links).
//!
//! Contract: which process that is tells the kernel's table of locks; nothing is locked to find
//! out, which a daemon that starts could meet: two small reads of `/proc`; `None` where nobody has
//! it, or the kernel does not tell. See `proc_locks` in the documentation of Linux.
//! Failures: a file system that locks no folders (NFS) leaves that to the lock and the files.

use std::{
    fs::{self, File, Metadata, TryLockError},
    io,
    ops::Deref,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

use super::{SpoolError, layout::Layout, place};

/// Whoever can open the lock can hold it, and no daemon starts then.
const MODE: u32 = 0o600;

/// The number of the process of this name that has the spool in a directory.
pub fn holder(directory: &Path, program: &str) -> Option<u32> {
    let layout = Layout::new(directory);
    let mut locked = [&layout.lock, &layout.segments].into_iter();
    locked.find_map(|path| holder_of(path, program))
}

/// The same of a lock that is not a spool's.
pub fn holder_of(lock: &Path, program: &str) -> Option<u32> {
    let found = fs::metadata(lock).ok()?;
    let table = fs::read_to_string("/proc/locks").ok()?;
    let mut holders = holders(&table, found.ino());
    holders.find(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name.trim_end() == program) && may_have(*pid, lock, &found)
    })
}

/// Whether another process has the lock that a file is; where there is no file, nobody has it.
pub fn is_taken(lock: &Path) -> bool {
    system::open::at_once(lock).is_ok_and(|file| is_held(&file))
}

/// The same of a file that is open.
pub(super) fn is_held(file: &File) -> bool {
    let taken = file.try_lock_shared();
    // It was only looked at.
    let _ = taken.is_ok().then(|| file.unlock());
    matches!(taken, Err(TryLockError::WouldBlock))
}

/// Whether a process has this file open, not one with the same number on another file system; of
/// what is not shown to this user, it may.
fn may_have(pid: u32, lock: &Path, found: &Metadata) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return true;
    };
    let mut open = open.flatten().map(|entry| entry.path());
    open.any(|path| {
        let named = fs::read_link(&path).is_ok_and(|to| to.file_name() == lock.file_name());
        named && fs::metadata(path).is_ok_and(|it| place::of(&it) == place::of(found))
    })
}

/// A file that no other process has locked, as far as its file system tells; until it is closed.
pub(super) struct Own(File);

impl Own {
    pub(super) fn new(file: File) -> Self {
        // Who has it already would not have let this process start.
        let _ = file.try_lock();
        Self(file)
    }
}

impl Deref for Own {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // A program that is being started has it open, too, for a moment.
        let _ = self.0.unlock();
    }
}

/// What is locked as long as a spool is open.
pub(super) struct Held {
    pub(super) lock: Own,
    /// Nobody else can open it, if the lock is taken away, either.
    pub(super) alone: bool,
    /// Where the mail lies, as far as folders can be locked.
    _folders: Vec<Own>,
}

/// Locks a spool.
pub(super) fn lock(layout: &Layout) -> Result<Held, SpoolError> {
    let locked = |path: &Path| SpoolError::Locked(layout.root.clone(), path.to_owned());
    let lock = take(&layout.lock)?.ok_or_else(|| locked(&layout.lock))?;
    let mut folders = Vec::new();
    let places = [&layout.segments, &layout.bodies];
    for path in places {
        // Whoever can open it can lock it. Another user's stays as it is.
        let _ = system::fs::close_to_others(path);
        let folder = File::open(path).ok();
        let taken = folder.map(|folder| (folder.try_lock(), folder));
        match taken {
            Some((Ok(()), folder)) => folders.push(Own(folder)),
            Some((Err(TryLockError::WouldBlock), _)) => return Err(locked(path)),
            _ => {}
        }
    }
    // It is there always, so that a copy of hard links has it, too.
    if is_taken(&layout.spare) {
        return Err(locked(&layout.spare));
    }
    Ok(Held {
        lock: Own(lock),
        alone: folders.len() == places.len(),
        _folders: folders,
    })
}

/// Takes the lock that a file is; it is held while the file is open. `None`: another process has
/// it.
pub fn take(at: &Path) -> Result<Option<File>, SpoolError> {
    let file = open(at).map_err(SpoolError::io("cannot open", at))?;
    match file.try_lock() {
        Ok(()) if place::is_behind(&file, at).map_err(SpoolError::io("cannot look at", at))? => {
            Ok(Some(file))
        }
        // Removed meanwhile by who took it for left behind.
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(SpoolError::io("cannot lock", at)(error)),
    }
}

fn open(lock: &Path) -> io::Result<File> {
    let open = || {
        let mut options = File::options();
        // Whatever else stands there is not waited for.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        options.create(true).truncate(false).write(true).mode(MODE);
        options.custom_flags(flags).open(lock)
    };
    let file = open().or_else(|error| if clear(lock) { open() } else { Err(error) })?;
    // An earlier version made it as the umask was. Of another user's it stays as it is.
    let _ = system::fs::close_to_others(lock);
    Ok(file)
}

/// Removes a lock that cannot be opened (another user has left it, or it is no file) and that
/// nobody holds, so that a start can make its own; whether that was so.
fn clear(lock: &Path) -> bool {
    let removed = || {
        let found = fs::symlink_metadata(lock).ok()?;
        let table = fs::read_to_string("/proc/locks").ok()?;
        if holders(&table, found.ino()).next().is_some() {
            return None;
        }
        let remove = if found.is_dir() {
            fs::remove_dir
        } else {
            fs::remove_file
        };
        remove(lock).ok()
    };
    removed().is_some()
}

/// `1: FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF`. File systems may tell other numbers of their
/// device here than of their files, so the file's alone counts.
fn holders(table: &str, inode: u64) -> impl Iterator<Item = u32> {
    table.lines().filter_map(move |line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let is_lock = words.next()? == "FLOCK" && words.nth(1)? == "WRITE";
        let pid = words.next()?.parse().ok()?;
        let file = words.next()?.rsplit(':').next()?;
        (is_lock && file.parse() == Ok(inode)).then_some(pid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Spool};

    #[test]
    fn the_process_that_has_a_spool_is_found_while_it_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let own = fs::read_to_string("/proc/self/comm").unwrap();
        let holder = |program: &str| holder(directory.path(), program);
        assert_eq!(holder(own.trim_end()), None);
        let (spool, _) = Spool::open(directory.path(), Options::default()).unwrap();
        assert_eq!(holder(own.trim_end()), Some(std::process::id()));
        assert_eq!(holder("another"), None);
        spool.close();
        drop(spool);
        assert_eq!(holder(own.trim_end()), None);
    }

    #[test]
    fn a_lock_that_is_no_file_is_replaced_where_nobody_holds_it() {
        let directory = tempfile::tempdir().unwrap();
        let lock = directory.path().join("lock");
        let pipe = || {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mknodat(rustix::fs::CWD, &lock, rustix::fs::FileType::Fifo, mode, 0)
                .unwrap();
        };
        for make in [&|| fs::create_dir(&lock).unwrap(), &pipe as &dyn Fn()] {
            make();
            let (spool, _) = Spool::open(directory.path(), Options::default()).unwrap();
            assert!(lock.is_file());
            assert!(!clear(&lock), "it is held");
            assert!(lock.is_file());
            spool.close();
            fs::remove_file(&lock).unwrap();
        }
    }

    #[test]
    fn the_table_of_locks_is_read_whatever_stands_in_it() {
        let table = "1: POSIX  ADVISORY  WRITE 7 fe:00:131 0 EOF\n\
            2: FLOCK  ADVISORY  READ 8 fe:00:131 0 EOF\n\
            3: FLOCK  ADVISORY  WRITE 9 fe:00:131 0 EOF\n\
            3: -> FLOCK  ADVISORY  WRITE 10 fe:00:131 0 EOF\n\
            4: FLOCK  ADVISORY  WRITE -1 fe:00:131 0 EOF\n\
            5: FLOCK\n\nx";
        assert_eq!(holders(table, 131).collect::<Vec<_>>(), [9]);
        assert_eq!(holders(table, 13).count(), 0);
    }
}
