//! The administrators' socket of both daemons: one JSON request a line, one JSON answer a line, over a unix socket; the kernel says who asks (`SO_PEERCRED`).
//!
//! Contract: a request is one line of at most [`MAX_LINE`] bytes; the daemon answers with any number of such lines and closes. Neither side waits
//! longer than [`PATIENCE`] for the other's next bytes.
//! Failures: an `io::Error` whose text names the socket and what to do; a line that is too long or no JSON is `InvalidData`.

pub mod findings;
pub mod listing;
pub mod order;
#[cfg(feature = "serve")]
pub mod serve;

use std::{
    io::{self, BufRead, BufReader, Read as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

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
    set_patience(&stream, PATIENCE)?;
    Ok(stream)
}

fn set_patience(stream: &UnixStream, patience: Duration) -> io::Result<()> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))
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
