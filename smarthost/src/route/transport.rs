//! An address → the destination that its mail is taken to now.
//!
//! Of a table are asked: the address, the address without its extension, the domain, the domains above it with a dot in front,
//! the patterns, `*`; `routes` before the tables of `transport`. In our own local domains an address alone can have a route.

use std::borrow::Cow;

use mail::{
    address::{Address, quote_local},
    envelope::Recipient,
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};

use crate::{
    config::{Class, Route, exchanger},
    destination::{Destination, Kind},
    lookup::{Found, LookupTable, access::split_extension},
    route::{Router, aliases::unusable},
};

impl Router {
    /// Where an address goes now: by the routes, else into our local transport, else to the relayhost, else by MX.
    pub fn destination(&self, address: &Address) -> Result<Destination, Failure> {
        self.nth_destination(address, || 0)
    }

    /// The same for one of several recipients with this address: programs that the same alias names. `nth`: which of them it is, from 0.
    pub fn nth_destination(
        &self,
        address: &Address,
        nth: impl Fn() -> usize,
    ) -> Result<Destination, Failure> {
        let rules = &self.rules;
        if let Some(named) = self.virtual_targets(address)?
            && named.iter().all(|named| named.key() != address.key())
        {
            return Ok(Kind::Aliases.into());
        }
        let local = self.is_local(address);
        if local && let Some(destination) = self.routed(address)? {
            return Ok(destination);
        }
        // An alias that cannot be expanded must not end in the mailbox of its own name.
        if let Some(named) = self.lookup(address)? {
            let itself = named.addresses.contains(address);
            let which = if named.programs.is_empty() { 0 } else { nth() };
            match named.programs.get(which) {
                Some(program) => return Ok(program.clone()),
                None if named.programs.is_empty() && !itself => {
                    return Ok(Kind::Aliases.into());
                }
                None if which > named.programs.len() || !itself => {
                    return Err(fewer(address, named.programs.len()));
                }
                None => {}
            }
        }
        if self.is_nobodys(address) {
            return Err(nobodys(address));
        }
        if local {
            let local = rules.local.clone();
            return local.ok_or_else(|| unknown(address, "local recipient table"));
        }
        if let Some(destination) = self.routed(address)? {
            return Ok(destination);
        }
        if self.class(address) == Some(Class::Virtual) {
            if self.our_postmaster(address).is_some() {
                return Ok(Kind::Aliases.into());
            }
            return Err(unknown(address, "virtual alias table"));
        }
        if let Some(relayhost) = &rules.relayhost {
            return Ok(Destination::relayhost(relayhost.clone()));
        }
        let domain = address.domain();
        let destination = Destination::of_recipient(exchanger(domain));
        Ok(match rules.usual_transport(domain) {
            Some(provider) => destination.by(provider),
            None => destination,
        })
    }

    /// Whether an address of our local domains has a route of its own, and so receives.
    pub(super) fn has_own_route(&self, address: &Address) -> bool {
        self.is_local(address) && !matches!(self.routed(address), Ok(None))
    }

    /// What the routes say; `None`: nothing, or nothing else.
    fn routed(&self, address: &Address) -> Result<Option<Destination>, Failure> {
        let Some(found) = self.route(address) else {
            return Ok(None);
        };
        let transports = &self.rules.transports;
        let route = Route::parse(&found.value, transports).map_err(|why| {
            let text = format!("the route of {address}: {why}");
            Failure::local(EnhancedStatus::new(4, 3, 5), &text)
        })?;
        route.destination(address.domain(), transports)
    }

    /// Whether mail for an address would be returned at once, for nobody has it, or by its route.
    pub fn is_returned(&self, address: &Address) -> bool {
        let found = self.destination(address);
        found.is_err_and(|failure| failure.status.class() == 5)
    }

    /// Why nobody would get mail for an alias, whose table can be mended: all for whom it stands are nobody.
    pub fn leads_nowhere(&self, alias: &Address, recipients: &[Recipient]) -> Option<Failure> {
        let mut addresses = recipients.iter().map(|recipient| &recipient.address);
        let nowhere = addresses.all(|it| it.key() != alias.key() && self.is_returned(it));
        let first = recipients.first().filter(|_| nowhere)?;
        let why = format!("nobody has the address {}", first.address);
        Some(unusable(alias, &why))
    }

    /// Why mail for these, whom one recipient stands for, is not even taken: the routes of all of them say so.
    pub fn refusal(&self, recipients: &[Recipient]) -> Option<Failure> {
        let mut found: Option<Failure> = None;
        for recipient in recipients {
            let failure = self.refused(&recipient.address)?;
            if found.is_none() || failure.status.class() == 4 {
                found = Some(failure);
            }
        }
        found
    }

    fn refused(&self, address: &Address) -> Option<Failure> {
        let failure = self.destination(address).err()?;
        let found = self.route(address)?;
        let route = Route::parse(&found.value, &self.rules.transports);
        matches!(route, Ok(Route::Refused(_))).then_some(failure)
    }

    /// The entry that says where mail for an address goes: a line of a table, or of `routes` in their order.
    pub fn route(&self, address: &Address) -> Option<Found<'_>> {
        let local = self.is_local(address);
        let tables =
            std::iter::once(&self.rules.routes).chain(self.transport.iter().map(AsRef::as_ref));
        tables.filter(|table| !table.is_empty()).find_map(|table| {
            self.of_address(table, address)
                .or_else(|| of_domain(table, address).filter(|_| !local))
        })
    }

    fn of_address<'a>(&self, table: &'a LookupTable, address: &Address) -> Option<Found<'a>> {
        let bare = || {
            let name = address.local_name();
            let (user, _) = split_extension(&name, self.rules.delimiter)?;
            table.exact(&format!("{}@{}", quote_local(user), address.domain()))
        };
        table.exact(address.as_str()).or_else(bare)
    }
}

fn of_domain<'a>(table: &'a LookupTable, address: &Address) -> Option<Found<'a>> {
    let domain: Cow<'_, str> = address.domain().to_string().into();
    let parents = domain.match_indices('.');
    let parents = parents.filter_map(|(dot, _)| table.exact(domain.get(dot..)?));
    table
        .exact(&domain)
        .or_else(|| parents.into_iter().next())
        .or_else(|| table.pattern(address.as_str()))
        .or_else(|| table.exact("*"))
}

/// The table has changed since the mail came.
fn fewer(address: &Address, count: usize) -> Failure {
    let text = format!("the alias {address} names {count} programs, fewer than when the mail came");
    Failure::local(EnhancedStatus::new(4, 3, 5), &text)
}

fn unknown(address: &Address, table: &str) -> Failure {
    let text = format!("{address}: User unknown in {table}");
    let status = EnhancedStatus::new(5, 1, 1);
    Failure::new(Blame::Policy, Stage::Local, status, &text)
}

/// Kept until somebody is named.
fn nobodys(address: &Address) -> Failure {
    let text =
        format!("nobody is named for {address}: set admins, or write an alias; then release it");
    Failure::local(EnhancedStatus::new(4, 3, 5), &text)
}
