//! Copies of files as they were when they were last good, in a directory for them.
//!
//! Contract: for the daemon's user alone. The name of a copy says of which file it is, and what it
//! held: one that is damaged is none.

use std::{
    ffi::{OsStr, OsString},
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use system::{
    fs::{create_directory, replace},
    read,
};

/// Where they are, in `state`.
pub(crate) const DIRECTORY: &str = "files.last-good";

/// What there is of a file that was right once.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    Nothing,
    /// Not what was written: nobody knows any more what the file held.
    Damaged,
    Copy(PathBuf),
}

/// The copy of a file in `directory`: of several, which a crash has left there, the newest; `most`:
/// the length of the file.
pub(crate) fn kept(directory: &Path, path: &Path, most: u64) -> Kept {
    let (mut newest, mut is_damaged) = (None, false);
    for name in known(directory, path) {
        let copy = directory.join(&name);
        let made = fs::metadata(&copy).and_then(|it| it.modified());
        if content(&copy, most).is_ok_and(|content| *name == *named(path, &content)) {
            newest = newest.max(Some((made.unwrap_or(SystemTime::UNIX_EPOCH), copy)));
        } else {
            is_damaged = true;
        }
    }
    match newest {
        Some((_, copy)) => Kept::Copy(copy),
        None if is_damaged => Kept::Damaged,
        None => Kept::Nothing,
    }
}

/// What a file holds.
pub(crate) fn content(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = read::at_once(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    read::all(&file, most)
}

/// The names of all copies of a file.
pub(crate) fn known(directory: &Path, path: &Path) -> Vec<OsString> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = files.map(|file| file.file_name());
    names.filter(|name| is_of(path, name)).collect()
}

/// Whether a copy with that name is one of a file.
pub(crate) fn is_of(path: &Path, name: &OsStr) -> bool {
    let begins = begins(path);
    name.as_encoded_bytes().starts_with(begins.as_bytes())
}

/// Keeps a copy of what a file holds, and says where.
pub(crate) fn keep(directory: &Path, path: &Path, content: &[u8]) -> io::Result<PathBuf> {
    let copy = directory.join(named(path, content));
    let most = u64::try_from(content.len()).unwrap_or(u64::MAX);
    if !self::content(&copy, most).is_ok_and(|known| known == content) {
        create_directory(directory, 0o700)?;
        replace(&copy, content, 0o600)?;
    }
    Ok(copy)
}

fn begins(path: &Path) -> String {
    format!("{}.", digits(path.as_os_str().as_encoded_bytes()))
}

/// The name of a copy: of which file it is, then what it holds, so that damage shows.
fn named(path: &Path, content: &[u8]) -> String {
    begins(path) + &digits(content)
}

fn digits(of: &[u8]) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, of);
    hash.as_ref().iter().fold(String::new(), |mut name, byte| {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}
