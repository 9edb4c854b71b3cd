//! What is said over the agent's control socket: one request, then answers until it closes.

use control::listing::Row;
use serde::{Deserialize, Serialize};

/// In place of the ids, where root and the agent's user name them: every message.
pub const ALL: &str = "ALL";

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// All messages that the asker may see.
    List,
    /// One message: its row, then its header.
    Show { id: String },
    /// Try one, or all, now.
    Flush { id: Option<String> },
    /// Keep these and do not try them.
    Hold { ids: Vec<String> },
    /// The opposite.
    Release { ids: Vec<String> },
    /// What has been tried for this one after attempt number `after`; waits some seconds for the next.
    Follow { id: String, after: u64 },
    /// Return these to their senders.
    Bounce { ids: Vec<String> },
    /// Throw these away.
    Delete { ids: Vec<String> },
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Row(Row),
    /// Text for the terminal.
    Text(String),
    /// How many messages were changed, or will be tried.
    Changed(usize),
    /// One attempt for one recipient.
    Attempt(AttemptRow),
    /// Not done, and why.
    Refused(String),
}

/// One attempt for one recipient.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AttemptRow {
    /// Counts up.
    pub number: u64,
    pub recipient: String,
    /// As in the log: `sent`, `deferred`, `bounced`.
    pub status: String,
    pub relay: Option<String>,
    /// The relay's words, or the reason.
    pub text: String,
}
