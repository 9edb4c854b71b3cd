//! What is said over the agent's control socket: one request, then answers until it closes.

use control::{order, status::Status};
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The settings that the agent has, which need not be those of the files.
    Settings,
    /// How the agent does, and what of the asker's mail waits.
    Status,
    /// What would become of these addresses if the asker mailed to them, as `-bv` says.
    Verify(Vec<String>),
    /// About the queue, as both daemons are asked.
    #[serde(untagged)]
    Queue(order::Request),
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// All settings, as the file would have them (TOML).
    Settings(String),
    Status(Box<Status>),
    /// A line of what is told of an address.
    Told(String),
    /// Whether all of them can be mailed to.
    Mailable(bool),
    #[serde(untagged)]
    Queue(order::Answer),
}
