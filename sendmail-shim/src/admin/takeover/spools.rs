//! Where each program keeps the mail that waits, and whether it is still at work there.
//!
//! Contract: reads only. Links are not followed, but to where an administrator keeps a queue of
//! this machine, and what is no file is no message.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::FlockOperation;

use crate::admin::import::Program;

/// Directories below a queue of Postfix, at most (`hash_queue_depth`), and below `input` of Exim.
const DEPTH: usize = 16;

/// A message where another program keeps it.
#[derive(Debug)]
pub(super) struct Place {
    /// Its files below the spool, the one that makes it a message first.
    pub(super) files: Vec<PathBuf>,
    /// Put aside there.
    pub(super) held: bool,
}

impl Place {
    /// How it is called.
    pub(super) fn name(&self) -> String {
        let first = self.files.first().map(|file| file.to_string_lossy());
        first.unwrap_or_default().escape_debug().to_string()
    }
}

/// All that waits, in the order of the names.
pub(super) fn places(program: Program, (root, spool): (&Path, &Path)) -> io::Result<Vec<Place>> {
    let queues: &[(&str, bool)] = match program {
        Program::Postfix => &[
            ("maildrop", false),
            ("incoming", false),
            ("active", false),
            ("deferred", false),
            ("hold", true),
            ("corrupt", true),
        ],
        Program::Nullmailer => &[("queue", false), ("failed", true)],
        Program::Exim => &[("input", false)],
        _ => &[("", false)],
    };
    let mut places = Vec::new();
    for (queue, held) in queues {
        let mut files = Vec::new();
        let depth = match program {
            Program::Postfix | Program::Exim => DEPTH,
            _ => 0,
        };
        inside(root, &spool.join(queue))?;
        match walk(spool, Path::new(queue), depth, &mut files) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            walked => walked?,
        }
        files.sort();
        let messages = files.iter().filter_map(|file| message(program, file));
        places.extend(messages.map(|files| Place { files, held: *held }));
    }
    Ok(places)
}

/// A directory of a spool, which another system keeps below its root.
pub(super) fn inside(root: &Path, directory: &Path) -> io::Result<PathBuf> {
    system::copied::below(root, directory.strip_prefix(root).unwrap_or(directory))
}

/// The files of a message, if this is the first of them.
fn message(program: Program, file: &Path) -> Option<Vec<PathBuf>> {
    let name = file.file_name()?.to_str()?;
    match program {
        Program::Dma => {
            let id = name.strip_prefix('Q')?;
            Some(vec![file.to_owned(), file.with_file_name(format!("M{id}"))])
        }
        Program::Exim => {
            let id = name.strip_suffix("-H")?;
            let sibling = |letter| file.with_file_name(format!("{id}-{letter}"));
            Some(vec![file.to_owned(), sibling('D'), sibling('J')])
        }
        _ => Some(vec![file.to_owned()]),
    }
}

/// The regular files in a directory, and in those below it; names are from `spool` on.
fn walk(spool: &Path, below: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(spool.join(below))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let name = below.join(entry.file_name());
        if kind.is_file() {
            files.push(name);
        } else if kind.is_dir() && depth > 0 {
            walk(spool, &name, depth.saturating_sub(1), files)?;
        }
    }
    Ok(())
}

/// Sees to it that the program leaves its queue alone, for as long as what is returned lives; the
/// error says what to do.
pub(super) fn at_rest(program: Program, spool: &Path) -> Result<Option<File>, String> {
    let (directory, names): (PathBuf, &[&str]) = match program {
        Program::Postfix => return master_lock(&spool.join("pid/master.pid")),
        Program::Nullmailer => (spool.join("queue"), &["nullmailer-send"]),
        Program::Exim => (spool.to_owned(), &["exim4", "exim"]),
        // Each of its processes locks the message that it is about.
        _ => return Ok(None),
    };
    match works_in(&directory, names) {
        Some((pid, name)) => Err(format!(
            "{name} is at work in {} (process {pid}): stop it first",
            directory.display()
        )),
        None => Ok(None),
    }
}

/// Postfix' master holds this lock as long as it runs, and does not start without it.
fn master_lock(path: &Path) -> Result<Option<File>, String> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| format!("{}: {error}", path.display()))?,
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(_) => Err(format!(
            "Postfix is running ({} is locked): stop it first (postfix stop)",
            path.display()
        )),
    }
}

/// A process of one of these names whose working directory is this one.
fn works_in(directory: &Path, names: &[&str]) -> Option<(String, String)> {
    let place = fs::metadata(directory).ok()?;
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        let name = name.trim_end();
        let same = is_same(&process.path().join("cwd"), &place);
        let pid = process.file_name().to_string_lossy().into_owned();
        (same && names.contains(&name)).then(|| (pid, name.to_owned()))
    })
}

/// Locks a file as the program does while it works on it; the error names the process that does so
/// now.
pub(super) fn lock(program: Program, file: &File) -> Result<(), String> {
    let operation = FlockOperation::NonBlockingLockExclusive;
    let locked = match program {
        Program::Exim => rustix::fs::fcntl_lock(file, operation),
        _ => rustix::fs::flock(file, operation),
    };
    locked.map_err(|_| match holder(file) {
        Some(pid) => format!("process {pid} is delivering it: end that first (kill {pid})"),
        None => "a process is delivering it: end that first".to_owned(),
    })
}

/// Another process that has this file open.
fn holder(file: &File) -> Option<u32> {
    let file = file.metadata().ok()?;
    let own = std::process::id();
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let mut open = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        (pid != own && open.any(|open| is_same(&open.path(), &file))).then_some(pid)
    })
}

fn is_same(path: &Path, other: &fs::Metadata) -> bool {
    let key = |file: &fs::Metadata| (file.dev(), file.ino());
    fs::metadata(path).is_ok_and(|file| key(&file) == key(other))
}
