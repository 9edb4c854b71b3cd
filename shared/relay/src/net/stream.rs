//! One socket, with or without TLS, that keeps deadlines.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{io::Errno, net::RecvFlags};
use rustls::{ClientConnection, pki_types::ServerName};

use crate::tls::ClientTls;

/// How far a deadline may be overrun; saves a system call for each read and write.
const SLACK: Duration = Duration::from_secs(1);
/// Looks at the clock during one wait; fewer would cost a system call each time the next wait is longer.
const PIECES: u32 = 200;
/// Bytes of TLS records taken at once.
const RECORD: usize = 16 * 1024;

pub(super) struct Stream {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
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
            tls: None,
            read_timeout: None,
            write_timeout: None,
        }
    }

    /// Reads what is there; `TimedOut` when nothing came before the deadline, `UnexpectedEof` when the peer has closed.
    pub(super) fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        let count = loop {
            let Some(tls) = &mut self.tls else {
                break self.read_socket(buffer, deadline)?;
            };
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.read_records(deadline)?;
                }
                result => break result?,
            }
        };
        if count == 0 {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            Ok(count)
        }
    }

    /// Writes everything before the deadline.
    pub(super) fn write_all(&mut self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = match &mut self.tls {
                Some(tls) => tls.writer().write(bytes)?,
                None => self.write_socket(bytes, deadline)?,
            };
            self.write_records(deadline)?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Makes the TLS handshake. Bytes that wait in the socket are the peer's part of it and nothing else.
    pub(super) fn start_tls(
        &mut self,
        tls: &ClientTls,
        name: ServerName<'static>,
        deadline: Instant,
    ) -> io::Result<()> {
        let connection =
            ClientConnection::new(Arc::clone(&tls.config), name).map_err(io::Error::other)?;
        self.tls = Some(Box::new(connection));
        loop {
            self.write_records(deadline)?;
            if !self.tls().is_some_and(|tls| tls.is_handshaking()) {
                return Ok(());
            }
            self.read_records(deadline)?;
        }
    }

    /// The TLS session, if there is one.
    pub(super) fn tls(&self) -> Option<&ClientConnection> {
        self.tls.as_deref()
    }

    /// Whether the peer has spoken or closed while nothing was asked of it. A unix socket is not looked at.
    pub(super) fn has_news(&self) -> bool {
        let Socket::Tcp(stream) = &self.socket else {
            return false;
        };
        let look = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let looked = rustix::net::recv(stream, &mut [0], look);
        !matches!(looked, Err(Errno::AGAIN))
    }

    /// Says goodbye in TLS; the peer may be gone already.
    pub(super) fn close(mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // Nothing depends on it.
            let _ = self.write_records(Instant::now() + SLACK);
        }
    }

    /// Takes from the socket once and decrypts. An alert that this calls for is sent, so that the peer can log why.
    fn read_records(&mut self, deadline: Instant) -> io::Result<()> {
        let mut wire = [0; RECORD];
        let count = self.read_socket(&mut wire, deadline)?;
        let mut wire = wire.get(..count).unwrap_or_default();
        let Some(tls) = &mut self.tls else {
            return Ok(());
        };
        loop {
            tls.read_tls(&mut wire)?;
            if let Err(error) = tls.process_new_packets() {
                let _ = self.write_records(deadline);
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            if wire.is_empty() {
                break;
            }
        }
        if count == 0 && tls.is_handshaking() {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            Ok(())
        }
    }

    /// Sends what TLS has to send.
    fn write_records(&mut self, deadline: Instant) -> io::Result<()> {
        let mut wire = Vec::new();
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
            tls.write_tls(&mut wire)?;
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            let count = self.write_socket(rest, deadline)?;
            rest = rest.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    fn read_socket(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
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

    fn write_socket(&mut self, bytes: &[u8], deadline: Instant) -> io::Result<usize> {
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

/// Whether the timeout that the socket has will do: not later than the deadline and its slack, and not so early that a long wait is cut into more
/// than [`PIECES`].
fn will_do(armed: Option<Duration>, left: Duration) -> bool {
    armed.is_some_and(|armed| armed <= left.saturating_add(SLACK) && armed >= left / PIECES)
}
