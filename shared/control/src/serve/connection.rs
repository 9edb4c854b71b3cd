//! One connection of an asker: who it is, what he asks, and his answer, line by line.
//!
//! Contract: a request is answered only for who is still there; each answer begins with a line that
//! says no more than that.

use std::{
    io::{self, BufReader, BufWriter, Write as _},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde::{Serialize, de::DeserializeOwned};

/// Longest wait for a request, and longest silence of an asker: he has a place that others may
/// want.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long lines of an answer are held back at most, to be written together.
const FLUSH: Duration = Duration::from_secs(1);

/// Who asks, as the kernel tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asker {
    pub uid: u32,
    pub gid: u32,
    /// 0 where it is in another container.
    pub pid: i32,
}

impl Asker {
    /// The process that connected; it may be in another container.
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = getsockopt(stream, PeerCredentials)?;
        Ok(Self {
            uid: credentials.uid(),
            gid: credentials.gid(),
            pid: credentials.pid(),
        })
    }
}

/// Reads one request, has it answered, and closes. `answer` gets who asks and where the answer
/// lines go; it may stop with an error when the asker has gone, and is not called where he has gone
/// already. A line that says only that it goes on is sent at once, and fails where he has gone.
pub fn serve_one<Q: DeserializeOwned, A: Serialize>(
    stream: &UnixStream,
    answer: impl FnOnce(Q, Asker, &mut dyn FnMut(&A) -> io::Result<()>) -> io::Result<()>,
) -> io::Result<()> {
    let end = Instant::now() + PATIENCE;
    let request = crate::read_line(&mut BufReader::new(Until { stream, end }))?;
    serve_request(
        stream,
        &request.ok_or(io::ErrorKind::UnexpectedEof)?,
        answer,
    )
}

/// The bytes that come until then: who sends his request one at a time is not waited for longer.
struct Until<'a> {
    stream: &'a UnixStream,
    end: Instant,
}

impl io::Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        (&mut &*self.stream).read(buffer)
    }
}

/// The same for a request that was read already, without its line end.
pub fn serve_request<Q: DeserializeOwned, A: Serialize>(
    stream: &UnixStream,
    request: &[u8],
    answer: impl FnOnce(Q, Asker, &mut dyn FnMut(&A) -> io::Result<()>) -> io::Result<()>,
) -> io::Result<()> {
    crate::set_patience(stream, PATIENCE)?;
    let asker = Asker::of(stream)?;
    let request = crate::decode(request)?;
    let mut answers = BufWriter::new(stream);
    answers.write_all(crate::GOES_ON)?;
    answers.write_all(b"\n")?;
    answers.flush()?;
    let mut told = Instant::now();
    answer(request, asker, &mut |line| {
        let line = serde_json::to_vec(line)?;
        answers.write_all(&line)?;
        answers.write_all(b"\n")?;
        // What is held back here is silence to the asker.
        if told.elapsed() >= FLUSH || line == crate::GOES_ON {
            answers.flush()?;
            told = Instant::now();
        }
        Ok(())
    })?;
    // That was all.
    answers.write_all(b"\n")?;
    answers.flush()
}
