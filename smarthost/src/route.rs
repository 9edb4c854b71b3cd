//! Where a recipient goes: aliases at acceptance, transport and next hop at each attempt. Pure.
//!
//! Contract: an address that cannot be routed is a [`Failure`], never a panic and never lost; the same address gives the
//! same answer as long as the tables stay. RFC 5321 §5.1 (the MX lookup itself is the edge's).

use std::{path::PathBuf, sync::Arc};

use shared::{
    address::Address, envelope::Recipient, maps::Table, nexthop::Nexthop, outcome::Failure,
};

use crate::config::{Config, LmtpTarget};

/// Where mail is taken to. Equal destinations share connections, concurrency and back-off.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Destination {
    Smtp {
        nexthop: Nexthop,
        /// It is the relayhost: `relay_tls` applies; otherwise opportunistic TLS.
        relayhost: bool,
    },
    Lmtp(LmtpTarget),
    /// Local delivery; the directory.
    Maildir(PathBuf),
}

/// The tables. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Router {}

impl Router {
    pub fn new(_config: &Config, _aliases: Arc<Table>) -> Self {
        todo!()
    }

    /// The recipients that stand for one after aliases (itself, if there is none); `original` is set where the address changed.
    pub fn expand(&self, _recipient: &Recipient) -> Result<Vec<Recipient>, Failure> {
        todo!()
    }

    /// Where an address goes now.
    pub fn destination(&self, _address: &Address) -> Result<Destination, Failure> {
        todo!()
    }
}
