//! An address → the destination that its mail is taken to now.
//!
//! Asked are: the address, and the patterns of tables that hold nothing else; the address without
//! its extension; the domain; the domains above it with a dot in front; other patterns; `*`. First
//! all of it in `routes`; then each in all tables of `transport` before the next one, as Postfix
//! does; then, if nothing was said, `default_routes`. In our own local domains an address alone can
//! have a route, and default routes are neither for them nor for virtual ones.

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
    route::Router,
};

const UNKNOWN: EnhancedStatus = EnhancedStatus::new(5, 1, 1);

impl Router {
    /// Where an address goes now: by the routes, else into our local transport, else to the
    /// relayhost, else by MX.
    pub fn destination(&self, address: &Address) -> Result<Destination, Failure> {
        self.nth_destination(address, || 0)
    }

    /// The same for one of several recipients with this address: programs that the same alias
    /// names. `nth`: which of them it is, from 0.
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

    /// The first of those for whom an alias stands, if all of them are nobody.
    pub(super) fn leads_nowhere<'a>(
        &self,
        alias: &Address,
        recipients: &'a [Recipient],
    ) -> Option<&'a Address> {
        let mut addresses = recipients.iter().map(|recipient| &recipient.address);
        // One that stands for itself alone is no alias.
        let is_alias = |it: &Address| recipients.len() > 1 || it.key() != alias.key();
        let nowhere = addresses.all(|it| is_alias(it) && self.is_returned(it));
        let first = recipients.first().filter(|_| nowhere)?;
        Some(&first.address)
    }

    /// Why mail for somebody whom nobody is is not taken, in words that name no address: whoever
    /// brings it has written another one.
    pub(super) fn as_nobody(&self, address: &Address) -> Failure {
        let table = self.unlisted(address).unwrap_or("local recipient table");
        let text = format!("User unknown in {table}");
        Failure::new(Blame::Policy, Stage::Local, UNKNOWN, &text)
    }

    /// Leaves those out who stand for one beside others and whom nobody is, itself among them;
    /// gives them. It is a mistake in the table, which `check` tells. What a route refuses stays:
    /// it says so on purpose.
    pub fn leave_out(&self, recipients: &mut Vec<Recipient>) -> Vec<Address> {
        let is_nobody = |it: &Recipient| {
            matches!(self.class(&it.address), Some(Class::Local | Class::Virtual))
                && self.is_returned(&it.address)
                && self.refused(&it.address).is_none()
        };
        if recipients.len() < 2 || recipients.iter().all(is_nobody) {
            return Vec::new();
        }
        let out = recipients.extract_if(.., |it| is_nobody(it));
        out.map(|it| it.address).collect()
    }

    /// Why mail for these, whom one recipient stands for, is not even taken: the routes of all of
    /// them say so.
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

    /// Whether a route says that mail for an address is refused when it is named.
    pub fn refuses(&self, address: &Address) -> bool {
        self.refused(address).is_some()
    }

    fn refused(&self, address: &Address) -> Option<Failure> {
        let failure = self.destination(address).err()?;
        let found = self.route(address)?;
        let route = Route::parse(&found.value, &self.rules.transports);
        matches!(route, Ok(Route::Refused(_))).then_some(failure)
    }

    /// The entry that says where mail for an address goes: a line of a table, or of `routes` in
    /// their order.
    pub fn route(&self, address: &Address) -> Option<Found<'_>> {
        let rules = &self.rules;
        let class = self.class(address);
        let local = class == Some(Class::Local);
        let routes = std::slice::from_ref(&rules.routes);
        let written = self
            .entry(routes, address, local)
            .or_else(|| self.entry(&self.transport, address, local));
        if written.as_ref().is_some_and(|it| it.value.trim() != ":")
            || matches!(class, Some(Class::Local | Class::Virtual))
        {
            return written;
        }
        let defaults = std::slice::from_ref(&rules.default_routes);
        self.entry(defaults, address, false).or(written)
    }

    /// What tables say of an address: each key in all of them before the next one.
    fn entry<'a, T: AsRef<LookupTable>>(
        &self,
        tables: &'a [T],
        address: &Address,
        local: bool,
    ) -> Option<Found<'a>> {
        let tables = || tables.iter().map(AsRef::as_ref);
        let exact = |key: &str| tables().find_map(|table| table.exact(key));
        let whole = || {
            tables().find_map(|table| {
                let pattern = || table.pattern(address.as_str());
                let alone = !local && !table.has_keys();
                table
                    .exact(address.as_str())
                    .or_else(|| alone.then(pattern).flatten())
            })
        };
        let bare = || {
            let name = address.local_name();
            let (user, _) = split_extension(&name, self.rules.delimiter)?;
            exact(&format!("{}@{}", quote_local(user), address.domain()))
        };
        let of_domain = || {
            let domain = address.domain().to_string();
            let mut parents = domain.match_indices('.');
            exact(&domain)
                .or_else(|| parents.find_map(|(dot, _)| exact(domain.get(dot..)?)))
                .or_else(|| tables().find_map(|table| table.pattern(address.as_str())))
                .or_else(|| exact("*"))
        };
        let found = whole().or_else(bare);
        found.or_else(|| (!local).then(of_domain).flatten())
    }
}

/// The table has changed since the mail came.
fn fewer(address: &Address, count: usize) -> Failure {
    let text = format!("the alias {address} names {count} programs, fewer than when the mail came");
    Failure::local(EnhancedStatus::new(4, 3, 5), &text)
}

fn unknown(address: &Address, table: &str) -> Failure {
    let text = format!("{address}: User unknown in {table}");
    Failure::new(Blame::Policy, Stage::Local, UNKNOWN, &text)
}

/// Kept until somebody is named.
fn nobodys(address: &Address) -> Failure {
    let text =
        format!("nobody is named for {address}: set admins, or write an alias; then release it");
    Failure::local(EnhancedStatus::new(4, 3, 5), &text)
}
