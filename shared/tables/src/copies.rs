//! Copies of files as they were when they were last good, in a directory of their own.
//!
//! Contract: a copy is named after the path of its file and what it holds, so that damage shows:
//! one that is not what was written is none, and known to be damaged. It is on disk when [`write`]
//! returns, for its owner alone.

use std::{
    ffi::{OsStr, OsString},
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use system::{
    fs::{create_directory, replace},
    read, within,
};

/// What a program's directory of them is called.
pub const DIRECTORY: &str = "files.last-good";
/// And that of the lists that alias files include.
pub const LISTS: &str = "lists.last-good";

/// What there is of a file that was right once.
#[derive(PartialEq, Eq, Debug)]
pub enum Kept {
    Nothing,
    /// Not what was written: nobody knows any more what the file held.
    Damaged,
    /// Where it is, and what it holds.
    Copy(PathBuf, Vec<u8>),
}

/// The copy of a file in a directory: of several, which a crash has left there, the newest; `most`:
/// the length of the file, bytes.
pub fn kept(directory: &Path, path: &Path, most: u64) -> Kept {
    let (mut newest, mut is_damaged) = (None, false);
    for name in names(directory, path) {
        let copy = directory.join(&name);
        let made = read::metadata(&copy).and_then(|it| it.modified());
        match read::bytes(&copy, most) {
            Ok(held) if *name == *named(path, &held) => {
                newest = newest.max(Some((made.unwrap_or(SystemTime::UNIX_EPOCH), copy, held)));
            }
            _ => is_damaged = true,
        }
    }
    match newest {
        Some((_, copy, held)) => Kept::Copy(copy, held),
        None if is_damaged => Kept::Damaged,
        None => Kept::Nothing,
    }
}

/// Whether it can be told which copies there are: none is an answer too.
pub fn are_seen(directory: &Path) -> bool {
    let listed = within::ask(directory, |directory| fs::read_dir(directory).map(drop));
    listed.map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |()| true)
}

/// Keeps what was read from a file, and says where. Other copies of it stay.
pub fn write(directory: &Path, path: &Path, held: &[u8]) -> io::Result<PathBuf> {
    let copy = directory.join(named(path, held));
    let most = u64::try_from(held.len()).unwrap_or(u64::MAX);
    if !read::bytes(&copy, most).is_ok_and(|known| known == held) {
        create_directory(directory, 0o700)?;
        replace(&copy, held, 0o600)?;
    }
    Ok(copy)
}

/// The names of all copies of a file.
pub fn names(directory: &Path, path: &Path) -> Vec<OsString> {
    let mut names = all(directory);
    names.retain(|name| is_of(path, name));
    names
}

fn all(directory: &Path) -> Vec<OsString> {
    let found = within::ask(directory, |directory| {
        let files = fs::read_dir(directory)?.flatten();
        Ok(files.map(|file| file.file_name()).collect())
    });
    found.unwrap_or_default()
}

/// Whether a copy with that name is one of a file.
pub fn is_of(path: &Path, name: &OsStr) -> bool {
    let begins = begins(path);
    name.as_encoded_bytes().starts_with(begins.as_bytes())
}

/// Removes all copies of a file but one.
pub fn forget_all_but(directory: &Path, path: &Path, copy: Option<&Path>) {
    for name in names(directory, path) {
        let other = directory.join(name);
        if copy != Some(&other) {
            // What stays is older: the newest one counts.
            let _ = fs::remove_file(other);
        }
    }
}

/// Removes what is not among these.
pub fn forget_others(directory: &Path, kept: impl Fn(&OsString) -> bool) {
    for name in all(directory) {
        if !kept(&name) {
            // What stays is only used for a file that is named again.
            let _ = fs::remove_file(directory.join(name));
        }
    }
}

/// What the names of a file's copies begin with; what it held follows.
fn begins(path: &Path) -> String {
    format!("{}.", digits(path.as_os_str().as_encoded_bytes()))
}

fn named(path: &Path, held: &[u8]) -> String {
    begins(path) + &digits(held)
}

pub(crate) fn digits(of: &[u8]) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, of);
    hash.as_ref().iter().fold(String::new(), |mut name, byte| {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_found_by_its_files_path_and_one_that_was_changed_is_known_to_be_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let (copies, of) = (directory.path().join("copies"), Path::new("/etc/aliases"));
        assert_eq!(kept(&copies, of, 99), Kept::Nothing);
        let copy = write(&copies, of, b"root: a@b.c\n").unwrap();
        assert_eq!(write(&copies, of, b"root: a@b.c\n").unwrap(), copy);
        assert_eq!(
            kept(&copies, of, 99),
            Kept::Copy(copy.clone(), b"root: a@b.c\n".to_vec())
        );
        assert_eq!(kept(&copies, Path::new("/etc/other"), 99), Kept::Nothing);
        replace(&copy, b"", 0o600).unwrap();
        assert_eq!(kept(&copies, of, 99), Kept::Damaged);
        let second = write(&copies, of, b"other\n").unwrap();
        assert_eq!(names(&copies, of).len(), 2);
        forget_others(&copies, |name| second.file_name() == Some(name.as_os_str()));
        assert_eq!(
            kept(&copies, of, 99),
            Kept::Copy(second, b"other\n".to_vec())
        );
        assert_eq!(names(&copies, of).len(), 1);
    }
}
