//! Requests and answers: one JSON value a line ([`control`]).

use std::time::Duration;

use control::{order, status::Status};
use mail::clock::Timestamp;
use relay::enroll::Name;
use serde::{Deserialize, Serialize};

use crate::{
    drain::Progress,
    enroll::Row,
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
    /// Queue a test message for this address, or for the administrators; answered with its id, and
    /// with an attempt that failed for each who cannot get it.
    Test {
        to: Option<String>,
    },
    /// About machines that are known by keys of their own.
    Enroll(EnrollOrder),
    /// About the queue, as both daemons are asked.
    #[serde(untagged)]
    Queue(order::Request),
}

/// An order about machines that are known by keys of their own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum EnrollOrder {
    /// Make a line that lets one in.
    Invite(Invitation),
    List,
    Revoke {
        name: Name,
    },
    Forget {
        name: Name,
    },
}

/// Whom a line is to let in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Invitation {
    pub name: Name,
    pub good_for: Duration,
    /// Where the machine finds us, if not by our name.
    pub relay: Option<String>,
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
    /// Done; what changed, with both values, and the settings among them that take effect at the
    /// next restart.
    Reloaded {
        changed: Vec<String>,
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
    /// The order to empty this server into that one is ended: it was still asked.
    NotBegun(String),
    /// It lets a machine in; `replaces`: the one that has the name now.
    Line {
        line: String,
        until: Timestamp,
        replaces: Option<Row>,
    },
    Enrolled(Row),
    #[serde(untagged)]
    Queue(order::Answer),
}
