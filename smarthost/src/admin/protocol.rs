//! Requests and answers: one JSON value a line ([`control`]).

use control::listing::Row;
use mail::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{limits::Report, network::Network};

/// Which messages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Selection {
    All,
    /// Queue ids, as typed.
    Ids(Vec<String>),
}

/// A question or an order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Request {
    Status,
    /// Read the configuration anew; answered when it is in force, or is not.
    Reload,
    QueueList,
    /// One message: its row and its header section.
    QueueShow {
        id: String,
    },
    QueueFlush(Selection),
    QueueHold(Selection),
    QueueRelease(Selection),
    QueueDelete(Selection),
    LimitsList,
    LimitsShow {
        client: Network,
    },
    LimitsReset {
        client: Network,
    },
    LimitsRaise {
        client: Network,
        limit: u32,
        until: Timestamp,
    },
}

/// One line of the answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    Row(Row),
    /// Header section of a message, escaped.
    Header(String),
    Report(Report),
    Status(Status),
    /// Done; these settings have changed and take effect at the next restart.
    Reloaded {
        restart: Vec<String>,
    },
    /// So many messages were flushed, held, released or deleted.
    Done {
        messages: u64,
    },
    /// What could not be done, and why.
    Error(String),
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
    /// What is wrong with the configuration's files, and what is done meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}
