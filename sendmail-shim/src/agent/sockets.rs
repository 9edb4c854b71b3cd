//! The agent's two sockets: where mail comes in, and where administrators ask. Made here, or handed
//! over by systemd.
//!
//! Contract: a socket that somebody still listens on is never taken away. Both are open to
//! everybody; the kernel tells who is at the other end, and that decides.
//! Failures: text for the administrator.

use std::{
    fs, io,
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::Path,
    time::Duration,
};

use listenfd::ListenFd;
use system::{
    again,
    log::{Level, line},
};

use crate::config::settings::Settings;

/// The sockets.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) submit: Vec<UnixListener>,
    pub(crate) control: Vec<UnixListener>,
    /// For programs that speak SMTP to localhost.
    pub(crate) loopback: Vec<TcpListener>,
    /// How many are systemd's: if any is, the agent may end when it is idle, and comes back with
    /// the next connection.
    pub(crate) handed: usize,
}

impl Sockets {
    /// Takes what systemd hands over, or else makes both.
    pub(crate) fn open(settings: &Settings) -> Result<Self, String> {
        let mut handed = ListenFd::from_env();
        let mut sockets = Self {
            submit: Vec::new(),
            control: Vec::new(),
            loopback: Vec::new(),
            handed: handed.len(),
        };
        for number in 0..handed.len() {
            if let Ok(Some(listener)) = handed.take_tcp_listener(number) {
                again::keep_open(&listener);
                sockets.loopback.push(on_this_machine(listener)?);
                continue;
            }
            let taken = handed.take_unix_listener(number);
            let listener = taken.map_err(|error| {
                format!("socket {number} from systemd is no listening stream socket: {error}")
            })?;
            let Some(listener) = listener else { continue };
            again::keep_open(&listener);
            let is_control = listener.local_addr().is_ok_and(|address| {
                let path = address.as_pathname();
                path == Some(&settings.control) || path == Some(Path::new(::control::AGENT))
            });
            if is_control {
                sockets.control.push(listener);
            } else {
                sockets.submit.push(listener);
            }
        }
        if sockets.submit.is_empty() {
            sockets.submit.push(bind(&settings.socket)?);
        }
        if sockets.control.is_empty() {
            sockets.control.push(bind(&settings.control)?);
        }
        for &address in &settings.listen {
            let open = |listener: &TcpListener| listener.local_addr().ok() == Some(address);
            if sockets.loopback.iter().any(open) {
                continue;
            }
            match TcpListener::bind(address) {
                Ok(listener) => sockets.loopback.push(listener),
                // What cron and others hand to `sendmail` is taken all the same.
                Err(error) => line(
                    Level::Error,
                    &format_args!(
                        "listen: {address}: {error}; ports below 1024 are for root, or come from systemd's socket unit"
                    ),
                ),
            }
        }
        Ok(sockets)
    }
}

/// A TCP socket from systemd, if nobody else than this machine can reach it.
fn on_this_machine(listener: TcpListener) -> Result<TcpListener, String> {
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    if address.ip().to_canonical().is_loopback() {
        Ok(listener)
    } else {
        Err(format!(
            "{address} from systemd is not a loopback address; write ListenStream=127.0.0.1:25"
        ))
    }
}

fn bind(path: &Path) -> Result<UnixListener, String> {
    let told = |doing: &str, error: io::Error| format!("{}: {doing}: {error}", path.display());
    if let Some(directory) = path.parent() {
        system::fs::create_directory(directory, 0o755)
            .map_err(|error| told("cannot make its directory", error))?;
    }
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            // One that stands still is there, too.
            let answer = system::socket::connect(path, Duration::from_secs(1));
            if answer.map_or_else(|error| error.kind() == io::ErrorKind::TimedOut, |_| true) {
                return Err(format!("{}: another agent listens there", path.display()));
            }
            fs::remove_file(path).map_err(|error| {
                told("cannot remove the socket of an agent that is gone", error)
            })?;
            UnixListener::bind(path)
        }
        bound => bound,
    };
    let listener = listener.map_err(|error| told("cannot listen", error))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))
        .map_err(|error| told("cannot open it to all users", error))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_socket_is_replaced_and_one_that_answers_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run").join("submit.sock");
        let first = bind(&path).unwrap();
        assert!(bind(&path).unwrap_err().contains("another agent"));
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o666
        );
        drop(first);
        assert!(bind(&path).is_ok());
    }
}
