//! Unix sockets: connecting within a time, and listening without taking anything else's place.
//!
//! Contract: `connect(2)` waits without end while the listener's backlog is full and its process
//! stands still, and for a path on a disk that does not answer. Here the wait is bounded, and so is
//! that of [`listen`]. unix(7), socket(7) `SO_SNDTIMEO`.
//! Failures of [`listen`]: a text that names the path.

use std::{
    fs::{self, Permissions},
    io,
    net::{IpAddr, SocketAddr},
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect as connect_to, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};

use crate::within;

/// Whether a connection failed for nobody listens there.
pub fn is_of_nobody(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::NotFound || kind == io::ErrorKind::ConnectionRefused
}

/// Connects within `patience`; `TimedOut` where the listener does not take the connection by then.
pub fn connect(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    within::answers_scout(path)?;
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
    connect_to(&socket, &SocketAddrUnix::new(path)?).map_err(not_connected)?;
    set_socket_timeout(&socket, Timeout::Send, None)?;
    Ok(UnixStream::from(socket))
}

/// Connects without waiting for the listener, and for the disk of its path for a while
/// ([`within`]). The stream does not block.
pub fn connect_at_once(path: &Path) -> io::Result<UnixStream> {
    within::ask(path, |path| {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect_to(&socket, &SocketAddrUnix::new(path)?).map_err(not_connected)?;
        Ok(UnixStream::from(socket))
    })
}

fn not_connected(error: Errno) -> io::Error {
    match error {
        // So the kernel tells of a full backlog, at once or at the end of SO_SNDTIMEO.
        Errno::AGAIN => io::Error::new(io::ErrorKind::TimedOut, "it does not take connections"),
        error => error.into(),
    }
}

/// Makes a socket that listens, with these permissions. One that a process left behind is replaced;
/// a socket that answers, or whose process stands still, stays, and so does whatever is no socket.
pub fn listen(path: &Path, mode: u32) -> Result<UnixListener, String> {
    let listening = within::ask(path, move |path| Ok(listen_now(path, mode)));
    listening.unwrap_or_else(|error| Err(format!("{}: {error}", path.display())))
}

fn listen_now(path: &Path, mode: u32) -> Result<UnixListener, String> {
    let told = |doing: &'static str| {
        move |error: io::Error| format!("{}: cannot {doing}: {error}", path.display())
    };
    if let Some(directory) = path.parent() {
        super::fs::create_directory(directory, 0o755).map_err(told("make its directory"))?;
    }
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if let Some(why) = taken(path) {
                return Err(format!("{}: {why}", path.display()));
            }
            fs::remove_file(path).map_err(told("remove the socket of a process that is gone"))?;
            UnixListener::bind(path)
        }
        bound => bound,
    };
    let listener = listener.map_err(told("make a socket"))?;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(told("set its permissions"))?;
    Ok(listener)
}

/// The name of a socket that was made here.
#[derive(Debug)]
pub struct Name {
    path: PathBuf,
    /// Device and inode: another process may have made its own there meanwhile.
    file: (u64, u64),
}

impl Name {
    /// Of the one that was just made there.
    pub fn of(path: &Path) -> io::Result<Self> {
        let path = path.to_owned();
        let file = file_at(&path)?;
        Ok(Self { path, file })
    }

    /// Whether it is still that socket's.
    pub fn is_own(&self) -> bool {
        file_at(&self.path).is_ok_and(|file| file == self.file)
    }

    /// Removes it, if it is.
    pub fn remove(&self) -> io::Result<()> {
        if self.is_own() {
            fs::remove_file(&self.path)?;
        }
        Ok(())
    }
}

fn file_at(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Whether sockets on both addresses are in each other's way.
pub fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    takes(one, other) || takes(other, one)
}

