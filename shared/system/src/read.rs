//! Files that an administrator named: settings, keys, passwords, tables.
//!
//! Contract: nothing is read without bound, neither of length nor of time ([`within`]), and nothing
//! but regular files: what settings name is opened without waiting, and a FIFO, a device, a socket
//! or a directory there is an error at once. Only what is named on a command line may be a pipe
//! ([`piped`]), so that `--config <(…)` works; it is read to its end, for ten seconds at most, and
//! for less after nobody wrote to it in that time.
//! Failures: `io::Error`; what is too long is not cut but refused, and what does not answer is
//! `TimedOut`.

use std::{
    collections::BTreeSet,
    fmt,
    fs::{self, File, Metadata},
    io::{self, Read as _},
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::fs::Access;

use crate::{
    open::{at_once, ready, regular},
    scout, within,
};

/// How long a pipe may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same of one that was waited for in vain, until it answers.
const IMPATIENCE: Duration = Duration::from_millis(500);

/// Pipes that were waited for in vain.
static SILENT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The whole file, at most `most` bytes.
pub fn bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    within::ask(path, move |path| all(&regular(path)?, most))
}

/// The whole file, which must be UTF-8.
pub fn text(path: &Path, most: u64) -> io::Result<String> {
    utf8(bytes(path, most)?)
}

/// The same of what a command line names: a file, or a pipe.
pub fn piped(path: &Path, most: u64) -> io::Result<String> {
    utf8(piped_bytes(path, most)?.0)
}

/// The same as it is, with what is known of the file.
pub fn piped_bytes(path: &Path, most: u64) -> io::Result<(Vec<u8>, Metadata)> {
    let (file, about) = within::ask(path, |path| {
        let file = at_once(path)?;
        let about = file.metadata()?;
        Ok((file, about))
    })?;
    if about.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let bytes = if about.is_file() {
        within::ask(path, move |_| all(&file, most))
    } else {
        // It waits for no disk, and is bounded by itself.
        pipe(path, &file, most, PATIENCE)
    };
    Ok((bytes?, about))
}

fn pipe(path: &Path, file: &File, most: u64, patience: Duration) -> io::Result<Vec<u8>> {
    let silent = || SILENT.lock().unwrap_or_else(PoisonError::into_inner);
    let patience = if silent().contains(path) {
        IMPATIENCE.min(patience)
    } else {
        patience
    };
    let bytes = all_by(file, most, Instant::now() + patience);
    match &bytes {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => silent().insert(path.to_owned()),
        _ => silent().remove(path),
    };
    bytes
}

/// That a file or directory answers whoever opens it; what else may be wrong with it is told by who
/// does.
pub fn answers(path: &Path) -> io::Result<()> {
    within::ask(path, |path| {
        scout::look(path);
        Ok(())
    })
}

/// What is known of a file, or of what a link leads to.
pub fn metadata(path: &Path) -> io::Result<Metadata> {
    within::ask(path, |path| fs::metadata(path))
}

/// Whether whoever asks may do this with a file.
pub fn access(path: &Path, wanted: Access) -> io::Result<()> {
    within::ask(path, move |path| Ok(rustix::fs::access(path, wanted)?))
}

/// Whether something is there; what does not answer may be.
pub fn is_there(path: &Path) -> bool {
    match metadata(path) {
        Err(error) => error.kind() == io::ErrorKind::TimedOut,
        Ok(_) => true,
    }
}

fn utf8(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to());
        let good = String::from_utf8_lossy(good.unwrap_or_default());
        let last = good.rsplit('\n').next().unwrap_or_default();
        let place = NotUtf8 {
            line: good.matches('\n').count().saturating_add(1),
            column: last.chars().count().saturating_add(1),
        };
        io::Error::new(io::ErrorKind::InvalidData, place)
    })
}

/// Where a text is not UTF-8: line and character, from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotUtf8 {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for NotUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column } = self;
        write!(f, "line {line} is not UTF-8 at its character {column}")
    }
}

impl std::error::Error for NotUtf8 {}

impl NotUtf8 {
    /// Where, if that is why a text could not be read.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// What is left in an open file, at most `most` bytes.
pub fn all(file: &File, most: u64) -> io::Result<Vec<u8>> {
    all_by(file, most, Instant::now() + PATIENCE)
}

fn all_by(file: &File, most: u64, end: Instant) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file.metadata()?.file_type().is_fifo() {
        // Where nobody has it open for writing yet, reading would find its end.
        wait(file, end)?;
    }
    let room = |bytes: &Vec<u8>| {
        let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        most.saturating_add(1).saturating_sub(read)
    };
    while let Err(error) = file.take(room(&bytes)).read_to_end(&mut bytes) {
        if error.kind() != io::ErrorKind::WouldBlock {
            return Err(error);
        }
        wait(file, end)?;
    }
    if room(&bytes) == 0 {
        let text = format!("it is longer than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

fn wait(file: &File, end: Instant) -> io::Result<()> {
    if ready(file, end)? {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::TimedOut,
        "it is a pipe, and nobody writes to it",
    ))
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, io::Write as _, process::Command, thread};

    use super::*;

    #[test]
    fn neither_a_device_nor_a_pipe_that_nobody_fills_nor_a_long_file_is_read_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        crate::fs::replace(&path("file"), b"0123456789", 0o600).unwrap();
        assert_eq!(text(&path("file"), 10).unwrap(), "0123456789");
        assert_eq!(piped(Path::new("/dev/null"), 10).unwrap(), "");
        let error = piped(Path::new("/dev/zero"), 9).unwrap_err().to_string();
        assert!(error.contains("longer than 9 bytes"), "{error}");
        for (name, most, wanted) in [
            ("file", 9, "longer than 9 bytes"),
            (".", 9, "directory"),
            ("/dev/zero", 9, "it is a device"),
            ("none", 9, "No such file"),
        ] {
            let error = text(&path(name), most).unwrap_err().to_string();
            assert!(error.contains(wanted), "{name}: {error}");
        }
        crate::fs::replace(&path("latin"), b"M\xfcller", 0o600).unwrap();
        assert!(text(&path("latin"), 100).is_err());

        let fifo = path("fifo");
        assert!(
            Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        let error = text(&fifo, 10).unwrap_err().to_string();
        assert!(error.contains("it is a FIFO"), "{error}");
        let writer = thread::spawn({
            let fifo = fifo.clone();
            move || {
                let mut pipe = OpenOptions::new().write(true).open(fifo).unwrap();
                for part in ["one ", "two"] {
                    pipe.write_all(part.as_bytes()).unwrap();
                }
            }
        });
        assert_eq!(piped(&fifo, 10).unwrap(), "one two");
        writer.join().unwrap();

        // Whoever asks again for one that nobody filled waits less, until somebody does.
        let is_silent = || SILENT.lock().unwrap().contains(&fifo);
        let reader = at_once(&fifo).unwrap();
        let unfilled = pipe(&fifo, &reader, 10, Duration::ZERO).unwrap_err();
        assert_eq!(unfilled.kind(), io::ErrorKind::TimedOut);
        assert!(is_silent());
        let mut writer = OpenOptions::new().write(true).open(&fifo).unwrap();
        writer.write_all(b"three").unwrap();
        drop(writer);
        assert_eq!(pipe(&fifo, &reader, 10, PATIENCE).unwrap(), b"three");
        assert!(!is_silent());
    }
}
