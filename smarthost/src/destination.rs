//! Where and how mail is handed on: one value of the settings, of routing, and of the queue. Pure.
//!
//! Contract: what is printed reads back as the same destination, but for who named it and by which
//! transport. A transport is a variant of [`Kind`] and a row of [`ROWS`] here, and its delivery in
//! `transport`.
//! Failures: a text that quotes the form to write.

use std::{fmt, path::PathBuf, sync::Arc};

use mail::nexthop::Nexthop;
use serde::{Deserialize, Deserializer};

/// Where mail is taken to. Equal destinations share connections, concurrency and back-off.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Destination {
    /// The transport in the settings; `None`: the one of its kind that has no settings.
    pub transport: Option<Arc<str>>,
    pub kind: Kind,
}

/// By which protocol, and to whom.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    Smtp {
        nexthop: Nexthop,
        /// It is the relayhost, the first of several, by which all of them are meant: `relay_tls`
        /// applies; otherwise opportunistic TLS.
        relayhost: bool,
        /// The administrator named it, as relayhost or in the routes; otherwise it is the
        /// recipient's own domain.
        named: bool,
    },
    /// Dovecot and its like (row D5).
    Lmtp(LmtpTarget),
    /// Mail that ends on this machine; the directory.
    Maildir(PathBuf),
    /// The transport's program; what the macro `${nexthop}` stands for.
    Pipe(String),
    /// A program that an alias names.
    Program(String),
    /// Back into the queue, to those whom an alias names by now: the recipient was queued before it
    /// did.
    Aliases,
}

/// An LMTP server.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum LmtpTarget {
    Unix(PathBuf),
    Tcp(Nexthop),
}

/// How a destination is written: what stands before the colon, and what is read behind it.
struct Row {
    name: &'static str,
    read: fn(&str) -> Result<Kind, String>,
}

/// One for each transport; `relay` is what Postfix calls SMTP to our own domains.
const ROWS: [Row; 5] = [
    Row {
        name: "smtp",
        read: smtp,
    },
    Row {
        name: "relay",
        read: smtp,
    },
    Row {
        name: "lmtp",
        read: |text| LmtpTarget::parse(text).map(Kind::Lmtp),
    },
    Row {
        name: "maildir",
        read: maildir,
    },
    Row {
        name: "pipe",
        read: |_| {
            Err(
                "a pipe has settings: write [transports.NAME] with its command, and \"NAME\" here"
                    .to_owned(),
            )
        },
    },
];

impl Kind {
    /// What stands behind the colon of a transport that needs no settings; `None`: there is no such
    /// transport.
    pub fn read(transport: &str, text: &str) -> Option<Result<Self, String>> {
        let row = ROWS.iter().find(|row| row.name == transport)?;
        Some((row.read)(text))
    }

    /// Whether a name is that of a transport that needs no settings.
    pub fn is_reserved(name: &str) -> bool {
        name != "relay" && ROWS.iter().any(|row| row.name == name)
    }

    /// A next hop that the administrator names.
    pub fn named(text: &str) -> Result<Self, String> {
        smtp(text)
    }
}

impl Destination {
    /// As in the routes table: `lmtp:unix:/run/dovecot/lmtp`, `maildir:/var/mail/relay`, or a next
    /// hop, with `smtp:` or without.
    pub fn parse(text: &str) -> Result<Self, String> {
        let read = text
            .split_once(':')
            .and_then(|(name, rest)| Kind::read(name, rest));
        read.unwrap_or_else(|| smtp(text)).map(Self::from)
    }

    /// The relayhost.
    pub fn relayhost(nexthop: Nexthop) -> Self {
        Self::from(Kind::Smtp {
            nexthop,
            relayhost: true,
            named: true,
        })
    }

    /// The domain of a recipient, or the host of its address literal.
    pub fn of_recipient(nexthop: Nexthop) -> Self {
        Self::from(Kind::Smtp {
            nexthop,
            relayhost: false,
            named: false,
        })
    }

