//! One socket that keeps deadlines.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use rustix::net::RecvFlags;

/// How far a deadline may be overrun; saves a system call for each read and write.
const SLACK: Duration = Duration::from_secs(1);
/// Looks at the clock during one wait; fewer would cost a system call each time the next wait is
/// longer.
const PIECES: u32 = 200;

pub(super) struct Stream {
    socket: Socket,
    /// Timeouts that the socket has now.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::new(Socket::Tcp(stream))
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::new(Socket::Unix(stream))
    }
}

impl Stream {
    fn new(socket: Socket) -> Self {
        Self {
            socket,
            read_timeout: None,
            write_timeout: None,
        }
    }

    /// Nothing more is written.
    pub(super) fn shut_down(&self) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// What has come without waiting: nothing (`None`), bytes, or the end (no bytes). A unix socket
    /// is not looked at.
    pub(super) fn news(&self, buffer: &mut [u8]) -> Option<usize> {
        let Socket::Tcp(stream) = &self.socket else {
            return None;
        };
        match rustix::net::recv(stream, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((count, _)) => Some(count),
            Err(rustix::io::Errno::AGAIN) => None,
            Err(_) => Some(0),
        }
    }

    /// Reads what is there; `TimedOut` when nothing came before the deadline, no bytes when the
    /// peer has closed.
    pub(super) fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            let left = left(deadline)?;
            if !will_do(self.read_timeout, left) {
                match &self.socket {
                    Socket::Tcp(stream) => stream.set_read_timeout(Some(left))?,
                    Socket::Unix(stream) => stream.set_read_timeout(Some(left))?,
                }
                self.read_timeout = Some(left);
            }
            let result = match &mut self.socket {
                Socket::Tcp(stream) => stream.read(buffer),
                Socket::Unix(stream) => stream.read(buffer),
            };
            match result {
                Err(error) if is_passing(&error) => {}
                result => return result,
            }
        }
    }

    /// Writes what there is room for; `TimedOut` when there was none before the deadline.
    pub(super) fn write(&mut self, bytes: &[u8], deadline: Instant) -> io::Result<usize> {
        loop {
            let left = left(deadline)?;
            if !will_do(self.write_timeout, left) {
                match &self.socket {
                    Socket::Tcp(stream) => stream.set_write_timeout(Some(left))?,
                    Socket::Unix(stream) => stream.set_write_timeout(Some(left))?,
                }
                self.write_timeout = Some(left);
            }
            let result = match &mut self.socket {
                Socket::Tcp(stream) => stream.write(bytes),
                Socket::Unix(stream) => stream.write(bytes),
            };
            match result {
                Err(error) if is_passing(&error) => {}
                result => return result,
            }
        }
    }
}

/// The time left, or `TimedOut`.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(io::ErrorKind::TimedOut.into())
    } else {
        Ok(left)
    }
}

/// Not the end: the socket's timeout (the deadline decides), or a signal.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// Whether the timeout that the socket has will do: not later than the deadline and its slack, and
/// not so early that a long wait is cut into more than [`PIECES`].
fn will_do(armed: Option<Duration>, left: Duration) -> bool {
    armed.is_some_and(|armed| armed <= left.saturating_add(SLACK) && armed >= left / PIECES)
}
