//! The administrators' socket of both daemons: one JSON request a line, one JSON answer a line, over a unix socket; the kernel says who asks (`SO_PEERCRED`).
//!
//! Contract: a request is one line of at most [`MAX_LINE`] bytes; the daemon answers with any number of such lines and closes. Neither side waits
//! longer than [`PATIENCE`] for the other's next bytes.
//! Failures: an `io::Error` whose text names what to do; a line that is too long or no JSON is `InvalidData`.

pub mod findings;
pub mod listing;

use std::{
    io::{self, BufRead, BufReader, BufWriter, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde::{Serialize, de::DeserializeOwned};

/// Longest request or answer line, bytes (a queue listing is many lines).
pub const MAX_LINE: usize = 1024 * 1024;
/// Longest silence of the other side.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks a daemon: sends `request`, gives each answer line to `each` until the daemon closes.
pub fn ask<Q: Serialize, A: DeserializeOwned>(
    socket: &Path,
    request: &Q,
    each: &mut dyn FnMut(A),
) -> io::Result<()> {
    let mut stream = connect(socket)?;
    write_line(&mut stream, request)?;
    let mut answers = BufReader::new(stream);
    while let Some(line) = read_line(&mut answers)? {
        each(decode(&line)?);
    }
    Ok(())
}

/// Daemon's side: reads one request, has it answered, and closes. `answer` gets who asks and where the answer lines go; it may stop with an error
/// when the asker has gone.
pub fn serve_one<Q: DeserializeOwned, A: Serialize>(
    stream: UnixStream,
    answer: impl FnOnce(Q, Asker, &mut dyn FnMut(&A) -> io::Result<()>) -> io::Result<()>,
) -> io::Result<()> {
    set_patience(&stream)?;
    let asker = Asker::of(&stream)?;
    let request = read_line(&mut BufReader::new(&stream))?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut answers = BufWriter::new(&stream);
    answer(decode(&request)?, asker, &mut |line| {
        write_line(&mut answers, line)
    })?;
    answers.flush()
}

/// Who asks, as the kernel tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asker {
    pub uid: u32,
    pub gid: u32,
}

impl Asker {
    /// The process that connected; it may be in another container.
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = getsockopt(stream, PeerCredentials)?;
        Ok(Self {
            uid: credentials.uid(),
            gid: credentials.gid(),
        })
    }
}

fn connect(socket: &Path) -> io::Result<UnixStream> {
    let stream = system::socket::connect(socket, PATIENCE).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => "is the daemon running?",
            io::ErrorKind::PermissionDenied => "only administrators may ask",
            _ => "cannot connect",
        };
        io::Error::new(
            error.kind(),
            format!("{}: {error}: {hint}", socket.display()),
        )
    })?;
    set_patience(&stream)?;
    Ok(stream)
}

fn set_patience(stream: &UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))
}

fn write_line<T: Serialize>(to: &mut impl io::Write, value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value).map_err(io::Error::from)?;
    line.push(b'\n');
    to.write_all(&line)
}

/// One line without its end; `None` at the end of the stream. A line that is cut off by the end is an error: the other side has failed.
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

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, thread};

    use super::*;

    /// Serves one asker in a thread: counts down from the number it is asked for.
    fn daemon() -> (
        tempfile::TempDir,
        std::path::PathBuf,
        thread::JoinHandle<io::Result<()>>,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let served = thread::spawn(move || {
            serve_one(listener.accept().unwrap().0, |from: u32, asker, tell| {
                (0..from).rev().try_for_each(|n| tell(&(n, asker.uid)))
            })
        });
        (directory, path, served)
    }

    #[test]
    fn each_line_of_an_answer_arrives_and_the_daemon_knows_who_asks() {
        let (_directory, path, served) = daemon();
        let mut answers: Vec<(u32, u32)> = Vec::new();
        ask(&path, &3u32, &mut |answer| answers.push(answer)).unwrap();
        let uid = rustix::process::getuid().as_raw();
        assert_eq!(answers, [(2, uid), (1, uid), (0, uid)]);
        served.join().unwrap().unwrap();
    }

    #[test]
    fn nonsense_cut_lines_and_endless_lines_are_refused() {
        for (bytes, kind) in [
            (b"{\"x\":\n".to_vec(), io::ErrorKind::InvalidData),
            (b"12".to_vec(), io::ErrorKind::UnexpectedEof),
            (Vec::new(), io::ErrorKind::UnexpectedEof),
            (vec![b'1'; MAX_LINE + 10], io::ErrorKind::InvalidData),
        ] {
            let (_directory, path, served) = daemon();
            let mut stream = UnixStream::connect(&path).unwrap();
            // The daemon may have closed already.
            let _ = stream.write_all(&bytes);
            drop(stream);
            assert_eq!(served.join().unwrap().unwrap_err().kind(), kind);
        }
    }

    #[test]
    fn a_daemon_that_does_not_run_is_named() {
        let error = ask(
            Path::new("/nonexistent/control.sock"),
            &1u32,
            &mut |(): ()| {},
        )
        .unwrap_err();
        assert!(
            error.to_string().contains("/nonexistent/control.sock")
                && error.to_string().contains("is the daemon running?"),
            "{error}"
        );
    }
}
