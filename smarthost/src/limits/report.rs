//! The texts of the limit: reply to the client, line in the log, listing.

use std::collections::HashMap;

use mail::{clock::Timestamp, status::EnhancedStatus};
use queue::rate::Window;
use serde::{Deserialize, Serialize};
use smtp::reply::Reply;

use crate::{
    limits::{ClientId, Counted, Failed, Limit, rules::ordered},
    network::Network,
};

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

/// What is too much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// What this smarthost has counted.
    Count,
    /// Attempts that came to nothing.
    Attempts,
    /// What all smarthosts have counted together.
    Everywhere,
    /// The others cannot be asked.
    Alone,
}

/// Over the limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Excess {
    pub client: ClientId,
    /// With this one.
    pub count: u32,
    /// In force (it may have been raised).
    pub limit: u32,
    pub counted: Limit,
    pub why: Why,
    /// When the next message will be taken.
    pub next_slot: Timestamp,
    pub now: Timestamp,
}

impl Excess {
    /// `450 4.7.1 Error: too much mail from 10.0.0.7 (101 of 100 in a day; next slot at 07:51)`.
    pub fn reply(&self) -> Reply {
        let Self { client, count, .. } = self;
        let slot = self.next_slot.seen_from(self.now);
        if self.limit == 0 {
            let text = format!("Error: no mail is taken from {client} (blocked until {slot})");
            return Reply::new(450, EnhancedStatus::new(4, 7, 1), text);
        }
        let words = self.counted.words();
        let what = match self.why {
            Why::Attempts => "too many attempts",
            Why::Count | Why::Everywhere => "too much mail",
            Why::Alone => {
                let text = format!(
                    "Error: the limit of {client} ({words}) is shared with servers that cannot be asked now; try again later"
                );
                return Reply::new(450, EnhancedStatus::new(4, 7, 1), text);
            }
        };
        let text = format!("Error: {what} from {client} ({count} of {words}; next slot at {slot})");
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

/// A client's state, for `smarthost limits`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// What is counted as one; orders take it back as an argument.
    pub client: String,
    /// One for each limit in force: the count, and the limit.
    pub windows: Vec<(u32, Limit)>,
    /// What all smarthosts have counted together, where a budget is shared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub everywhere: Vec<(u32, Limit)>,
    /// What this smarthost has taken of its part of each limit, and that part, while the others
    /// cannot be asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alone: Vec<(u32, u32)>,
    /// Another limit by an order of the administrator, and its end.
    pub raised: Option<(u32, Timestamp)>,
    /// What the limit is without the order, if there is one.
    #[serde(default)]
    pub usual: Option<u32>,
    /// Messages that were begun and not taken, and their limit, if that is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<(u32, Limit)>,
    /// When the next message will be taken, if not now.
    pub next_slot: Option<Timestamp>,
    pub exempt: bool,
    /// Logins from there that failed lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logins: Option<Failed>,
}

impl Report {
    /// `raised to 500 messages in a day until …`, `lowered to 5 … until …`, `blocked until …`: what
    /// the administrator ordered.
    pub fn ordered(&self) -> Option<String> {
        let (limit, until) = self.raised?;
        let verb = match (limit, self.usual) {
            (0, _) => "blocked".to_owned(),
            (limit, None) => format!("set to {limit} {}", self.changes()),
            (limit, Some(usual)) if limit < usual => {
                format!("lowered to {limit} {}", self.changes())
            }
            (limit, Some(_)) => format!("raised to {limit} {}", self.changes()),
        };
        Some(format!("{verb} until {}", until.rfc3339()))
    }

    /// What the limit counts that orders change: `messages in a day`.
    pub fn changes(&self) -> String {
        let (counts, window) = self.changed().map_or_else(
            || (Counted::Messages, "a day".to_owned()),
            |limit| (limit.counts, limit.window.words()),
        );
        format!("{} in {window}", counts.name())
    }

    /// The limit that orders change, as it is in force.
    fn changed(&self) -> Option<Limit> {
        let limits: Vec<_> = self.windows.iter().map(|(_, limit)| *limit).collect();
        ordered(&limits).and_then(|index| limits.get(index).copied())
    }

