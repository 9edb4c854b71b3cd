//! The journal and files as they grow.
//!
//! Contract: from now on. A file that is renamed is read on, since its writer still has it, while
//! the one that takes its name is read from its beginning; one that is cut is read from its
//! beginning again. No line is kept longer than [`LONGEST`].
//! Failures: `io::Error`, with the file's name; a file that is not there yet is waited for.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufReader},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use mail::clock::Timestamp;

use super::{
    entry::{Entry, LONGEST},
    source::{Piped, journal, named, no_journal, read_line},
};

/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// A file that was renamed is read on until it was silent for so long.
const LINGER: Duration = Duration::from_mins(2);
/// So many files that had one name are read on.
const FORMER: usize = 4;
/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// Lines as they come.
#[derive(Debug)]
pub(super) enum Follow {
    Journal(Box<BufReader<Piped>>, Vec<u8>),
    Files(Vec<Named>, VecDeque<Vec<u8>>),
}

/// What has, or had, a name.
#[derive(Debug)]
pub(super) struct Named {
    path: PathBuf,
    /// The newest last.
    files: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    at: u64,
    /// The line so far.
    line: Vec<u8>,
    /// When something was read last.
    grew: Instant,
}

impl Follow {
    pub(super) fn start(files: &[PathBuf]) -> io::Result<Self> {
        if files.is_empty() {
            let mut command = journal();
            command.args(["--follow", "--lines=0"]);
            let child = Piped::start(&mut command).map_err(no_journal)?;
            return Ok(Self::Journal(Box::new(BufReader::new(child)), Vec::new()));
        }
        let named = files.iter().map(|path| Named::at_its_end(path));
        Ok(Self::Files(
            named.collect::<io::Result<_>>()?,
            VecDeque::new(),
        ))
    }

    /// The next line; `None`: there is none any more.
    #[expect(
        clippy::disallowed_methods,
        reason = "files say by themselves nothing of their growth"
    )]
    pub(super) fn next(&mut self, now: Timestamp) -> io::Result<Option<Entry>> {
        let parse = |line: &[u8]| Entry::parse(&String::from_utf8_lossy(line), now);
        match self {
            Self::Journal(from, line) => {
                let read = read_line(from, line)?;
                Ok(read.then(|| parse(line)))
            }
            Self::Files(files, lines) => loop {
                if let Some(line) = lines.pop_front() {
                    return Ok(Some(parse(&line)));
                }
                for named in &mut *files {
                    named.read(lines)?;
                }
                if lines.is_empty() {
                    thread::sleep(LOOK);
                }
            },
        }
    }
}

impl Named {
    fn at_its_end(path: &Path) -> io::Result<Self> {
        let mut named = Self {
            path: path.to_owned(),
            files: Vec::new(),
        };
        named.look()?;
        for open in &mut named.files {
            open.at = open.file.metadata()?.len();
        }
        Ok(named)
    }

    /// The lines that have come to an end since the last time.
    fn read(&mut self, lines: &mut VecDeque<Vec<u8>>) -> io::Result<()> {
        let told = |error| named(&self.path, error);
        for open in &mut self.files {
            open.read(lines).map_err(told)?;
        }
        self.look()?;
        let newest = self.files.pop();
        self.files.retain(|open| open.grew.elapsed() < LINGER);
        self.files.extend(newest);
        let many = self.files.len().saturating_sub(FORMER);
        self.files.drain(..many);
        Ok(())
    }

    /// Whether another file has the name now.
    fn look(&mut self) -> io::Result<()> {
        let told = |error| named(&self.path, error);
        let about = match std::fs::metadata(&self.path) {
            Ok(about) => about,
            // Between two files of this name.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(told(error)),
        };
        if !about.is_file() {
            return Err(told(io::Error::other("it is no regular file")));
        }
        let newest = self.files.last().and_then(|it| it.file.metadata().ok());
        if newest.is_some_and(|it| (it.dev(), it.ino()) == (about.dev(), about.ino())) {
            return Ok(());
        }
        match File::open(&self.path) {
            Ok(file) => self.files.push(Open {
                file,
                at: 0,
                line: Vec::new(),
                grew: Instant::now(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(told(error)),
        }
        Ok(())
    }
}

impl Open {
    fn read(&mut self, lines: &mut VecDeque<Vec<u8>>) -> io::Result<()> {
        if self.file.metadata()?.len() < self.at {
            self.at = 0;
            self.line.clear();
        }
        let mut piece = vec![0; PIECE];
        let count = self.file.read_at(&mut piece, self.at)?;
        let read = piece.get(..count).unwrap_or_default();
        if !read.is_empty() {
            self.grew = Instant::now();
            self.at = self.at.saturating_add(read.len() as u64);
        }
        for part in read.split_inclusive(|byte| *byte == b'\n') {
            let room = LONGEST.saturating_sub(self.line.len());
            self.line.extend(part.iter().take(room));
            if part.ends_with(b"\n") {
                lines.push_back(std::mem::take(&mut self.line));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "who rotates a log makes nothing durable"
    )]
    fn what_is_written_into_a_log_that_was_renamed_is_read_and_the_next_one_from_its_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mail.log");
        let mut writer = File::create(&path).unwrap();
        writeln!(writer, "x[1]: before").unwrap();
        let mut follow = Follow::start(std::slice::from_ref(&path)).unwrap();
        let mut next = || follow.next(Timestamp::from_secs(1)).unwrap().unwrap().text;
        writeln!(writer, "x[1]: one").unwrap();
        assert_eq!(next(), "one");
        fs::rename(&path, directory.path().join("mail.log.1")).unwrap();
        write!(writer, "x[1]: two\nx[1]: th").unwrap();
        assert_eq!(next(), "two");
        let mut later = File::create(&path).unwrap();
        writeln!(later, "x[1]: four").unwrap();
        assert_eq!(next(), "four");
        // Its writer is told later to open the new one.
        writeln!(writer, "ree").unwrap();
        assert_eq!(next(), "three");
        later.set_len(0).unwrap();
        let mut later = File::options().append(true).open(&path).unwrap();
        assert!(later.metadata().unwrap().len() == 0);
        writeln!(later, "x[1]: 5").unwrap();
        assert_eq!(next(), "5");
    }
}
