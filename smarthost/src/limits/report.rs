//! The texts of the limit: reply to the client, line in the log, mail to the administrators, listing.

use mail::{clock::Timestamp, status::EnhancedStatus};
use queue::rate::Window;
use serde::{Deserialize, Serialize};
use smtp::reply::Reply;

use crate::network::Network;

/// The answer for one message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// On the exempt list, or there is no limit.
    Unlimited,
    /// Counted: so many of so many in the window that is nearest to its limit.
    Within {
        count: u32,
        limit: u32,
        window: Window,
    },
    /// Refused and not counted.
    Over(Excess),
}

/// Over the limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Excess {
    /// Address or network that is counted as one client.
    pub client: Network,
    /// With this message.
    pub count: u32,
    /// In force (it may have been raised).
    pub limit: u32,
    pub window: Window,
    /// When the next message will be taken.
    pub next_slot: Timestamp,
    pub now: Timestamp,
}

impl Excess {
    /// `450 4.7.1 Error: too much mail from 10.0.0.7 (101 of 100 in a day; next slot at 07:51)`.
    pub fn reply(&self) -> Reply {
        let Self {
            client,
            count,
            limit,
            window,
            ..
        } = self;
        let text = format!(
            "Error: too much mail from {client} ({count} of {limit} in {}; next slot at {})",
            window.words(),
            moment(self.next_slot, self.now)
        );
        Reply::new(450, EnhancedStatus::new(4, 7, 1), text)
    }

    /// As fail2ban knows it; `client` is `host[address]`:
    /// `Message delivery request rate limit exceeded: 101 from host[10.0.0.7] for service smtp`.
    pub fn log_text(&self, client: &str) -> String {
        format!(
            "Message delivery request rate limit exceeded: {} from {client} for service smtp",
            self.count
        )
    }
}

/// Time of day in the next 24 hours, the full date beyond.
fn moment(at: Timestamp, now: Timestamp) -> String {
    if at.since(now).as_secs() < 86_400 {
        at.time_of_day()
    } else {
        at.rfc3339()
    }
}

/// Which notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Level {
    /// 80 % of a window is used.
    Near,
    /// The first message is refused.
    Full,
}

/// A mail to the administrators.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    pub subject: String,
    pub text: String,
}

impl Notice {
    pub(super) fn new(level: Level, report: &Report, now: Timestamp) -> Self {
        let client = &report.client;
        let used = report.usage();
        let subject = match level {
            Level::Near => format!("{client} has sent most of the mail it may send ({used})"),
            Level::Full => {
                format!("{client} has sent all the mail it may send and is refused ({used})")
            }
        };
        let consequence = match (level, report.next_slot) {
            (Level::Full, Some(slot)) => format!(
                "Further messages are deferred (450), the next is taken at {}; a client with a queue loses nothing.",
                moment(slot, now)
            ),
            _ => "Above the limit its messages are deferred (450); a client with a queue loses nothing.".to_owned(),
        };
        let text = format!(
            "Client:   {client}\nMessages: {used}\n\n{consequence}\n\n\
             To look:   smarthost limits show {client}\n\
             To raise:  smarthost limits raise {client} 500 --until tomorrow\n\
             To forget: smarthost limits reset {client}\n\
             Never to count it: add it to limits.exempt in the configuration.\n\n\
             Nothing more of this kind is sent about this client for a day.\n"
        );
        Self { subject, text }
    }
}

/// A client's state, for `smarthost limits`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    pub client: String,
    /// One for each window: messages counted, and the window with the limit in force.
    pub windows: Vec<(u32, Window)>,
    /// A raised limit and its end.
    pub raised: Option<(u32, Timestamp)>,
    /// When the next message will be taken, if not now.
    pub next_slot: Option<Timestamp>,
    pub exempt: bool,
}

impl Report {
    /// `80 of 100 in a day, 3 of 20 in 10 minutes`.
    pub fn usage(&self) -> String {
        if self.exempt {
            return "exempt, not counted".to_owned();
        }
        let windows: Vec<String> = self
            .windows
            .iter()
            .map(|(count, window)| format!("{count} of {} in {}", window.limit, window.words()))
            .collect();
        if windows.is_empty() {
            "no limit is set".to_owned()
        } else {
            windows.join(", ")
        }
    }
}