    /// The part of the limit that is nearest to being reached, in percent; a client that is blocked
    /// has used all of it.
    pub fn percent(&self) -> u64 {
        let counts = self.windows.iter().chain(&self.everywhere);
        let parts = counts.chain(&self.attempts).map(|(count, limit)| {
            let limit = u64::from(limit.window.limit);
            (u64::from(*count) * 100).checked_div(limit).unwrap_or(100)
        });
        let alone = self.alone.iter().map(|(count, part)| {
            let count = u64::from(*count) * 100;
            count.checked_div(u64::from(*part)).unwrap_or(100)
        });
        parts.chain(alone).max().unwrap_or_default()
    }

    /// Whether it takes no more alone, until the other smarthosts can be asked.
    pub fn waits(&self) -> bool {
        self.alone.iter().any(|(count, part)| count >= part)
    }

    /// What all smarthosts have counted under a limit, if that is known.
    fn everywhere(&self, limit: &Limit) -> Option<u32> {
        let same = |known: &&(u32, Limit)| {
            known.1.counts == limit.counts && known.1.window.span == limit.window.span
        };
        self.everywhere.iter().find(same).map(|(sum, _)| *sum)
    }

    /// Messages within the longest time that is limited.
    pub fn messages(&self) -> u64 {
        let of_messages = self.windows.iter();
        let of_messages = of_messages.filter(|(_, limit)| limit.counts == Counted::Messages);
        of_messages
            .map(|(count, _)| u64::from(*count))
            .max()
            .unwrap_or_default()
    }

    /// A limit that lets twice as much through, to be typed.
    pub(super) fn twice(&self) -> u32 {
        self.changed()
            .map_or(1, |limit| limit.window.limit.saturating_mul(2).max(1))
    }

    /// Whether the limit that orders change is used to so many percent, and which others are.
    pub(super) fn used(&self, percent: u64) -> (bool, Vec<Limit>) {
        let limits: Vec<_> = self.windows.iter().map(|(_, limit)| *limit).collect();
        let ordered = ordered(&limits);
        let all = self.windows.iter().enumerate();
        let used = all.filter(|(_, (count, limit))| {
            let count = (*count).max(self.everywhere(limit).unwrap_or_default());
            let part = u64::from(count) * 100;
            let part = part.checked_div(u64::from(limit.window.limit));
            part.unwrap_or(100) >= percent
        });
        let (orders, others): (Vec<_>, Vec<_>) = used.partition(|(at, _)| Some(*at) == ordered);
        let others = others.into_iter().map(|(_, (_, limit))| *limit);
        (!orders.is_empty(), others.collect())
    }

    /// `80 of 100 in a day, 3 of 20 in 10 minutes`.
    pub fn usage(&self) -> String {
        if self.exempt {
            return "exempt, not counted".to_owned();
        }
        let mut windows: Vec<String> = self
            .windows
            .iter()
            .map(|(count, limit)| {
                let everywhere = self.everywhere(limit);
                let everywhere = everywhere.map(|sum| format!(" ({sum} on all servers)"));
                let everywhere = everywhere.unwrap_or_default();
                format!("{count} of {}{everywhere}", limit.words())
            })
            .collect();
        windows.extend(self.attempts.as_ref().map(|(count, limit)| {
            let limit = limit.words();
            format!("attempts that came to nothing: {count} of {limit}")
        }));
        windows.extend(
            self.alone.iter().map(|(count, part)| {
                format!("{count} of {part} here until all servers can be asked")
            }),
        );
        if windows.is_empty() {
            "no limit is set".to_owned()
        } else {
            windows.join(", ")
        }
    }
}

/// Enters in a list from where nobody is listened to now; those of whom nothing else is told.
pub fn note_closed(reports: &mut [Report], closed: Vec<(Network, Failed)>) -> Vec<Network> {
    let closed = closed.into_iter().map(|it| (it.0.to_string(), it));
    let mut closed: HashMap<String, (Network, Failed)> = closed.collect();
    for report in reports {
        if let Some((_, failed)) = closed.remove(&report.client) {
            report.logins = Some(failed);
        }
    }
    let mut others: Vec<_> = closed.into_values().map(|(network, _)| network).collect();
    others.sort_unstable();
    others
}
