//! A process with its log.
//!
//! Contract: ended with SIGKILL when dropped; if the test is failing then, its log is printed.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::until;

/// A running program.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    unread: Arc<Gate>,
}

/// Whether nobody reads its log, and who waits for the end of that.
#[derive(Debug, Default)]
struct Gate {
    is_shut: Mutex<bool>,
    opens: Condvar,
}

/// As long as it lives nobody reads the log.
#[derive(Debug)]
pub struct Unread(Arc<Gate>);

impl Drop for Unread {
    fn drop(&mut self) {
        *self.0.is_shut.lock().unwrap() = false;
        self.0.opens.notify_all();
    }
}

impl Daemon {
    /// Starts it; what it says on standard error (and output) is its log.
    pub fn start(name: &str, command: &mut Command) -> Self {
        let (read, write) = std::io::pipe().unwrap();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(write.try_clone().unwrap())
            .stderr(write)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {name}: {e}"));
        // The command keeps its ends of the pipe, and with them the log would never end.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let log = Arc::new(Mutex::new(String::new()));
        let (into, mut from) = (Arc::clone(&log), BufReader::new(read));
        let unread = Arc::<Gate>::default();
        let gate = Arc::clone(&unread);
        let reader = thread::spawn(move || {
            let mut line = Vec::new();
            let open = || {
                let is_shut = gate.is_shut.lock().unwrap();
                let _open = gate.opens.wait_while(is_shut, |is_shut| *is_shut);
                true
            };
            while open() && from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                into.lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        let _ = child.try_wait();
        Self {
            name: name.to_owned(),
            child,
            log,
            reader: Some(reader),
            unread,
        }
    }

    /// From now on nobody reads what it says, as with a log whose reader has stopped.
    pub fn unread(&self) -> Unread {
        *self.unread.is_shut.lock().unwrap() = true;
        Unread(Arc::clone(&self.unread))
    }

    /// All it has said so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until its log has this text.
    pub fn wait_for_log(&self, text: &str) -> String {
        until(&format!("{} says '{text}'", self.name), || {
            Some(self.log()).filter(|log| log.contains(text))
        })
    }

    /// Process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Mebibytes of memory that it has held at most.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
        kibibytes.unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(Pid::from_raw)
            .unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let name = self.name.clone();
        until(&format!("{name} ends after SIGTERM"), || self.ended())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            #[expect(
                clippy::print_stderr,
                reason = "kept by the test runner for a test that fails"
            )]
            let () = eprintln!("---- log of {} ----\n{}----", self.name, self.log());
        }
    }
}
