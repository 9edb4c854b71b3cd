//! Whether a daemon can use its directory and what lies there.
//!
//! Contract: changes nothing. Root, who may do everything, looks for the user whom the directory
//! belongs to. What a file system makes for itself (`lost+found`) and what is kept for people
//! (`quarantine`) does not count. Looks at no more than [`MOST`] files of each directory.

use std::{
    ffi::OsStr,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, access},
    io::Errno,
    process::geteuid,
};

/// Files of a directory that are looked at: a long queue is not read to its end each time.
const MOST: usize = 100_000;
/// Directories below each other.
const DEEP: usize = 4;

/// Directories of everybody, in which nobody's data may be changed for the sake of a daemon.
const SYSTEMS: [&str; 19] = [
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/media", "/mnt", "/opt", "/proc",
    "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var",
];

/// What cannot be used, why, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unusable {
    pub path: PathBuf,
    /// A sentence that names the path.
    pub why: String,
    pub remedy: String,
}

/// The first thing in a directory, or the directory itself, that its daemon cannot use; `None` also
/// where there is no directory yet. `counts`: which names in it are looked at.
pub fn unusable(directory: &Path, counts: impl Fn(&OsStr) -> bool) -> Option<Unusable> {
    let found = fs::metadata(directory).ok()?;
    let whole = (directory, &found);
    let wrong = examined(directory, &found, whole);
    if let Some(wrong) = wrong.or_else(|| misplaced(directory)) {
        return Some(wrong);
    }
    entries(directory).find_map(|(path, found)| {
        let counted = path.file_name().is_some_and(&counts);
        counted.then(|| look(&path, &found, whole, DEEP))?
    })
}

/// What the queue of a daemon has in its directory: directories, and the lock, a file.
const DIRECTORIES: [&str; 2] = ["segments", "bodies"];
const LOCK: &str = "lock";

/// The same of the directory and of those in it alone, for the user who asks: a start that can do
/// nothing there must not begin with it.
pub fn closed(directory: &Path) -> Option<Unusable> {
    let found = fs::metadata(directory).ok()?;
    if let Some(misplaced) = misplaced(directory) {
        return Some(misplaced);
    }
    let whole = (directory, &found);
    let closed = |path: &Path, found: &Metadata| {
        let wanted = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        let error = access(path, wanted).err()?;
        Some(told(path, found, whole, &error.into()))
    };
    closed(directory, &found).or_else(|| {
        let mut inner = entries(directory).filter(|(_, found)| found.is_dir());
        inner.find_map(|(path, found)| closed(&path, &found))
    })
}

/// What stands where the queue wants something else of its own, and is left to people.
fn misplaced(directory: &Path) -> Option<Unusable> {
    let told = |path: PathBuf, wanted: &str| {
        let shown = path.display();
        Unusable {
            why: format!("{shown} is in the way: the queue has {wanted} of this name"),
            remedy: format!("look what it is, then: mv {shown} {shown}.old"),
            path,
        }
    };
    let mut directories = DIRECTORIES.iter().map(|name| directory.join(name));
    let other = directories.find(|path| path.symlink_metadata().is_ok() && !path.is_dir());
    if let Some(other) = other {
        return Some(told(other, "a directory"));
    }
    let lock = directory.join(LOCK);
    // An empty one is replaced.
    let full = fs::read_dir(&lock).is_ok_and(|mut inner| inner.next().is_some());
    full.then(|| told(lock, "a file"))
}

/// Files and directories in a directory, [`MOST`] of them.
fn entries(path: &Path) -> impl Iterator<Item = (PathBuf, Metadata)> {
    let all = fs::read_dir(path).into_iter().flatten().flatten();
    all.take(MOST).filter_map(|entry| {
        // What has just gone is no fault, and links and sockets are not the daemon's data.
        let found = fs::symlink_metadata(entry.path()).ok()?;
        let name = entry.file_name();
        let others = name == "lost+found" || name == "quarantine";
        let counts = !others && (found.is_file() || found.is_dir());
        counts.then(|| (entry.path(), found))
    })
}

fn look(path: &Path, found: &Metadata, whole: Whole<'_>, deep: usize) -> Option<Unusable> {
    if let Some(wrong) = examined(path, found, whole) {
        return Some(wrong);
    }
    if !found.is_dir() || deep == 0 {
        return None;
    }
    let mut inner = entries(path);
    inner.find_map(|(path, found)| look(&path, &found, whole, deep.saturating_sub(1)))
}

/// What is wrong with this one alone.
fn examined(path: &Path, found: &Metadata, whole: Whole<'_>) -> Option<Unusable> {
    Some(told(path, found, whole, &denied(path, found, whole.1)?))
}

/// The directory, and whose it is.
type Whole<'a> = (&'a Path, &'a Metadata);

/// Why the daemon may not do what it does with it, if so.
fn denied(path: &Path, found: &Metadata, directory: &Metadata) -> Option<io::Error> {
    let wanted = if found.is_dir() {
        Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK
    } else if found.mode() & 0o200 == 0 {
        // Nobody writes to it again.
        Access::READ_OK
    } else {
        Access::READ_OK | Access::WRITE_OK
    };
    if let Err(error) = access(path, wanted) {
        return Some(error.into());
    }
    let looks_for_another = geteuid().is_root() && directory.uid() != 0;
    (looks_for_another && !is_open_to(found, directory.uid(), directory.gid(), wanted.bits()))
        .then(|| Errno::ACCESS.into())
}

