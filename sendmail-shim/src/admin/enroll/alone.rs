//! One `sendmail-shim enroll` at a time changes the key and the settings of a spool.
//!
//! Contract: who waits finds what the one before has made, and waits for a bounded time. The lock
//! is on the directory itself: it ends with the process, and leaves nothing behind.

use std::{
    fs::{File, TryLockError},
    io::ErrorKind,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use system::sysexits::Exit;

use super::exchange::not_done;
use crate::terminal::{CommandError, complain};

/// The longest wait: several relays that do not answer.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often it is looked again.
const LOOK: Duration = Duration::from_millis(200);

/// Waits until nobody else is at work there, and holds others off as long as what is returned
/// lives. `None`: there is no spool yet.
pub(super) fn alone(spool: &Path) -> Result<Option<File>, CommandError> {
    let told = |error: std::io::Error| not_done(format!("{}: {error}", spool.display()));
    let held = match File::open(spool) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(told)?,
    };
    let begun = Instant::now();
    let mut has_told = false;
    loop {
        match held.try_lock() {
            Ok(()) => return Ok(Some(held)),
            Err(TryLockError::Error(error)) => return Err(told(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        if begun.elapsed() >= PATIENCE {
            return Err(CommandError::new(
                Exit::TempFail,
                "another sendmail-shim enroll is still at work; nothing has changed; run the same \
                 command again to go on",
            ));
        }
        if !has_told {
            complain(
                "sendmail-shim",
                format_args!("another sendmail-shim enroll is at work: waiting for it"),
            );
            has_told = true;
        }
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "neither a lock that may be held for ever nor the agent tells when it is time"
)]
pub(super) fn pause() {
    thread::sleep(LOOK);
}
