//! The administrators' socket of both daemons: one JSON request a line, one JSON answer a line,
//! over a unix socket; the kernel says who asks (`SO_PEERCRED`).
//!
//! Contract: a request is one line of at most [`MAX_LINE`] bytes; the daemon answers with any
//! number of such lines, then with an empty one: that was all. An answer without it is none.
//! Neither side waits longer than [`PATIENCE`] for the other's next bytes, and nobody waits for a
//! daemon that is stopped. Before a daemon acts it says [`GOES_ON`], which fails where the asker
//! has given up (unix(7): one end is shut in one moment): what was answered with "not done" is not
//! done later either.
//! Failures: an `io::Error` whose text names the socket and what to do, unless the daemon has to be
//! started ([`told`]); a line that is too long or no JSON is `InvalidData`.

#[cfg(feature = "serve")]
pub mod attempts;
pub mod findings;
pub mod listing;
pub mod order;
#[cfg(feature = "serve")]
pub mod serve;
pub mod status;
pub mod summary;
pub mod troubles;

use std::{
    fs,
    io::{self, BufRead, BufReader, Read},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};
use system::{sysexits::Exit, within::NoAnswer};

/// Where the agent of a machine answers, unless its configuration says otherwise.
pub const AGENT: &str = "/run/sendmail-shim/control.sock";
/// Where the smarthost does.
pub const SMARTHOST: &str = "/var/lib/smarthost/control.sock";
/// Longest request or answer line, bytes (a queue listing is many lines).
pub const MAX_LINE: usize = 1024 * 1024;
/// Longest silence of the other side: a daemon that works for longer says so meanwhile.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The line that says nothing but that it goes on; also the first one of each answer.
const GOES_ON: &[u8] = b"\"working\"";
/// How often a silent daemon is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Asks a daemon: sends `request`, gives each answer line to `each` until the daemon says that this
/// was all. `Ok` therefore means that the request was carried out, or that an answer says why not.
pub fn ask<Q: Serialize, A: DeserializeOwned>(
    socket: &Path,
    request: &Q,
    each: &mut dyn FnMut(A),
) -> io::Result<()> {
    let mut stream = connect(socket)?;
    write_line(&mut stream, request)?;
    let mut answers = BufReader::new(Awaited {
        stream,
        socket,
        heard: false,
    });
    while let Some(line) = read_line(&mut answers)? {
        if line.is_empty() {
            return Ok(());
        }
        if line != GOES_ON {
            each(decode(&line)?);
        }
    }
    let told = format!("{}: {UNANSWERED}", socket.display());
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, told))
}

/// What is known of a request whose answer did not come to its end.
const UNANSWERED: &str = "the daemon ended before it had answered, so that it is not known whether this was done: ask again \
     (if that helps nothing, program and daemon are of different versions: restart the daemon)";

/// Why a daemon gave no answer, with what to do about it; `start`: how it is started.
pub fn told(error: &io::Error, start: &str) -> String {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => format!("{error} ({start})"),
        _ => error.to_string(),
    }
}

/// How a command ends to which a daemon gave no answer.
pub fn exit(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Exit::NoPerm,
        _ => Exit::Unavailable,
    }
}

fn connect(socket: &Path) -> io::Result<UnixStream> {
    let stream = system::socket::connect(socket, PATIENCE).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => "is the daemon running?",
            io::ErrorKind::PermissionDenied => "only administrators may ask",
            io::ErrorKind::TimedOut if NoAnswer::of(&error).is_none() => HANGS,
            _ => "cannot connect",
        };
        io::Error::new(
            error.kind(),
            format!("{}: {error}: {hint}", socket.display()),
        )
    })?;
    stream.set_read_timeout(Some(LOOK))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// What to do about a daemon that takes a question and answers nothing.
const HANGS: &str =
    "the daemon is there and does nothing: look at its log (journalctl), then restart it";

/// What is known where the daemon was silent from the first.
const NOT_BEGUN: &str = "what was asked is not done, and will not be";
/// And where it had begun.
const BEGUN: &str =
    "it had begun with what was asked, which may still be done: look before you ask again";

/// Reads what a daemon answers, for as long as there is hope.
struct Awaited<'a> {
    stream: UnixStream,
    socket: &'a Path,
    /// It has said something.
    heard: bool,
}

impl Awaited<'_> {
    /// From now on the daemon hears that nobody waits; whether it had begun.
    fn gives_up(&mut self) -> bool {
        // One that is closed already needs no more.
        let _ = self.stream.shutdown(Shutdown::Both);
        // What it had said before that is still there.
        self.heard || self.stream.read(&mut [0]).is_ok_and(|count| count > 0)
    }
}

impl Read for Awaited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let since = Instant::now();
        loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => {
                    self.heard |= read.as_ref().is_ok_and(|count| *count > 0);
                    return read;
                }
            }
            let why = match stopped(&self.stream) {
                Some(pid) => standing_still(pid),
                None if since.elapsed() < PATIENCE => continue,
                None => format!("no answer in {} s: {HANGS}", PATIENCE.as_secs()),
            };
            let known = if self.gives_up() { BEGUN } else { NOT_BEGUN };
            let text = format!("{}: {why} ({known})", self.socket.display());
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
    }
}

/// The process that made the socket, if it is stopped; of a socket that systemd made, the daemon's
/// is not known. proc(5).
fn stopped(stream: &UnixStream) -> Option<i32> {
    let pid = rustix::net::sockopt::socket_peercred(stream).ok()?.pid;
    let pid = pid.as_raw_nonzero().get();
    is_stopped(pid).then_some(pid)
}

/// Whether a process stands still, as by SIGSTOP or under a debugger. proc(5).
pub fn is_stopped(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| {
        let state = stat.rsplit_once(')').map(|(_, state)| state.trim_start());
        state.is_some_and(|state| state.starts_with(['T', 't']))
    })
}

/// What is said of a daemon that is, and what helps.
pub fn standing_still(pid: i32) -> String {
    format!(
        "the daemon, process {pid}, is stopped (as by SIGSTOP or a debugger): let it go on with kill -CONT {pid}"
    )
}

#[cfg(feature = "serve")]
fn set_patience(stream: &UnixStream, patience: Duration) -> io::Result<()> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))
}

fn write_line<T: Serialize>(to: &mut impl io::Write, value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value).map_err(io::Error::from)?;
    line.push(b'\n');
    to.write_all(&line)
}

/// One line without its end; `None` at the end of the stream. A line that is cut off by the end is
/// an error: the other side has failed.
fn read_line(from: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    from.by_ref().take(limit).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() < MAX_LINE.saturating_sub(1) => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the other side closed in the middle of a line",
        )),
        Some(_) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the line is too long",
        )),
    }
}

fn decode<T: DeserializeOwned>(line: &[u8]) -> io::Result<T> {
    serde_json::from_slice(line).map_err(|error| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("not understood: {error} (programs of different versions?)"),
        )
    })
}
