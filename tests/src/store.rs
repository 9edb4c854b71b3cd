//! A store in which several smarthosts meet: a redis-server on a socket of its own, which keeps
//! nothing on the disk.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Command,
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{daemon::Daemon, peers, wait::until};

/// A running store.
pub struct Store {
    socket: PathBuf,
    /// The process, to be sent signals.
    pub daemon: Daemon,
    _directory: TempDir,
}

impl Store {
    /// `None` (after saying so) if it is not installed.
    pub fn start() -> Option<Self> {
        Self::with(&[])
    }

    /// The same with a password.
    pub fn with_password(password: &str) -> Option<Self> {
        Self::with(&["--requirepass", password])
    }

    fn with(options: &[&str]) -> Option<Self> {
        let program = peers::find("redis-server")?;
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("store.sock");
        let mut command = Command::new(program);
        command.args(["--port", "0", "--save", "", "--appendonly", "no"]);
        command.args(options);
        command.arg("--dir").arg(directory.path());
        command.arg("--unixsocket").arg(&socket);
        let daemon = Daemon::start("redis-server", &mut command);
        until("the store listens", || UnixStream::connect(&socket).ok());
        Some(Self {
            socket,
            daemon,
            _directory: directory,
        })
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
