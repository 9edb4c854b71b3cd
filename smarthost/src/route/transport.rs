//! An address → the destination that its mail is taken to now.

use mail::{
    address::{Address, Domain, DomainPattern},
    nexthop::Nexthop,
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};

use crate::{destination::Destination, route::Router};

impl Router {
    /// Where an address goes now: by the routes table, else into our local transport, else to the relayhost, else by MX.
    pub fn destination(&self, address: &Address) -> Result<Destination, Failure> {
        let rules = &self.rules;
        // An alias that cannot be expanded must not end in the mailbox of its own name.
        if let Some(named) = self.lookup(address)?
            && !named.contains(address)
        {
            return Ok(Destination::Aliases);
        }
        if self.is_nobodys(address) {
            return Err(nobodys(address));
        }
        if let Some(transport) = self.routed(address.domain()) {
            return Ok(transport.clone());
        }
        if self.is_local(address) {
            return rules.local.clone().ok_or_else(|| {
                let text = format!("{address}: User unknown in local recipient table");
                let status = EnhancedStatus::new(5, 1, 1);
                Failure::new(Blame::Policy, Stage::Local, status, &text)
            });
        }
        if let Some(relayhost) = &rules.relayhost {
            return Ok(Destination::relayhost(relayhost.clone()));
        }
        Ok(Destination::of_recipient(exchanger(address.domain())))
    }

    /// The routes table's entry for a domain, or for the nearest domain above it that has one for all below.
    fn routed(&self, domain: &Domain) -> Option<&Destination> {
        let routes = &self.rules.routes;
        let mut nearest: Option<(&Domain, &Destination)> = None;
        for (pattern, transport) in routes.iter().filter(|(pattern, _)| pattern.covers(domain)) {
            match pattern {
                DomainPattern::Exactly(_) => return Some(transport),
                DomainPattern::Below(parent) => {
                    if nearest.is_none_or(|(other, _)| other.len() < parent.len()) {
                        nearest = Some((parent, transport));
                    }
                }
            }
        }
        nearest.map(|(_, transport)| transport)
    }
}

/// Kept until somebody is named.
fn nobodys(address: &Address) -> Failure {
    let text =
        format!("nobody is named for {address}: set admins, or write an alias; then release it");
    Failure::local(EnhancedStatus::new(4, 3, 5), &text)
}

/// The domain's MX, or the host itself of an address literal (RFC 5321 §4.1.3).
fn exchanger(domain: &Domain) -> Nexthop {
    Nexthop {
        host: domain
            .as_literal()
            .map_or_else(|| domain.to_string(), |address| address.to_string()),
        port: None,
        mx: domain.as_literal().is_none(),
    }
}
