//! Connecting to a unix socket within a time.
//!
//! Contract: `connect(2)` waits without end while the listener's backlog is full and its process
//! stands still. Here the wait is bounded. unix(7), socket(7) `SO_SNDTIMEO`.

use std::{io, os::unix::net::UnixStream, path::Path, time::Duration};

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect as connect_to, socket_with,
    sockopt::{Timeout, set_socket_timeout},
};

/// Connects within `patience`; `TimedOut` where the listener does not take the connection by then.
pub fn connect(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
    match connect_to(&socket, &SocketAddrUnix::new(path)?) {
        Ok(()) => {}
        // So the kernel tells of the end of SO_SNDTIMEO.
        Err(rustix::io::Errno::AGAIN) => {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "it does not take connections",
            ));
        }
        Err(error) => return Err(error.into()),
    }
    set_socket_timeout(&socket, Timeout::Send, None)?;
    Ok(UnixStream::from(socket))
}

#[cfg(test)]
mod tests {
    use rustix::net::{bind, listen};

    use super::*;

    #[test]
    fn a_listener_that_stands_still_with_a_full_backlog_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let flags = SocketFlags::CLOEXEC;
        let listener = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&listener, 0).unwrap();
        let patience = Duration::from_millis(50);
        let taken: Vec<_> = std::iter::repeat_with(|| connect(&path, patience))
            .take_while(io::Result::is_ok)
            .collect();
        assert!(!taken.is_empty() && taken.len() < 10);
        let error = connect(&path, patience).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(listener);
        let error = connect(&path, patience).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
