//! One line, machine or key, as administrators see it.

use mail::clock::Timestamp;
use relay::{enroll::Name, trust::Pin};
use serde::{Deserialize, Serialize};

/// How it stands with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The line was not used yet.
    Open,
    /// Nor will it be.
    Expired,
    Enrolled,
    Revoked,
    /// Another key has taken its place.
    Replaced,
}

impl State {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Expired => "expired",
            Self::Enrolled => "enrolled",
            Self::Revoked => "revoked",
            Self::Replaced => "replaced",
        }
    }
}

/// A line was used again, with another key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Twice {
    pub count: u64,
    pub last: Timestamp,
    /// The key that was not let in, the last one.
    pub key: Pin,
    /// Where it came from.
    pub from: String,
    /// Administrators were written to.
    pub told: bool,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Row {
    pub name: Name,
    pub state: State,
    pub key: Option<Pin>,
    /// Was told, and not seen yet.
    pub next: Option<Pin>,
    /// Since when it stands so.
    pub since: Timestamp,
    /// Until when a line can be used.
    pub until: Option<Timestamp>,
    /// Where the machine came from when it used the line.
    pub from: Option<String>,
    pub twice: Option<Twice>,
}

impl Row {
    pub(super) fn new(name: &Name, state: State, since: Timestamp) -> Self {
        Self {
            name: name.clone(),
            state,
            key: None,
            next: None,
            since,
            until: None,
            from: None,
            twice: None,
        }
    }
}
