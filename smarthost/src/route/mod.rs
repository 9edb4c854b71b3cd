//! Where a recipient goes: aliases at acceptance, transport and next hop at each attempt. Pure.
//!
//! | part | what |
//! |---|---|
//! | [`aliases`] | a local recipient → those who stand for it (rows A2, B2, B3, B18, D2) |
//! | [`transport`] | an address → [`Destination`]: routes table, local domains, relayhost, MX (rows C1, D1, D5) |
//!
//! Contract: an address that cannot be routed is a `Failure`, never a panic and never lost; the same address gives the
//! same answer as long as the tables stay. What an alias cannot deliver to yet (`|program`, `/file`, `:include:`) defers the mail.
//! RFC 5321 §5.1 (the MX lookup itself is the edge's), §4.5.1 (postmaster).

mod aliases;
#[cfg(test)]
mod tests;
mod transport;

use std::sync::Arc;

use mail::{
    address::{Address, Domain, DomainPattern},
    maps::Table,
};

use crate::{config::Config, destination::Destination};

/// The tables. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Router {
    rules: Arc<Rules>,
    aliases: Arc<Table>,
}

/// The settings that route mail.
#[derive(Debug)]
struct Rules {
    hostname: Domain,
    domains: crate::config::Domains,
    local: Option<Destination>,
    relayhost: Option<mail::nexthop::Nexthop>,
    routes: std::collections::BTreeMap<DomainPattern, Destination>,
    delimiter: Option<char>,
    admins: Vec<Address>,
}

impl Router {
    pub fn new(config: &Config, aliases: Arc<Table>) -> Self {
        let rules = Rules {
            hostname: config.hostname.clone(),
            domains: config.domains.clone(),
            local: config.local.clone(),
            relayhost: config.relayhost.clone(),
            routes: config.routes.clone(),
            delimiter: config.recipient_delimiter,
            admins: config.admins.clone(),
        };
        Self {
            rules: Arc::new(rules),
            aliases,
        }
    }

    /// Whether an address is in one of our own domains.
    pub fn is_local(&self, address: &Address) -> bool {
        self.rules.domains.is_local(address.domain())
    }

    /// Whether an address is in a domain that we pass on for anybody.
    pub fn is_relayed(&self, address: &Address) -> bool {
        self.rules.domains.is_relayed(address.domain())
    }
}
