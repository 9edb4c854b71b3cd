//! What is said over the agent's control socket: one request, then answers until it closes.

use serde::{Deserialize, Serialize};
use shared::listing::Row;

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
    /// Not done, and why.
    Refused(String),
}
