//! What is said over the agent's control socket: one request, then answers until it closes.

use control::order;
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Request {
    /// About the queue, as both daemons are asked.
    Queue(order::Request),
    /// What has been tried for this one after attempt number `after`; waits some seconds for the next.
    Follow { id: String, after: u64 },
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    Queue(order::Answer),
    /// One attempt for one recipient.
    Attempt(AttemptRow),
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
