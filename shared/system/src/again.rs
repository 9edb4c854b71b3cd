//! A program that starts anew in its own place: same process, same arguments, same sockets of
//! systemd.
//!
//! Contract: whatever is to outlast the program (queue, log) was written and closed before.
//! Failures: [`start`] returns only if it failed; the program then ends with the reason, and its
//! unit starts it again.

use std::{os::fd::AsFd, os::unix::process::CommandExt as _, process::Command};

use rustix::io::{FdFlags, fcntl_setfd};

/// A socket that systemd handed over stays open for the program that takes our place.
pub fn keep_open(socket: impl AsFd) {
    // If it cannot be kept, systemd still has it, and hands it over at the next start.
    let _ = fcntl_setfd(socket, FdFlags::empty());
}

/// Starts anew with so many sockets of systemd, which lie where systemd put them
/// (`sd_listen_fds(3)`); or tells why not.
pub fn start(sockets: usize) -> String {
    let mut command = Command::new("/proc/self/exe");
    let mut words = std::env::args_os();
    if let Some(name) = words.next() {
        command.arg0(name);
    }
    command.args(words);
    if sockets > 0 {
        // Without LISTEN_PID: the process is the same.
        command.env("LISTEN_FDS", sockets.to_string());
    }
    format!("cannot start anew: {}", command.exec())
}
