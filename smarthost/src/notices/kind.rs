//! The sorts of news, and what a mail says that gathers several.

use serde::{Deserialize, Serialize};

use super::words::counted;

/// Of each sort there is one mail an hour at most.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// Clients near their limit.
    Limits,
    /// Clients at their limit: who heard that one came near it hears at once that it is refused.
    Full,
    /// Something that mail needs does not work, or works again.
    Outage,
    /// Mail that can neither be delivered nor returned.
    Dead,
    /// The configuration is wrong.
    Fault,
    /// Mail that must come does not, or a machine is silent.
    Expected,
    /// A line of `smarthost enroll` is in two hands, or something is wrong with what is known of
    /// machines.
    Enrolment,
    /// The digest of a day.
    Day,
}

impl Kind {
    /// The subject of a mail with so many news.
    pub(super) fn subject(self, host: &str, count: u64) -> String {
        match self {
            Self::Limits => {
                format!("{host}: clients came near their mail limit {count} times")
            }
            Self::Full => {
                format!("{host}: clients reached their mail limit {count} times")
            }
            Self::Outage => format!("{host}: {} began or ended", counted(count, "outage")),
            Self::Dead => {
                let messages = counted(count, "message");
                format!("{host}: {messages} can neither be delivered nor returned")
            }
            Self::Fault => format!("{host}: the configuration of smarthost is wrong"),
            Self::Expected => format!("{host}: {count} reports on expected mail"),
            Self::Enrolment => format!("{host}: {count} reports on enrolled machines"),
            Self::Day => format!("{host}: the day's mail"),
        }
    }

    /// Where those are found that a mail does not name.
    pub(super) fn more(self) -> &'static str {
        match self {
            Self::Limits | Self::Full => "smarthost limits list",
            Self::Outage => "smarthost status",
            Self::Dead => "smarthost queue list --held",
            Self::Fault => "smarthost check",
            Self::Expected => "smarthost expected list",
            Self::Enrolment => "smarthost enroll list",
            Self::Day => "smarthost queue summary",
        }
    }

    /// The last lines.
    pub(super) fn end(self) -> &'static str {
        match self {
            Self::Limits | Self::Full => {
                "To exempt a client: add it to limits.exempt in the configuration.\n\
                 No other mail of this kind is sent about the same client for a day.\n"
            }
            _ => "",
        }
    }
}
