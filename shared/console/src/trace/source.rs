//! The journal and files, read as streams.
//!
//! Contract: no line is kept longer than [`LONGEST`], whatever is in the file. Compressed files are
//! read through the program for their ending, which tells of one that is cut off: what it can read
//! is taken; of the journal only the units of both programs.
//! Failures: `io::Error`, with the file's name.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use mail::clock::Timestamp;

use super::entry::{Entry, LONGEST};

/// The units whose lines are read, in every instance.
const UNITS: [&str; 2] = ["smarthost*.service", "sendmail-shim*.service"];
/// What of a line of the journal is read.
const FIELDS: &str = "MESSAGE,SYSLOG_IDENTIFIER,_HOSTNAME,_SYSTEMD_UNIT";
/// What reads a compressed file, by its ending.
const UNPACKERS: [(&str, &str); 4] = [
    ("gz", "gzip"),
    ("xz", "xz"),
    ("zst", "zstd"),
    ("bz2", "bzip2"),
];

/// A log.
#[derive(Debug)]
pub(super) enum Source {
    Journal(Option<Timestamp>),
    File(PathBuf),
}

impl Source {
    /// Those that are named, else the journal. They are read several times, so that they must stay.
    pub(super) fn all(files: &[PathBuf], since: Option<Timestamp>) -> io::Result<Vec<Self>> {
        for path in files {
            let about = std::fs::metadata(path).map_err(|error| named(path, error))?;
            if !about.is_file() {
                let why = io::Error::other(
                    "it is read more than once, and no regular file: make one of it",
                );
                return Err(named(path, why));
            }
        }
        Ok(match files {
            [] => vec![Self::Journal(since)],
            files => files.iter().cloned().map(Self::File).collect(),
        })
    }

    /// Gives each line to `each`, in its order.
    pub(super) fn read(&self, now: Timestamp, each: &mut dyn FnMut(Entry)) -> io::Result<()> {
        match self {
            Self::Journal(since) => {
                let mut command = journal();
                if let Some(since) = since {
                    command.arg(format!("--since=@{}", since.as_secs()));
                }
                let mut child = Piped::start(&mut command).map_err(no_journal)?;
                lines(&mut child, now, each)?;
                child.finish().map_err(no_journal)
            }
            Self::File(path) => {
                let read = match unpacker(path) {
                    None => File::open(path).and_then(|mut file| lines(&mut file, now, each)),
                    Some(program) => {
                        let mut command = Command::new(program);
                        command.args(["-dc", "--"]).arg(path);
                        Piped::start(&mut command).and_then(|mut child| {
                            let mut some = false;
                            lines(&mut child, now, &mut |entry| {
                                some = true;
                                each(entry);
                            })?;
                            // What can be read of one that is cut off counts.
                            child
                                .finish()
                                .or_else(|error| if some { Ok(()) } else { Err(error) })
                        })
                    }
                };
                read.map_err(|error| named(path, error))
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(Some(since)) => write!(f, "the journal since {}", since.rfc3339()),
            Self::Journal(None) => f.write_str("the journal"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

pub(super) fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

pub(super) fn no_journal(error: io::Error) -> io::Error {
    let why =
        format!("the journal cannot be read: {error}; name a log, as --log /var/log/mail.log");
    io::Error::new(error.kind(), why)
}

fn unpacker(path: &Path) -> Option<&'static str> {
    let ending = path.extension()?.to_str()?;
    UNPACKERS
        .iter()
        .find_map(|(known, program)| (*known == ending).then_some(*program))
}

pub(super) fn journal() -> Command {
    let mut command = Command::new("journalctl");
    command.args(["--quiet", "--no-pager", "--all", "--output=json"]);
    command.arg(format!("--output-fields={FIELDS}"));
    command.args(UNITS.map(|unit| format!("--unit={unit}")));
    command
}

/// A program's output; the program ends with it.
#[derive(Debug)]
pub(super) struct Piped {
    child: Child,
    output: ChildStdout,
}

impl Piped {
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let told = |error: io::Error| io::Error::new(error.kind(), format!("{program}: {error}"));
        let mut child = command.spawn().map_err(told)?;
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { child, output })
    }

    /// Whether it got to the end.
    fn finish(mut self) -> io::Result<()> {
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("not read to its end: {status}")))
        }
    }
}

impl Read for Piped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.read(buffer)
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        // It has ended, or ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: &mut dyn Read, now: Timestamp, each: &mut dyn FnMut(Entry)) -> io::Result<()> {
    let mut from = BufReader::with_capacity(256 * 1024, from);
    let mut line = Vec::new();
    while read_line(&mut from, &mut line)? {
        each(Entry::parse(&String::from_utf8_lossy(&line), now));
    }
    Ok(())
}

/// One line, of which the beginning is kept; `false` at the end.
pub(super) fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    let read = from.by_ref().take(limit).read_until(b'\n', line)?;
    if read == LONGEST && line.last() != Some(&b'\n') {
        loop {
            let more = from.fill_buf()?;
            let end = more.iter().position(|byte| *byte == b'\n');
            let (used, over) = (
                end.map_or(more.len(), |at| at + 1),
                end.is_some() || more.is_empty(),
            );
            from.consume(used);
            if over {
                break;
            }
        }
    }
    Ok(read > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_end_takes_no_memory_and_hides_none_behind_it() {
        let long = vec![b'x'; 5 * LONGEST];
        let text = [b"a[1]: one\n", &long[..], b"\nb[1]: two\n\nc[1]: three"].concat();
        let mut texts = Vec::new();
        let now = Timestamp::from_secs(1);
        lines(&mut &text[..], now, &mut |entry| texts.push(entry.text)).unwrap();
        let lengths: Vec<_> = texts.iter().map(String::len).collect();
        assert_eq!(lengths, [3, LONGEST, 3, 0, 5]);
    }
}
