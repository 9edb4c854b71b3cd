//! What rewriting works with.

use std::{fmt, sync::Arc};

use crate::{
    address::{Address, Domain, Sender},
    maps::Table,
};

/// Why an address with a domain in UTF-8 is changed.
pub(super) const A_LABELS: &str = "domain in ASCII (RFC 5890)";

/// [`Change::what`] of an alias that is followed without a name that comes back to itself.
pub const LEFT_OUT: &str = "left out of an alias";

/// [`Change::what`] of a recipient whose mail an alias refuses, while others get it.
pub const REFUSED: &str = "refused by an alias";

/// Which user submitted; from the socket's credentials, never from the environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Login name, or `uid-61234` where there is none.
    pub user: String,
    /// GECOS full name, may be empty.
    pub full_name: String,
}

/// The rules, from the configuration.
#[derive(Clone, Debug)]
pub struct Rules {
    /// FQDN of this machine.
    pub hostname: Domain,
    /// What the kernel calls it, if that is a name: programs take it for the host name.
    pub nodename: Option<Domain>,
    /// Appended to unqualified senders (and to recipients that neither alias nor admin catches).
    pub domain: Domain,
    /// Where unqualified recipients go that no alias names.
    pub admin: Option<Address>,
    /// Senders: local account → address; chains are followed.
    pub revaliases: Arc<Table>,
    /// Recipients: local account → addresses; chains and lists.
    pub aliases: Arc<Table>,
    /// Whether a `From:` given by the program is kept.
    pub from_override: bool,
}

impl Rules {
    /// A domain that means this machine and nothing else, and that no other machine knows: names of
    /// loopback in hosts files, and names of this machine without their domain.
    pub(super) fn is_localhost(&self, domain: &Domain) -> bool {
        let name = domain.as_str();
        let short = name.strip_suffix(".localdomain").unwrap_or(name);
        let is_first = |own: &Domain| own.as_str().split('.').next() == Some(short);
        let is_own = || is_first(&self.hostname) || self.nodename.as_ref().is_some_and(is_first);
        domain.is_loopback() || (*domain != self.domain && is_own())
    }

    /// A domain whose mailboxes are this machine's accounts.
    pub(super) fn is_this_host(&self, domain: &Domain) -> bool {
        let own = *domain == self.hostname || self.nodename.as_ref() == Some(domain);
        (own && *domain != self.domain) || self.is_localhost(domain)
    }

    /// A domain that we write behind our own senders.
    pub(super) fn is_ours(&self, domain: &Domain) -> bool {
        self.is_this_host(domain) || *domain == self.domain
    }
}

/// One change, for `explain` and the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// `envelope sender`, `envelope recipient`, or a field's name.
    pub what: String,
    /// Before.
    pub before: String,
    /// After.
    pub after: String,
    /// `FILE:LINE` or the setting that caused it.
    pub because: String,
}

/// Why an envelope cannot be made. The text quotes what is wrong and says why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RewriteError {
    /// The sender is no address.
    Sender(String),
    /// A recipient is no address, or there are too many.
    Recipient(String),
    /// An alias leads nowhere, and there is no `admin` to take its mail.
    Alias(String),
    /// An alias says that there is no mail for this name.
    Refused(String),
}

impl fmt::Display for RewriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sender(text) => write!(f, "bad sender {text}"),
            Self::Recipient(text) => write!(f, "bad recipient {text}"),
            Self::Alias(text) => write!(f, "bad alias {text}"),
            Self::Refused(text) => write!(f, "refused {text}"),
        }
    }
}
impl std::error::Error for RewriteError {}

/// Notes a change of the envelope sender from what the program gave.
pub(super) fn note_sender(
    before: &str,
    sender: &Sender,
    because: String,
    changes: &mut Vec<Change>,
) {
    let after = sender.to_string();
    if before != after {
        changes.push(Change {
            what: "envelope sender".into(),
            before: before.into(),
            after,
            because,
        });
    }
}
