//! Files that last: the only place, beside the spool, that creates durable ones.
//!
//! Contract: when [`replace`] or [`create_directory`] has returned, content and name survive a
//! power cut; a reader sees the old or the new content, never a part.
//! Failures: `io::Error` of the step that failed; the old content is then untouched and no
//! temporary file is left.

use std::{
    ffi::OsString,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{
            DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
        },
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, RenameFlags},
    io::Errno,
};

/// Writes a file so that after a crash either the old or the new content is there: temporary name
/// in the same directory, fsync, rename, fsync of the directory. `mode` holds whatever the umask
/// is.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    replace_for(None, path, content, mode)
}

/// The same for another user and group, whose it is before it has its name or any content: also
/// where that user may change the directory.
pub fn replace_for(
    owner: Option<(u32, u32)>,
    path: &Path,
    content: &[u8],
    mode: u32,
) -> io::Result<()> {
    swap(path, |new| write_new(new, content, mode, owner))
}

/// Makes a file under a temporary name, and puts it in the place of another one.
fn swap(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let temporary = temporary_name(path)?;
    let written = make(&temporary).and_then(|()| rename(&temporary, path));
    if written.is_err() {
        // It may not even exist; the error that counts is the first.
        let _ = std::fs::remove_file(&temporary);
    }
    written?;
    sync_directory(parent(path))
}

/// The same for a file that is an administrator's: where symbolic links lead it is replaced, and
/// keeps owner, group and mode. `mode` is that of a new one.
pub fn replace_in_place(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let path = target(path)?;
    let before = match std::fs::metadata(&path) {
        Ok(before) => before,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return replace(&path, content, mode);
        }
        Err(error) => return Err(error),
    };
    swap(&path, |new| {
        write_new(new, content, before.mode() & 0o700, None).and_then(|()| like(new, &before))
    })
}

/// Gives a file to whom another one belongs, and then its mode.
fn like(path: &Path, other: &std::fs::Metadata) -> io::Result<()> {
    let file = File::open(path)?;
    let own = file.metadata()?;
    let differs = |own: u32, other: u32| (own != other).then_some(other);
    let (owner, group) = (
        differs(own.uid(), other.uid()),
        differs(own.gid(), other.gid()),
    );
    if owner.is_some() || group.is_some() {
        fchown(&file, owner, group)?;
    }
    file.set_permissions(std::fs::Permissions::from_mode(other.mode() & 0o7777))?;
    file.sync_all()
}

/// Takes from a file or a directory what its group and others may do with it. It is not opened, for
/// closing it again would end the locks that this process has on it.
pub fn close_to_others(path: &Path) -> io::Result<()> {
    let found = std::fs::symlink_metadata(path)?;
    let mode = found.mode() & 0o7777;
    let others = mode & 0o077;
    if !(found.is_file() || found.is_dir()) || others == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & !0o077))
}

/// Where symbolic links lead, whether a file is there or not, for who replaces it; only links of
/// root or of us are followed.
pub fn target(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..40 {
        match std::fs::symlink_metadata(&target) {
            Ok(link) if link.is_symlink() => {
                let own = rustix::process::geteuid().as_raw();
                if link.uid() != 0 && link.uid() != own {
                    let why = format!("{} is the link of another user", target.display());
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
                }
                let to = std::fs::read_link(&target)?;
                target = parent(&target).join(to);
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => return Ok(target),
        }
    }
    Err(Errno::LOOP.into())
}

/// Gives a file of the same directory this name, in the place of what has it.
pub fn put(file: &Path, path: &Path) -> io::Result<()> {
    rename(file, path)?;
    sync_directory(parent(path))
}

fn write_new(path: &Path, content: &[u8], mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    let own = rustix::process::geteuid().as_raw();
    if let Some((user, group)) = owner.filter(|(user, _)| *user != own) {
        fchown(&file, Some(user), Some(group))?;
    }
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the rule points here: callers sync the directory"
)]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)
}

fn temporary_name(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let random = getrandom::u64().map_err(io::Error::other)?;
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{random:016x}.new"));
    Ok(path.with_file_name(temporary))
}

