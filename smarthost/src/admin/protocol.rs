//! Requests and answers: one JSON value a line ([`control`]).

use control::{order, status::Status};
use mail::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    drain::Progress,
    expected::{Proposal, Standing, Wanted},
    explain::Asked,
    limits::{ClientId, Report},
};

/// A question or an order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Request {
    Status,
    /// The same as it was a moment ago, for who asks again and again.
    Recent,
    /// Read the configuration anew; answered when it is in force, or is not.
    Reload,
    /// The settings in force.
    Settings,
    /// What would be decided, or where mail goes; nothing happens by it.
    Explain(Asked),
    LimitsList,
    LimitsShow {
        client: ClientId,
    },
    LimitsReset {
        client: ClientId,
    },
    /// A smarthost that shares the budget is gone for good.
    ForgetNode {
        node: String,
    },
    LimitsRaise {
        client: ClientId,
        limit: u32,
        until: Timestamp,
    },
    /// Mail that must come; `learned`: what is proposed instead.
    ExpectedList {
        learned: bool,
    },
    ExpectedAdd {
        wanted: Wanted,
    },
    /// What was learned under this number.
    ExpectedConfirm {
        number: u32,
    },
    ExpectedForget {
        number: u32,
    },
    /// Empty this server into another one; `Working` is said until that one has answered.
    Drain {
        to: String,
        pin: String,
    },
    /// Take mail and deliver it again.
    DrainStop,
    /// How far it is.
    DrainProgress,
    /// About the queue, as both daemons are asked.
    #[serde(untagged)]
    Queue(order::Request),
}

/// One line of the answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    Report(Report),
    Status(Box<Status>),
    /// Key and value, as they may be written.
    Settings(Vec<(String, String)>),
    /// Told, in pieces; whoever has to wait for the next one hears [`order::Answer::Working`].
    Explained(String),
    /// Done; these settings have changed and take effect at the next restart.
    Reloaded {
        restart: Vec<String>,
    },
    /// Whether the client had been counted, and whether logins from there had failed.
    Forgotten {
        counted: bool,
        logins: bool,
    },
    /// Something that is expected, or was until now.
    Expected(Standing),
    Proposed(Proposal),
    /// How far a drain is; `None`: there is none.
    Drain(Option<Progress>),
    #[serde(untagged)]
    Queue(order::Answer),
}
