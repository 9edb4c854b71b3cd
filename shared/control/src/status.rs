//! What a daemon says of itself, the same in both programs.

use std::time::Duration;

use mail::{clock::Timestamp, outcome::openly};
use serde::{Deserialize, Serialize};

use crate::summary::Summary;

/// Groups of the queue, clients and rules that are named in a status.
pub const NAMED: usize = 50;
/// Those of them that are printed at once.
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
    /// When all this was gathered.
    pub as_of: Timestamp,
    pub started: Timestamp,
    /// When the configuration in force was read.
    pub configured: Timestamp,
    pub listen: Vec<String>,
    pub sessions: u64,
    pub queued: u64,
    pub in_flight: u64,
    /// Clients with counters.
    pub clients: u64,
    /// Addresses whose logins are refused, after too many that failed.
    #[serde(skip_serializing_if = "is_none")]
    pub closed: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pin: String,
    /// When the certificate ends that listeners show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_ends: Option<Timestamp>,
    /// Mail that waits, by destination and by client or user; the oldest of a long queue.
    pub destinations: Summary,
    pub senders: Summary,
    /// Clients that have used most of a limit: name, part of the limit in percent, and the counts
    /// in words.
    pub limits: Vec<(String, u64, String)>,
    /// Clients that have sent most within the longest time that is limited.
    pub client_messages: Vec<(String, u64)>,
    /// What came and went since the start.
    pub counted: Counted,
    /// Who brought mail since the start, on a machine: by user and unit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<Taken>,
    /// What was refused since the start, by rule.
    pub refused: Vec<(String, u64)>,
    /// What the daemon asks, and how it does.
    pub services: Vec<Service>,
    /// Hosts that have said how many connections they take, those who said it last first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub learned: Vec<Learned>,
    pub spool: Spool,
    /// Mail is taken and not sent, until that is mended.
    pub queues_only: bool,
    /// How far it is, where this server is being emptied into another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draining: Option<String>,
    /// Why no mail is taken, by an order of an administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuses: Option<String>,
    /// What wants an administrator, and is no fault of the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
    /// What is wrong with the configuration's files, and what is done meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl Status {
    /// What everybody may know of it: words of peers, alarms and lines of files may name whose mail
    /// they are about, and are for administrators.
    #[must_use]
    pub fn openly(mut self) -> Self {
        let program = &self.program;
        for service in &mut self.services {
            service.text = openly(&service.text);
        }
        if !self.alarms.is_empty() {
            let count = self.alarms.len();
            let told = format!("administrators are told of {count}: {program} status");
            self.alarms = vec![told];
        }
        if self.refuses.is_some() {
            let told = format!("no mail is accepted, by an order: {program} status says why");
            self.refuses = Some(told);
        }
        if self.fault.is_some() {
            let told = format!("the configuration is wrong: {program} check says where");
            self.fault = Some(told);
        }
        self
    }
}

/// What came and went since the start.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counted {
    /// Messages of clients that were answered 250, and their bytes.
    pub received: u64,
    pub received_bytes: u64,
    /// Attempts that came to nothing for now, by what they failed at; one a recipient.
    pub deferred: Vec<(String, u64)>,
    /// Recipients that were delivered to, and those that were given up, by the age of their
    /// messages then.
    pub delivered: Histogram,
    pub failed: Histogram,
    /// Recipients whose mail an administrator deleted.
    pub removed: u64,
}

/// Messages of a user that were answered 250.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Taken {
    pub user: String,
    /// The systemd unit that they came from; empty where none is known.
    pub unit: String,
    pub messages: u64,
    pub bytes: u64,
}

/// Where the parts of a [`Histogram`] end, in seconds.
pub const BOUNDS: [u64; 12] = [
    1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200, 86_400, 259_200, 432_000,
];

/// Times, counted by how long they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Histogram {
    /// Up to each of [`BOUNDS`], without those of the parts before.
    pub parts: [u64; BOUNDS.len()],
    pub longer: u64,
    pub sum_millis: u64,
}

impl Histogram {
    pub fn add(&mut self, time: Duration) {
        let place = BOUNDS
            .iter()
            .position(|end| time <= Duration::from_secs(*end));
        let part = place.and_then(|place| self.parts.get_mut(place));
        let part = part.unwrap_or(&mut self.longer);
        *part = part.saturating_add(1);
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.sum_millis = self.sum_millis.saturating_add(millis);
    }

    pub fn count(&self) -> u64 {
        self.parts.iter().sum::<u64>().saturating_add(self.longer)
    }
}

impl Counted {
    /// An attempt came to nothing; `class` is one of few words.
    pub fn deferred(&mut self, class: &str) {
        match self.deferred.iter_mut().find(|(known, _)| known == class) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.deferred.push((class.to_owned(), 1)),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_none(count: &u64) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_not(flag: &bool) -> bool {
    !*flag
}

/// Something that is asked.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Service {
    /// `block list`, `policy server`, `milter`, `resolver`, `verification`, `counters`,
    /// `relayhost`, `next hop`, `budget`.
    pub kind: String,
    pub name: String,
    pub works: bool,
    pub text: String,
    /// Without it no mail is taken.
    #[serde(default, skip_serializing_if = "is_not")]
    pub stops: bool,
}

impl Service {
    pub fn new(kind: &str, name: impl ToString, works: bool, text: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_string(),
            works,
            text: text.into(),
            stops: false,
        }
    }

    /// Whether no mail is taken while it fails.
    #[must_use]
    pub fn stopping(self, stops: bool) -> Self {
        Self { stops, ..self }
    }
}

/// How many connections hosts take, as they have said themselves.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Learned {
    /// By which transport, where that has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// Names with ports, of all that share it.
    pub hosts: Vec<String>,
    /// At most so many are opened now.
    pub connections: u64,
    pub learned: Timestamp,
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
    /// The disk does not answer: nobody else should try to write there.
    pub hangs: bool,
    /// Why it takes no mail.
    pub fault: Option<String>,
}
