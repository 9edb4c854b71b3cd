//! A process of ours that looks at a file before we do.
//!
//! A process of which one thread waits for a request that a file system keeps to itself (FUSE, a
//! disk that hangs) cannot end: not by `exit`, not by a signal. Whoever waits for its end waits for
//! that file system. So a command that is to end, whatever is silent, sends a scout ahead, and
//! never touches what that does not come back from.
//!
//! Contract: `answers` takes no longer than it is given. A scout that does not come back is
//! killed, and left to end when it can; it keeps open nothing that others wait for.
//! Failures: where no scout can be started, files are looked at without.

use std::{
    ffi::OsStr,
    fs,
    io::{self, BufRead as _, Read as _, Write as _},
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{flush::flush_takes, open};

/// What it is called, and known by.
const NAME: &str = "(scout)";
/// A question and an answer end with it.
const END: u8 = 0;
/// What an errand begins with; the path follows.
const LOOK: u8 = b'l';
const FLUSH: u8 = b'f';

/// What a scout is sent for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Errand {
    /// To look at a file, or into a directory.
    Look,
    /// To write a file in a directory, and flush it.
    Flush,
}

/// This program begins with [`was_one`].
static ABLE: AtomicBool = AtomicBool::new(false);
static WANTED: AtomicBool = AtomicBool::new(false);
static SCOUT: Mutex<Option<Scout>> = Mutex::new(None);

struct Scout {
    process: Child,
    asked: ChildStdin,
    answers: ChildStdout,
}

/// What a program that sends scouts begins with: whether this process was one, and is done.
pub fn was_one() -> bool {
    ABLE.store(true, Ordering::Relaxed);
    let is_one = std::env::args_os().next().is_some_and(|name| name == NAME);
    if is_one {
        serve();
    }
    is_one
}

/// From now on this process touches no file that a scout has not seen.
pub fn send_ahead() {
    WANTED.store(true, Ordering::Relaxed);
}

pub(crate) fn is_wanted() -> bool {
    WANTED.load(Ordering::Relaxed) && ABLE.load(Ordering::Relaxed)
}

/// What a scout does, until nobody asks any more.
fn serve() {
    let (mut asked, mut told, mut path) = (io::stdin().lock(), io::stdout(), Vec::new());
    while let Ok(1..) = asked.read_until(END, &mut path) {
        path.pop_if(|last| *last == END);
        match path.split_first() {
            Some((&FLUSH, path)) => drop(flush_takes(of(path))),
            Some((_, path)) => look(of(path)),
            None => {}
        }
        path.clear();
        if told.write_all(&[END]).and_then(|()| told.flush()).is_err() {
            return;
        }
    }
}

fn of(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

/// As whoever reads it will; what comes of it does not matter.
pub(crate) fn look(path: &Path) {
    let _ = fs::symlink_metadata(path);
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {
            let _ = open::at_once(path).and_then(|mut file| file.read(&mut [0]));
        }
        Ok(found) if found.is_dir() => {
            let _ = fs::read_dir(path).map(|mut names| names.next().map(drop));
        }
        _ => {}
    }
}

/// Whether its path answers in time, in whatever way; `true` where no scout is wanted.
pub(crate) fn answers(errand: Errand, path: &Path, patience: Duration) -> bool {
    if !is_wanted() {
        return true;
    }
    let mut scout = SCOUT.lock().unwrap_or_else(PoisonError::into_inner);
    // One that has died is followed by another, once.
    for _ in 0..2 {
        let ahead = match scout.take() {
            Some(ahead) => ahead,
            None => match Scout::start() {
                Ok(ahead) => ahead,
                Err(_) => return true,
            },
        };
        match ahead.go(errand, path, patience) {
            Ok(Some(ahead)) => {
                *scout = Some(ahead);
                return true;
            }
            Ok(None) => return false,
            Err(_) => {}
        }
    }
    true
}

impl Scout {
    fn start() -> io::Result<Self> {
        let mut process = Command::new("/proc/self/exe")
            .arg0(NAME)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (asked, answers) = (process.stdin.take(), process.stdout.take());
        let (Some(asked), Some(answers)) = (asked, answers) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Self {
            process,
            asked,
            answers,
        })
    }

    /// Itself, when it is back; `None`: it waits.
    fn go(mut self, errand: Errand, path: &Path, patience: Duration) -> io::Result<Option<Self>> {
        let end = Instant::now() + patience;
        let begin = match errand {
            Errand::Look => LOOK,
            Errand::Flush => FLUSH,
        };
        let asked = [&[begin], path.as_os_str().as_bytes(), &[END]].concat();
        self.asked.write_all(&asked)?;
        match open::ready(&self.answers, end) {
            Ok(true) => {}
            Ok(false) => {
                self.process.kill()?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        self.answers.read_exact(&mut [0])?;
        Ok(Some(self))
    }
}
