//! A store in which several smarthosts meet: a redis-server on a socket of its own, which keeps
//! nothing on the disk; and what stands between it and one of them.

use std::{
    ffi::OsStr,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    clock::Clock,
    daemon::Daemon,
    identity::Identity,
    peers,
    wait::{free_address, until},
};

/// A running store.
pub struct Store {
    socket: PathBuf,
    /// The process, to be sent signals.
    pub daemon: Daemon,
    command: Command,
    _directory: TempDir,
}

impl Store {
    /// `None` (after saying so) if it is not installed.
    pub fn start() -> Option<Self> {
        Self::with(&[], |_| Vec::new())
    }

    /// The same with a clock of its own.
    pub fn with_clock(clock: &Clock) -> Option<Self> {
        Self::with(&clock.words(), |_| Vec::new())
    }

    /// The same with a password.
    pub fn with_password(password: &str) -> Option<Self> {
        Self::with(&[], |_| {
            vec!["--requirepass".to_owned(), password.to_owned()]
        })
    }

    /// The same, which shows this key under TLS at an address, too.
    pub fn with_tls(identity: &Identity) -> Option<(Self, SocketAddr)> {
        let address = free_address();
        let store = Self::with(&[], |directory| {
            identity.write(directory, "store");
            let file = |name: &str| directory.join(name).display().to_string();
            let words = [
                ["--bind", &address.ip().to_string()],
                ["--tls-port", &address.port().to_string()],
                ["--tls-cert-file", &file("store.pem")],
                ["--tls-key-file", &file("store.key")],
                ["--tls-auth-clients", "no"],
            ];
            words.concat().into_iter().map(str::to_owned).collect()
        })?;
        until("the store listens", || TcpStream::connect(address).ok());
        Some((store, address))
    }

    fn with(within: &[String], options: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        let program = peers::find("redis-server")?;
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("store.sock");
        let mut words = within.iter().map(OsStr::new).chain([program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        command.args(["--port", "0", "--save", "", "--appendonly", "no"]);
        command.args(options(directory.path()));
        command.arg("--dir").arg(directory.path());
        command.arg("--unixsocket").arg(&socket);
        let daemon = Daemon::start("redis-server", &mut command);
        let store = Self {
            socket,
            daemon,
            command,
            _directory: directory,
        };
        store.wait_until_it_listens();
        Some(store)
    }

    fn wait_until_it_listens(&self) {
        until("the store listens", || {
            UnixStream::connect(&self.socket).ok()
        });
    }

    /// Kills it; what it was told is lost.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Starts it again.
    pub fn run(&mut self) {
        self.daemon = Daemon::start("redis-server", &mut self.command);
        self.wait_until_it_listens();
    }

    /// As the setting `budget.store` names it.
    pub fn url(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    pub fn signal(&self, signal: Signal) {
        self.daemon.signal(signal);
    }

    /// A command without an answer that anybody reads.
    pub fn say(&self, command: &str) {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        writeln!(stream, "{command}").unwrap();
        let mut reply = [0; 1];
        stream.read_exact(&mut reply).unwrap();
        assert!(matches!(&reply, b"+" | b":"), "{command}");
    }
}

/// Whether bytes pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passing {
    /// They do.
    All,
    /// They do, but each way takes so long.
    Late(Duration),
    /// What the smarthost says passes; what the store answers does not.
    Questions,
    /// They wait, and nobody is told: as behind a router that is down.
    Nothing,
    /// Connections end at once: as at a port that nobody listens to.
    Refused,
}

/// The line between the store and one smarthost, which can be down.
pub struct Line {
    address: SocketAddr,
    state: Arc<State>,
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Question,
    Answer,
}

struct State {
    passing: Mutex<Passing>,
    changed: Condvar,
    open: Mutex<Vec<(TcpStream, UnixStream)>>,
}

impl Line {
    /// Listens for a smarthost, and passes its bytes on to the store.
    pub fn to(store: &Store) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            passing: Mutex::new(Passing::All),
            changed: Condvar::new(),
            open: Mutex::default(),
        });
        let (socket, here) = (store.socket.clone(), Arc::clone(&state));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(store)) = (client, UnixStream::connect(&socket)) else {
                    continue;
                };
                let kept = (client.try_clone().unwrap(), store.try_clone().unwrap());
                here.open.lock().unwrap().push(kept);
                let back = (store.try_clone().unwrap(), client.try_clone().unwrap());
                let (state, other) = (Arc::clone(&here), Arc::clone(&here));
                thread::spawn(move || state.pass(Way::Question, client, store));
                thread::spawn(move || other.pass(Way::Answer, back.0, back.1));
            }
        });
        Self { address, state }
    }

    /// As the setting `budget.store` names it.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub fn let_pass(&self, passing: Passing) {
        *self.state.passing.lock().unwrap() = passing;
        self.state.changed.notify_all();
        if passing == Passing::Refused {
            self.state.end();
        }
    }
}

impl State {
    /// Waits until bytes may pass; `false`: never.
    fn may_pass(&self, way: Way) -> bool {
        let waits = |passing: &mut Passing| match passing {
            Passing::Nothing => true,
            Passing::Questions => way == Way::Answer,
            Passing::All | Passing::Late(_) | Passing::Refused => false,
        };
        let passing = self.changed.wait_while(self.passing.lock().unwrap(), waits);
        *passing.unwrap() != Passing::Refused
    }

    /// Lets the time go by that bytes are on their way, unless the line changes meanwhile.
    fn travel(&self) {
        let passing = self.passing.lock().unwrap();
        if let Passing::Late(time) = *passing {
            let same = |now: &mut Passing| *now == Passing::Late(time);
            drop(
                self.changed
                    .wait_timeout_while(passing, time, same)
                    .unwrap(),
            );
        }
    }

    /// Hands bytes on until either side ends, or they are refused.
    fn pass(&self, way: Way, mut from: impl Read, mut to: impl Write) {
        let mut buffer = [0; 4096];
        while self.may_pass(way)
            && let Ok(count @ 1..) = from.read(&mut buffer)
        {
            self.travel();
            if !self.may_pass(way) || to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        self.end();
    }

    /// Ends all: a smarthost has one connection.
    fn end(&self) {
        for (client, store) in self.open.lock().unwrap().drain(..) {
            let _ = (
                client.shutdown(Shutdown::Both),
                store.shutdown(Shutdown::Both),
            );
        }
    }
}
