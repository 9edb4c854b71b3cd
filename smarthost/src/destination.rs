//! Where and how mail is handed on: one value of the settings, of routing, and of the queue. Pure.
//!
//! Contract: what is printed reads back as the same destination, but for who named it. A transport is a variant and a row of [`ROWS`] here, and
//! its delivery in `delivery`.
//! Failures: a text that quotes the form to write.

use std::{fmt, path::PathBuf};

use mail::nexthop::Nexthop;
use serde::{Deserialize, Deserializer};

/// Where mail is taken to. Equal destinations share connections, concurrency and back-off.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Destination {
    Smtp {
        nexthop: Nexthop,
        /// It is the relayhost: `relay_tls` applies; otherwise opportunistic TLS.
        relayhost: bool,
        /// The administrator named it, as relayhost or in the routes; otherwise it is the recipient's own domain.
        named: bool,
    },
    /// Dovecot and its like (row D5).
    Lmtp(LmtpTarget),
    /// Mail that ends on this machine; the directory.
    Maildir(PathBuf),
    /// Back into the queue, to those whom an alias names by now: the recipient was queued before it did.
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
    read: fn(&str) -> Result<Destination, String>,
}

/// One for each transport.
const ROWS: [Row; 3] = [
    Row {
        name: "smtp",
        read: smtp,
    },
    Row {
        name: "lmtp",
        read: |text| LmtpTarget::parse(text).map(Destination::Lmtp),
    },
    Row {
        name: "maildir",
        read: maildir,
    },
];

impl Destination {
    /// As in the routes table: `lmtp:unix:/run/dovecot/lmtp`, `maildir:/var/mail/relay`, or a next hop, with `smtp:` or without.
    pub fn parse(text: &str) -> Result<Self, String> {
        let row = ROWS.iter().find_map(|row| {
            let rest = text.strip_prefix(row.name)?.strip_prefix(':')?;
            Some((row, rest))
        });
        match row {
            Some((row, rest)) => (row.read)(rest),
            None => smtp(text),
        }
    }

    /// The relayhost.
    pub fn relayhost(nexthop: Nexthop) -> Self {
        Self::Smtp {
            nexthop,
            relayhost: true,
            named: true,
        }
    }

    /// The domain of a recipient, or the host of its address literal.
    pub fn of_recipient(nexthop: Nexthop) -> Self {
        Self::Smtp {
            nexthop,
            relayhost: false,
            named: false,
        }
    }
}

fn smtp(text: &str) -> Result<Destination, String> {
    match Nexthop::parse(text) {
        Ok(nexthop) => Ok(Destination::Smtp {
            nexthop,
            relayhost: false,
            named: true,
        }),
        Err(error) => Err(error.to_string()),
    }
}

fn maildir(text: &str) -> Result<Destination, String> {
    if text.starts_with('/') {
        Ok(Destination::Maildir(text.into()))
    } else {
        Err(format!(
            "`{text}`: write the whole path, \"maildir:/var/mail/relay\""
        ))
    }
}

/// `smtp:example.net`, `lmtp:unix:/run/dovecot/lmtp`, `maildir:/var/lib/smarthost/Maildir`.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smtp { nexthop, .. } => write!(f, "smtp:{nexthop}"),
            Self::Lmtp(target) => write!(f, "lmtp:{target}"),
            Self::Maildir(path) => write!(f, "maildir:{}", path.display()),
            Self::Aliases => f.write_str("aliases"),
        }
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl LmtpTarget {
    fn parse(text: &str) -> Result<Self, String> {
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
            ("pipe:x", "the port is a number"),
            ("", "host is missing"),
        ] {
            let error = Destination::parse(text).unwrap_err();
            assert!(error.contains(remedy), "{text}: {error}");
        }
    }
}
