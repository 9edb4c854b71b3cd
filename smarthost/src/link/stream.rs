//! One byte stream, whatever carries it: TCP, TLS over TCP, or a unix socket.
//!
//! Contract: TLS is put on a plain stream at most once, in place; nothing is buffered here, so no
//! byte can survive STARTTLS.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use rustls::CommonState;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsStream;

/// A connected stream.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Stream {
    /// What rustls knows of the session, if it is encrypted.
    pub(crate) fn tls(&self) -> Option<&CommonState> {
        match self {
            Self::Tls(stream) => Some(stream.get_ref().1),
            Self::Tcp(_) | Self::Unix(_) => None,
        }
    }

    /// What has come without waiting: nothing (`None`), bytes, or the end (no bytes).
    pub(crate) fn news(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(self).poll_read(&mut context, &mut buffer) {
            Poll::Pending => None,
            Poll::Ready(Ok(())) => Some(buffer.filled().len()),
            Poll::Ready(Err(_)) => Some(0),
        }
    }

    /// The TCP stream for a handshake; an error on any other.
    pub(crate) fn into_tcp(self) -> io::Result<TcpStream> {
        match self {
            Self::Tcp(stream) => Ok(stream),
            Self::Tls(_) | Self::Unix(_) => {
                Err(io::Error::other("TLS needs a plain TCP connection"))
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
