//! In systemd's place: holds the agent's sockets, and starts the agent when somebody connects while
//! none runs.
//!
//! Contract: every agent must end by itself with success; its log is in the panic if it does not.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixListener},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::agent::Agent;

/// Between two looks whether the test is over.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// Sockets whose agent comes and goes.
#[derive(Debug)]
pub struct Activation {
    over: Arc<AtomicBool>,
    started: Arc<AtomicUsize>,
    systemd: Option<JoinHandle<()>>,
}

impl Activation {
    /// Makes the sockets of a machine whose agent does not run; `arguments` of each `agent`.
    pub fn of(machine: &Agent, arguments: &[&str]) -> Self {
        let bound =
            |name: &str| UnixListener::bind(machine.directory().join(name)).expect("a socket");
        let sockets = ["submit.sock", "control.sock"].map(bound);
        let mut command = machine.started_by_shell(arguments);
        let activation = Self {
            over: Arc::default(),
            started: Arc::default(),
            systemd: None,
        };
        let (over, started) = (
            Arc::clone(&activation.over),
            Arc::clone(&activation.started),
        );
        let systemd = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                if is_called(&sockets) {
                    started.fetch_add(1, Ordering::Relaxed);
                    live(&mut command, &sockets);
                }
            }
        });
        Self {
            systemd: Some(systemd),
            ..activation
        }
    }

    /// How many agents were started.
    pub fn started(&self) -> usize {
        self.started.load(Ordering::Relaxed)
    }

    /// Waits for the end of the last agent.
    pub fn end(mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(systemd) = self.systemd.take() {
            systemd.join().expect("every agent ended well");
        }
    }
}

/// Whether somebody waits to be accepted.
fn is_called(sockets: &[UnixListener; 2]) -> bool {
    let mut both = sockets
        .each_ref()
        .map(|socket| PollFd::new(socket, PollFlags::IN));
    poll(&mut both, Some(&LOOK)).is_ok_and(|ready| ready > 0)
}

/// One life of the agent.
fn live(command: &mut Command, sockets: &[UnixListener; 2]) {
    let [submit, control] = sockets
        .each_ref()
        .map(|socket| OwnedFd::from(socket.try_clone().expect("a descriptor")));
    let child = command
        .stdin(Stdio::from(submit))
        .stdout(Stdio::from(control))
        .stderr(Stdio::piped())
        .spawn();
    // The command keeps its ends, and would hold connections that nobody serves.
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let output = child.and_then(std::process::Child::wait_with_output);
    let output: io::Result<_> = output;
    let output = output.expect("the agent runs");
    assert!(
        output.status.success(),
        "the agent failed: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}
