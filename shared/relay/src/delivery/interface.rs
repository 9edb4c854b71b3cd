//! What a delivery asks of its driver, and what the driver tells.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use mail::outcome::{Failure, Outcome};
use smtp::client::Security;

use super::address::Locality;

/// A host that mail may be given to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// A name, or an address in its plain textual form.
    pub name: String,
    pub port: u16,
    /// The administrator named it: no address of it is refused, and what it says of this machine is
    /// believed.
    pub named: bool,
    /// What its certificate must show in place of its name, where names count: it came from DNS,
    /// which anybody may have forged.
    pub certified: Option<String>,
}

impl Host {
    /// One that the administrator named, and that shows its own name.
    pub const fn named(name: String, port: u16) -> Self {
        Self {
            name,
            port,
            named: true,
            certified: None,
        }
    }

    /// What is known of it is known of this port.
    pub(super) fn key(&self) -> (String, u16) {
        (self.name.clone(), self.port)
    }
}

/// What a socket can be connected to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    Tcp(SocketAddr),
    /// A unix socket of this machine; never TLS.
    Unix(PathBuf),
}

impl Place {
    pub(super) fn is_ipv6(&self) -> bool {
        matches!(self, Self::Tcp(address) if address.is_ipv6())
    }

    pub(super) fn is_ipv4(&self) -> bool {
        matches!(self, Self::Tcp(address) if address.is_ipv4())
    }
}

/// What can fail by itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Spot {
    /// One address.
    Place(Place),
    /// Finding the addresses of a host.
    Name(String),
}

impl Spot {
    pub(super) fn of(dial: &Dial) -> Self {
        Self::Place(dial.place.clone())
    }
}

/// What was found of a host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// In the resolver's order, each with where it leads.
    pub places: Vec<(Place, Locality)>,
    /// The host itself says that it has TLS (DANE, MTA-STS): without it nothing is sent, whatever
    /// [`Way::security`] says.
    pub encrypted: bool,
}

/// Of a host that says nothing of TLS.
impl From<Vec<(Place, Locality)>> for Found {
    fn from(places: Vec<(Place, Locality)>) -> Self {
        Self {
            places,
            encrypted: false,
        }
    }
}

/// An address of a host that may be tried.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) host: Host,
    pub(super) place: Place,
    /// Not without TLS.
    pub(super) encrypted: bool,
}

/// Where and how the mail can go.
#[derive(Clone, Debug)]
pub struct Way {
    /// In the order in which they are to be tried.
    pub hosts: Vec<Host>,
    pub security: Security,
    /// Where a handshake fails, clear text loses nothing.
    pub clear_text_is_as_good: bool,
}

/// How long things may take up to the end of the message, where another try is left.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For TCP.
    pub connect: Duration,
    /// For each reply up to the first transaction; the last host is given the full time of the
    /// protocol.
    pub opening: Duration,
    /// For each reply of a transaction, and each piece of the message; the same.
    pub reply: Duration,
}

impl Patience {
    /// Between relayhosts, each of which takes all mail: seconds, not minutes.
    pub const AMONG_RELAYHOSTS: Self = Self {
        connect: Duration::from_secs(5),
        opening: Duration::from_secs(10),
        reply: Duration::from_secs(20),
    };
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            opening: Duration::from_secs(30),
            reply: Duration::from_mins(1),
        }
    }
}

/// A peer that says nothing for so long in the midst of a transaction is silent: it may be this
/// message alone at which it is, and others may wait for the connection.
pub const QUIET: Duration = Duration::from_secs(5);

/// One address to connect to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dial {
    pub host: Host,
    pub place: Place,
    pub security: Security,
    pub connect: Duration,
    /// `None`: as long as the protocol asks.
    pub opening: Option<Duration>,
    /// What would have come before it, and failed: a connection that is kept gives way to them once
    /// they are tried again.
    pub instead_of: Vec<Spot>,
}

/// A transaction with these recipients; `patience` and `kept` as in [`smtp::client::Transaction`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    pub recipients: Vec<usize>,
    pub patience: Option<Duration>,
    pub kept: bool,
}

impl Batch {
    /// Its patience, where others wait for the place and leave it so long.
    pub fn patience_within(&self, hurried: Option<Duration>) -> Option<Duration> {
        self.patience.into_iter().chain(hurried).min()
    }
}

/// How a transaction ended.
#[derive(Debug, Default)]
pub struct Sent {
    /// One for each recipient.
    pub outcomes: Vec<Outcome>,
    /// Another transaction may follow.
    pub open: bool,
    /// As [`smtp::client::Client::accepted`].
    pub accepted: usize,
}

/// What the driver has to do; each but `Leave` is answered by the event of the same place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Take a kept connection, if a good one is there: [`Event::Kept`].
    Reuse,
    /// Find the hosts: [`Event::Way`].
    Find,
    /// Find a host's addresses: [`Event::Found`].
    Lookup(Host),
    /// Connect, greet, make TLS: [`Event::Opened`]; or take a connection that is kept for another
    /// destination and was opened just so: [`Event::Kept`].
    Open(Dial),
    /// A transaction over what is open: [`Event::Sent`].
    Send(Batch),
    /// The open connection is not needed any more.
    Leave,
}

/// What the driver tells.
#[derive(Debug)]
pub enum Event {
    /// A kept connection, opened as this says, is open now, or there is none.
    Kept(Option<Box<Dial>>),
    Way(Result<Way, Failure>),
    Found(Result<Found, Failure>),
    Opened(Result<(), Failure>),
    Sent(Sent),
}
