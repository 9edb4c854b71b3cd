//! Where a recipient goes: aliases at acceptance, transport and next hop at each attempt. Pure.
//!
//! | part | what |
//! |---|---|
//! | [`virtual_aliases`] | a recipient of any class → the addresses of its entry (row C2) |
//! | [`aliases`] | a local recipient → those who stand for it (rows A2, B2, B3, B18, D2) |
//! | [`expansion`] | both, followed until nothing changes |
//! | [`expansions`] | what of that is remembered of long lists |
//! | [`fate`] | whether mail for a recipient can be taken at all |
//! | [`fates`] | what of that is remembered |
//! | [`transport`] | an address → [`Destination`]: routes, local domains, relayhost, MX (rows B12, B14, C1, D1, D5) |
//!
//! Contract: an address that cannot be routed is a `Failure`, never a panic and never lost; the
//! same address gives the same answer as long as the tables stay. What an alias cannot deliver to
//! (`/file`) defers the mail.
//! RFC 5321 §5.1 (the MX lookup itself is the edge's), §4.5.1 (postmaster).

mod aliases;
mod expansion;
mod expansions;
mod failures;
mod fate;
mod fates;
#[cfg(test)]
mod tests;
mod transport;
mod virtual_aliases;
#[cfg(test)]
mod virtual_tests;

pub use expansion::Step;
use expansions::Expansions;
pub use fates::Fate;
use fates::Fates;

use std::{sync::Arc, time::Duration};

use mail::{
    address::{Address, Domain},
    clock::Timestamp,
    envelope::Envelope,
    maps::Table,
};

use crate::{
    config::{Class, Config, Runners, Transports, provider},
    destination::Destination,
    lookup::{LookupTable, TableName, Tables},
    network::Networks,
    provenance,
    srs::{Srs, Wrong},
};

/// The tables. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Router {
    rules: Arc<Rules>,
    aliases: Arc<Table>,
    /// Those of `transport`.
    transport: Arc<[Arc<LookupTable>]>,
    /// By what the programs of alias files are run.
    runners: Arc<Runners>,
    tables: Arc<Lookups>,
    /// What leads mail back to senders that were rewritten.
    srs: Option<Arc<Srs>>,
    /// What was found out about recipients.
    fates: Fates,
    expansions: Expansions,
}

/// The tables of virtual aliases and of relay recipients.
#[derive(Debug, Default)]
struct Lookups {
    virtual_aliases: Vec<Arc<LookupTable>>,
    relay_recipients: Vec<Arc<LookupTable>>,
}

/// The settings that route mail.
#[derive(Debug)]
struct Rules {
    hostname: Domain,
    domains: crate::config::Domains,
    local: Option<Destination>,
    /// The first of them, by which all go.
    relayhost: Option<mail::nexthop::Nexthop>,
    routes: LookupTable,
    default_routes: LookupTable,
    transports: Transports,
    providers: bool,
    bounce_lifetime: Duration,
    relay_lifetime: Duration,
    delimiter: Option<char>,
    admins: Vec<Address>,
    networks: Networks,
}

impl Rules {
    /// The transport of a domain that no route is about.
    fn usual_transport(&self, domain: &Domain) -> Option<&Arc<str>> {
        let name = provider(domain).filter(|_| self.providers)?;
        self.transports.get_key_value(name).map(|(name, _)| name)
    }
}

impl Router {
    pub fn new(config: &Config, aliases: Arc<Table>, transport: Arc<[Arc<LookupTable>]>) -> Self {
        let [routes, default_routes] = config.route_tables();
        let rules = Rules {
            hostname: config.hostname.clone(),
            domains: config.domains.clone(),
            local: config.local.clone(),
            relayhost: config.relayhost.first().map(|it| it.nexthop.clone()),
            routes,
            default_routes,
            transports: config.transports.clone(),
            providers: config.provider_presets,
            bounce_lifetime: config.retry.bounce_lifetime,
            relay_lifetime: config.retry.relay_lifetime,
            delimiter: config.recipient_delimiter,
            admins: config.admins.clone(),
            networks: config.networks.clone(),
        };
        Self {
            rules: Arc::new(rules),
            aliases,
            transport,
            runners: Arc::default(),
            tables: Arc::default(),
            srs: None,
            fates: Fates::default(),
            expansions: Expansions::default(),
        }
    }

