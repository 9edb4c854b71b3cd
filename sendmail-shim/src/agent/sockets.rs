//! The agent's two sockets: where mail comes in, and where administrators ask. Made here, or handed
//! over by systemd, or by the agent before this one that started anew.
//!
//! Contract: a socket that somebody still listens on is never taken away. Both are open to
//! everybody; the kernel tells who is at the other end, and that decides.
//! Failures: text for the administrator. The control socket and loopback addresses may be lacking.

use std::{
    net::{SocketAddr, TcpListener},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixListener,
    },
    path::Path,
};

use listenfd::ListenFd;
use system::{
    again,
    log::{Level, line},
    socket::{Name, listen},
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
    /// Those that were made here.
    pub(crate) own: Own,
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
            own: Own::default(),
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
        let mut left = Left::taken();
        if sockets.submit.is_empty() {
            let listener = left.unix(&settings.socket);
            let listener = listener.map_or_else(|| listen(&settings.socket, OPEN), Ok)?;
            sockets.own.keep_at(&settings.socket, &listener);
            sockets.submit.push(listener);
        }
        if sockets.control.is_empty() {
            let listener = left.unix(&settings.control);
            // Mail does not wait for administrators.
            match listener.map_or_else(|| listen(&settings.control, OPEN), Ok) {
                Ok(listener) => {
                    sockets.own.keep_at(&settings.control, &listener);
                    sockets.control.push(listener);
                }
                Err(error) => line(
                    Level::Error,
                    &format_args!("no control socket, so no orders are taken: {error}"),
                ),
            }
        }
        let handed = sockets.loopback.iter();
        let handed: Vec<_> = handed.filter_map(|it| it.local_addr().ok()).collect();
        let others = settings.listen.iter().copied();
        let mut others: Vec<_> = others.filter(|it| !handed.contains(it)).collect();
        let mut own = left.tcp(&others);
        // What nobody wants any more is closed: it may be in another's way.
        drop(left);
        let open: Vec<_> = own.iter().filter_map(|it| it.local_addr().ok()).collect();
        others.retain(|address| !open.contains(address));
        let (new, deaf) = Deaf::listen(others.into_iter());
        own.extend(new);
        for listener in &own {
            sockets.own.keep(listener);
        }
        sockets.loopback.extend(own);
        sockets.deaf = deaf;
        Ok(sockets)
    }
}

/// Sockets that were made here, for the agent that takes the place of this one: who connects
/// meanwhile is not refused.
#[derive(Debug, Default)]
pub(crate) struct Own(Vec<(OwnedFd, Option<Name>)>);

impl Own {
    /// One that can be had again without it, if it cannot be kept.
    pub(crate) fn keep(&mut self, listener: &TcpListener) {
        if let Ok(copy) = listener.try_clone() {
            self.0.push((copy.into(), None));
        }
    }

    fn keep_at(&mut self, path: &Path, listener: &UnixListener) {
        if let (Ok(copy), Ok(name)) = (listener.try_clone(), Name::of(path)) {
            self.0.push((copy.into(), Some(name)));
        }
    }

    /// Those that are reached by their names still.
    pub(crate) fn in_place(&self) -> Vec<BorrowedFd<'_>> {
        let own = self.0.iter();
        let own = own.filter(|(_, name)| name.as_ref().is_none_or(Name::is_own));
        own.map(|(socket, _)| socket.as_fd()).collect()
    }
}

/// What the agent before this one left.
struct Left {
    unix: Vec<UnixListener>,
    tcp: Vec<TcpListener>,
}

impl Left {
    fn taken() -> Self {
        let mut left = Self {
            unix: Vec::new(),
            tcp: Vec::new(),
        };
        for socket in again::left() {
            let listener = UnixListener::from(socket);
            if listener.local_addr().is_ok() {
                left.unix.push(listener);
            } else {
                left.tcp.push(OwnedFd::from(listener).into());
            }
        }
        left
    }

    fn unix(&mut self, path: &Path) -> Option<UnixListener> {
        let is_there = |it: &UnixListener| {
            let address = it.local_addr();
            address.is_ok_and(|address| address.as_pathname() == Some(path))
        };
        let at = self.unix.iter().position(is_there)?;
        Some(self.unix.swap_remove(at))
    }

    fn tcp(&mut self, wanted: &[SocketAddr]) -> Vec<TcpListener> {
        let is_wanted = |it: &TcpListener| it.local_addr().is_ok_and(|it| wanted.contains(&it));
        let (wanted, others) = self.tcp.drain(..).partition(is_wanted);
        self.tcp = others;
        wanted
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