/// Removes what writers of this file have left behind who were killed. Nobody else may be writing
/// it.
pub fn clear_unfinished(path: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    for entry in std::fs::read_dir(parent(path))? {
        let entry = entry?;
        if is_unfinished(entry.file_name().as_bytes(), name) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether it is a [`temporary_name`] of that file.
fn is_unfinished(found: &[u8], name: &[u8]) -> bool {
    let rest = found
        .strip_prefix(b".")
        .and_then(|it| it.strip_prefix(name));
    let middle = rest.and_then(|it| it.strip_prefix(b".")?.strip_suffix(b".new"));
    middle.is_some_and(|it| it.len() == 16 && it.iter().all(u8::is_ascii_hexdigit))
}

/// The directory that holds `path`; `.` for a bare name.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// fsync of a directory, so that names in it last.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Creates a directory (and its parents) with a mode, if it is not there; one that is there keeps
/// its mode.
pub fn create_directory(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent(path);
    if !parent.is_dir() {
        create_directory(parent, mode)?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match path.metadata() {
            Ok(found) if found.is_dir() => Ok(()),
            // A disk that fails could not say what is there.
            Err(failing) if failing.kind() != io::ErrorKind::NotFound => Err(failing),
            Ok(_) | Err(_) => Err(error),
        },
        Err(error) => Err(error),
        Ok(()) => sync_directory(parent),
    }
}

/// Why a directory can never be made or used there, whoever tries; what is denied to this user, or
/// has no room now, is no reason. Makes nothing.
pub fn no_directory(path: &Path) -> Option<String> {
    let nearest = path.ancestors().find(|it| it.symlink_metadata().is_ok())?;
    let shown = nearest.display();
    match nearest.metadata() {
        Ok(found) if !found.is_dir() => Some(format!("{shown} is there, and is no directory")),
        Ok(_) => {
            let kind = rustix::fs::statfs(nearest).ok()?.f_type;
            (kind == rustix::fs::PROC_SUPER_MAGIC)
                .then(|| format!("no files can be made in {shown}"))
        }
        // A link that leads nowhere.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(format!("{shown}: {error}")),
        Err(_) => None,
    }
}

/// Moves a file into a directory of the same file system, which is there; its new name. Nothing is
/// replaced: a name that is taken gets a number.
pub fn move_into(path: &Path, directory: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let mut target = directory.join(name);
    for number in 1..1000 {
        let moved = rustix::fs::renameat_with(CWD, path, CWD, &target, RenameFlags::NOREPLACE);
        match moved {
            Ok(()) => {
                sync_directory(directory)?;
                sync_directory(parent(path))?;
                return Ok(target);
            }
            Err(Errno::EXIST) => {
                let mut numbered = name.to_owned();
                numbered.push(format!(".{number}"));
                target = directory.join(numbered);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::from(io::ErrorKind::AlreadyExists))
}

/// Bytes and inodes free for us where `path` lies.
pub fn room(path: &Path) -> io::Result<Room> {
    let free = rustix::fs::statvfs(path)?;
    // Some file systems (btrfs) do not count inodes and say zero of zero.
    let inodes = if free.f_files == 0 {
        u64::MAX
    } else {
        free.f_favail
    };
    Ok(Room {
        bytes: free.f_bavail.saturating_mul(free.f_frsize),
        inodes,
    })
}

/// Free space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    pub bytes: u64,
    pub inodes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_a_file_sets_content_and_mode_and_leaves_nothing_else_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        for (content, mode) in [("one", 0o644), ("two", 0o600)] {
            replace(&path, content.as_bytes(), mode).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                mode
            );
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_writer_of_a_file_has_left_goes_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let others = [
            "key.pem",
            ".key.pem",
            ".key.pem.x.new",
            ".other.0123456789abcdef.new",
        ];
        for name in others {
            replace(&path(name), b"x", 0o600).unwrap();
        }
        let half = temporary_name(&path("key.pem")).unwrap();
        File::create(half).unwrap();
        clear_unfinished(&path("key.pem")).unwrap();
        let left = std::fs::read_dir(directory.path()).unwrap();
        let mut left: Vec<_> = left.map(|it| it.unwrap().file_name()).collect();
        left.sort();
        let mut others = others.map(OsString::from);
        others.sort();
        assert_eq!(left, others);
        assert!(clear_unfinished(&path("nowhere/key.pem")).is_err());
    }

    #[test]
    fn a_link_leads_to_what_is_to_be_replaced_though_nothing_is_there_and_a_circle_to_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for (name, to) in [("one", "two"), ("two", "three"), ("round", "round")] {
            std::os::unix::fs::symlink(to, path(name)).unwrap();
        }
        assert_eq!(target(&path("one")).unwrap(), path("three"));
        assert!(target(&path("round")).is_err());
        replace(&path("three"), b"x", 0o600).unwrap();
        assert_eq!(target(&path("one")).unwrap(), path("three"));
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays_as_it_is_with_no_temporary_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("occupied");
        std::fs::create_dir(&path).unwrap();
        std::fs::create_dir(path.join("inside")).unwrap();
        assert!(replace(&path, b"x", 0o600).is_err());
        assert!(path.join("inside").is_dir());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_moved_replaces_none_of_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let aside = directory.path().join("aside");
        create_directory(&aside, 0o700).unwrap();
        let path = directory.path().join("A1");
        for (content, name) in [("one", "A1"), ("two", "A1.1"), ("three", "A1.2")] {
            replace(&path, content.as_bytes(), 0o600).unwrap();
            let moved = move_into(&path, &aside).unwrap();
            assert_eq!(moved, aside.join(name));
            assert_eq!(std::fs::read_to_string(&moved).unwrap(), content);
            assert!(!path.exists());
        }
        assert!(move_into(&path, &aside).is_err(), "it is gone");
    }

    #[test]
    fn where_it_cannot_be_told_what_is_in_the_place_of_a_directory_that_is_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("itself");
        std::os::unix::fs::symlink(&path, &path).unwrap();
        let error = create_directory(&path, 0o700).unwrap_err();
        let a_loop = Errno::LOOP.raw_os_error();
        assert_eq!(error.raw_os_error(), Some(a_loop));
        let file = directory.path().join("file");
        File::create(&file).unwrap();
        let error = create_directory(&file, 0o700).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn directories_are_made_with_their_parents_and_making_them_again_is_no_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/c");
        create_directory(&path, 0o700).unwrap();
        create_directory(&path, 0o755).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert!(room(&path).unwrap().bytes > 0);
    }
}
