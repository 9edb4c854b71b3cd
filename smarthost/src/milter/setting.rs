//! One filter as it is configured: where it listens, how long it is waited for, what is done
//! without it.

use std::{fmt, path::Path, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use settings::Span;

use crate::policy::endpoint::{self, Endpoint};

/// A filter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Milter {
    pub endpoint: Endpoint,
    pub on_failure: OnFailure,
    /// Longest wait for each of its answers; `None`: [`COMMAND`] and [`CONTENT`].
    pub timeout: Option<Duration>,
}

/// Postfix's `milter_connect_timeout`, `milter_command_timeout`.
pub const COMMAND: Duration = Duration::from_secs(30);
/// Postfix's `milter_content_timeout`.
pub const CONTENT: Duration = Duration::from_mins(5);

/// What is done without an answer of a filter (Postfix's `milter_default_action`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// 451: the client comes again.
    #[default]
    Tempfail,
    /// As if the filter did not exist.
    Accept,
    /// 550
    Reject,
    /// Taken, and kept on hold.
    Quarantine,
}

impl OnFailure {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tempfail => "tempfail",
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Quarantine => "quarantine",
        }
    }
}

impl Milter {
    /// As the log and `report rejected` name the rule by which it refuses.
    pub fn rule(&self) -> String {
        format!("{RULE}{}", self.endpoint)
    }

    /// A relative path starts from this directory.
    pub(crate) fn place(&mut self, directory: &Path) {
        self.endpoint.place(directory);
    }
}

/// Whether a rule is that of a filter.
pub fn is_rule(rule: &str) -> bool {
    rule.starts_with(RULE)
}

const RULE: &str = "milter ";

impl TryFrom<String> for Milter {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Ok(Self {
            endpoint: Place::try_from(text)?.0,
            on_failure: OnFailure::default(),
            timeout: None,
        })
    }
}

/// Where it listens.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Place(Endpoint);
impl TryFrom<String> for Place {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        // Postfix knows `local` for `unix`.
        let unix = text
            .strip_prefix("local:")
            .map(|path| ["unix:", path].concat());
        Endpoint::parse(unix.as_ref().unwrap_or(&text))
            .map(Self)
            .map_err(|_| {
                format!(
                    "`{}` is not the address of a milter; write \"unix:/run/rspamd/milter.sock\" \
                     or \"inet:127.0.0.1:11332\"",
                    endpoint::shown(&text)
                )
            })
    }
}

/// A wait that lets a filter answer.
#[derive(Deserialize)]
#[serde(try_from = "Span")]
struct Wait(Duration);
impl TryFrom<Span> for Wait {
    type Error = &'static str;
    fn try_from(span: Span) -> Result<Self, &'static str> {
        // A client waits ten minutes for the answer to its message (RFC 5321 §4.5.3.2.6).
        if (Duration::from_secs(1)..Duration::from_mins(10)).contains(&span.0) {
            Ok(Self(span.0))
        } else {
            Err("write a time from \"1s\" to less than \"10m\", which is how long clients wait")
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    address: Place,
    #[serde(default)]
    on_failure: OnFailure,
    timeout: Option<Wait>,
}

/// `"unix:/run/rspamd/milter.sock"` or `{ address = "inet:127.0.0.1:11332", on_failure = "accept"
/// }`.
impl<'de> Deserialize<'de> for Milter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MilterVisitor)
    }
}

struct MilterVisitor;
impl<'de> Visitor<'de> for MilterVisitor {
    type Value = Milter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"unix:PATH\", \"inet:HOST:PORT\", or { address = \"unix:PATH\", on_failure = \"tempfail\", timeout = \"30s\" }")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Milter, E> {
        Milter::try_from(text.to_owned()).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Milter, A::Error> {
        let table = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Milter {
            endpoint: table.address.0,
            on_failure: table.on_failure,
            timeout: table.timeout.map(|wait| wait.0),
        })
    }
}