    /// Whether it is the relayhost.
    pub fn is_relayhost(&self) -> bool {
        matches!(
            self.kind,
            Kind::Smtp {
                relayhost: true,
                ..
            }
        )
    }

    /// The same by a transport of the settings.
    #[must_use]
    pub fn by(self, transport: &Arc<str>) -> Self {
        Self {
            transport: Some(Arc::clone(transport)),
            ..self
        }
    }
}

impl From<Kind> for Destination {
    fn from(kind: Kind) -> Self {
        Self {
            transport: None,
            kind,
        }
    }
}

fn smtp(text: &str) -> Result<Kind, String> {
    match Nexthop::parse(text) {
        Ok(nexthop) => Ok(Kind::Smtp {
            nexthop,
            relayhost: false,
            named: true,
        }),
        Err(error) => Err(error.to_string()),
    }
}

fn maildir(text: &str) -> Result<Kind, String> {
    if text.starts_with('/') {
        Ok(Kind::Maildir(text.into()))
    } else {
        Err(format!(
            "`{text}`: write the whole path, \"maildir:/var/mail/relay\""
        ))
    }
}

/// What stands behind the transport: a next hop, a path, a program.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smtp { nexthop, .. } => write!(f, "{nexthop}"),
            Self::Lmtp(target) => write!(f, "{target}"),
            Self::Maildir(path) => write!(f, "{}", path.display()),
            Self::Pipe(nexthop) => f.write_str(nexthop),
            Self::Program(command) => write!(f, "|{command}"),
            Self::Aliases => f.write_str("aliases"),
        }
    }
}

/// `smtp:example.net`, `lmtp:unix:/run/dovecot/lmtp`, `maildir:/var/lib/smarthost/Maildir`,
/// `slow:example.net`.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = match &self.kind {
            Kind::Smtp { .. } => "smtp:",
            Kind::Lmtp(_) => "lmtp:",
            Kind::Maildir(_) => "maildir:",
            Kind::Pipe(_) | Kind::Program(_) | Kind::Aliases => "",
        };
        match &self.transport {
            Some(name) => write!(f, "{name}:{}", self.kind),
            None => write!(f, "{usual}{}", self.kind),
        }
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl LmtpTarget {
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(path) => Err(format!(
                "`{path}`: write the whole path, \"unix:/run/dovecot/lmtp\""
            )),
            None => Nexthop::parse(text)
                .map(|nexthop| {
                    Self::Tcp(Nexthop {
                        mx: false,
                        ..nexthop
                    })
                })
                .map_err(|error| format!("{error}; or \"unix:/run/dovecot/lmtp\"")),
        }
    }
}

impl<'de> Deserialize<'de> for LmtpTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for LmtpTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(nexthop) => write!(f, "{nexthop}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_written_as_it_is_read_and_a_wrong_one_shows_the_form() {
        for (text, printed) in [
            ("[10.0.0.5]:25", "smtp:[10.0.0.5]:25"),
            ("smtp:example.net", "smtp:example.net"),
            ("relay:example.net", "smtp:example.net"),
            ("lmtp:unix:/run/dovecot/lmtp", "lmtp:unix:/run/dovecot/lmtp"),
            ("lmtp:[127.0.0.1]:24", "lmtp:[127.0.0.1]:24"),
            ("maildir:/var/mail/x", "maildir:/var/mail/x"),
        ] {
            let destination = Destination::parse(text).unwrap();
            assert_eq!(destination.to_string(), printed);
            assert_eq!(Destination::parse(printed), Ok(destination));
        }
        for (text, remedy) in [
            ("lmtp:unix:lmtp", "unix:/run/dovecot/lmtp"),
            ("maildir:Maildir", "write the whole path"),
            ("pipe:x", "[transports.NAME]"),
            ("pipes:x", "the port is a number"),
            ("", "host is missing"),
        ] {
            let error = Destination::parse(text).unwrap_err();
            assert!(error.contains(remedy), "{text}: {error}");
        }
    }
}
