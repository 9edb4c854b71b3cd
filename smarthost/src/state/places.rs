//! Where the database is, and what lies beside it.
//!
//! Contract: a link in its place is followed, for `SQLite` keeps its log beside the file itself;
//! what is moved aside keeps its content, and is told for as long as it lies there.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, ErrorKind},
    iter,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use system::{read, within};

/// What stands behind the name of a database that was moved aside, before a number.
const DAMAGED: &str = ".damaged-";

/// The name of the database.
pub(super) const FILE: &str = "state.sqlite";
/// What a daemon begins with that had one before.
const KEPT: [&str; 2] = [FILE, "key.pem"];
/// Pause between looks at what does not answer.
const LOOK: Duration = Duration::from_secs(1);

/// The database in a directory, where a link leads to.
pub(super) fn database(directory: &Path) -> PathBuf {
    resolved(directory.join(FILE))
}

/// The lock of a directory for what is kept: one daemon has it.
fn lock_of(directory: &Path) -> PathBuf {
    directory.join("lock.state")
}

/// Takes it, for as long as the file is open; `None`: none can be made there, where nothing can be
/// kept either.
/// Failures: another daemon has it, or it does not answer.
pub(crate) fn lock(directory: &Path) -> Result<Option<File>, String> {
    let take = |lock: &Path| spool::take_lock(lock).map_err(io::Error::other);
    match within::ask(&lock_of(directory), take) {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => Err(in_use(directory, holder(directory))),
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            Err(format!("state {}: {error}", directory.display()))
        }
        Err(_) => Ok(None),
    }
}

/// Waits until what is kept there answers; `tell` hears once why that has to be waited for.
#[expect(
    clippy::disallowed_methods,
    reason = "before the runtime; nothing else tells when a disk answers"
)]
pub(crate) fn wait_for(directory: &Path, tell: impl FnOnce(&io::Error)) {
    let mut tell = Some(tell);
    let kept = KEPT.map(|name| directory.join(name));
    for path in iter::once(lock_of(directory)).chain(kept) {
        while let Err(error) = read::answers(&path)
            && error.kind() == ErrorKind::TimedOut
        {
            if let Some(tell) = tell.take() {
                tell(&error);
            }
            thread::sleep(LOOK);
        }
    }
}

/// Whether another daemon has it, looked at before anything is made there.
pub(crate) fn is_taken(directory: &Path) -> bool {
    within::ask(&lock_of(directory), |lock| Ok(spool::is_taken(lock))).unwrap_or_default()
}

/// The process that has it.
pub(crate) fn holder(directory: &Path) -> Option<u32> {
    let holder = |lock: &Path| spool::holder_of(lock, "smarthost");
    within::found(&lock_of(directory), holder)
}

/// Said of a directory that another one has.
pub(crate) fn in_use(directory: &Path, pid: Option<u32>) -> String {
    let pid = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
    format!(
        "state {}: in use by another smarthost{pid}; stop it, or set another `state`: each has \
         counters, key and control socket of its own",
        directory.display()
    )
}

/// Whether a daemon has kept anything there: its counters, or a key; where nothing answers, it may.
pub(crate) fn is_kept(directory: &Path) -> bool {
    KEPT.iter()
        .any(|name| read::is_there(&directory.join(name)))
}

/// `SQLite` puts its log beside the file itself, not beside a link to it.
pub(super) fn resolved(path: PathBuf) -> PathBuf {
    match fs::symlink_metadata(&path) {
        Ok(found) if found.is_symlink() => fs::canonicalize(&path).unwrap_or(path),
        _ => path,
    }
}

/// A file that `SQLite` keeps beside a database, or that we do.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Whether nothing is in a file in which there was something: what `SQLite` makes has a header at
/// once.
pub(super) fn was_emptied(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == 0)
}

/// What an administrator has to look at: databases that were moved aside, as long as they lie
/// there.
pub(crate) fn damaged(directory: &Path) -> Option<String> {
    let path = database(directory);
    let (parent, name) = (path.parent()?, path.file_name()?);
    let begin = beside(Path::new(name), DAMAGED);
    let begin = begin.as_os_str().as_encoded_bytes();
    let names = fs::read_dir(parent).ok()?.filter_map(Result::ok);
    let names = names.map(|found| found.file_name());
    let is_one = |name: &OsString| name.as_encoded_bytes().starts_with(begin);
    let mut names: Vec<_> = names.filter(is_one).map(|name| parent.join(name)).collect();
    names.sort();
    let first = names.first()?.display();
    let more = match names.len() {
        1 => String::new(),
        count => format!(" and {} more", count.saturating_sub(1)),
    };
    Some(format!(
        "{first}{more}: damaged counters that were put aside; look at them, then move them away"
    ))
}

/// Gives the damaged file another name, and drops the write-ahead log that belongs to it.
pub(super) fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1u32;
    let aside = loop {
        let aside = beside(path, &format!("{DAMAGED}{number}"));
        match fs::hard_link(path, &aside) {
            Ok(()) => break aside,
            Err(error) if error.kind() == ErrorKind::AlreadyExists && number < 1000 => {
                number += 1;
            }
            Err(error) => return Err(error),
        }
    };
    for leftover in ["-wal", "-shm"] {
        match fs::remove_file(beside(path, leftover)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::remove_file(path)?;
    Ok(aside)
}
