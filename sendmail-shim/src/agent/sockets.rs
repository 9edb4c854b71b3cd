//! The agent's two sockets: where mail comes in, and where administrators ask. Made here, or handed
//! over by systemd.
//!
//! Contract: a socket that somebody still listens on is never taken away. Both are open to
//! everybody; the kernel tells who is at the other end, and that decides.
//! Failures: text for the administrator. The control socket and loopback addresses may be lacking.

use std::{net::TcpListener, os::unix::net::UnixListener, path::Path};

use listenfd::ListenFd;
use system::{
    again,
    log::{Level, line},
    socket::listen,
};

use super::deaf::Deaf;
use crate::config::settings::Settings;

/// To all users: the kernel says who it is.
const OPEN: u32 = 0o666;

/// The sockets.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) submit: Vec<UnixListener>,
    pub(crate) control: Vec<UnixListener>,
    /// For programs that speak SMTP to localhost.
    pub(crate) loopback: Vec<TcpListener>,
    /// Where nothing listens yet.
    pub(crate) deaf: Deaf,
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
            deaf: Deaf::default(),
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
            sockets.submit.push(listen(&settings.socket, OPEN)?);
        }
        if sockets.control.is_empty() {
            // Mail does not wait for administrators.
            match listen(&settings.control, OPEN) {
                Ok(listener) => sockets.control.push(listener),
                Err(error) => line(
                    Level::Error,
                    &format_args!("no control socket, so no orders are taken: {error}"),
                ),
            }
        }
        let handed = sockets.loopback.iter();
        let handed: Vec<_> = handed.filter_map(|it| it.local_addr().ok()).collect();
        let others = settings.listen.iter().copied();
        let others = others.filter(|address| !handed.contains(address));
        let (own, deaf) = Deaf::listen(others);
        sockets.loopback.extend(own);
        sockets.deaf = deaf;
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