    /// The same with virtual aliases and relay recipients.
    #[must_use]
    pub fn mapping(self, config: &Config, tables: &Tables) -> Self {
        let get = |names: &[TableName]| names.iter().map(|name| tables.get(name)).collect();
        let tables = Lookups {
            virtual_aliases: get(&config.virtual_aliases),
            relay_recipients: get(&config.relay_recipients),
        };
        Self {
            tables: Arc::new(tables),
            fates: Fates::default(),
            expansions: Expansions::default(),
            ..self
        }
    }

    /// The same where programs of these alias files are run.
    #[must_use]
    pub fn running(self, runners: Runners) -> Self {
        Self {
            runners: Arc::new(runners),
            fates: Fates::default(),
            expansions: Expansions::default(),
            ..self
        }
    }

    /// The same where mail comes back to rewritten senders.
    #[must_use]
    pub fn returning(self, srs: Option<Arc<Srs>>) -> Self {
        Self {
            srs,
            fates: Fates::default(),
            expansions: Expansions::default(),
            ..self
        }
    }

    /// Whom a rewritten sender stands for; `None`: it is no such address, or a forged one.
    pub(crate) fn sender_behind(&self, address: &Address) -> Option<Address> {
        self.srs
            .as_ref()
            .filter(|srs| srs.is_ours(address))?
            .target(address)
            .ok()
    }

    /// Why mail that comes back to a rewritten sender is not taken, if it is not.
    pub fn returns_nowhere(&self, address: &Address, now: Timestamp) -> Option<Wrong> {
        let srs = self.srs.as_ref().filter(|srs| srs.is_ours(address))?;
        srs.check(address, now).err()
    }

    /// What is done with mail for the address's domain; `None` if we take none from strangers.
    pub fn class(&self, address: &Address) -> Option<Class> {
        if self.sender_behind(address).is_some() {
            return Some(Class::Local);
        }
        let of_table = self.rules.domains.class(address.domain());
        of_table.or_else(|| {
            self.is_postmaster_of_senders(address)
                .then_some(Class::Virtual)
        })
    }

    /// Whether an address is in one of our own domains.
    pub fn is_local(&self, address: &Address) -> bool {
        self.class(address) == Some(Class::Local)
    }

    /// The table in which a recipient that we take mail for would have to stand, and does not.
    pub fn unlisted(&self, address: &Address) -> Option<&'static str> {
        let entry = self.virtual_targets(address);
        let stands_for_others = match &entry {
            Ok(None) => false,
            Ok(Some(named)) => named.iter().any(|named| named.key() != address.key()),
            Err(_) => true,
        };
        let (listed, table) = match self.class(address)? {
            Class::Local => (self.is_known(address), "local recipient table"),
            Class::Virtual => {
                let listed = stands_for_others || self.our_postmaster(address).is_some();
                (listed, "virtual alias table")
            }
            Class::Relay => {
                let listed = self.is_relay_recipient(address)
                    || !matches!(entry, Ok(None))
                    || self.our_postmaster(address).is_some();
                (listed, "relay recipient table")
            }
        };
        (!listed).then_some(table)
    }

    /// How long mail for an address is tried, where that is not as for all (row A5). `null_sender`:
    /// nobody would hear of its end.
    pub fn lifetime(&self, address: &Address, null_sender: bool) -> Option<Duration> {
        if null_sender {
            return Some(self.rules.bounce_lifetime);
        }
        self.is_relayed(address)
            .then_some(self.rules.relay_lifetime)
    }

    /// Whether a stranger brought a message, or the one that it reports on: nothing is kept for
    /// him.
    pub fn is_strangers(&self, envelope: &Envelope) -> bool {
        provenance::is_strangers(envelope, &self.rules.networks)
    }

    /// Whether an address is in a domain that we pass on for anybody.
    pub fn is_relayed(&self, address: &Address) -> bool {
        self.class(address) == Some(Class::Relay)
    }
}
