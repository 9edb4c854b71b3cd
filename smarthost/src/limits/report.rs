//! The texts of the limit: reply to the client, line in the log, listing.

use mail::{clock::Timestamp, status::EnhancedStatus};
use queue::rate::Window;
use serde::{Deserialize, Serialize};
use smtp::reply::Reply;

use crate::{limits::Limit, network::Network};

/// The answer for one message or recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// On the exempt list, or there is no limit.
    Unlimited,
    /// With this one, so many of so many under the limit that is nearest to being reached.
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
    /// With this one.
    pub count: u32,
    /// In force (it may have been raised).
    pub limit: u32,
    pub counted: Limit,
    /// What is too much is attempts that came to nothing.
    pub attempts: bool,
    /// When the next message will be taken.
    pub next_slot: Timestamp,
    pub now: Timestamp,
}

impl Excess {
    /// `450 4.7.1 Error: too much mail from 10.0.0.7 (101 of 100 in a day; next slot at 07:51)`.
    pub fn reply(&self) -> Reply {
        let Self { client, count, .. } = self;
        let what = if self.attempts {
            "too many attempts"
        } else {
            "too much mail"
        };
        let text = format!(
            "Error: {what} from {client} ({count} of {}; next slot at {})",
            self.counted.words(),
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
pub(super) fn moment(at: Timestamp, now: Timestamp) -> String {
    if at.since(now).as_secs() < 86_400 {
        at.time_of_day()
    } else {
        at.rfc3339()
    }
}

/// A client's state, for `smarthost limits`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// What is counted as one; orders take it back as an argument.
    pub client: String,
    /// One for each limit in force: the count, and the limit.
    pub windows: Vec<(u32, Limit)>,
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
            .map(|(count, limit)| format!("{count} of {}", limit.words()))
            .collect();
        if windows.is_empty() {
            "no limit is set".to_owned()
        } else {
            windows.join(", ")
        }
    }
}
