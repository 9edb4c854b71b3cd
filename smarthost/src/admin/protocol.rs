//! Requests and answers: one JSON value a line ([`control`]).

use control::{order, status::Status};
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
    Status(Box<Status>),
    /// Done; these settings have changed and take effect at the next restart.
    Reloaded {
        restart: Vec<String>,
    },
    /// The client had been counted.
    Forgotten(bool),
    #[serde(untagged)]
    Queue(order::Answer),
}