/// Whether a socket on the first address takes what comes to the second. ipv6(7): one on `[::]`
/// takes IPv4 too.
pub fn takes(whole: SocketAddr, part: SocketAddr) -> bool {
    let scope = |address| match address {
        SocketAddr::V6(address) => address.scope_id(),
        SocketAddr::V4(_) => 0,
    };
    let (ip, other) = (whole.ip().to_canonical(), part.ip().to_canonical());
    let same = ip == other && scope(whole) == scope(part);
    let within = match ip {
        IpAddr::V4(ip) => ip.is_unspecified() && other.is_ipv4(),
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    whole.port() != 0 && whole.port() == part.port() && (same || within)
}

/// Why nothing can listen on an address, and what to do about it.
pub fn not_bound(address: SocketAddr, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::AddrNotAvailable => "this machine has no such address; see ip address",
        io::ErrorKind::AddrInUse => "another process has it; see ss -ltnp",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are for root, or come from systemd's socket unit"
        }
        _ => "name an address and port that the daemon may have",
    };
    format!("cannot listen on {address}: {error}: {remedy}")
}

/// Why no socket can ever be made there, whoever tries; one that another process has now is no
/// reason.
pub fn impossible(path: &Path) -> Option<String> {
    let shown = path.display();
    if SocketAddrUnix::new(path).is_err() {
        return Some(format!(
            "{shown}: the path is too long for a socket; 107 bytes are the most"
        ));
    }
    if let Some(what) = not_a_socket(path) {
        return Some(format!("{shown}: {what}"));
    }
    super::fs::no_directory(path.parent()?)
}

/// Why no socket can be made there, if something has the place already.
fn taken(path: &Path) -> Option<&'static str> {
    if let Some(what) = not_a_socket(path) {
        return Some(what);
    }
    match connect(path, Duration::from_secs(1)) {
        Ok(_) => Some("another process listens there"),
        // One that stands still is there, too.
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Some("another process listens there and stands still")
        }
        Err(_) => None,
    }
}

/// Whether something lies there that is no socket, and is not to be lost.
fn not_a_socket(path: &Path) -> Option<&'static str> {
    let kind = fs::symlink_metadata(path).ok()?.file_type();
    match (kind.is_socket(), kind.is_dir(), kind.is_symlink()) {
        (true, ..) => None,
        (_, true, _) => Some("a directory is there, not a socket"),
        (.., true) => Some("a link is there, not a socket"),
        _ => Some("a file is there, not a socket; it stays as it is"),
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::{bind, listen as listen_on};

    use super::*;

    #[test]
    fn a_listener_that_stands_still_with_a_full_backlog_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let flags = SocketFlags::CLOEXEC;
        let listener = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen_on(&listener, 0).unwrap();
        let patience = Duration::from_millis(50);
        let taken: Vec<_> = std::iter::repeat_with(|| connect(&path, patience))
            .take_while(io::Result::is_ok)
            .collect();
        assert!(!taken.is_empty() && taken.len() < 10);
        let error = connect(&path, patience).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let at_once = connect_at_once(&path).unwrap_err();
        assert_eq!(at_once.to_string(), error.to_string());
        drop(listener);
        for refused in [connect(&path, patience), connect_at_once(&path)] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
    }

    #[test]
    fn only_the_name_of_an_own_socket_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("one.sock");
        let first = listen(&path, 0o600).unwrap();
        let name = Name::of(&path).unwrap();
        // Held open, so that its inode is not given to the next one.
        let moved = directory.path().join("moved.sock");
        rustix::fs::rename(&path, moved).unwrap();
        let _other = listen(&path, 0o600).unwrap();
        assert!(!name.is_own());
        name.remove().unwrap();
        connect(&path, Duration::from_secs(1)).unwrap();
        Name::of(&path).unwrap().remove().unwrap();
        assert!(!path.exists());
        drop(first);
    }

    #[test]
    fn a_socket_left_behind_is_replaced_and_nothing_else_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run").join("one.sock");
        let first = listen(&path, 0o666).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o666);
        assert!(
            listen(&path, 0o600)
                .unwrap_err()
                .contains("another process")
        );
        drop(first);
        drop(listen(&path, 0o600).unwrap());
        let file = directory.path().join("file");
        crate::fs::replace(&file, b"precious", 0o600).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for place in [&file, &link, &directory.path().to_owned()] {
            let told = listen(place, 0o600).unwrap_err();
            assert!(told.contains("is there, not a socket"), "{told}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
        let below = file.join("one.sock");
        let long = directory.path().join("y".repeat(120));
        for place in [&file, &below, &long] {
            assert!(impossible(place).is_some(), "{}", place.display());
        }
        for place in [&path, &directory.path().join("later/one.sock")] {
            assert_eq!(impossible(place), None);
        }
    }
}
