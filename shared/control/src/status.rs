//! What a daemon says of itself, the same in both programs.

use mail::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::summary::Summary;

/// Groups of the queue in a status.
pub const GROUPS: usize = 10;
/// Messages that are looked at for it: the oldest of a long queue.
pub const LOOKED_AT: usize = 20_000;

/// The daemon in numbers.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    pub program: String,
    pub version: String,
    pub hostname: String,
    pub pid: u32,
    pub started: Timestamp,
    /// When the configuration in force was read.
    pub configured: Timestamp,
    pub listen: Vec<String>,
    pub sessions: u64,
    pub queued: u64,
    pub in_flight: u64,
    /// Clients with counters.
    pub clients: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pin: String,
    /// Mail that waits, by destination and by client or user; the oldest of a long queue.
    pub destinations: Summary,
    pub senders: Summary,
    /// Clients that have used most of a limit: name, part of the limit in percent, and the counts in words.
    pub limits: Vec<(String, u64, String)>,
    /// What was refused since the start, by rule.
    pub refused: Vec<(String, u64)>,
    /// What the daemon asks, and how it does.
    pub services: Vec<Service>,
    pub spool: Spool,
    /// What wants an administrator, and is no fault of the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
    /// What is wrong with the configuration's files, and what is done meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Something that is asked.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Service {
    /// `block list`, `policy server`, `resolver`, `relayhost`.
    pub kind: String,
    pub name: String,
    pub works: bool,
    pub text: String,
}

impl Service {
    pub fn new(kind: &str, name: impl ToString, works: bool, text: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_string(),
            works,
            text: text.into(),
        }
    }
}

/// Where mail is kept.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Spool {
    pub path: String,
    /// `None`: cannot be seen.
    pub free_bytes: Option<u64>,
    /// When something was last brought to the disk, and how many microseconds that took.
    pub last_sync: Option<(Timestamp, u64)>,
    /// Why it takes no mail.
    pub fault: Option<String>,
}
