//! The threads that wait at the sockets, accept, and serve what they have accepted.
//!
//! Contract: one waits as long as threads can be had: who accepts sees to that before he serves. So
//! a connection never waits for a thread to begin, and a few that are done wait for the next. The
//! quota decides who is served. While accepting is paused, connections wait in the kernel's
//! backlog, for this process or for the one that systemd starts next; what was accepted before is
//! served, and counted when [`Listeners::pause`] returns.
//! Failures: without a thread for the next connection, it waits for one that is done; out of
//! descriptors, accepting pauses.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpListener,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use control::serve::Asker;
use rustix::event::{PollFd, PollFlags, poll};
use smtp::reply::Reply;

use super::{
    loopback, maillog,
    presence::{Connection, Presence},
    quota::NoPlace,
};

/// Threads that wait at a socket at most; beyond that, those that are done end.
const WAITING: usize = 8;
/// Stack of such a thread.
const STACK: usize = 512 * 1024;
/// Out of descriptors: the connections that are open end by themselves.
const PAUSE: Duration = Duration::from_millis(100);

/// What one connection of a user gets.
pub(super) type Serve = Arc<dyn Fn(&Connection) + Send + Sync>;

/// Where connections come in.
pub(super) enum Socket {
    Unix(UnixListener),
    /// TCP, from this machine.
    Loopback(TcpListener),
}

impl Socket {
    /// The next connection, and whose it is, if it is anybody's.
    fn accept(&self) -> io::Result<(UnixStream, Option<u32>)> {
        match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                let uid = Asker::of(&stream)?.uid;
                Ok((stream, Some(uid)))
            }
            Self::Loopback(listener) => {
                let (stream, client) = listener.accept()?;
                stream.set_nodelay(true)?;
                let uid = loopback::peer(&stream, client)?;
                // Reading, writing and waiting are the same calls for every stream socket.
                Ok((OwnedFd::from(stream).into(), uid))
            }
        }
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(listener) => listener.as_fd(),
            Self::Loopback(listener) => listener.as_fd(),
        }
    }
}

/// All sockets with their threads.
pub(super) struct Listeners {
    admission: Arc<Admission>,
    presence: Arc<Presence>,
    acceptors: Vec<Arc<Acceptor>>,
}

impl Listeners {
    pub(super) fn new(presence: Arc<Presence>) -> io::Result<Self> {
        Ok(Self {
            admission: Arc::new(Admission::new()?),
            presence,
            acceptors: Vec::new(),
        })
    }

    /// Begins to serve a socket, for as long as the program runs.
    pub(super) fn serve(&mut self, socket: Socket, serve: &Serve) -> io::Result<()> {
        let acceptor = Arc::new(Acceptor {
            admission: Arc::clone(&self.admission),
            presence: Arc::clone(&self.presence),
            socket,
            serve: Arc::clone(serve),
            turn: Mutex::new(()),
            waiting: AtomicUsize::new(0),
        });
        self.acceptors.push(Arc::clone(&acceptor));
        acceptor.wait()
    }

    /// Accepts nothing more; whatever was accepted until then is counted among who is present.
    pub(super) fn pause(&self) {
        self.admission.close();
        for acceptor in &self.acceptors {
            drop(lock(&acceptor.turn));
        }
    }

    /// Accepts again.
    pub(super) fn resume(&self) {
        self.admission.open();
    }
}

/// Whether connections are accepted, told to threads that wait for one.
struct Admission {
    is_open: Mutex<bool>,
    opened: Condvar,
    /// There is something to be read from the second while it is closed.
    wake: (UnixStream, UnixStream),
}

impl Admission {
    fn new() -> io::Result<Self> {
        Ok(Self {
            is_open: Mutex::new(true),
            opened: Condvar::new(),
            wake: UnixStream::pair()?,
        })
    }

    fn close(&self) {
        let mut is_open = lock(&self.is_open);
        if *is_open {
            *is_open = false;
            // One byte always finds room.
            let _ = (&self.wake.0).write_all(b"!");
        }
    }

    fn open(&self) {
        let mut is_open = lock(&self.is_open);
        if !*is_open {
            *is_open = true;
            let _ = (&self.wake.1).read_exact(&mut [0]);
            self.opened.notify_all();
        }
    }

    /// Waits while it is closed.
    fn wait(&self) {
        let is_open = lock(&self.is_open);
        let waited = self.opened.wait_while(is_open, |is_open| !*is_open);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits for a connection at a socket; `false`: it was closed first.
    fn await_connection(&self, socket: &Socket) -> io::Result<bool> {
        let socket = socket.as_fd();
        let mut both = [
            PollFd::new(&socket, PollFlags::IN),
            PollFd::new(&self.wake.1, PollFlags::IN),
        ];
        match poll(&mut both, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let [_, wake] = &both;
        Ok(wake.revents().is_empty())
    }
}

/// A socket and its threads.
struct Acceptor {
    admission: Arc<Admission>,
    presence: Arc<Presence>,
    socket: Socket,
    serve: Serve,
    /// Held by the one thread that waits for the next connection, until that is counted.
    turn: Mutex<()>,
    waiting: AtomicUsize,
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
            let connection = match self.accept() {
                Ok(Some(connection)) => connection,
                Ok(None) => continue,
                Err(error) => {
                    maillog::warning(&format!("accept: {error}"));
                    thread::park_timeout(PAUSE);
                    continue;
                }
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
    fn accept(&self) -> io::Result<Option<Connection>> {
        self.admission.wait();
        let turn = lock(&self.turn);
        if !self.admission.await_connection(&self.socket)? {
            return Ok(None);
        }
        let (stream, uid) = self.socket.accept()?;
        let Some(uid) = uid else {
            drop(turn);
            maillog::nobodys(&say(&stream, NOBODYS));
            return Ok(None);
        };
        let entered = Arc::clone(&self.presence).enter(stream, uid);
        drop(turn);
        match entered {
            Ok(connection) => Ok(Some(connection)),
            Err((stream, no_place)) => {
                let reply = match no_place {
                    NoPlace::User => OVER_THE_USERS,
                    NoPlace::All => OVER_ALL,
                };
                maillog::rejected(&self.presence.owners, uid, &say(&stream, reply));
                Ok(None)
            }
        }
    }
}

const OVER_THE_USERS: &str = "421 4.7.0 too many connections of this user; try again later";
const OVER_ALL: &str = "421 4.3.2 all connections are in use; try again later";
const NOBODYS: &str =
    "421 4.7.0 whose connection this is cannot be seen; keep it open until the last reply";

/// Refuses a connection, in SMTP; the text of that.
fn say(stream: &UnixStream, reply: &'static str) -> String {
    let reply = Reply::literal(reply);
    let mut out = Vec::new();
    reply.encode(&mut out);
    // A client that is gone, or whose buffer is full, does not read it; nobody waits for that.
    let _ = stream.set_nonblocking(true);
    let _ = (&mut &*stream).write_all(&out);
    reply.text()
}

/// A lock whose holder panicked guards nothing that could be half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
