//! What the world is asked, and what it says.

use std::{net::IpAddr, sync::Arc};

use mail::address::{Address, Domain};

use super::{dnsbl::List, endpoint::Endpoint, greylist, verify::Verified};
use crate::limits::{self, Peer};

/// What the world has to answer.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Query {
    /// One message more of this client ([`limits::Limits::begin`]).
    Message(Peer),
    /// One recipient more of its message ([`limits::Limits::recipient`]).
    Recipient(Peer),
    /// Whether mail for a domain can go anywhere.
    MailDomain(Domain),
    /// What the client's address is called.
    ClientName(IpAddr),
    /// Whether a list has an entry under this name.
    Listed(Arc<List>, String),
    /// Whether a network, with this sender and recipient, came back.
    Greylist(IpAddr, String, String),
    /// Whether the next hop knows a recipient; the client is who asks.
    /// The client, and whether it is one of ours, come first.
    RecipientKnown((IpAddr, bool), Address),
    /// What a policy server says to these attributes.
    Service(Endpoint, String),
}

/// The world's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Limit(limits::Decision),
    MailDomain(MailDomain),
    ClientName(ClientName),
    Listed(Listing),
    Greylist(greylist::Decision),
    Verified(Verified),
    /// The action, if there was one.
    Service(Option<String>),
}

/// What DNS says of a domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MailDomain {
    /// It has an MX, or an address.
    Found,
    /// `MX 0 .` (RFC 7505).
    NullMx,
    Missing,
    /// Nobody could say.
    Unknown,
}

/// What the names of an address are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientName {
    /// It has this name, and the name has it.
    Confirmed(String),
    /// It has this name, which is another's or nobody's.
    Unconfirmed(String),
    /// The name has it or not: nobody could say.
    Doubtful(String),
    Missing,
    Unknown,
}

/// What a list says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listing {
    /// With the reason that it gives.
    Listed(Option<String>),
    NotListed,
    /// It does not answer, or not as a list does.
    Unknown,
}

impl ClientName {
    /// The name that can be believed.
    pub fn confirmed(&self) -> Option<&str> {
        match self {
            Self::Confirmed(name) => Some(name),
            _ => None,
        }
    }

    /// The name that its owner gives it, whoever that is.
    pub fn reverse(&self) -> Option<&str> {
        match self {
            Self::Confirmed(name) | Self::Unconfirmed(name) | Self::Doubtful(name) => Some(name),
            Self::Missing | Self::Unknown => None,
        }
    }
}
