//! The threads that wait at a socket, accept, and serve what they have accepted.
//!
//! Contract: one waits as long as threads can be had: who accepts sees to that before he serves. So a connection never waits for a thread to
//! begin, and a few that are done wait for the next. The quota decides who is served.
//! Failures: without a thread for the next connection, it waits for one that is done; out of descriptors, accepting pauses.

use std::{
    io,
    net::TcpListener,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use control::serve::Asker;

use super::{Agent, loopback, maillog, session, state::Connection};

/// Threads that wait at a socket at most; beyond that, those that are done end.
const WAITING: usize = 8;
/// Stack of such a thread.
const STACK: usize = 512 * 1024;
/// Out of descriptors: the connections that are open end by themselves.
const PAUSE: Duration = Duration::from_millis(100);

/// What one connection of a user gets.
pub(super) type Serve = fn(&Connection);

/// Where connections come in.
pub(super) enum Listener {
    Unix(UnixListener),
    /// TCP, from this machine.
    Loopback(TcpListener),
}

impl Listener {
    /// The next connection, and whose it is.
    fn accept(&self) -> io::Result<(UnixStream, u32)> {
        match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                let uid = Asker::of(&stream)?.uid;
                Ok((stream, uid))
            }
            Self::Loopback(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                let uid = loopback::peer(&stream)?;
                // Reading, writing and waiting are the same calls for every stream socket.
                Ok((OwnedFd::from(stream).into(), uid))
            }
        }
    }
}

/// A socket and its threads.
struct Acceptor {
    agent: Arc<Agent>,
    listener: Listener,
    serve: Serve,
    waiting: AtomicUsize,
}

/// Begins to serve a socket, for as long as the program runs.
pub(super) fn begin(agent: &Arc<Agent>, listener: Listener, serve: Serve) -> io::Result<()> {
    let acceptor = Acceptor {
        agent: Arc::clone(agent),
        listener,
        serve,
        waiting: AtomicUsize::new(0),
    };
    Arc::new(acceptor).wait()
}

impl Acceptor {
    /// One thread more that waits.
    fn wait(self: Arc<Self>) -> io::Result<()> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let acceptor = Arc::clone(&self);
        let thread = thread::Builder::new().stack_size(STACK);
        let started = thread.spawn(move || acceptor.run());
        if started.is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        started.map(drop)
    }

    fn run(self: Arc<Self>) {
        loop {
            let Some(connection) = self.accept() else {
                continue;
            };
            let last = self.waiting.fetch_sub(1, Ordering::Relaxed) == 1;
            if last && let Err(error) = Arc::clone(&self).wait() {
                maillog::warning(&format!("no thread for the next connection: {error}"));
            }
            (self.serve)(&connection);
            drop(connection);
            if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                return;
            }
        }
    }

    /// The next connection. One that is over the quota is refused here, and costs no thread.
    fn accept(&self) -> Option<Connection> {
        let (stream, uid) = match self.listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                maillog::warning(&format!("accept: {error}"));
                thread::park_timeout(PAUSE);
                return None;
            }
        };
        match self.agent.enter(stream, uid) {
            Ok(connection) => Some(connection),
            Err((stream, no_place)) => {
                session::refuse(&stream, uid, no_place);
                None
            }
        }
    }
}
