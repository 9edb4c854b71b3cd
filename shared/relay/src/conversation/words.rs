//! Connections that did not come about, or are over, as failures and in words.

use std::io;

use mail::{
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};

/// The failure of a connection that did not come about.
pub fn unreachable(relay: &str, blame: Blame, error: &io::Error) -> Failure {
    let status = EnhancedStatus::new(4, 4, 1);
    Failure::new(blame, Stage::Connect, status, &reason(error)).at(relay)
}

/// The failure of a connection that is closed already.
pub fn closed() -> Failure {
    Failure::new(
        Blame::Local,
        Stage::Connect,
        EnhancedStatus::new(4, 4, 2),
        "the connection is closed already",
    )
}

/// An I/O error in the words that mail administrators know.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "Connection timed out".to_owned(),
        _ => {
            let text = error.to_string();
            text.split_once(" (os error")
                .map_or(text.as_str(), |(words, _)| words)
                .to_owned()
        }
    }
}
