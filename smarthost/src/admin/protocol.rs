//! Requests and answers: one JSON value a line ([`control`]).

use control::order;
use mail::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::limits::{ClientId, Report};

/// A question or an order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Request {
    Status,
    /// Read the configuration anew; answered when it is in force, or is not.
    Reload,
    LimitsList,
    LimitsShow {
        client: ClientId,
    },
    LimitsReset {
        client: ClientId,
    },
    LimitsRaise {
        client: ClientId,
        limit: u32,
        until: Timestamp,
    },
    /// About the queue, as both daemons are asked.
    #[serde(untagged)]
    Queue(order::Request),
}

/// One line of the answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    Report(Report),
    Status(Status),
    /// Done; these settings have changed and take effect at the next restart.
    Reloaded {
        restart: Vec<String>,
    },
    /// The client had been counted.
    Forgotten(bool),
    #[serde(untagged)]
    Queue(order::Answer),
}

/// The daemon in numbers.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub hostname: String,
    pub pid: u32,
    pub started: Timestamp,
    pub listen: Vec<String>,
    pub sessions: u64,
    pub queued: u64,
    pub in_flight: u64,
    /// Clients with counters.
    pub clients: u64,
    pub pin: String,
    /// What wants an administrator, and is no fault of the configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
    /// What is wrong with the configuration's files, and what is done meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}
