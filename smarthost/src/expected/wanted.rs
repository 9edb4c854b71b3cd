//! What must come, how often, and which messages are it.

use std::{fmt, time::Duration};

use mail::clock::{Timestamp, Zone};
use serde::{Deserialize, Serialize};
use settings::{Pattern, Span};

use super::Came;
use crate::network::Network;

/// Longest pattern or name, bytes.
const LONGEST: usize = 300;
/// The longest that something may not come.
const RAREST: Duration = Duration::from_hours(400 * 24);
const DAY: u64 = 86_400;

/// `{ client = "vm7", sender = "root@*", subject = "backup*", every = "1d", grace = "3h" }`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Wanted {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Who>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<Pattern>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Pattern>,
    pub every: Every,
    pub grace: Every,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    client: Option<Who>,
    sender: Option<Pattern>,
    subject: Option<Pattern>,
    every: Every,
    grace: Option<Every>,
}

impl TryFrom<Written> for Wanted {
    type Error = String;
    fn try_from(it: Written) -> Result<Self, String> {
        Self::new((it.client, it.sender, it.subject), it.every, it.grace)
    }
}

impl Wanted {
    /// Without a grace it is an eighth of the time: three hours for what comes each day.
    pub fn new(
        (client, sender, subject): (Option<Who>, Option<Pattern>, Option<Pattern>),
        every: Every,
        grace: Option<Every>,
    ) -> Result<Self, String> {
        if client.is_none() && sender.is_none() && subject.is_none() {
            return Err("it names no mail; add a client, sender or subject".to_owned());
        }
        let usual = || Every(Duration::from_secs((every.0.as_secs() / 8).max(1)));
        Ok(Self {
            client,
            sender,
            subject,
            every,
            grace: grace.unwrap_or_else(usual),
        })
    }

    pub(super) fn means(&self, came: &Came) -> bool {
        let client = match &self.client {
            None => came.ours,
            Some(who) => who.is(came),
        };
        client
            && self.sender.as_ref().is_none_or(|it| it.fits(&came.sender))
            && self
                .subject
                .as_ref()
                .is_none_or(|it| it.fits(&came.subject))
    }

    /// When the next one is late, after one that came then.
    pub(super) fn due(&self, last: Timestamp, zone: &Zone) -> Timestamp {
        let every = self.every.0.as_secs();
        let next = match u32::try_from(every / DAY) {
            Ok(days) if every.is_multiple_of(DAY) => last.after_days(days, zone),
            _ => last.after(self.every.0),
        };
        next.after(self.grace.0)
    }
}

/// `"backup*" of vm7`, `mail of root@vm7.example.org`.
impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Some(subject) => write!(f, "\"{subject}\"")?,
            None => f.write_str("mail")?,
        }
        if let Some(sender) = &self.sender {
            write!(f, " from {sender}")?;
        }
        match &self.client {
            Some(client) => write!(f, " of {client}"),
            None => Ok(()),
        }
    }
}

/// A time between two messages: `1d`, `12h`, `7d`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Every(pub Duration);

impl Every {
    pub(super) const fn days(days: u64) -> Self {
        Self(Duration::from_secs(days * DAY))
    }
}
impl TryFrom<String> for Every {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match Span::try_from(text)? {
            Span(span) if span.is_zero() || span > RAREST => {
                Err("write a time between 1s and 400d".to_owned())
            }
            Span(span) => Ok(Self(span)),
        }
    }
}
impl std::str::FromStr for Every {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::try_from(text.to_owned())
    }
}
impl From<Every> for String {
    fn from(every: Every) -> Self {
        every.to_string()
    }
}
impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Span(self.0).fmt(f)
    }
}

/// A machine: the name of its key or login, its host name as it greets, an address, or a network.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Who {
    Network(Network),
    Name(String),
}

impl Who {
    /// A name is believed of our own clients alone.
    fn is(&self, came: &Came) -> bool {
        let name = match self {
            Self::Network(network) => return network.contains(came.address),
            Self::Name(name) => name,
        };
        let is = |said: &String| {
            let first = said.split('.').next().unwrap_or_default();
            said.eq_ignore_ascii_case(name) || first.eq_ignore_ascii_case(name)
        };
        came.ours && (came.name.as_ref().is_some_and(is) || came.helo.as_ref().is_some_and(is))
    }
}
impl TryFrom<String> for Who {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if let Ok(network) = Network::parse(&text) {
            return Ok(Self::Network(network));
        }
        let bad = |c: char| c.is_whitespace() || c.is_control() || ":/[,*".contains(c);
        let numeric = text.chars().all(|c| c.is_ascii_digit() || c == '.');
        if text.is_empty() || text.len() > LONGEST || text.contains(bad) || numeric {
            let shown = text.escape_debug();
            return Err(format!(
                "`{shown}` is not a client; write the name of its key, its login, its host name, \
                 its address or its network"
            ));
        }
        Ok(Self::Name(text))
    }
}
impl std::str::FromStr for Who {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::try_from(text.to_owned())
    }
}
impl From<Who> for String {
    fn from(who: Who) -> Self {
        who.to_string()
    }
}
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}