/// Whether the mode of a file lets a user of this group do that. Pure.
fn is_open_to(found: &Metadata, uid: u32, gid: u32, wanted: u32) -> bool {
    let shift = match (found.uid() == uid, found.gid() == gid) {
        (true, _) => 6,
        (_, true) => 3,
        _ => 0,
    };
    (found.mode() >> shift) & wanted == wanted
}

/// Whether a directory is not the daemon's alone, so that its mode and its owner must stay.
pub fn is_everybodys(directory: &Path, found: &Metadata) -> bool {
    let is_systems = SYSTEMS
        .iter()
        .any(|systems| directory == Path::new(systems));
    // Everybody has files there, and nobody those of others.
    is_systems || found.mode() & 0o1002 == 0o1002
}

fn told(path: &Path, found: &Metadata, whole: Whole<'_>, error: &io::Error) -> Unusable {
    let (directory, owner) = whole;
    let directory = directory.display();
    let shown = path.display();
    let own = geteuid();
    let user = if own.is_root() {
        owner.uid()
    } else {
        own.as_raw()
    };
    let is_systems = is_everybodys(whole.0, owner);
    let why = if error.raw_os_error() == Some(Errno::ROFS.raw_os_error()) {
        return Unusable {
            path: path.to_owned(),
            why: format!("{shown} cannot be written: {error}"),
            remedy: format!(
                "is the file system mounted read-only? findmnt -T {shown}; a disk with errors is: dmesg"
            ),
        };
    } else if found.uid() == user {
        format!("{shown} cannot be used by user {user}: {error}")
    } else {
        let other = found.uid();
        format!("{shown} belongs to user {other}, and user {user} cannot use it: {error}")
    };
    let remedy = if is_systems {
        format!("{directory} belongs to the whole system: name a directory of the daemon's own")
    } else if found.uid() == user {
        format!("chmod -R u+rwX {directory}")
    } else {
        format!("chown -R {user} {directory}")
    };
    Unusable {
        path: path.to_owned(),
        why,
        remedy,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;

    const NOBODY: Option<u32> = Some(65534);

    #[test]
    fn a_directory_that_the_user_may_not_write_is_closed_and_so_is_one_with_such_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("segments");
        assert_eq!(closed(&inner), None, "not there yet");
        fs::create_dir(&inner).unwrap();
        assert_eq!(closed(directory.path()), None);
        if geteuid().is_root() {
            // Whom no mode stops; what it means for others is tried end to end.
            return;
        }
        for path in [inner.as_path(), directory.path()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o500)).unwrap();
            let found = closed(directory.path()).unwrap();
            assert_eq!(found.path, path);
            assert!(found.remedy.starts_with("chmod"), "{found:?}");
        }
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn what_stands_in_the_way_of_the_queues_own_is_named_and_left_to_people() {
        let directory = tempfile::tempdir().unwrap();
        for name in DIRECTORIES {
            let path = directory.path().join(name);
            let link = || std::os::unix::fs::symlink("/nowhere/at/all", &path).unwrap();
            let file = || crate::fs::replace(&path, b"", 0o600).unwrap();
            for make in [&file as &dyn Fn(), &link] {
                make();
                for found in [
                    closed(directory.path()),
                    unusable(directory.path(), |_| true),
                ] {
                    assert_eq!(found.unwrap().path, path);
                }
                fs::remove_file(&path).unwrap();
            }
            fs::create_dir(&path).unwrap();
        }
        let lock = directory.path().join(LOCK);
        fs::create_dir(&lock).unwrap();
        assert_eq!(closed(directory.path()), None, "it is replaced");
        fs::create_dir(lock.join("inner")).unwrap();
        let found = closed(directory.path()).unwrap();
        assert!(found.why.contains("has a file of this name"), "{found:?}");
        assert!(found.remedy.contains("mv "), "{found:?}");
    }

    #[test]
    fn root_is_told_what_the_user_of_a_directory_cannot_use_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("segments");
        let file = inner.join("1");
        fs::create_dir(&inner).unwrap();
        crate::fs::replace(&file, b"x", 0o600).unwrap();
        let later = directory.path().join("later");
        assert_eq!(unusable(&later, |_| true), None);
        let unusable = || unusable(directory.path(), |name| name != "backup");
        assert_eq!(unusable(), None);
        if !geteuid().is_root() {
            // Who is no root is not let in by the kernel.
            fs::set_permissions(&file, fs::Permissions::from_mode(0o200)).unwrap();
            assert!(unusable().unwrap().remedy.starts_with("chmod"));
            return;
        }
        for path in [directory.path(), &inner] {
            chown(path, NOBODY, NOBODY).unwrap();
        }
        let found = unusable().unwrap();
        assert_eq!(found.path, file);
        assert!(found.why.contains("belongs to user 0"), "{}", found.why);
        assert_eq!(
            found.remedy,
            format!("chown -R 65534 {}", directory.path().display())
        );
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(unusable(), None, "everybody may");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        chown(&file, NOBODY, NOBODY).unwrap();
        assert_eq!(unusable(), None, "a body that is written once");
        crate::fs::replace(&directory.path().join("backup"), b"x", 0o600).unwrap();
        assert_eq!(unusable(), None, "of no importance");
        let found = directory.path().join("lost+found");
        fs::create_dir(&found).unwrap();
        fs::set_permissions(&found, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(unusable(), None, "the file system's own");
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o500)).unwrap();
        assert_eq!(unusable().unwrap().path, inner);
    }
}
